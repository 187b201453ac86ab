//! What can be seen of a worker while it runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::sequence::Position;

/// How far one shard was read by this worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardProgress {
    /// The last position handed to the processor, or the one it began at.
    pub delivered: Position,
    /// Everything up to here is done, as the lease table has it.
    pub checkpoint: Position,
    /// How far behind the stream's newest record the last answer was, in milliseconds.
    pub millis_behind_latest: Option<i64>,
    /// When an answer was last dealt with; before the first, when the shard was taken. One that grows old says that the
    /// stream does not answer, or that the processor stands still: the lag is then at least as old.
    pub answered: Instant,
    /// Records handed over since this worker took the shard.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Polls in a row that brought nothing and were not behind.
    pub empty_polls: u32,
}

impl ShardProgress {
    /// Nothing read yet.
    pub(crate) fn beginning_at(checkpoint: Position) -> Self {
        Self {
            delivered: checkpoint.clone(),
            checkpoint,
            millis_behind_latest: None,
            answered: Instant::now(),
            records: 0,
            bytes: 0,
            empty_polls: 0,
        }
    }

    /// Whether there was nothing left to read the last two times.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.empty_polls >= 2
    }
}

/// The shards that a worker reads now, by shard id.
pub type WorkerProgress = BTreeMap<Arc<str>, ShardProgress>;

/// One shard's page in the worker's progress; removes itself when the shard is let go.
pub(crate) struct ProgressPage {
    shard_id: Arc<str>,
    book: watch::Sender<WorkerProgress>,
}

impl ProgressPage {
    pub(crate) fn open(book: &watch::Sender<WorkerProgress>, shard_id: Arc<str>, first: ShardProgress) -> Self {
        book.send_modify(|pages| {
            pages.insert(shard_id.clone(), first);
        });
        Self { shard_id, book: book.clone() }
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut ShardProgress)) {
        self.book.send_modify(|pages| {
            if let Some(page) = pages.get_mut(&self.shard_id) {
                change(page);
            }
        });
    }
}

impl Drop for ProgressPage {
    fn drop(&mut self) {
        self.book.send_modify(|pages| {
            pages.remove(&self.shard_id);
        });
    }
}
