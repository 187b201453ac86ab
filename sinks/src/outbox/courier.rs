//! [`Courier`]: routes what is owed and delivers what is due, as one of any number of workers.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use dial_rules::event::Millis;
use tokio::sync::{Mutex, Notify, mpsc, watch};
use tokio::task::{Id, JoinSet};
use tokio::time::{sleep, timeout};

use super::absent::Absent;
use super::clock::Clock;
use super::desk::Desk;
use super::health::Health;
use super::lane::{Destination, Lane, Turn};
use super::ledger::Ledger;
use super::pace::Pace;
use super::route::AT_ONCE;
use super::shelves::Shelves;
use super::store::Outbox;
use crate::archive::{ARCHIVE, FindingArchive};
use crate::sink::Sink;

/// Most findings that were offered and wait for being routed.
const MOST_OFFERED: usize = 10_000;
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
    /// Where every finding goes, whatever the policy makes of it, if there is such a place.
    pub archive: Option<Arc<dyn FindingArchive>>,
}

/// Routes what is owed and delivers what is due, as one of any number of workers.
#[derive(Debug)]
pub struct Courier {
    shared: Arc<Shared>,
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
    pub(crate) shelves: Shelves,
    offered: Mutex<mpsc::Receiver<String>>,
    dropped: AtomicU64,
    /// Findings that were offered and are not routed yet.
    unrouted: AtomicU64,
    /// The store was looked through once: what others left is known.
    swept: AtomicBool,
    /// Asks for a sweep.
    look: Notify,
    stopping: watch::Sender<bool>,
}

impl Shared {
    /// The lane of a sink.
    pub(crate) fn lane(&self, sink: &str) -> &Arc<Lane> {
        self.lanes.get(sink).unwrap_or(&self.absent)
    }

    /// Whether nothing more comes and some of what came is known to the store alone: it is not left for a while to the worker
    /// that recorded it, since that is this one.
    pub(crate) fn is_leaving(&self) -> bool {
        self.ledger.is_hurried() && self.dropped.load(Ordering::Relaxed) > 0
    }

    fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Until the courier is to stop.
    async fn stopped(&self) {
        self.stopping.subscribe().wait_for(|is_stopping| *is_stopping).await.ok();
    }
}

impl Offers {
    /// Findings that were just recorded as owed: their alerts leave at once. Never waits; what does not fit stays owed, and
    /// is found by a sweep.
    pub fn offer(&self, finding_ids: impl IntoIterator<Item = String>) {
        for id in finding_ids {
            self.shared.unrouted.fetch_add(1, Ordering::Relaxed);
            if self.offers.try_send(id).is_err() {
                self.shared.unrouted.fetch_sub(1, Ordering::Relaxed);
                self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Nothing more comes: what gathers for the archive leaves at once from now on, and findings that found no room when they
    /// were offered are looked for. [`Offers::is_archived`] tells when all that is done. Doing it again changes nothing.
    pub fn flush(&self) {
        if !self.shared.ledger.hurry() {
            return;
        }
        if self.shared.is_leaving() {
            self.shared.swept.store(false, Ordering::Relaxed);
            self.shared.look.notify_one();
        }
        if let Some(lane) = self.shared.lanes.get(ARCHIVE) {
            lane.hurry(self.shared.clock.now());
        }
    }

    /// How many findings found no room when they were offered, since the start. None is lost.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Whether the store was looked through since the start, all that was offered is routed, and nothing is due at a sink that
    /// takes it. What waits for a digest, or for a sink that failed, is not due.
    pub fn is_idle(&self) -> bool {
        let settled = |health: Health| health.backlog == 0 || health.is_left_alone;
        self.is_routed() && self.health().into_values().all(settled)
    }

    /// Whether all that was offered is routed and nothing is due at the archive, or it does not take what is: what alerts are
    /// waiting for makes no difference.
    pub fn is_archived(&self) -> bool {
        let archive = self.shared.lanes.get(ARCHIVE).map(|lane| lane.health(self.shared.clock.now()));
        self.is_routed() && archive.is_none_or(|health| health.backlog == 0 || health.is_left_alone)
    }

    /// Whether the store was looked through, and all that was offered is routed.
    fn is_routed(&self) -> bool {
        self.shared.swept.load(Ordering::Relaxed) && self.shared.unrouted.load(Ordering::Relaxed) == 0
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
    Route,
    Sweep,
    Deliver(Arc<Lane>),
}

impl Courier {
    /// A courier for the worker with this id, which no other worker has, nor had.
    pub fn new(ports: CourierPorts, pace: Pace, worker: impl Into<String>, clock: Clock) -> Courier {
        let to = |destination: Destination| Arc::new(Lane::new(destination));
        let sinks = ports.sinks.iter().map(|(name, sink)| (name.clone(), to(Destination::Sink(Arc::clone(sink)))));
        let archive =
            ports.archive.iter().map(|archive| (ARCHIVE.to_owned(), to(Destination::Archive(archive.clone()))));
        let lanes = sinks.chain(archive);
        let (offers, offered) = mpsc::channel(MOST_OFFERED);
        let shared = Shared {
            lanes: lanes.collect(),
            absent: to(Destination::Sink(Arc::new(Absent))),
            ledger: Ledger::new(Arc::clone(&ports.store), pace, clock.clone()),
            shelves: Shelves::default(),
            ports,
            worker: worker.into(),
            clock,
            offered: Mutex::new(offered),
            dropped: AtomicU64::new(0),
            unrouted: AtomicU64::new(0),
            swept: AtomicBool::new(false),
            look: Notify::new(),
            stopping: watch::Sender::new(false),
        };
        Courier { shared: Arc::new(shared), offers }
    }

    /// Where findings are offered.
    pub fn offers(&self) -> Offers {
        Offers { shared: Arc::clone(&self.shared), offers: self.offers.clone() }
    }

    /// Works until `stop`, finishes what is being sent for five seconds, and leaves the rest to others. It may be dropped
    /// at any time: that delays what it was doing by half a minute.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let shared = self.shared;
        let mut tasks = JoinSet::new();
        let mut running: HashMap<Id, Task> = HashMap::new();
        let lanes = shared.lanes.values().chain([&shared.absent]);
        let delivering = lanes.flat_map(|lane| (0..lane.tasks()).map(|_| Task::Deliver(Arc::clone(lane))));
        for task in [Task::Route, Task::Sweep].into_iter().chain(delivering) {
            running.insert(spawn(&mut tasks, &shared, task.clone(), Duration::ZERO), task);
        }
        tokio::pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(ended) = tasks.join_next_with_id() => {
                    // They end by panicking only.
                    let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                    let Some(task) = running.remove(&id) else { continue };
                    tracing::error!(?task, "a part of the outbox has failed, and begins anew");
                    running.insert(spawn(&mut tasks, &shared, task.clone(), AFTER_A_PANIC), task);
                }
            }
        }
        shared.stopping.send_replace(true);
        let finish = async { while tasks.join_next().await.is_some() {} };
        timeout(FINISHING, finish).await.ok();
    }
}

/// Starts a task.
fn spawn(tasks: &mut JoinSet<()>, shared: &Arc<Shared>, task: Task, after: Duration) -> Id {
    let shared = Arc::clone(shared);
    let handle = tasks.spawn(async move {
        sleep(after).await;
        match task {
            Task::Route => until(shared.stopped(), routing(&shared)).await,
            Task::Sweep => until(shared.stopped(), sweeping(&shared)).await,
            Task::Deliver(lane) => delivering(&shared, &lane).await,
        }
    });
    handle.id()
}

/// Works until something happens, and drops the work then.
async fn until(stop: impl Future<Output = ()>, work: impl Future<Output = ()>) {
    tokio::select! {
        biased;
        () = stop => {}
        () = work => {}
    }
}

/// Routes what is offered.
async fn routing(shared: &Shared) {
    let mut offered = shared.offered.lock().await;
    let mut some = Vec::new();
    while offered.recv_many(&mut some, AT_ONCE).await > 0 {
        let count = some.len() as u64;
        shared.route(std::mem::take(&mut some)).await;
        shared.unrouted.fetch_sub(count, Ordering::Relaxed);
    }
}

/// Sweeps at once, and again after a while or when it is asked to.
async fn sweeping(shared: &Shared) {
    loop {
        let is_whole = shared.sweep().await;
        if !is_whole && shared.is_leaving() {
            continue;
        }
        shared.swept.store(true, Ordering::Relaxed);
        let pause = shared.clock.around(shared.ledger.pace().sweep_every);
        timeout(pause, shared.look.notified()).await.ok();
    }
}

/// Gives an alert back to its lane, whatever becomes of whoever looks at it.
struct Taken<'l> {
    lane: &'l Lane,
    key: String,
    due: Option<Millis>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.lane.finish(std::mem::take(&mut self.key), self.due);
    }
}

/// Delivers what is due at a sink, one after the other.
async fn delivering(shared: &Shared, lane: &Lane) {
    while !shared.is_stopping() {
        let now = shared.clock.now();
        match lane.take(now) {
            Turn::Now(key) => {
                let mut taken = Taken { lane, key, due: None };
                match shared.attempt(lane, &taken.key).await {
                    Ok(due) => taken.due = due,
                    Err(error) => tracing::warn!(%error, key = taken.key, "an alert could not be attempted"),
                }
            }
            Turn::Later(at) => {
                let wait = at.map(|at| u64::try_from(at.saturating_sub(now)).unwrap_or(0));
                let woken_or_due = async {
                    match wait {
                        Some(wait) => drop(timeout(Duration::from_millis(wait), lane.woken()).await),
                        None => lane.woken().await,
                    }
                };
                until(shared.stopped(), woken_or_due).await;
            }
        }
    }
}
