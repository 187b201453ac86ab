//! A burst of matches in one window: appended in batches, read as often as [`due`] says. Prints the time per match, which
//! should not grow with the burst.
//!
//! `cargo bench -p dial-sinks --bench burst`

// A benchmark speaks on the terminal.
#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::time::Instant;

use dial_sinks::windows::due::{Due, Evaluation, due};
use dial_sinks::windows::memory::MemoryWindowStore;
use dial_sinks::windows::retention::Retention;
use dial_sinks::windows::sqlite::SqliteWindowStore;
use dial_sinks::windows::store::{Addition, WindowError, WindowItem, WindowKey, WindowRange, WindowStore};

const BATCH: usize = 100;
const TIMESPAN: i64 = 600_000;

/// What a burst took.
struct Cost {
    seconds: f64,
    reads: usize,
    items_read: usize,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Runtime::new()?;
    println!(
        "{:<18} {:>8} {:>10} {:>8} {:>16} {:>8}",
        "store", "matches", "µs/match", "reads", "read per match", "ratio"
    );
    for store in ["memory", "sqlite", "sqlite, temporary"] {
        let mut first = None;
        for length in [1_000, 10_000, 100_000] {
            let folder = tempfile::tempdir()?;
            let cost = runtime.block_on(async {
                let retention = Retention::default();
                let store: Arc<dyn WindowStore> = match store {
                    "memory" => Arc::new(MemoryWindowStore::new(retention)),
                    "sqlite" => Arc::new(SqliteWindowStore::open(folder.path().join("windows.db"), retention).await?),
                    _ => Arc::new(SqliteWindowStore::temporary(retention).await?),
                };
                burst(store.as_ref(), length).await
            })?;
            let each = cost.seconds * 1e6 / length as f64;
            let (reads, per_match) = (cost.reads, cost.items_read as f64 / length as f64);
            let ratio = each / *first.get_or_insert(each);
            println!("{store:<18} {length:>8} {each:>10.1} {reads:>8} {per_match:>16.1} {ratio:>8.2}");
        }
    }
    Ok(())
}

async fn burst(store: &dyn WindowStore, length: usize) -> Result<Cost, WindowError> {
    let window = WindowKey { correlation: "many-denied-calls".to_owned(), group: "AKIAIOSFODNN7EXAMPLE".to_owned() };
    let range = WindowRange { window: window.clone(), from: 0, to: TIMESPAN };
    let (mut last, mut added): (Option<Evaluation>, usize) = (None, 0);
    let mut cost = Cost { seconds: 0.0, reads: 0, items_read: 0 };
    let began = Instant::now();
    let now = || began.elapsed().as_millis() as i64;
    for from in (0..length).step_by(BATCH) {
        let to = (from + BATCH).min(length);
        let items = (from..to).map(|i| item(i, length)).collect();
        store.append(vec![Addition { window: window.clone(), timespan: TIMESPAN, items }], now()).await?;
        added += to - from;
        // What waits at the end of a burst is evaluated when its time has come: here, at once.
        if to < length && due(last, added as u64, now()) != Due::Now {
            continue;
        }
        let started = now();
        let items = store.read(std::slice::from_ref(&range)).await?.first().map_or(0, Vec::len);
        let ended = now();
        last = Some(Evaluation { items: items as u64, ended, took: ended - started });
        (cost.reads, cost.items_read, added) = (cost.reads + 1, cost.items_read + items, 0);
    }
    cost.seconds = began.elapsed().as_secs_f64();
    Ok(cost)
}

/// A match of the size that CloudTrail's make, within the timespan.
fn item(i: usize, length: usize) -> WindowItem {
    let time = i as i64 * TIMESPAN / length as i64;
    let key = format!("5f0c8d0e-7d1c-4bd0-9b5e-{i:012} access-denied");
    let body = format!(r#"{{"event_id":"5f0c8d0e-7d1c-4bd0-9b5e-{i:012}","notes":"{}"}}"#, "x".repeat(300));
    WindowItem { time, key, body }
}
