#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::finding::Subject;
use crate::lineage::Lineage;
use crate::severity::Severity;

fn finding(rule: u8, group: u8, bucket: i64, completed: &[u8]) -> Finding {
    let completion = |id: &u8| Completion { event_time: i64::from(*id % 4) * 1000, event_id: format!("e{id}") };
    Finding {
        finding_id: format!("{rule}-{group}-{bucket}"),
        kind: FindingKind::Correlated,
        rule_id: format!("r{rule}"),
        subject: Subject {
            rule_title: "t".to_owned(),
            severity: Severity::High,
            account_id: None,
            region: None,
            actor: None,
            source_ip: None,
            techniques: Vec::new(),
            actor_arn: None,
            origin: Lineage::default(),
        },
        first_seen: 0,
        last_seen: 0,
        group: BTreeMap::from([("g".to_owned(), group.to_string())]),
        event_count: 1,
        evidence: BTreeSet::new(),
        bucket: Some(bucket),
        order_ambiguous: false,
        completed_by: completed.iter().map(completion).collect(),
    }
}

#[test]
fn a_person_and_a_key_are_one_incident_and_others_are_others() {
    let all = [finding(1, 1, 0, &[1, 2]), finding(1, 2, 0, &[2]), finding(1, 3, 0, &[3]), finding(2, 9, 7, &[2, 3])];
    let named = incidents(&all[..3]);
    assert_eq!(named[0], named[1]);
    assert_ne!(named[0], named[2]);
    // Another correlation that both completed connects them.
    let named = incidents(&all);
    assert!(named.iter().all(|name| *name == named[0] && name.is_some()), "{named:?}");
}

#[test]
fn adjacent_buckets_are_one_incident_and_a_gap_divides_it() {
    let all = [finding(1, 1, 4, &[1]), finding(1, 1, 5, &[2]), finding(1, 1, 7, &[3]), finding(1, 2, 6, &[4])];
    let named = incidents(&all);
    assert_eq!(named[0], named[1]);
    assert_eq!(named.iter().collect::<BTreeSet<_>>().len(), 3);
}

#[test]
fn single_events_belong_to_none() {
    let single = Finding { kind: FindingKind::Single, ..finding(1, 1, 0, &[1]) };
    assert_eq!(incidents([&single, &single]), [None, None]);
    assert_eq!(incidents([]), Vec::<Option<String>>::new());
}

#[test]
fn the_name_is_that_of_the_earliest_event() {
    // Times are 1, 3 and 2 seconds.
    let all = [finding(1, 1, 0, &[3, 5]), finding(2, 1, 0, &[3, 6])];
    assert_eq!(incidents(&all)[1].as_deref(), Some(finding_id(&["incident", "e5"]).as_str()));
}

/// Slowly: joins whatever is connected until nothing changes.
fn naive(all: &[Finding]) -> Vec<BTreeSet<usize>> {
    let connected = |one: &Finding, other: &Finding| {
        let same = one.rule_id == other.rule_id && one.group == other.group;
        let adjacent = same && one.bucket.unwrap().abs_diff(other.bucket.unwrap()) <= 1;
        let ids = |of: &Finding| of.completed_by.iter().map(|done| done.event_id.clone()).collect::<BTreeSet<_>>();
        adjacent || !ids(one).is_disjoint(&ids(other))
    };
    let mut sets: Vec<BTreeSet<usize>> = (0..all.len()).map(|at| BTreeSet::from([at])).collect();
    loop {
        let before = sets.clone();
        for at in 0..all.len() {
            for other in (0..all.len()).filter(|other| connected(&all[at], &all[*other])) {
                let union: BTreeSet<usize> = sets[at].union(&sets[other]).copied().collect();
                (sets[at], sets[other]) = (union.clone(), union);
            }
        }
        if sets == before {
            return sets;
        }
    }
}

prop_compose! {
    fn any_finding()(
        rule in 0u8..3, group in 0u8..3, bucket in 0i64..9, completed in prop::collection::vec(0u8..24, 0..3),
    ) -> Finding {
        finding(rule, group, bucket, &completed)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn incidents_are_what_is_connected(all in prop::collection::vec(any_finding(), 0..14)) {
        let named = incidents(&all);
        let sets = naive(&all);
        for at in 0..all.len() {
            for other in 0..all.len() {
                prop_assert_eq!(named[at] == named[other], sets[at].contains(&other), "{} and {}", at, other);
            }
        }
    }

    #[test]
    fn neither_order_nor_repetition_changes_a_name(
        (all, order) in prop::collection::vec(any_finding(), 0..14).prop_flat_map(|all| {
            let order: Vec<usize> = (0..all.len()).chain(0..all.len()).collect();
            (Just(all), Just(order).prop_shuffle())
        })
    ) {
        let named = incidents(&all);
        let again = incidents(order.iter().map(|at| &all[*at]));
        for (place, at) in order.iter().enumerate() {
            prop_assert_eq!(&again[place], &named[*at]);
        }
    }
}
