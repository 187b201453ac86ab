//! The worker over the ports in memory, in virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dial_ingest::failing::{Failing, Faults};
use dial_ingest::lease::{Lease, LeaseChange};
use dial_ingest::memory::{MemoryLeases, MemoryStream};
use dial_ingest::{InitialPosition, LeaseStore, PollPace, Position, StreamClient, Worker, WorkerConfig, WorkerError};
use support::{Commits, Event, Log, Recorder, Witness};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

type Leases = Witness<MemoryLeases>;

/// A stream, a lease table and what the workers on them did.
struct Scene {
    stream: Arc<MemoryStream>,
    leases: Arc<Leases>,
    log: Log,
}

struct Running {
    task: JoinHandle<Result<(), WorkerError>>,
    shutdown: CancellationToken,
}

impl Running {
    async fn crash(self) {
        self.task.abort();
        assert!(self.task.await.is_err());
    }

    async fn stop(self) -> Result<(), WorkerError> {
        self.shutdown.cancel();
        timeout(Duration::from_secs(10), self.task).await.expect("stops within ten seconds").unwrap()
    }
}

impl Scene {
    fn new(stream: MemoryStream) -> Self {
        let leases = Arc::new(Witness::new(MemoryLeases::default()));
        Self { stream: Arc::new(stream), leases, log: Log::default() }
    }

    fn put(&self, numbers: std::ops::Range<u32>) {
        for n in numbers {
            self.stream.put(&format!("key-{n}"), format!("record-{n}")).unwrap();
        }
    }

    fn start(&self, config: WorkerConfig, recorder: &Recorder) -> Running {
        self.start_on(config, self.stream.clone(), self.leases.clone(), recorder)
    }

    fn start_on(
        &self,
        config: WorkerConfig,
        stream: Arc<dyn StreamClient>,
        leases: Arc<dyn LeaseStore>,
        recorder: &Recorder,
    ) -> Running {
        let shutdown = CancellationToken::new();
        let worker = Worker::new(config, stream, leases, Arc::new(recorder.clone()));
        Running { task: tokio::spawn(worker.run(shutdown.clone())), shutdown }
    }

    async fn drain(&self, worker_id: &str) {
        self.start(drained(worker_id), &Recorder::new(&self.log)).task.await.unwrap().unwrap();
    }

    fn lease(&self, shard_id: &str) -> Lease {
        self.leases.inner().snapshot()[shard_id].clone()
    }

    fn assert_sound(&self, records: u32) {
        assert_eq!(*self.leases.violations.lock().unwrap(), Vec::<String>::new());
        let expected: BTreeSet<String> = (0..records).map(|n| format!("record-{n}")).collect();
        let seen: BTreeSet<String> = self.log.seen().into_keys().collect();
        assert_eq!(expected.difference(&seen).collect::<Vec<_>>(), Vec::<&String>::new(), "lost");
        assert!(seen.is_subset(&expected));
    }

    fn repeats(&self) -> usize {
        self.log.seen().values().filter(|count| **count > 1).count()
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !holds(self) {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(Duration::from_secs(600), waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
    }
}

fn drained(worker_id: &str) -> WorkerConfig {
    WorkerConfig { stop_when_drained: true, ..WorkerConfig::new(worker_id) }
}

fn shard(n: u32) -> String {
    format!("shardId-{n:012}")
}

#[tokio::test(start_paused = true)]
async fn every_record_once_in_order_and_the_checkpoint_at_the_last() {
    let scene = Scene::new(MemoryStream::new(3).with_page_size(2));
    scene.put(0..3_000);
    scene.drain("a").await;
    scene.assert_sound(3_000);
    assert_eq!(scene.repeats(), 0);
    let mut last: BTreeMap<String, Position> = BTreeMap::new();
    for event in scene.log.events() {
        let Event::Records { shard, positions, .. } = event else { continue };
        for position in positions {
            assert!(last.get(&shard).is_none_or(|last| *last < position), "out of order in {shard}");
            last.insert(shard.clone(), position);
        }
    }
    assert_eq!(last.len(), 3);
    for (shard, position) in last {
        let lease = scene.lease(&shard);
        assert_eq!(lease.checkpoint, position);
        assert_eq!(lease.lease_owner, None, "released");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stopped_worker_is_continued_without_repetition() {
    let scene = Scene::new(MemoryStream::new(2));
    scene.put(0..500);
    let first = scene.start(WorkerConfig::new("a"), &Recorder::new(&scene.log).commits(Commits::AtTheEnd));
    scene.until("all read", |scene| scene.log.count() == 500).await;
    first.stop().await.unwrap();
    let shutdowns = scene.log.events().iter().filter(|event| matches!(event, Event::Shutdown { .. })).count();
    assert_eq!(shutdowns, 2);
    scene.put(500..800);
    // Released leases need not expire, so another worker goes on at once.
    let begun = Instant::now();
    let second = scene.start(WorkerConfig::new("b"), &Recorder::new(&scene.log));
    scene.until("the rest is read", |scene| scene.log.count() == 800).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    second.stop().await.unwrap();
    scene.assert_sound(800);
    assert_eq!(scene.repeats(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_crashed_workers_leases_are_taken_after_the_failover_time() {
    let scene = Scene::new(MemoryStream::new(2));
    scene.put(0..400);
    let first = scene.start(WorkerConfig::new("a"), &Recorder::new(&scene.log).commits(Commits::Every(2)));
    scene.until("read", |scene| scene.log.count() == 400).await;
    scene.put(400..500);
    scene.until("read", |scene| scene.log.count() > 400).await;
    first.crash().await;
    scene.put(500..900);
    let begun = Instant::now();
    let second = scene.start(WorkerConfig::new("b"), &Recorder::new(&scene.log));
    scene.until("the rest is read", |scene| scene.log.count() == 900).await;
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_secs(10) && waited < Duration::from_secs(17), "{waited:?}");
    second.stop().await.unwrap();
    scene.assert_sound(900);
    assert_eq!(scene.lease(&shard(0)).owner_switches_since_checkpoint, 0);
}

#[tokio::test(start_paused = true)]
async fn a_worker_of_the_same_name_takes_its_leases_back_at_once() {
    let scene = Scene::new(MemoryStream::new(2));
    scene.put(0..100);
    let first = scene.start(WorkerConfig::new("a"), &Recorder::new(&scene.log));
    scene.until("read", |scene| scene.log.count() == 100).await;
    first.crash().await;
    scene.put(100..200);
    let begun = Instant::now();
    let second = scene.start(WorkerConfig::new("a"), &Recorder::new(&scene.log));
    scene.until("the rest is read", |scene| scene.log.count() == 200).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    second.stop().await.unwrap();
    scene.assert_sound(200);
}

#[tokio::test(start_paused = true)]
async fn a_failing_batch_comes_again_and_holds_up_only_its_shard() {
    let scene = Scene::new(MemoryStream::new(1));
    scene.put(0..50);
    let recorder = Recorder::new(&scene.log).failing(4);
    let worker = scene.start(drained("a"), &recorder);
    sleep(Duration::from_millis(400)).await;
    assert_eq!(scene.lease(&shard(0)).checkpoint, Position::TRIM_HORIZON, "nothing was done");
    worker.task.await.unwrap().unwrap();
    scene.assert_sound(50);
    assert_eq!(scene.repeats(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_fatal_error_stops_the_worker_and_frees_its_leases() {
    let scene = Scene::new(MemoryStream::new(2));
    scene.put(0..50);
    let recorder = Recorder { fatal: true, ..Recorder::new(&scene.log).failing(1) };
    let end = scene.start(drained("a"), &recorder).task.await.unwrap();
    assert!(matches!(end, Err(WorkerError::Process { .. })), "{end:?}");
    assert!((0..2).all(|n| scene.lease(&shard(n)).lease_owner.is_none()));
    scene.drain("b").await;
    scene.assert_sound(50);
}

#[tokio::test(start_paused = true)]
async fn a_stuck_processor_does_not_hold_up_the_stop() {
    let scene = Scene::new(MemoryStream::new(2));
    scene.put(0..50);
    let recorder = Recorder::new(&scene.log).work(Duration::from_secs(3_600));
    let worker = scene.start(WorkerConfig::new("a"), &recorder);
    sleep(Duration::from_secs(60)).await;
    worker.stop().await.unwrap();
    assert_eq!(scene.log.count(), 0);
    assert!((0..2).all(|n| scene.lease(&shard(n)).lease_owner.is_none()), "released all the same");
    scene.drain("b").await;
    scene.assert_sound(50);
}

#[tokio::test(start_paused = true)]
async fn a_long_batch_keeps_its_lease() {
    let scene = Scene::new(MemoryStream::new(1));
    scene.put(0..10);
    let slow = Recorder::new(&scene.log).work(Duration::from_secs(100));
    let first = scene.start(WorkerConfig::new("a"), &slow);
    sleep(Duration::from_secs(5)).await;
    let second = scene.start(WorkerConfig::new("b"), &Recorder::new(&scene.log));
    sleep(Duration::from_secs(120)).await;
    assert!(scene.lease(&shard(0)).is_owned_by("a"));
    assert_eq!((scene.log.count(), scene.repeats()), (10, 0));
    first.stop().await.unwrap();
    second.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lease_taken_by_another_is_let_go_and_its_checkpoint_is_safe() {
    let scene = Scene::new(MemoryStream::new(1));
    scene.put(0..10);
    let slow = Recorder::new(&scene.log).work(Duration::from_secs(30));
    let worker = scene.start(WorkerConfig { max_leases: 1, ..WorkerConfig::new("a") }, &slow);
    sleep(Duration::from_secs(5)).await;
    let thief = LeaseChange::Take { owner: "thief".into() };
    let stolen = scene.leases.update(&scene.lease(&shard(0)), &thief).await.unwrap();
    sleep(Duration::from_secs(5)).await;
    assert!(scene.log.events().contains(&Event::Lost { shard: shard(0) }));
    assert_eq!(scene.log.count(), 0, "the batch was dropped");
    assert_eq!(scene.lease(&shard(0)), stolen);
    worker.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_lease_table_ends_in_letting_go_and_is_survived() {
    let scene = Scene::new(MemoryStream::new(2));
    let leases = Arc::new(Failing::new(scene.leases.clone(), Faults { seed: 0, percent: 0, delay: Duration::ZERO }));
    let recorder = Recorder::new(&scene.log);
    let worker = scene.start_on(WorkerConfig::new("a"), scene.stream.clone(), leases.clone(), &recorder);
    scene.put(0..100);
    scene.until("read", |scene| scene.log.count() == 100).await;
    leases.set_down(true);
    scene.put(100..200);
    sleep(Duration::from_secs(9)).await;
    let lost = || scene.log.events().iter().filter(|event| matches!(event, Event::Lost { .. })).count();
    assert_eq!(lost(), 0, "not before the lease has run out");
    sleep(Duration::from_secs(4)).await;
    assert_eq!(lost(), 2);
    leases.set_down(false);
    scene.put(200..300);
    scene.until("read", |scene| scene.log.count() == 300).await;
    worker.stop().await.unwrap();
    scene.assert_sound(300);
}

#[tokio::test(start_paused = true)]
async fn expired_iterators_are_renewed_after_the_last_record_read() {
    let scene = Scene::new(MemoryStream::new(2));
    let recorder = Recorder::new(&scene.log).commits(Commits::AtTheEnd);
    let worker = scene.start(WorkerConfig::new("a"), &recorder);
    for n in 0..10 {
        scene.put(n * 10..(n + 1) * 10);
        scene.stream.expire_iterators();
        sleep(Duration::from_secs(2)).await;
    }
    scene.until("read", |scene| scene.log.count() == 100).await;
    worker.stop().await.unwrap();
    scene.assert_sound(100);
    assert_eq!(scene.repeats(), 0);
}

#[tokio::test(start_paused = true)]
async fn children_follow_their_parents_whether_they_are_named_or_listed() {
    for stream in [MemoryStream::new(2), MemoryStream::new(2).without_child_shards().with_page_size(1)] {
        let scene = Scene::new(stream);
        scene.put(0..100);
        let worker = scene.start(WorkerConfig::new("a"), &Recorder::new(&scene.log));
        let [left, right] = scene.stream.split(&shard(0)).unwrap();
        scene.put(100..200);
        sleep(Duration::from_secs(10)).await;
        let merged = scene.stream.merge(&right, &shard(1)).unwrap();
        scene.put(200..300);
        scene.until("read", |scene| scene.log.count() == 300).await;
        sleep(Duration::from_secs(10)).await;
        worker.stop().await.unwrap();
        scene.assert_sound(300);
        assert_eq!(scene.repeats(), 0);
        for ended in [&shard(0), &shard(1), &right] {
            assert!(scene.lease(ended).is_ended(), "{ended}");
        }
        assert_eq!(scene.lease(&shard(0)).child_shard_ids, [left.clone(), right.clone()]);
        assert_eq!(scene.lease(&merged).parent_shard_ids, [right.clone(), shard(1)]);
        assert!(!scene.lease(&left).is_ended());
        let order = scene.log.events();
        let place = |wanted: &dyn Fn(&Event) -> bool| order.iter().position(wanted).unwrap();
        let ended = |id: &str| place(&|event| matches!(event, Event::Ended { shard } if shard == id));
        let begun = |id: &str| place(&|event| matches!(event, Event::Start { shard, .. } if shard == id));
        assert!(ended(&shard(0)) < begun(&left) && ended(&shard(0)) < begun(&right));
        assert!(ended(&right) < begun(&merged) && ended(&shard(1)) < begun(&merged));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_resharded_before_is_read_from_its_first_shard_on() {
    let scene = Scene::new(MemoryStream::new(1));
    scene.put(0..100);
    let [left, right] = scene.stream.split(&shard(0)).unwrap();
    scene.put(100..200);
    scene.stream.merge(&left, &right).unwrap();
    scene.put(200..300);
    scene.drain("a").await;
    scene.assert_sound(300);
    assert_eq!(scene.repeats(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_has_aged_out_is_closed_and_its_successors_are_read() {
    let scene = Scene::new(MemoryStream::new(1));
    scene.put(0..10);
    scene.drain("a").await;
    let [left, right] = scene.stream.split(&shard(0)).unwrap();
    scene.put(10..20);
    scene.stream.merge(&left, &right).unwrap();
    scene.put(20..30);
    for gone in [&shard(0), &left, &right] {
        scene.stream.forget(gone);
    }
    let worker = scene.start(WorkerConfig::new("b"), &Recorder::new(&scene.log));
    scene.until("what is left is read", |scene| scene.log.count() == 20).await;
    sleep(Duration::from_secs(60)).await;
    worker.stop().await.unwrap();
    assert!(!scene.leases.inner().snapshot().contains_key(&shard(0)), "done with and removed");
    assert_eq!(*scene.leases.violations.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_missing_stream_is_no_reason_to_close_its_shards() {
    let scene = Scene::new(MemoryStream::new(1));
    scene.put(0..10);
    scene.drain("a").await;
    let checkpoint = scene.lease(&shard(0)).checkpoint;
    let empty = Arc::new(NoStream);
    let worker = scene.start_on(drained("b"), empty, scene.leases.clone(), &Recorder::new(&scene.log));
    let end = worker.task.await.unwrap();
    assert!(matches!(end, Err(WorkerError::Start(_))), "{end:?}");
    assert_eq!(scene.lease(&shard(0)).checkpoint, checkpoint);
}

struct NoStream;

#[async_trait::async_trait]
impl StreamClient for NoStream {
    async fn list_shards(&self, _: Option<&str>) -> Result<dial_ingest::stream::ShardPage, dial_ingest::PortError> {
        Err(dial_ingest::PortError::new("ListShards", dial_ingest::ErrorKind::NotFound, "no stream"))
    }

    async fn get_iterator(
        &self,
        _: &str,
        _: &dial_ingest::stream::IteratorStart,
    ) -> Result<String, dial_ingest::PortError> {
        unreachable!()
    }

    async fn get_records(&self, _: &str, _: u32) -> Result<dial_ingest::stream::GetRecords, dial_ingest::PortError> {
        unreachable!()
    }
}

#[tokio::test(start_paused = true)]
async fn latest_and_a_time_skip_what_came_before() {
    let scene = Scene::new(MemoryStream::new(1));
    scene.put(0..10);
    sleep(Duration::from_secs(10)).await;
    let config = WorkerConfig { initial_position: InitialPosition::Latest, ..WorkerConfig::new("a") };
    let worker = scene.start(config, &Recorder::new(&scene.log));
    sleep(Duration::from_secs(2)).await;
    scene.put(10..20);
    sleep(Duration::from_secs(2)).await;
    worker.stop().await.unwrap();
    let expected: BTreeSet<String> = (10..20).map(|n| format!("record-{n}")).collect();
    assert_eq!(scene.log.seen().into_keys().collect::<BTreeSet<_>>(), expected);
}

#[tokio::test(start_paused = true)]
async fn three_workers_share_eight_shards_within_two_failover_times() {
    let scene = Scene::new(MemoryStream::new(8));
    let recorder = Recorder::new(&scene.log);
    scene.put(0..800);
    let first = scene.start(WorkerConfig::new("a"), &recorder);
    sleep(Duration::from_secs(5)).await;
    let second = scene.start(WorkerConfig::new("b"), &recorder);
    let third = scene.start(WorkerConfig::new("c"), &recorder);
    sleep(Duration::from_secs(20)).await;
    let shares = |scene: &Scene| {
        let mut shares: BTreeMap<String, usize> = BTreeMap::new();
        for lease in scene.leases.inner().snapshot().into_values() {
            *shares.entry(lease.lease_owner.unwrap_or_default()).or_default() += 1;
        }
        shares
    };
    let mut counts: Vec<usize> = shares(&scene).into_values().collect();
    counts.sort_unstable();
    assert_eq!(counts, [2, 3, 3], "{:?}", shares(&scene));
    scene.put(800..1_600);
    sleep(Duration::from_secs(5)).await;
    second.crash().await;
    scene.put(1_600..2_400);
    sleep(Duration::from_secs(20)).await;
    assert_eq!(shares(&scene).into_values().collect::<Vec<_>>(), [4, 4]);
    first.stop().await.unwrap();
    third.stop().await.unwrap();
    scene.assert_sound(2_400);
}

#[tokio::test(start_paused = true)]
async fn two_paces_on_one_stream_stay_within_its_limits() {
    let scene = Scene::new(MemoryStream::new(2));
    let other = Scene { stream: scene.stream.clone(), ..Scene::new(MemoryStream::new(1)) };
    let stream = Arc::new(Throttles::new(scene.stream.clone()));
    let eager = WorkerConfig::new("eager");
    let gentle = WorkerConfig { pace: dial_ingest::PollPace::GENTLE, ..WorkerConfig::new("gentle") };
    let one = scene.start_on(eager, stream.clone(), scene.leases.clone(), &Recorder::new(&scene.log));
    let two = other.start_on(gentle, stream.clone(), other.leases.clone(), &Recorder::new(&other.log));
    // A minute of 600 kB a second in each shard.
    for n in 0..7_200_u32 {
        scene.stream.put(&format!("key-{n}"), format!("{n:010000}")).unwrap();
        sleep(Duration::from_micros(8_333)).await;
    }
    sleep(Duration::from_secs(5)).await;
    one.stop().await.unwrap();
    two.stop().await.unwrap();
    assert_eq!((scene.log.count(), other.log.count()), (7_200, 7_200));
    assert!(stream.reads.load(std::sync::atomic::Ordering::SeqCst) > 300);
    assert_eq!(stream.throttled.load(std::sync::atomic::Ordering::SeqCst), 0, "throttled");
}

/// Counts the reads of a stream, and those that it refused.
struct Throttles {
    inner: Arc<MemoryStream>,
    reads: std::sync::atomic::AtomicU32,
    throttled: std::sync::atomic::AtomicU32,
}

impl Throttles {
    fn new(inner: Arc<MemoryStream>) -> Self {
        Self { inner, reads: 0.into(), throttled: 0.into() }
    }
}

#[async_trait::async_trait]
impl StreamClient for Throttles {
    async fn list_shards(&self, page: Option<&str>) -> Result<dial_ingest::stream::ShardPage, dial_ingest::PortError> {
        self.inner.list_shards(page).await
    }

    async fn get_iterator(
        &self,
        shard_id: &str,
        start: &dial_ingest::stream::IteratorStart,
    ) -> Result<String, dial_ingest::PortError> {
        self.inner.get_iterator(shard_id, start).await
    }

    async fn get_records(
        &self,
        iterator: &str,
        limit: u32,
    ) -> Result<dial_ingest::stream::GetRecords, dial_ingest::PortError> {
        use std::sync::atomic::Ordering::SeqCst;
        self.reads.fetch_add(1, SeqCst);
        self.inner.get_records(iterator, limit).await.inspect_err(|error| {
            if error.kind == dial_ingest::ErrorKind::Throttled {
                self.throttled.fetch_add(1, SeqCst);
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_told_and_the_shard_is_read_by_another() {
    let scene = Scene::new(MemoryStream::new(2));
    scene.put(0..50);
    // The recorder takes text only.
    let (hurt, _) = scene.stream.put("key", vec![0xFF]).unwrap();
    let end = scene.start(drained("a"), &Recorder::new(&scene.log)).task.await.unwrap();
    assert!(matches!(&end, Err(WorkerError::Panicked { shard_id, .. }) if *shard_id == hurt), "{end:?}");
    let other = if hurt == shard(0) { shard(1) } else { shard(0) };
    assert_eq!(scene.lease(&other).lease_owner, None, "released");
    assert!(scene.lease(&hurt).is_owned_by("a"), "left to expire");
    scene.stream.trim(&hurt, usize::MAX);
    scene.drain("b").await;
}

#[tokio::test(start_paused = true)]
async fn progress_can_be_watched() {
    let scene = Scene::new(MemoryStream::new(2));
    scene.put(0..100);
    let recorder = Arc::new(Recorder::new(&scene.log).commits(Commits::AtTheEnd));
    let worker = Worker::new(WorkerConfig::new("a"), scene.stream.clone(), scene.leases.clone(), recorder);
    let progress = worker.progress();
    assert!(progress.borrow().is_empty());
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(worker.run(shutdown.clone()));
    sleep(Duration::from_secs(5)).await;
    let seen = progress.borrow().clone();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen.values().map(|page| page.records).sum::<u64>(), 100);
    for page in seen.values() {
        assert!(page.delivered > page.checkpoint && page.is_drained());
        assert_eq!((page.checkpoint.clone(), page.millis_behind_latest), (Position::TRIM_HORIZON, Some(0)));
    }
    shutdown.cancel();
    task.await.unwrap().unwrap();
    assert!(progress.borrow().is_empty(), "let go");
}

/// A worker whose only listing of the shards is that of its start.
fn rarely_listing() -> WorkerConfig {
    let pace = PollPace { max_records: 1, ..PollPace::EAGER };
    WorkerConfig { shard_sync_interval: Duration::from_secs(3_600), pace, ..WorkerConfig::new("w") }
}

#[tokio::test(start_paused = true)]
async fn a_merged_shard_waits_for_a_parent_that_nobody_has_heard_of() {
    let scene = Scene::new(MemoryStream::new(2));
    scene.put(0..20);
    // The second shard is at its end at once, the first one long after.
    scene.stream.trim("shardId-000000000001", 20);
    let worker = scene.start(rarely_listing(), &Recorder::new(&scene.log).work(Duration::from_secs(1)));
    sleep(Duration::from_secs(2)).await;
    let [_, young] = scene.stream.split("shardId-000000000000").unwrap();
    let merged = scene.stream.merge(&young, "shardId-000000000001").unwrap();
    sleep(Duration::from_secs(120)).await;
    worker.stop().await.unwrap();
    let events = scene.log.events();
    let ended = events.iter().position(|event| matches!(event, Event::Ended { shard } if *shard == young));
    let started = events.iter().position(|event| matches!(event, Event::Start { shard, .. } if *shard == merged));
    assert!(ended.is_some() && started > ended, "{events:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_shard_younger_than_the_listing_is_not_taken_for_one_that_is_gone() {
    let scene = Scene::new(MemoryStream::new(1));
    let worker = scene.start(rarely_listing(), &Recorder::new(&scene.log));
    sleep(Duration::from_secs(2)).await;
    let [left, _] = scene.stream.split("shardId-000000000000").unwrap();
    sleep(Duration::from_secs(20)).await;
    scene.stream.split(&left).unwrap();
    scene.put(0..40);
    sleep(Duration::from_secs(60)).await;
    worker.stop().await.unwrap();
    assert!(scene.lease(&left).is_ended());
    assert_eq!(scene.log.count(), 40);
}
