//! What a row or a finding's progress may be, in every store alike. Pure.

use std::collections::BTreeMap;

use dial_rules::event::Millis;

use super::store::{BODY_LIMIT, KEY_LIMIT, PROGRESS_LIMIT, Progress, Row};
use crate::store::StoreError;

/// Key of an item in DynamoDB's table of findings that is neither finding nor row: it names the days that have findings.
pub(crate) const DAYS_KEY: &str = "#days";

/// How much of a key an error repeats, in characters.
const SHOWN: usize = 80;

/// Whether a row can have this key.
pub(crate) fn is_row_key(key: &str) -> bool {
    key.len() > 1 && key.starts_with('#') && key != DAYS_KEY && key.len() <= KEY_LIMIT
}

/// Whether a finding can have this id: a row's key is none, and no database takes an empty one.
pub(crate) fn is_finding_id(id: &str) -> bool {
    !id.is_empty() && !id.starts_with('#')
}

/// Refuses a row that some store could not keep.
pub(crate) fn check(row: &Row) -> Result<(), StoreError> {
    let refused = |reason: String| Err(refused(&row.key, reason));
    if row.key.len() > KEY_LIMIT {
        return refused(format!("its key has {} bytes, {KEY_LIMIT} are allowed; use a hash", row.key.len()));
    }
    if !is_row_key(&row.key) {
        return refused(format!("a key begins with `#`, goes on, and is not `{DAYS_KEY}`"));
    }
    if row.body.len() > BODY_LIMIT {
        return refused(format!("its body has {} bytes, {BODY_LIMIT} are allowed", row.body.len()));
    }
    Ok(())
}

/// A finding's progress as JSON.
pub(crate) fn encode(finding_id: &str, progress: &BTreeMap<String, Progress>) -> Result<String, StoreError> {
    let text = serde_json::to_string(progress).map_err(|e| refused(finding_id, e.to_string()))?;
    if text.len() > PROGRESS_LIMIT {
        let reason = format!(
            "its progress at {} sinks has {} bytes, {PROGRESS_LIMIT} are allowed; route it to fewer sinks",
            progress.len(),
            text.len()
        );
        return Err(refused(finding_id, reason));
    }
    Ok(text)
}

/// What [`encode`] wrote.
pub(crate) fn decode(finding_id: &str, progress: &str) -> Result<BTreeMap<String, Progress>, StoreError> {
    serde_json::from_str(progress)
        .map_err(|e| StoreError::Damaged { finding_id: finding_id.to_owned(), reason: format!("its progress: {e}") })
}

/// When a finding is due whose content was written: as soon as what was owed earlier.
pub(crate) fn sooner(due: Option<Millis>, owing: Option<Millis>) -> Option<Millis> {
    due.into_iter().chain(owing.map(countable)).min()
}

/// A time of a queue: no database of ours sorts times before 1970.
pub(crate) fn countable(time: Millis) -> Millis {
    time.max(0)
}

/// Says that something cannot be read, and goes on without it.
pub(crate) fn readable<T>(read: Result<T, StoreError>) -> Option<T> {
    read.inspect_err(|error| tracing::error!(%error, "left out of what is owed")).ok()
}

/// The distinct keys that satisfy `takes`, in the order asked for.
pub(crate) fn distinct(keys: &[String], takes: impl Fn(&str) -> bool) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    keys.iter().filter(|key| takes(key) && seen.insert(key.as_str())).cloned().collect()
}

/// That something of this key is not as it must be.
pub(crate) fn refused(key: &str, reason: impl Into<String>) -> StoreError {
    StoreError::Row { key: key.chars().take(SHOWN).collect(), reason: reason.into() }
}
