//! A worker while its stream is split and merged, over the emulator that is right about how shards end: the last
//! answer names the children, and the listing has pages.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dial_emulators::{KinesisLocal, Ministack, unique};
use dial_ingest::dynamodb::DynamoLeases;
use dial_ingest::kinesis::KinesisStream;
use dial_ingest::{ErrorKind, LeaseStore, Position, StreamClient, Worker, WorkerConfig, WorkerError};
use support::{Event, Log, Recorder, Witness};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

const STREAM: &str = "stream";

fn shard(n: u32) -> String {
    format!("shardId-{n:012}")
}

/// Workers over kinesis-local and ministack.
struct Scene {
    kinesis: KinesisLocal,
    leases: Arc<Witness<DynamoLeases>>,
    log: Log,
    put: u32,
}

impl Scene {
    async fn new(shards: u32) -> Self {
        let kinesis = KinesisLocal::start();
        kinesis.create_stream(STREAM, shards).await;
        let leases = Arc::new(Witness::new(DynamoLeases::new(Ministack::shared().dynamodb(), unique("leases"))));
        Self { kinesis, leases, log: Log::default(), put: 0 }
    }

    async fn put(&mut self, count: u32) {
        let new = self.put..self.put + count;
        self.put = new.end;
        let records = new.map(|n| (format!("key-{n}"), format!("record-{n}").into_bytes())).collect();
        self.kinesis.put(STREAM, records).await;
    }

    fn start(&self, worker_id: &str) -> (JoinHandle<Result<(), WorkerError>>, CancellationToken) {
        let config = WorkerConfig {
            failover: Duration::from_secs(3),
            // The children are found at a shard's end, not by listing.
            shard_sync_interval: Duration::from_secs(600),
            ..WorkerConfig::new(worker_id)
        };
        let stream = Arc::new(KinesisStream::new(self.kinesis.client(), STREAM));
        let worker = Worker::new(config, stream, self.leases.clone(), Arc::new(Recorder::new(&self.log)));
        let shutdown = CancellationToken::new();
        (tokio::spawn(worker.run(shutdown.clone())), shutdown)
    }

    async fn split(&self, shard: &str, at: u128) {
        let split = self.kinesis.client().split_shard().stream_name(STREAM).shard_to_split(shard);
        split.new_starting_hash_key(at.to_string()).send().await.unwrap();
        self.until_active().await;
    }

    async fn merge(&self, one: &str, other: &str) {
        let merge = self.kinesis.client().merge_shards().stream_name(STREAM).shard_to_merge(one);
        merge.adjacent_shard_to_merge(other).send().await.unwrap();
        self.until_active().await;
    }

    async fn until_active(&self) {
        let client = self.kinesis.client();
        let active = async {
            loop {
                let described = client.describe_stream_summary().stream_name(STREAM).send().await.unwrap();
                let summary = described.stream_description_summary.unwrap();
                if summary.stream_status().as_str() == "ACTIVE" {
                    return;
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(30), active).await.expect("the stream becomes ACTIVE");
    }

    async fn until_all_is_read(&self) {
        let waiting = async {
            while self.log.count() < self.put as usize {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let read = timeout(Duration::from_secs(60), waiting).await;
        assert!(read.is_ok(), "{} of {} read", self.log.count(), self.put);
    }

    async fn until_ended(&self, shards: &[String]) {
        let ended = async {
            while !shards.iter().all(|shard| self.log.events().contains(&Event::Ended { shard: shard.clone() })) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let done = timeout(Duration::from_secs(60), ended).await;
        assert!(done.is_ok(), "{shards:?} end: {:?}", self.log.events());
    }
}

/// When, as an index into the log, each shard was first begun and when it ended.
fn lives(events: &[Event]) -> BTreeMap<String, (usize, Option<usize>)> {
    let mut lives: BTreeMap<String, (usize, Option<usize>)> = BTreeMap::new();
    for (when, event) in events.iter().enumerate() {
        match event {
            Event::Start { shard, .. } => {
                lives.entry(shard.clone()).or_insert((when, None));
            }
            Event::Ended { shard } => lives.get_mut(shard).expect("begun before it ended").1 = Some(when),
            _ => {}
        }
    }
    lives
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_are_split_and_merged_under_a_worker() {
    let mut scene = Scene::new(2).await;
    scene.put(150).await;
    let (worker, shutdown) = scene.start("worker");
    scene.put(50).await;
    scene.split(&shard(0), 1 << 126).await;
    scene.put(100).await;
    scene.split(&shard(1), 3 << 126).await;
    scene.put(100).await;
    // The upper half of the first with the lower half of the second.
    scene.merge(&shard(3), &shard(4)).await;
    scene.put(100).await;
    scene.until_all_is_read().await;
    let ended = [0, 1, 3, 4].map(shard);
    scene.until_ended(&ended).await;
    shutdown.cancel();
    timeout(Duration::from_secs(10), worker).await.unwrap().unwrap().unwrap();

    let expected: BTreeMap<String, usize> = (0..scene.put).map(|n| (format!("record-{n}"), 1)).collect();
    assert_eq!(scene.log.seen(), expected, "each record once: nobody crashed");
    assert_eq!(*scene.leases.violations.lock().unwrap(), Vec::<String>::new());

    let leases: BTreeMap<_, _> =
        scene.leases.list().await.unwrap().into_iter().map(|lease| (lease.lease_key.clone(), lease)).collect();
    let ids = |shards: &[u32]| shards.iter().copied().map(shard).collect::<BTreeSet<_>>();
    let family: BTreeMap<u32, (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::from([
        (0, (ids(&[]), ids(&[2, 3]))),
        (1, (ids(&[]), ids(&[4, 5]))),
        (2, (ids(&[0]), ids(&[]))),
        (3, (ids(&[0]), ids(&[6]))),
        (4, (ids(&[1]), ids(&[6]))),
        (5, (ids(&[1]), ids(&[]))),
        (6, (ids(&[3, 4]), ids(&[]))),
    ]);
    assert_eq!(leases.len(), family.len(), "{leases:?}");
    let lives = lives(&scene.log.events());
    for (n, (parents, children)) in family {
        let lease = &leases[&shard(n)];
        assert_eq!(lease.parent_shard_ids.iter().cloned().collect::<BTreeSet<_>>(), parents, "{lease:?}");
        assert_eq!(lease.child_shard_ids.iter().cloned().collect::<BTreeSet<_>>(), children, "{lease:?}");
        assert_eq!(lease.is_ended(), ended.contains(&shard(n)), "{lease:?}");
        assert!(lease.hash_range.is_some(), "{lease:?}");
        assert_eq!(lives[&shard(n)].1.is_some(), lease.is_ended());
        for parent in &parents {
            let parent_ended = lives[parent].1.expect("a parent ends");
            assert!(parent_ended < lives[&shard(n)].0, "{n} began before {parent} ended");
        }
    }
}

/// A worker that begins only now finds shards that ended before, and goes through the generations in order.
#[tokio::test(flavor = "multi_thread")]
async fn generations_that_passed_before_the_start_are_read_in_order() {
    let mut scene = Scene::new(1).await;
    scene.put(60).await;
    scene.split(&shard(0), 1 << 127).await;
    scene.put(60).await;
    scene.merge(&shard(1), &shard(2)).await;
    scene.put(60).await;
    let (worker, shutdown) = scene.start("late");
    scene.until_all_is_read().await;
    shutdown.cancel();
    timeout(Duration::from_secs(10), worker).await.unwrap().unwrap().unwrap();
    assert!(scene.log.seen().values().all(|count| *count == 1));
    assert_eq!(*scene.leases.violations.lock().unwrap(), Vec::<String>::new());
    for n in 0..4 {
        assert_eq!(scene.log.starts(&shard(n)), [Position::TRIM_HORIZON]);
    }
    let lives = lives(&scene.log.events());
    for (parent, child) in [(0, 1), (0, 2), (1, 3), (2, 3)] {
        assert!(lives[&shard(parent)].1.unwrap() < lives[&shard(child)].0, "{child} began before {parent} ended");
    }
}

#[tokio::test]
async fn the_listing_is_read_page_by_page_and_errors_are_told_apart() {
    let scene = Scene::new(3).await;
    let stream = KinesisStream::new(scene.kinesis.client(), STREAM);
    scene.split(&shard(2), u128::MAX - 1_000).await;
    let page = stream.list_shards(None).await.unwrap();
    assert_eq!(page.next, None);
    let found: Vec<(String, Vec<String>, bool)> =
        page.shards.into_iter().map(|shard| (shard.shard_id, shard.parent_ids, shard.open)).collect();
    let none = Vec::new;
    let parent = || vec![shard(2)];
    assert_eq!(
        found,
        [
            (shard(0), none(), true),
            (shard(1), none(), true),
            (shard(2), none(), false),
            (shard(3), parent(), true),
            (shard(4), parent(), true)
        ]
    );
    // A page of the service's own making, since a stream needs 10,000 shards for one unasked.
    let first = scene.kinesis.client().list_shards().stream_name(STREAM).max_results(2).send().await.unwrap();
    let rest = stream.list_shards(Some(first.next_token().unwrap())).await.unwrap();
    assert_eq!(first.shards().len(), 2);
    assert_eq!(rest.shards.into_iter().map(|shard| shard.shard_id).collect::<Vec<_>>(), [2, 3, 4].map(shard));
    let start = dial_ingest::stream::IteratorStart::TrimHorizon;
    let missing = stream.get_iterator("shardId-000000000077", &start).await.unwrap_err();
    assert_eq!(missing.kind, ErrorKind::NotFound, "{missing}");
    let missing = KinesisStream::new(scene.kinesis.client(), "no-such-stream").list_shards(None).await.unwrap_err();
    assert_eq!(missing.kind, ErrorKind::NotFound, "{missing}");
}
