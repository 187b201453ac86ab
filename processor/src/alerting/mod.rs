//! Alerts: findings that are recorded are owed to the archive and to the sinks of the settings, and delivered by the outbox of
//! `dial-sinks`.

mod archive;
pub(crate) mod desk;
pub(crate) mod destinations;
mod owing;
pub(crate) mod standing;

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use dial_sinks::archive::{ARCHIVE, FindingArchive};
use dial_sinks::outbox::clock::Clock;
use dial_sinks::outbox::courier::{Courier, CourierPorts, Offers};
use dial_sinks::outbox::pace::Pace;
use dial_sinks::outbox::store::Outbox;
use dial_sinks::store::FindingStore;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use self::archive::ParquetFindings;
use self::desk::AlertDesk;
use self::owing::OwingFindingStore;
use crate::failure::Result;
use crate::settings::{Alerts, Settings};

/// How long a worker that has nothing more to read waits for its alerts to leave.
const LEAVING: Duration = Duration::from_secs(10);
/// How long it then waits for findings to be archived.
const ARCHIVING: Duration = Duration::from_secs(60);
/// How long it waits after a signal.
const HURRIED: Duration = Duration::from_secs(2);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(20);

/// The store that a command records in which delivers nothing itself: what it records is owed to the archive and the sinks, for
/// the workers to deliver.
pub(crate) fn owing(store: Arc<dyn Outbox>) -> Arc<dyn FindingStore> {
    Arc::new(OwingFindingStore::without_courier(store))
}

/// The alerts of one worker.
#[derive(Debug)]
pub(crate) struct Alerting {
    courier: Courier,
    store: Arc<dyn Outbox>,
}

impl Alerting {
    /// Over this store.
    ///
    /// # Errors
    /// What is wrong with the settings of sinks.
    pub(crate) async fn open(settings: &Settings, store: Arc<dyn Outbox>, desk: AlertDesk) -> Result<Alerting> {
        let sinks = destinations::open(settings).await?;
        if !sinks.is_empty() {
            tracing::info!(sinks = sinks.keys().cloned().collect::<Vec<_>>().join(", "), "alerting");
        }
        let archive = Some(Arc::new(ParquetFindings::new(settings)) as Arc<dyn FindingArchive>);
        let ports = CourierPorts { store: store.clone(), desk: Arc::new(desk), sinks, archive };
        // A worker that was started again is another one: what it had claimed before is somebody else's.
        let worker = format!("{}#{:016x}", settings.worker.id(), RandomState::new().hash_one(()));
        let courier = Courier::new(ports, pace(settings), worker, Clock::system());
        Ok(Alerting { courier, store })
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
    /// most, and until it is archived, for a minute at most; for two seconds after a signal. The rest is others' to deliver.
    pub(crate) async fn beside<T>(self, work: impl Future<Output = T>, shutdown: &CancellationToken) -> T {
        let offers = self.courier.offers();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let courier = tokio::spawn(self.courier.run(async { drop(stopped.await) }));
        let done = work.await;
        let begun = Instant::now();
        if !shutdown.is_cancelled() {
            // First all that was recorded is routed, so that it is archived in few files.
            until(|| offers.is_idle(), LEAVING, shutdown).await;
        }
        offers.flush();
        until(|| offers.is_archived(), ARCHIVING, shutdown).await;
        if shutdown.is_cancelled() {
            until(|| offers.is_idle(), HURRIED.saturating_sub(begun.elapsed()), shutdown).await;
        }
        if offers.health().get(ARCHIVE).is_some_and(|health| health.backlog > 0 || health.is_left_alone) {
            tracing::warn!("findings wait for the archive: the next worker writes them");
        }
        drop(stop);
        if let Err(error) = courier.await {
            tracing::error!(%error, "the outbox ended badly; what is owed is delivered by the next worker");
        }
        done
    }
}

/// Until it is so, for so long at most, or for a little while after a signal.
async fn until(is_so: impl Fn() -> bool, most: Duration, shutdown: &CancellationToken) {
    let begun = Instant::now();
    while !is_so() && begun.elapsed() < if shutdown.is_cancelled() { HURRIED.min(most) } else { most } {
        sleep(LOOK).await;
    }
}

/// How soon what is told.
fn pace(settings: &Settings) -> Pace {
    let Alerts { dedup_seconds, update_seconds, digest_seconds, storm_per_minute, .. } = settings.alerts;
    Pace {
        update_after: Duration::from_secs(update_seconds),
        digest_after: Duration::from_secs(digest_seconds),
        window: Duration::from_secs(dedup_seconds),
        batch_after: Duration::from_secs(settings.archive.findings_seconds),
        most_groups: storm_per_minute,
        ..Pace::default()
    }
}
