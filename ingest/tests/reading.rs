//! How records come to a processor, over the ports in memory: aggregated ones, large ones, pushed ones, and what is
//! read ahead.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dial_ingest::failing::{Failing, Faults};
use dial_ingest::kpl::{UserRecord, aggregate, hash_key};
use dial_ingest::lease::Lease;
use dial_ingest::memory::{MemoryLeases, MemoryStream};
use dial_ingest::stream::HashRange;
use dial_ingest::{LeaseStore, Position, PrefetchBudget, Read, SequenceNumber, StreamClient, Worker, WorkerConfig};
use support::{Commits, Event, Log, Recorder, Witness};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

fn drained(worker_id: &str) -> WorkerConfig {
    WorkerConfig { stop_when_drained: true, ..WorkerConfig::new(worker_id) }
}

fn fan_out(worker_id: &str) -> WorkerConfig {
    WorkerConfig { read: Read::FanOut { consumer_name: "dial".into() }, ..WorkerConfig::new(worker_id) }
}

async fn run(config: WorkerConfig, stream: &Arc<MemoryStream>, leases: Arc<MemoryLeases>, recorder: Recorder) {
    let worker = Worker::new(config, stream.clone(), leases, Arc::new(recorder));
    timeout(Duration::from_secs(3_600), worker.run(CancellationToken::new())).await.unwrap().unwrap();
}

fn packed(numbers: std::ops::Range<u32>) -> Vec<u8> {
    let user = |n: u32| UserRecord {
        partition_key: format!("key-{n}"),
        explicit_hash_key: None,
        data: format!("record-{n}").into(),
    };
    aggregate(&numbers.map(user).collect::<Vec<_>>()).to_vec()
}

fn numbers(range: std::ops::Range<u32>) -> BTreeSet<String> {
    range.map(|n| format!("record-{n}")).collect()
}

fn seen(log: &Log) -> BTreeSet<String> {
    assert!(log.seen().values().all(|count| *count == 1), "a record came twice");
    log.seen().into_keys().collect()
}

#[tokio::test(start_paused = true)]
async fn aggregated_records_come_apart_with_sub_sequence_numbers() {
    let stream = Arc::new(MemoryStream::new(1));
    let (_, first) = stream.put("a", packed(0..100)).unwrap();
    let (_, plain) = stream.put("a", "record-100").unwrap();
    let log = Log::default();
    let leases = Arc::new(MemoryLeases::default());
    run(drained("a"), &stream, leases.clone(), Recorder::new(&log)).await;
    assert_eq!(seen(&log), numbers(0..101));
    let positions = log.events().into_iter().filter_map(|event| match event {
        Event::Records { positions, .. } => Some(positions),
        _ => None,
    });
    let mut expected: Vec<Position> = (0..100).map(|n| Position::new(first.clone(), n)).collect();
    expected.push(Position::new(plain.clone(), 0));
    assert_eq!(positions.flatten().collect::<Vec<_>>(), expected);
    assert_eq!(leases.snapshot()["shardId-000000000000"].checkpoint, Position::new(plain, 0));
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_inside_an_aggregate_is_continued_from_there() {
    let stream = Arc::new(MemoryStream::new(1));
    let (_, sequence) = stream.put("a", packed(0..10)).unwrap();
    stream.put("a", packed(10..12)).unwrap();
    let shard = stream.list_shards(None).await.unwrap().shards.remove(0);
    let leases = Arc::new(MemoryLeases::default());
    leases.create(&Lease::of_shard(&shard, Position::new(sequence, 6))).await.unwrap();
    let log = Log::default();
    run(drained("a"), &stream, leases, Recorder::new(&log)).await;
    assert_eq!(seen(&log), numbers(7..12));
}

/// A producer that does not know of a split yet packs for both children; it lands in one, and the producer sends what
/// belongs into the other again.
#[tokio::test(start_paused = true)]
async fn user_records_of_another_shard_are_left_to_it() {
    let stream = Arc::new(MemoryStream::new(2));
    for key in ["a", "b", "c", "d", "e"] {
        stream.put(key, packed(0..50)).unwrap();
    }
    let shards = stream.list_shards(None).await.unwrap().shards;
    let log = Log::default();
    run(drained("a"), &stream, Arc::default(), Recorder::new(&log)).await;
    let copies =
        |range: HashRange| ["a", "b", "c", "d", "e"].iter().filter(|key| range.contains(hash_key(key))).count();
    for n in 0..50_u32 {
        let home =
            shards.iter().find_map(|s| s.hash_range.filter(|r| r.contains(hash_key(&format!("key-{n}"))))).unwrap();
        assert_eq!(log.seen().get(&format!("record-{n}")).copied().unwrap_or_default(), copies(home), "{n}");
    }
}

#[tokio::test(start_paused = true)]
async fn records_of_ten_mebibytes_pass_through_a_small_budget() {
    let stream = Arc::new(MemoryStream::new(2));
    for n in 0..6 {
        let mut data = vec![b'x'; 10 << 20];
        data[0] = b'0' + n;
        stream.put(&format!("key-{n}"), data).unwrap();
        stream.put(&format!("key-{n}"), format!("small-{n}")).unwrap();
    }
    let log = Log::default();
    let prefetch = PrefetchBudget { shard_bytes: 1, shard_records: 1, worker_bytes: 1, worker_records: 1 };
    run(WorkerConfig { prefetch, ..drained("a") }, &stream, Arc::default(), Recorder::new(&log)).await;
    assert_eq!(seen(&log).len(), 12);
}

#[tokio::test(start_paused = true)]
async fn the_next_answer_is_read_while_a_batch_is_at_work() {
    let stream = Arc::new(MemoryStream::new(1));
    for n in 0..40 {
        stream.put("a", format!("record-{n}")).unwrap();
    }
    let pace = dial_ingest::PollPace { max_records: 10, ..dial_ingest::PollPace::EAGER };
    let log = Log::default();
    let recorder = Recorder::new(&log).work(Duration::from_millis(300));
    let begun = Instant::now();
    run(WorkerConfig { pace, ..drained("a") }, &stream, Arc::default(), recorder).await;
    assert_eq!(seen(&log).len(), 40);
    // Four reads and four batches of 300 ms each, one after the other, would end the last batch at 2.1 s.
    let last =
        log.events().iter().filter_map(|e| if let Event::Records { at, .. } = e { Some(*at) } else { None }).max();
    let took = last.unwrap() - begun;
    assert!(took < Duration::from_millis(1_700), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn pushed_records_come_through_failures_and_resharding() {
    for seed in 0..20 {
        let stream = Arc::new(MemoryStream::new(2));
        let faults = Faults { seed, percent: 20, delay: Duration::from_secs(1) };
        let failing = Arc::new(Failing::new(stream.clone(), faults));
        let leases = Arc::new(Witness::new(MemoryLeases::default()));
        let log = Log::default();
        let recorder = Recorder::new(&log).commits(Commits::Every(2));
        let shutdown = CancellationToken::new();
        let worker = Worker::new(fan_out("a"), failing, leases.clone(), Arc::new(recorder));
        let running = tokio::spawn(worker.run(shutdown.clone()));
        for n in 0..200_u32 {
            stream.put(&format!("key-{n}"), format!("record-{n}")).unwrap();
            match n {
                50 => drop(stream.split("shardId-000000000000").unwrap()),
                100 => drop(stream.merge("shardId-000000000002", "shardId-000000000003").unwrap()),
                150 => stream.cut_subscriptions(),
                _ => sleep(Duration::from_millis(100)).await,
            }
        }
        let all = async {
            while log.count() < 200 {
                sleep(Duration::from_millis(100)).await;
            }
        };
        let done = timeout(Duration::from_secs(600), all).await;
        assert!(done.is_ok(), "seed {seed}: {} of 200", log.count());
        shutdown.cancel();
        running.await.unwrap().unwrap();
        assert_eq!(seen(&log), numbers(0..200), "seed {seed}");
        assert_eq!(*leases.violations.lock().unwrap(), Vec::<String>::new());
        let ended = leases.inner().snapshot();
        let at_end = ended.values().filter(|lease| lease.checkpoint.sequence == SequenceNumber::ShardEnd).count();
        assert_eq!(at_end, 3, "seed {seed}: {ended:#?}");
    }
}
