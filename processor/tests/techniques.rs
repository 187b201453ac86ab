//! Known ways to attack an account raise a finding that names the technique, whatever the names, ids, regions, addresses and
//! agents are; and none when what makes them an attack is taken away.
//!
//! `techniques/table.json` has a row for each technique of Stratus Red Team of which a log was published: what it must be found
//! as, events of our own in its shape, and what makes it harmless. With `TEST_CLOUDTRAIL_FOLDER` set, the files of that folder
//! (arrays of records, `FILE.json` in the words of the table) are held to the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "techniques/harmless.rs"]
mod harmless;
#[path = "techniques/rewrite.rs"]
mod rewrite;
#[path = "techniques/table.rs"]
mod table;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use dial_rules::decode::{Decoded, Decoder};
use dial_rules::pack;
use dial_rules::ruleset::RuleSet;
use dial_rules::severity::Severity;
use serde_json::Value;
use table::Row;

static RULES: LazyLock<RuleSet> = LazyLock::new(|| RuleSet::load(&pack::rules()).rules);

/// Techniques and titles of the rules of medium or more that match one of the records.
fn found(records: &[Value]) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut techniques, mut titles) = (BTreeSet::new(), BTreeSet::new());
    for record in records {
        let bytes = record.to_string().into_bytes();
        let Some(decoded) = Decoder::record(&bytes).next() else { panic!("nothing in {record}") };
        let Decoded::Event(event) = decoded else { panic!("a dead letter: {decoded:?}") };
        for matched in RULES.evaluate(&event).into_iter().filter(|matched| matched.rule.severity >= Severity::Medium) {
            techniques.extend(matched.rule.techniques.iter().cloned());
            titles.insert(matched.rule.title.clone());
        }
    }
    (techniques, titles)
}

/// The titles of what is found in a row's records; a technique that no finding names is a fault.
fn must_be_named(row: &Row, records: &[Value], how: &str, faults: &mut Vec<String>) -> BTreeSet<String> {
    let (techniques, titles) = found(records);
    let missing: Vec<_> = row.techniques.iter().filter(|name| !techniques.contains(*name)).collect();
    if !missing.is_empty() {
        faults.push(format!("{} {how}: {missing:?} not among {techniques:?} of {titles:?}", row.file));
    }
    titles
}

/// The records with every change but those to the call left out.
fn calmed(row: &Row, records: &[Value], left_out: Option<&str>) -> Vec<Value> {
    let mut records = records.to_vec();
    for change in row.harmless.iter().filter(|change| Some(change.call.as_str()) != left_out) {
        let meant = records.iter_mut().filter(|record| record["eventName"] == *change.call);
        meant.for_each(|record| harmless::apply(change, record));
    }
    records
}

/// What is wrong with the findings of a row's events; nothing when all is well.
fn faults(row: &Row, records: &[Value]) -> Vec<String> {
    let mut faults = Vec::new();
    let as_it_is = must_be_named(row, records, "as it is", &mut faults);
    for seed in 1..=5 {
        let rewritten = rewrite::rewritten(records, seed);
        assert_ne!(rewritten, records, "{}: seed {seed} changed nothing", row.file);
        let titles = must_be_named(row, &rewritten, &format!("rewritten with seed {seed}"), &mut faults);
        if titles != as_it_is {
            faults.push(format!("{} rewritten with seed {seed}: {titles:?} instead of {as_it_is:?}", row.file));
        }
    }
    let (_, titles) = found(&calmed(row, records, None));
    if !titles.is_empty() {
        faults.push(format!("{} made harmless: {titles:?}", row.file));
    }
    faults
}

#[test]
fn events_in_the_shape_of_each_technique() {
    let faults: Vec<String> = table::rows().iter().flat_map(|row| faults(row, &row.records())).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_harmless_change_matters() {
    for row in table::rows() {
        for left_out in &row.harmless {
            let records = row.records();
            if !records.iter().any(|record| record["eventName"] == *left_out.call) {
                continue;
            }
            let records = calmed(&row, &records, Some(&left_out.call));
            assert!(!found(&records).1.is_empty(), "{}: without the change to {}", row.file, left_out.call);
        }
    }
}

#[test]
fn files_of_a_folder() {
    let Some(folder) = std::env::var_os("TEST_CLOUDTRAIL_FOLDER") else { return };
    let (mut faults_found, mut files) = (Vec::new(), 0);
    for row in table::rows() {
        let path = Path::new(&folder).join(format!("{}.json", row.file));
        let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let records: Vec<Value> = serde_json::from_slice(&text).unwrap();
        faults_found.extend(faults(&row, &records));
        files += 1;
    }
    println!("{files} files");
    assert!(faults_found.is_empty(), "{faults_found:#?}");
}
