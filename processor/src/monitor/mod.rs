//! What a running worker tells others of itself, over HTTP: metrics, whether it lives, whether it is ready.

mod alerts;
pub(crate) mod exposition;
mod listener;
pub(crate) mod metrics;
mod snapshot;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use dial_ingest::health::HealthMonitor;
use dial_ingest::progress::WorkerProgress;
use dial_sinks::outbox::courier::Offers;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::archiver::meter::Meter;
use crate::clock;
use crate::detector::Counts;
use crate::door;
use crate::enrich::enricher::Enricher;
pub(crate) use listener::Listener;
use snapshot::{Done, RoleSnapshot, Snapshot};

/// Handles on one role at work.
pub(crate) struct RoleMonitor {
    pub(crate) name: &'static str,
    pub(crate) health: HealthMonitor,
    pub(crate) progress: watch::Receiver<WorkerProgress>,
}

/// Handles on a worker.
pub(crate) struct Monitor {
    worker_id: String,
    started: Instant,
    started_epoch: f64,
    roles: Vec<RoleMonitor>,
    counts: Arc<Counts>,
    sources: Enricher,
    shutdown: CancellationToken,
    door: Option<door::Watch>,
    alerts: Option<Offers>,
    archive: Option<Meter>,
}

impl Monitor {
    /// Of the worker that has just been started.
    pub(crate) fn new(
        worker_id: String,
        roles: Vec<RoleMonitor>,
        counts: Arc<Counts>,
        sources: Enricher,
        shutdown: CancellationToken,
    ) -> Monitor {
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Monitor {
            worker_id,
            started: Instant::now(),
            started_epoch: epoch.as_secs_f64(),
            roles,
            counts,
            sources,
            shutdown,
            door: None,
            alerts: None,
            archive: None,
        }
    }

    /// The same with a door, if it has one.
    pub(crate) fn with_door(self, door: Option<door::Watch>) -> Monitor {
        Monitor { door, ..self }
    }

    /// The same with an outbox, if it records findings.
    pub(crate) fn with_alerts(self, alerts: Option<Offers>) -> Monitor {
        Monitor { alerts, ..self }
    }

    /// The same with the archive role, if it has that.
    pub(crate) fn with_archive(self, archive: Option<Meter>) -> Monitor {
        Monitor { archive, ..self }
    }

    /// The worker as it is now.
    fn look(&self) -> Snapshot {
        let look = |role: &RoleMonitor| RoleSnapshot {
            name: role.name,
            health: role.health.look(),
            progress: role.progress.borrow().clone(),
        };
        Snapshot {
            worker_id: self.worker_id.clone(),
            started: self.started,
            started_epoch: self.started_epoch,
            stopping: self.shutdown.is_cancelled(),
            roles: self.roles.iter().map(look).collect(),
            done: Done {
                events: self.counts.events.load(Ordering::Relaxed),
                dead_letters: self.counts.dead_letters.load(Ordering::Relaxed),
                new_findings: self.counts.new_findings(),
                by_status: self.counts.by_status(),
                links: self.counts.links.load(Ordering::Relaxed),
                clamped: self.counts.clamped.load(Ordering::Relaxed),
                waiting: self.counts.waiting.load(Ordering::Relaxed),
                correlation: self.counts.correlation.read(),
            },
            sources: self.sources.readings(),
            door: self.door.as_ref().map(door::Watch::read),
            alerts: self.alerts.as_ref().map(|offers| alerts::Reading::of(offers, clock::now())),
            archive: self.archive.as_ref().map(Meter::read),
            // After the looks, so that no time in them lies ahead.
            now: Instant::now(),
        }
    }
}
