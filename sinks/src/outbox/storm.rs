//! Storms: when a rule brings more groups than anybody reads, they are one alert with a count.
//!
//! Groups that are alerted for the first time are counted by rule and minute, in rows that lose a count when two workers
//! write at once: a storm may be noticed one alert later.

use std::time::Duration;

use dial_rules::event::Millis;

use super::keys::digest;
use super::pace::millis;
use super::store::{Outbox, Row};
use crate::store::StoreError;

const MINUTE: Millis = 60_000;
/// How long a count is kept.
const KEPT: Duration = Duration::from_secs(600);

/// Counts `new` groups of a rule that are about to be alerted, and says whether that is a storm: more than `most` in this
/// minute and the one before.
pub(crate) async fn is_storm(
    store: &dyn Outbox,
    rule_id: &str,
    new: u64,
    most: u64,
    now: Millis,
) -> Result<bool, StoreError> {
    let minute = now.div_euclid(MINUTE);
    let key = |minute: Millis| format!("#storm:{}:{minute}", digest(&[rule_id]));
    let rows = store.rows(&[key(minute - 1), key(minute)]).await?;
    let counted: u64 = rows.iter().map(count).fold(0, u64::saturating_add);
    let this = rows.into_iter().find(|row| row.key == key(minute));
    let row = Row {
        key: key(minute),
        body: this.as_ref().map_or(0, count).saturating_add(new).to_string(),
        revision: this.map_or(0, |row| row.revision),
        due: None,
        expires: Some(now.saturating_add(millis(KEPT))),
    };
    // Whoever loses the race loses a count.
    store.write(&row).await?;
    Ok(counted.saturating_add(new) > most)
}

fn count(row: &Row) -> u64 {
    row.body.parse().unwrap_or(0)
}
