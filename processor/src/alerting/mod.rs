//! Alerts: findings that are recorded are owed to the sinks of the settings, and delivered by the outbox of `dial-sinks`.

pub(crate) mod desk;
pub(crate) mod destinations;
mod owing;
pub(crate) mod standing;

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use dial_sinks::outbox::clock::Clock;
use dial_sinks::outbox::courier::{Courier, CourierPorts, Offers};
use dial_sinks::outbox::pace::Pace;
use dial_sinks::outbox::store::Outbox;
use dial_sinks::store::FindingStore;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use self::desk::AlertDesk;
use self::owing::OwingFindingStore;
use crate::failure::Result;
use crate::settings::{Alerts, Settings};

/// How long a worker that has nothing more to read waits for its alerts to leave.
const LEAVING: Duration = Duration::from_secs(10);
/// The same after a signal.
const HURRIED: Duration = Duration::from_secs(2);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(20);

/// The store that a command records in which delivers nothing itself: where the settings name sinks it owes the alerts to them,
/// for the workers to deliver.
pub(crate) fn owing(settings: &Settings, store: Arc<dyn Outbox>) -> Arc<dyn FindingStore> {
    match settings.sinks.is_empty() {
        true => store,
        false => Arc::new(OwingFindingStore::without_courier(store)),
    }
}

/// The alerts of one worker.
#[derive(Debug)]
pub(crate) struct Alerting {
    courier: Courier,
    store: Arc<dyn Outbox>,
}

impl Alerting {
    /// Over this store; `None` where the settings name no sink, so that nothing is owed to anybody.
    ///
    /// # Errors
    /// What is wrong with the settings of sinks.
    pub(crate) async fn open(settings: &Settings, store: Arc<dyn Outbox>, desk: AlertDesk) -> Result<Option<Alerting>> {
        if settings.sinks.is_empty() {
            return Ok(None);
        }
        let sinks = destinations::open(settings).await?;
        tracing::info!(sinks = sinks.keys().cloned().collect::<Vec<_>>().join(", "), "alerting");
        let ports = CourierPorts { store: store.clone(), desk: Arc::new(desk), sinks };
        // A worker that was started again is another one: what it had claimed before is somebody else's.
        let worker = format!("{}#{:016x}", settings.worker.id(), RandomState::new().hash_one(()));
        let courier = Courier::new(ports, pace(&settings.alerts), worker, Clock::system());
        Ok(Some(Alerting { courier, store }))
    }

    /// The store that owes what it records.
    pub(crate) fn findings(&self) -> Arc<dyn FindingStore> {
        Arc::new(OwingFindingStore::new(self.store.clone(), self.courier.offers()))
    }

    /// What its sinks are doing.
    pub(crate) fn offers(&self) -> Offers {
        self.courier.offers()
    }

    /// Delivers beside `work`; when that has ended, until what was recorded by then has left or is to wait, for ten seconds at
    /// most, or two after a signal. The rest is others' to deliver.
    pub(crate) async fn beside<T>(self, work: impl Future<Output = T>, shutdown: &CancellationToken) -> T {
        let offers = self.courier.offers();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let courier = tokio::spawn(self.courier.run(async { drop(stopped.await) }));
        let done = work.await;
        let begun = Instant::now();
        while !offers.is_idle() && begun.elapsed() < if shutdown.is_cancelled() { HURRIED } else { LEAVING } {
            sleep(LOOK).await;
        }
        drop(stop);
        if let Err(error) = courier.await {
            tracing::error!(%error, "the outbox ended badly; what is owed is delivered by the next worker");
        }
        done
    }
}

/// How soon what is told.
fn pace(alerts: &Alerts) -> Pace {
    let Alerts { dedup_seconds, update_seconds, digest_seconds, storm_per_minute, .. } = *alerts;
    Pace {
        update_after: Duration::from_secs(update_seconds),
        digest_after: Duration::from_secs(digest_seconds),
        window: Duration::from_secs(dedup_seconds),
        most_groups: storm_per_minute,
        ..Pace::default()
    }
}
