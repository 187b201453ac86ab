#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use super::*;
use crate::archive::write;
use crate::failing::FailingStore;
use crate::intent::{Intent, IntentError};
use crate::memory::MemoryStore;
use crate::position::RowKey;
use crate::read::contents;
use crate::recovery::{Recovery, RecoveryError, Step};
use dial_rules::decode::Decoder;
use dial_rules::tables::Tables;
use proptest::prelude::*;
use serde_json::json;

const ARRIVAL: Millis = 1_714_608_000_000; // 2024-05-02T00:00:00Z
const HOUR: Millis = 3_600_000;

/// A user record as a stream holds it.
#[derive(Debug, Clone)]
struct Record {
    position: Position,
    arrival: Millis,
    data: Vec<u8>,
}

fn event(id: u32, time: &str) -> serde_json::Value {
    json!({"eventID": format!("id-{id}"), "eventTime": time, "eventSource": "iam.amazonaws.com", "eventName": "CreateUser"})
}

const TIMES: [&str; 6] = [
    "2024-05-01T23:59:59Z",
    "2024-05-02T00:00:00Z",
    "2024-05-01T23:59:59Z",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00Z",
    "2024-04-01T12:00:00.123Z",
];

/// One record of each shape: nothing, one event, several, broken ones among them.
fn data(shape: u8, n: u32) -> Vec<u8> {
    let at = |i: u32| event(n * 10 + i, TIMES[(n + i) as usize % TIMES.len()]);
    match shape % 6 {
        0 => Vec::new(),
        1 => b"\xff\x00 not JSON".to_vec(),
        2 => json!({"Records": [at(0), {"no": "event"}, at(1), at(1)]}).to_string().into_bytes(),
        3 => format!("{}\n{}{{\"half\": ", at(0), at(1)).into_bytes(),
        _ => at(0).to_string().into_bytes(),
    }
}

/// Records in a shard's order, aggregated ones among them.
fn records() -> impl Strategy<Value = Vec<Record>> {
    proptest::collection::vec((any::<u8>(), 0u8..4), 1..30).prop_map(|shapes| {
        let (mut sequence, mut sub) = (98u64, 0);
        let mut records = Vec::new();
        for (n, (shape, step)) in (0..).zip(shapes) {
            (sequence, sub) = if step == 0 { (sequence, sub + 1) } else { (sequence + u64::from(step), 0) };
            records.push(Record {
                position: Position::new(&sequence.to_string(), sub).unwrap(),
                arrival: ARRIVAL + Millis::from(n) * HOUR,
                data: data(shape, n),
            });
        }
        records
    })
}

fn shard() -> Shard {
    Shard::new("shardId-000000000007")
}

fn push(batch: &mut ArchiveBatch, record: &Record, now: Millis) -> Pushed {
    batch.push(&record.position, Some(record.arrival), Decoder::record(&record.data), now)
}

fn sealed(records: &[Record]) -> Sealed {
    let mut batch = ArchiveBatch::new(shard(), true);
    for record in records {
        push(&mut batch, record, 0);
    }
    batch.seal().unwrap()
}

fn files(sealed: &Sealed) -> Vec<(String, Bytes)> {
    let keys = sealed.keys().enumerate();
    keys.map(|(n, key)| (key.to_owned(), sealed.encode(n, &Tables::default()).unwrap())).collect()
}

/// Every row and dead letter that the records hold, by decoding them here.
fn expected(records: &[Record]) -> (Vec<RowKey>, Vec<RowKey>) {
    let (mut rows, mut letters) = (Vec::new(), Vec::new());
    for record in records {
        let key = |index| RowKey { position: record.position.clone(), index };
        let mut empty = true;
        for (index, decoded) in (0..).zip(Decoder::record(&record.data)) {
            empty = false;
            match decoded {
                Decoded::Event(_) => rows.push(key(index)),
                Decoded::DeadLetter(_) => letters.push(key(index)),
            }
        }
        if empty {
            letters.push(key(0));
        }
    }
    (rows, letters)
}

fn archived(store: &MemoryStore) -> (Vec<RowKey>, Vec<RowKey>) {
    let contents = runtime().block_on(contents(store)).unwrap();
    assert!(contents.rows.iter().all(|row| row.shard_id == shard().id()));
    let mut rows: Vec<_> = contents.rows.into_iter().map(|row| row.key).collect();
    let mut letters: Vec<_> = contents.dead_letters.into_iter().map(|(_, l)| l.key).collect();
    rows.sort();
    letters.sort();
    (rows, letters)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

/// A shard's lease, as far as the archive is concerned.
#[derive(Debug, Default)]
struct Lease {
    checkpoint: Option<Position>,
    intent: Option<Vec<u8>>,
}

/// One worker's life: reads what follows the checkpoint, flushes every `every` records, and dies after `steps` steps
/// (declare, put of all files, commit), or when a put fails. True if it reached the end.
fn live(
    records: &[Record],
    store: &FailingStore<MemoryStore>,
    lease: &mut Lease,
    every: usize,
    mut steps: usize,
) -> bool {
    let mut step = || steps.checked_sub(1).map(|left| steps = left).is_some();
    let mut settle = |lease: &mut Lease, sealed: Sealed| {
        let sealed = Arc::new(sealed);
        if lease.intent.is_none() {
            if !step() {
                return false;
            }
            lease.intent = Some(sealed.intent().to_bytes());
        }
        if !step() || runtime().block_on(write(store, &sealed, &Arc::default(), || true)).is_err() || !step() {
            return false;
        }
        lease.checkpoint = Some(sealed.last().clone());
        lease.intent = None;
        true
    };
    let checkpoint = lease.checkpoint.clone();
    let unread = records.iter().filter(|record| checkpoint.as_ref().is_none_or(|c| record.position > *c));
    let mut recovery = lease.intent.as_ref().map(|state| Recovery::new(shard(), state).unwrap());
    let mut batch = ArchiveBatch::new(shard(), true);
    let mut pushed = 0;
    for record in unread {
        if let Some(mut open) = recovery.take() {
            let decoded = Decoder::record(&record.data);
            match open.push(&record.position, Some(record.arrival), decoded, 0) {
                Step::More => recovery = Some(open),
                Step::Beyond => panic!("the last record of an intent is there still"),
                Step::Complete => {
                    let recovered = open.finish().unwrap();
                    assert!(!recovered.gap);
                    if !settle(lease, recovered.sealed) {
                        return false;
                    }
                }
            }
            continue;
        }
        push(&mut batch, record, 0);
        pushed += 1;
        if pushed % every == 0 && !settle(lease, batch.seal().unwrap()) {
            return false;
        }
    }
    batch.seal().is_none_or(|rest| settle(lease, rest))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The promise: whatever is killed when, and whatever fails, every record is in the archive exactly once.
    #[test]
    fn each_record_is_in_it_exactly_once(
        records in records(), seed: u64, failures in 0u64..250,
        lives in proptest::collection::vec((1usize..9, 0usize..12), 0..12),
    ) {
        let store = FailingStore::new(MemoryStore::new(), seed, failures);
        let mut lease = Lease::default();
        for (every, steps) in lives {
            live(&records, &store, &mut lease, every, steps);
        }
        while !live(&records, &store, &mut lease, 5, usize::MAX) {}
        prop_assert_eq!(archived(store.inner()), expected(&records));
        prop_assert!(lease.intent.is_none());
        prop_assert_eq!(lease.checkpoint.as_ref(), records.last().map(|r| &r.position));
    }

    /// How the records came in does not show: in one poll or many, some of them again.
    #[test]
    fn the_same_records_give_the_same_bytes(records in records(), again in proptest::collection::vec(any::<usize>(), 0..10)) {
        let once = sealed(&records);
        let mut batch = ArchiveBatch::new(shard(), true);
        for (n, record) in records.iter().enumerate() {
            push(&mut batch, record, n as Millis);
            for earlier in &again {
                prop_assert_eq!(push(&mut batch, &records[earlier % (n + 1)], 0), Pushed::SeenBefore);
            }
        }
        let other = batch.seal().unwrap();
        prop_assert_eq!(files(&once), files(&other));
        prop_assert_eq!(once.intent(), other.intent());
        prop_assert!(batch.is_empty() && batch.size() == 0 && batch.seal().is_none());
    }

    #[test]
    fn an_intent_names_the_files_and_recovery_makes_them(records in records(), before: usize) {
        // Where the owner before began at LATEST, older records come as well.
        let before = before % records.len();
        let declared = sealed(&records[before..]);
        let state = declared.intent().to_bytes();
        prop_assert_eq!(Intent::parse(&state).unwrap().keys(), declared.keys().collect::<Vec<_>>());
        let mut recovery = Recovery::new(shard(), &state).unwrap();
        for (n, record) in records.iter().enumerate() {
            let step = recovery.push(&record.position, Some(record.arrival), Decoder::record(&record.data), 0);
            prop_assert_eq!(step, if n + 1 == records.len() { Step::Complete } else { Step::More });
        }
        let recovered = recovery.finish().unwrap();
        prop_assert!(!recovered.gap);
        prop_assert_eq!(files(&recovered.sealed), files(&declared));
    }

    /// When the oldest records have left the stream, what is left goes into the declared files that are missing.
    #[test]
    fn a_gap_loses_no_more_than_is_gone(records in records(), gone: usize, put: usize) {
        let declared = sealed(&records);
        let store = MemoryStore::new();
        let put = put % (declared.keys().len() + 1);
        for (key, bytes) in files(&declared).into_iter().take(put) {
            runtime().block_on(crate::store::ObjectStore::put_if_absent(&store, &key, bytes)).unwrap();
        }
        let there = archived(&store);
        let left = &records[gone % (records.len() + 1)..];
        let mut recovery = Recovery::new(shard(), &declared.intent().to_bytes()).unwrap();
        for record in left {
            recovery.push(&record.position, Some(record.arrival), Decoder::record(&record.data), 0);
        }
        recovery.shard_ended();
        let recovered = recovery.finish().unwrap();
        prop_assert_eq!(recovered.gap, left.len() < records.len());
        prop_assert_eq!(recovered.sealed.intent().to_bytes(), declared.intent().to_bytes());
        prop_assert_eq!(recovered.sealed.last(), declared.last());
        runtime().block_on(write(&store, &Arc::new(recovered.sealed), &Arc::default(), || true)).unwrap();
        let of_left = expected(left);
        let union = |mut a: Vec<RowKey>, b: Vec<RowKey>| { a.extend(b); a.sort(); a.dedup(); a };
        prop_assert_eq!(archived(&store), (union(there.0, of_left.0), union(there.1, of_left.1)));
    }

    #[test]
    fn writing_twice_changes_nothing(records in records()) {
        let store = MemoryStore::new();
        let n = sealed(&records).keys().len();
        for (created, existed) in [(n, 0), (0, n)] {
            let written = runtime().block_on(write(&store, &Arc::new(sealed(&records)), &Arc::default(), || true)).unwrap();
            prop_assert_eq!((written.created, written.existed), (created, existed));
        }
        prop_assert_eq!(archived(&store), expected(&records));
    }
}

fn one(n: u64, data: &[u8]) -> Record {
    Record { position: Position::ordinal(n), arrival: ARRIVAL, data: data.to_vec() }
}

#[test]
fn a_flush_is_due_by_size_by_days_or_by_age() {
    let policy = FlushPolicy { bytes: 4000, age: 1000, days: 2 };
    let mut batch = ArchiveBatch::new(shard(), true);
    assert_eq!(batch.flush_due(&policy, Millis::MAX), None);
    push(&mut batch, &one(1, event(1, TIMES[0]).to_string().as_bytes()), 5000);
    assert_eq!(batch.flush_due(&policy, 4000), None, "a clock that goes back");
    assert_eq!(batch.flush_due(&policy, 5999), None);
    assert_eq!(batch.flush_due(&policy, 6000), Some(FlushReason::Age));
    push(&mut batch, &one(2, event(2, TIMES[1]).to_string().as_bytes()), 5500);
    assert_eq!(batch.flush_due(&policy, 5999), Some(FlushReason::Days));
    push(&mut batch, &one(3, &[b'x'; 4000]), 5500);
    assert_eq!(batch.flush_due(&policy, 5999), Some(FlushReason::Size));
    assert_eq!(batch.seal().unwrap().keys().len(), 3);
    assert_eq!(batch.flush_due(&policy, Millis::MAX), None);
    assert_eq!(batch.last(), Some(&Position::ordinal(3)));
}

#[test]
fn a_worker_that_lost_its_lease_starts_no_put() {
    let store = MemoryStore::new();
    let sealed = Arc::new(sealed(&[one(1, event(1, TIMES[0]).to_string().as_bytes())]));
    let error = runtime().block_on(write(&store, &sealed, &Arc::default(), || false)).unwrap_err();
    assert!(matches!(error, crate::archive::ArchiveError::NotOwner));
    assert_eq!(archived(&store), (Vec::new(), Vec::new()));
}

#[test]
fn recovery_refuses_what_it_cannot_finish_exactly() {
    let records = [1, 2].map(|n| one(n, event(1, TIMES[0]).to_string().as_bytes()));
    let state = sealed(&records).intent().to_bytes();
    let mut early = Recovery::new(shard(), &state).unwrap();
    early.push(&records[0].position, Some(ARRIVAL), Decoder::record(&records[0].data), 0);
    assert!(matches!(early.finish(), Err(RecoveryError::Unfinished(_))));

    let mut changed = Recovery::new(shard(), &state).unwrap();
    for record in &records {
        // As if another version no longer understood the records.
        changed.push(&record.position, Some(ARRIVAL), Decoder::record(b"?"), 0);
    }
    let error = changed.finish().unwrap_err();
    assert!(matches!(error, RecoveryError::Differs { .. }), "{error}");

    let other = Recovery::new(Shard::new("shardId-000000000008"), &state).unwrap_err();
    assert!(matches!(other, IntentError::Shard { .. }), "{other}");
    let newer = Recovery::new(shard(), br#"{"version": 2}"#).unwrap_err();
    assert!(matches!(newer, IntentError::Version { found: 2 }), "{newer}");
    for state in [&b""[..], b"{}", b"\xff", br#"{"version": 1}"#, b"CHILD_SHARD"] {
        let error = Recovery::new(shard(), state).unwrap_err();
        assert!(matches!(error, IntentError::Unreadable(_)), "{error}");
    }
}

/// A lease takes a second declaration only if it is the first one's bytes.
#[test]
fn what_another_version_declared_is_declared_again_to_the_byte() {
    let record = one(1, event(1, TIMES[0]).to_string().as_bytes());
    let state = sealed(std::slice::from_ref(&record)).intent().to_bytes();
    let mut newer: serde_json::Value = serde_json::from_slice(&state).unwrap();
    newer["software"] = json!("99.0.0");
    newer["a later field"] = json!(1);
    let state = serde_json::to_vec_pretty(&newer).unwrap();
    let mut recovery = Recovery::new(shard(), &state).unwrap();
    let step = recovery.push(&record.position, Some(ARRIVAL), Decoder::record(&record.data), 0);
    assert_eq!(step, Step::Complete);
    let recovered = recovery.finish().unwrap();
    assert_eq!(recovered.sealed.intent().to_bytes(), state);
    assert_eq!(recovered.sealed.last(), &record.position);
}

#[test]
fn an_intent_fits_a_lease_row_even_if_every_day_is_in_it() {
    let mut batch = ArchiveBatch::new(shard(), true);
    let mut data = String::new();
    for n in 0..6000u32 {
        let time = dial_rules::event::rfc3339(1_262_304_000_000 + Millis::from(n) * 24 * HOUR);
        data.push_str(&event(n, &time).to_string());
    }
    push(&mut batch, &one(1, data.as_bytes()), 0);
    let sealed = batch.seal().unwrap();
    let bytes = sealed.intent().to_bytes();
    assert!(sealed.keys().len() > 5000 && bytes.len() < 100_000, "{}", bytes.len());
    assert_eq!(sealed.clamped(), 6000 - sealed.keys().len());
}

#[test]
fn the_column_raw_is_as_declared_whatever_the_settings_say_now() {
    let record = one(1, event(1, TIMES[0]).to_string().as_bytes());
    let mut batch = ArchiveBatch::new(shard(), false);
    push(&mut batch, &record, 0);
    let declared = batch.seal().unwrap();
    let mut recovery = Recovery::new(shard(), &declared.intent().to_bytes()).unwrap();
    recovery.push(&record.position, Some(ARRIVAL), Decoder::record(&record.data), 0);
    let recovered = recovery.finish().unwrap().sealed;
    assert_eq!(files(&recovered), files(&declared));
    let rows = crate::read::rows(declared.encode(0, &Tables::default()).unwrap()).unwrap();
    assert_eq!(rows[0]["raw"], serde_json::Value::Null);
}
