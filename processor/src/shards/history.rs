//! The times of a stream's reshardings, kept in a tag of the stream: Kinesis counts them and tells nobody.
//!
//! A tag's value has at most 256 characters, and names and values only letters, digits, spaces and `_./=+-@`
//! (`AddTagsToStream`). So times are in seconds, joined by spaces: ten are 109 characters.

use dial_ingest::resharding::DAY;

/// The tag.
pub(crate) const TAG: &str = "dial.shard-count-calls";

/// No more are kept: twice what Kinesis allows in a day, and what fits into a tag.
const MOST: usize = 20;

/// The tag's value, of those times that still count.
pub(crate) fn write(times: &[i64]) -> String {
    let latest = times.iter().rev().take(MOST).rev();
    latest.map(|time| (time / 1_000).to_string()).collect::<Vec<_>>().join(" ")
}

/// The times of a tag's value. What is none is passed over: anybody may write tags.
pub(crate) fn read(value: &str) -> Vec<i64> {
    let mut times: Vec<i64> =
        value.split(' ').filter_map(|text| text.parse::<i64>().ok()?.checked_mul(1_000)).collect();
    times.sort_unstable();
    times
}

/// Those that count at `now`, and `now`.
pub(crate) fn with_call(history: &[i64], now: i64) -> Vec<i64> {
    let day = i64::try_from(DAY.as_millis()).unwrap_or(i64::MAX);
    history.iter().copied().filter(|time| now.saturating_sub(*time) < day).chain([now]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_back_to_the_second_and_fit_into_a_tag() {
        let times: Vec<i64> = (0..30).map(|n| 1_700_000_000_000 + n * 60_000).collect();
        let value = write(&times);
        assert!(value.len() <= 256 && value.chars().all(|c| c.is_ascii_digit() || c == ' '), "{value}");
        assert_eq!(read(&value), times[10..]);
        assert_eq!(read(&write(&[])), [0; 0]);
        assert_eq!(read("x 3  -1 99999999999999999999 2"), [-1_000, 2_000, 3_000]);
    }

    #[test]
    fn what_no_longer_counts_is_dropped() {
        let now = 1_700_000_000_000;
        let day = 24 * 3_600 * 1_000;
        assert_eq!(with_call(&[now - day, now - day + 1, now - 5], now), [now - day + 1, now - 5, now]);
    }
}
