//! The lease: one shard's item in the lease table, and the changes that an owner may make to it.
//!
//! The item is the Kinesis Client Library's, attribute for attribute, so that its operators recognise the table and
//! its workers can carry on from it. Everything here is pure; a [`LeaseStore`](crate::LeaseStore) makes the change
//! in the table, on the condition that the lease is still the one that the change was meant for.

use crate::checkpoint::Declaration;
use crate::sequence::Position;
use crate::stream::{ChildShard, HashRange, Shard};

/// One shard's lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// `leaseKey`: the shard's id.
    pub lease_key: String,
    /// `leaseOwner`: the worker that reads the shard; absent while nobody does.
    pub lease_owner: Option<String>,
    /// `leaseCounter`: grows with every write, which is how others see that the owner lives.
    pub lease_counter: u64,
    /// `ownerSwitchesSinceCheckpoint`: how many owners have made no progress.
    pub owner_switches_since_checkpoint: u64,
    /// `checkpoint` and `checkpointSubSequenceNumber`: everything up to here is done.
    pub checkpoint: Position,
    /// `pendingCheckpoint`, `pendingCheckpointSubSequenceNumber`, `pendingCheckpointState`: the open declaration.
    pub declaration: Option<Declaration>,
    /// `parentShardId`: the shards to be finished first.
    pub parent_shard_ids: Vec<String>,
    /// `childShardIds`: the shards that continue this one, known at its end.
    pub child_shard_ids: Vec<String>,
    /// `startingHashKey`, `endingHashKey`: the hash keys of the shard.
    pub hash_range: Option<HashRange>,
}

impl Lease {
    /// The lease of a shard that nobody has read yet.
    #[must_use]
    pub fn of_shard(shard: &Shard, checkpoint: Position) -> Self {
        Self::of_child(&ChildShard::from(shard), checkpoint)
    }

    /// The lease of a shard that another one continues in.
    #[must_use]
    pub fn of_child(shard: &ChildShard, checkpoint: Position) -> Self {
        Self {
            lease_key: shard.shard_id.clone(),
            lease_owner: None,
            lease_counter: 0,
            owner_switches_since_checkpoint: 0,
            checkpoint,
            declaration: None,
            parent_shard_ids: shard.parent_ids.clone(),
            child_shard_ids: Vec::new(),
            hash_range: shard.hash_range,
        }
    }

    /// Whether the shard was read to its end.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.checkpoint.is_shard_end()
    }

    /// Whether `worker` owns it.
    #[must_use]
    pub fn is_owned_by(&self, worker: &str) -> bool {
        self.lease_owner.as_deref() == Some(worker)
    }

    /// The lease after `change`, as the table has it once the write went through.
    #[must_use]
    pub fn after(&self, change: &LeaseChange) -> Self {
        let mut lease = self.clone();
        lease.lease_counter += 1;
        match change {
            LeaseChange::Renew => {}
            LeaseChange::Take { owner } => {
                if lease.lease_owner.as_ref().is_some_and(|before| before != owner) {
                    lease.owner_switches_since_checkpoint += 1;
                }
                lease.lease_owner = Some(owner.clone());
            }
            LeaseChange::Release => lease.lease_owner = None,
            LeaseChange::Commit { position } => lease.settle(position.clone()),
            LeaseChange::Declare(declaration) => lease.declaration = Some(declaration.clone()),
            LeaseChange::Withdraw => lease.declaration = None,
            LeaseChange::End { children } => {
                lease.settle(Position::SHARD_END);
                if !children.is_empty() {
                    lease.child_shard_ids.clone_from(children);
                }
            }
        }
        lease
    }

    fn settle(&mut self, position: Position) {
        self.checkpoint = position;
        self.declaration = None;
        self.owner_switches_since_checkpoint = 0;
    }
}

/// One write to a lease. Every one also adds 1 to `leaseCounter`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaseChange {
    /// The owner lives.
    Renew,
    /// `owner` reads the shard from now on.
    Take {
        /// The worker's id.
        owner: String,
    },
    /// Nobody reads it from now on.
    Release,
    /// Everything up to `position` is done; an open declaration is closed.
    Commit {
        /// The new checkpoint.
        position: Position,
    },
    /// What is about to be done.
    Declare(Declaration),
    /// The open declaration will not be carried out.
    Withdraw,
    /// The shard was read to its end, and its children's leases exist.
    End {
        /// The children's ids.
        children: Vec<String>,
    },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn lease() -> Lease {
        let shard = Shard { shard_id: "shardId-000000000000".into(), parent_ids: vec![], hash_range: None, open: true };
        Lease::of_shard(&shard, Position::TRIM_HORIZON)
    }

    fn take(owner: &str) -> LeaseChange {
        LeaseChange::Take { owner: owner.into() }
    }

    #[test]
    fn every_change_is_counted() {
        let position: Position = Position::new("7".parse().unwrap(), 0);
        let declaration = Declaration { position: position.clone(), state: vec![] };
        let changes = [
            LeaseChange::Renew,
            take("a"),
            LeaseChange::Release,
            LeaseChange::Commit { position },
            LeaseChange::Declare(declaration),
            LeaseChange::Withdraw,
            LeaseChange::End { children: vec![] },
        ];
        for change in changes {
            assert_eq!(lease().after(&change).lease_counter, 1, "{change:?}");
        }
    }

    #[test]
    fn a_switch_is_counted_only_from_another_owner() {
        let first = lease().after(&take("a"));
        assert_eq!(first.owner_switches_since_checkpoint, 0);
        assert_eq!(first.after(&take("a")).owner_switches_since_checkpoint, 0);
        let second = first.after(&take("b"));
        assert_eq!(second.owner_switches_since_checkpoint, 1);
        let position = Position::new("7".parse().unwrap(), 0);
        assert_eq!(second.after(&LeaseChange::Commit { position }).owner_switches_since_checkpoint, 0);
    }

    #[test]
    fn a_declaration_outlives_its_owner_and_ends_with_the_commit() {
        let position = Position::new("7".parse().unwrap(), 3);
        let declaration = Declaration { position: position.clone(), state: b"file".to_vec() };
        let left = lease()
            .after(&take("a"))
            .after(&LeaseChange::Declare(declaration.clone()))
            .after(&LeaseChange::Release)
            .after(&take("b"));
        assert_eq!(left.declaration, Some(declaration));
        assert_eq!(left.checkpoint, Position::TRIM_HORIZON);
        let done = left.after(&LeaseChange::Commit { position: position.clone() });
        assert_eq!((done.declaration, done.checkpoint), (None, position));
    }
}
