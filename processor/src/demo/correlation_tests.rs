//! What the built-in correlations make of the demo: the attack is told as stories, and ordinary traffic tells next to none.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use dial_rules::correlation::{Filed, Windows};
use dial_rules::decode::{Decoded, Decoder};
use dial_rules::event::Event;
use dial_rules::finding::Finding;
use dial_rules::lineage;
use dial_rules::pack;
use dial_rules::ruleset::RuleSet;
use dial_rules::severity::Severity;
use dial_rules::tables::Tables;

use super::*;

const MIDNIGHT: i64 = 1_795_392_000;

fn decoded(events: &[SimulatedEvent]) -> Vec<Event> {
    let decoded = events.iter().flat_map(|event| Decoder::record(&event.envelope));
    let event = |decoded| match decoded {
        Decoded::Event(event) => *event,
        Decoded::DeadLetter(letter) => panic!("{letter:?}"),
    };
    decoded.map(event).collect()
}

/// What the correlations that come with DIAL find, with everything known of who is behind each credential.
fn correlated(events: &[SimulatedEvent]) -> Vec<Finding> {
    let loaded = RuleSet::load(&pack::rules());
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    let (rules, tables) = (loaded.rules, Tables::default());
    let events = decoded(events);
    let known = lineage::ancestries(events.iter().flat_map(lineage::links));
    let mut filed: Vec<Filed> = Vec::new();
    for event in &events {
        let found = rules.evaluate(event);
        if found.is_empty() {
            continue;
        }
        let behind = lineage::resolve(lineage::origin(event), |id| known.get(id).cloned()).lineage;
        filed.extend(found.iter().flat_map(|found| rules.correlations().file(found, &tables, &behind).filed));
    }
    let mut windows = Windows::default();
    let mut findings: BTreeMap<String, Finding> = BTreeMap::new();
    for finding in windows.file(rules.correlations(), filed) {
        findings.insert(finding.finding_id.clone(), finding);
    }
    findings.into_values().collect()
}

/// By title, the groups of findings from a severity on.
fn told(findings: &[Finding], least: Severity) -> BTreeMap<&str, BTreeSet<String>> {
    let mut told: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| finding.subject.severity >= least) {
        let group: Vec<&str> = finding.group.values().map(String::as_str).collect();
        told.entry(&finding.subject.rule_title).or_default().insert(group.join(" "));
    }
    told
}

#[test]
fn the_attack_is_told_as_stories() {
    let mut attack = Timeline::new(Random::new(1), MIDNIGHT);
    story::tell(&mut attack);
    let findings = correlated(&attack.into_events());
    let told = told(&findings, Severity::Low);
    println!("{told:#?}");
}

#[test]
fn ordinary_traffic_tells_next_to_nothing() {
    for seed in [1, 2, 3] {
        let count = std::env::var("QUIET_EVENTS").map_or(20_000, |text| text.parse().unwrap());
        let findings = correlated(&quiet(seed, MIDNIGHT, count));
        let told = told(&findings, Severity::Low);
        println!("{seed} {told:#?}");
    }
}
