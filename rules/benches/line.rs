//! How fast the pure part of the line is, per event and beside a baseline of the same run: reading the same bytes into
//! a small borrowed struct with serde_json, which is about the least that a program can do with an event.
//!
//! `cargo bench -p dial-rules`; `DIAL_BENCH_RULES=DIR` evaluates other rules than the built-in packs.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use dial_rules::decode::{Decoded, Decoder};
use dial_rules::event::Event;
use dial_rules::pack;
use dial_rules::ruleset::{RuleFile, RuleSet};
use serde::Deserialize;
use serde_json::json;

const EVENTS: usize = 10_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct Baseline<'a> {
    event_source: &'a str,
    event_name: &'a str,
    event_time: &'a str,
    #[serde(rename = "eventID")]
    event_id: &'a str,
}

/// Records of about 1.3 kB: reads mostly, some calls that rules look at, few that they match.
fn records() -> Vec<Vec<u8>> {
    let calls = [
        ("ec2.amazonaws.com", "DescribeInstances"),
        ("s3.amazonaws.com", "GetBucketPolicy"),
        ("sts.amazonaws.com", "AssumeRole"),
        ("kms.amazonaws.com", "Decrypt"),
        ("logs.amazonaws.com", "DescribeLogGroups"),
        ("iam.amazonaws.com", "GetRole"),
        ("ec2.amazonaws.com", "AuthorizeSecurityGroupIngress"),
        ("iam.amazonaws.com", "AttachUserPolicy"),
        ("dynamodb.amazonaws.com", "DescribeTable"),
        ("monitoring.amazonaws.com", "GetMetricData"),
    ];
    let record = |n: usize| {
        // Calls that rules look at are rarer than others.
        let (source, name) = calls[if n.is_multiple_of(17) { n / 17 % 10 } else { n % 6 }];
        let record = json!({
            "eventVersion": "1.11",
            "userIdentity": {"type": "AssumedRole", "principalId": "AROAEXAMPLEEXAMPLE:session",
                "arn": "arn:aws:sts::111122223333:assumed-role/Deploy/session", "accountId": "111122223333",
                "accessKeyId": "ASIAEXAMPLEEXAMPLE", "sessionContext": {"sessionIssuer": {"type": "Role",
                "principalId": "AROAEXAMPLEEXAMPLE", "arn": "arn:aws:iam::111122223333:role/Deploy",
                "accountId": "111122223333", "userName": "Deploy"}, "attributes": {
                "creationDate": "2026-03-03T08:00:00Z", "mfaAuthenticated": "false"}}},
            "eventTime": "2026-03-03T09:00:00Z", "eventSource": source, "eventName": name, "awsRegion": "eu-central-1",
            "sourceIPAddress": "198.51.100.7", "userAgent": "aws-cli/2.31.6 md/awscrt#0.27.6 ua/2.1 os/linux#6.8.0",
            "requestParameters": {"groupId": "sg-0123456789abcdef0", "userName": format!("user-{n}"),
                "policyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess", "maxResults": 100,
                "ipPermissions": {"items": [{"ipProtocol": "tcp", "fromPort": 443, "toPort": 443,
                "ipRanges": {"items": [{"cidrIp": "10.0.0.0/8"}]}}]}},
            "responseElements": null, "requestID": format!("00000000-0000-4000-9000-{n:012}"),
            "eventID": format!("00000000-0000-4000-8000-{n:012}"), "readOnly": true, "eventType": "AwsApiCall",
            "managementEvent": true, "recipientAccountId": "111122223333", "eventCategory": "Management",
            "tlsDetails": {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256",
                "clientProvidedHostHeader": "ec2.eu-central-1.amazonaws.com"}
        });
        serde_json::to_vec(&record).unwrap()
    };
    (0..EVENTS).map(record).collect()
}

fn rules() -> RuleSet {
    let files = match std::env::var_os("DIAL_BENCH_RULES") {
        None => pack::rules(),
        Some(folder) => std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
            .map(|path| RuleFile { name: path.display().to_string(), text: std::fs::read_to_string(&path).unwrap() })
            .collect(),
    };
    RuleSet::load(&files).rules
}

fn line(c: &mut Criterion) {
    let records = records();
    let together = records.join(&b'\n');
    let rules = rules();
    let decode = |bytes: &[u8]| -> Vec<Event> {
        let events = Decoder::new(bytes).filter_map(|decoded| match decoded {
            Decoded::Event(event) => Some(*event),
            Decoded::DeadLetter(_) => None,
        });
        events.collect()
    };
    let events = decode(&together);
    assert_eq!(events.len(), EVENTS);

    let mut group =
        c.benchmark_group(format!("{} events of {} B, {} rules", EVENTS, together.len() / EVENTS, rules.rules().len()));
    group.throughput(Throughput::Elements(EVENTS as u64)).sample_size(20);
    group.bench_function("baseline: serde_json, four members", |b| {
        b.iter(|| {
            for record in &records {
                black_box(serde_json::from_slice::<Baseline<'_>>(record).unwrap());
            }
        });
    });
    group.bench_function("decode a stream of events", |b| b.iter(|| black_box(decode(&together))));
    group.bench_function("match decoded events", |b| {
        b.iter(|| events.iter().map(|event| rules.evaluate(event).len()).sum::<usize>());
    });
    group.bench_function("match, every rule evaluated", |b| {
        b.iter(|| events.iter().map(|event| rules.evaluate_all(event).len()).sum::<usize>());
    });
    group.bench_function("decode and match", |b| {
        b.iter_batched(
            || (),
            |()| decode(&together).iter().map(|event| rules.evaluate(event).len()).sum::<usize>(),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("decode and match, event by event", |b| {
        b.iter(|| {
            let events = Decoder::new(&together[..]).filter_map(|decoded| match decoded {
                Decoded::Event(event) => Some(rules.evaluate(&event).len()),
                Decoded::DeadLetter(_) => None,
            });
            events.sum::<usize>()
        });
    });
    group.bench_function("decode, event by event", |b| b.iter(|| Decoder::new(&together[..]).count()));
    group.bench_function("decode records of one event", |b| {
        b.iter(|| records.iter().map(|record| Decoder::record(record).count()).sum::<usize>());
    });
    group.finish();
}

criterion_group!(benches, line);
criterion_main!(benches);
