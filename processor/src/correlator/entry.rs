//! What is filed, as a window store keeps it. Pure.
//!
//! An item is a match as JSON, named by its event, its rule and a hash of that JSON: copies of one event that differ, and
//! a match that is filed again with more to count, are items of their own. So what is read is a function of the set of
//! what was filed.

use dial_rules::correlation::{Correlation, CorrelationMatch, Filed, GroupKey};
use dial_rules::event::Millis;
use dial_sinks::windows::store::{LONGEST_BODY, WindowItem, WindowKey};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::CorrelateError;

/// As the correlation of a window that holds what was filed by lineage under one credential, of all correlations. Its
/// group is the credential's id, which is no group of a correlation: those are JSON objects.
pub(super) const BY_CREDENTIAL: &str = "by credential";

/// Longest match in bytes, so that its group fits beside it.
pub(super) const LONGEST_MATCH: usize = LONGEST_BODY * 2 / 3;
/// The most of the body's bytes that go to values which are counted.
const VALUES: usize = LONGEST_MATCH / 2;
/// How long texts may be in a match that is too long otherwise: no real one is, for that takes hundreds of characters
/// that JSON has to escape.
const SHORT_TEXT: usize = 64;
/// How much of a rule's id is part of an item's name.
const RULE_ID: usize = 256;

/// The window of a correlation's group.
pub(super) fn window_of(correlation: &Correlation, group: &GroupKey) -> Result<WindowKey, CorrelateError> {
    Ok(WindowKey { correlation: correlation.id.clone(), group: json(group)? })
}

/// The group that a window is of.
pub(super) fn group_of(window: &WindowKey) -> Result<GroupKey, CorrelateError> {
    from_json(&window.correlation, &window.group, &window.group)
}

/// The window of what is filed under a credential.
pub(super) fn index_of(credential: &str) -> WindowKey {
    WindowKey { correlation: BY_CREDENTIAL.to_owned(), group: credential.to_owned() }
}

/// A match as items: one, or more of the same match if it has so many values to count that one would be too long.
/// Windows that hold the values apart or together come to the same. Nothing where even that does not fit.
pub(super) fn items(matched: &CorrelationMatch) -> Result<Vec<WindowItem>, CorrelateError> {
    let whole = json(matched)?;
    if whole.len() <= LONGEST_MATCH {
        return Ok(vec![item(matched, whole)]);
    }
    let mut items = Vec::new();
    for part in parts(matched) {
        let body = json(&part)?;
        let short = if body.len() > LONGEST_MATCH { shortened(part) } else { part };
        items.push(item(&short, json(&short)?));
    }
    items.retain(|item| item.body.len() <= LONGEST_BODY);
    Ok(items)
}

/// What was filed, its group apart from the lineage, as items of a credential's window.
pub(super) fn index_items(filed: &Filed) -> Result<Vec<WindowItem>, CorrelateError> {
    let mut items = Vec::new();
    for part in items_as_matches(&filed.matched)? {
        let filed = Filed { correlation: filed.correlation.clone(), group: filed.group.clone(), matched: part };
        items.push(item(&filed.matched, json(&filed)?));
    }
    items.retain(|item| item.body.len() <= LONGEST_BODY);
    Ok(items)
}

/// What an item of a credential's window holds.
pub(super) fn filed_in(item: &WindowItem) -> Result<Filed, CorrelateError> {
    from_json(BY_CREDENTIAL, &item.key, &item.body)
}

/// The match that an item of a correlation's window holds.
pub(super) fn match_in(correlation: &str, item: &WindowItem) -> Result<CorrelationMatch, CorrelateError> {
    from_json(correlation, &item.key, &item.body)
}

fn items_as_matches(matched: &CorrelationMatch) -> Result<Vec<CorrelationMatch>, CorrelateError> {
    match json(matched)?.len() <= LONGEST_MATCH {
        true => Ok(vec![matched.clone()]),
        false => as_kept(matched),
    }
}

/// The match as it is read again after it was kept as [`items`].
pub(super) fn as_kept(matched: &CorrelationMatch) -> Result<Vec<CorrelationMatch>, CorrelateError> {
    items(matched)?.iter().map(|item| match_in("", item)).collect()
}

/// The match with some of its values each time, at least one.
fn parts(matched: &CorrelationMatch) -> Vec<CorrelationMatch> {
    let bare = CorrelationMatch { values: Default::default(), ..matched.clone() };
    let mut parts = vec![bare.clone()];
    let mut bytes = 0;
    for value in &matched.values {
        // Six bytes are the most that JSON makes of one.
        let length = 6 * value.len() + 3;
        if bytes + length > VALUES && bytes > 0 {
            parts.push(bare.clone());
            bytes = 0;
        }
        bytes += length;
        if let Some(part) = parts.last_mut() {
            part.values.insert(value.clone());
        }
    }
    parts
}

fn shortened(matched: CorrelationMatch) -> CorrelationMatch {
    let text = |text: String| match text.len() > SHORT_TEXT {
        true => format!("…{}", &hexadecimal(&Sha256::digest(&text))[..32]),
        false => text,
    };
    let optional = |value: Option<String>| value.map(text);
    CorrelationMatch {
        event_id: text(matched.event_id),
        event_name: text(matched.event_name),
        event_source: text(matched.event_source),
        account_id: optional(matched.account_id),
        region: optional(matched.region),
        actor: optional(matched.actor),
        source_ip: optional(matched.source_ip),
        target: optional(matched.target),
        actor_arn: optional(matched.actor_arn),
        shared_event_id: optional(matched.shared_event_id),
        ..matched
    }
}

fn item(matched: &CorrelationMatch, body: String) -> WindowItem {
    let hash = &hexadecimal(&Sha256::digest(&body))[..32];
    let rule: String = matched.rule_id.chars().take(RULE_ID).collect();
    WindowItem { time: matched.event_time, key: format!("{} {rule} {hash}", matched.event_id), body }
}

/// The first and the last instant of some of a window's buckets and the ones before, as stretches without overlap.
pub(super) fn stretches(buckets: impl IntoIterator<Item = i64>, timespan: Millis) -> Vec<(Millis, Millis)> {
    let mut stretches: Vec<(Millis, Millis)> = Vec::new();
    for bucket in buckets {
        let range = dial_rules::correlation::range_of(bucket, timespan);
        match stretches.last_mut().filter(|last| range.start <= last.1.saturating_add(1)) {
            Some(last) => last.1 = last.1.max(range.end.saturating_sub(1)),
            None => stretches.push((range.start, range.end.saturating_sub(1))),
        }
    }
    stretches
}

fn json(value: &impl Serialize) -> Result<String, CorrelateError> {
    serde_json::to_string(value).map_err(CorrelateError::Json)
}

fn from_json<T: DeserializeOwned>(correlation: &str, key: &str, text: &str) -> Result<T, CorrelateError> {
    serde_json::from_str(text).map_err(|error| CorrelateError::Damaged {
        correlation: correlation.to_owned(),
        key: key.to_owned(),
        reason: error.to_string(),
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[path = "entry_tests.rs"]
mod tests;
