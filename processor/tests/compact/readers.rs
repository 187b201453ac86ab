//! Readers of an archive that is being written and compacted: each counts, again and again, and may never count wrong.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use dial_analytics::ddl::duckdb_table;
use dial_analytics::events_schema::EVENTS;
use dial_analytics::read::count_rows;
use dial_analytics::store::{ObjectStore, StoreErrorKind};
use dial_analytics::visibility::visible;
use serde_json::Value;

/// Counts by the view `events` until a file says to stop. What is written is bounded by two numbers in a file: as many rows
/// are there for sure, and no more than that are.
const PROGRAM: &str = r#"
import duckdb, json, os, sys, time
view, bounds, stop, grace = sys.argv[1:]
db = duckdb.connect()
db.execute("SET TimeZone = 'UTC'; SET threads = 1")
db.execute(open(view).read())
counts = vanished = slow = 0
while not os.path.exists(stop):
    least = int(open(bounds).read().split()[0])
    began = time.monotonic()
    try:
        rows, distinct, total = db.execute("SELECT count(*), count(DISTINCT (shard_id, sequence_number)), sum(CAST(sequence_number AS BIGINT)) FROM events").fetchone()
    except duckdb.IOException as error:
        # A hidden file was deleted between being listed and being opened: the query says so.
        vanished += 1
        assert 'No such file' in str(error) or 'No files found' in str(error), error
        continue
    took = time.monotonic() - began
    if took > float(grace) / 1000:
        # On a machine that stands still for so long, nothing is promised.
        slow += 1
        continue
    most = int(open(bounds).read().split()[1])
    right = rows == distinct and least <= rows <= most and (rows != most or total == rows * (rows - 1) // 2)
    assert right, f'{rows} rows, {distinct} distinct, with sum {total}; between {least} and {most}; in {took:.3f} s'
    counts += 1
    print('right', flush=True)
print(json.dumps({'counts': counts, 'vanished': vanished, 'slow': slow}))
"#;

/// Where the test tells its readers what is there.
pub(crate) struct Told {
    bounds: PathBuf,
    stop: PathBuf,
    stopped: AtomicBool,
    counts: AtomicU64,
}

impl Told {
    pub(crate) fn new(folder: &Path) -> Arc<Told> {
        let told = Told {
            bounds: folder.join("bounds"),
            stop: folder.join("stop"),
            stopped: AtomicBool::new(false),
            counts: AtomicU64::new(0),
        };
        told.tell(0, 0);
        Arc::new(told)
    }

    /// That so many rows are there at least, and so many at most.
    pub(crate) fn tell(&self, least: u64, most: u64) {
        let new = self.bounds.with_extension("new");
        fs::write(&new, format!("{least} {most}")).unwrap();
        fs::rename(&new, &self.bounds).unwrap();
    }

    /// How often was counted.
    pub(crate) fn counts(&self) -> u64 {
        self.counts.load(Ordering::SeqCst)
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    fn bounds(&self) -> (u64, u64) {
        let text = fs::read_to_string(&self.bounds).unwrap();
        let (least, most) = text.split_once(' ').unwrap();
        (least.parse().unwrap(), most.parse().unwrap())
    }

    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        fs::write(&self.stop, "").unwrap();
    }
}

/// DuckDB on the view, in a process of its own; ends with how many times it counted, how often a file was gone, and how
/// often it took longer than the grace period.
pub(crate) fn duckdb(told: &Arc<Told>, archive: &Path, grace: i64) -> JoinHandle<[u64; 3]> {
    let file = told.bounds.with_extension("sql");
    let sql = duckdb_table(&EVENTS, archive.to_str().unwrap(), false).sql;
    fs::write(&file, sql).unwrap();
    let mut command = Command::new(dial_emulators::python());
    command.args(["-c", PROGRAM]).args([&file, &told.bounds, &told.stop]).arg(grace.to_string());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let told = told.clone();
    thread::spawn(move || {
        let mut last = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            last = line.unwrap();
            told.counts.fetch_add(u64::from(last == "right"), Ordering::SeqCst);
        }
        let right = child.wait().unwrap().success();
        if !right {
            told.stop();
        }
        assert!(right, "DuckDB counted wrong: standard error says what");
        let summary: Value = serde_json::from_str(&last).unwrap();
        ["counts", "vanished", "slow"].map(|of| summary[of].as_u64().unwrap())
    })
}

/// Our own reader. Returns how many times it counted.
pub(crate) async fn own(told: Arc<Told>, store: Arc<dyn ObjectStore>, grace: i64) -> u64 {
    let mut counts = 0;
    while !told.stopped() {
        let (least, _) = told.bounds();
        let Some(rows) = count(store.as_ref(), grace).await else { continue };
        let (_, most) = told.bounds();
        assert!((least..=most).contains(&rows), "{least} <= {rows} <= {most}");
        counts += 1;
        told.counts.fetch_add(1, Ordering::SeqCst);
    }
    counts
}

/// `None` when it took longer than the grace period: then files may be gone.
async fn count(store: &dyn ObjectStore, grace: i64) -> Option<u64> {
    let began = super::archive::now();
    let slow = || super::archive::now() - began >= grace;
    let mut rows = 0;
    for file in visible(store, &EVENTS, began).await.unwrap() {
        match store.get(&file.key).await {
            Ok(bytes) => rows += count_rows(bytes).unwrap(),
            Err(error) => assert!(error.kind == StoreErrorKind::NotFound && slow(), "{error}"),
        }
    }
    (!slow()).then_some(rows)
}
