//! Whole lives of a fleet under one seed, in virtual time: workers that crash, ports that fail, answers that are
//! lost or late, shards that split and merge at any moment. Whatever happens, every record is processed, and no
//! checkpoint moves back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dial_ingest::failing::{Failing, Faults};
use dial_ingest::memory::{MemoryLeases, MemoryStream};
use dial_ingest::stream::Shard;
use dial_ingest::{StreamClient, Worker, WorkerConfig, WorkerError};
use support::{Commits, Log, Recorder, Witness};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How many lives.
const SEEDS: u64 = 300;

/// Numbers that a seed decides (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

/// A worker's name, its task, and what stops it cleanly.
type Mortal = (String, JoinHandle<Result<(), WorkerError>>, CancellationToken);

struct Life {
    dice: Dice,
    stream: Arc<MemoryStream>,
    leases: Arc<Witness<MemoryLeases>>,
    failing_stream: Arc<Failing<Arc<MemoryStream>>>,
    failing_leases: Arc<Failing<Arc<Witness<MemoryLeases>>>>,
    log: Log,
    put: u32,
    workers: Vec<Mortal>,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let stream = MemoryStream::new(1 + dice.roll(4) as usize).with_page_size(1 + dice.roll(5) as usize);
        let stream = Arc::new(if dice.roll(2) == 0 { stream } else { stream.without_child_shards() });
        let leases = Arc::new(Witness::new(MemoryLeases::default()));
        let percent = dice.roll(25) as u8;
        let faults = Faults { seed, percent, delay: Duration::from_millis(1 + dice.roll(8_000)) };
        Self {
            failing_stream: Arc::new(Failing::new(stream.clone(), faults)),
            failing_leases: Arc::new(Failing::new(leases.clone(), Faults { seed: !seed, ..faults })),
            dice,
            stream,
            leases,
            log: Log::default(),
            put: 0,
            workers: Vec::new(),
        }
    }

    async fn open_shards(&self) -> Vec<Shard> {
        let mut shards = Vec::new();
        let mut page = None;
        loop {
            let answer = self.stream.list_shards(page.as_deref()).await.unwrap();
            shards.extend(answer.shards.into_iter().filter(|shard| shard.open));
            page = answer.next;
            if page.is_none() {
                shards.sort_by_key(|shard| shard.hash_range.unwrap().start);
                return shards;
            }
        }
    }

    fn put(&mut self) {
        for _ in 0..self.dice.roll(40) {
            self.stream.put(&format!("key-{}", self.put), format!("record-{}", self.put)).unwrap();
            self.put += 1;
        }
    }

    fn start(&mut self) {
        // Two workers of one name never live at once; a name may come back.
        let name = format!("worker-{}", self.dice.roll(6));
        if self.workers.len() >= 4 || self.workers.iter().any(|(other, ..)| *other == name) {
            return;
        }
        let commits = [Commits::EachBatch, Commits::Every(3), Commits::AtTheEnd][self.dice.roll(3) as usize];
        let recorder = Recorder::new(&self.log)
            .commits(commits)
            .work(Duration::from_millis(self.dice.roll(3_000)))
            .failing(self.dice.roll(4) as u32);
        let config = WorkerConfig {
            max_leases: if self.dice.roll(4) == 0 { 2 } else { usize::MAX },
            shard_sync_interval: Duration::from_secs(5 + self.dice.roll(60)),
            startup_patience: Duration::from_secs(3_600),
            ..WorkerConfig::new(name.clone())
        };
        let shutdown = CancellationToken::new();
        let (stream, leases) = (self.failing_stream.clone(), self.failing_leases.clone());
        let worker = Worker::new(config, stream, leases, Arc::new(recorder));
        self.workers.push((name, tokio::spawn(worker.run(shutdown.clone())), shutdown));
    }

    async fn end_one(&mut self, cleanly: bool) {
        if self.workers.is_empty() {
            return;
        }
        let which = self.dice.roll(self.workers.len() as u64) as usize;
        let (_, task, shutdown) = self.workers.swap_remove(which);
        if cleanly {
            shutdown.cancel();
            task.await.unwrap().unwrap();
        } else {
            task.abort();
            let _ = task.await;
        }
    }

    async fn reshard(&mut self) {
        let open = self.open_shards().await;
        let which = self.dice.roll(open.len() as u64) as usize;
        let narrow = open.len() >= 8;
        if !narrow && self.dice.roll(2) == 0 {
            self.stream.split(&open[which].shard_id).unwrap();
        } else if let [lower, upper, ..] = &open[which..] {
            self.stream.merge(&lower.shard_id, &upper.shard_id).unwrap();
        }
    }

    async fn live(&mut self) {
        self.start();
        for _ in 0..30 {
            match self.dice.roll(12) {
                0..=3 => self.put(),
                4 | 5 => self.start(),
                6 => self.end_one(false).await,
                7 => self.end_one(true).await,
                8 => self.reshard().await,
                9 => self.stream.expire_iterators(),
                10 => self.failing_leases.set_down(self.dice.roll(3) == 0),
                _ => self.failing_stream.set_down(self.dice.roll(3) == 0),
            }
            sleep(Duration::from_millis(self.dice.roll(9_000))).await;
        }
        self.failing_leases.set_down(false);
        self.failing_stream.set_down(false);
        while !self.workers.is_empty() {
            let cleanly = self.dice.roll(2) == 0;
            self.end_one(cleanly).await;
        }
    }

    /// One last worker, undisturbed, reads what is left.
    async fn finish(&self) {
        let config = WorkerConfig { stop_when_drained: true, ..WorkerConfig::new("last") };
        let recorder = Arc::new(Recorder::new(&self.log));
        let worker = Worker::new(config, self.stream.clone(), self.leases.clone(), recorder);
        worker.run(CancellationToken::new()).await.unwrap();
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = self.leases.violations.lock().unwrap().clone();
        let seen = self.log.seen();
        let all: BTreeSet<String> = (0..self.put).map(|n| format!("record-{n}")).collect();
        faults.extend(all.iter().filter(|record| !seen.contains_key(*record)).map(|record| format!("{record} lost")));
        for (key, lease) in self.leases.inner().snapshot() {
            if lease.lease_owner.is_some() && !lease.is_ended() {
                faults.push(format!("{key} not released"));
            }
        }
        faults
    }
}

fn run(seed: u64) -> (Life, Vec<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut life = Life::new(seed);
        life.live().await;
        life.finish().await;
        let faults = life.faults();
        (life, faults)
    })
}

#[test]
fn whatever_happens_every_record_is_processed_and_no_checkpoint_moves_back() {
    let (mut records, mut repeats) = (0, 0);
    for seed in 0..SEEDS {
        let (life, faults) = run(seed);
        assert!(faults.is_empty(), "seed {seed}: {faults:#?}");
        records += life.put;
        repeats += life.log.seen().values().filter(|count| **count > 1).count();
    }
    // The lives must be hard enough to mean something, and not so hard that all is done over and over.
    assert!(records > 20_000, "{records}");
    assert!(repeats > 100 && repeats < records as usize, "{repeats} of {records} more than once");
}
