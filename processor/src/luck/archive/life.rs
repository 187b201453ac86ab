//! A case lived: real workers on a stream in memory, under virtual time, until everything is behind their checkpoints.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dial_analytics::failing::FailingStore;
use dial_analytics::memory::MemoryStore;
use dial_analytics::read;
use dial_ingest::failing::{Failing, Faults};
use dial_ingest::memory::{MemoryLeases, MemoryStream};
use dial_ingest::sequence::Position;
use dial_ingest::{Worker, WorkerConfig};
use dial_rules::event::Millis;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::super::case::{Reshard, Seat};
use super::super::ports::Gate;
use super::super::seat::{self, Life};
use super::breach::Breach;
use super::case::Case;
use super::ports::{Backend, Gated};
use super::record::{Kept, Key};
use crate::archiver::Archive;
use crate::settings;

/// After this long, by virtual time, something is stuck.
const LONGEST: Duration = Duration::from_secs(900);
/// When a case begins, in milliseconds since 1970.
const BEGIN: Millis = 1_770_000_000_000;

/// How a case ended.
#[derive(Debug, Default)]
pub(super) struct Lived {
    pub(super) expected: BTreeMap<Key, Kept>,
    pub(super) archived: Vec<(Key, Kept)>,
    pub(super) files: usize,
    /// Open intents that were taken over.
    pub(super) recovered: usize,
    /// Files that were there already when they were put.
    pub(super) existed: usize,
    /// How often a worker died in a call, died otherwise, or was stopped.
    pub(super) ends: [usize; 3],
    pub(super) reshards: usize,
    /// How long it took.
    pub(super) took: Duration,
}

/// What all lives of all workers share.
struct World {
    case: Case,
    stream: Arc<MemoryStream>,
    leases: Arc<MemoryLeases>,
    backend: Arc<Backend>,
    breach: Option<Breach>,
    ends: Mutex<[usize; 3]>,
    expected: Mutex<BTreeMap<Key, Kept>>,
    /// The last user record of each shard.
    last: Mutex<BTreeMap<String, Position>>,
}

/// Lives a case to its end.
///
/// # Errors
/// What is stuck.
pub(super) fn live(case: &Case, breach: Option<Breach>) -> Result<Lived, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async { World::new(case.clone(), breach).live().await })
}

impl World {
    fn new(case: Case, breach: Option<Breach>) -> Arc<World> {
        let leases: Arc<MemoryLeases> = Arc::default();
        let faults = Faults { seed: case.seed ^ 1, percent: case.faults, delay: Duration::from_secs(12) };
        let backend = Backend {
            store: FailingStore::new(MemoryStore::new(), case.seed ^ 2, case.failing),
            leases: Failing::new(leases.clone(), faults),
            existed: AtomicUsize::new(0),
            recovered: AtomicUsize::new(0),
            begun: Instant::now(),
        };
        Arc::new(World {
            stream: Arc::new(MemoryStream::new(case.shards)),
            leases,
            backend: Arc::new(backend),
            breach,
            ends: Mutex::default(),
            expected: Mutex::default(),
            last: Mutex::default(),
            case,
        })
    }

    async fn live(self: Arc<World>) -> Result<Lived, String> {
        let begun = self.backend.begun;
        let mut seats = JoinSet::new();
        for (at, seat) in self.case.seats.iter().enumerate() {
            seats.spawn(self.clone().sit(at, seat.clone()));
        }
        let mut reshards = 0;
        let mut acts: Vec<(Duration, Act)> =
            self.case.puts.iter().enumerate().map(|(n, (at, _))| (*at, Act::Put(n))).collect();
        acts.extend(self.case.reshards.iter().map(|(at, reshard)| (*at, Act::Reshard(*reshard))));
        acts.sort_by_key(|(at, _)| *at);
        for (at, act) in acts {
            sleep_until(begun + at).await;
            match act {
                Act::Put(n) => self.put(n),
                Act::Reshard(reshard) => reshards += usize::from(self.reshard(reshard)),
            }
        }
        while !self.behind().is_empty() {
            if begun.elapsed() > LONGEST {
                return Err(format!("not done after {LONGEST:?}: {:?}", self.behind()));
            }
            if let Some(ended) = seats.try_join_next() {
                return Err(format!("a worker ended: {ended:?}"));
            }
            sleep(Duration::from_millis(200)).await;
        }
        let took = begun.elapsed();
        // What the dead have sent is on its way still.
        sleep(self.case.slowest * 2).await;
        let archived = self.archived().await?;
        Ok(Lived {
            expected: self.expected.lock().unwrap().clone(),
            recovered: self.backend.recovered.load(Ordering::Relaxed),
            existed: self.backend.existed.load(Ordering::Relaxed),
            ends: *self.ends.lock().unwrap(),
            reshards,
            took,
            ..archived
        })
    }

    /// Works until there is no life left to end.
    async fn sit(self: Arc<World>, at: usize, seat: Seat) {
        sleep(seat.begins).await;
        for Life { name, seed, end, pause } in seat.lives(at) {
            let how = seat::live(seed, self.case.slowest, end, |gate| self.worker(&name, gate)).await;
            self.ends.lock().unwrap()[how as usize] += 1;
            sleep(pause).await;
        }
    }

    fn worker(&self, name: &str, gate: &Arc<Gate>) -> Worker {
        let (backend, breach) = (self.backend.clone(), self.breach);
        let ports = Arc::new(Gated { gate: gate.clone(), backend, breach, held: Arc::default() });
        let raw = settings::Archive { raw: self.case.raw, ..settings::Archive::default() };
        let begun = self.backend.begun;
        let clock = move || BEGIN + Millis::try_from(begun.elapsed().as_millis()).unwrap();
        let tables = watch::channel(Arc::default()).1;
        let archive = Archive::new(ports.clone(), &raw, tables).timed(self.case.policy, clock);
        let config = WorkerConfig { shard_sync_interval: Duration::from_secs(3), ..WorkerConfig::new(name) };
        Worker::new(config, self.stream.clone(), ports, Arc::new(archive))
    }

    fn put(&self, n: usize) {
        let put = &self.case.puts[n].1;
        let (shard, number) = self.stream.put(&put.key, put.data()).unwrap();
        self.expected.lock().unwrap().extend(put.kept(&shard, number.as_str()));
        self.last.lock().unwrap().insert(shard, Position::new(number, put.last()));
    }

    /// Splits or merges the first open shards, if there are any to merge.
    fn reshard(&self, reshard: Reshard) -> bool {
        let ids: Vec<String> = (0..12).map(|n| format!("shardId-{n:012}")).collect();
        match reshard {
            Reshard::Split => ids.iter().any(|id| self.stream.split(id).is_ok()),
            Reshard::Merge => ids.iter().any(|lower| ids.iter().any(|upper| self.stream.merge(lower, upper).is_ok())),
        }
    }

    /// The shards that have records after their checkpoints, with these.
    fn behind(&self) -> Vec<(String, Option<Position>)> {
        let leases = self.leases.snapshot();
        let last = self.last.lock().unwrap();
        let checkpoint = |shard: &str| leases.get(shard).map(|lease| lease.checkpoint.clone());
        let each = last.iter().map(|(shard, last)| (shard.clone(), checkpoint(shard), last));
        let behind = each.filter(|(_, checkpoint, last)| checkpoint.as_ref().is_none_or(|it| it < *last));
        behind.map(|(shard, checkpoint, _)| (shard, checkpoint)).collect()
    }

    /// What lies in the files.
    async fn archived(&self) -> Result<Lived, String> {
        let contents = read::contents(self.backend.store.inner()).await.map_err(|error| error.to_string())?;
        let key = |shard: String, key: &dial_analytics::position::RowKey| {
            (shard, key.position.sequence().to_owned(), key.position.sub_sequence(), key.index)
        };
        let rows = contents.rows.into_iter().map(|row| (key(row.shard_id, &row.key), Kept::Event(row.event_id)));
        let letters = contents.dead_letters.into_iter().map(|(shard, it)| (key(shard, &it.key), Kept::DeadLetter));
        Ok(Lived { archived: rows.chain(letters).collect(), files: contents.files.len(), ..Lived::default() })
    }
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Put(usize),
    Reshard(Reshard),
}
