//! Names, keys and partitions of the table of windows. Pure.

use chrono::DateTime;
use dial_rules::event::Millis;
use sha2::{Digest, Sha256};

use crate::windows::keys::hexadecimal;

/// The table's partition key: the hash of the window's key, and `#` and a suffix where the window is spread.
pub(super) const WINDOW: &str = "window";
/// The table's sort key: the bucket, `#`, and the hash of the pack.
pub(super) const POSITION: &str = "position";
/// A pack of items.
pub(super) const ITEMS: &str = "items";
/// Of a marker: over how many suffixes the bucket is spread.
pub(super) const SUFFIXES: &str = "suffixes";
/// The correlation's id, for people who look into the table.
pub(super) const CORRELATION: &str = "correlation";
/// When DynamoDB may delete the row: seconds since 1970, as its time to live wants them.
pub(super) const EXPIRES: &str = "expires";

/// Event time is divided into buckets of one minute, whatever the timespan of the correlation is: a rule whose timespan is
/// changed then still finds what was filed before, and a read covers little more than it was asked for.
const BUCKET: Millis = 60_000;

/// What four digits can say of a year. What is beyond is filed at the nearest end, and a read that reaches beyond reads
/// that end.
const YEAR_0: Millis = -62_167_219_200_000;
const YEAR_10000: Millis = 253_402_300_800_000;

/// The first instant of the bucket that holds `time`.
pub(super) fn bucket(time: Millis) -> Millis {
    let time = time.clamp(YEAR_0, YEAR_10000 - 1);
    time - time.rem_euclid(BUCKET)
}

/// How rows spell a bucket: texts sort as times do.
pub(super) fn bucket_text(bucket: Millis) -> String {
    let start = DateTime::from_timestamp_millis(bucket).unwrap_or(DateTime::UNIX_EPOCH);
    start.format("%Y-%m-%dT%H:%MZ").to_string()
}

/// The partition of one suffix of a window. The first suffix has the bare name.
pub(super) fn partition(window: &str, suffix: u32) -> String {
    if suffix == 0 { window.to_owned() } else { format!("{window}#{suffix:x}") }
}

/// Where a pack is within its partition. Named by its content, so that writing it twice writes it once.
pub(super) fn position(bucket: &str, payload_hash: &[u8; 32]) -> String {
    format!("{bucket}#{}", hexadecimal(payload_hash))
}

/// Where the marker of a bucket is: before the bucket's packs, since `!` sorts before digits.
pub(super) fn marker_position(bucket: &str) -> String {
    format!("{bucket}#!suffixes")
}

/// The bucket in a position.
pub(super) fn bucket_of(position: &str) -> &str {
    position.split_once('#').map_or(position, |(bucket, _)| bucket)
}

/// The least and the greatest position in the buckets that hold `from` to `to`.
pub(super) fn bounds(from: Millis, to: Millis) -> (String, String) {
    // `$` is the character after `#`, so this is beyond everything in its bucket.
    (format!("{}#", bucket_text(bucket(from))), format!("{}$", bucket_text(bucket(to))))
}

/// The hash that names a pack.
pub(super) fn payload_hash(payload: &str) -> [u8; 32] {
    Sha256::digest(payload.as_bytes()).into()
}

/// The suffix of a pack among `suffixes`: by its content, so that writing it again finds it.
pub(super) fn suffix(payload_hash: &[u8; 32], suffixes: u32) -> u32 {
    let [a, b, c, d, ..] = *payload_hash;
    u32::from_be_bytes([a, b, c, d]) % suffixes.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets_are_minutes_also_before_1970() {
        assert_eq!(bucket_text(bucket(1_769_903_999_999)), "2026-01-31T23:59Z");
        assert_eq!(bucket_text(bucket(0)), "1970-01-01T00:00Z");
        assert_eq!(bucket_text(bucket(-1)), "1969-12-31T23:59Z");
        assert_eq!(bucket_text(bucket(-60_000)), "1969-12-31T23:59Z");
        assert_eq!(bucket_text(bucket(-60_001)), "1969-12-31T23:58Z");
        assert_eq!(bucket_text(bucket(Millis::MIN)), "0000-01-01T00:00Z");
        assert_eq!(bucket_text(bucket(Millis::MAX)), "9999-12-31T23:59Z");
    }

    #[test]
    fn partitions_are_named_for_their_suffix() {
        assert_eq!([0, 1, 15].map(|suffix| partition("0f", suffix)), ["0f", "0f#1", "0f#f"]);
    }

    #[test]
    fn suffixes_are_used_evenly() {
        let mut used = [0; 16];
        for i in 0..16_000 {
            used[suffix(&payload_hash(&i.to_string()), 16) as usize] += 1;
        }
        assert!(used.iter().all(|n| (850..1_150).contains(n)), "{used:?}");
    }

    proptest! {
        #[test]
        fn positions_within_a_range_are_within_its_bounds(
            mut times in prop::array::uniform3(prop_oneof![any::<Millis>(), -200_000..200_000_i64]),
            payload: String,
        ) {
            times.sort_unstable();
            let [from, time, to] = times;
            let (least, greatest) = bounds(from, to);
            let bucket = bucket_text(bucket(time));
            let pack = position(&bucket, &payload_hash(&payload));
            prop_assert!(least < marker_position(&bucket) && marker_position(&bucket) < pack && pack < greatest);
            prop_assert_eq!(bucket_of(&pack), &bucket);
        }
    }
}
