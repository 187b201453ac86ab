//! A processor's handle on its shard's checkpoint.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::checkpoint::{self, CheckpointError, Declaration, Standing};
use crate::held::HeldLease;
use crate::lease::{Lease, LeaseChange};
use crate::sequence::Position;
use crate::store::LeaseStore;

/// Writes the checkpoint of one shard, as long as its worker holds the shard's lease.
///
/// Clones are handles on the same checkpoint and may be used from other tasks.
#[derive(Clone)]
pub struct Checkpointer {
    held: Arc<HeldLease>,
    delivered: Arc<watch::Sender<Position>>,
}

impl Checkpointer {
    pub(crate) fn new(held: Arc<HeldLease>) -> Self {
        let lease = held.lease();
        // Whoever declared a position was given everything up to it, so its successor may commit it without reading.
        let declared = lease.declaration.map(|declaration| declaration.position);
        let delivered = declared.map_or(lease.checkpoint.clone(), |position| position.max(lease.checkpoint));
        Self { held, delivered: Arc::new(watch::Sender::new(delivered)) }
    }

    /// Takes `lease` for `worker_id` and holds it for `failover`, renewed only by the writes made through the result:
    /// for tests of processors and for tools that move a checkpoint by hand. A [`Worker`](crate::Worker) does this by
    /// itself.
    ///
    /// # Errors
    /// [`CheckpointError::LeaseLost`] if the lease is not as `lease` says any more.
    pub async fn take(
        leases: Arc<dyn LeaseStore>,
        lease: &Lease,
        worker_id: &str,
        failover: Duration,
    ) -> Result<Self, CheckpointError> {
        HeldLease::take(leases, lease, worker_id, failover).await.map(|held| Self::new(Arc::new(held)))
    }

    /// The shard.
    #[must_use]
    pub fn shard_id(&self) -> &Arc<str> {
        self.held.shard_id()
    }

    /// Everything up to here is done, as far as the lease table knows.
    #[must_use]
    pub fn checkpoint(&self) -> Position {
        self.held.look(|lease| lease.checkpoint.clone())
    }

    /// The declaration in force.
    #[must_use]
    pub fn open_declaration(&self) -> Option<Declaration> {
        self.held.look(|lease| lease.declaration.clone())
    }

    /// Whether the lease is held still, by this worker's own clock. Ask before a write that nothing else fences.
    #[must_use]
    pub fn holds_lease(&self) -> bool {
        self.held.is_valid()
    }

    /// Says that everything up to `position` is durable. Closes an open declaration up to there. A position at or
    /// before the checkpoint changes nothing.
    ///
    /// Tried until the lease table answers or the lease expires.
    ///
    /// # Errors
    /// [`CheckpointError::LeaseLost`]: somebody else has the shard. [`CheckpointError::NotDelivered`] and
    /// [`CheckpointError::DeclarationOpen`]: mistakes of the caller. [`CheckpointError::Store`]: the table will not
    /// take it.
    pub async fn commit(&self, position: Position) -> Result<(), CheckpointError> {
        self.held
            .write_patiently(|lease| {
                let advance = self.judge(lease, |standing| checkpoint::judge_commit(standing, &position))?;
                Ok(advance.map(|advance| LeaseChange::Commit { position: advance.to().clone() }))
            })
            .await
    }

    /// Announces what will be done with everything up to `position`, before doing it; `state` is handed to whoever
    /// owns the shard next, unless [`commit`](Self::commit) follows.
    ///
    /// # Errors
    /// As of [`commit`](Self::commit), and [`CheckpointError::NotAhead`] if the checkpoint is there already.
    pub async fn declare(&self, position: Position, state: Vec<u8>) -> Result<(), CheckpointError> {
        let declaration = Declaration { position, state };
        self.held
            .write_patiently(|lease| {
                let needed = self.judge(lease, |standing| checkpoint::judge_declare(standing, &declaration))?;
                Ok(needed.then(|| LeaseChange::Declare(declaration.clone())))
            })
            .await
    }

    /// Takes an open declaration back. Only for who knows that its effect was never begun.
    ///
    /// # Errors
    /// [`CheckpointError::LeaseLost`], [`CheckpointError::Store`].
    pub async fn withdraw(&self) -> Result<(), CheckpointError> {
        self.held.write_patiently(|lease| Ok(lease.declaration.as_ref().map(|_| LeaseChange::Withdraw))).await
    }

    /// Says that the processor was given everything up to `position`, which may now be committed. The worker does
    /// this; it is public for who drives a processor without one.
    pub fn delivered(&self, position: &Position) {
        self.delivered.send_if_modified(|delivered| {
            let ahead = *delivered < *position;
            if ahead {
                delivered.clone_from(position);
            }
            ahead
        });
    }

    fn judge<T>(
        &self,
        lease: &Lease,
        judge: impl FnOnce(&Standing<'_>) -> Result<T, CheckpointError>,
    ) -> Result<T, CheckpointError> {
        let delivered = self.delivered.borrow();
        judge(&Standing { checkpoint: &lease.checkpoint, delivered: &delivered, open: lease.declaration.as_ref() })
    }
}
