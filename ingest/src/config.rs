//! A worker's settings.

use std::time::Duration;

use crate::budget::PrefetchBudget;
use crate::pace::PollPace;
use crate::sharing::Sharing;
use crate::stream::InitialPosition;

/// How a worker reads its shards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Read {
    /// By `GetRecords`, at the worker's pace, sharing a shard's five reads and 2 MB a second with everybody.
    #[default]
    Polling,
    /// By enhanced fan-out: each shard pushes its records within some 70 ms, 2 MB a second for this consumer alone,
    /// at a price. Where a subscription is refused the shard is polled for a while, with a warning.
    FanOut {
        /// The name to register with the stream, the same for all workers of one application. The registration stays
        /// when they stop.
        consumer_name: String,
    },
}

/// What a [`Worker`](crate::Worker) is told. Every worker of one application should be told the same, but for its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerConfig {
    /// The name that goes into `leaseOwner`. Unique among the workers that live at one time; a worker that starts
    /// under the name of one that died takes its leases back without waiting for them to expire.
    pub worker_id: String,
    /// How long a lease lasts without being renewed, 10 s by default; renewed at a third of it. The same for all
    /// workers of one application: a worker waits as long by its own clock before it takes a silent one's leases.
    pub failover: Duration,
    /// How records come: by polling, or pushed.
    pub read: Read,
    /// How fast each shard is polled.
    pub pace: PollPace,
    /// How much may have been read and not yet processed.
    pub prefetch: PrefetchBudget,
    /// This worker's part in polling the same stream as another worker in this process; `None` if there is none, or
    /// it is of no concern.
    pub sharing: Option<Sharing>,
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
            read: Read::Polling,
            pace: PollPace::EAGER,
            prefetch: PrefetchBudget::default(),
            sharing: None,
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
