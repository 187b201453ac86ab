//! What is asked of the lease table and of the library's log.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use dial_emulators::Kcl;

use crate::items::{Items, side_by_side};
use crate::scene::shard_id;

pub fn print(columns: &[(&str, &Items)]) {
    let keys: BTreeSet<&String> = columns.iter().flat_map(|(_, items)| items.0.keys()).collect();
    for key in keys {
        println!("\n{}", side_by_side(key, columns));
    }
}

/// Every shard of so many has a checkpoint.
pub fn begun(items: &Items, shards: usize) -> bool {
    let has_begun = |key: &String| matches!(items.checkpoint(key).0.as_bytes(), b"SHARD_END" | [b'0'..=b'9', ..]);
    items.0.len() == shards && items.0.keys().all(has_begun)
}

/// These shards were read to their ends.
pub fn ended(items: &Items, shards: &[u32]) -> bool {
    shards.iter().all(|shard| items.checkpoint(&shard_id(*shard)).0 == "SHARD_END")
}

/// Every lease is one of these workers'.
pub fn owned(items: &Items, workers: &[&str]) -> bool {
    items.0.keys().all(|key| items.value(key, "leaseOwner").is_some_and(|owner| workers.contains(&owner)))
}

/// How many leases a worker has.
pub fn count_of(items: &Items, worker: &str) -> usize {
    items.0.keys().filter(|key| items.value(key, "leaseOwner") == Some(worker)).count()
}

/// Some lease of the worker has an open declaration.
pub fn declared(items: &Items, worker: &str) -> bool {
    let open = |key: &String| items.value(key, "pendingCheckpoint").is_some();
    items.0.keys().any(|key| open(key) && items.value(key, "leaseOwner") == Some(worker))
}

/// Asks that what one side wrote and the other does not know is still there.
pub fn assert_survived(before: &Items, after: &Items) {
    let (before, after) = (before.unknown(), after.unknown());
    for (attribute, value) in &before {
        assert_eq!(after.get(attribute), Some(value), "{attribute:?} is not ours to change");
    }
    println!("{} attributes that only the Kinesis Client Library knows are as they were", before.len());
}

/// Asks that each attribute has one type, whoever wrote it.
pub fn assert_types(all: &[&Items]) {
    let mut types = BTreeMap::new();
    for (name, found) in all.iter().flat_map(|items| items.types()) {
        types.entry(name).or_insert_with(BTreeSet::new).extend(found);
    }
    println!("\nThe types of attributes, over all items at all times:");
    for (name, found) in types {
        println!("{name:35}  {}", found.iter().copied().collect::<Vec<_>>().join(", "));
        assert_eq!(found.len(), 1, "{name} has one type");
    }
}

/// Kills the library, which found the leases `before`, if the table was there.
pub fn kill(kcl: Kcl, before: Option<&Items>) {
    let log = kcl.log_file().to_owned();
    kcl.kill();
    assert_accepted(&log, before);
}

/// Stops the library, which found the leases `before`, if the table was there.
pub fn stop(kcl: Kcl, before: Option<&Items>) {
    let log = kcl.log_file().to_owned();
    kcl.stop();
    println!("the library was stopped");
    assert_accepted(&log, before);
}

/// Asks that the library had no complaint, and read as many leases at first as there were items.
fn assert_accepted(log: &Path, before: Option<&Items>) {
    let text = std::fs::read_to_string(log).expect("the library's log");
    let complaint = |line: &&str| line.contains(" ERROR ") || line.contains("failed deserialization");
    let complaints: Vec<&str> = text.lines().filter(complaint).collect();
    assert_eq!(complaints, Vec::<&str>::new(), "the library accepts every item");
    if let Some(before) = before {
        let found = text.lines().find_map(|line| line.split_once("Total Leases available : "));
        let found = found.and_then(|(_, count)| count.trim().parse().ok());
        assert_eq!(found, Some(before.0.len()), "the library reads every item");
        println!("the library read {} of {} items, and logged no error", found.unwrap_or(0), before.0.len());
    }
}

/// The first line of the library's log with these words.
pub fn complaint(log: &Path, words: &str) -> Option<String> {
    let text = std::fs::read_to_string(log).expect("the library's log");
    text.lines().find(|line| line.contains(words)).map(str::to_owned)
}
