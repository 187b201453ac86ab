//! The worker: takes its share of a stream's shards and runs a processor on each, until told to stop.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::budget::WorkerRoom;
use crate::config::{Read, WorkerConfig};
use crate::error::{PortError, ProcessError};
use crate::fan_out::FanOut;
use crate::fleet::Fleet;
use crate::health::{HealthBook, HealthMonitor};
use crate::processor::ProcessorFactory;
use crate::progress::WorkerProgress;
use crate::shard::Surroundings;
use crate::store::LeaseStore;
use crate::stream::StreamClient;

/// Why a worker stopped by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The stream or the lease table could not be used from the start.
    #[error("the worker cannot start: {0}")]
    Start(#[source] PortError),
    /// A processor said that it cannot go on.
    #[error("the processor of shard {shard_id} cannot go on: {source}")]
    Process {
        /// The shard.
        shard_id: String,
        /// What the processor said.
        source: ProcessError,
    },
    /// A processor panicked; its shard's lease expires by itself.
    #[error("the processor of shard {shard_id} panicked: {message}")]
    Panicked {
        /// The shard.
        shard_id: String,
        /// What the runtime said.
        message: String,
    },
}

/// A consumer of one stream, alone or one of many.
pub struct Worker {
    around: Arc<Surroundings>,
}

impl Worker {
    /// A worker that reads `stream`, shares it by `leases` and has `factory` make a processor for each shard.
    pub fn new(
        config: WorkerConfig,
        stream: Arc<dyn StreamClient>,
        leases: Arc<dyn LeaseStore>,
        factory: Arc<dyn ProcessorFactory>,
    ) -> Self {
        let health = HealthBook::new(config.failover);
        let fan_out = match &config.read {
            Read::Polling => None,
            Read::FanOut { consumer_name } => Some(Arc::new(FanOut::new(stream.clone(), consumer_name.clone()))),
        };
        let around = Surroundings {
            room: WorkerRoom::new(config.prefetch),
            fan_out,
            health,
            config,
            stream,
            leases,
            factory,
            progress: watch::Sender::new(WorkerProgress::new()),
            stopping: CancellationToken::new(),
            overdue: CancellationToken::new(),
        };
        Self { around: Arc::new(around) }
    }

    /// How far each shard that it holds is read, changing with every poll.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<WorkerProgress> {
        self.around.progress.subscribe()
    }

    /// Whether it keeps up with its leases, and what it has done so far, as of whenever the monitor is asked.
    #[must_use]
    pub fn health(&self) -> HealthMonitor {
        self.around.health.monitor()
    }

    /// Works until `shutdown` fires, then lets the processors finish, releases the leases and returns, within ten
    /// seconds by the default settings. Dropping the future instead is a crash: nothing is lost, but the leases have
    /// to expire.
    ///
    /// # Errors
    /// [`WorkerError`]; the leases are released before it is returned, but for that of a processor that panicked.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), WorkerError> {
        let mut fleet = Fleet::new(self.around);
        let done = fleet.work(&shutdown).await;
        fleet.stop().await;
        done
    }
}
