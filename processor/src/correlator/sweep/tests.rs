//! Wherever matches wait, and whenever there are too many of them for memory, the same is found.

#![allow(clippy::unwrap_used)]

use dial_sinks::actors::memory::MemoryActorStore;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::correlator::tests::scene::{assumed, by_alice, by_key, expected, follow_up, rules};

/// A burst by a field; values that are counted, by account; a chain by lineage; and one over completions.
const CORRELATIONS: &str = "---
title: Burst
id: 00000000-0000-4000-8000-00000000000a
correlation: { type: event_count, rules: [first, second], group-by: [eventName, recipientAccountId], timespan: 10m,
    condition: { gte: 3 } }
level: low
---
title: Many names
id: 00000000-0000-4000-8000-00000000000b
correlation: { type: value_count, rules: [first], group-by: [recipientAccountId], timespan: 7m,
    condition: { field: requestParameters.names, gte: 5 } }
level: medium
---
title: Both
name: both
id: 00000000-0000-4000-8000-00000000000c
correlation: { type: temporal_ordered, rules: [first, second], group-by: [dial.actor], timespan: 5m, generate: true }
level: high
---
title: Both and again
id: 00000000-0000-4000-8000-00000000000d
correlation: { type: temporal_ordered, rules: [both, first], group-by: [dial.actor], timespan: 20m, generate: true }
level: high
";

/// A call at some second of an hour.
fn event(n: usize, (kind, key, other, second, names): (u8, u32, u32, u32, usize)) -> Value {
    let id = format!("event-{n}");
    let mut event = match kind {
        0 | 1 => assumed(&id, key, other.checked_sub(1)),
        2 | 3 => by_alice(&id, 0, "First"),
        4 => by_alice(&id, 0, "Second"),
        5 | 6 => by_key(&id, 0, "First", key),
        _ => by_key(&id, 0, "Second", key),
    };
    event["eventTime"] = format!("2026-01-31T12:{:02}:{:02}Z", second / 60, second % 60).into();
    // Long ones are more than an item of a window holds.
    let name = |at: usize| format!("{at}{}", "\u{1}".repeat(if names > 8 { 200 } else { 3 }));
    event["requestParameters"] = json!({ "names": (0..names).map(name).collect::<Vec<_>>() });
    event
}

/// What a sweep finds that holds so many bytes and reads so many events at a time, and whether it needed its store.
async fn swept(rules: &Arc<RuleSet>, events: &[Value], most: usize, piece: usize) -> (Vec<Finding>, bool) {
    let actors = MemoryActorStore::new();
    let mut sweep = Sweep { most, ..Sweep::new(rules.clone(), Retention::default(), 0) };
    for some in events.chunks(piece) {
        let read = follow_up(rules, some);
        actors.learn(read.links, 0).await.unwrap();
        sweep.join(held(&read.filed)).await.unwrap();
        assert!(sweep.held.bytes() <= most);
    }
    (finished(&mut sweep, &actors).await, sweep.windows.is_some())
}

fn held(filed: &[Filed]) -> Held {
    let mut held = Held::default();
    filed.iter().for_each(|one| held.add(one).unwrap());
    held
}

async fn finished(sweep: &mut Sweep, actors: &MemoryActorStore) -> Vec<Finding> {
    let mut found: BTreeMap<String, Finding> = BTreeMap::new();
    let visit = async |findings: Vec<Finding>| {
        for finding in findings {
            let whole = match found.remove(&finding.finding_id) {
                Some(part) => part.merge(finding),
                None => finding,
            };
            found.insert(whole.finding_id.clone(), whole);
        }
        Ok::<(), CorrelateError>(())
    };
    sweep.finish(actors, visit).await.unwrap();
    assert_eq!(sweep.held.bytes(), 0);
    found.into_values().collect()
}

fn events() -> impl Strategy<Value = Vec<Value>> {
    let call = (0_u8..9, 0_u32..4, 0_u32..5, 0_u32..3_000, 0_usize..12);
    proptest::collection::vec(call, 0..40)
        .prop_map(|calls| calls.into_iter().enumerate().map(|(n, call)| event(n, call)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn the_same_is_found_whatever_memory_there_is(
        events in events(),
        most in prop_oneof![Just(0), 0_usize..80_000, Just(usize::MAX)],
        piece in 1_usize..20,
    ) {
        let rules = rules(CORRELATIONS);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (found, spilled) = swept(&rules, &events, most, piece).await;
            prop_assert!(!(spilled && most == usize::MAX));
            prop_assert_eq!(found, expected(&rules, &events).await);
            Ok(())
        })?;
    }
}

/// Calls of which it is known only afterwards that they are one person's.
fn told_late() -> Vec<Value> {
    let calls = (0..40).map(|n| match n % 2 {
        0 => event(n, (5, 1, 0, n as u32, 6)),
        _ => event(n, (7, 2, 0, n as u32, 0)),
    });
    calls.chain([event(100, (0, 2, 2, 0, 0)), event(101, (0, 1, 0, 0, 0))]).collect()
}

#[tokio::test]
async fn who_is_behind_them_may_make_matches_too_many_for_memory() {
    let (rules, events) = (rules(CORRELATIONS), told_late());
    let expected = expected(&rules, &events).await;
    assert!(expected.iter().any(|finding| finding.group.values().any(|member| member.ends_with("user/alice"))));
    let held = held(&follow_up(&rules, &events).filed);
    // All that is read fits, and a little of what comes on top.
    for more in [0, 1, 5_000, 20_000] {
        assert_eq!(swept(&rules, &events, held.bytes() + more, 7).await, (expected.clone(), true), "{more}");
    }
    assert_eq!(swept(&rules, &events, 64 * held.bytes(), 7).await, (expected, false));
}

#[tokio::test]
async fn completions_may_be_too_many_for_memory() {
    let rules = rules(CORRELATIONS);
    let by_alice = |n: u32| event(n as usize, (if n.is_multiple_of(2) { 2 } else { 4 }, 0, 0, n, 0));
    let events: Vec<Value> = (0..100).map(by_alice).collect();
    let expected = expected(&rules, &events).await;
    for most in [0, 1_000, 5_000] {
        let mut sweep = Sweep::new(rules.clone(), Retention::default(), 0);
        sweep.join(held(&follow_up(&rules, &events).filed)).await.unwrap();
        sweep.most = most;
        assert_eq!(finished(&mut sweep, &MemoryActorStore::new()).await, expected);
        assert!(sweep.windows.is_some(), "{most}");
    }
}
