//! What can be taken away from the real thing, to see that the simulation misses it.

use dial_ingest::Position;
use dial_ingest::lease::{Lease, LeaseChange};
use dial_ingest::stream::IteratorStart;

use crate::wire::{Answer, Request};

/// A condition or a rule that does not hold in this life.
///
/// Conditions on writes are taken from the simulated table. A worker's own rules are taken by lying to it about what
/// they look at, so that no production code has to know of this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Changes of this kind are not conditional on the owner.
    NoOwner(Kind),
    /// Changes of this kind are not conditional on the counter.
    NoCounter(Kind),
    /// A lease is created over one that exists.
    CreateAnyway,
    /// A lease is removed although it has changed.
    DeleteAnyway,
    /// The parent-before-child rule: every shard with a child seems to be at its end to who looks at the table.
    ParentsSeemEnded,
    /// Children before SHARD_END: their leases are said to be created, and are not.
    ChildrenNotCreated,
    /// The expiry by the own clock: a worker's clock stands still while the worker does.
    ClockStandsStill,
    /// A new owner is not handed the open declaration.
    DeclarationHidden,
    /// An iterator that resumes after a record skips to the newest.
    ResumeAtLatest,
    /// An iterator that resumes after a record begins anew. No condition of ours: it must do no harm.
    ResumeAtTrimHorizon,
}

/// A kind of [`LeaseChange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Take,
    Renew,
    Release,
    Commit,
    Declare,
    Withdraw,
    End,
}

impl Kind {
    pub const ALL: [Self; 7] =
        [Self::Take, Self::Renew, Self::Release, Self::Commit, Self::Declare, Self::Withdraw, Self::End];

    pub fn of(change: &LeaseChange) -> Self {
        match change {
            LeaseChange::Renew => Self::Renew,
            LeaseChange::Take { .. } => Self::Take,
            LeaseChange::Release => Self::Release,
            LeaseChange::Commit { .. } => Self::Commit,
            LeaseChange::Declare(_) => Self::Declare,
            LeaseChange::Withdraw => Self::Withdraw,
            LeaseChange::End { .. } => Self::End,
            other => panic!("unknown change {other:?}"),
        }
    }
}

impl Mutation {
    pub fn all() -> Vec<Self> {
        let conditions = Kind::ALL.into_iter().flat_map(|kind| [Self::NoOwner(kind), Self::NoCounter(kind)]);
        let rules = [
            Self::CreateAnyway,
            Self::DeleteAnyway,
            Self::ParentsSeemEnded,
            Self::ChildrenNotCreated,
            Self::ClockStandsStill,
            Self::DeclarationHidden,
            Self::ResumeAtLatest,
        ];
        conditions.chain(rules).collect()
    }

    /// What a worker is told in place of the truth.
    pub fn distort(self, request: &Request, answer: Answer) -> Answer {
        let take = matches!(request, Request::Update(_, LeaseChange::Take { .. }));
        match (self, answer) {
            (Self::ParentsSeemEnded, Answer::Leases(leases)) => {
                let parents: Vec<String> = leases.iter().flat_map(|lease| lease.parent_shard_ids.clone()).collect();
                let seen = |lease: Lease| match parents.contains(&lease.lease_key) {
                    true => Lease { checkpoint: Position::SHARD_END, ..lease },
                    false => lease,
                };
                Answer::Leases(leases.into_iter().map(seen).collect())
            }
            (Self::DeclarationHidden, Answer::Updated(lease)) if take => {
                Answer::Updated(Box::new(Lease { declaration: None, ..*lease }))
            }
            (_, answer) => answer,
        }
    }

    /// Where an iterator begins in place of where it was asked to.
    pub fn iterator(self, start: &IteratorStart) -> IteratorStart {
        match (self, start) {
            (Self::ResumeAtLatest, IteratorStart::After(_)) => IteratorStart::Latest,
            (Self::ResumeAtTrimHorizon, IteratorStart::After(_)) => IteratorStart::TrimHorizon,
            (_, start) => start.clone(),
        }
    }
}
