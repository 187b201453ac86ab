//! The detect role while the sources of context fail, hang, answer garbage or limit, one by one and together. Under virtual
//! time: whoever waits for a source on the stream's way lets virtual time pass, and that shows.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use dial_ingest::memory::{MemoryLeases, MemoryStream};
use dial_ingest::{Worker, WorkerConfig};
use dial_rules::assessment::Assessment;
use dial_rules::policy::Policy as Judgement;
use dial_rules::ruleset::{RuleFile, RuleSet};
use dial_sinks::actors::memory::MemoryActorStore;
use dial_sinks::filter::FindingFilter;
use dial_sinks::memory::MemoryFindingStore;
use dial_sinks::store::FindingStore;
use dial_sinks::windows::memory::MemoryWindowStore;
use dial_sinks::windows::retention::Retention;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::twins::{BAD_MOODS, Mood};
use super::tests::{Twins, twins};
use super::*;
use crate::assess::Assessor;
use crate::correlator::{Correlator, Ports};
use crate::detector::{Counts, Detect};
use crate::follow_ups::Follower;

const RULE: &str = "
title: A user is made
id: 6f3a8c1e-0000-4000-8000-000000000002
logsource: { product: aws, service: cloudtrail }
detection: { selection: { eventName: CreateUser }, condition: selection }
level: low
";
const ROUNDS: usize = 30;
const EACH: usize = 10;

fn event(n: usize) -> String {
    serde_json::json!({
        "eventID": format!("event-{n}"), "eventTime": "2026-01-31T12:00:00Z", "eventSource": "iam.amazonaws.com",
        "eventName": "CreateUser", "recipientAccountId": "000000000002",
        "sourceIPAddress": format!("8.8.{}.{}", n / 250, n % 250),
        "userIdentity": { "type": "AssumedRole", "accessKeyId": format!("ASIA{n:016}") },
    })
    .to_string()
}

/// What one run of the detect role comes to.
struct Run {
    /// Ids of what was recorded.
    recorded: BTreeSet<String>,
    /// How many findings were recorded at each half second of virtual time.
    pace: Vec<usize>,
    shown: Vec<Assessment>,
}

/// Everything that a worker does, over sources in these moods.
async fn run(twins: &Twins) -> Run {
    let stream = Arc::new(MemoryStream::new(2));
    let findings = Arc::new(MemoryFindingStore::default());
    let (news, mut arriving) = mpsc::unbounded_channel();
    let loaded = RuleSet::load(&[RuleFile { name: "rule.yml".to_owned(), text: RULE.to_owned() }]);
    let counts = Arc::new(Counts::default());
    let rules = Arc::new(loaded.rules);
    let ports = Ports {
        windows: Arc::new(MemoryWindowStore::new(Retention::default())),
        actors: Arc::new(MemoryActorStore::new()),
        findings: findings.clone(),
        news: news.clone(),
    };
    let detect = Detect {
        rules: rules.clone(),
        tables: twins.enricher.live().watch(),
        findings: findings.clone(),
        follower: Follower::new(Correlator::new(rules, ports, counts.correlation.clone())),
        allowed_lateness: i64::MAX,
        counts: counts.clone(),
        news,
    };
    let leases = Arc::new(MemoryLeases::default());
    let worker = Worker::new(WorkerConfig::new("w"), Arc::new(stream.clone()), Arc::new(leases), Arc::new(detect));
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    let working = tokio::spawn(async move { worker.run(stop).await.unwrap() });
    let assessor = Assessor::new(Judgement::default(), twins.enricher.clone());
    let showing = async {
        let (mut shown, mut together) = (Vec::new(), Vec::new());
        while arriving.recv_many(&mut together, 256).await > 0 {
            shown.extend(assessor.assess(std::mem::take(&mut together)).await);
        }
        shown
    };
    let filter = FindingFilter { limit: 1_000, ..FindingFilter::default() };
    let list = async || findings.list(&filter).await.unwrap().findings;
    let feeding = async {
        let mut pace = Vec::new();
        for round in 0..ROUNDS {
            for n in round * EACH..(round + 1) * EACH {
                stream.put(&n.to_string(), event(n)).unwrap();
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            pace.push(list().await.len());
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        shutdown.cancel();
        working.await.unwrap();
        pace
    };
    let (shown, pace) = tokio::join!(showing, feeding);
    let recorded = list().await.into_iter().map(|finding| finding.finding_id).collect();
    assert_eq!(counts.records.load(Ordering::Relaxed), (ROUNDS * EACH) as u64, "each record once");
    Run { recorded, pace, shown }
}

#[tokio::test(start_paused = true)]
async fn whatever_the_sources_do_the_stream_goes_on_at_its_pace() {
    let well = run(&twins(Mood::Well, Mood::Well, Mood::Well).await).await;
    assert_eq!(well.recorded.len(), ROUNDS * EACH);
    assert!(well.shown.iter().all(|shown| shown.context.missing.is_empty()));
    for mood in BAD_MOODS {
        for (reputation, lineage) in [(mood, Mood::Well), (Mood::Well, mood), (mood, mood)] {
            let what = format!("{reputation:?}, {lineage:?}");
            let twins = twins(reputation, lineage, if reputation == lineage { mood } else { Mood::Well }).await;
            let begun = Instant::now();
            let run = run(&twins).await;
            assert_eq!(run.recorded, well.recorded, "{what}: none lost");
            assert_eq!(run.pace, well.pace, "{what}: at the same virtual times");
            assert_eq!(run.shown.len(), ROUNDS * EACH, "{what}: every finding is shown");
            for shown in &run.shown {
                let missing: Vec<&str> = shown.context.missing.iter().map(|missing| missing.part).collect();
                assert_eq!(missing.contains(&"reputation"), reputation != Mood::Well, "{what}");
                assert_eq!(missing.contains(&"lineage"), lineage != Mood::Well, "{what}");
            }
            assert!(begun.elapsed() < Duration::from_secs(60));
            // Once the sources are back, whoever reads the same findings again sees it all.
            twins.reputation.set(Mood::Well);
            twins.lineage.set(Mood::Well);
            let assessor = Assessor::new(Judgement::default(), twins.enricher.clone());
            let findings: Vec<Finding> = run.shown.iter().map(|shown| shown.finding.clone()).collect();
            tokio::time::sleep(Duration::from_secs(120)).await;
            assessor.assess(findings.clone()).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            for shown in assessor.assess(findings).await {
                let parts: Vec<&str> = shown.context.missing.iter().map(|missing| missing.part).collect();
                assert!(!parts.contains(&"reputation") && !parts.contains(&"lineage"), "{what}: {parts:?}");
                assert!(shown.context.reputation.is_some() && !shown.context.lineage.persons.is_empty(), "{what}");
            }
        }
    }
}
