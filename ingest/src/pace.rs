//! How fast a shard is polled.
//!
//! All consumers of a shard share five reads and 2 MB a second, and an answer of more than that silences the shard
//! for as long as it would have taken: five seconds after 10 MB (Kinesis Data Streams, quotas and limits of
//! `GetRecords`). So each consumer takes a part, and says which.

use std::time::Duration;

/// Two reads of one shard by one consumer never begin closer together than this: five a second.
pub const SHORTEST_INTERVAL: Duration = Duration::from_millis(200);

/// The most records that one `GetRecords` may ask for.
pub const MOST_RECORDS: u32 = 10_000;

/// What all consumers of a shard may read of it in a second, but for enhanced fan-out.
pub const SHARD_BYTES_PER_SECOND: u64 = 2_000_000;

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
    /// The most bytes a second, averaged over each answer and the wait after it; never more than
    /// [`SHARD_BYTES_PER_SECOND`], which is also what `None` means.
    pub max_bytes_per_second: Option<u64>,
}

impl PollPace {
    /// For who needs records at once: every 300 ms, at most 1 MB/s. That is as much as producers can put into a
    /// shard, and half of what can be read from it.
    pub const EAGER: Self = Self {
        interval: Duration::from_millis(300),
        max_records: MOST_RECORDS,
        max_bytes: 500_000,
        max_bytes_per_second: Some(1_000_000),
    };

    /// For who can wait and must leave room for others: every second, at most 1 MB.
    pub const GENTLE: Self = Self {
        interval: Duration::from_secs(1),
        max_records: MOST_RECORDS,
        max_bytes: 1_000_000,
        max_bytes_per_second: Some(1_000_000),
    };

    /// For the only consumer of a stream: all that a shard gives.
    pub const ALONE: Self = Self {
        interval: Duration::from_millis(250),
        max_records: MOST_RECORDS,
        max_bytes: 2_000_000,
        max_bytes_per_second: None,
    };

    /// How many records to ask for, given the average size of those seen so far.
    #[must_use]
    pub fn limit(&self, average_bytes: Option<usize>) -> u32 {
        let most = self.max_records.clamp(1, MOST_RECORDS);
        // As many as make 1 MB of records of a kilobyte, which is what a gentle first read should be.
        let average = average_bytes.unwrap_or(1_000);
        let fitting = self.max_bytes / average.max(1);
        u32::try_from(fitting).unwrap_or(u32::MAX).clamp(1, most)
    }

    /// The most bytes a second.
    #[must_use]
    pub fn rate(&self) -> u64 {
        self.max_bytes_per_second.unwrap_or(SHARD_BYTES_PER_SECOND).clamp(1, SHARD_BYTES_PER_SECOND)
    }

    /// From the beginning of a read that brought `bytes` to the beginning of the next.
    #[must_use]
    pub fn interval_after(&self, bytes: usize) -> Duration {
        let owed = Duration::from_secs_f64(bytes as f64 / self.rate() as f64);
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

        #[test]
        fn a_silenced_shard_is_not_asked(bytes in 0usize..12_000_000, rate in proptest::option::of(any::<u64>())) {
            let pace = PollPace { max_bytes_per_second: rate, ..PollPace::ALONE };
            prop_assert!(pace.interval_after(bytes).as_secs_f64() >= bytes as f64 / 2_000_000.0 - 1e-6);
        }
    }

    #[test]
    fn both_paces_together_stay_within_a_shards_reads_and_bytes() {
        let reads = |pace: PollPace| 1.0 / pace.interval_after(0).as_secs_f64();
        assert!(reads(PollPace::EAGER) + reads(PollPace::GENTLE) <= 5.0);
        assert!(PollPace::EAGER.rate() + PollPace::GENTLE.rate() <= SHARD_BYTES_PER_SECOND);
        assert!(PollPace::ALONE.interval_after(10_000_000) >= Duration::from_secs(5));
    }
}
