//! What learning means for a row. Pure.

use std::time::Duration;

use dial_rules::event::Millis;
use dial_rules::lineage::Ancestry;

/// How long a row is kept after it was written: longer than any credential lives and any stream keeps its records, and long
/// enough for whoever looks at an old finding.
pub const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// What is kept of one credential.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) ancestry: Ancestry,
    /// When it may be deleted, in seconds of the Unix epoch, as DynamoDB's TTL counts.
    pub(crate) expires: i64,
}

/// The row to write so that it contains `update`; `None` when `current` does and half of its time is still to come. A row's
/// expiry never moves back.
pub(crate) fn step(current: Option<&Row>, update: Ancestry, now: Millis, kept: Duration) -> Option<Row> {
    let kept = i64::try_from(kept.as_secs()).unwrap_or(i64::MAX);
    let now = now.div_euclid(1000);
    let expires = now.saturating_add(kept);
    let Some(current) = current else { return Some(Row { ancestry: update, expires }) };
    let ancestry = current.ancestry.clone().join(update);
    let young = current.expires.saturating_sub(now) >= kept / 2;
    let same = ancestry == current.ancestry;
    (!(same && young)).then_some(Row { ancestry, expires: expires.max(current.expires) })
}

/// As [`step`], where a row that cannot be read, for the reason that is there instead, is written over: what is kept is what
/// events taught, and a shard does not wait for somebody to mend one row. What else it said is gone, which `cut` tells.
pub(crate) fn step_over(
    credential: &str,
    current: Option<Result<&Row, &String>>,
    update: Ancestry,
    now: Millis,
    kept: Duration,
) -> Option<Row> {
    match current {
        Some(Err(reason)) => {
            tracing::warn!(credential, reason, "the row of this credential is damaged, and written over");
            step(None, Ancestry { cut: true, ..update }, now, kept)
        }
        Some(Ok(row)) => step(Some(row), update, now, kept),
        None => step(None, update, now, kept),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dial_rules::lineage::Lineage;

    fn known(person: &str) -> Ancestry {
        let from = Lineage { persons: [person.to_owned()].into(), ..Lineage::default() };
        Ancestry { from, ..Ancestry::default() }
    }

    #[test]
    fn what_cannot_be_read_is_written_over() {
        let kept = Duration::from_secs(100);
        let reason = "no JSON".to_owned();
        let row = step_over("ASIA1", Some(Err(&reason)), known("a"), 1_000_000, kept).unwrap_or_default();
        assert_eq!((row.expires, &row.ancestry), (1_100, &Ancestry { cut: true, ..known("a") }));
        assert_eq!(step_over("ASIA1", Some(Ok(&row)), known("a"), 1_000_000, kept), None);
        assert_eq!(step_over("ASIA1", None, known("a"), 1_000_000, kept).map(|row| row.ancestry), Some(known("a")));
    }

    #[test]
    fn rows_are_written_when_they_say_more_or_grow_old() {
        let kept = Duration::from_secs(100);
        let row = step(None, known("a"), 1_000_000, kept).unwrap_or_default();
        assert_eq!((row.expires, &row.ancestry), (1_100, &known("a")));
        assert_eq!(step(Some(&row), known("a"), 1_050_000, kept), None);
        let renewed = step(Some(&row), known("a"), 1_051_000, kept);
        assert_eq!(renewed.map(|row| row.expires), Some(1_151));
        let more = step(Some(&row), known("b"), 900_000, kept).unwrap_or_default();
        assert_eq!((more.expires, more.ancestry), (1_100, known("a").join(known("b"))));
    }
}
