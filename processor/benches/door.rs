//! The HTTP door under a steady load, in the real binary: the rate that was reached, the share of 202, the latencies; and
//! that nothing it accepted is lost when it is killed half way.
//!
//! `cargo bench -p dial --bench door`; `DOOR_RATE` (2,000) is the rate of requests, `DOOR_SECONDS` (10) the time of each run.
//! The load comes from the same machine and takes its part of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "../tests/door/load.rs"]
mod load;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use dial_analytics::folder::FolderStore;
use dial_analytics::read;
use dial_emulators::{Kinesis, Ministack, unique};
use dial_ingest::kinesis::KinesisStream;
use dial_ingest::stream::IteratorStart;
use dial_ingest::{ErrorKind, StreamClient};
use dial_rules::decode::{Decoded, Decoder};
use load::{Load, Plan, Worker, dial, free_address, process_the_rest};
use tokio::runtime::Runtime;

const CONNECTIONS: usize = 64;

fn main() {
    let runtime = Runtime::new().unwrap();
    println!(
        "{:<10} {:<8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>6}",
        "kept in", "run", "due", "req/s", "202", "p50 ms", "p99 ms", "lost"
    );
    let journal = tempfile::tempdir().unwrap();
    measure("inbox", |address: &str| dial(journal.path(), address), || runtime.block_on(archived(journal.path())));

    let (kinesis, ministack, stream) = (Kinesis::start(), Ministack::shared(), unique("door"));
    runtime.block_on(kinesis.create_stream(&stream, 4));
    let folder = tempfile::tempdir().unwrap();
    let command = |address: &str| {
        let mut command = dial(folder.path(), address);
        command.env("DIAL_STREAM__NAME", &stream).env("DIAL_TABLES__PREFIX", format!("{stream}-"));
        command.envs(kinesis.env()).envs(ministack.env());
        command
    };
    measure("stream", command, || runtime.block_on(on_stream(&kinesis, &stream)));
}

/// One run without a disturbance, and one in which the program is killed half way and started again.
fn measure(name: &str, command: impl Fn(&str) -> Command, there: impl Fn() -> BTreeSet<String>) {
    let (rate, seconds) = (number("DOOR_RATE", 2_000), number("DOOR_SECONDS", 10));
    for kill in [false, true] {
        let address = free_address();
        let start = || Worker::start(command(&address));
        let mut worker = Some(start());
        let run = if kill { "killed" } else { "steady" };
        let prefix = format!("{name}-{run}");
        let load = thread::scope(|scope| {
            let plan = Plan { name: &prefix, requests: rate * seconds, rate, connections: CONNECTIONS };
            let posting = scope.spawn({
                let address = &address;
                move || Load::run(address, plan)
            });
            if kill {
                thread::sleep(Duration::from_secs(seconds as u64) / 2);
                worker.take().unwrap().kill();
                worker = Some(start());
            }
            posting.join().unwrap()
        });
        worker.unwrap().stop();
        tell(name, run, &load, &there());
    }
}

fn tell(name: &str, run: &str, load: &Load, there: &BTreeSet<String>) {
    let lost = load.accepted.difference(there).count();
    let millis = |share: usize| {
        let at = load.latencies.len() * share / 100;
        load.latencies.get(at).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
    };
    let answered = load.accepted.len();
    println!(
        "{name:<10} {run:<8} {:>8} {:>8.0} {:>7.2}% {:>8.1} {:>8.1} {lost:>6}",
        load.sent,
        answered as f64 / load.took.as_secs_f64(),
        100.0 * answered as f64 / load.sent as f64,
        millis(50),
        millis(99),
    );
    assert_eq!(lost, 0, "events that were accepted are lost");
}

fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Ids of all archived events, once all that was posted is processed.
async fn archived(folder: &Path) -> BTreeSet<String> {
    process_the_rest(folder);
    let contents = read::contents(&FolderStore::open(&folder.join("dial-data")).unwrap()).await.unwrap();
    contents.rows.into_iter().map(|row| row.event_id).collect()
}

/// Ids of all events in the stream.
async fn on_stream(kinesis: &Kinesis, stream: &str) -> BTreeSet<String> {
    let client = KinesisStream::new(kinesis.client(), stream);
    let mut ids = BTreeSet::new();
    for shard in client.list_shards(None).await.unwrap().shards {
        let mut iterator = client.get_iterator(&shard.shard_id, &IteratorStart::TrimHorizon).await.unwrap();
        loop {
            let answer = match client.get_records(&iterator, 10_000).await {
                Err(error) if error.kind == ErrorKind::Throttled => {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    continue;
                }
                answer => answer.unwrap(),
            };
            if answer.records.is_empty() {
                break;
            }
            for decoded in answer.records.iter().flat_map(|record| Decoder::record(&record.data)) {
                let Decoded::Event(event) = decoded else { panic!("{decoded:?}") };
                ids.insert(event.id().to_owned());
            }
            iterator = answer.next_iterator.unwrap();
        }
    }
    ids
}
