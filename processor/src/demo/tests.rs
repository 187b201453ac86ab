#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use dial_rules::decode::{Decoded, Decoder};
use dial_rules::finding::Finding;
use dial_rules::lineage;
use dial_rules::pack;
use dial_rules::ruleset::RuleSet;
use dial_rules::severity::Severity;
use serde_json::Value;

use super::*;

const MIDNIGHT: i64 = 1_795_392_000;

/// One day, told and parsed once for all tests that only look at it.
static DAY: LazyLock<(Vec<SimulatedEvent>, Vec<Value>)> = LazyLock::new(|| {
    let events = day(1, MIDNIGHT);
    let values = events.iter().map(|event| serde_json::from_slice(&event.envelope).expect("an envelope is JSON"));
    let values = values.collect();
    (events, values)
});

#[test]
fn a_seed_determines_the_day() {
    assert_eq!(DAY.0, day(1, MIDNIGHT));
    assert_ne!(DAY.0, day(2, MIDNIGHT));
}

#[test]
fn events_come_in_order_within_the_day() {
    let (events, values) = &*DAY;
    assert!(events.is_sorted_by_key(|event| event.at));
    assert!(events.iter().all(|event| (MIDNIGHT..MIDNIGHT + timeline::DAY).contains(&event.at)));
    for (event, value) in events.iter().zip(values) {
        assert_eq!(value["time"], envelope::instant(event.at));
    }
}

#[test]
fn there_are_about_twenty_thousand_of_usual_size() {
    for events in [&DAY.0, &day(2, MIDNIGHT)] {
        assert!((18_000..22_000).contains(&events.len()), "{} events", events.len());
        let average = events.iter().map(|event| event.envelope.len()).sum::<usize>() / events.len();
        assert!((1_300..1_700).contains(&average), "{average} bytes on average");
    }
}

#[test]
fn envelopes_hold_what_eventbridge_sends() {
    let accounts: BTreeSet<&str> = ACCOUNTS.iter().map(|account| account.id).collect();
    for value in &DAY.1 {
        let detail = &value["detail"];
        for field in ["version", "id", "detail-type", "source", "account", "time", "region"] {
            assert!(value[field].is_string(), "{field} of {value}");
        }
        assert!(accounts.contains(value["account"].as_str().unwrap()));
        if value["detail-type"] == "GuardDuty Finding" {
            assert_eq!(value["source"], "aws.guardduty");
            assert_eq!(detail["accountId"], value["account"]);
            assert!(detail["severity"].is_number() && detail["service"]["action"].is_object(), "{detail}");
            continue;
        }
        let source = detail["eventSource"].as_str().unwrap().strip_suffix(".amazonaws.com").unwrap();
        assert_eq!(value["source"], format!("aws.{source}"));
        assert_eq!(detail["recipientAccountId"], value["account"]);
        assert_eq!((&detail["eventTime"], &detail["awsRegion"]), (&value["time"], &value["region"]));
        assert!(detail["userIdentity"]["type"].is_string(), "{detail}");
    }
}

#[test]
fn every_id_occurs_once() {
    let mut seen = BTreeSet::new();
    for value in &DAY.1 {
        let detail = &value["detail"];
        let id = detail["eventID"].as_str().or(detail["id"].as_str()).unwrap();
        assert!(seen.insert(id.to_owned()), "{id} twice");
        assert!(seen.insert(value["id"].as_str().unwrap().to_owned()));
    }
}

#[test]
fn the_story_is_told_once() {
    let mut calls: BTreeMap<&str, usize> = BTreeMap::new();
    for value in &DAY.1 {
        *calls.entry(value["detail"]["eventName"].as_str().unwrap_or("-")).or_default() += 1;
    }
    for (name, times) in [
        ("AttachUserPolicy", 1),
        ("DeactivateMFADevice", 1),
        ("StopLogging", 1),
        ("DeleteFlowLogs", 1),
        ("ModifySnapshotAttribute", 1),
        ("ModifyDBSnapshotAttribute", 1),
        ("UpdateAssumeRolePolicy", 1),
        ("DeleteBucketPublicAccessBlock", 1),
        ("RunInstances", 3),
    ] {
        assert_eq!(calls.get(name), Some(&times), "{name}");
    }
}

#[test]
fn another_day_differs_only_in_its_dates() {
    let later = day(1, MIDNIGHT + 5 * timeline::DAY);
    assert_eq!(later.len(), DAY.0.len());
    for (event, other) in DAY.1.iter().zip(&later) {
        let other: Value = serde_json::from_slice(&other.envelope).unwrap();
        assert_eq!(event["id"], other["id"]);
        assert_eq!(event["detail"]["eventName"], other["detail"]["eventName"]);
    }
}

#[test]
fn addresses_are_documentation_ones() {
    for value in &DAY.1 {
        let Some(address) = value["detail"]["sourceIPAddress"].as_str() else { continue };
        let reserved = ["192.0.2.", "198.51.100.", "203.0.113."].iter().any(|block| address.starts_with(block));
        assert!(reserved || address.ends_with(".amazonaws.com"), "{address}");
    }
}

/// Titles of the built-in rules that match, with how often, from a severity on.
fn found(events: &[SimulatedEvent], least: Severity) -> BTreeMap<String, usize> {
    let loaded = RuleSet::load(&pack::rules());
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    let mut found = BTreeMap::new();
    for decoded in events.iter().flat_map(|event| Decoder::record(&event.envelope)) {
        let Decoded::Event(event) = decoded else { panic!("a dead letter: {decoded:?}") };
        for matched in loaded.rules.evaluate(&event).into_iter().filter(|matched| matched.rule.severity >= least) {
            *found.entry(matched.rule.title.clone()).or_default() += 1;
        }
    }
    found
}

#[test]
fn the_rules_see_the_story() {
    let mut attack = Timeline::new(Random::new(1), MIDNIGHT);
    story::tell(&mut attack);
    let found = found(&attack.into_events(), Severity::High);
    for title in [
        "Administrator rights granted",
        "Bucket made public",
        "CloudTrail logging stopped or narrowed",
        "Console login without a second factor",
        "Credentials made for another user",
        "Database snapshot shared outside",
        "GuardDuty finding of high severity",
        "GuardDuty switched off, or told to stay silent",
        "Instances requested that miners use",
        "MFA device removed",
        "Network logs deleted",
        "Role trusts another account",
        "Security group opened to the internet",
        "Snapshot or machine image shared outside",
    ] {
        assert!(found.contains_key(title), "{title} is missing in {found:?}");
    }
}

#[test]
fn lineage_shows_the_person_over_three_accounts() {
    let mut attack = Timeline::new(Random::new(1), MIDNIGHT);
    story::tell(&mut attack);
    let events = attack.into_events();
    let decoded = events.iter().flat_map(|event| Decoder::record(&event.envelope));
    let events: Vec<_> = decoded
        .map(|decoded| match decoded {
            Decoded::Event(event) => event,
            Decoded::DeadLetter(letter) => panic!("{letter:?}"),
        })
        .collect();
    // In whatever order they come.
    let known = lineage::ancestries(events.iter().rev().flat_map(|event| lineage::links(event)));
    let loaded = RuleSet::load(&pack::rules());
    let silenced = events.iter().find(|event| event.name() == "StopMonitoringMembers").unwrap();
    let matched = loaded.rules.evaluate(silenced);
    let finding = Finding::single(matched.first().expect("a rule sees it"));
    assert_eq!(finding.subject.account_id.as_deref(), Some(organisation::SECURITY.id));
    let behind = lineage::resolve(finding.subject.origin.clone(), |id| known.get(id).cloned());
    let expected = "backup-operator (111122223333) → role OrganizationAccountAccessRole (777788889999) as migration \
         → role SecurityToolingAdmin (123456789012) as migration";
    assert_eq!(behind.told().as_deref(), Some(expected));
    // The finding itself names nobody: only the key of its session.
    assert!(finding.subject.origin.persons.is_empty() && finding.subject.origin.credentials.len() == 1);
}

#[test]
fn the_ordinary_day_is_quiet() {
    let mut quiet = Timeline::new(Random::new(1), MIDNIGHT);
    traffic::tell(&mut quiet);
    let events = quiet.into_events();
    let found = found(&events, Severity::Medium);
    assert!(found.values().sum::<usize>() * 1000 < events.len(), "{found:?}");
}
