use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use dial_rules::decode::{Decoded, Decoder};
use dial_rules::finding::Finding;
use dial_rules::policy::Policy;
use dial_rules::policy::rule_names::RuleNames;
use dial_rules::ruleset::{RuleFile, RuleSet};
use dial_rules::tables::Tables;
use dial_sinks::filter::FindingPage;
use dial_sinks::memory::MemoryFindingStore;
use dial_sinks::store::{RecordOutcome, StoreError};
use serde_json::json;

use super::*;
use crate::enrich::enricher::Enricher;

const RULE: &str = "
title: A user is made
id: 6f3a8c1e-0000-4000-8000-000000000003
logsource: { product: aws, service: cloudtrail }
detection: { selection: { eventName: CreateUser }, condition: selection }
level: low
";

/// Counts how often it is asked for a page.
#[derive(Debug, Default)]
struct Counting {
    inner: MemoryFindingStore,
    pages: AtomicUsize,
}

#[async_trait]
impl FindingStore for Counting {
    async fn record_owing(
        &self,
        updates: Vec<Finding>,
        owing: Option<i64>,
    ) -> std::result::Result<RecordOutcome, StoreError> {
        self.inner.record_owing(updates, owing).await
    }

    async fn get(&self, finding_id: &str) -> std::result::Result<Option<Finding>, StoreError> {
        self.inner.get(finding_id).await
    }

    async fn list(&self, filter: &FindingFilter) -> std::result::Result<FindingPage, StoreError> {
        self.pages.fetch_add(1, Ordering::SeqCst);
        self.inner.list(filter).await
    }
}

/// The findings of these seconds, each in an account.
async fn store(seconds: impl Iterator<Item = (usize, &'static str)>) -> Counting {
    let rules = RuleSet::load(&[RuleFile { name: "rule.yml".to_owned(), text: RULE.to_owned() }]).rules;
    let found = |(second, account): (usize, &str)| {
        let record = json!({ "eventID": format!("event-{second}"), "eventSource": "iam.amazonaws.com", "eventName": "CreateUser",
            "eventTime": format!("2026-01-31T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60),
            "recipientAccountId": account, "userIdentity": { "type": "Root" } });
        let decoded: Vec<Decoded> = Decoder::record(record.to_string().as_bytes()).collect();
        let [Decoded::Event(event)] = &decoded[..] else { panic!("{decoded:?}") };
        let found = rules.evaluate(event);
        found.iter().map(Finding::single).collect::<Vec<_>>()
    };
    let store = Counting::default();
    store.record(seconds.flat_map(found).collect()).await.unwrap();
    store
}

#[tokio::test]
async fn the_few_that_are_open_are_found_among_many_that_are_hidden() {
    // The newest is open, then three thousand are hidden, and two more are open behind them.
    let store =
        store((0..3_003).map(|n| (n, if matches!(n, 0 | 1 | 3_002) { "444455556666" } else { "111122223333" }))).await;
    let written =
        json!({ "suppress": [{ "account": "111122223333", "owner": "o", "reason": "r", "expires": "2030-01-01" }] });
    let policy = Policy::new(&serde_json::from_value(written).unwrap(), &RuleNames::default()).unwrap();
    let assessor = Assessor::new(policy, Enricher::of_tables(Tables::default()));
    let list = async |limit: usize| {
        let severity = Severity::Informational;
        let (filter, shown) = (FindingFilter::default(), Shown::Open);
        let wanted = Wanted { filter, severity, shown, limit, by_incident: false };
        wanted.gather(&store, &assessor).await.unwrap()
    };
    let one = list(1).await;
    assert_eq!((one.listed.len(), one.hidden, one.more), (1, 0, true));
    assert_eq!(store.pages.swap(0, Ordering::SeqCst), 1);
    let two = list(2).await;
    assert_eq!((two.listed.len(), two.hidden, two.more), (2, 3_000, true));
    let pages = store.pages.swap(0, Ordering::SeqCst);
    assert!(pages <= 20, "{pages} pages");
    let all = list(9).await;
    assert_eq!((all.listed.len(), all.hidden, all.more), (3, 3_000, false));
}
