//! What flows into a stream, measured by reading what arrived last.

use std::collections::BTreeSet;
use std::time::Duration;

use dial_ingest::scaling::Load;
use dial_ingest::stream::{GetRecords, IteratorStart, Shard};
use dial_ingest::{PollPace, PortError, StreamClient};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::time::{Instant, sleep};

use super::patiently;

/// How many shards are read at a time.
const AT_A_TIME: usize = 16;
/// Reading a shard ends after so many times the window; what is missing then is estimated.
const LONGEST: u32 = 3;
/// But not before.
const SHORTEST: Duration = Duration::from_secs(15);

/// A part of the past, in milliseconds since the Unix epoch; the end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) from: i64,
    pub(crate) until: i64,
}

impl Window {
    fn millis(self) -> u64 {
        u64::try_from(self.until - self.from).unwrap_or(0).max(1)
    }
}

/// What arrived within a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) records: u64,
    /// Of the data and the partition keys, which is what Kinesis limits.
    pub(crate) bytes: u64,
    /// Shards of which not all could be read in time: their part is an estimate.
    pub(crate) estimated: u32,
}

impl Arrived {
    fn and(self, other: Arrived) -> Arrived {
        Arrived {
            records: self.records + other.records,
            bytes: self.bytes + other.bytes,
            estimated: self.estimated + other.estimated,
        }
    }

    /// What that is in a second, rounded up.
    pub(crate) fn load(self, window: Window) -> Load {
        let in_a_second = |count: u64| count.saturating_mul(1_000).div_ceil(window.millis());
        Load { bytes_per_second: in_a_second(self.bytes), records_per_second: in_a_second(self.records) }
    }
}

/// The shards that may have taken in records lately: the open ones, and those that they came from.
fn lately_open(shards: &[Shard]) -> Vec<&Shard> {
    let parents: BTreeSet<&String> = shards.iter().filter(|s| s.open).flat_map(|s| &s.parent_ids).collect();
    shards.iter().filter(|shard| shard.open || parents.contains(&shard.shard_id)).collect()
}

/// Reads what arrived within the window, from every shard, once.
///
/// # Errors
/// That of the first shard that could not be read.
pub(crate) async fn measure(stream: &dyn StreamClient, shards: &[Shard], window: Window) -> Result<Arrived, PortError> {
    let reads = lately_open(shards).into_iter().map(|shard| of_shard(stream, &shard.shard_id, window));
    stream::iter(reads)
        .buffer_unordered(AT_A_TIME)
        .try_fold(Arrived::default(), |sum, shard| async move { Ok(sum.and(shard)) })
        .await
}

async fn of_shard(stream: &dyn StreamClient, shard_id: &str, window: Window) -> Result<Arrived, PortError> {
    let begun = Instant::now();
    let longest = (Duration::from_millis(window.millis()) * LONGEST).max(SHORTEST);
    let pace = PollPace::GENTLE;
    let mut tally = Tally::default();
    let start = IteratorStart::AtTimestamp(window.from);
    let mut iterator = patiently(|| stream.get_iterator(shard_id, &start)).await?;
    loop {
        let asked = Instant::now();
        let limit = pace.limit(tally.average());
        let answer = patiently(|| stream.get_records(&iterator, limit)).await?;
        let bytes = tally.add(&answer, window);
        match answer.next_iterator {
            Some(next) if !tally.complete => iterator = next,
            _ => return Ok(tally.arrived),
        }
        if begun.elapsed() > longest {
            return Ok(tally.estimate(window));
        }
        sleep(pace.interval_after(bytes).saturating_sub(asked.elapsed())).await;
    }
}

/// What was read of one shard so far.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    arrived: Arrived,
    /// The arrival of the last record.
    last: Option<i64>,
    complete: bool,
}

impl Tally {
    /// Takes in an answer; returns its bytes.
    fn add(&mut self, answer: &GetRecords, window: Window) -> usize {
        let mut bytes = 0;
        for record in &answer.records {
            let size = record.data.len() + record.partition_key.len();
            bytes += size;
            if (window.from..window.until).contains(&record.arrival) {
                self.arrived.records += 1;
                self.arrived.bytes += size as u64;
            }
            self.last = Some(record.arrival);
            self.complete |= record.arrival >= window.until;
        }
        // Empty answers come while the stream looks for records; at the end it says that it is there.
        self.complete |= answer.records.is_empty() && answer.millis_behind_latest.is_none_or(|millis| millis <= 0);
        bytes
    }

    fn average(&self) -> Option<usize> {
        self.arrived.bytes.checked_div(self.arrived.records).and_then(|bytes| usize::try_from(bytes).ok())
    }

    /// As if the rest of the window were like what was read of it.
    fn estimate(&self, window: Window) -> Arrived {
        let covered = self.last.map_or(0, |last| last.saturating_sub(window.from)).max(1).unsigned_abs();
        let whole = |count: u64| u128::from(count) * u128::from(window.millis()) / u128::from(covered);
        let whole = |count: u64| u64::try_from(whole(count)).unwrap_or(u64::MAX);
        Arrived { records: whole(self.arrived.records), bytes: whole(self.arrived.bytes), estimated: 1 }
    }
}

#[cfg(test)]
mod tests {
    use dial_ingest::failing::{Failing, Faults};
    use dial_ingest::memory::MemoryStream;
    use dial_ingest::stream::StreamRecord;

    use super::*;

    const WINDOW: Window = Window { from: 10_000, until: 20_000 };

    fn answer(arrivals: &[i64], behind: i64) -> GetRecords {
        let record = |arrival: &i64| StreamRecord {
            sequence_number: "1".parse().unwrap(),
            partition_key: "key".to_owned(),
            arrival: *arrival,
            data: vec![0; 97].into(),
        };
        let records = arrivals.iter().map(record).collect();
        GetRecords { records, millis_behind_latest: Some(behind), ..GetRecords::default() }
    }

    #[test]
    fn only_the_window_counts_and_it_ends_where_later_records_begin() {
        let mut tally = Tally::default();
        assert_eq!(tally.add(&answer(&[9_999, 10_000], 5), WINDOW), 200);
        tally.add(&answer(&[], 5), WINDOW);
        assert!(!tally.complete, "more is to come");
        tally.add(&answer(&[19_999, 20_000], 0), WINDOW);
        assert!(tally.complete);
        assert_eq!(tally.arrived, Arrived { records: 2, bytes: 200, estimated: 0 });
        assert_eq!(tally.arrived.load(WINDOW), Load { bytes_per_second: 20, records_per_second: 1 });
    }

    #[test]
    fn the_end_of_the_shard_ends_it_and_a_part_stands_for_the_whole() {
        let mut tally = Tally::default();
        tally.add(&answer(&[10_500, 12_500], 9_000), WINDOW);
        assert_eq!(tally.estimate(WINDOW), Arrived { records: 8, bytes: 800, estimated: 1 });
        tally.add(&answer(&[], 0), WINDOW);
        assert!(tally.complete);
        assert_eq!(Tally::default().estimate(WINDOW).records, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn all_shards_are_read_and_those_that_they_came_from() {
        let stream = MemoryStream::new(4).with_page_size(2);
        let now = || i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
        let from = now() - 10_000;
        for n in 0..5_000 {
            stream.put(&format!("{n:04}"), vec![0; 96]).unwrap();
        }
        stream.split("shardId-000000000000").unwrap();
        let stream = Failing::new(stream, Faults { seed: 3, percent: 10, delay: Duration::from_millis(50) });
        let shards = super::super::all(&stream).await.unwrap();
        assert_eq!((shards.len(), lately_open(&shards).len()), (6, 6));
        let window = Window { from, until: from + 60_000 };
        let arrived = measure(&stream, &shards, window).await.unwrap();
        assert_eq!(arrived, Arrived { records: 5_000, bytes: 500_000, estimated: 0 });
        stream.set_down(true);
        assert!(measure(&stream, &shards, window).await.is_err());
    }
}
