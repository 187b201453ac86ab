//! The ports over real emulators of Kinesis and DynamoDB, and the worker over those.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use dial_emulators::{Kinesis, KinesisOptions, Ministack, unique};
use dial_ingest::dynamodb::DynamoLeases;
use dial_ingest::kinesis::KinesisStream;
use dial_ingest::lease::{Lease, LeaseChange};
use dial_ingest::memory::{MemoryLeases, MemoryStream};
use dial_ingest::stream::{ConsumerStatus, HashRange, IteratorStart, Shard};
use dial_ingest::{
    Declaration, ErrorKind, LeaseStore, Position, Read, StreamClient, Worker, WorkerConfig, WorkerError,
};
use support::{Commits, Event, Log, Recorder, Witness};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

fn lease(n: u32) -> Lease {
    let shard = Shard {
        shard_id: format!("shardId-{n:012}"),
        parent_ids: vec!["shardId-parent".into()],
        hash_range: Some(HashRange { start: 0, end: u128::MAX }),
        open: true,
    };
    Lease::of_shard(&shard, Position::TRIM_HORIZON)
}

fn at(n: u64) -> Position {
    Position::new(format!("49590338271490256608559692538361571095921575989136{n:06}").parse().unwrap(), n)
}

fn take(owner: &str) -> LeaseChange {
    LeaseChange::Take { owner: owner.into() }
}

async fn refused(store: &dyn LeaseStore, lease: &Lease, change: LeaseChange) -> bool {
    matches!(store.update(lease, &change).await, Err(error) if error.kind == ErrorKind::Refused)
}

/// What any lease store must do.
async fn keeps_the_contract(store: Arc<dyn LeaseStore>) {
    store.create_table().await.unwrap();
    store.create_table().await.unwrap();
    assert_eq!(store.list().await.unwrap(), []);
    let new = lease(1);
    assert!(store.create(&new).await.unwrap());
    assert!(!store.create(&Lease { checkpoint: at(1), ..new.clone() }).await.unwrap());
    assert_eq!(store.get(&new.lease_key).await.unwrap(), Some(new.clone()));
    assert_eq!(store.get("shardId-none").await.unwrap(), None);

    // Every change in turn leaves exactly the lease that it should, in the answer and in the table.
    let declaration = Declaration { position: at(9), state: vec![0, 255, 7] };
    let changes = [
        take("a"),
        LeaseChange::Renew,
        LeaseChange::Declare(declaration.clone()),
        take("b"),
        LeaseChange::Commit { position: at(9) },
        LeaseChange::Declare(Declaration { position: at(12), state: vec![] }),
        LeaseChange::Withdraw,
        LeaseChange::Release,
        take("b"),
        LeaseChange::End { children: vec!["shardId-x".into(), "shardId-y".into()] },
    ];
    let mut known = new.clone();
    for change in changes {
        let stale = known.clone();
        let expected = known.after(&change);
        known = store.update(&known, &change).await.unwrap();
        assert_eq!(known, expected, "{change:?}");
        assert_eq!(store.get(&new.lease_key).await.unwrap(), Some(expected), "{change:?}");
        assert!(refused(&*store, &stale, change.clone()).await, "{change:?} from a stale lease");
    }

    // Each part of the condition counts by itself.
    let other_owner = Lease { lease_owner: Some("z".into()), ..known.clone() };
    let no_owner = Lease { lease_owner: None, ..known.clone() };
    let other_counter = Lease { lease_counter: known.lease_counter - 1, ..known.clone() };
    for wrong in [&other_owner, &no_owner, &other_counter, &lease(99)] {
        assert!(refused(&*store, wrong, LeaseChange::Renew).await);
    }
    for wrong in [&other_owner, &no_owner, &other_counter] {
        assert_eq!(store.delete(wrong).await.unwrap_err().kind, ErrorKind::Refused);
    }
    store.delete(&known).await.unwrap();
    store.delete(&known).await.unwrap();
    assert_eq!(store.list().await.unwrap(), []);
    assert!(refused(&*store, &known, LeaseChange::Renew).await, "an update does not bring a lease back");
    assert_eq!(store.get(&known.lease_key).await.unwrap(), None);
}

/// Of many that reach for a lease at once, one gets it.
async fn is_won_by_one(store: Arc<dyn LeaseStore>) {
    store.create_table().await.unwrap();
    for n in 0..10 {
        assert!(store.create(&lease(n)).await.unwrap());
        let racers: Vec<_> = (0..16)
            .map(|racer| {
                let store = store.clone();
                tokio::spawn(async move { store.update(&lease(n), &take(&format!("racer-{racer}"))).await })
            })
            .collect();
        let mut winners = Vec::new();
        for racer in racers {
            match racer.await.unwrap() {
                Ok(lease) => winners.push(lease),
                Err(error) => assert_eq!(error.kind, ErrorKind::Refused, "{error}"),
            }
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(store.get(&lease(n).lease_key).await.unwrap().as_ref(), winners.first());
    }
}

fn dynamo(prefix: &str) -> (DynamoLeases, aws_sdk_dynamodb::Client, String) {
    let (client, table) = (Ministack::shared().dynamodb(), unique(prefix));
    (DynamoLeases::new(client.clone(), table.clone()), client, table)
}

#[tokio::test]
async fn memory_keeps_the_contract_of_leases() {
    keeps_the_contract(Arc::new(MemoryLeases::default())).await;
    is_won_by_one(Arc::new(MemoryLeases::default())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dynamodb_keeps_the_contract_of_leases() {
    keeps_the_contract(Arc::new(dynamo("leases").0)).await;
    is_won_by_one(Arc::new(dynamo("leases").0)).await;
}

#[tokio::test]
async fn attributes_that_are_not_ours_survive_and_items_that_are_no_leases_do_no_harm() {
    let (store, client, table) = dynamo("leases");
    store.create_table().await.unwrap();
    let s = |text: &str| AttributeValue::S(text.into());
    let n = |digits: &str| AttributeValue::N(digits.into());
    let foreign = HashMap::from([
        ("leaseKey".to_owned(), s("shardId-000000000007")),
        ("leaseCounter".to_owned(), n("5")),
        ("checkpoint".to_owned(), s("TRIM_HORIZON")),
        ("checkpointSubSequenceNumber".to_owned(), n("0")),
        ("throughputKBps".to_owned(), n("1.5")),
        ("somebodysNote".to_owned(), s("a note")),
    ]);
    let nonsense = HashMap::from([("leaseKey".to_owned(), s("nonsense")), ("checkpoint".to_owned(), n("1"))]);
    for item in [foreign, nonsense] {
        client.put_item().table_name(&table).set_item(Some(item)).send().await.unwrap();
    }
    let [mut known] = store.list().await.unwrap().try_into().unwrap();
    for change in [take("a"), LeaseChange::Commit { position: at(3) }, LeaseChange::Release] {
        known = store.update(&known, &change).await.unwrap();
    }
    let key = s("shardId-000000000007");
    let item = client.get_item().table_name(&table).key("leaseKey", key).consistent_read(true).send().await.unwrap();
    let item = item.item.unwrap();
    assert_eq!(item["throughputKBps"], n("1.5"));
    assert_eq!(item["somebodysNote"], s("a note"));
    assert_eq!(item["leaseCounter"], n("8"));
    assert_eq!(item["checkpointSubSequenceNumber"], n("3"));
    assert!(!item.contains_key("leaseOwner"));
}

#[tokio::test]
async fn a_table_that_is_missing_is_not_found() {
    let (store, ..) = dynamo("never-created");
    assert_eq!(store.list().await.unwrap_err().kind, ErrorKind::NotFound);
}

/// What any stream must do, given one of a single shard with five records.
async fn reads_from_anywhere(stream: &dyn StreamClient) {
    let page = stream.list_shards(None).await.unwrap();
    let [shard] = page.shards.try_into().unwrap();
    assert!(shard.open && shard.parent_ids.is_empty() && page.next.is_none());
    assert_eq!(shard.hash_range, Some(HashRange { start: 0, end: u128::MAX }));
    let read = async |start: IteratorStart, limit| {
        let iterator = stream.get_iterator(&shard.shard_id, &start).await.unwrap();
        stream.get_records(&iterator, limit).await.unwrap()
    };
    let all = read(IteratorStart::TrimHorizon, 100).await;
    let data = |records: &[dial_ingest::stream::StreamRecord]| {
        records.iter().map(|record| String::from_utf8(record.data.to_vec()).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(data(&all.records), ["0", "1", "2", "3", "4"]);
    assert!(all.records.windows(2).all(|pair| pair[0].sequence_number < pair[1].sequence_number));
    assert_eq!(all.records[0].partition_key, "key");
    let third = all.records[2].sequence_number.clone();
    assert_eq!(data(&read(IteratorStart::At(third.clone()), 2).await.records), ["2", "3"]);
    assert_eq!(data(&read(IteratorStart::After(third), 100).await.records), ["3", "4"]);
    assert_eq!(data(&read(IteratorStart::Latest, 100).await.records), Vec::<String>::new());
    let first = all.records[0].arrival;
    assert_eq!(data(&read(IteratorStart::AtTimestamp(first - 1_000), 100).await.records).len(), 5);
    let next = stream.get_records(&all.next_iterator.unwrap(), 100).await.unwrap();
    assert_eq!((next.records.len(), next.millis_behind_latest), (0, Some(0)));
    let missing = stream.get_iterator("shardId-000000000077", &IteratorStart::TrimHorizon).await.unwrap_err();
    assert_eq!(missing.kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn memory_reads_from_anywhere() {
    let stream = MemoryStream::new(1).without_limits();
    for n in 0..5 {
        stream.put("key", n.to_string()).unwrap();
    }
    reads_from_anywhere(&stream).await;
}

#[tokio::test]
async fn kinesis_reads_from_anywhere() {
    let kinesis = Kinesis::start();
    kinesis.create_stream("stream", 1).await;
    for n in 0..5 {
        kinesis.put("stream", vec![("key".into(), n.to_string().into_bytes())]).await;
    }
    reads_from_anywhere(&KinesisStream::new(kinesis.client(), "stream")).await;
    let missing = KinesisStream::new(kinesis.client(), "no-such-stream").list_shards(None).await.unwrap_err();
    assert_eq!(missing.kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn kinesis_says_when_an_iterator_has_expired() {
    let options = KinesisOptions { create_stream_ms: 10, iterator_ttl_seconds: 1, ..KinesisOptions::default() };
    let kinesis = Kinesis::start_with(options);
    kinesis.create_stream("stream", 1).await;
    let stream = KinesisStream::new(kinesis.client(), "stream");
    let iterator = stream.get_iterator("shardId-000000000000", &IteratorStart::TrimHorizon).await.unwrap();
    sleep(Duration::from_millis(2_500)).await;
    assert_eq!(stream.get_records(&iterator, 1).await.unwrap_err().kind, ErrorKind::ExpiredIterator);
}

/// Workers over the emulators.
struct Scene {
    kinesis: Kinesis,
    stream_name: &'static str,
    stream: Arc<KinesisStream>,
    leases: Arc<Witness<DynamoLeases>>,
    log: Log,
    put: u32,
}

struct Running {
    task: JoinHandle<Result<(), WorkerError>>,
    shutdown: CancellationToken,
}

impl Scene {
    async fn new(shards: u32) -> Self {
        let kinesis = Kinesis::start();
        kinesis.create_stream("stream", shards).await;
        let stream = Arc::new(KinesisStream::new(kinesis.client(), "stream"));
        let leases = Arc::new(Witness::new(dynamo("leases").0));
        Self { kinesis, stream_name: "stream", stream, leases, log: Log::default(), put: 0 }
    }

    async fn put(&mut self, count: u32) {
        let new = self.put..self.put + count;
        self.put = new.end;
        let records = new.map(|n| (format!("key-{n}"), format!("record-{n}").into_bytes())).collect();
        self.kinesis.put(self.stream_name, records).await;
    }

    fn config(worker_id: &str) -> WorkerConfig {
        WorkerConfig {
            failover: Duration::from_secs(3),
            shard_sync_interval: Duration::from_secs(2),
            ..WorkerConfig::new(worker_id)
        }
    }

    fn start(&self, config: WorkerConfig, recorder: Recorder) -> Running {
        let shutdown = CancellationToken::new();
        let worker = Worker::new(config, self.stream.clone(), self.leases.clone(), Arc::new(recorder));
        Running { task: tokio::spawn(worker.run(shutdown.clone())), shutdown }
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

    fn assert_sound(&self) {
        assert_eq!(*self.leases.violations.lock().unwrap(), Vec::<String>::new());
        let expected: BTreeSet<String> = (0..self.put).map(|n| format!("record-{n}")).collect();
        assert_eq!(self.log.seen().into_keys().collect::<BTreeSet<_>>(), expected);
    }

    fn repeats(&self) -> usize {
        self.log.seen().values().filter(|count| **count > 1).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_four_shards_is_read_through_a_crash_and_a_stop() {
    let mut scene = Scene::new(4).await;
    scene.put(4_000).await;
    let small = dial_ingest::PollPace { max_records: 100, ..dial_ingest::PollPace::EAGER };
    let config = WorkerConfig { pace: small, ..Scene::config("first") };
    let first = scene.start(config.clone(), Recorder::new(&scene.log).commits(Commits::Every(2)));
    while scene.log.count() < 1_500 {
        sleep(Duration::from_millis(10)).await;
    }
    first.task.abort();
    assert!(first.task.await.unwrap_err().is_cancelled());
    assert!(scene.log.count() < 4_000, "the crash came in the middle");

    // Under a new name: half of the leases can be stolen from who seems alive still, the others have to expire.
    let begun = Instant::now();
    let second = scene.start(
        WorkerConfig { worker_id: "second".into(), ..config },
        Recorder::new(&scene.log).commits(Commits::AtTheEnd),
    );
    scene.until_all_is_read().await;
    assert!(begun.elapsed() >= Duration::from_secs(3));
    second.shutdown.cancel();
    second.task.await.unwrap().unwrap();
    let repeats = scene.repeats();
    assert!(repeats <= 4 * 2 * 100, "{repeats} more than was not committed");

    // After a clean stop nothing is repeated, and the rest is read to the end.
    scene.put(500).await;
    let last = WorkerConfig { stop_when_drained: true, ..Scene::config("third") };
    timeout(Duration::from_secs(60), scene.start(last, Recorder::new(&scene.log)).task)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(scene.repeats(), repeats);
    scene.assert_sound();
    let leases = scene.leases.list().await.unwrap();
    assert!(leases.iter().all(|lease| lease.lease_owner.is_none() && lease.checkpoint.has_begun()));
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_are_split_and_merged_under_two_workers() {
    let mut scene = Scene::new(2).await;
    let client = scene.kinesis.client();
    let first = scene.start(Scene::config("first"), Recorder::new(&scene.log));
    let second = scene.start(Scene::config("second"), Recorder::new(&scene.log));
    scene.put(1_000).await;
    let split = client.split_shard().stream_name("stream").shard_to_split("shardId-000000000000");
    split.new_starting_hash_key((1_u128 << 126).to_string()).send().await.unwrap();
    sleep(Duration::from_millis(500)).await;
    scene.put(1_000).await;
    let merge = client.merge_shards().stream_name("stream").shard_to_merge("shardId-000000000003");
    merge.adjacent_shard_to_merge("shardId-000000000001").send().await.unwrap();
    sleep(Duration::from_millis(500)).await;
    scene.put(1_000).await;
    scene.until_all_is_read().await;
    for worker in [first, second] {
        worker.shutdown.cancel();
        timeout(Duration::from_secs(10), worker.task).await.unwrap().unwrap().unwrap();
    }
    scene.assert_sound();
    let ended: BTreeSet<String> = scene
        .log
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Ended { shard } => Some(shard),
            _ => None,
        })
        .collect();
    assert_eq!(ended, BTreeSet::from([0, 1, 3].map(|n| format!("shardId-{n:012}"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_pushed_over_subscriptions_that_end_and_a_split() {
    let options = KinesisOptions {
        create_stream_ms: 10,
        update_stream_ms: 10,
        shard_limit: 100,
        subscribe_to_shard_session_ms: 1_500,
        ..KinesisOptions::default()
    };
    let kinesis = Kinesis::start_with(options);
    kinesis.create_stream("stream", 2).await;
    let stream = Arc::new(KinesisStream::new(kinesis.client(), "stream"));
    let leases = Arc::new(Witness::new(dynamo("leases").0));
    let mut scene = Scene { kinesis, stream_name: "stream", stream, leases, log: Log::default(), put: 0 };
    let read = Read::FanOut { consumer_name: "dial".into() };
    let worker = scene.start(WorkerConfig { read, ..Scene::config("a") }, Recorder::new(&scene.log));
    for _ in 0..4 {
        scene.put(200).await;
        sleep(Duration::from_secs(1)).await;
    }
    let split = scene.kinesis.client().split_shard().stream_name("stream").shard_to_split("shardId-000000000000");
    split.new_starting_hash_key((1_u128 << 125).to_string()).send().await.unwrap();
    sleep(Duration::from_secs(1)).await;
    scene.put(200).await;
    scene.until_all_is_read().await;
    worker.shutdown.cancel();
    worker.task.await.unwrap().unwrap();
    scene.assert_sound();
    assert_eq!(scene.repeats(), 0);
    let consumer = scene.stream.describe_consumer("dial").await.unwrap().unwrap();
    assert_eq!(consumer.status, ConsumerStatus::Active);
    assert!(scene.stream.describe_consumer("nobody").await.unwrap().is_none());
}
