//! Tries every order of the calls that workers make to the table: of workers that append and then read, none may miss
//! what was appended before it began to read, however the window is spread meanwhile.
//!
//! Each call waits at a gate until the schedule lets its worker go on. A schedule is a list of choices; for two workers the
//! tree of choices is searched completely, for more at random. Each promise of the table that the argument in
//! [`spread`](super::spread) rests on is also broken once, and then something must be missed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;

use super::keys;
use super::simulated::{Did, Fault, SimulatedTable, State};
use super::spread::{Heat, Marker, Place, Thresholds};
use super::{DynamoWindowStore, WindowStore};
use crate::windows::keys::{hexadecimal, window_hash};
use crate::windows::retention::Retention;
use crate::windows::store::{Addition, WindowItem, WindowKey, WindowRange};

/// What a worker does.
#[derive(Debug, Clone, Copy)]
struct Worker {
    /// How hot it takes the window for.
    suffixes: u32,
    reads_first: bool,
}

const SPREAD: Worker = Worker { suffixes: 4, reads_first: false };
const WIDE: Worker = Worker { suffixes: 16, reads_first: false };
const COLD: Worker = Worker { suffixes: 1, reads_first: false };

fn window() -> WindowKey {
    WindowKey { correlation: "burst".to_owned(), group: "alice".to_owned() }
}

/// An item that goes to the last suffix where that worker spreads it. Remembered, since schedules are many.
fn item_of(worker: usize, suffixes: u32) -> WindowItem {
    static FOUND: Mutex<BTreeMap<(usize, u32), WindowItem>> = Mutex::new(BTreeMap::new());
    FOUND.lock().unwrap().entry((worker, suffixes)).or_insert_with(|| find_item(worker, suffixes)).clone()
}

fn find_item(worker: usize, suffixes: u32) -> WindowItem {
    let item = |i: u32| WindowItem { time: 5, key: worker.to_string(), body: i.to_string() };
    let last = |item: &WindowItem| {
        let payload = format!("[{}]", serde_json::to_string(&(item.time, &item.key, &item.body)).unwrap());
        keys::suffix(&keys::payload_hash(&payload), suffixes) == suffixes - 1
    };
    (0..).map(item).find(last).unwrap()
}

async fn live(table: SimulatedTable, worker: Worker) {
    let most = usize::MAX;
    let (warm, hot) = match worker.suffixes {
        1 => (most, most),
        4 => (0, most),
        _ => (0, 0),
    };
    let heat = Heat::new(Thresholds { warm, hot });
    let store = DynamoWindowStore { table: Arc::new(table.clone()), heat, retention: Retention::default() };
    let log = |did| table.state.lock().unwrap().log.push(did);
    let items = vec![item_of(table.worker, worker.suffixes)];
    let append = async {
        store.append(vec![Addition { window: window(), timespan: 10, items }], 0).await.unwrap();
        log(Did::Appended(table.worker));
    };
    let read = async {
        log(Did::BeganToRead(table.worker));
        let items = store.read(&[WindowRange { window: window(), from: 0, to: 10 }]).await.unwrap().remove(0);
        log(Did::Read(table.worker, items.into_iter().map(|item| item.key).collect()));
    };
    if worker.reads_first {
        read.await;
        append.await;
    } else {
        append.await;
        read.await;
    }
}

/// Lives one schedule. `choose` is told at which choice we are and among how many workers. Returns the log.
fn run(
    workers: &[Worker],
    there: Option<Marker>,
    fault: Fault,
    choose: &mut dyn FnMut(usize, usize) -> usize,
) -> Vec<Did> {
    let state = Arc::new(Mutex::new(State::of(workers.len())));
    let mut pool = LocalPool::new();
    for (number, worker) in workers.iter().enumerate() {
        let table = SimulatedTable { state: Arc::clone(&state), worker: number, fault };
        if let Some(marker) = there {
            let place = Place { window: hexadecimal(&window_hash(&window())), bucket: keys::bucket_text(0) };
            table.write_marker(&place, marker);
        }
        pool.spawner().spawn_local(live(table, *worker)).unwrap();
    }
    for step in 0.. {
        pool.run_until_stalled();
        let mut state = state.lock().unwrap();
        let waiting: Vec<usize> = (0..workers.len()).filter(|worker| !state.gates[*worker].is_empty()).collect();
        if waiting.is_empty() {
            return std::mem::take(&mut state.log);
        }
        let gate = state.gates[waiting[choose(step, waiting.len())]].pop_front().unwrap();
        gate.send(()).unwrap();
    }
    unreachable!("the loop ends by returning")
}

/// What a read should have shown and did not.
fn missed(log: &[Did]) -> Option<String> {
    for (i, did) in log.iter().enumerate() {
        let Did::Read(reader, seen) = did else { continue };
        let began = log.iter().position(|did| *did == Did::BeganToRead(*reader)).unwrap();
        assert!(began < i);
        for before in &log[..began] {
            if let Did::Appended(writer) = before
                && !seen.contains(&writer.to_string())
            {
                return Some(format!("{reader} missed {writer}: {log:?}"));
            }
        }
    }
    let all: Vec<String> =
        (0..log.iter().filter(|did| matches!(did, Did::Appended(_))).count()).map(|w| w.to_string()).collect();
    let seen_by_all = log.iter().any(|did| matches!(did, Did::Read(_, seen) if *seen == all));
    (!seen_by_all).then(|| format!("nobody saw all: {log:?}"))
}

/// Lives every schedule, and returns how many there were, or the first that missed something.
fn explore(workers: &[Worker], there: Option<Marker>) -> Result<usize, String> {
    let mut given: Vec<usize> = Vec::new();
    for count in 1.. {
        let mut choices = Vec::new();
        let log = run(workers, there, Fault::None, &mut |step, of| {
            choices.push((given.get(step).copied().unwrap_or(0), of));
            choices[step].0
        });
        if let Some(missed) = missed(&log) {
            return Err(missed);
        }
        while choices.pop_if(|(choice, of)| *choice + 1 == *of).is_some() {}
        match choices.last_mut() {
            Some((choice, _)) => *choice += 1,
            None => return Ok(count),
        }
        given = choices.into_iter().map(|(choice, _)| choice).collect();
    }
    unreachable!("the loop ends by returning")
}

/// Lives so many schedules at random, of workers at random, and returns the first that missed something.
fn sample(schedules: usize, of: &[Worker], fault: Fault) -> Option<String> {
    let mut state = 7_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    (0..schedules).find_map(|_| {
        let count = 2 + random(3);
        let workers: Vec<Worker> = (0..count).map(|_| of[random(of.len())]).collect();
        let log = run(&workers, None, fault, &mut |_, waiting| random(waiting));
        missed(&log)
    })
}

#[test]
fn of_two_that_append_and_read_at_once_none_misses_what_was_there() {
    let there = Some(Marker { suffixes: 4, expires: i64::MAX });
    let soon_gone = Some(Marker { suffixes: 4, expires: 0 });
    for (other, there) in [(COLD, None), (SPREAD, None), (SPREAD, there), (SPREAD, soon_gone)] {
        let explored = explore(&[other, COLD], there).unwrap();
        assert!(explored > 5, "{explored} schedules are not all");
    }
}

#[test]
fn of_many_that_spread_further_and_further_none_misses_what_was_there() {
    assert_eq!(sample(1_500, &[COLD, SPREAD, WIDE], Fault::None), None);
}

#[test]
fn each_promise_of_the_table_is_needed() {
    use Fault::{FirstPages, LateMarkers, NoMarkers, ShrinkingMarkers, StaleQueries};
    for fault in [FirstPages, LateMarkers, NoMarkers, ShrinkingMarkers, StaleQueries] {
        assert!(sample(1_500, &[COLD, SPREAD, WIDE], fault).is_some(), "{fault:?} is not noticed");
    }
}

#[test]
fn appending_before_reading_is_needed() {
    let first = Worker { reads_first: true, ..COLD };
    assert!(sample(100, &[first], Fault::None).is_some());
}
