//! A worker's settings.

use std::time::Duration;

use crate::pace::PollPace;
use crate::stream::InitialPosition;

/// What a [`Worker`](crate::Worker) is told. Every worker of one application should be told the same, but for its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerConfig {
    /// The name that goes into `leaseOwner`. Unique among the workers that live at one time; a worker that starts
    /// under the name of one that died takes its leases back without waiting for them to expire.
    pub worker_id: String,
    /// How long a lease lasts without being renewed, 10 s by default; renewed at a third of it. The same for all
    /// workers of one application: a worker waits as long by its own clock before it takes a silent one's leases.
    pub failover: Duration,
    /// How fast each shard is read.
    pub pace: PollPace,
    /// Where to begin in a stream that this application has not read yet.
    pub initial_position: InitialPosition,
    /// How often the stream is asked for new shards. At a shard's end its children are found at once.
    pub shard_sync_interval: Duration,
    /// The most shards that this worker reads at a time.
    pub max_leases: usize,
    /// How long a stopping worker lets its processors finish before it lets go of them; with this and the release of
    /// the leases it returns within ten seconds.
    pub shutdown_grace: Duration,
    /// How long a worker that is starting tries to reach the stream and the lease table before it gives up.
    pub startup_patience: Duration,
    /// Stop once everything that the stream holds was read: every shard is at its end, or was empty and not behind
    /// two polls in a row. For tests and for one-off runs.
    pub stop_when_drained: bool,
}

impl WorkerConfig {
    /// The defaults, for a worker of this name.
    pub fn new(worker_id: impl Into<String>) -> Self {
        Self {
            worker_id: worker_id.into(),
            failover: Duration::from_secs(10),
            pace: PollPace::EAGER,
            initial_position: InitialPosition::TrimHorizon,
            shard_sync_interval: Duration::from_secs(30),
            max_leases: usize::MAX,
            shutdown_grace: Duration::from_secs(7),
            startup_patience: Duration::from_secs(30),
            stop_when_drained: false,
        }
    }

    /// From one renewal of a lease, and from one look at the lease table, to the next.
    #[must_use]
    pub(crate) fn beat(&self) -> Duration {
        (self.failover / 3).max(Duration::from_millis(1))
    }
}
