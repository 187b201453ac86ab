//! The promises.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dial_rules::event::Millis;
use dial_sinks::failing::FailureRates;
use dial_sinks::windows::failing::FailingWindowStore;
use dial_sinks::windows::store::{
    Addition, Appended, ItemPart, LONGEST_BODY, LONGEST_KEY, WindowError, WindowItem, WindowKey, WindowRange,
    WindowStore,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;

use crate::items::{NOON, Reference, TIMESPAN, addition, additions, all, item, range, ranges};

type Store = Arc<dyn WindowStore>;

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

async fn read(store: &Store, range: WindowRange) -> Vec<WindowItem> {
    store.read(&[range]).await.unwrap().remove(0)
}

/// Appends until it is acknowledged, as the pipeline does.
async fn append_until_done(store: &dyn WindowStore, additions: &[Addition]) {
    for _ in 0..200 {
        if store.append(additions.to_vec(), NOON).await.is_ok() {
            return;
        }
    }
    panic!("200 attempts failed");
}

async fn read_until_done(store: &dyn WindowStore, ranges: &[WindowRange]) -> Vec<Vec<WindowItem>> {
    for _ in 0..200 {
        if let Ok(read) = store.read(ranges).await {
            return read;
        }
    }
    panic!("200 attempts failed");
}

pub(crate) fn appends_and_reads_in_any_order_agree_with_a_plain_list(subject: &Subject) {
    let steps = prop::collection::vec((additions(), ranges(), any::<bool>()), 1..8);
    subject.check(&steps, |steps| {
        let store = subject.one();
        let mut reference = Reference::default();
        subject.runtime.block_on(async {
            for (additions, ranges, again) in steps {
                for _ in 0..=usize::from(again) {
                    let appended = store.append(additions.clone(), NOON).await.unwrap();
                    prop_assert!(appended.items <= additions.iter().map(|addition| addition.items.len()).sum());
                    prop_assert!(appended.rows <= appended.items && appended.windows <= additions.len());
                    prop_assert_eq!(appended.rows > 0, additions.iter().any(|addition| !addition.items.is_empty()));
                }
                reference.add(&additions);
                let expected: Vec<Vec<WindowItem>> = ranges.iter().map(|range| reference.read(range)).collect();
                prop_assert_eq!(store.read(&ranges).await.unwrap(), expected);
            }
            Ok(())
        })
    });
}

pub(crate) fn failures_lose_and_add_nothing(subject: &Subject) {
    let rates = FailureRates { before: 0.2, halfway: 0.3, after: 0.2 };
    let injected = AtomicU64::new(0);
    let steps = prop::collection::vec((additions(), ranges()), 1..6);
    subject.check(&(steps, any::<u64>()), |(steps, seed)| {
        let store = subject.one();
        let failing = FailingWindowStore::new(Arc::clone(&store), rates, seed);
        let mut reference = Reference::default();
        subject.runtime.block_on(async {
            for (additions, ranges) in steps {
                append_until_done(&failing, &additions).await;
                reference.add(&additions);
                let expected: Vec<Vec<WindowItem>> = ranges.iter().map(|range| reference.read(range)).collect();
                prop_assert_eq!(read_until_done(&failing, &ranges).await, expected);
            }
            injected.fetch_add(failing.injected(), Ordering::Relaxed);
            Ok(())
        })
    });
    assert!(injected.into_inner() > 10, "hardly anything failed");
}

/// The same items in other company, in other calls, with other times of writing.
pub(crate) fn adding_again_in_whatever_company_changes_nothing(subject: &Subject) {
    let store = subject.one();
    let items: Vec<WindowItem> = (0..12).map(|i| item(NOON + i * 10_000, &format!("event-{i} rule"))).collect();
    subject.runtime.block_on(async {
        store.append(vec![addition("alice", items.clone())], NOON).await.unwrap();
        for size in 1..items.len() {
            let additions = items.chunks(size).rev().map(|chunk| addition("alice", chunk.to_vec()));
            store.append(additions.collect(), NOON + 1).await.unwrap();
            for chunk in items.windows(size) {
                store.append(vec![addition("alice", chunk.to_vec())], NOON - 1).await.unwrap();
            }
            assert_eq!(read(&store, all("alice")).await, items);
        }
    });
}

pub(crate) fn of_differing_bodies_the_smaller_stays_whatever_the_order(subject: &Subject) {
    let with = |body: &str| WindowItem { body: body.to_owned(), ..item(NOON, "1") };
    // By bytes: a prefix before the longer text, Z before a, ASCII before what lies beyond.
    let bodies = ["", "Z", "a", "aa", "é", "\u{1F600}"];
    let store = subject.one();
    subject.runtime.block_on(async {
        for (i, smaller) in bodies.iter().enumerate() {
            for larger in &bodies[i..] {
                for (n, order) in [[smaller, larger], [larger, smaller]].iter().enumerate() {
                    let apart = format!("apart {smaller} {larger} {n}");
                    for body in order {
                        store.append(vec![addition(&apart, vec![with(body)])], NOON).await.unwrap();
                    }
                    let together = format!("together {smaller} {larger} {n}");
                    let items = order.iter().map(|body| with(body)).collect();
                    store.append(vec![addition(&together, items)], NOON).await.unwrap();
                    assert_eq!(read(&store, all(&apart)).await, [with(smaller)]);
                    assert_eq!(read(&store, all(&together)).await, [with(smaller)]);
                }
            }
        }
        // The same key at another time is another item.
        store.append(vec![addition("times", vec![item(NOON + 1, "1"), item(NOON, "1")])], NOON).await.unwrap();
        assert_eq!(read(&store, all("times")).await, [item(NOON, "1"), item(NOON + 1, "1")]);
    });
}

pub(crate) fn ranges_include_both_ends_at_the_edges_of_buckets(subject: &Subject) {
    let store = subject.one();
    subject.runtime.block_on(async {
        // Minutes and timespans, around 1970 and around today, in one append and in many.
        for (group, edge) in [("zero", 0), ("before", -TIMESPAN), ("noon", NOON), ("far", Millis::MAX - 2)] {
            let times = [edge - 60_000, edge - 2, edge - 1, edge, edge + 1, edge.saturating_add(59_999)];
            let items: Vec<WindowItem> = times.iter().map(|time| item(*time, "1")).collect();
            store.append(vec![addition(group, items[..3].to_vec())], NOON).await.unwrap();
            for item in &items[3..] {
                store.append(vec![addition(group, vec![item.clone()])], NOON).await.unwrap();
            }
            for (i, from) in times.iter().enumerate() {
                for (j, to) in times.iter().enumerate() {
                    let expected = items.get(i..=j).unwrap_or_default();
                    assert_eq!(read(&store, range(group, *from, *to)).await, expected, "{group} {from} {to}");
                }
            }
            assert_eq!(read(&store, range(group, edge - 59_999, edge - 3)).await, []);
        }
    });
}

pub(crate) fn windows_are_kept_apart(subject: &Subject) {
    let key =
        |correlation: &str, group: &str| WindowKey { correlation: correlation.to_owned(), group: group.to_owned() };
    let long = "é".repeat(1_000_000);
    let keys =
        [key("a", "bc"), key("ab", "c"), key("", "abc"), key("a", ""), key("", &long), key("", &(long.clone() + "x"))];
    let store = subject.one();
    subject.runtime.block_on(async {
        let of = |i: usize| vec![item(NOON, &i.to_string())];
        let additions = keys.iter().enumerate();
        let additions = additions.map(|(i, key)| Addition { window: key.clone(), timespan: TIMESPAN, items: of(i) });
        let appended = store.append(additions.collect(), NOON).await.unwrap();
        assert_eq!(appended, Appended { windows: 6, items: 6, rows: 6 });
        // Answers come in the order of the questions, as often as it is asked.
        let order = [5, 0, 3, 3, 1, 2, 4];
        let ranges = order.map(|i| WindowRange { window: keys[i].clone(), from: NOON, to: NOON });
        assert_eq!(store.read(&ranges).await.unwrap(), order.map(of));
    });
}

pub(crate) fn an_empty_store_answers(subject: &Subject) {
    let store = subject.one();
    subject.runtime.block_on(async {
        assert_eq!(store.append(vec![], NOON).await.unwrap(), Appended::default());
        assert_eq!(store.append(vec![addition("alice", vec![])], NOON).await.unwrap(), Appended::default());
        assert_eq!(store.read(&[]).await.unwrap(), Vec::<Vec<WindowItem>>::new());
        assert_eq!(store.read(&[all("alice"), all("")]).await.unwrap(), [vec![], vec![]]);
    });
}

pub(crate) fn items_over_a_limit_are_refused_and_nothing_is_written(subject: &Subject) {
    let store = subject.one();
    subject.runtime.block_on(async {
        let worst = WindowItem { time: NOON, key: "\u{1}".repeat(LONGEST_KEY), body: "\u{1}".repeat(LONGEST_BODY) };
        store.append(vec![addition("worst", vec![worst.clone()])], NOON).await.unwrap();
        assert_eq!(read(&store, all("worst")).await, [worst]);

        let body = WindowItem { body: "x".repeat(LONGEST_BODY + 1), ..item(NOON, "event-7 rule-8") };
        let key = item(NOON, &"y".repeat(LONGEST_KEY + 1));
        for (long, expected, name) in [(body, ItemPart::Body, "event-7 rule-8"), (key, ItemPart::Key, "yyyy")] {
            let additions =
                vec![addition("bob", vec![item(NOON, "1")]), addition("alice", vec![item(NOON, "2"), long])];
            let error = store.append(additions, NOON).await.unwrap_err();
            let text = error.to_string();
            assert!(matches!(error, WindowError::TooLarge { part, .. } if part == expected), "{text}");
            assert!(text.contains(name) && text.contains("many-denied-calls") && text.len() < 1_000, "{text}");
            assert_eq!(store.read(&[all("alice"), all("bob")]).await.unwrap(), [vec![], vec![]]);
        }
    });
}

/// Two workers, each handling a half of a sequence, over and over: never do both miss the other's half.
pub(crate) fn of_concurrent_append_then_read_pairs_never_both_miss(subject: &Subject) {
    const PAIRS: usize = 16;
    const ROUNDS: usize = 6;
    let stores = (subject.fresh)(&subject.runtime, 2 * PAIRS);
    let seen = subject.runtime.block_on(async {
        let tasks = stores.into_iter().enumerate().map(|(worker, store)| {
            tokio::spawn(async move {
                let mut seen = Vec::new();
                for round in 0..ROUNDS {
                    let group = format!("{} in {round}", worker / 2);
                    let half = item(NOON, ["deleted", "changed"][worker % 2]);
                    store.append(vec![addition(&group, vec![half.clone()])], NOON).await.unwrap();
                    let items = read(&store, range(&group, NOON - TIMESPAN, NOON)).await;
                    assert!(items.contains(&half), "its own half");
                    seen.push(items.len());
                }
                seen
            })
        });
        futures::future::join_all(tasks.collect::<Vec<_>>()).await
    });
    let seen: Vec<Vec<usize>> = seen.into_iter().map(Result::unwrap).collect();
    for pair in seen.chunks(2) {
        let by_round = pair[0].iter().zip(&pair[1]);
        assert!(by_round.clone().all(|(one, other)| *one == 2 || *other == 2), "both missed the other: {pair:?}");
        assert_eq!(by_round.count(), ROUNDS);
    }
}

/// A burst of one actor, by several workers, in batches.
pub(crate) fn a_hundred_thousand_items_in_one_window_are_all_counted(subject: &Subject) {
    const WORKERS: usize = 4;
    const EACH: usize = 25_000;
    let stores = (subject.fresh)(&subject.runtime, WORKERS + 1);
    let time = |i: usize| NOON + Millis::try_from(i % 150_000).unwrap();
    subject.runtime.block_on(async {
        let tasks = stores[..WORKERS].iter().cloned().enumerate().map(|(worker, store)| {
            tokio::spawn(async move {
                let items: Vec<WindowItem> =
                    (0..EACH).map(|i| i * WORKERS + worker).map(|i| item(time(i), &format!("event-{i:06}"))).collect();
                let mut rows = 0;
                for batch in items.chunks(1_250) {
                    let appended = store.append(vec![addition("mallory", batch.to_vec())], NOON).await.unwrap();
                    assert_eq!(appended.items, batch.len());
                    rows += appended.rows;
                }
                rows
            })
        });
        for rows in futures::future::join_all(tasks.collect::<Vec<_>>()).await {
            assert!(rows.unwrap() <= EACH);
        }
        let items = read(&stores[WORKERS], range("mallory", NOON, NOON + TIMESPAN)).await;
        let expected: Vec<WindowItem> = (0..WORKERS * EACH).map(|i| item(time(i), &format!("event-{i:06}"))).collect();
        assert!(items == expected, "{} items of {}", items.len(), expected.len());
        let part = read(&stores[WORKERS], range("mallory", NOON + 59_990, NOON + 60_010)).await;
        assert!(part == expected[59_990..=60_010], "{} items", part.len());
        assert_eq!(read(&stores[WORKERS], all("alice")).await, []);
    });
}
