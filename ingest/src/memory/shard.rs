//! One shard of a stream in memory: its records and how fast it may be read.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{ErrorKind, PortError};
use crate::stream::{IteratorStart, Shard, StreamRecord};

/// Reads of a shard in a second.
const READS: usize = 5;
/// Bytes of a shard in a second; an answer of more silences the shard for as long as it would have taken.
const BYTES_PER_SECOND: usize = 2 << 20;
/// Bytes in one answer.
const ANSWER_BYTES: usize = 10 << 20;

const SECOND: Duration = Duration::from_secs(1);

pub(super) struct MemoryShard {
    pub(super) shard: Shard,
    /// How many records have aged out.
    trimmed: usize,
    records: VecDeque<StreamRecord>,
    reads: VecDeque<(Instant, usize)>,
    silent_until: Option<Instant>,
}

impl MemoryShard {
    pub(super) fn new(shard: Shard) -> Self {
        Self { shard, trimmed: 0, records: VecDeque::new(), reads: VecDeque::new(), silent_until: None }
    }

    pub(super) fn push(&mut self, record: StreamRecord) {
        self.records.push_back(record);
    }

    pub(super) fn trim(&mut self, count: usize) {
        let count = count.min(self.records.len());
        self.records.drain(..count);
        self.trimmed += count;
    }

    /// The number, counted from the shard's first record ever, of the record that an iterator begins at.
    pub(super) fn index(&self, start: &IteratorStart) -> usize {
        let first =
            |wanted: &dyn Fn(&StreamRecord) -> bool| self.records.iter().position(wanted).unwrap_or(self.records.len());
        let offset = match start {
            IteratorStart::TrimHorizon => 0,
            IteratorStart::Latest => self.records.len(),
            IteratorStart::AtTimestamp(millis) => first(&|record| record.arrival >= *millis),
            IteratorStart::At(sequence) => first(&|record| record.sequence_number >= *sequence),
            IteratorStart::After(sequence) => first(&|record| record.sequence_number > *sequence),
        };
        self.trimmed + offset
    }

    /// The records from `index` on, and the index after them.
    pub(super) fn read(&self, index: usize, limit: usize) -> (Vec<StreamRecord>, usize) {
        let index = index.max(self.trimmed);
        let mut room = ANSWER_BYTES;
        let mut records: Vec<StreamRecord> = Vec::new();
        for record in self.records.iter().skip(index - self.trimmed).take(limit) {
            if record.data.len() > room && !records.is_empty() {
                break;
            }
            room = room.saturating_sub(record.data.len());
            records.push(record.clone());
        }
        let next = index + records.len();
        (records, next)
    }

    /// When the record at `index` arrived, if there is one.
    pub(super) fn arrival(&self, index: usize) -> Option<i64> {
        self.records.get(index.saturating_sub(self.trimmed)).map(|record| record.arrival)
    }

    pub(super) fn is_at_end(&self, index: usize) -> bool {
        !self.shard.open && index >= self.trimmed + self.records.len()
    }

    /// Refuses a read that the limits do not allow now.
    pub(super) fn admit(&mut self, now: Instant) -> Result<(), PortError> {
        while self.reads.front().is_some_and(|(time, _)| *time + SECOND <= now) {
            self.reads.pop_front();
        }
        let bytes: usize = self.reads.iter().map(|(_, bytes)| bytes).sum();
        let silent = self.silent_until.is_some_and(|until| now < until);
        if silent || self.reads.len() >= READS || bytes >= BYTES_PER_SECOND {
            let message = format!("the rate of shard {} is exceeded", self.shard.shard_id);
            return Err(PortError::new("GetRecords", ErrorKind::Throttled, message));
        }
        Ok(())
    }

    pub(super) fn account(&mut self, now: Instant, bytes: usize) {
        self.reads.push_back((now, bytes));
        if bytes > BYTES_PER_SECOND {
            self.silent_until = Some(now + SECOND.mul_f64(bytes as f64 / BYTES_PER_SECOND as f64));
        }
    }
}
