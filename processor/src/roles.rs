//! The roles at work: each is a consumer application of its own, with its own leases and checkpoints.

use std::sync::Arc;
use std::time::Duration;

use dial_ingest::{InitialPosition, LeaseStore, PollPace, ProcessorFactory, StreamClient, Worker, WorkerConfig};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::failure::{Failure, Result};

/// One role of this worker: what it reads, where its leases lie, and what it does with records.
pub(crate) struct Role {
    pub(crate) name: &'static str,
    pub(crate) leases: Arc<dyn LeaseStore>,
    pub(crate) processors: Arc<dyn ProcessorFactory>,
    pub(crate) pace: PollPace,
}

/// What the roles of one worker have in common.
#[derive(Debug, Clone)]
pub(crate) struct Shift {
    pub(crate) worker_id: String,
    pub(crate) failover: Duration,
    pub(crate) initial_position: InitialPosition,
    pub(crate) stop_when_drained: bool,
}

/// Runs the roles until `shutdown`, or until the first of them fails; the others then stop cleanly too.
///
/// # Errors
/// What the first role that failed said.
pub(crate) async fn run(
    stream: Arc<dyn StreamClient>,
    roles: Vec<Role>,
    shift: &Shift,
    shutdown: CancellationToken,
) -> Result<()> {
    let mut running = JoinSet::new();
    for role in roles {
        let config = WorkerConfig {
            failover: shift.failover,
            pace: role.pace,
            initial_position: shift.initial_position,
            stop_when_drained: shift.stop_when_drained,
            ..WorkerConfig::new(shift.worker_id.clone())
        };
        let worker = Worker::new(config, stream.clone(), role.leases, role.processors);
        let shutdown = shutdown.clone();
        running.spawn(async move { (role.name, worker.run(shutdown).await) });
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
