//! Correlation against a naive reference: the same findings, byte for byte, in whatever order and however often matches
//! are filed. The reference made wrong on purpose is always told from the right one, so the comparison can fail.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod naive;
mod oracle;
mod scenario;

use std::collections::BTreeMap;

use dial_rules::correlation::{Windows, bucket_of, evaluate};
use dial_rules::finding::Finding;
use naive::{Findings, Mutation, findings, plain};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use scenario::{Scenario, filed, scenario};

/// How to feed a scenario: for each delivery the event, how much of its lineage is known, and whether the batch ends.
fn deliveries(events: usize) -> impl Strategy<Value = Vec<(usize, bool, bool)>> {
    let again = prop::collection::vec((0..events, any::<bool>(), any::<bool>()), 0..events);
    let once = prop::collection::vec((any::<bool>(), any::<bool>()), events);
    (once, again).prop_flat_map(|(once, again)| {
        let once = once.into_iter().enumerate().map(|(at, (_, ends))| (at, true, ends));
        Just(once.chain(again).collect::<Vec<_>>()).prop_shuffle()
    })
}

fn fed() -> impl Strategy<Value = (Scenario, Vec<(usize, bool, bool)>)> {
    scenario().prop_flat_map(|scenario| {
        let deliveries = deliveries(scenario.events.len());
        (Just(scenario), deliveries)
    })
}

/// Joins updates as a store does.
fn merged(updates: impl IntoIterator<Item = Finding>) -> BTreeMap<String, Finding> {
    let mut merged: BTreeMap<String, Finding> = BTreeMap::new();
    for update in updates {
        let known = merged.remove(&update.finding_id);
        merged.insert(update.finding_id.clone(), known.map_or(update.clone(), |known| known.merge(update)));
    }
    merged
}

fn as_json(findings: BTreeMap<String, Finding>) -> Findings {
    findings.into_iter().map(|(id, finding)| (id, plain(serde_json::to_value(finding).unwrap()))).collect()
}

fn expected(scenario: &Scenario) -> Findings {
    findings(scenario, None).into_iter().map(|(id, finding)| (id, plain(finding))).collect()
}

/// Everything filed at once.
fn at_once(scenario: &Scenario) -> Findings {
    let rules = scenario.rules();
    let all = scenario.happened();
    let filed = all.iter().flat_map(|(event, lineage)| filed(&rules, event, lineage));
    as_json(merged(Windows::default().file(rules.correlations(), filed)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1200))]

    #[test]
    fn any_order_and_repetition_gives_what_the_reference_gives((scenario, deliveries) in fed(), halves in any::<u64>()) {
        let rules = scenario.rules();
        let (mut windows, mut other) = (Windows::default(), Windows::default());
        let (mut updates, mut batch) = (Vec::new(), Vec::new());
        for (nth, (at, whole, ends)) in deliveries.iter().enumerate() {
            let happening = &scenario.events[*at];
            batch.extend(filed(&rules, &happening.event(), &happening.lineage(if *whole { 3 } else { 1 })));
            if *ends {
                // Two workers, each of which sees a part, until they share what they have.
                let half = if halves >> (nth % 64) & 1 == 0 { &mut windows } else { &mut other };
                updates.extend(half.file(rules.correlations(), std::mem::take(&mut batch)));
            }
        }
        updates.extend(windows.file(rules.correlations(), batch));
        updates.extend(windows.join(rules.correlations(), other));
        let expected = expected(&scenario);
        prop_assert_eq!(as_json(merged(updates)), expected.clone());
        prop_assert_eq!(at_once(&scenario), expected);
    }
}

/// Scenarios that are the same in every run.
fn scenarios(most: usize) -> impl Iterator<Item = Scenario> {
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    (0..most).map(move |_| scenario().new_tree(&mut runner).unwrap().current())
}

#[test]
fn the_reference_made_wrong_is_told_from_the_right_one() {
    let wrong = [
        Mutation::Boundary,
        Mutation::EvidenceOrder,
        Mutation::Bucket,
        Mutation::NotDistinct,
        Mutation::EqualTimes,
        Mutation::OnlyCompletion,
    ];
    for mutation in wrong {
        let differs = |scenario: &Scenario| {
            let mutated = findings(scenario, Some(mutation)).into_iter().map(|(id, finding)| (id, plain(finding)));
            mutated.collect::<Findings>() != at_once(scenario)
        };
        let caught = scenarios(300).filter(differs).count();
        assert!(caught >= 3, "{mutation:?} is told in {caught} of 300 scenarios");
    }
}

/// Evaluating only the bucket of the match that arrives is not enough: one that arrives late completes windows after it.
#[test]
fn without_evaluating_again_late_matches_are_missed() {
    let mut missed = 0;
    for scenario in scenarios(200) {
        let rules = scenario.rules();
        let mut known = Vec::new();
        let mut updates = Vec::new();
        for (event, lineage) in scenario.happened().iter().rev() {
            let new = filed(&rules, event, lineage);
            known.extend(new.clone());
            for one in new {
                let correlation = rules.correlations().get(&one.correlation).unwrap();
                let same =
                    known.iter().filter(|other| other.group == one.group && other.correlation == one.correlation);
                let bucket = bucket_of(one.matched.event_time, correlation.timespan);
                let evaluated = evaluate(correlation, &one.group, same.map(|other| &other.matched), [bucket]);
                updates.extend(evaluated.into_iter().map(|evaluated| evaluated.finding));
            }
        }
        let inner: Vec<&str> = vec!["c0", "c1"];
        let of_inner = |finding: &serde_json::Value| inner.contains(&finding["rule_id"].as_str().unwrap());
        let expected: Findings = expected(&scenario).into_iter().filter(|(_, finding)| of_inner(finding)).collect();
        let found: Findings = as_json(merged(updates)).into_iter().filter(|(_, finding)| of_inner(finding)).collect();
        missed += usize::from(found != expected);
    }
    assert!(missed >= 3, "told in {missed} of 200 scenarios");
}

#[test]
fn scenarios_are_not_empty() {
    let (mut findings, mut ambiguous, mut chained, mut kinds) = (0, 0, 0, BTreeMap::new());
    for scenario in scenarios(200) {
        for finding in expected(&scenario).into_values() {
            findings += 1;
            ambiguous += usize::from(finding.get("order_ambiguous").is_some());
            let spec = scenario.specs.iter().find(|spec| finding["rule_id"] == spec.id.as_str()).unwrap();
            chained += usize::from(spec.parts[0].starts_with('c'));
            *kinds.entry(format!("{:?}", spec.kind).split('(').next().unwrap().to_owned()).or_insert(0) += 1;
        }
    }
    let told = format!("{findings} findings, {ambiguous} ambiguous, {chained} chained, {kinds:?}");
    assert!(findings > 500 && ambiguous > 30 && chained > 100 && kinds.values().all(|count| *count > 30), "{told}");
    assert_eq!(kinds.len(), 5, "{kinds:?}");
}
