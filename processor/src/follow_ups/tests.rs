//! The detect role over a store of actors that hangs, fails and comes back: findings go on, nothing is lost, and the checkpoint
//! knows. Under virtual time, over the in-memory consumer.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dial_ingest::memory::{MemoryLeases, MemoryStream};
use dial_ingest::{Position, Worker, WorkerConfig};
use dial_rules::lineage::Link;
use dial_rules::ruleset::{RuleFile, RuleSet};
use dial_sinks::actors::ActorStore;
use dial_sinks::actors::failing::{FailingActorStore, Mood};
use dial_sinks::actors::memory::MemoryActorStore;
use dial_sinks::filter::FindingFilter;
use dial_sinks::memory::MemoryFindingStore;
use dial_sinks::store::FindingStore;
use dial_sinks::windows::memory::MemoryWindowStore;
use dial_sinks::windows::retention::Retention;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{FollowUps, Follower};
use crate::correlator::{Correlator, FollowUp, Meter, Ports};
use crate::detector::{Counts, Detect};

const RULE: &str = "
title: A role is assumed
id: 6f3a8c1e-0000-4000-8000-000000000001
logsource: { product: aws, service: cloudtrail }
detection: { selection: { eventName: AssumeRole }, condition: selection }
level: low
";

/// A stream, its leases, what is found, and what is learned.
struct Scene {
    stream: Arc<MemoryStream>,
    leases: Arc<MemoryLeases>,
    findings: Arc<MemoryFindingStore>,
    actors: Arc<FailingActorStore>,
    most_waiting: usize,
    put: usize,
}

struct Running {
    worker: JoinHandle<()>,
    shutdown: CancellationToken,
}

fn key(n: usize) -> String {
    format!("ASIA{n:016}")
}

/// An event that is a finding, and teaches of a key of its own.
fn event(n: usize) -> String {
    json!({ "eventID": format!("event-{n}"), "eventTime": "2026-01-31T12:00:00Z", "eventSource": "sts.amazonaws.com",
        "eventName": "AssumeRole", "recipientAccountId": "111122223333",
        "userIdentity": { "type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice" },
        "responseElements": { "credentials": { "accessKeyId": key(n) } } })
    .to_string()
}

fn follower(
    rules: &Arc<RuleSet>,
    actors: Arc<FailingActorStore>,
    findings: Arc<MemoryFindingStore>,
    meter: Arc<Meter>,
) -> Follower {
    let windows = Arc::new(MemoryWindowStore::new(Retention::default()));
    let ports = Ports { windows, actors, findings, news: mpsc::unbounded_channel().0 };
    Follower::new(Correlator::new(rules.clone(), ports, meter))
}

impl Scene {
    fn new(shards: usize) -> Scene {
        Scene {
            stream: Arc::new(MemoryStream::new(shards)),
            leases: Arc::default(),
            findings: Arc::default(),
            actors: Arc::new(FailingActorStore::moody(Arc::new(MemoryActorStore::new()))),
            most_waiting: 1_000,
            put: 0,
        }
    }

    fn work(&self, id: &str) -> Running {
        let loaded = RuleSet::load(&[RuleFile { name: "rule.yml".to_owned(), text: RULE.to_owned() }]);
        assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
        let rules = Arc::new(loaded.rules);
        let counts = Arc::new(Counts::default());
        let follower = follower(&rules, self.actors.clone(), self.findings.clone(), counts.correlation.clone());
        let detect = Detect {
            tables: tokio::sync::watch::channel(Arc::default()).1,
            rules,
            findings: self.findings.clone(),
            follower: Follower { most_waiting: self.most_waiting, ..follower },
            allowed_lateness: i64::MAX,
            counts,
            news: mpsc::unbounded_channel().0,
        };
        let config = WorkerConfig::new(id);
        let worker =
            Worker::new(config, Arc::new(self.stream.clone()), Arc::new(self.leases.clone()), Arc::new(detect));
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        Running { worker: tokio::spawn(async move { worker.run(stop).await.unwrap() }), shutdown }
    }

    fn put(&mut self, count: usize) {
        for n in self.put..self.put + count {
            self.stream.put(&n.to_string(), event(n)).unwrap();
        }
        self.put += count;
    }

    async fn found(&self) -> usize {
        let filter = FindingFilter { limit: 1_000, ..FindingFilter::default() };
        self.findings.list(&filter).await.unwrap().findings.len()
    }

    async fn until_found(&self, count: usize) {
        self.until("findings", async || self.found().await >= count).await;
    }

    async fn until(&self, what: &str, done: impl AsyncFn() -> bool) {
        let begun = Instant::now();
        while !done().await {
            assert!(begun.elapsed() < Duration::from_secs(120), "no {what} in two minutes");
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn checkpoints(&self) -> Vec<Position> {
        self.leases.snapshot().into_values().map(|lease| lease.checkpoint).collect()
    }

    /// What the store behind the moods knows of the keys of all events put.
    async fn learned(&self) -> usize {
        let keys: BTreeSet<String> = (0..self.put).map(key).collect();
        self.actors.known(&keys).await.unwrap().len()
    }
}

/// How many findings there are at each half second of a run in this mood.
async fn pace(mood: Mood) -> Vec<usize> {
    let mut scene = Scene::new(2);
    scene.actors.set(mood);
    let running = scene.work("worker");
    let mut counts = Vec::new();
    for _ in 0..40 {
        scene.put(10);
        sleep(Duration::from_millis(500)).await;
        counts.push(scene.found().await);
    }
    running.worker.abort();
    counts
}

#[tokio::test(start_paused = true)]
async fn findings_go_on_at_the_same_pace_whatever_the_store_of_actors_does() {
    let normal = pace(Mood::Fair).await;
    assert!(normal.last() >= Some(&390) && normal[3] < 60, "{normal:?}");
    assert_eq!(pace(Mood::Hanging).await, normal);
    assert_eq!(pace(Mood::Down).await, normal);
}

#[tokio::test(start_paused = true)]
async fn the_checkpoint_waits_for_lineage_and_moves_on_once_the_store_is_back() {
    for mood in [Mood::Hanging, Mood::Down] {
        let mut scene = Scene::new(2);
        scene.put(20);
        let running = scene.work("worker");
        scene.until_found(20).await;
        sleep(Duration::from_secs(2)).await;
        let before = scene.checkpoints();
        assert!(before.iter().all(|position| *position > Position::TRIM_HORIZON), "{before:?}");
        scene.actors.set(mood);
        scene.put(30);
        scene.until_found(50).await;
        sleep(Duration::from_secs(60)).await;
        assert_eq!(scene.checkpoints(), before, "{mood:?}");
        scene.actors.set(Mood::Fair);
        scene
            .until("checkpoint", async || scene.checkpoints().iter().zip(&before).all(|(now, before)| now > before))
            .await;
        assert_eq!(scene.learned().await, 50);
        running.worker.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_written_before_a_crash_is_learned_after_it() {
    let mut scene = Scene::new(2);
    scene.actors.set(Mood::Hanging);
    scene.put(40);
    let running = scene.work("worker");
    scene.until_found(40).await;
    running.worker.abort();
    let _ = running.worker.await;
    scene.actors.set(Mood::Fair);
    // The call that hung died with its worker.
    assert_eq!(scene.learned().await, 0);
    let next = scene.work("next");
    let end = async || scene.checkpoints().iter().all(|position| *position > Position::TRIM_HORIZON);
    scene.until("checkpoint", end).await;
    assert_eq!((scene.learned().await, scene.found().await), (40, 40));
    next.worker.abort();
}

#[tokio::test(start_paused = true)]
async fn the_stream_waits_when_very_much_is_waiting_and_only_then() {
    let mut scene = Scene::new(1);
    scene.most_waiting = 25;
    scene.actors.set(Mood::Hanging);
    let running = scene.work("worker");
    for _ in 0..10 {
        scene.put(10);
        sleep(Duration::from_secs(1)).await;
    }
    // The third batch fills it, and no other is taken in.
    sleep(Duration::from_secs(60)).await;
    assert_eq!(scene.found().await, 30);
    scene.actors.set(Mood::Fair);
    scene.until_found(100).await;
    scene.until("lineage", async || scene.learned().await == 100).await;
    running.worker.abort();
}

#[tokio::test(start_paused = true)]
async fn a_shard_does_not_end_before_its_lineage_is_durable() {
    let mut scene = Scene::new(1);
    scene.actors.set(Mood::Hanging);
    scene.put(10);
    let running = scene.work("worker");
    scene.until_found(10).await;
    let shard = scene.leases.snapshot().into_keys().next().unwrap();
    scene.stream.split(&shard).unwrap();
    sleep(Duration::from_secs(60)).await;
    assert_ne!(scene.leases.snapshot()[&shard].checkpoint, Position::SHARD_END);
    scene.actors.set(Mood::Fair);
    let ended = async || scene.leases.snapshot()[&shard].checkpoint == Position::SHARD_END;
    scene.until("end of the shard", ended).await;
    assert_eq!(scene.learned().await, 10);
    running.worker.abort();
}

#[tokio::test(start_paused = true)]
async fn stopping_waits_for_lineage_but_not_for_ever() {
    let mut scene = Scene::new(1);
    scene.put(10);
    scene.actors.set(Mood::Hanging);
    let running = scene.work("worker");
    scene.until_found(10).await;
    running.shutdown.cancel();
    timeout(Duration::from_secs(10), running.worker).await.unwrap().unwrap();
    assert_eq!(scene.checkpoints(), [Position::TRIM_HORIZON]);
    // One that comes back in time.
    let running = scene.work("worker");
    sleep(Duration::from_secs(2)).await;
    running.shutdown.cancel();
    sleep(Duration::from_secs(1)).await;
    scene.actors.set(Mood::Fair);
    running.worker.await.unwrap();
    assert!(scene.checkpoints()[0] > Position::TRIM_HORIZON);
    assert_eq!(scene.learned().await, 10);
}

fn taught(from: dial_rules::lineage::Lineage) -> FollowUp {
    FollowUp { links: vec![Link { credential: key(1), from, session: None }], filed: Vec::new() }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_is_asked_for_again() {
    let actors = Arc::new(FailingActorStore::moody(Arc::new(MemoryActorStore::new())));
    actors.set(Mood::Hanging);
    let waiting = Arc::new(AtomicU64::new(0));
    let at = |n: u64| Position::new("1000".parse().unwrap(), n);
    let follower = follower(&Arc::default(), actors.clone(), Arc::default(), Arc::default());
    let mut follow_ups = FollowUps::new(follower, at(0), waiting.clone());
    let count = || waiting.load(Ordering::Relaxed);
    let from = dial_rules::lineage::Lineage { persons: ["p".to_owned()].into(), ..Default::default() };
    follow_ups.begin(at(1), taught(from));
    sleep(Duration::from_secs(60)).await;
    assert!(actors.calls() >= 3, "{} calls", actors.calls());
    assert_eq!((follow_ups.durable(), follow_ups.pending(), count()), (at(0), 1, 1));
    follow_ups.begin(at(2), FollowUp::default());
    actors.set(Mood::Fair);
    assert!(follow_ups.all().await);
    assert_eq!((follow_ups.durable(), follow_ups.pending(), count()), (at(2), 0, 0));
    // Of what is not finished nothing stays counted.
    actors.set(Mood::Hanging);
    let from = dial_rules::lineage::Lineage { persons: ["q".to_owned()].into(), ..Default::default() };
    follow_ups.begin(at(3), taught(from));
    assert_eq!(count(), 1);
    drop(follow_ups);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(count(), 0);
}
