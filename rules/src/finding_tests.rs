#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::event::tests::event;
use crate::ruleset::tests::rules;

prop_compose! {
    fn evidence()(time in 0i64..6, id in 0u8..30, rule in 0u8..2) -> Evidence {
        Evidence {
            event_time: time * 1000,
            event_id: format!("e{id}"),
            event_name: "N".into(),
            event_source: "s".into(),
            rule_id: format!("r{rule}"),
            target: None,
            account_id: None,
            region: None,
            actor: None,
            source_ip: None,
        }
    }
}

prop_compose! {
    fn completion()(time in 0i64..6, id in 0u8..30) -> Completion {
        Completion { event_time: time * 1000, event_id: format!("e{id}") }
    }
}

prop_compose! {
    /// States as writers make them: the times are those of the evidence.
    fn state()(
        list in prop::collection::btree_set(evidence(), 1..25), actor in 0u8..3, count in 1u64..9,
        completed in prop::collection::btree_set(completion(), 0..25), order_ambiguous in any::<bool>(),
    ) -> Finding {
        Finding {
            finding_id: "f".into(),
            kind: FindingKind::Correlated,
            rule_id: "r".into(),
            subject: Subject {
                rule_title: "t".into(),
                severity: Severity::High,
                account_id: None,
                region: None,
                actor: Some(format!("a{actor}")),
                source_ip: None,
                techniques: vec![],
                actor_arn: None,
                origin: Default::default(),
            },
            first_seen: list.first().unwrap().event_time,
            last_seen: list.last().unwrap().event_time,
            group: BTreeMap::new(),
            event_count: count,
            evidence: keep_ends(list),
            bucket: Some(7),
            order_ambiguous,
            completed_by: ends(completed),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn merging_is_a_join(a in state(), b in state(), c in state()) {
        prop_assert_eq!(a.clone().merge(a.clone()), a.clone());
        prop_assert_eq!(a.clone().merge(b.clone()), b.clone().merge(a.clone()));
        prop_assert_eq!(a.clone().merge(b.clone()).merge(c.clone()), a.merge(b.merge(c)));
    }

    #[test]
    fn merged_evidence_is_that_of_all_matches_together(sets in prop::collection::vec(prop::collection::btree_set(evidence(), 1..25), 1..6)) {
        let all: BTreeSet<Evidence> = sets.iter().flatten().cloned().collect();
        let merged = sets.into_iter().map(keep_ends).reduce(|a, b| keep_ends(&a | &b)).unwrap();
        for rule in ["r0", "r1"] {
            let of_rule: Vec<&Evidence> = all.iter().filter(|e| e.rule_id == rule).collect();
            let n = of_rule.len();
            let naive: Vec<&Evidence> = of_rule.iter().enumerate().filter(|(i, _)| *i < 5 || *i + 5 >= n).map(|(_, e)| *e).collect();
            prop_assert_eq!(merged.iter().filter(|e| e.rule_id == rule).collect::<Vec<_>>(), naive);
        }
    }

    #[test]
    fn json_keeps_everything(a in state()) {
        let text = serde_json::to_string(&a).unwrap();
        prop_assert_eq!(serde_json::from_str::<Finding>(&text).unwrap(), a);
    }
}

#[test]
fn a_finding_is_one_flat_object() {
    let rules = rules(
        "title: A user\nid: r1\nlevel: low\ntags: [attack.t1136.003, attack.persistence]\nlogsource: {product: aws, service: cloudtrail}\ndetection: {s: {eventName: CreateUser}, condition: s}",
    );
    let event = event(json!({"awsRegion": "us-east-1", "recipientAccountId": "111122223333",
        "sourceIPAddress": "192.0.2.7", "userIdentity": {"type": "IAMUser", "userName": "alice"}}));
    let found = rules.evaluate(&event);
    insta::assert_json_snapshot!(Finding::single(&found[0]));
}

#[test]
fn parts_of_an_id_do_not_run_together() {
    assert_ne!(finding_id(&["ab", "c"]), finding_id(&["a", "bc"]));
    // What has been stored stays the same finding: this may never change.
    assert_eq!(finding_id(&["single", "r1", "e1"]), "2b25d08a55a1ba0b7e4fc3d4b57a4070");
}
