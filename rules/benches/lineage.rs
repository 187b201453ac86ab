//! What the detect role pays for context, per event: learning who is behind credentials, beside finding the rules' matches in
//! the same run. Other context is asked for findings only.
//!
//! `cargo bench -p dial-rules --bench lineage`.

#![allow(clippy::panic, clippy::disallowed_methods, missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dial_rules::decode::{Decoded, Decoder};
use dial_rules::event::Event;
use dial_rules::lineage::links;
use dial_rules::pack;
use dial_rules::ruleset::RuleSet;
use serde_json::json;

const EVENTS: usize = 10_000;

fn event(n: usize, source: &str, name: &str) -> Event {
    let record = json!({
        "eventVersion": "1.11",
        "userIdentity": {"type": "AssumedRole", "principalId": "AROAEXAMPLEEXAMPLE:session",
            "arn": "arn:aws:sts::111122223333:assumed-role/Deploy/session", "accountId": "111122223333",
            "accessKeyId": format!("ASIAEXAMPLE{:09}", n % 50), "sessionContext": {"sessionIssuer": {"type": "Role",
            "principalId": "AROAEXAMPLEEXAMPLE", "arn": "arn:aws:iam::111122223333:role/Deploy"}}},
        "eventTime": "2026-03-03T09:00:00Z", "eventSource": source, "eventName": name, "awsRegion": "eu-central-1",
        "sourceIPAddress": "8.8.8.8", "userAgent": "aws-cli/2.31.6",
        "requestParameters": {"roleArn": "arn:aws:iam::444455556666:role/Reader", "roleSessionName": format!("s-{n}")},
        "responseElements": {"credentials": {"accessKeyId": format!("ASIAGRANTED{n:09}"),
            "expiration": "Mar 3, 2026, 10:00:00 AM"},
            "assumedRoleUser": {"arn": format!("arn:aws:sts::444455556666:assumed-role/Reader/s-{n}")}},
        "eventID": format!("00000000-0000-4000-8000-{n:012}"), "eventType": "AwsApiCall",
        "recipientAccountId": "111122223333"
    });
    let bytes = record.to_string().into_bytes();
    match Decoder::record(&bytes).next() {
        Some(Decoded::Event(event)) => *event,
        other => panic!("{other:?}"),
    }
}

fn lineage(c: &mut Criterion) {
    let rules = RuleSet::load(&pack::rules()).rules;
    let plain: Vec<Event> = (0..EVENTS).map(|n| event(n, "ec2.amazonaws.com", "DescribeInstances")).collect();
    let roles: Vec<Event> = (0..EVENTS).map(|n| event(n, "sts.amazonaws.com", "AssumeRole")).collect();
    let mut group = c.benchmark_group(format!("{EVENTS} events"));
    group.throughput(Throughput::Elements(EVENTS as u64)).sample_size(20);
    for (what, events) in [("that teach nothing", &plain), ("of AssumeRole", &roles)] {
        group.bench_function(format!("baseline: match events {what}"), |b| {
            b.iter(|| events.iter().map(|event| rules.evaluate(event).len()).sum::<usize>());
        });
        group.bench_function(format!("learn from events {what}"), |b| {
            b.iter(|| events.iter().map(|event| black_box(links(event)).len()).sum::<usize>());
        });
    }
    group.finish();
}

criterion_group!(benches, lineage);
criterion_main!(benches);
