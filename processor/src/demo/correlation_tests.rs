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
    let events = attack.into_events();
    let findings = correlated(&events);
    let told = told(&findings, Severity::Low);
    let cover = format!("arn:aws:iam::{}:user/{}", organisation::PRODUCTION.id, story::COVER);
    for (title, group) in [
        ("Console login without a second factor, then an access key created", "user/jonas.berg"),
        ("MFA device removed, then IAM changed by the same person", &cover),
        ("MFA device removed, then rights or credentials of the same user changed", "elena.fiori"),
        ("Many failed console logins, then one that succeeds", "jonas.berg"),
        ("Public access block of a bucket lifted, then the bucket made public", "payments-exports"),
        // Of the user who has come over, the account that is entered sees the id alone.
        ("Role assumed from another account, then IAM changed", "AIDA"),
    ] {
        let groups = told.get(title).unwrap_or_else(|| panic!("{title} is missing in {told:#?}"));
        assert!(groups.iter().any(|found| found.contains(group)), "{group} is missing in {groups:?}");
    }
    // The second account's change is the first account's user's, by lineage alone.
    let crossed = findings.iter().find(|finding| finding.subject.rule_title.starts_with("Role assumed")).unwrap();
    let changed = crossed.evidence.last().unwrap();
    assert_eq!((changed.event_name.as_str(), crossed.event_count), ("UpdateAssumeRolePolicy", 2));
    assert_eq!(changed.account_id.as_deref(), Some(organisation::PAYMENTS.id));
}

#[test]
fn ordinary_traffic_tells_no_stories() {
    for seed in [1, 2, 3] {
        let events = quiet(seed, MIDNIGHT, 15_000);
        let findings = correlated(&events);
        let told = told(&findings, Severity::Low);
        assert!(told.is_empty(), "seed {seed}: {told:#?}");
    }
}
