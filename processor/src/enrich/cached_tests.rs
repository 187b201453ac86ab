//! Under paused time: nothing here depends on how fast the machine is.

use std::collections::HashMap;

use super::super::twins::{BAD_MOODS, FailingSource, MemorySource, Mood, Watch};
use super::*;

type Twin = Cached<FailingSource<MemorySource>>;

fn twin(policy: Policy, mood: Mood) -> (Twin, Arc<Watch>) {
    let known = (0..1_000).map(|n| (format!("k{n}"), format!("v{n}"))).collect::<HashMap<_, _>>();
    let watch = Watch::new(mood);
    (Cached::new(FailingSource { inner: MemorySource(known), watch: watch.clone() }, policy), watch)
}

fn keys(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn one(cached: &Twin, key: &str) -> Result<Option<String>, Fault> {
    cached.get([key.to_owned()]).await.get(&key.to_owned()).map(Option::<&String>::cloned)
}

fn value(text: &str) -> Result<Option<String>, Fault> {
    Ok(Some(text.to_owned()))
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_asked_once_and_remembered() {
    let (cached, watch) = twin(Policy::default(), Mood::Well);
    let answers = cached.get(keys(&["k1", "k2", "k1", "none"])).await;
    assert_eq!(answers.get(&"k1".to_owned()), Ok(Some(&"v1".to_owned())));
    assert_eq!(answers.get(&"none".to_owned()), Ok(None));
    assert!(answers.get(&"k3".to_owned()).is_err(), "what was not asked for is not known");
    assert_eq!((watch.calls(), watch.keys()), (1, 3));
    cached.get(keys(&["k1", "k2", "none"])).await;
    assert_eq!(watch.calls(), 1);
    let reading = cached.read();
    assert_eq!((reading.hits, reading.misses, reading.loads, reading.unasked), (3, 3, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn answers_age_and_nothing_ages_sooner() {
    let policy = Policy { ttl: Duration::from_secs(100), nothing_ttl: Duration::from_secs(10), ..Policy::default() };
    let (cached, watch) = twin(policy, Mood::Well);
    cached.get(keys(&["k1", "none"])).await;
    for (seconds, asked) in [(9, 2), (2, 3), (80, 4), (8, 4), (2, 6)] {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        cached.get(keys(&["k1", "none"])).await;
        assert_eq!(watch.keys(), asked, "after {seconds} s more");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_has_aged_is_not_served_though_the_source_is_down() {
    let (cached, watch) = twin(Policy { ttl: Duration::from_secs(100), ..Policy::default() }, Mood::Well);
    assert_eq!(one(&cached, "k1").await, value("v1"));
    watch.set(Mood::Down);
    tokio::time::advance(Duration::from_secs(99)).await;
    assert_eq!(one(&cached, "k1").await, value("v1"));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(one(&cached, "k1").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn many_who_want_the_same_ask_once() {
    let (cached, watch) = twin(Policy::default(), Mood::Late(Duration::from_millis(100)));
    let wanting = (0..100).map(|n| {
        let cached = cached.clone();
        async move { cached.get(keys(&["k1", if n % 2 == 0 { "k2" } else { "k3" }])).await }
    });
    let answers = futures::future::join_all(wanting).await;
    assert!(answers.iter().all(|answers| answers.get(&"k1".to_owned()) == Ok(Some(&"v1".to_owned()))));
    assert_eq!(watch.keys(), 3, "each key once, whoever wanted it");
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_costs_the_patience_and_is_there_the_next_time() {
    let (cached, watch) = twin(Policy::default(), Mood::Late(Duration::from_secs(3)));
    let begun = Instant::now();
    assert_eq!(one(&cached, "k1").await, Err(Fault::Slow));
    assert_eq!(begun.elapsed(), Policy::default().patience);
    let begun = Instant::now();
    assert_eq!(one(&cached, "k2").await, Err(Fault::Slow), "a source known to be slow is not waited for again");
    assert_eq!((begun.elapsed(), watch.calls()), (Duration::ZERO, 1));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(one(&cached, "k1").await, value("v1"));
    assert_eq!(watch.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_is_told_left_alone_and_asked_again() {
    for mood in BAD_MOODS {
        let (cached, watch) = twin(Policy::default(), mood);
        assert!(one(&cached, "k1").await.is_err(), "{mood:?}");
        let begun = Instant::now();
        for n in 0..100 {
            assert!(one(&cached, &format!("k{n}")).await.is_err(), "{mood:?}");
        }
        assert_eq!((watch.calls(), begun.elapsed()), (1, Duration::ZERO), "{mood:?}: it is left alone");
        assert!(cached.read().open && cached.read().faults.iter().sum::<u64>() >= 1, "{mood:?}");
        // A day of trouble, looked at every second: no more than a question a half minute or so.
        for _ in 0..3_600 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(one(&cached, "k1").await.is_err(), "{mood:?}");
        }
        assert!((20..200).contains(&watch.calls()), "{mood:?}: {}", watch.calls());
        watch.set(Mood::Well);
        tokio::time::sleep(Duration::from_secs(120)).await;
        // The first one may be told what the last question came to.
        let _ = one(&cached, "k1").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(one(&cached, "k1").await, value("v1"), "{mood:?}: complete once it is back");
        assert!(!cached.read().open);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_no_answer_and_parts_of_one_are_kept() {
    let (cached, watch) = twin(Policy::default(), Mood::Partly(2));
    let answers = cached.get(keys(&["k1", "k2", "k3"])).await;
    let known = ["k1", "k2", "k3"].iter().filter(|key| answers.get(&(**key).to_owned()).is_ok()).count();
    assert_eq!(known, 2);
    watch.set(Mood::Well);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let answers = cached.get(keys(&["k1", "k2", "k3"])).await;
    assert!(["k1", "k2", "k3"].iter().all(|key| matches!(answers.get(&(*key).to_owned()), Ok(Some(_)))));
    assert_eq!(watch.keys(), 4, "only the one without an answer is asked for again");
}

#[tokio::test(start_paused = true)]
async fn the_questions_under_way_are_bounded() {
    let policy = Policy { under_way: 5, ..Policy::default() };
    let (cached, watch) = twin(policy, Mood::Hangs);
    cached.get((0..50).map(|n| format!("k{n}"))).await;
    assert_eq!((watch.keys(), cached.read().unasked), (5, 45));
    assert_eq!(cached.0.state().under_way.len(), 5);
    tokio::time::sleep(policy.give_up).await;
    assert_eq!(cached.0.state().under_way.len(), 0, "what was given up is under way no more");
}

#[tokio::test(start_paused = true)]
async fn what_was_not_asked_for_is_not_kept() {
    #[derive(Debug)]
    struct Chatty;
    #[async_trait::async_trait]
    impl Source for Chatty {
        type Key = u32;
        type Value = u32;
        fn part(&self) -> &'static str {
            "chatty"
        }
        fn weight(&self, _: &u32, _: Option<&u32>) -> usize {
            4
        }
        async fn load(&self, keys: Vec<u32>) -> Loaded<u32, u32> {
            let answers = keys.iter().map(|key| (key + 1_000, Some(7))).collect();
            Loaded { answers, fault: None }
        }
    }
    let cached = Cached::new(Chatty, Policy::default());
    let answers = cached.get([1]).await;
    assert!(matches!(answers.get(&1), Err(Fault::Nonsense(_))));
    assert_eq!(cached.read().entries, 0);
}

/// Ten million with `--release`; fewer in a debug build, which takes a hundred times as long for each.
#[tokio::test]
async fn a_cache_stays_within_its_bound_over_millions_of_keys() {
    const KEYS: u64 = if cfg!(debug_assertions) { 100_000 } else { 10_000_000 };
    #[derive(Debug)]
    struct Numbers;
    #[async_trait::async_trait]
    impl Source for Numbers {
        type Key = u64;
        type Value = Arc<[u8]>;
        fn part(&self) -> &'static str {
            "numbers"
        }
        fn weight(&self, _: &u64, value: Option<&Arc<[u8]>>) -> usize {
            8 + value.map_or(0, |value| value.len())
        }
        async fn load(&self, keys: Vec<u64>) -> Loaded<u64, Arc<[u8]>> {
            // One in ten is heavy, one in four is nothing.
            let value = |key: &u64| {
                (!key.is_multiple_of(4)).then(|| Arc::from(vec![0; if key % 10 == 1 { 3_000 } else { 40 }]))
            };
            Loaded { answers: keys.iter().map(|key| (*key, value(key))).collect(), fault: None }
        }
    }
    let policy = Policy { capacity: 4 << 20, under_way: 1 << 20, ..Policy::default() };
    let cached = Cached::new(Numbers, policy);
    let mut heaviest = 0;
    for batch in 0..KEYS / 1_000 {
        let answers = cached.get(batch * 1_000..(batch + 1) * 1_000).await;
        assert!(answers.get(&(batch * 1_000 + 1)).is_ok_and(|answer| answer.is_some()));
        heaviest = heaviest.max(cached.read().weight);
    }
    assert_eq!(cached.read().misses, KEYS);
    assert!(heaviest > policy.capacity / 2, "it is used: {heaviest}");
    assert!(heaviest <= policy.capacity + (1 << 20), "{heaviest} bytes, and {} are allowed", policy.capacity);
    cached.0.answers.run_pending_tasks().await;
    let reading = cached.read();
    assert!(reading.weight <= policy.capacity && reading.entries <= policy.capacity / OVERHEAD as u64, "{reading:?}");
}
