//! The promises.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dial_rules::finding::{Finding, FindingKind};
use dial_rules::severity::Severity;
use dial_sinks::failing::{FailingFindingStore, FailureRates};
use dial_sinks::filter::FindingFilter;
use dial_sinks::store::{FindingStore, RecordOutcome};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;

use crate::findings::{NOON, finding, merged, update};

type Store = Arc<dyn FindingStore>;

/// Makes handles, as many as asked for, to one new and empty store.
type Fresh = Box<dyn Fn(&Runtime, usize) -> Vec<Store>>;

/// A kind of store to test.
pub(crate) struct Subject {
    pub(crate) runtime: Runtime,
    pub(crate) fresh: Fresh,
    /// Cases of each property.
    pub(crate) cases: u32,
}

impl Subject {
    pub(crate) fn new(cases: u32, fresh: impl Fn(&Runtime, usize) -> Vec<Store> + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
        Self { runtime, fresh: Box::new(fresh), cases }
    }

    fn one(&self) -> Store {
        (self.fresh)(&self.runtime, 1).remove(0)
    }

    fn check<S: Strategy>(&self, strategy: &S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
        let config =
            Config { cases: self.cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
        TestRunner::new(config).run(strategy, test).unwrap_or_else(|e| panic!("{e}"));
    }
}

/// Batches of updates: all of `updates` in some order, some of them twice.
fn batches() -> impl Strategy<Value = (Vec<Finding>, Vec<Vec<Finding>>)> {
    let updates = prop::collection::vec(update(), 1..25);
    let shuffled = updates.prop_flat_map(|updates| {
        let repeated = prop::collection::vec(0..updates.len(), 0..10);
        let order = repeated.prop_flat_map({
            let count = updates.len();
            move |repeated| Just((0..count).chain(repeated).collect::<Vec<_>>()).prop_shuffle()
        });
        (Just(updates), order, 1..9_usize)
    });
    shuffled.prop_map(|(updates, order, size)| {
        let sent: Vec<Finding> = order.into_iter().map(|i| updates[i].clone()).collect();
        (updates, sent.chunks(size).map(<[Finding]>::to_vec).collect())
    })
}

/// Everything in the store, read finding by finding and as one listing; both must agree.
async fn content(store: &Store, ids: impl IntoIterator<Item = &String>) -> BTreeMap<String, Finding> {
    let mut content = BTreeMap::new();
    for id in ids {
        if let Some(finding) = store.get(id).await.unwrap() {
            content.insert(id.clone(), finding);
        }
    }
    let listed = store.list(&FindingFilter { limit: 1_000, ..FindingFilter::default() }).await.unwrap();
    assert_eq!(listed.next, None);
    let listed: BTreeMap<String, Finding> = listed.findings.into_iter().map(|f| (f.finding_id.clone(), f)).collect();
    assert_eq!(listed, content);
    content
}

/// Records until it is acknowledged, as the pipeline does.
async fn record_until_done(store: &dyn FindingStore, batch: &[Finding]) {
    for _ in 0..200 {
        if store.record(batch.to_vec()).await.is_ok() {
            return;
        }
    }
    panic!("200 attempts failed");
}

pub(crate) fn any_order_with_repetitions_gives_the_same_content(subject: &Subject) {
    subject.check(&batches(), |(updates, batches)| {
        let store = subject.one();
        subject.runtime.block_on(async {
            for batch in batches {
                store.record(batch).await.unwrap();
            }
            let expected = merged(&updates);
            prop_assert_eq!(content(&store, expected.keys()).await, expected);
            Ok(())
        })
    });
}

pub(crate) fn outcomes_say_what_was_new_changed_and_unchanged(subject: &Subject) {
    subject.check(&batches(), |(_, batches)| {
        let store = subject.one();
        subject.runtime.block_on(async {
            let mut sent: Vec<Finding> = Vec::new();
            for batch in batches {
                let before = merged(&sent);
                sent.extend(batch.iter().cloned());
                let after = merged(&sent);
                let mut expected = RecordOutcome::default();
                for id in merged(&batch).into_keys() {
                    match before.get(&id) {
                        None => expected.new.push(id),
                        Some(finding) if *finding == after[&id] => expected.unchanged += 1,
                        Some(_) => expected.changed.push(id),
                    }
                }
                prop_assert_eq!(store.record(batch).await.unwrap(), expected);
            }
            Ok(())
        })
    });
}

pub(crate) fn failures_lose_and_add_nothing(subject: &Subject) {
    let rates = FailureRates { before: 0.2, halfway: 0.3, after: 0.2 };
    let injected = AtomicU64::new(0);
    subject.check(&(batches(), any::<u64>()), |((updates, batches), seed)| {
        let store = subject.one();
        let failing = FailingFindingStore::new(Arc::clone(&store), rates, seed);
        subject.runtime.block_on(async {
            for batch in batches {
                record_until_done(&failing, &batch).await;
            }
            injected.fetch_add(failing.injected(), Ordering::Relaxed);
            let expected = merged(&updates);
            prop_assert_eq!(content(&store, expected.keys()).await, expected);
            Ok(())
        })
    });
    assert!(injected.into_inner() > 10, "hardly anything failed");
}

/// Sixteen workers, each with updates of its own, to the same ten findings.
pub(crate) fn concurrent_recorders_lose_nothing(subject: &Subject) {
    const WORKERS: usize = 16;
    let stores = (subject.fresh)(&subject.runtime, WORKERS);
    let of_worker = |worker: usize| {
        let updates = (0..30_usize).map(|i| {
            let time = NOON + i64::try_from((worker * 31 + i * 17) % 97).unwrap();
            let mut update = finding(&format!("{:032x}", (i + worker) % 10), time, &format!("event-{worker}-{i}"));
            update.event_count = u64::try_from(worker + i).unwrap();
            update
        });
        updates.collect::<Vec<Finding>>()
    };
    let all: Vec<Finding> = (0..WORKERS).flat_map(of_worker).collect();
    let outcomes = subject.runtime.block_on(async {
        let tasks = stores.iter().enumerate().map(|(worker, store)| {
            let (store, updates) = (Arc::clone(store), of_worker(worker));
            tokio::spawn(async move {
                let mut outcomes = Vec::new();
                for batch in updates.chunks(3) {
                    outcomes.push(store.record(batch.to_vec()).await.unwrap());
                }
                outcomes
            })
        });
        futures::future::join_all(tasks.collect::<Vec<_>>()).await
    });
    let expected = merged(&all);
    let content = subject.runtime.block_on(content(&stores[0], expected.keys()));
    assert_eq!(content, expected);
    let mut new: Vec<String> = outcomes.into_iter().flat_map(|of_task| of_task.unwrap()).flat_map(|o| o.new).collect();
    new.sort();
    assert_eq!(new, expected.into_keys().collect::<Vec<_>>(), "each finding is new to exactly one worker");
}

/// Sixteen workers again, and the store fails every other call.
pub(crate) fn concurrent_recorders_through_failures_lose_nothing(subject: &Subject) {
    let rates = FailureRates { before: 0.15, halfway: 0.2, after: 0.15 };
    let store = subject.one();
    let failing = Arc::new(FailingFindingStore::new(Arc::clone(&store), rates, 7));
    let update = |worker: i64| finding("0f", NOON + worker, &format!("event-{worker}"));
    subject.runtime.block_on(async {
        let tasks = (0..16).map(|worker| {
            let failing = Arc::clone(&failing);
            tokio::spawn(async move { record_until_done(failing.as_ref(), &[update(worker)]).await })
        });
        for done in futures::future::join_all(tasks.collect::<Vec<_>>()).await {
            done.unwrap();
        }
        let updates: Vec<Finding> = (0..16).map(update).collect();
        assert_eq!(content(&store, [&"0f".to_owned()]).await, merged(&updates));
    });
    assert!(failing.injected() > 0);
}

fn filters() -> impl Strategy<Value = FindingFilter> {
    let bound = || prop::option::weighted(0.3, update().prop_map(|finding| finding.last_seen));
    let severity = prop::option::weighted(0.3, select(Severity::WORST_FIRST.to_vec()));
    let rule = prop::option::weighted(0.3, (0..3_u8).prop_map(|rule| format!("rule-{rule}")));
    let kind = prop::option::weighted(0.3, select(vec![FindingKind::Single, FindingKind::Correlated]));
    (bound(), bound(), severity, rule, kind, 1..6_usize).prop_map(|(from, to, min_severity, rule_id, kind, limit)| {
        FindingFilter { from, to, min_severity, rule_id, kind, limit, cursor: None }
    })
}

/// What a listing must show, by the plainest means.
fn listed_naively(content: BTreeMap<String, Finding>, filter: &FindingFilter) -> Vec<Finding> {
    let mut list: Vec<Finding> = content.into_values().collect();
    list.retain(|f| filter.from.is_none_or(|from| f.last_seen >= from));
    list.retain(|f| filter.to.is_none_or(|to| f.last_seen < to));
    list.retain(|f| filter.min_severity.is_none_or(|least| f.subject.severity >= least));
    list.retain(|f| filter.kind.is_none_or(|kind| f.kind == kind));
    list.retain(|f| filter.rule_id.as_ref().is_none_or(|id| f.rule_id == *id));
    list.sort_by_key(|f| (f.last_seen, f.finding_id.clone()));
    list.reverse();
    list
}

pub(crate) fn lists_what_the_filter_lets_through_page_by_page(subject: &Subject) {
    let updates = prop::collection::vec(update(), 0..25);
    subject.check(&(updates, prop::collection::vec(filters(), 8)), |(updates, filters)| {
        let store = subject.one();
        subject.runtime.block_on(async {
            store.record(updates.clone()).await.unwrap();
            for mut filter in filters {
                let mut listed = Vec::new();
                loop {
                    prop_assert!(listed.len() <= updates.len(), "the listing does not end");
                    let page = store.list(&filter).await.unwrap();
                    prop_assert!(page.findings.len() <= filter.limit);
                    prop_assert!(filter.cursor.is_none() || !page.findings.is_empty(), "a page was promised");
                    prop_assert!(page.next.is_none() || page.findings.len() == filter.limit);
                    listed.extend(page.findings);
                    let Some(next) = page.next else { break };
                    // A cursor travels as text.
                    filter.cursor = Some(next.to_string().parse().unwrap());
                }
                prop_assert_eq!(listed, listed_naively(merged(&updates), &filter));
            }
            Ok(())
        })
    });
}

pub(crate) fn an_updated_finding_moves_to_its_new_place(subject: &Subject) {
    let store = subject.one();
    subject.runtime.block_on(async {
        let two_days = 2 * 86_400_000;
        store.record(vec![finding("a1", NOON, "1"), finding("b2", NOON + 5, "2")]).await.unwrap();
        store.record(vec![finding("a1", NOON + two_days, "3")]).await.unwrap();
        let listed = store.list(&FindingFilter::default()).await.unwrap().findings;
        let ids: Vec<&str> = listed.iter().map(|f| f.finding_id.as_str()).collect();
        assert_eq!(ids, ["a1", "b2"]);
        let until = FindingFilter { to: Some(NOON + 100), ..FindingFilter::default() };
        let listed = store.list(&until).await.unwrap().findings;
        assert_eq!(listed, [finding("b2", NOON + 5, "2")]);
    });
}

pub(crate) fn an_empty_store_answers(subject: &Subject) {
    let store = subject.one();
    subject.runtime.block_on(async {
        assert_eq!(store.record(vec![]).await.unwrap(), RecordOutcome::default());
        for id in ["", "0f", "#days", "it's \u{0}"] {
            assert_eq!(store.get(id).await.unwrap(), None);
        }
        let page = store.list(&FindingFilter { limit: 0, ..FindingFilter::default() }).await.unwrap();
        assert!(page.findings.is_empty() && page.next.is_none());
        let past_the_end =
            FindingFilter { cursor: Some("0.0f".parse().unwrap()), from: Some(1), ..FindingFilter::default() };
        assert!(store.list(&past_the_end).await.unwrap().findings.is_empty());
    });
}

/// Whatever an event says, its finding is kept, fits its row, and comes back the same.
pub(crate) fn hostile_strings_are_kept_within_bounds(subject: &Subject) {
    let hostile = [
        "x".repeat(1_000_000),
        "\u{0}\u{1}\u{7f}".repeat(10_000),
        "\u{1F600}é\"\\'; DROP TABLE findings; --".to_owned() + &"é".repeat(9_999),
        String::new(),
    ];
    let store = subject.one();
    subject.runtime.block_on(async {
        for (i, text) in hostile.iter().enumerate() {
            let id = format!("{i:032x}");
            let update = |n: i64| {
                let mut update = finding(&id, NOON + n, &format!("{n}{text}"));
                update.subject.actor = Some(text.clone());
                update.group = BTreeMap::from([(text.clone(), text.clone())]);
                update
            };
            store.record((0..30).map(update).collect()).await.unwrap();
            let kept = store.get(&id).await.unwrap().unwrap();
            let size = serde_json::to_string(&kept).unwrap().len();
            assert!(size < 64 * 1024, "{size} bytes");
            assert_eq!(kept.evidence.len(), 10, "pieces of evidence stay different");
            let again = store.record((0..30).rev().map(update).collect()).await.unwrap();
            assert_eq!(again.unchanged, 1, "recording it again changes nothing");
            assert_eq!(store.record(vec![kept]).await.unwrap().unchanged, 1);
        }
        let listed = store.list(&FindingFilter::default()).await.unwrap();
        assert_eq!(listed.findings.len(), hostile.len());
    });
}

pub(crate) fn large_batches_are_recorded(subject: &Subject) {
    let store = subject.one();
    let updates: Vec<Finding> = (0..250).map(|i| finding(&format!("{i:032x}"), NOON + i, "event")).collect();
    subject.runtime.block_on(async {
        assert_eq!(store.record(updates.clone()).await.unwrap().new.len(), 250);
        assert_eq!(store.record(updates.clone()).await.unwrap().unchanged, 250);
        let expected = merged(&updates);
        assert_eq!(content(&store, expected.keys()).await, expected);
    });
}
