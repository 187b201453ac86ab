//! Names, keys and partitions of the table. Pure.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::DateTime;
use dial_rules::event::Millis;
use dial_rules::finding::Finding;

use crate::bounds::fnv1a;

/// The table's key.
pub(super) const FINDING_ID: &str = "finding_id";
/// Counts the writes of the row; every write is conditional on it.
pub(super) const VERSION: &str = "version";
/// The finding as JSON.
pub(super) const BODY: &str = "body";
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

/// Key of the one item that is no finding: the list of days that have any, so that a listing without a time range
/// knows where to look. No finding has this id, since ids are hexadecimal.
pub(super) const DAYS_KEY: &str = "#days";
/// That item's attribute, a set of days.
pub(super) const DAYS: &str = "days";

/// Suffixes that spread one day over as many partitions of the index: one hexadecimal digit.
pub(super) const SUFFIXES: [char; 16] =
    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];

/// Days outside of these years are filed under the nearest one, so that hostile times cannot make the list of days
/// outgrow an item: 50 years are 18,263 days of 10 bytes.
const FIRST_DAY: Millis = 946_684_800_000;
const LAST_DAY: Millis = 2_524_521_600_000;

/// What four digits can say of a year.
const YEAR_0: Millis = -62_167_219_200_000;
const YEAR_10000: Millis = 253_402_300_800_000;

/// The key of an item.
pub(super) fn key(finding_id: &str) -> HashMap<String, AttributeValue> {
    HashMap::from([(FINDING_ID.to_owned(), AttributeValue::S(finding_id.to_owned()))])
}

/// The day under which a time is listed, such as `2026-01-31`.
pub(super) fn day(time: Millis) -> String {
    format(time.clamp(FIRST_DAY, LAST_DAY), "%Y-%m-%d")
}

/// One of the partitions of a day.
pub(super) fn partition(day: &str, suffix: char) -> String {
    format!("{day}#{suffix}")
}

/// The partition in which a finding is listed.
pub(super) fn partition_of(finding: &Finding) -> String {
    // The low bits of FNV-1a depend on every byte.
    let suffix = (fnv1a(finding.finding_id.as_bytes()) & 0xf) as usize;
    partition(&day(finding.last_seen), SUFFIXES.get(suffix).copied().unwrap_or('0'))
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
    }
}
