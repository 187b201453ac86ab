//! A burst: very many matches of one group, in batches as a shard hands them over, through the windows on SQLite. It is found
//! once, or on both sides of a bucket's edge as what is alerted as one, and each match costs about the same however many there
//! are:
//!
//! `cargo test --release -p dial --bin dial burst -- --ignored --nocapture`

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use dial_ingest::Position;
use dial_rules::event::rfc3339;
use dial_rules::finding::{Finding, MOST_EVENTS};
use dial_rules::ruleset::{RuleFile, RuleSet};
use dial_rules::tables::Tables;
use dial_sinks::actors::memory::MemoryActorStore;
use dial_sinks::filter::FindingFilter;
use dial_sinks::memory::MemoryFindingStore;
use dial_sinks::store::FindingStore;
use dial_sinks::windows::retention::Retention;
use dial_sinks::windows::sqlite::SqliteWindowStore;
use serde_json::json;
use tokio::sync::mpsc;

use crate::correlator::{Correlated, Correlator, FollowUp, Meter, Ports};
use crate::follow_ups::{FollowUps, Follower};
use crate::pipeline::{Detected, Detection};

/// Records in a batch.
const BATCH: usize = 100;
/// A full hour, in seconds since 1970.
const HOUR: i64 = 1_769_860_800;

const RULES: &str = "title: A call was refused
id: r
name: refused
logsource: {product: aws, service: cloudtrail}
detection: {call: {errorCode: AccessDenied}, condition: call}
---
title: Many calls were refused
id: c
level: medium
correlation:
    type: event_count
    rules: [refused]
    group-by: [userIdentity.arn]
    timespan: 1h
    condition: {gte: 20}
";

struct Cost {
    seconds: f64,
    /// Processor time of this process, in seconds, where the system tells it.
    worked: Option<f64>,
    correlated: Correlated,
    findings: Vec<Finding>,
}

/// The batches of a burst of twenty minutes, in the middle of an hour or around its end.
fn batches(rules: &RuleSet, length: usize, edge: bool) -> Vec<FollowUp> {
    let tables = Tables::default();
    let detection = Detection { rules, tables: &tables, allowed_lateness: i64::MAX };
    let begin = if edge { HOUR - 600 } else { HOUR + 600 };
    let event = |n: usize| {
        let time = begin + i64::try_from(n * 1_200 / length).unwrap();
        json!({"eventID": format!("{n:032x}"), "eventTime": rfc3339(time * 1_000), "eventSource": "s3.amazonaws.com",
            "eventName": "ListBuckets", "awsRegion": "eu-west-1", "sourceIPAddress": "198.51.100.7",
            "errorCode": "AccessDenied", "recipientAccountId": "111122223333", "userIdentity": {
                "type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice", "userName": "alice"}})
    };
    let batch = |from: usize| {
        let mut detected = Detected::default();
        for n in from..(from + BATCH).min(length) {
            detection.record(event(n).to_string().as_bytes(), 0, &mut detected);
        }
        detected.follow_up
    };
    (0..length).step_by(BATCH).map(batch).collect()
}

/// Follows a burst up to its end.
async fn burst(length: usize, edge: bool) -> Cost {
    let loaded = RuleSet::load(&[RuleFile { name: "burst.yml".to_owned(), text: RULES.to_owned() }]);
    assert_eq!(loaded.problems, []);
    let rules = Arc::new(loaded.rules);
    let batches = batches(&rules, length, edge);
    let folder = tempfile::tempdir().unwrap();
    let windows = SqliteWindowStore::open(folder.path().join("windows.db"), Retention::default()).await.unwrap();
    let (findings, meter) = (Arc::new(MemoryFindingStore::new()), Arc::new(Meter::default()));
    let ports = Ports {
        windows: Arc::new(windows),
        actors: Arc::new(MemoryActorStore::new()),
        findings: findings.clone(),
        news: mpsc::unbounded_channel().0,
    };
    let follower = Follower::new(Correlator::new(rules, ports, meter.clone()));
    let at = |n: usize| Position::new("1000".parse().unwrap(), n as u64);
    let mut follow_ups = FollowUps::new(follower, at(0), Arc::default());
    let (begun, before) = (Instant::now(), processor_time());
    let last = batches.len();
    for (n, batch) in batches.into_iter().enumerate() {
        while !follow_ups.room().await {}
        follow_ups.begin(at(n + 1), batch);
    }
    while !follow_ups.all().await {}
    let seconds = begun.elapsed().as_secs_f64();
    let worked = processor_time().zip(before).map(|(after, before)| after - before);
    assert_eq!(follow_ups.durable(), at(last));
    assert_eq!(meter.missing.load(Ordering::Relaxed), 0);
    let findings = findings.list(&FindingFilter::default()).await.unwrap().findings;
    Cost { seconds, worked, correlated: meter.read(), findings }
}

/// What is found: once, or once on either side of the edge, where what is alerted as one adjoins.
fn assert_found_once(findings: &[Finding], length: usize, edge: bool) {
    let mut found: Vec<(i64, u64)> = findings.iter().map(|one| (one.bucket.unwrap(), one.event_count)).collect();
    found.sort_unstable();
    let bucket = HOUR / 3_600;
    let most = |events: usize| (events as u64).min(MOST_EVENTS);
    match edge {
        false => assert_eq!(found, [(bucket, most(length))]),
        true => assert_eq!(found, [(bucket - 1, most(length / 2)), (bucket, most(length))]),
    }
    let groups: Vec<_> = findings.iter().map(|one| &one.group).collect();
    assert!(groups.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_is_found_once() {
    for edge in [false, true] {
        let cost = burst(3_000, edge).await;
        assert_found_once(&cost.findings, 3_000, edge);
    }
}

/// What this process has worked so far, from Linux' `/proc/self/stat`, in seconds.
fn processor_time() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // After the name in parentheses come the state, and as the 12th and 13th field the hundredths in user and system mode.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let mut next = || fields.next()?.parse::<f64>().ok();
    Some((next()? + next()?) / 100.0)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a benchmark: it prints what a match of a burst costs"]
async fn what_a_burst_costs() {
    println!(
        "{:<22} {:>8} {:>10} {:>13} {:>6} {:>12} {:>15}",
        "burst", "matches", "µs/match", "of processor", "ratio", "evaluations", "read per match"
    );
    for (what, edge) in [("in one bucket", false), ("over a bucket's edge", true)] {
        let mut first = None;
        for length in [1_000, 10_000, 100_000] {
            // Short ones often, since processor time is told in hundredths of a second.
            let (mut seconds, mut worked, mut correlated) = (0.0, 0.0, Correlated::default());
            let rounds = (50_000 / length).max(1);
            for _ in 0..rounds {
                let cost = burst(length, edge).await;
                assert_found_once(&cost.findings, length, edge);
                seconds += cost.seconds;
                worked += cost.worked.unwrap_or(cost.seconds);
                correlated = cost.correlated;
            }
            let [each, worked] = [seconds, worked].map(|time| time / (rounds * length) as f64 * 1e6);
            let ratio = worked / *first.get_or_insert(worked);
            let (evaluated, read) = (correlated.evaluated, correlated.items_read as f64 / length as f64);
            println!("{what:<22} {length:>8} {each:>10.1} {worked:>13.1} {ratio:>6.2} {evaluated:>12} {read:>15.1}");
        }
    }
}
