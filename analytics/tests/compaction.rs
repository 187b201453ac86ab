//! Compaction over real files: the same rows in fewer files, whatever fails, crashes or happens at the same time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// Readers and writers at once need a real clock.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

mod support;

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use bytes::Bytes;
use dial_analytics::archive::write;
use dial_analytics::compaction::footer::Footer;
use dial_analytics::compaction::merge::MergeError;
use dial_analytics::compaction::plan::{Action, Policy};
use dial_analytics::compaction::{CompactError, Compactor, End, Report};
use dial_analytics::events_schema::EVENTS;
use dial_analytics::failing::FailingStore;
use dial_analytics::folder::FolderStore;
use dial_analytics::layout::Day;
use dial_analytics::memory::MemoryStore;
use dial_analytics::read::{ArchivedRow, batches, contents, count_rows, rows};
use dial_analytics::s3::S3Store;
use dial_analytics::store::{Listed, ObjectStore, Put, StoreError, StoreErrorKind};
use dial_analytics::table::{Column, EvolveError, Table, evolve};
use dial_analytics::visibility::visible;
use dial_analytics::writer::{WriteError, write_batches};
use dial_emulators::{Ministack, unique};
use dial_rules::event::Millis;
use support::{plausible, sealed};

const DAY: Millis = 86_400_000;
/// Ten days after the events.
const NOW: Millis = support::ARRIVAL + 10 * DAY;
const ALL: (Day, Day) = (Day::FIRST, Day::LAST);

fn policy() -> Policy {
    Policy { margin: 0, budget: 1 << 20, ..Policy::default() }
}

/// Files of `per_file` events each, of three shards; each holds events of two days.
async fn fill(store: &dyn ObjectStore, files: std::ops::Range<u32>, per_file: u32) {
    for n in files {
        let events = (n * per_file..(n + 1) * per_file).map(plausible);
        let batch = sealed(&format!("shardId-00000000000{}", n % 3), true, u64::from(n * per_file), events);
        write(store, &Arc::new(batch), &Arc::default(), || true).await.unwrap();
    }
}

async fn archived(store: &dyn ObjectStore) -> Vec<ArchivedRow> {
    let mut rows = contents(store).await.unwrap().rows;
    rows.sort();
    rows
}

/// Compacts every day that there is, as `dial compact` does.
async fn compact(store: &dyn ObjectStore, policy: Policy, now: Millis) -> Result<Report, CompactError> {
    let clock = move || now;
    let compactor = Compactor::new(store, &EVENTS, policy, &clock);
    let mut total = Report::default();
    for day in compactor.survey(ALL).await? {
        for attempt in 0.. {
            assert!(attempt < 10, "overtaken for ever");
            let files = compactor.look(day.day()).await?;
            let Some(actions) = compactor.plan(&files).await? else { continue };
            if let End::Done(report) = compactor.carry_out(&files, actions, &|_| ()).await? {
                total.add(&report);
                break;
            }
        }
    }
    Ok(total)
}

#[tokio::test]
async fn a_day_becomes_few_sorted_files_with_the_same_rows() {
    let store = MemoryStore::new();
    fill(&store, 0..40, 25).await;
    let before = archived(&store).await;
    let whole = all_columns(&store).await;
    assert_eq!(before.len(), 1000);
    let policy = || Policy { budget: 256 << 10, ..policy() };
    let report = compact(&store, policy(), NOW).await.unwrap();
    assert_eq!((report.merged, report.rows, report.removed, report.found), (80, 1000, 0, 0));
    assert!((4..16).contains(&report.made), "{report:?}");
    assert!(report.made_bytes * 3 < report.merged_bytes, "{report:?}");
    assert_eq!(archived(&store).await, before);
    assert_eq!(all_columns(&store).await, whole, "every column of every row");

    let files = visible(&store, &EVENTS, NOW + 1).await.unwrap();
    assert!(files.len() as u64 == report.made && files.iter().all(|file| file.key.contains("/compacted-v1/")));
    for file in &files {
        let bytes = store.get(&file.key).await.unwrap();
        let order: Vec<_> = rows(bytes)
            .unwrap()
            .iter()
            .map(|row| (row["event_time"].to_string(), row["event_id"].to_string()))
            .collect();
        assert!(order.is_sorted(), "{}", file.key);
    }
    // Nothing is left to do, and what was there before is kept for the grace period, and not longer.
    assert_eq!(compact(&store, policy(), NOW + 1).await.unwrap(), Report::default());
    assert_eq!(compact(&store, policy(), NOW + DAY).await.unwrap(), Report::default());
    let removed = compact(&store, policy(), NOW + DAY + 1).await.unwrap();
    assert_eq!((removed.removed, removed.removed_bytes, removed.made), (80, report.merged_bytes, 0));
    assert_eq!(store.list("events/v1/").await.unwrap(), []);
    assert_eq!(archived(&store).await, before);
}

/// Every value of every visible row, in the order of the rows' JSON.
async fn all_columns(store: &dyn ObjectStore) -> Vec<String> {
    let mut all = Vec::new();
    for file in visible(store, &EVENTS, Millis::MAX).await.unwrap() {
        let rows = rows(store.get(&file.key).await.unwrap()).unwrap();
        all.extend(rows.into_iter().map(|row| serde_json::Value::Object(row).to_string()));
    }
    all.sort();
    all
}

#[tokio::test]
async fn what_arrives_late_counts_at_once_and_joins_later() {
    let store = MemoryStore::new();
    fill(&store, 0..6, 20).await;
    let first = compact(&store, policy(), NOW).await.unwrap();
    fill(&store, 6..7, 20).await;
    let before = archived(&store).await;
    assert_eq!(before.len(), 140);
    let second = compact(&store, policy(), NOW + 10).await.unwrap();
    assert_eq!((second.merged, second.rows), (first.made + 2, 140), "{first:?} {second:?}");
    assert_eq!(archived(&store).await, before);
    // A file that was compacted and deleted comes back: from an interrupted batch, or a second scan.
    compact(&store, policy(), NOW + DAY + 20).await.unwrap();
    fill(&store, 0..7, 20).await;
    assert_eq!(store.list("events/v1/").await.unwrap().len(), 14);
    assert_eq!(archived(&store).await, before, "hidden once, hidden for ever");
    let again = compact(&store, policy(), NOW + DAY + 30).await.unwrap();
    assert_eq!((again.made, again.removed), (0, 14));
}

#[tokio::test]
async fn files_of_an_older_table_get_its_new_columns() {
    let store = MemoryStore::new();
    fill(&store, 0..3, 10).await;
    let older = Table { columns: &EVENTS.columns[..EVENTS.columns.len() - 6], ..EVENTS };
    for (n, file) in store.list("events/v1/").await.unwrap().into_iter().enumerate().filter(|(n, _)| n % 2 == 0) {
        let read = batches(store.get(&file.key).await.unwrap()).unwrap();
        let narrow = read.map(|batch| Ok::<_, WriteError>(evolve(&batch.unwrap(), &older).unwrap()));
        let bytes = write_batches(&older, 10, narrow).unwrap();
        store.delete(&file.key).await.unwrap();
        store.put_if_absent(&file.key, bytes).await.unwrap();
        assert!(n < 6);
    }
    let before = archived(&store).await;
    compact(&store, policy(), NOW).await.unwrap();
    assert_eq!(archived(&store).await, before);
    for file in visible(&store, &EVENTS, NOW + 1).await.unwrap() {
        let rows = rows(store.get(&file.key).await.unwrap()).unwrap();
        assert!(rows.iter().all(|row| row.len() == EVENTS.columns.len() && row["intel"] == serde_json::json!([])));
    }
}

/// An older program must not write files in the stead of a newer one's: what they have more would be gone.
#[tokio::test]
async fn files_with_columns_that_the_table_lacks_stay_as_they_are() {
    let store = MemoryStore::new();
    fill(&store, 0..3, 10).await;
    let column = Column { name: "of_tomorrow", nullable: true, ..EVENTS.columns[0] };
    let columns: Vec<Column> = EVENTS.columns.iter().copied().chain([column]).collect();
    let newer = Table { columns: columns.leak(), ..EVENTS };
    let file = store.list("events/v1/").await.unwrap().remove(0);
    let read = batches(store.get(&file.key).await.unwrap()).unwrap();
    let wide = read.map(|batch| Ok::<_, WriteError>(evolve(&batch.unwrap(), &newer).unwrap()));
    let bytes = write_batches(&newer, 10, wide).unwrap();
    store.delete(&file.key).await.unwrap();
    store.put_if_absent(&file.key, bytes.clone()).await.unwrap();
    let before = archived(&store).await;
    let files = store.list("events/v1/").await.unwrap();

    let error = compact(&store, policy(), NOW).await.unwrap_err();
    let newer = matches!(&error, CompactError::Merge { key, source: MergeError::Evolve(EvolveError::Newer { .. }) }
        if *key == file.key);
    assert!(newer, "{error}");
    let told = error.to_string();
    assert!(told.contains("`of_tomorrow`") && told.contains("a newer version of the program; compact with"), "{told}");
    assert!(compact(&store, policy(), NOW + 2 * DAY).await.is_err());
    assert_eq!(store.list("events/switches-v1/").await.unwrap(), []);
    assert_eq!(store.list("events/v1/").await.unwrap(), files);
    assert_eq!(store.get(&file.key).await.unwrap(), bytes);
    assert_eq!(archived(&store).await, before, "and it is read, but for that column");
}

#[tokio::test]
async fn footers_say_how_much_memory_rows_take() {
    let store = MemoryStore::new();
    fill(&store, 0..1, 3000).await;
    for file in store.list("events/v1/").await.unwrap() {
        let footer = Footer::read(&store, &EVENTS, &file.key, file.size).await.unwrap();
        let read: Vec<_> = batches(store.get(&file.key).await.unwrap()).unwrap().map(Result::unwrap).collect();
        let rows: usize = read.iter().map(RecordBatch::num_rows).sum();
        let memory: usize = read.iter().map(RecordBatch::get_array_memory_size).sum();
        assert_eq!(footer.rows, rows as u64);
        let ratio = footer.memory as f64 / memory as f64;
        println!("{rows} rows: {} of {memory} bytes in memory, {} in the file", footer.memory, file.size);
        assert!((0.5..1.5).contains(&ratio), "{ratio}");
    }
}

/// A store that is no more after so many calls, as for a program that was killed.
#[derive(Debug)]
struct Mortal<'s> {
    inner: &'s dyn ObjectStore,
    left: AtomicI64,
}

impl Mortal<'_> {
    fn live(&self) -> Result<&dyn ObjectStore, StoreError> {
        let dead = StoreError {
            call: "any",
            place: String::new(),
            kind: StoreErrorKind::Unavailable,
            message: "killed".to_owned(),
        };
        if self.left.fetch_sub(1, Ordering::Relaxed) > 0 { Ok(self.inner) } else { Err(dead) }
    }
}

#[async_trait]
impl ObjectStore for Mortal<'_> {
    async fn put_if_absent(&self, key: &str, bytes: Bytes) -> Result<Put, StoreError> {
        self.live()?.put_if_absent(key, bytes).await
    }

    async fn get(&self, key: &str) -> Result<Bytes, StoreError> {
        self.live()?.get(key).await
    }

    async fn open(&self, key: &str) -> Result<Box<dyn Read + Send>, StoreError> {
        self.live()?.open(key).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        self.live()?.list(prefix).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.live()?.delete(key).await
    }
}

#[tokio::test]
async fn killed_after_any_call_it_leaves_the_rows_and_goes_on_where_it_was() {
    let policy = Policy { budget: 50 << 10, ..policy() };
    let (mut finished, mut found) = (false, 0);
    for calls in (0..).step_by(3) {
        let store = MemoryStore::new();
        fill(&store, 0..8, 12).await;
        let before = archived(&store).await;
        let mortal = Mortal { inner: &store, left: AtomicI64::new(calls) };
        finished = compact(&mortal, policy, NOW).await.is_ok();
        assert_eq!(archived(&store).await, before, "after {calls} calls");
        let report = compact(&store, policy, NOW + 10).await.unwrap();
        found += report.found;
        assert_eq!(archived(&store).await, before, "after {calls} calls and another run");
        let left = visible(&store, &EVENTS, NOW + 20).await.unwrap();
        let (made, alone): (Vec<_>, Vec<_>) = left.into_iter().partition(|file| file.key.contains("compacted"));
        assert!(made.len() >= 4 && alone.len() <= 2, "{made:?} {alone:?}");
        // What the dead one made is used, or goes.
        compact(&store, policy, NOW + 2 * DAY).await.unwrap();
        assert_eq!(store.list("events/v1/").await.unwrap(), alone);
        assert_eq!(store.list("events/compacted-v1/").await.unwrap(), made);
        assert_eq!(archived(&store).await, before);
        if finished {
            break;
        }
    }
    assert!(finished && found > 5, "{found} files of dead runs were found and used");
}

#[tokio::test]
async fn a_store_that_fails_leaves_a_right_archive_each_time() {
    let mut failures = 0;
    for seed in 0..15 {
        let store = FailingStore::new(MemoryStore::new(), seed, 60);
        fill(store.inner(), 0..8, 10).await;
        let before = archived(store.inner()).await;
        let mut now = NOW;
        for attempt in 0.. {
            assert!(attempt < 500, "seed {seed}: nothing works");
            now += 10;
            let done = compact(&store, policy(), now).await.is_ok();
            assert_eq!(archived(store.inner()).await, before, "seed {seed}, attempt {attempt}");
            failures += i32::from(!done);
            if done && now > NOW + DAY {
                break;
            }
            now += if done { 2 * DAY } else { 0 };
        }
        assert_eq!(store.inner().list("events/v1/").await.unwrap(), [], "seed {seed}");
    }
    assert!(failures > 10, "{failures}");
}

#[tokio::test]
async fn a_file_that_is_broken_or_cut_short_stays_and_is_named() {
    let store = MemoryStore::new();
    fill(&store, 0..3, 10).await;
    let key = "events/v1/dt=2024-05-01/shardId-000000000000_5000_5001.parquet";
    store.put_if_absent(key, Bytes::from_static(b"PAR1, but for the rest")).await.unwrap();
    let error = compact(&store, policy(), NOW).await.unwrap_err();
    assert!(error.to_string().contains(key), "{error}");
    assert_eq!(store.list("events/switches-v1/dt=2024-05-01").await.unwrap(), []);
    store.delete(key).await.unwrap();
    compact(&store, policy(), NOW).await.unwrap();
}

#[tokio::test]
async fn what_is_switched_to_is_what_lies_there() {
    let store = MemoryStore::new();
    fill(&store, 0..3, 10).await;
    let clock = || NOW;
    let compactor = Compactor::new(&store, &EVENTS, policy(), &clock);
    let files = compactor.look(Day::parse("2024-05-01").unwrap()).await.unwrap();
    let actions = compactor.plan(&files).await.unwrap().unwrap();
    let Action::Merge { target, sources, .. } = &actions[0] else { panic!("{actions:?}") };
    // Somebody put another file under that name.
    let other = store.get(&sources[0].key).await.unwrap();
    store.put_if_absent(target, other).await.unwrap();
    let error = compactor.carry_out(&files, actions.clone(), &|_| ()).await.unwrap_err();
    assert!(matches!(&error, CompactError::Rows { key, .. } if key == target), "{error}");
    assert_eq!(store.list("events/switches-v1/").await.unwrap(), []);
}

/// The only copy of rows: nobody is told to delete it.
#[tokio::test]
async fn a_file_with_fewer_rows_than_its_footer_says_is_damaged_and_stays() {
    let store = MemoryStore::new();
    fill(&store, 0..3, 10).await;
    let clock = || NOW;
    let compactor = Compactor::new(&store, &EVENTS, policy(), &clock);
    let files = compactor.look(Day::parse("2024-05-01").unwrap()).await.unwrap();
    let mut actions = compactor.plan(&files).await.unwrap().unwrap();
    let Action::Merge { sources, .. } = &mut actions[0] else { panic!("{actions:?}") };
    let (key, rows) = (sources[1].key.clone(), sources[1].footer.rows);
    sources[1].footer.rows += 1;
    let error = compactor.carry_out(&files, actions, &|_| ()).await.unwrap_err();
    let damaged = matches!(&error, CompactError::Damaged { key: of, found, expected }
        if *of == key && (*found, *expected) == (rows, rows + 1));
    assert!(damaged, "{error}");
    let told = error.to_string();
    assert!(!told.to_lowercase().contains("delete") && told.contains("backup"), "{told}");
    assert!(store.get(&key).await.is_ok());
    assert_eq!(store.list("events/switches-v1/").await.unwrap(), []);
}

/// Milliseconds since 1970: files in folders and on S3 have real times.
fn clock() -> Millis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    since.as_millis().try_into().unwrap()
}

/// Longer than any reader here takes, but for one that finds out.
const GRACE: Millis = 4000;

/// What a reader sees, unless it took longer than the grace period.
async fn read_once(store: &dyn ObjectStore) -> Option<Vec<String>> {
    let began = clock();
    let slow = || clock() - began >= GRACE;
    let mut ids: Vec<String> = Vec::new();
    for file in visible(store, &EVENTS, began).await.unwrap() {
        let bytes = match store.get(&file.key).await {
            Err(error) => {
                assert!(slow(), "{error}, although it is wanted still");
                return None;
            }
            bytes => bytes.unwrap(),
        };
        let before = ids.len() as u64;
        let footer = count_rows(bytes.clone()).unwrap();
        ids.extend(rows(bytes).unwrap().iter().map(|row| row["event_id"].to_string()));
        assert_eq!(ids.len() as u64 - before, footer);
    }
    (!slow()).then_some(ids)
}

async fn compact_for_ever(store: Arc<dyn ObjectStore>, done: Arc<AtomicU64>) -> u64 {
    let mut removed = 0;
    while done.load(Ordering::SeqCst) == 0 {
        let policy = Policy { margin: 2, grace: GRACE, ..policy() };
        removed += compact(store.as_ref(), policy, clock()).await.unwrap().removed;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    removed
}

async fn read_for_ever(store: Arc<dyn ObjectStore>, written: Arc<AtomicU64>, done: Arc<AtomicU64>) -> u64 {
    let mut read = 0;
    while done.load(Ordering::SeqCst) == 0 {
        let least = written.load(Ordering::SeqCst);
        let Some(mut ids) = read_once(store.as_ref()).await else { continue };
        let rows = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), rows, "a row twice");
        assert!(rows as u64 >= least, "{rows} rows, and {least} were there before");
        read += 1;
    }
    read
}

/// A writer, two compactors and readers at once: whoever reads counts right.
async fn under_readers(store: Arc<dyn ObjectStore>, reads: u64) {
    let (written, done) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let compactors: Vec<_> = (0..2).map(|_| tokio::spawn(compact_for_ever(store.clone(), done.clone()))).collect();
    let readers: Vec<_> =
        (0..2).map(|_| tokio::spawn(read_for_ever(store.clone(), written.clone(), done.clone()))).collect();
    let until = clock() + 3 * GRACE;
    for n in 0.. {
        fill(store.as_ref(), n..n + 1, 3).await;
        written.fetch_add(3, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(200)).await;
        if clock() > until {
            break;
        }
    }
    done.store(1, Ordering::SeqCst);
    let (mut read, mut removed) = (0, 0);
    for compactor in compactors {
        removed += compactor.await.unwrap();
    }
    for reader in readers {
        read += reader.await.unwrap();
    }
    let switches = store.list("events/switches-v1/").await.unwrap().len();
    println!("{read} counts, {switches} switches, {removed} files deleted");
    assert!(read >= reads && switches > 4 && removed > 4, "too few to say anything");
    assert_eq!(archived(store.as_ref()).await.len() as u64, written.load(Ordering::SeqCst));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_a_folder_count_right_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    under_readers(Arc::new(FolderStore::open(dir.path()).unwrap()), 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_s3_count_right_meanwhile() {
    let client = Ministack::shared().s3();
    let bucket = unique("compaction");
    client.create_bucket().bucket(&bucket).send().await.unwrap();
    under_readers(Arc::new(S3Store::new(client, &bucket, "some/prefix")), 10).await;
}
