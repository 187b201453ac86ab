//! What the user of this crate writes: a processor for the records of one shard.

use std::sync::Arc;

use async_trait::async_trait;

use crate::checkpoint::Declaration;
use crate::checkpointer::Checkpointer;
use crate::error::ProcessError;
use crate::record::Batch;
use crate::sequence::Position;

/// What a processor is told when its worker takes a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardStart {
    /// The shard.
    pub shard_id: Arc<str>,
    /// Everything up to here was done by whoever owned the shard before; the first record comes after it.
    pub checkpoint: Position,
    /// What the owner before declared and did not commit: it may have been carried out in whole, in part or not at
    /// all. Carry it out again exactly, from the records after `checkpoint` up to its position, and commit that. With
    /// the checkpoint at LATEST there may come records from before those that were declared.
    pub open_declaration: Option<Declaration>,
}

/// Makes a processor for each shard that the worker takes.
pub trait ProcessorFactory: Send + Sync {
    /// A processor for this shard. Called anew each time the shard is taken, also by a worker that had it before.
    fn start(&self, shard: &ShardStart) -> Box<dyn ShardProcessor>;
}

/// Processes one shard's records, in order, one call at a time.
///
/// Each shard has its own task: a slow one delays only itself. When the lease is lost the running call is dropped at
/// its next `.await`.
#[async_trait]
pub trait ShardProcessor: Send {
    /// Processes a batch, which is never empty. Commit through `checkpointer` now or in any later call, as soon as
    /// something is durable.
    ///
    /// # Errors
    /// After [`ProcessError::Retry`] the very same batch comes again, after a wait; after [`ProcessError::Fatal`] the
    /// worker stops. A checkpoint error may be passed on: with the lease lost the shard is let go, otherwise the
    /// batch comes again.
    async fn process(&mut self, batch: &Batch, checkpointer: &Checkpointer) -> Result<(), ProcessError>;

    /// A poll brought nothing, or failed: the time for flushes that are due by the clock. Called about once a poll
    /// interval, more seldom while the stream does not answer.
    ///
    /// # Errors
    /// As of [`process`](Self::process); it is called again with the next poll.
    async fn idle(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        let _ = checkpointer;
        Ok(())
    }

    /// The shard was split or merged and every record of it was handed over. `Ok` says that everything is durable:
    /// the worker then writes SHARD_END, and the shard's children begin.
    ///
    /// # Errors
    /// As of [`process`](Self::process); it is called again after a wait.
    async fn shard_ended(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError>;

    /// Another worker has the shard, or may have. Start no more writes for it. No checkpoint can be written.
    async fn lease_lost(&mut self) {}

    /// The worker is stopping: make durable and commit what is worth it, within
    /// [`shutdown_grace`](crate::WorkerConfig::shutdown_grace). What is not committed is read again by the next owner.
    ///
    /// # Errors
    /// Logged; the lease is released all the same.
    async fn shutdown(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError>;
}
