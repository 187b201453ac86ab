//! What the archive's files cost, side by side with DuckDB writing the same rows in the same order:
//! `cargo bench -p dial-analytics --bench archive`.
//!
//! A million events (`ARCHIVE_ROWS`) become files of 131,072 rows, a row group each. DuckDB reads each file into memory, and then
//! writes it by `COPY … (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3)` on one thread; only that is timed. Two times
//! are told of ours: from columns in memory, as DuckDB's, and from events, whose JSON has to be read as well. All are
//! processor time, and of each file the least of three (`ARCHIVE_ROUNDS`) that take turns, so that what else goes on counts
//! less: of two runs on a machine that is shared, one may take half as long again. Ours should be no larger, and from columns
//! take at most two thirds of the time.
//!
//! The events are made up here, or those of JSON lines in the file `ARCHIVE_EVENTS`, repeated under other ids until there
//! are enough. A day of `dial demo` is more lifelike:
//!
//!     for seed in $(seq 80); do dial demo --print --seed $seed; done > events.jsonl
//!     ARCHIVE_EVENTS=events.jsonl cargo bench -p dial-analytics --bench archive
//!
//! `ARCHIVE_FOLDER` names a folder of CloudTrail files: all of their events become one flush, and the bytes that one
//! event takes are told. `ARCHIVE_COLUMNS=1` lists which columns take them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]
// A program of its own, whose settings come from the environment.
#![allow(clippy::disallowed_methods)]

mod archive {
    pub(crate) mod events;
}

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use archive::events::Events;
use arrow::array::RecordBatch;
use bytes::Bytes;
use dial_analytics::batch::ArchiveBatch;
use dial_analytics::events_schema::EVENTS;
use dial_analytics::position::Position;
use dial_analytics::read;
use dial_analytics::sealed::Sealed;
use dial_analytics::shard::Shard;
use dial_analytics::writer::{WriteError, write_batches};
use dial_rules::decode::{Decoded, Decoder};
use dial_rules::tables::Tables;
use parquet::file::reader::{FileReader, SerializedFileReader};

/// A file's rows: those of one row group.
const FILE_ROWS: usize = 131_072;
/// 2024-05-02, in milliseconds since 1970.
const ARRIVAL: i64 = 1_714_608_000_000;

fn main() {
    if let Some(folder) = std::env::var_os("ARCHIVE_FOLDER") {
        one_flush(Path::new(&folder));
    }
    let rows = number("ARCHIVE_ROWS", 1_000_000);
    let mut events = Events::new(std::env::var_os("ARCHIVE_EVENTS").map(PathBuf::from));
    let mut duckdb = DuckDb::start();
    let mut total = Total { rounds: number("ARCHIVE_ROUNDS", 3).max(1), ..Total::default() };
    let mut left = rows;
    while left > 0 {
        let count = left.min(FILE_ROWS);
        left -= count;
        let json: Vec<String> = events.by_ref().take(count).collect();
        total.json += json.iter().map(String::len).sum::<usize>();
        let sealed = seal(json.iter().map(String::as_bytes));
        total.rows += sealed.rows();
        for n in 0..sealed.keys().len() {
            total.add(&sealed, n, &mut duckdb);
        }
    }
    total.print();
}

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |value| value.parse().expect("a number"))
}

/// One batch of events, each a record.
fn seal<'a>(events: impl Iterator<Item = &'a [u8]>) -> Sealed {
    let mut batch = ArchiveBatch::new(Shard::new("shardId-000000000000"), true);
    for (n, event) in events.enumerate() {
        // As long as Kinesis' are, and as far apart.
        let sequence = format!("4965{:052}", 7_357_240_492_050_u64 + 911 * n as u64);
        let position = Position::new(&sequence, 0).unwrap();
        batch.push(&position, Some(ARRIVAL + n as i64 / 100), Decoder::record(event), 0);
    }
    let sealed = batch.seal().expect("there are events");
    assert_eq!(sealed.dead_letters(), 0, "only events are measured");
    sealed
}

#[derive(Default)]
struct Total {
    /// How often each file is written in each way.
    rounds: usize,
    rows: usize,
    json: usize,
    /// Bytes of the files: ours, DuckDB's.
    bytes: [u64; 2],
    /// Seconds of processor time: ours from events, ours from columns, DuckDB's.
    seconds: [f64; 3],
}

impl Total {
    fn add(&mut self, sealed: &Sealed, n: usize, duckdb: &mut DuckDb) {
        let mut least = [f64::INFINITY; 3];
        let mut bytes = [0; 2];
        for _ in 0..self.rounds {
            let before = processor_seconds();
            let file = sealed.encode(n, &Tables::default()).unwrap();
            let from_events = processor_seconds() - before;
            let (theirs, duckdb) = duckdb.copy(&file);
            bytes = [file.len() as u64, theirs];
            for (least, seconds) in least.iter_mut().zip([from_events, from_columns(&file), duckdb]) {
                *least = least.min(seconds);
            }
        }
        for (sum, least) in self.seconds.iter_mut().zip(least) {
            *sum += least;
        }
        for (sum, bytes) in self.bytes.iter_mut().zip(bytes) {
            *sum += bytes;
        }
        if std::env::var_os("ARCHIVE_COLUMNS").is_some() && self.rows == sealed.rows() {
            columns(&[sealed.encode(n, &Tables::default()).unwrap()]);
        }
    }

    fn print(&self) {
        let rows = self.rows as f64;
        println!("{} rows of {:.0} B of JSON", self.rows, self.json as f64 / rows);
        println!("{:<22} {:>9} {:>7} {:>12} {:>7}", "", "B a row", "ratio", "rows/CPU-s", "ratio");
        let line = |what: &str, bytes: u64, seconds: f64| {
            let (size, speed) = (bytes as f64 / rows, rows / seconds);
            let (than, faster) = (bytes as f64 / self.bytes[1] as f64, self.seconds[2] / seconds);
            println!("{what:<22} {size:>9.1} {than:>7.3} {speed:>12.0} {faster:>7.2}");
        };
        line("DuckDB, from columns", self.bytes[1], self.seconds[2]);
        line("DIAL, from columns", self.bytes[0], self.seconds[1]);
        line("DIAL, from events", self.bytes[0], self.seconds[0]);
    }
}

/// Seconds of processor time for the same file from its columns.
fn from_columns(file: &Bytes) -> f64 {
    let batches: Vec<RecordBatch> = read::batches(file.clone()).unwrap().map(Result::unwrap).collect();
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    let before = processor_seconds();
    let written = write_batches(&EVENTS, rows, batches.into_iter().map(Ok::<_, WriteError>)).unwrap();
    let seconds = processor_seconds() - before;
    assert_eq!(read::count_rows(written).unwrap(), rows as u64);
    seconds
}

/// Which columns take the bytes, the largest first.
fn columns(files: &[Bytes]) {
    let mut sizes: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    let mut rows = 0;
    for file in files {
        let reader = SerializedFileReader::new(file.clone()).unwrap();
        rows += reader.metadata().file_metadata().num_rows();
        for column in reader.metadata().row_groups().iter().flat_map(|group| group.columns()) {
            let size = sizes.entry(column.column_path().string()).or_default();
            size.0 += column.compressed_size();
            size.1 += i64::from(column.bloom_filter_length().unwrap_or_default());
        }
    }
    let mut sizes: Vec<_> = sizes.into_iter().collect();
    sizes.sort_by_key(|(_, (data, filter))| -(data + filter));
    for (column, (data, filter)) in sizes {
        println!(
            "{column:<28} {:>8.2} B a row, filter {:>6.2}",
            data as f64 / rows as f64,
            filter as f64 / rows as f64
        );
    }
}

/// Processor time of this process so far, from Linux' `/proc/self/stat`, in hundredths of a second.
fn processor_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    fields[11..=12].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

/// A DuckDB that copies files, one a line.
struct DuckDb {
    child: Child,
    ask: ChildStdin,
    hear: BufReader<ChildStdout>,
    folder: tempfile::TempDir,
}

const PROGRAM: &str = r#"
import duckdb, json, os, resource, sys
root = sys.argv[1]
def spent():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
for _ in sys.stdin:
    db = duckdb.connect()
    db.execute("SET threads = 1")
    db.execute("SET enable_progress_bar = false")
    db.execute(f"CREATE TABLE events AS SELECT * FROM read_parquet('{root}/ours.parquet', hive_partitioning = false)")
    before = spent()
    db.execute(f"COPY events TO '{root}/theirs.parquet' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3)")
    seconds = spent() - before
    assert db.execute(f"SELECT (SELECT count(*) FROM events) = (SELECT count(*) FROM read_parquet('{root}/theirs.parquet'))").fetchone()[0]
    db.close()
    print(json.dumps([os.path.getsize(f'{root}/theirs.parquet'), seconds]), flush=True)
"#;

impl DuckDb {
    fn start() -> DuckDb {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(dial_emulators::python());
        command.args(["-c", PROGRAM]).arg(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (ask, hear) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        DuckDb { child, ask, hear, folder }
    }

    /// How many bytes its file has, and how many seconds of processor time writing it took.
    fn copy(&mut self, file: &Bytes) -> (u64, f64) {
        fs::write(self.folder.path().join("ours.parquet"), file).unwrap();
        writeln!(self.ask, "copy").unwrap();
        let mut line = String::new();
        self.hear.read_line(&mut line).unwrap();
        serde_json::from_str(&line).expect("DuckDB copied it")
    }
}

impl Drop for DuckDb {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The bytes an event of a folder of CloudTrail files, archived as one flush.
fn one_flush(folder: &Path) {
    let mut paths = vec![folder.to_owned()];
    let mut files = Vec::new();
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.to_string_lossy().ends_with(".json") || path.to_string_lossy().ends_with(".json.gz") {
            files.push(path);
        }
    }
    files.sort();
    let mut events = Vec::new();
    for file in &files {
        let decoded = Decoder::new(fs::File::open(file).unwrap());
        events.extend(decoded.filter_map(|decoded| match decoded {
            Decoded::Event(event) => Some(event.raw().to_vec()),
            Decoded::DeadLetter(_) => None,
        }));
    }
    let sealed = seal(events.iter().map(Vec::as_slice));
    let written: Vec<Bytes> = (0..sealed.keys().len()).map(|n| sealed.encode(n, &Tables::default()).unwrap()).collect();
    let bytes: usize = written.iter().map(Bytes::len).sum();
    let json: usize = events.iter().map(Vec::len).sum();
    let each = |bytes: usize| bytes as f64 / events.len() as f64;
    println!(
        "{} events of {:.0} B of JSON: {:.1} B each, in {} files\n",
        events.len(),
        each(json),
        each(bytes),
        written.len()
    );
    if std::env::var_os("ARCHIVE_COLUMNS").is_some() {
        columns(&written);
    }
}
