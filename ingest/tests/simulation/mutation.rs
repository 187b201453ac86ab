//! What can be taken away from the real thing, to see that the simulation misses it.

use dial_ingest::lease::LeaseChange;

/// A condition or a rule that does not hold in this life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// A lease is created over one that exists.
    CreateUnconditionally,
    /// Changes of this kind are not conditional on the counter.
    NoCounter(Kind),
    /// Changes are not conditional on the owner.
    NoOwner,
    /// Nobody is told which shard came from which, but for who ends one.
    NoParents,
    /// An iterator that resumes after a record skips to the newest.
    ResumeAtLatest,
    /// An iterator that resumes after a record begins anew.
    ResumeAtTrimHorizon,
    /// A worker's clock stands still while the worker does, so that no lease expires by it meanwhile.
    ClockStandsStill,
    /// The checkpoint that a worker is told is the beginning, so that no commit seems to go back.
    CheckpointUnknown,
    /// A lease is said to be created and is not.
    CreateNothing,
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
