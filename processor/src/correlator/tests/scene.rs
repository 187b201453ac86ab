//! Rules, events, and what they come to for somebody who sees all of them at once.

use std::sync::Arc;

use dial_rules::correlation::Windows;
use dial_rules::decode::{Decoded, Decoder};
use dial_rules::finding::Finding;
use dial_rules::lineage;
use dial_rules::ruleset::{RuleFile, RuleSet};
use dial_rules::tables::Tables;
use dial_sinks::actors::ActorStore;
use dial_sinks::actors::memory::MemoryActorStore;
use dial_sinks::actors::resolve;
use dial_sinks::filter::FindingFilter;
use dial_sinks::memory::MemoryFindingStore;
use dial_sinks::store::FindingStore;
use serde_json::{Value, json};

use crate::correlator::FollowUp;
use crate::pipeline::{Detected, Detection};

const PARTS: &str = "
title: First
id: 00000000-0000-4000-8000-000000000001
name: first
logsource: { product: aws, service: cloudtrail }
detection: { selection: { eventName: First }, condition: selection }
level: low
---
title: Second
id: 00000000-0000-4000-8000-000000000002
name: second
logsource: { product: aws, service: cloudtrail }
detection: { selection: { eventName: Second }, condition: selection }
level: low
";

/// The second after the first, by these fields.
pub(crate) fn ordered(group_by: &str) -> Arc<RuleSet> {
    rules(&format!(
        "---\ntitle: Both\nid: 00000000-0000-4000-8000-00000000000a\ncorrelation: {{ type: temporal_ordered, \
         rules: [first, second], group-by: [{group_by}], timespan: 10m }}\nlevel: high\n"
    ))
}

/// The second after two of the first.
pub(crate) fn chained() -> Arc<RuleSet> {
    rules(
        "---\ntitle: Twice\nname: twice\nid: 00000000-0000-4000-8000-00000000000b\ncorrelation: { type: \
         event_count, rules: [first], group-by: [dial.actor], timespan: 10m, condition: { gte: 2 }, generate: true }\n\
         level: medium\n---\ntitle: Then\nid: 00000000-0000-4000-8000-00000000000c\ncorrelation: { type: temporal, \
         rules: [twice, second], group-by: [dial.actor], timespan: 10m, generate: true }\nlevel: high\n",
    )
}

/// The two rules, and these correlations of them.
pub(crate) fn rules(correlations: &str) -> Arc<RuleSet> {
    let loaded = RuleSet::load(&[RuleFile { name: "rules.yml".to_owned(), text: format!("{PARTS}{correlations}") }]);
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    Arc::new(loaded.rules)
}

fn call(id: &str, second: u32, name: &str, identity: Value, response: Value) -> Value {
    json!({
        "eventID": id, "eventTime": format!("2026-01-31T12:00:{second:02}Z"), "eventSource": "iam.amazonaws.com",
        "eventName": name, "recipientAccountId": "111122223333", "awsRegion": "eu-west-1",
        "userIdentity": identity, "responseElements": response,
    })
}

pub(crate) fn key(n: u32) -> String {
    format!("ASIA{n:016}")
}

/// A call by alice herself.
pub(crate) fn by_alice(id: &str, second: u32, name: &str) -> Value {
    let alice = json!({ "type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice" });
    call(id, second, name, alice, Value::Null)
}

/// A call with a key that says nothing of whose it is.
pub(crate) fn by_key(id: &str, second: u32, name: &str, n: u32) -> Value {
    call(id, second, name, json!({ "type": "AssumedRole", "accessKeyId": key(n) }), Value::Null)
}

/// A key is made: by alice, or with another key.
pub(crate) fn assumed(id: &str, n: u32, with: Option<u32>) -> Value {
    let mut event = match with {
        Some(other) => by_key(id, 0, "AssumeRole", other),
        None => by_alice(id, 0, "AssumeRole"),
    };
    event["eventSource"] = "sts.amazonaws.com".into();
    event["responseElements"] = json!({ "credentials": { "accessKeyId": key(n) } });
    event
}

/// What these events lead to.
pub(crate) fn follow_up(rules: &RuleSet, events: &[Value]) -> FollowUp {
    let tables = Tables::default();
    let detection = Detection { rules, tables: &tables, allowed_lateness: i64::MAX };
    let mut detected = Detected::default();
    for event in events {
        detection.record(event.to_string().as_bytes(), 0, &mut detected);
    }
    assert_eq!(detected.dead_letters.len(), 0);
    detected.follow_up
}

/// What all these events come to.
pub(crate) async fn expected(rules: &RuleSet, events: &[Value]) -> Vec<Finding> {
    let actors = MemoryActorStore::new();
    actors.learn(follow_up(rules, events).links, 0).await.unwrap();
    let tables = Tables::default();
    let mut filed = Vec::new();
    for event in events {
        for decoded in Decoder::record(event.to_string().as_bytes()) {
            let Decoded::Event(event) = decoded else { panic!("{decoded:?}") };
            let origin = lineage::origin(&event);
            let resolved = resolve(&actors, [origin.clone()]).await.unwrap();
            for found in rules.evaluate_with(&event, &tables) {
                filed.extend(rules.correlations().file(&found, &tables, &resolved[&origin].lineage).filed);
            }
        }
    }
    let mut found = Windows::default().file(rules.correlations(), filed);
    found.sort_by(|a, b| a.finding_id.cmp(&b.finding_id));
    found
}

/// What a store holds of correlations.
pub(crate) async fn correlated(findings: &MemoryFindingStore, rules: &RuleSet) -> Vec<Finding> {
    let filter = FindingFilter { limit: 1_000, ..FindingFilter::default() };
    let mut found = findings.list(&filter).await.unwrap().findings;
    found.retain(|finding| rules.correlations().get(&finding.rule_id).is_some());
    found.sort_by(|a, b| a.finding_id.cmp(&b.finding_id));
    found
}
