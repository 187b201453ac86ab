//! Reads one shard by polling: iterators, pace, where to go on.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, warn};

use crate::error::{ErrorKind, PortError};
use crate::pace::PollPace;
use crate::record::{Batch, Record};
use crate::retry;
use crate::sequence::{Position, SequenceNumber};
use crate::stream::{ChildShard, GetRecords, InitialPosition, IteratorStart, StreamClient, StreamRecord, all_shards};

/// A call that takes longer is given up: 10 MB take a few seconds on a slow line, and a dead connection takes for ever.
const CALL_TIME: Duration = Duration::from_secs(30);

/// By how much the stream's clock may be behind ours.
const CLOCK_MARGIN: Duration = Duration::from_secs(5);

/// Where reading begins, given the checkpoint.
///
/// At the checkpoint's record rather than after it, since a checkpoint may lie inside an aggregated record; what is
/// at or before the checkpoint is dropped. `None` at the end of the shard.
pub(crate) fn start_at(checkpoint: &Position, initial: InitialPosition) -> Option<IteratorStart> {
    match &checkpoint.sequence {
        SequenceNumber::TrimHorizon => Some(IteratorStart::TrimHorizon),
        SequenceNumber::Latest => Some(IteratorStart::Latest),
        SequenceNumber::AtTimestamp => Some(match initial {
            InitialPosition::AtTimestamp(millis) => IteratorStart::AtTimestamp(millis),
            // Written by a worker with other settings: reading too much loses nothing.
            InitialPosition::TrimHorizon | InitialPosition::Latest => IteratorStart::TrimHorizon,
        }),
        SequenceNumber::Number(_) => Some(IteratorStart::At(checkpoint.sequence.clone())),
        SequenceNumber::ShardEnd => None,
    }
}

/// What one poll brought.
#[derive(Debug)]
pub(crate) enum Polled {
    /// Records after the checkpoint.
    Records(Batch),
    /// None this time.
    Nothing {
        /// How far behind the newest record the answer was, if the stream said.
        millis_behind_latest: Option<i64>,
    },
    /// The call failed; the next poll waits before it tries again.
    Failed,
    /// The shard is closed and was read to its end; what it continues in, if the stream said.
    End(Vec<ChildShard>),
    /// The stream exists but knows this shard no more: all its records have aged out.
    Gone,
}

/// The reading side of one shard. One answer is held in memory at a time, bounded by the pace.
pub(crate) struct ShardReader {
    stream: Arc<dyn StreamClient>,
    shard_id: Arc<str>,
    pace: PollPace,
    start: IteratorStart,
    iterator: Option<String>,
    last_read: Option<SequenceNumber>,
    end: Option<Vec<ChildShard>>,
    next_call: Instant,
    average_bytes: Option<usize>,
    failures: u32,
    seed: u64,
}

impl ShardReader {
    pub(crate) fn new(stream: Arc<dyn StreamClient>, shard_id: Arc<str>, start: IteratorStart, pace: PollPace) -> Self {
        let seed = retry::seed_of(&[&shard_id, "read"]);
        Self {
            stream,
            shard_id,
            pace,
            start,
            iterator: None,
            last_read: None,
            end: None,
            next_call: Instant::now(),
            average_bytes: None,
            failures: 0,
            seed,
        }
    }

    /// Waits until a read is due and makes it. Dropping the future loses nothing: where to read on changes only with
    /// an answer, in one step.
    pub(crate) async fn poll(&mut self, checkpoint: &Position) -> Polled {
        if let Some(children) = &self.end {
            return Polled::End(children.clone());
        }
        sleep_until(self.next_call).await;
        let read = timeout(CALL_TIME, self.read()).await;
        match read.unwrap_or_else(|_| Err(PortError::new("GetRecords", ErrorKind::Unavailable, "no answer in time"))) {
            Ok(answer) => self.take_in(answer, checkpoint),
            Err(error) => self.failed(error).await,
        }
    }

    async fn read(&mut self) -> Result<GetRecords, PortError> {
        let iterator = match self.iterator.take() {
            Some(iterator) => iterator,
            None => {
                let start = match &self.last_read {
                    Some(sequence) => IteratorStart::After(sequence.clone()),
                    None => self.start.clone(),
                };
                debug!(shard = %self.shard_id, %start, "new iterator");
                let iterator = self.stream.get_iterator(&self.shard_id, &start).await?;
                self.pin_latest();
                iterator
            }
        };
        // Set before the call, so that a dropped future keeps both the place and the distance to the next read.
        self.iterator = Some(iterator.clone());
        self.next_call = Instant::now() + self.pace.interval_after(0);
        self.stream.get_records(&iterator, self.pace.limit(self.average_bytes)).await
    }

    /// "From now on" is said once: a second iterator of that kind would skip what arrived between the two. The margin
    /// allows for the stream's clock being behind ours; what it brings too much was as good as in time.
    fn pin_latest(&mut self) {
        if self.start == IteratorStart::Latest {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(CLOCK_MARGIN);
            self.start = IteratorStart::AtTimestamp(i64::try_from(since.as_millis()).unwrap_or_default());
        }
    }

    fn take_in(&mut self, answer: GetRecords, checkpoint: &Position) -> Polled {
        self.failures = 0;
        let bytes: usize = answer.records.iter().map(|record| record.data.len()).sum();
        // `next_call` is one bare interval after the call's beginning already.
        self.next_call += self.pace.interval_after(bytes) - self.pace.interval_after(0);
        if !answer.records.is_empty() {
            self.average_bytes = Some((bytes / answer.records.len()).max(1));
        }
        if let Some(last) = answer.records.last() {
            self.last_read = Some(last.sequence_number.clone());
        }
        self.iterator = answer.next_iterator;
        let millis_behind_latest = answer.millis_behind_latest;
        if self.iterator.is_none() {
            self.end = Some(answer.child_shards);
        }
        let records = user_records(&self.shard_id, answer.records, checkpoint);
        if !records.is_empty() {
            return Polled::Records(Batch { records, millis_behind_latest });
        }
        match &self.end {
            Some(children) => Polled::End(children.clone()),
            None => Polled::Nothing { millis_behind_latest },
        }
    }

    async fn failed(&mut self, error: PortError) -> Polled {
        self.failures += 1;
        let pause = retry::delay(self.failures, error.kind, self.seed);
        self.next_call = self.next_call.max(Instant::now() + pause);
        match error.kind {
            ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::Refused => {}
            // The iterator may be what is wrong; a new one resumes after the last record read.
            ErrorKind::ExpiredIterator | ErrorKind::NotFound | ErrorKind::Denied => self.iterator = None,
        }
        warn!(shard = %self.shard_id, %error, failures = self.failures, ?pause, "a read failed; trying again");
        if error.kind == ErrorKind::NotFound && self.is_gone().await {
            return Polled::Gone;
        }
        Polled::Failed
    }

    /// Whether the stream answers and does not list this shard. A stream that is missing itself is a mistake, not a
    /// reason to close its shards.
    async fn is_gone(&self) -> bool {
        match timeout(CALL_TIME, all_shards(self.stream.as_ref())).await {
            Ok(Ok(shards)) => !shards.is_empty() && shards.iter().all(|shard| *shard.shard_id != *self.shard_id),
            Ok(Err(_)) | Err(_) => false,
        }
    }
}

/// The user records after the checkpoint. Aggregated records are handed over as they are.
fn user_records(shard_id: &Arc<str>, records: Vec<StreamRecord>, checkpoint: &Position) -> Vec<Record> {
    records
        .into_iter()
        .map(|record| Record {
            shard_id: shard_id.clone(),
            sequence_number: record.sequence_number,
            sub_sequence_number: 0,
            partition_key: record.partition_key,
            arrival: record.arrival,
            data: record.data,
        })
        .filter(|record| record.position() > *checkpoint)
        .collect()
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
