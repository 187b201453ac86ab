//! [`Courier`]: routes what is owed and delivers what is due, as one of any number of workers.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::absent::Absent;
use super::clock::Clock;
use super::desk::Desk;
use super::health::Health;
use super::lane::{Lane, Turn};
use super::ledger::Ledger;
use super::pace::Pace;
use super::route::AT_ONCE;
use super::store::Outbox;
use crate::sink::Sink;

/// Most findings that were offered and wait for being routed.
const MOST_OFFERED: usize = 10_000;
/// How many alerts of a sink are delivered at the same time.
const TASKS: usize = 4;
/// How long what is being sent may take after a stop.
const FINISHING: Duration = Duration::from_secs(5);
/// How long a task that panicked is left alone.
const AFTER_A_PANIC: Duration = Duration::from_secs(1);

/// What a courier works with.
#[derive(Debug, Clone)]
pub struct CourierPorts {
    /// Findings and what is owed of them.
    pub store: Arc<dyn Outbox>,
    /// What findings mean.
    pub desk: Arc<dyn Desk>,
    /// The sinks by their names.
    pub sinks: BTreeMap<String, Arc<dyn Sink>>,
}

/// Routes what is owed and delivers what is due, as one of any number of workers.
#[derive(Debug)]
pub struct Courier {
    shared: Arc<Shared>,
    offered: mpsc::Receiver<String>,
    offers: mpsc::Sender<String>,
}

/// Where findings are offered to a courier, and its sinks are asked after. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Offers {
    shared: Arc<Shared>,
    offers: mpsc::Sender<String>,
}

/// What the tasks of a courier share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) ports: CourierPorts,
    pub(crate) ledger: Ledger,
    pub(crate) worker: String,
    pub(crate) clock: Clock,
    lanes: BTreeMap<String, Arc<Lane>>,
    absent: Arc<Lane>,
    dropped: AtomicU64,
    is_stopping: AtomicBool,
}

impl Shared {
    /// The lane of a sink.
    pub(crate) fn lane(&self, sink: &str) -> &Arc<Lane> {
        self.lanes.get(sink).unwrap_or(&self.absent)
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }
}

impl Offers {
    /// Findings that were just recorded as owed: their alerts leave at once. Never waits; what does not fit stays owed, and
    /// is found by a sweep.
    pub fn offer(&self, finding_ids: impl IntoIterator<Item = String>) {
        let refused = finding_ids.into_iter().filter(|id| self.offers.try_send(id.clone()).is_err()).count();
        self.shared.dropped.fetch_add(refused as u64, Ordering::Relaxed);
    }

    /// How many findings found no room when they were offered, since the start. None is lost.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// How each sink is doing. Alerts for sinks that the settings do not name are under the empty name, if there are any.
    pub fn health(&self) -> BTreeMap<String, Health> {
        let now = self.shared.clock.now();
        let known = self.shared.lanes.iter().map(|(name, lane)| (name.clone(), lane.health(now)));
        let absent = self.shared.absent.health(now);
        known.chain((absent != Health::default()).then(|| (String::new(), absent))).collect()
    }
}

/// One of a courier's tasks.
#[derive(Debug, Clone)]
enum Task {
    Sweep,
    Deliver(Arc<Lane>),
}

impl Courier {
    /// A courier for the worker with this id, which no other worker has, nor had.
    pub fn new(ports: CourierPorts, pace: Pace, worker: impl Into<String>, clock: Clock) -> Courier {
        let lanes = ports.sinks.iter().map(|(name, sink)| (name.clone(), Arc::new(Lane::new(Arc::clone(sink)))));
        let shared = Shared {
            lanes: lanes.collect(),
            absent: Arc::new(Lane::new(Arc::new(Absent))),
            ledger: Ledger { store: Arc::clone(&ports.store), pace, clock: clock.clone() },
            ports,
            worker: worker.into(),
            clock,
            dropped: AtomicU64::new(0),
            is_stopping: AtomicBool::new(false),
        };
        let (offers, offered) = mpsc::channel(MOST_OFFERED);
        Courier { shared: Arc::new(shared), offered, offers }
    }

    /// Where findings are offered.
    pub fn offers(&self) -> Offers {
        Offers { shared: Arc::clone(&self.shared), offers: self.offers.clone() }
    }

    /// Works until `stop`, finishes what is being sent for five seconds, and leaves the rest to others. It may be dropped
    /// at any time: that delays what it was doing by half a minute.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let Courier { shared, mut offered, offers: _open } = self;
        let mut tasks = JoinSet::new();
        let mut ids = BTreeMap::new();
        let lanes = shared.lanes.values().chain([&shared.absent]);
        let delivering = lanes.flat_map(|lane| (0..TASKS).map(|_| Task::Deliver(Arc::clone(lane))));
        for task in std::iter::once(Task::Sweep).chain(delivering) {
            ids.insert(spawn(&mut tasks, &shared, task.clone(), Duration::ZERO), task);
        }
        let routing = Arc::clone(&shared);
        let route = async move {
            let mut some = Vec::new();
            while offered.recv_many(&mut some, AT_ONCE).await > 0 {
                routing.route(std::mem::take(&mut some)).await;
            }
        };
        tokio::pin!(stop, route);
        let mut is_routing = true;
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(ended) = tasks.join_next_with_id() => {
                    let id = match &ended {
                        Ok((id, ())) => *id,
                        Err(error) => error.id(),
                    };
                    let Some(task) = ids.remove(&id.to_string()) else { continue };
                    tracing::error!(?task, "a part of the outbox has failed, and begins anew");
                    ids.insert(spawn(&mut tasks, &shared, task.clone(), AFTER_A_PANIC), task);
                }
                () = &mut route, if is_routing => is_routing = false,
            }
        }
        shared.is_stopping.store(true, Ordering::Relaxed);
        for lane in shared.lanes.values().chain([&shared.absent]) {
            lane.wake_all();
        }
        let finish = async { while tasks.join_next().await.is_some() {} };
        timeout(FINISHING, finish).await.ok();
    }
}

/// Starts a task, and returns its id.
fn spawn(tasks: &mut JoinSet<()>, shared: &Arc<Shared>, task: Task, after: Duration) -> String {
    let shared = Arc::clone(shared);
    let handle = tasks.spawn(async move {
        sleep(after).await;
        match task {
            Task::Sweep => sweeping(&shared).await,
            Task::Deliver(lane) => delivering(&shared, &lane).await,
        }
    });
    handle.id().to_string()
}

/// Sweeps at once, and again after a while.
async fn sweeping(shared: &Shared) {
    while !shared.is_stopping() {
        shared.sweep().await;
        sleep(shared.clock.around(shared.ledger.pace.sweep_every)).await;
    }
}

/// Delivers what is due at a sink, one after the other.
async fn delivering(shared: &Shared, lane: &Lane) {
    while !shared.is_stopping() {
        let now = shared.clock.now();
        let key = match lane.take(now) {
            Turn::Now(key) => key,
            Turn::Later(None) => {
                lane.woken().await;
                continue;
            }
            Turn::Later(Some(at)) => {
                let wait = Duration::from_millis(u64::try_from(at.saturating_sub(now)).unwrap_or(0));
                tokio::select! {
                    biased;
                    () = lane.woken() => {}
                    () = sleep_until(Instant::now() + wait) => {}
                }
                continue;
            }
        };
        let due = shared.attempt(lane, &key).await.unwrap_or_else(|error| {
            tracing::warn!(%error, key, "an alert could not be attempted");
            None
        });
        lane.finish(key, due);
    }
}
