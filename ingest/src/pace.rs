//! How fast a shard is polled.
//!
//! All consumers of a shard share five reads and 2 MB a second, and an answer of 10 MB is followed by five seconds of
//! silence (Kinesis Data Streams, quotas and limits of `GetRecords`). So each consumer takes a part, and says which.

use std::time::Duration;

/// Two reads of one shard by one consumer never begin closer together than this: five a second.
pub const SHORTEST_INTERVAL: Duration = Duration::from_millis(200);

/// The most records that one `GetRecords` may ask for.
pub const MOST_RECORDS: u32 = 10_000;

/// How often a shard is read, and how much at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollPace {
    /// From the beginning of a read to that of the next; at least [`SHORTEST_INTERVAL`].
    pub interval: Duration,
    /// The most records in one answer, 1 to [`MOST_RECORDS`].
    pub max_records: u32,
    /// About the most bytes in one answer. `GetRecords` has no such argument, so it is kept by asking for as many
    /// records as the size of those seen so far allows; a shard's first answer may exceed it.
    pub max_bytes: usize,
    /// The most bytes a second, averaged over each answer and the wait after it.
    pub max_bytes_per_second: Option<u64>,
}

impl PollPace {
    /// For who needs records at once: every 300 ms, as much as there is, at most 1.6 MB/s.
    pub const EAGER: Self = Self {
        interval: Duration::from_millis(300),
        max_records: MOST_RECORDS,
        max_bytes: 4 << 20,
        max_bytes_per_second: Some(1_600_000),
    };

    /// For who can wait and must leave room for others: every second, at most 1 MB.
    pub const GENTLE: Self = Self {
        interval: Duration::from_millis(1_000),
        max_records: MOST_RECORDS,
        max_bytes: 1 << 20,
        max_bytes_per_second: Some(1_000_000),
    };

    /// How many records to ask for, given the average size of those seen so far.
    #[must_use]
    pub fn limit(&self, average_bytes: Option<usize>) -> u32 {
        let most = self.max_records.clamp(1, MOST_RECORDS);
        let Some(average) = average_bytes else {
            return most.min(1_000);
        };
        let fitting = self.max_bytes / average.max(1);
        u32::try_from(fitting).unwrap_or(u32::MAX).clamp(1, most)
    }

    /// From the beginning of a read that brought `bytes` to the beginning of the next.
    #[must_use]
    pub fn interval_after(&self, bytes: usize) -> Duration {
        let owed = match self.max_bytes_per_second {
            Some(rate) => Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64),
            None => Duration::ZERO,
        };
        owed.max(self.interval).max(SHORTEST_INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn limits_hold(bytes in 0usize..12_000_000, average in 1usize..11_000_000, interval in 0u64..2_000) {
            let pace = PollPace { interval: Duration::from_millis(interval), ..PollPace::GENTLE };
            let limit = pace.limit(Some(average));
            prop_assert!((1..=MOST_RECORDS).contains(&limit));
            prop_assert!(limit == 1 || limit as usize * average <= pace.max_bytes);
            let wait = pace.interval_after(bytes);
            prop_assert!(wait >= SHORTEST_INTERVAL && wait.as_millis() >= u128::from(interval));
            prop_assert!(bytes as f64 <= 1_000_000.0 * wait.as_secs_f64() + 1.0);
        }
    }

    #[test]
    fn both_paces_together_stay_within_a_shards_reads() {
        let reads = |pace: PollPace| 1.0 / pace.interval_after(0).as_secs_f64();
        assert!(reads(PollPace::EAGER) + reads(PollPace::GENTLE) <= 5.0);
    }
}
