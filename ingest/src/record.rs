//! What a shard yields: records, in batches.

use std::sync::Arc;

use bytes::Bytes;

use crate::sequence::{Position, SequenceNumber};

/// One record of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The shard that it was read from.
    pub shard_id: Arc<str>,
    /// Its sequence number: unique in the stream, growing within the shard.
    pub sequence_number: SequenceNumber,
    /// The index of a user record inside an aggregated record; 0 otherwise.
    pub sub_sequence_number: u64,
    /// The key that its producer chose.
    pub partition_key: String,
    /// When the stream took it in (`ApproximateArrivalTimestamp`), in milliseconds since the Unix epoch.
    pub arrival: i64,
    /// The producer's bytes, at most 10 MiB.
    pub data: Bytes,
}

impl Record {
    /// Its place in the shard: what to hand to [`Checkpointer::commit`](crate::Checkpointer::commit) once it and
    /// everything before it is durable.
    #[must_use]
    pub fn position(&self) -> Position {
        Position::new(self.sequence_number.clone(), self.sub_sequence_number)
    }
}

/// Records of one shard, in the shard's order; never empty when a processor gets it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The records.
    pub records: Vec<Record>,
    /// How far the stream's newest record is ahead of this answer, in milliseconds; `None` where the stream did not
    /// say. A hint for people and pacing: some emulators answer 0 while records wait.
    pub millis_behind_latest: Option<i64>,
}

impl Batch {
    /// The position of the last record, or `None` of an empty batch.
    #[must_use]
    pub fn last_position(&self) -> Option<Position> {
        self.records.last().map(Record::position)
    }

    /// The bytes of all records' data.
    #[must_use]
    pub fn data_len(&self) -> usize {
        self.records.iter().map(|record| record.data.len()).sum()
    }
}
