//! Names, keys and partitions of the table. Pure.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::DateTime;
use dial_rules::event::Millis;
use dial_rules::finding::Finding;

use crate::bounds::fnv1a;
use crate::outbox::bounds::countable;
use crate::outbox::store::Queue;

/// The table's key.
pub(crate) const FINDING_ID: &str = "finding_id";
/// Counts the writes of the row; every write is conditional on it.
pub(crate) const VERSION: &str = "version";
/// The finding as JSON.
pub(crate) const BODY: &str = "body";
pub(super) const KIND: &str = "kind";
pub(super) const RULE_ID: &str = "rule_id";
/// From 1 (informational) to 5 (critical), so that it can be compared.
pub(super) const SEVERITY: &str = "severity";
pub(super) const FIRST_SEEN: &str = "first_seen";
pub(super) const LAST_SEEN: &str = "last_seen";

/// The index by day.
pub(super) const BY_DAY: &str = "by-day";
/// Its partition key: the day of `last_seen` and a suffix.
pub(super) const LIST_PARTITION: &str = "list_partition";
/// Its sort key: the time of `last_seen`, then the id.
pub(super) const LIST_POSITION: &str = "list_position";

/// Key of the item that lists the days that have findings, so that a listing without a time range knows where to look. No
/// finding has this id, since ids are hexadecimal.
pub(super) const DAYS_KEY: &str = crate::outbox::bounds::DAYS_KEY;
/// That item's attribute, a set of days.
pub(super) const DAYS: &str = "days";

/// How far a finding is on its way to each sink, as JSON.
pub(crate) const PROGRESS: &str = "progress";
/// Counts the writes of that.
pub(crate) const PROGRESS_REVISION: &str = "progress_revision";
/// The sparse index of what is due.
pub(crate) const UNDELIVERED: &str = "undelivered";
/// Its partition key: the queue and a suffix.
pub(crate) const DUE_PARTITION: &str = "due_partition";
/// Its sort key: the time at which it is due, then the id or key.
pub(crate) const DUE_POSITION: &str = "due_position";
/// Counts the writes of a row of the outbox.
pub(crate) const REVISION: &str = "revision";
/// When a row of the outbox may be deleted, in seconds of the Unix epoch, as DynamoDB's TTL counts.
pub(crate) const EXPIRES: &str = "expires";
/// The same in milliseconds.
pub(crate) const EXPIRES_AT: &str = "expires_at";

/// Suffixes that spread one day, or one queue, over as many partitions of its index: one hexadecimal digit.
pub(crate) const SUFFIXES: [char; 16] =
    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];

/// Days outside of these years are filed under the nearest one, so that hostile times cannot make the list of days
/// outgrow an item: 50 years are 18,263 days of 10 bytes.
const FIRST_DAY: Millis = 946_684_800_000;
const LAST_DAY: Millis = 2_524_521_600_000;

/// What four digits can say of a year.
const YEAR_0: Millis = -62_167_219_200_000;
const YEAR_10000: Millis = 253_402_300_800_000;

/// The key of an item.
pub(crate) fn key(finding_id: &str) -> HashMap<String, AttributeValue> {
    HashMap::from([(FINDING_ID.to_owned(), AttributeValue::S(finding_id.to_owned()))])
}

/// The day under which a time is listed, such as `2026-01-31`.
pub(super) fn day(time: Millis) -> String {
    format(time.clamp(FIRST_DAY, LAST_DAY), "%Y-%m-%d")
}

/// One of the partitions of a day, or of a queue.
pub(crate) fn partition(of: &str, suffix: char) -> String {
    format!("{of}#{suffix}")
}

fn suffix_of(key: &str) -> char {
    // The low bits of FNV-1a depend on every byte.
    let suffix = (fnv1a(key.as_bytes()) & 0xf) as usize;
    SUFFIXES.get(suffix).copied().unwrap_or('0')
}

/// The partition in which a finding is listed.
pub(super) fn partition_of(finding: &Finding) -> String {
    partition(&day(finding.last_seen), suffix_of(&finding.finding_id))
}

/// The partition in which a finding or row waits.
pub(crate) fn due_partition_of(queue: Queue, key: &str) -> String {
    partition(queue.as_str(), suffix_of(key))
}

/// The queue of such a partition.
pub(crate) fn queue_of(due_partition: &str) -> Option<Queue> {
    Queue::parse(due_partition.split_once('#')?.0)
}

/// Where something that is due stands within its partition. Times before 1970 count as 1970.
pub(crate) fn due_position(at: Millis, key: &str) -> String {
    format!("{:019}#{key}", countable(at))
}

/// Beyond everything that is due at this time or before: `$` is the character after `#`.
pub(crate) fn due_bound(now: Millis) -> String {
    format!("{:019}$", countable(now))
}

/// The time and key of such a position.
pub(crate) fn parse_due_position(position: &str) -> Option<(Millis, &str)> {
    let (at, key) = position.split_once('#')?;
    Some((at.parse().ok()?, key))
}

/// A time such that texts sort as times do.
pub(super) fn time(time: Millis) -> String {
    format(time.clamp(YEAR_0, YEAR_10000 - 1), "%Y-%m-%dT%H:%M:%S%.3fZ")
}

/// Where a finding stands within its partition.
pub(super) fn position(last_seen: Millis, finding_id: &str) -> String {
    format!("{}#{finding_id}", time(last_seen))
}

fn format(time: Millis, pattern: &str) -> String {
    let time = DateTime::from_timestamp_millis(time).unwrap_or(DateTime::UNIX_EPOCH);
    time.format(pattern).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn days_and_times_read_as_such() {
        assert_eq!(day(0), "2000-01-01");
        assert_eq!(day(1_769_903_999_999), "2026-01-31");
        assert_eq!(day(Millis::MAX), "2049-12-31");
        assert_eq!(time(1_769_903_999_999), "2026-01-31T23:59:59.999Z");
        assert_eq!(time(Millis::MIN), "0000-01-01T00:00:00.000Z");
        assert_eq!(time(Millis::MAX), "9999-12-31T23:59:59.999Z");
    }

    proptest! {
        #[test]
        fn days_and_positions_sort_as_times_do(a in YEAR_0..YEAR_10000, b in YEAR_0..YEAR_10000) {
            prop_assert_eq!(position(a, "x").cmp(&position(b, "x")), a.cmp(&b));
            prop_assert!(a > b || day(a) <= day(b));
        }

        #[test]
        fn what_is_due_sorts_by_time_and_is_read_back(a in 0..Millis::MAX, b in 0..Millis::MAX, key in "#?[a-z#$]{0,9}") {
            let (first, second) = (due_position(a, &key), due_position(b, &key));
            prop_assert_eq!(first.cmp(&second), a.cmp(&b));
            prop_assert_eq!(parse_due_position(&first), Some((a, key.as_str())));
            prop_assert_eq!(first <= due_bound(b), a <= b);
            for queue in Queue::ALL {
                prop_assert_eq!(queue_of(&due_partition_of(queue, &key)), Some(queue));
            }
        }
    }
}
