//! How much a worker may have read and not yet processed: what bounds its memory.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::stream::StreamRecord;

/// The most bytes in one answer, or in the one record that it holds then (`GetRecords`: 10 MiB).
pub(crate) const LARGEST_ANSWER: usize = 10 << 20;

/// What a record weighs beside its data and its key: the structures that hold it.
const RECORD_WEIGHT: usize = 256;

/// How much may have been read and not yet processed, the batch that is at hand included.
///
/// Room is taken before a shard is read, for the largest answer there is (10 MiB), and what the answer did not need
/// is given back. So these bounds hold whatever the stream answers; while an answer is being parsed the service's
/// client needs as much again. While a batch is at hand the same shard reads ahead only from one half of the worker's
/// room, so that shards that process slowly leave the other half to those that do not.
///
/// A bound of less than one answer lets one answer in at a time. With enhanced fan-out the service pushes: beyond the
/// room, one event a shard may have been received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefetchBudget {
    /// The most bytes of one shard: data, keys and a flat 256 a record. 16 MiB by default.
    pub shard_bytes: usize,
    /// The most records of one shard, as the stream counts them: an aggregated one is one. 20,000 by default.
    pub shard_records: usize,
    /// The most bytes of all the worker's shards. 64 MiB by default.
    pub worker_bytes: usize,
    /// The most records of all the worker's shards. 100,000 by default.
    pub worker_records: usize,
}

impl Default for PrefetchBudget {
    fn default() -> Self {
        Self { shard_bytes: 16 << 20, shard_records: 20_000, worker_bytes: 64 << 20, worker_records: 100_000 }
    }
}

/// An amount of room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) bytes: usize,
    pub(crate) records: usize,
}

impl Amount {
    /// What an answer to a read of at most `limit` records may need.
    pub(crate) fn of_a_read(limit: u32) -> Self {
        let records = limit.max(1) as usize;
        Self { bytes: LARGEST_ANSWER + records * RECORD_WEIGHT, records }
    }

    /// What these records need.
    pub(crate) fn of(records: &[StreamRecord]) -> Self {
        let bytes = records.iter().map(|r| r.data.len() + r.partition_key.len() + RECORD_WEIGHT).sum();
        Self { bytes, records: records.len() }
    }
}

/// Room that is shared by whoever holds a clone.
#[derive(Clone, Debug)]
struct Pool {
    bytes: Arc<Semaphore>,
    records: Arc<Semaphore>,
    whole: (u32, u32),
}

impl Pool {
    fn new(bytes: usize, records: usize) -> Self {
        // Permits are counted in 32 bits: 4 GiB are enough for everybody.
        let permits = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).max(1);
        let whole = (permits(bytes), permits(records));
        let semaphore = |n: u32| Arc::new(Semaphore::new(n as usize));
        Self { bytes: semaphore(whole.0), records: semaphore(whole.1), whole }
    }

    fn is_untouched(&self) -> bool {
        self.bytes.available_permits() >= self.whole.0 as usize
    }

    /// Waits for so much, or for all there is if that is less. In the order of asking, so nobody starves.
    async fn take(&self, amount: Amount) -> Option<Part> {
        let least = |wanted: usize, whole: u32| u32::try_from(wanted).unwrap_or(u32::MAX).min(whole);
        let bytes = self.bytes.clone().acquire_many_owned(least(amount.bytes, self.whole.0)).await.ok()?;
        let records = self.records.clone().acquire_many_owned(least(amount.records, self.whole.1)).await.ok()?;
        Some(Part { bytes, records })
    }
}

/// What was taken of one pool.
#[derive(Debug)]
struct Part {
    bytes: OwnedSemaphorePermit,
    records: OwnedSemaphorePermit,
}

impl Part {
    fn shrink(&mut self, to: Amount) {
        for (permit, need) in [(&mut self.bytes, to.bytes), (&mut self.records, to.records)] {
            drop(permit.split(permit.num_permits().saturating_sub(need)));
        }
    }
}

/// The room of a worker.
#[derive(Clone, Debug)]
pub(crate) struct WorkerRoom {
    budget: PrefetchBudget,
    worker: Pool,
    ahead: Pool,
}

impl WorkerRoom {
    pub(crate) fn new(budget: PrefetchBudget) -> Self {
        Self {
            budget,
            worker: Pool::new(budget.worker_bytes, budget.worker_records),
            ahead: Pool::new(budget.worker_bytes / 2, budget.worker_records / 2),
        }
    }

    /// The room of one more shard.
    pub(crate) fn of_shard(&self) -> ShardRoom {
        ShardRoom { shard: Pool::new(self.budget.shard_bytes, self.budget.shard_records), all: self.clone() }
    }
}

/// The room of one shard, which is part of its worker's.
#[derive(Debug)]
pub(crate) struct ShardRoom {
    shard: Pool,
    all: WorkerRoom,
}

impl ShardRoom {
    /// Waits for room. Each pool is waited for while only those before it are held, and what is held is given back by
    /// whoever processes, who waits for none: so this ends.
    pub(crate) async fn take(&self, amount: Amount) -> Room {
        let first = self.shard.is_untouched();
        let shard = self.shard.take(amount).await;
        let ahead = if first { None } else { self.all.ahead.take(amount).await };
        let worker = self.all.worker.take(amount).await;
        Room { ahead, parts: [shard, worker] }
    }
}

/// Room taken, given back when dropped.
#[derive(Debug)]
pub(crate) struct Room {
    ahead: Option<Part>,
    parts: [Option<Part>; 2],
}

impl Room {
    /// Gives back what is not needed.
    pub(crate) fn shrink(&mut self, to: Amount) {
        self.parts.iter_mut().chain([&mut self.ahead]).flatten().for_each(|part| part.shrink(to));
    }

    /// What was read ahead is at hand now.
    pub(crate) fn at_hand(self) -> Self {
        Self { ahead: None, ..self }
    }
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
