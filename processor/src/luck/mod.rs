//! Whatever the order, the duplicates, the shards, the workers and the crashes: what is found is what a naive reference finds
//! that sees all events at once, byte for byte (I2).
//!
//! A case is what a seed decides: rules and correlations, events and copies of them, AssumeRole calls before, after and between
//! the calls made with their keys, how records are put into how many shards that split and merge, and how many workers there
//! are, how slow and how failing their stores are and when they die. The real `Worker` and the real detect role live it over the
//! ports in memory, under virtual time.
//!
//! A case that fails prints its seed. `LUCK_SEED=…` lives that one alone and shows it; `LUCK_SEEDS=…` is how many are lived.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod archive;
mod breach;
mod burst;
mod case;
mod dice;
mod happening;
mod life;
mod naive;
mod ports;
mod search;
mod seat;
mod spec;
mod tally;
mod told;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use breach::Breach;
use case::{ALLOWED, Case};
use dial_rules::correlation::Windows;
use dial_rules::decode::{Decoded, Decoder};
use dial_rules::finding::Finding;
use dial_rules::lineage;
use dial_rules::ruleset::RuleSet;
use dial_rules::tables::Tables;
use dial_sinks::actors::ActorStore;
use dial_sinks::memory::MemoryFindingStore;
use dial_sinks::store::FindingStore;
use dial_sinks::windows::store::WindowStore;
use life::{Lived, as_json, live};
use naive::{Findings, Mistake, findings};
use search::search;
use tally::Tally;
use tokio::sync::mpsc;

use crate::correlator::{Correlator, Ports};
use crate::detector::{Counts, Detect};
use crate::follow_ups::Follower;

/// How many cases are lived, unless `LUCK_SEEDS` says otherwise.
const SEEDS: u64 = 2_000;
/// Within so many each mutation must be noticed.
const MUTANT_SEEDS: u64 = 1_000;

/// The detect role over these stores.
fn detect(
    rules: Arc<RuleSet>,
    windows: Arc<dyn WindowStore>,
    actors: Arc<dyn ActorStore>,
    findings: Arc<dyn FindingStore>,
) -> Detect {
    let counts = Arc::new(Counts::default());
    let news = mpsc::unbounded_channel().0;
    let ports = Ports { windows, actors, findings: findings.clone(), news: news.clone() };
    let follower = Follower::new(Correlator::new(rules.clone(), ports, counts.correlation.clone()));
    let tables = tokio::sync::watch::channel(Arc::default()).1;
    Detect { tables, rules, findings, follower, allowed_lateness: ALLOWED * 1_000, counts, news }
}

fn asked(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable}={value} is not a number")))
}

/// What differs, if anything does.
fn difference(found: &Findings, expected: &Findings) -> Option<String> {
    let ids: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    let mut said = String::new();
    for id in ids.into_iter().filter(|id| found.get(*id) != expected.get(*id)) {
        let text = |findings: &Findings| findings.get(id).map_or_else(|| "nothing".to_owned(), |it| format!("{it:#}"));
        said += &format!("found {}\nexpected {}\n", text(found), text(expected));
    }
    (!said.is_empty()).then_some(said)
}

/// The library told everything at once: what each event is matched by, and everybody behind it.
fn at_once(case: &Case) -> Findings {
    let rules = spec::load(&case.specs);
    let tables = Tables::default();
    let events: Vec<_> = case.arrived().iter().map(|arrived| (event(&arrived.event.json()), arrived.late)).collect();
    let known = lineage::ancestries(events.iter().flat_map(|(event, _)| lineage::links(event)));
    let store = MemoryFindingStore::new();
    let mut found: Vec<Finding> = Vec::new();
    let mut filed = Vec::new();
    for (event, late) in &events {
        let single = rules.evaluate_with(event, &tables).into_iter();
        let single = single.filter(|found| rules.correlations().makes_findings(&found.rule.id));
        found.extend(single.map(|found| Finding::single(&found)));
        let everybody = lineage::resolve(lineage::origin(event), |id| known.get(id).cloned()).lineage;
        for matched in rules.evaluate_with(event, &tables).into_iter().filter(|_| !late) {
            filed.extend(rules.correlations().file(&matched, &tables, &everybody).filed);
        }
    }
    found.extend(Windows::default().file(rules.correlations(), filed));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        store.record(found).await.unwrap();
        let filter = dial_sinks::filter::FindingFilter { limit: 1_000, ..Default::default() };
        as_json(store.list(&filter).await.unwrap().findings)
    })
}

fn event(json: &serde_json::Value) -> dial_rules::event::Event {
    match Decoder::record(json.to_string().as_bytes()).next() {
        Some(Decoded::Event(event)) => *event,
        other => panic!("{other:?}"),
    }
}

fn check(seed: u64, breach: Option<Breach>) -> Result<Lived, String> {
    let case = Case::of(seed);
    let lived = live(&case, breach)?;
    match difference(&lived.findings, &findings(&case.specs, &case.arrived(), None)) {
        None => Ok(lived),
        Some(difference) => Err(difference),
    }
}

#[test]
fn the_library_told_everything_at_once_agrees() {
    let agrees = |seed| {
        let case = Case::of(seed);
        let expected = findings(&case.specs, &case.arrived(), None);
        difference(&at_once(&case), &expected).map_or(Ok(()), Err)
    };
    if let Some((seed, how)) = search(asked("LUCK_SEEDS").unwrap_or(SEEDS), agrees) {
        panic!("seed {seed}: {how}\n{:#?}", Case::of(seed));
    }
}

#[test]
fn every_mistake_in_the_arithmetic_would_be_noticed() {
    for mistake in Mistake::ALL {
        let differs = |seed| {
            let case = Case::of(seed);
            let wrong = findings(&case.specs, &case.arrived(), Some(mistake));
            difference(&wrong, &findings(&case.specs, &case.arrived(), None)).map_or(Ok(()), Err)
        };
        match search(MUTANT_SEEDS, differs) {
            Some((seed, _)) => println!("{mistake:?}: seed {seed}"),
            None => panic!("{mistake:?} makes no difference in {MUTANT_SEEDS} cases"),
        }
    }
}

#[test]
fn what_is_found_does_not_depend_on_luck() {
    if let Some(seed) = asked("LUCK_SEED") {
        println!("{:#?}", Case::of(seed));
        let lived = check(seed, None).unwrap_or_else(|how| panic!("seed {seed}: {how}"));
        println!("{lived:#?}");
        return;
    }
    let cases = asked("LUCK_SEEDS").unwrap_or(SEEDS);
    let tally: Mutex<Tally> = Mutex::default();
    let lives = |seed| check(seed, None).map(|lived| tally.lock().unwrap().add(&lived));
    if let Some((seed, how)) = search(cases, lives) {
        panic!("seed {seed}: {how}\nTo see the case: LUCK_SEED={seed} cargo test -p dial luck -- --nocapture");
    }
    let tally = tally.into_inner().unwrap();
    println!("{cases} cases: {tally:#?}");
    tally.is_hard_enough(cases);
}

#[test]
fn every_broken_promise_of_a_store_would_be_noticed() {
    for breach in Breach::ALL {
        match search(MUTANT_SEEDS, |seed| check(seed, Some(breach)).map(drop)) {
            Some((seed, _)) => println!("{breach:?}: seed {seed}"),
            None => panic!("{breach:?} makes no difference in {MUTANT_SEEDS} cases"),
        }
    }
}
