//! The roles at work: each is a consumer application of its own, with its own leases and checkpoints.

use std::sync::Arc;
use std::time::Duration;

use dial_ingest::sharing::Sharing;
use dial_ingest::{
    InitialPosition, LeaseStore, PollPace, PrefetchBudget, ProcessorFactory, Read, StreamClient, Worker, WorkerConfig,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::failure::{Failure, Result};
use crate::monitor::RoleMonitor;

/// One role of this worker: what it reads, where its leases lie, and what it does with records.
pub(crate) struct Role {
    pub(crate) name: &'static str,
    pub(crate) leases: Arc<dyn LeaseStore>,
    pub(crate) processors: Arc<dyn ProcessorFactory>,
    pub(crate) read: Read,
    pub(crate) pace: PollPace,
}

/// What the roles of one worker have in common.
#[derive(Debug, Clone)]
pub(crate) struct Shift {
    pub(crate) worker_id: String,
    pub(crate) failover: Duration,
    pub(crate) initial_position: InitialPosition,
    pub(crate) prefetch: PrefetchBudget,
    /// Whether the roles share what the stream gives: not where it gives without limits.
    pub(crate) sharing: bool,
    pub(crate) stop_when_drained: bool,
}

/// The roles of one worker, ready to begin.
pub(crate) struct Crew(Vec<(&'static str, Worker)>);

impl Crew {
    /// Makes the workers. Of two roles on one stream the first goes first: the second makes room when it lags.
    pub(crate) fn new(stream: &Arc<dyn StreamClient>, roles: Vec<Role>, shift: &Shift) -> Crew {
        let (first, second) = Sharing::pair();
        let mut parts =
            [first, second].into_iter().filter(|_| shift.sharing && roles.len() == 2).collect::<Vec<_>>().into_iter();
        let worker = |role: Role| {
            let config = WorkerConfig {
                failover: shift.failover,
                read: role.read,
                pace: role.pace,
                prefetch: shift.prefetch,
                sharing: parts.next(),
                initial_position: shift.initial_position,
                stop_when_drained: shift.stop_when_drained,
                ..WorkerConfig::new(shift.worker_id.clone())
            };
            (role.name, Worker::new(config, stream.clone(), role.leases, role.processors))
        };
        Crew(roles.into_iter().map(worker).collect())
    }

    /// Handles on the workers.
    pub(crate) fn monitors(&self) -> Vec<RoleMonitor> {
        let monitor = |(name, worker): &(&'static str, Worker)| RoleMonitor {
            name,
            health: worker.health(),
            progress: worker.progress(),
        };
        self.0.iter().map(monitor).collect()
    }
}

/// Runs the roles until `shutdown`, or until the first of them fails; the others then stop cleanly too.
///
/// # Errors
/// What the first role that failed said.
pub(crate) async fn run(crew: Crew, shutdown: CancellationToken) -> Result<()> {
    let mut running = JoinSet::new();
    for (name, worker) in crew.0 {
        let shutdown = shutdown.clone();
        running.spawn(async move { (name, worker.run(shutdown).await) });
    }
    let mut first_failure = None;
    while let Some(ended) = running.join_next().await {
        let failure = match ended {
            Ok((_, Ok(()))) => continue,
            Ok((name, Err(error))) => Failure::outside(format!("the {name} role"), chain(&error)),
            Err(error) => Failure::outside("a role", error),
        };
        shutdown.cancel();
        first_failure.get_or_insert(failure);
    }
    first_failure.map_or(Ok(()), Err)
}

/// An error with the errors behind it, as one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        source = error.source();
    }
    text
}
