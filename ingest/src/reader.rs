//! Reads one shard by polling: iterators, pace, where to go on.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, warn};

use crate::error::{ErrorKind, PortError};
use crate::pace::PollPace;
use crate::retry;
use crate::sequence::{Position, SequenceNumber};
use crate::sharing::ShardSharing;
use crate::stream::{ChildShard, GetRecords, InitialPosition, IteratorStart, StreamClient, StreamRecord, all_shards};

/// A call that takes longer is given up: 10 MB take a few seconds on a slow line, and a dead connection takes for ever.
const CALL_TIME: Duration = Duration::from_secs(30);

/// By how much the stream's clock may be behind ours.
const CLOCK_MARGIN: Duration = Duration::from_secs(5);

/// Where reading begins, given the checkpoint.
///
/// At the checkpoint's record rather than after it, since a checkpoint may lie inside an aggregated record; what is
/// at or before the checkpoint is dropped. `None` at the end of the shard.
///
/// With a declaration open, "from now on" would pass over the records that were declared: then everything is read.
pub(crate) fn start_at(checkpoint: &Position, initial: InitialPosition, declared: bool) -> Option<IteratorStart> {
    match &checkpoint.sequence {
        SequenceNumber::TrimHorizon => Some(IteratorStart::TrimHorizon),
        SequenceNumber::Latest if declared => Some(IteratorStart::TrimHorizon),
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

/// What the stream answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Records, as the stream has them.
    Records {
        /// At least one.
        records: Vec<StreamRecord>,
        /// How far behind the newest record the answer was, if the stream said.
        millis_behind_latest: Option<i64>,
    },
    /// None this time.
    Nothing {
        /// As of records.
        millis_behind_latest: Option<i64>,
    },
    /// The call failed; the next one waits before it tries again.
    Failed,
    /// The shard is closed and was read to its end; what it continues in, if the stream said.
    End(Vec<ChildShard>),
    /// The stream exists but knows this shard no more: all its records have aged out.
    Gone,
}

/// Where in a shard reading goes on.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) start: IteratorStart,
    last_read: Option<SequenceNumber>,
    /// Where the next subscription goes on: at or behind the last record read.
    continuation: Option<SequenceNumber>,
}

impl Place {
    pub(crate) fn new(start: IteratorStart) -> Self {
        Self { start, last_read: None, continuation: None }
    }

    /// After the last record read, or where reading began if there was none.
    pub(crate) fn next(&self) -> IteratorStart {
        match &self.last_read {
            Some(sequence) => IteratorStart::After(sequence.clone()),
            None => self.start.clone(),
        }
    }

    /// As [`next`](Self::next), for a subscription. A continuation is further than the last record where a shard is
    /// quiet, but it may be no record's number, which an iterator could not begin at.
    pub(crate) fn next_pushed(&self) -> IteratorStart {
        match &self.continuation {
            // "At" may bring a record again, which is dropped; "after" could pass one over.
            Some(sequence) => IteratorStart::At(sequence.clone()),
            None => self.next(),
        }
    }

    /// Takes note of where a subscription said that it continues.
    pub(crate) fn continues(&mut self, continuation: Option<SequenceNumber>) {
        self.continuation = continuation.filter(|at| self.last_read.as_ref().is_none_or(|last| at >= last));
    }

    /// Takes note of what was read; drops what was read before.
    pub(crate) fn read(&mut self, records: &mut Vec<StreamRecord>) {
        if let Some(last) = &self.last_read {
            records.retain(|record| record.sequence_number > *last);
        }
        if let Some(last) = records.last() {
            self.last_read = Some(last.sequence_number.clone());
            self.continuation = None;
        }
    }

    /// "From now on" is said once: a second iterator of that kind would skip what arrived between the two. The margin
    /// allows for the stream's clock being behind ours; what it brings too much was as good as in time.
    pub(crate) fn pin_latest(&mut self) {
        if self.start == IteratorStart::Latest {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(CLOCK_MARGIN);
            self.start = IteratorStart::AtTimestamp(i64::try_from(since.as_millis()).unwrap_or_default());
        }
    }
}

/// The polling side of one shard.
pub(crate) struct ShardReader {
    stream: Arc<dyn StreamClient>,
    shard_id: Arc<str>,
    pace: PollPace,
    sharing: Option<ShardSharing>,
    pub(crate) place: Place,
    iterator: Option<String>,
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
            sharing: None,
            place: Place::new(start),
            iterator: None,
            end: None,
            next_call: Instant::now(),
            average_bytes: None,
            failures: 0,
            seed,
        }
    }

    pub(crate) fn sharing(self, sharing: Option<ShardSharing>) -> Self {
        Self { sharing, ..self }
    }

    pub(crate) fn shard_id(&self) -> &Arc<str> {
        &self.shard_id
    }

    /// Forgets the iterator: the place was moved by other means.
    pub(crate) fn begin_anew(&mut self) {
        self.iterator = None;
    }

    /// How many records to make room for before a read.
    pub(crate) fn limit(&self) -> u32 {
        self.pace.limit(self.average_bytes)
    }

    /// Waits until a read is due.
    pub(crate) async fn due(&self) {
        if self.end.is_some() {
            return;
        }
        loop {
            let silence = self.sharing.as_ref().and_then(ShardSharing::silent_until);
            let due = silence.map_or(self.next_call, |until| until.max(self.next_call));
            if due <= Instant::now() {
                return;
            }
            // By then the other consumer may have learned of a longer silence.
            sleep_until(due).await;
        }
    }

    /// Waits until a read is due and makes it; at most `most` records are asked for. Dropping the future loses
    /// nothing: where to read on changes only with an answer, in one step.
    pub(crate) async fn poll(&mut self, most: u32) -> Answer {
        if let Some(children) = &self.end {
            return Answer::End(children.clone());
        }
        self.due().await;
        let pace = self.sharing.as_ref().map_or(self.pace, |sharing| sharing.pace(self.pace, Instant::now()));
        let limit = pace.limit(self.average_bytes).min(most);
        let read = timeout(CALL_TIME, self.read(pace, limit)).await;
        match read.unwrap_or_else(|_| Err(PortError::new("GetRecords", ErrorKind::Unavailable, "no answer in time"))) {
            Ok(answer) => self.take_in(answer, pace),
            Err(error) => self.failed(error).await,
        }
    }

    async fn read(&mut self, pace: PollPace, limit: u32) -> Result<GetRecords, PortError> {
        let iterator = match self.iterator.take() {
            Some(iterator) => iterator,
            None => {
                let start = self.place.next();
                debug!(shard = %self.shard_id, %start, "new iterator");
                let iterator = self.stream.get_iterator(&self.shard_id, &start).await?;
                self.place.pin_latest();
                iterator
            }
        };
        // Set before the call, so that a dropped future keeps both the place and the distance to the next read.
        self.iterator = Some(iterator.clone());
        self.next_call = Instant::now() + pace.interval_after(0);
        self.stream.get_records(&iterator, limit).await
    }

    fn take_in(&mut self, mut answer: GetRecords, pace: PollPace) -> Answer {
        self.failures = 0;
        let bytes: usize = answer.records.iter().map(|record| record.data.len()).sum();
        // `next_call` is one bare interval after the call's beginning already.
        self.next_call += pace.interval_after(bytes) - pace.interval_after(0);
        if !answer.records.is_empty() {
            self.average_bytes = Some((bytes / answer.records.len()).max(1));
        }
        let millis_behind_latest = answer.millis_behind_latest;
        if let Some(sharing) = &self.sharing {
            sharing.answered(bytes, millis_behind_latest, Instant::now());
        }
        self.place.read(&mut answer.records);
        self.iterator = answer.next_iterator;
        if self.iterator.is_none() {
            self.end = Some(answer.child_shards);
        }
        match &self.end {
            _ if !answer.records.is_empty() => Answer::Records { records: answer.records, millis_behind_latest },
            Some(children) => Answer::End(children.clone()),
            None => Answer::Nothing { millis_behind_latest },
        }
    }

    async fn failed(&mut self, error: PortError) -> Answer {
        self.failures += 1;
        let pause = retry::delay(self.failures, error.kind, self.seed);
        self.next_call = self.next_call.max(Instant::now() + pause);
        match error.kind {
            ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::Refused | ErrorKind::InUse => {}
            // The iterator may be what is wrong; a new one resumes after the last record read.
            ErrorKind::ExpiredIterator | ErrorKind::NotFound | ErrorKind::Denied => self.iterator = None,
        }
        warn!(shard = %self.shard_id, %error, failures = self.failures, ?pause, "a read failed; trying again");
        if error.kind == ErrorKind::NotFound && self.is_gone().await {
            return Answer::Gone;
        }
        Answer::Failed
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

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
