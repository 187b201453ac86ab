//! Our workers and the Kinesis Client Library for Java take turns at one lease table.
//!
//! ```text
//! cargo run -p dial-ingest --example kcl_interop [library-first] [ours-first] [resharding]
//! ```
//!
//! Needs Java, besides what the tests need; everything else is installed on first use. In each of three scenes the library and our
//! workers read one stream, each carrying on from what the other left in the table, after crashes and after clean stops. At
//! each handing over every item of the table is printed as it is, and at the end it is asked that every record was
//! processed, twice only where a crash left it without checkpoint, and that each side began exactly where the other's
//! checkpoint was. Any other outcome is a panic that says what was found. docs/INTEROP.md says how to run it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, unreachable_pub, missing_docs)]

mod account;
mod items;
mod ours;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use account::Account;
use dial_emulators::{Kcl, KclSettings, Kinesis, KinesisLocal, Ministack, unique};
use items::{Items, side_by_side};
use ours::Place;

/// How long a lease lasts without being renewed, on both sides.
pub const FAILOVER: Duration = Duration::from_secs(5);
/// Records in a batch, on both sides.
pub const BATCH: u32 = 50;
/// Batches from one checkpoint to the next, on both sides.
pub const CHECKPOINT_EVERY: u32 = 3;
/// From one read of a shard to the next, on both sides.
pub const INTERVAL: Duration = Duration::from_millis(400);
const SHARDS: usize = 4;
/// How long to wait for anything.
const PATIENCE: Duration = Duration::from_secs(180);

/// Where the stream is.
enum Emulator {
    /// Fast, but silent about the children of a shard that ends, which the library insists on.
    Ferrokinesis(Kinesis),
    /// Slow, and right about them.
    KinesisLocal(KinesisLocal),
}

impl Emulator {
    fn client(&self) -> aws_sdk_kinesis::Client {
        match self {
            Self::Ferrokinesis(kinesis) => kinesis.client(),
            Self::KinesisLocal(kinesis) => kinesis.client(),
        }
    }

    fn endpoint(&self) -> String {
        match self {
            Self::Ferrokinesis(kinesis) => kinesis.endpoint(),
            Self::KinesisLocal(kinesis) => kinesis.endpoint(),
        }
    }

    async fn create_stream(&self, name: &str, shards: usize) {
        let shards = u32::try_from(shards).expect("a few shards");
        match self {
            Self::Ferrokinesis(kinesis) => kinesis.create_stream(name, shards).await,
            Self::KinesisLocal(kinesis) => kinesis.create_stream(name, shards).await,
        }
    }

    async fn put(&self, stream: &str, records: Vec<(String, Vec<u8>)>) {
        match self {
            Self::Ferrokinesis(kinesis) => kinesis.put(stream, records).await,
            Self::KinesisLocal(kinesis) => kinesis.put(stream, records).await,
        }
    }
}

/// A stream, a lease table, and who read what.
struct Scene {
    kinesis: Emulator,
    ministack: &'static Ministack,
    place: Place,
    journals: PathBuf,
    kcl_workers: Vec<String>,
    put: usize,
    /// The records that crashes left without checkpoint, a set for each crash.
    crashes: Vec<BTreeSet<String>>,
}

impl Scene {
    async fn new(title: &str, kinesis: Emulator, shards: usize) -> Self {
        println!("\n# {title}");
        let ministack = Ministack::shared();
        let (stream, table) = (unique("interop"), unique("leases"));
        kinesis.create_stream(&stream, shards).await;
        let journals = std::env::temp_dir().join(unique("dial-kcl"));
        let account = Arc::new(Mutex::new(Account::default()));
        let (kinesis_client, dynamodb) = (kinesis.client(), ministack.dynamodb());
        let place = Place { kinesis: kinesis_client, dynamodb, stream, table, account };
        Self { kinesis, ministack, place, journals, kcl_workers: Vec::new(), put: 0, crashes: Vec::new() }
    }

    async fn put(&mut self, count: usize) {
        let new = self.put..self.put + count;
        self.put = new.end;
        let records = new.map(|n| (format!("key-{n}"), format!("record-{n}").into_bytes())).collect();
        self.kinesis.put(&self.place.stream, records).await;
        println!("\n{count} records put, {} in all", self.put);
    }

    /// Splits a shard at a hash key.
    async fn split(&self, shard: u32, at: u128) {
        let split = self.place.kinesis.split_shard().stream_name(&self.place.stream).shard_to_split(shard_id(shard));
        split.new_starting_hash_key(at.to_string()).send().await.expect("the shard is split");
        println!("shard {shard} is split");
    }

    /// Merges two shards whose hash keys adjoin.
    async fn merge(&self, one: u32, other: u32) {
        let merge = self.place.kinesis.merge_shards().stream_name(&self.place.stream).shard_to_merge(shard_id(one));
        merge.adjacent_shard_to_merge(shard_id(other)).send().await.expect("the shards are merged");
        println!("shards {one} and {other} are merged");
    }

    fn journal(&self, worker: &str) -> PathBuf {
        self.journals.join(worker)
    }

    fn start_kcl(&mut self, worker: &str) -> Kcl {
        let journal = self.journal(worker);
        std::fs::create_dir_all(&journal).expect("a folder for the journal");
        self.kcl_workers.push(worker.into());
        println!("\n{worker}: the Kinesis Client Library begins");
        Kcl::start(&KclSettings {
            application: self.place.table.clone(),
            worker_id: worker.into(),
            stream: self.place.stream.clone(),
            kinesis: self.kinesis.endpoint(),
            dynamodb: self.ministack.endpoint(),
            failover: FAILOVER,
            max_records: BATCH,
            read_interval: INTERVAL,
            checkpoint_every: CHECKPOINT_EVERY,
            journal,
        })
    }

    fn start_ours(&self, worker: &str, to_the_end: bool) -> ours::Running {
        println!("\n{worker}: a worker of ours begins");
        self.place.start(worker, to_the_end)
    }

    /// What everybody saw so far.
    fn account(&self) -> Account {
        let mut account = self.place.account.lock().expect("nobody panicked").clone();
        for worker in &self.kcl_workers {
            account.add(Account::of_journal(worker, &self.journal(worker)));
        }
        account
    }

    fn processed(&self) -> usize {
        self.account().records().len()
    }

    async fn items(&self) -> Items {
        Items::read(&self.place.dynamodb, &self.place.table).await
    }

    /// Waits until `count` different records were processed and `also` holds of the table.
    async fn until(&self, count: usize, mut kcl: Option<&mut Kcl>, also: impl Fn(&Items) -> bool) {
        let began = Instant::now();
        loop {
            let processed = self.processed();
            if processed >= count && also(&self.items().await) {
                println!("{processed} records are processed after {:.1} s", began.elapsed().as_secs_f64());
                return;
            }
            if let Some(kcl) = &mut kcl {
                assert!(kcl.is_running(), "the Kinesis Client Library ended: {}", kcl.log());
            }
            if began.elapsed() > PATIENCE {
                let log = kcl.map(|kcl| kcl.log()).unwrap_or_default();
                panic!("{processed} of {count} records after {PATIENCE:?}: {:#?}\n{log}", self.items().await);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Notes what a crash left without checkpoint, going by the table: of each shard no more than the batches from one
    /// checkpoint to the next.
    fn crashed(&mut self, who: &str, items: &Items) {
        let open = self.account().not_checkpointed(items);
        println!("{who} was killed; {} records are processed but not checkpointed", open.len());
        assert!(open.len() <= items.0.len() * (CHECKPOINT_EVERY * BATCH) as usize);
        self.crashes.push(open);
    }

    /// Asks that `worker` began where the table's items said, and shards that were not there yet at their beginning.
    fn assert_began_at(&self, worker: &str, items: &Items) {
        let account = self.account();
        let starts = account.starts(worker);
        for (shard, start) in &starts {
            let known = items.0.contains_key(*shard);
            let expected = if known { items.checkpoint(shard) } else { ("TRIM_HORIZON", 0) };
            assert_eq!(*start, expected, "{worker} in {shard}");
        }
        println!("{worker} began {} shards exactly where the table says", starts.len());
        assert!(!starts.is_empty());
    }

    /// Asks that our store reads every item.
    async fn assert_readable(&self, items: &Items) {
        let store = dial_ingest::dynamodb::DynamoLeases::new(self.place.dynamodb.clone(), &self.place.table);
        let leases = dial_ingest::LeaseStore::list(&store).await.expect("the lease table");
        assert_eq!(leases.len(), items.0.len(), "every item is a lease to us");
        for lease in leases {
            let (sequence, sub) = items.checkpoint(&lease.lease_key);
            assert_eq!((lease.checkpoint.sequence.as_str(), lease.checkpoint.sub_sequence), (sequence, sub));
            assert_eq!(lease.lease_owner.as_deref(), items.value(&lease.lease_key, "leaseOwner"));
            assert!(lease.hash_range.is_some(), "{lease:?}");
        }
    }

    /// The judgement at the end.
    fn assert_all_processed(&self) {
        let account = self.account();
        account.assert_ordered();
        let records = account.records();
        let expected: BTreeSet<String> = (0..self.put).map(|n| format!("record-{n}")).collect();
        assert_eq!(records.keys().map(ToString::to_string).collect::<BTreeSet<_>>(), expected);
        let mut repeated = 0;
        for (data, count) in &records {
            let allowed = 1 + self.crashes.iter().filter(|open| open.contains(*data)).count();
            assert!(*count <= allowed, "{data} was processed {count} times, {allowed} times at most");
            repeated += count - 1;
        }
        let open: Vec<usize> = self.crashes.iter().map(BTreeSet::len).collect();
        println!("\nevery one of {} records is processed; {repeated} once more, of {open:?} left by crashes", self.put);
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.journals);
    }
}

fn print(columns: &[(&str, &Items)]) {
    let keys: BTreeSet<&String> = columns.iter().flat_map(|(_, items)| items.0.keys()).collect();
    for key in keys {
        println!("\n{}", side_by_side(key, columns));
    }
}

/// Every shard of so many has a checkpoint.
fn begun(items: &Items, shards: usize) -> bool {
    let has_begun = |key: &String| matches!(items.checkpoint(key).0.as_bytes(), b"SHARD_END" | [b'0'..=b'9', ..]);
    items.0.len() == shards && items.0.keys().all(has_begun)
}

/// These shards were read to their ends.
fn ended(items: &Items, shards: &[u32]) -> bool {
    shards.iter().all(|shard| items.checkpoint(&shard_id(*shard)).0 == "SHARD_END")
}

/// Every lease is one of these workers'.
fn owned(items: &Items, workers: &[&str]) -> bool {
    items.0.keys().all(|key| items.value(key, "leaseOwner").is_some_and(|owner| workers.contains(&owner)))
}

/// Some lease of the worker has an open declaration.
fn declared(items: &Items, worker: &str) -> bool {
    let open = |key: &String| items.value(key, "pendingCheckpoint").is_some();
    items.0.keys().any(|key| open(key) && items.value(key, "leaseOwner") == Some(worker))
}

/// Asks that what one side wrote and the other does not know is still there.
fn assert_survived(before: &Items, after: &Items) {
    let (before, after) = (before.unknown(), after.unknown());
    for (attribute, value) in &before {
        assert_eq!(after.get(attribute), Some(value), "{attribute:?} is not ours to change");
    }
    println!("{} attributes that only the Kinesis Client Library knows are as they were", before.len());
}

/// Asks that each attribute has one type, whoever wrote it.
fn assert_types(all: &[&Items]) {
    let mut types = std::collections::BTreeMap::new();
    for (name, found) in all.iter().flat_map(|items| items.types()) {
        types.entry(name).or_insert_with(BTreeSet::new).extend(found);
    }
    println!("\nThe types of attributes, over all items at all times:");
    for (name, found) in types {
        println!("{name:35}  {}", found.iter().copied().collect::<Vec<_>>().join(", "));
        assert_eq!(found.len(), 1, "{name} has one type");
    }
}

/// The library reads a part and is killed; two of ours carry on, one is killed, one stopped; the library finishes and
/// is stopped; one of ours reads what came since.
async fn the_library_begins() {
    let mut scene = Scene::new("A table that the Kinesis Client Library made", ferrokinesis(), SHARDS).await;
    scene.put(6_000).await;
    let mut kcl = scene.start_kcl("kcl-1");
    let throughput = |items: &Items| items.0.keys().all(|key| items.value(key, "throughputKBps").is_some());
    scene.until(1_000, Some(&mut kcl), |items| begun(items, SHARDS) && throughput(items)).await;
    kill(kcl);
    let by_kcl = scene.items().await;
    scene.crashed("kcl-1", &by_kcl);
    scene.assert_readable(&by_kcl).await;

    let (first, second) = (scene.start_ours("ours-1", false), scene.start_ours("ours-2", false));
    let all_ours = |items: &Items| owned(items, &["ours-1", "ours-2"]) && declared(items, "ours-1");
    scene.until(scene.processed() + 800, None, all_ours).await;
    first.kill().await;
    second.stop().await;
    let by_ours = scene.items().await;
    println!("ours-2 was stopped");
    scene.crashed("ours-1", &by_ours);
    for worker in ["ours-1", "ours-2"] {
        scene.assert_began_at(worker, &by_kcl);
    }
    assert_survived(&by_kcl, &by_ours);

    scene.put(500).await;
    let mut kcl = scene.start_kcl("kcl-2");
    scene.until(scene.put, Some(&mut kcl), |_| true).await;
    stop(kcl);
    let by_kcl_again = scene.items().await;
    scene.assert_began_at("kcl-2", &by_ours);
    scene.assert_readable(&by_kcl_again).await;
    assert_eq!(scene.account().not_checkpointed(&by_kcl_again), BTreeSet::new(), "a clean stop leaves nothing");

    scene.put(300).await;
    scene.start_ours("ours-3", true).end().await;
    let at_the_end = scene.items().await;
    scene.assert_began_at("ours-3", &by_kcl_again);
    assert_survived(&by_kcl_again, &at_the_end);
    print(&[
        ("kcl-1 killed", &by_kcl),
        ("ours-1 killed, ours-2 stopped", &by_ours),
        ("kcl-2 stopped", &by_kcl_again),
        ("ours-3 at the end", &at_the_end),
    ]);
    assert_types(&[&by_kcl, &by_ours, &by_kcl_again, &at_the_end]);
    scene.assert_all_processed();
}

/// The other way round: ours make the table, and close a shard that is split meanwhile; the library carries on with
/// its children and is killed; ours finish. The split is over before the library begins: at the end of a shard it
/// insists on being told the children, which ferrokinesis does not do.
async fn we_begin() {
    let mut scene = Scene::new("A table that our workers made", ferrokinesis(), SHARDS).await;
    scene.put(1_600).await;
    let first = scene.start_ours("ours-1", false);
    scene.split(0, 1 << 125).await;
    scene.put(3_400).await;
    let closed = |items: &Items| ended(items, &[0]) && begun(items, SHARDS + 2) && declared(items, "ours-1");
    scene.until(1_000, None, closed).await;
    first.kill().await;
    let by_ours = scene.items().await;
    scene.crashed("ours-1", &by_ours);

    let mut kcl = scene.start_kcl("kcl-1");
    let all_kcls = |items: &Items| {
        let mut open = items.0.keys().filter(|key| items.checkpoint(key).0 != "SHARD_END");
        open.all(|key| items.value(key, "leaseOwner") == Some("kcl-1"))
    };
    scene.until(scene.processed() + 600, Some(&mut kcl), all_kcls).await;
    kill(kcl);
    let by_kcl = scene.items().await;
    scene.crashed("kcl-1", &by_kcl);
    scene.assert_began_at("kcl-1", &by_ours);
    scene.assert_readable(&by_kcl).await;

    scene.start_ours("ours-2", true).end().await;
    let at_the_end = scene.items().await;
    scene.assert_began_at("ours-2", &by_kcl);
    assert_survived(&by_kcl, &at_the_end);
    print(&[("ours-1 killed", &by_ours), ("kcl-1 killed", &by_kcl), ("ours-2 at the end", &at_the_end)]);
    assert_types(&[&by_ours, &by_kcl, &at_the_end]);
    scene.assert_all_processed();
}

/// A shard is split while the library reads, and two are merged while ours do: each side closes parents and begins
/// children, and the other carries on with them.
async fn shards_change() {
    let kinesis = Emulator::KinesisLocal(KinesisLocal::start());
    let mut scene = Scene::new("Shards that are split and merged", kinesis, 2).await;
    scene.put(400).await;
    let mut kcl = scene.start_kcl("kcl-1");
    scene.until(100, Some(&mut kcl), |items| begun(items, 2)).await;
    scene.split(0, 1 << 126).await;
    // Enough for every shard to come to a checkpoint.
    scene.put(1_000).await;
    let split = |items: &Items| ended(items, &[0]) && begun(items, 4);
    scene.until(1_000, Some(&mut kcl), split).await;
    stop(kcl);
    let by_kcl = scene.items().await;
    scene.assert_readable(&by_kcl).await;

    let ours = scene.start_ours("ours-1", false);
    scene.put(200).await;
    scene.merge(3, 1).await;
    scene.put(400).await;
    scene.until(1_800, None, |items| ended(items, &[0, 1, 3]) && begun(items, 5)).await;
    ours.stop().await;
    let by_ours = scene.items().await;
    scene.assert_began_at("ours-1", &by_kcl);
    assert_survived(&by_kcl, &by_ours);

    scene.put(200).await;
    let mut kcl = scene.start_kcl("kcl-2");
    scene.until(scene.put, Some(&mut kcl), |_| true).await;
    stop(kcl);
    let at_the_end = scene.items().await;
    scene.assert_began_at("kcl-2", &by_ours);
    scene.assert_readable(&at_the_end).await;
    print(&[("kcl-1 stopped", &by_kcl), ("ours-1 stopped", &by_ours), ("kcl-2 stopped", &at_the_end)]);
    assert_types(&[&by_kcl, &by_ours, &at_the_end]);
    scene.assert_all_processed();
}

fn ferrokinesis() -> Emulator {
    Emulator::Ferrokinesis(Kinesis::start())
}

fn shard_id(n: u32) -> String {
    format!("shardId-{n:012}")
}

fn kill(kcl: Kcl) {
    let log = kcl.log_file().to_owned();
    kcl.kill();
    assert_accepted(&log);
}

fn stop(kcl: Kcl) {
    let log = kcl.log_file().to_owned();
    kcl.stop();
    println!("the library was stopped");
    assert_accepted(&log);
}

/// Asks that the library had no complaint.
fn assert_accepted(log: &Path) {
    let text = std::fs::read_to_string(log).expect("the library's log");
    let complaint = |line: &&str| line.contains(" ERROR ") || line.contains("failed deserialization");
    let complaints: Vec<&str> = text.lines().filter(complaint).collect();
    assert_eq!(complaints, Vec::<&str>::new(), "the library accepts every item");
}

#[tokio::main]
async fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    let scenes = ["library-first", "ours-first", "resharding"];
    assert!(wanted.iter().all(|wanted| scenes.contains(&wanted.as_str())), "the scenes are {scenes:?}");
    if is_wanted("library-first") {
        the_library_begins().await;
    }
    if is_wanted("ours-first") {
        we_begin().await;
    }
    if is_wanted("resharding") {
        shards_change().await;
    }
    println!("\nBoth sides accept what the other writes.");
}
