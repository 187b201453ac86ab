//! A case lived: real workers on a stream in memory, under virtual time, until everything is behind their checkpoints.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dial_ingest::memory::{MemoryLeases, MemoryStream};
use dial_ingest::sequence::{Position, SequenceNumber};
use dial_ingest::stream::StreamClient;
use dial_ingest::{Worker, WorkerConfig};
use dial_rules::finding::Finding;
use dial_rules::ruleset::RuleSet;
use dial_sinks::actors::ActorStore;
use dial_sinks::actors::failing::FailingActorStore;
use dial_sinks::actors::memory::MemoryActorStore;
use dial_sinks::failing::{FailingFindingStore, FailureRates};
use dial_sinks::filter::FindingFilter;
use dial_sinks::memory::MemoryFindingStore;
use dial_sinks::store::FindingStore;
use dial_sinks::windows::failing::FailingWindowStore;
use dial_sinks::windows::memory::MemoryWindowStore;
use dial_sinks::windows::retention::Retention;
use dial_sinks::windows::store::WindowStore;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::breach::{Breach, Broken};
use super::case::{Case, Reshard, Seat};
use super::naive::Findings;
use super::ports::{Dated, Gate, Gated};
use super::seat::{self, Life};
use super::spec;

/// After this long, by virtual time, something is stuck.
const LONGEST: Duration = Duration::from_secs(900);

/// How a case ended.
#[derive(Debug, Default)]
pub(super) struct Lived {
    pub(super) findings: Findings,
    /// How often a worker died in a call, died otherwise, or was stopped.
    pub(super) ends: [usize; 3],
    pub(super) injected: u64,
    pub(super) reshards: usize,
    /// How long it took.
    pub(super) took: Duration,
}

/// What all lives of all workers share.
struct World {
    case: Case,
    rules: Arc<RuleSet>,
    stream: Arc<Dated>,
    leases: Arc<MemoryLeases>,
    windows: Arc<FailingWindowStore>,
    actors: Arc<FailingActorStore>,
    /// What fails, before what is looked at in the end.
    failing: Arc<FailingFindingStore>,
    findings: Arc<dyn FindingStore>,
    breach: Option<Breach>,
    ends: Mutex<[usize; 3]>,
    /// The last record of each shard.
    last: Mutex<BTreeMap<String, SequenceNumber>>,
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
        let stream = MemoryStream::new(case.shards);
        let rate = case.failing as f64 / 1_000.0;
        let rates = FailureRates { before: rate, halfway: rate, after: rate };
        let windows = Arc::new(MemoryWindowStore::new(Retention::default()));
        let actors = Arc::new(MemoryActorStore::new());
        let mut findings: Arc<dyn FindingStore> = Arc::new(MemoryFindingStore::new());
        if let Some(breach) = breach {
            findings = Arc::new(Broken::new(findings, breach));
        }
        Arc::new(World {
            rules: Arc::new(spec::load(&case.specs)),
            stream: Arc::new(Dated { stream, arrivals: Mutex::default() }),
            leases: Arc::default(),
            windows: Arc::new(FailingWindowStore::new(windows, rates, case.seed ^ 1)),
            actors: Arc::new(FailingActorStore::new(actors, rates, case.seed ^ 2)),
            failing: Arc::new(FailingFindingStore::new(findings.clone(), rates, case.seed ^ 3)),
            findings,
            breach,
            ends: Mutex::default(),
            last: Mutex::default(),
            case,
        })
    }

    async fn live(self: Arc<World>) -> Result<Lived, String> {
        let begun = Instant::now();
        let mut seats = JoinSet::new();
        for (at, seat) in self.case.seats.iter().enumerate() {
            seats.spawn(self.clone().sit(at, seat.clone()));
        }
        let mut reshards = 0;
        let mut acts: Vec<(Duration, Act)> =
            self.case.puts.iter().enumerate().map(|(n, put)| (put.at, Act::Put(n))).collect();
        acts.extend(self.case.reshards.iter().map(|(at, reshard)| (*at, Act::Reshard(*reshard))));
        acts.sort_by_key(|(at, _)| *at);
        for (at, act) in acts {
            sleep_until(begun + at).await;
            match act {
                Act::Put(n) => self.put(n),
                Act::Reshard(reshard) => reshards += usize::from(self.reshard(reshard)),
            }
        }
        while !self.is_behind() {
            if begun.elapsed() > LONGEST {
                return Err(format!("not done after {LONGEST:?}: {:?} of {:?}", self.leases.snapshot(), self.last));
            }
            if let Some(ended) = seats.try_join_next() {
                return Err(format!("a worker ended: {ended:?}"));
            }
            sleep(Duration::from_millis(50)).await;
        }
        let took = begun.elapsed();
        let findings = self.found().await;
        let ends = *self.ends.lock().unwrap();
        let injected = self.windows.injected() + self.actors.injected() + self.failing.injected();
        // Nothing comes after what the checkpoints have passed.
        if self.case.seed.is_multiple_of(8) {
            sleep(Duration::from_secs(30)).await;
            if self.found().await != findings {
                return Err("something changed after everything was behind the checkpoints".to_owned());
            }
        }
        Ok(Lived { findings, ends, injected, reshards, took })
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
        let mut windows: Arc<dyn WindowStore> = self.windows.clone();
        let mut actors: Arc<dyn ActorStore> = self.actors.clone();
        if let Some(breach) = self.breach {
            windows = Arc::new(Broken::new(windows, breach));
            actors = Arc::new(Broken::new(actors, breach));
        }
        let findings: Arc<dyn FindingStore> = self.failing.clone();
        let detect = super::detect(
            self.rules.clone(),
            Arc::new(Gated { gate: gate.clone(), store: windows }),
            Arc::new(Gated { gate: gate.clone(), store: actors }),
            Arc::new(Gated { gate: gate.clone(), store: findings }),
        );
        let config = WorkerConfig { shard_sync_interval: Duration::from_secs(3), ..WorkerConfig::new(name) };
        let stream: Arc<dyn StreamClient> = self.stream.clone();
        Worker::new(config, stream, Arc::new(self.leases.clone()), Arc::new(detect))
    }

    fn put(&self, n: usize) {
        let put = &self.case.puts[n];
        let (shard, number) = self.stream.stream.put(&put.key, self.case.bytes(put)).unwrap();
        self.stream.arrivals.lock().unwrap().insert(number.as_str().to_owned(), put.arrival * 1_000);
        self.last.lock().unwrap().insert(shard, number);
    }

    /// Splits or merges the first open shards, if there are any to merge.
    fn reshard(&self, reshard: Reshard) -> bool {
        let ids: Vec<String> = (0..12).map(|n| format!("shardId-{n:012}")).collect();
        let stream = &self.stream.stream;
        match reshard {
            Reshard::Split => ids.iter().any(|id| stream.split(id).is_ok()),
            Reshard::Merge => ids.iter().any(|lower| ids.iter().any(|upper| stream.merge(lower, upper).is_ok())),
        }
    }

    /// Whether every record is behind a checkpoint.
    fn is_behind(&self) -> bool {
        let leases = self.leases.snapshot();
        let behind = |(shard, number): (&String, &SequenceNumber)| {
            let last = Position::new(number.clone(), 0);
            leases.get(shard).is_some_and(|lease| lease.checkpoint >= last)
        };
        self.last.lock().unwrap().iter().all(behind)
    }

    async fn found(&self) -> Findings {
        let filter = FindingFilter { limit: 1_000, ..FindingFilter::default() };
        let page = self.findings.list(&filter).await.unwrap();
        assert!(page.next.is_none(), "more findings than fit on a page");
        as_json(page.findings)
    }
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Put(usize),
    Reshard(Reshard),
}

/// Findings by id, as people and other programs see them, without members that are null.
pub(super) fn as_json(findings: impl IntoIterator<Item = Finding>) -> Findings {
    let plain = |finding: Finding| {
        let mut json = serde_json::to_value(&finding).unwrap();
        json.as_object_mut().unwrap().retain(|_, value| *value != Value::Null);
        if let Some(evidence) = json["evidence"].as_array_mut() {
            evidence
                .iter_mut()
                .for_each(|piece| piece.as_object_mut().unwrap().retain(|_, value| *value != Value::Null));
        }
        (finding.finding_id, json)
    };
    findings.into_iter().map(plain).collect()
}
