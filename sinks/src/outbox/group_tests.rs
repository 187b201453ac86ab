use super::*;
use crate::outbox::tests::world::{correlated, single};
use dial_rules::dedup::Part;

#[test]
fn repeats_are_grouped_by_what_the_rule_says() {
    let (alice, bob) = (single("1", "r", "alice"), single("2", "r", "bob"));
    let cases = [
        (Dedup::default(), false),
        (Dedup::Same(BTreeSet::from([Part::Account])), true),
        (Dedup::Same(BTreeSet::new()), true),
        (Dedup::Never, false),
    ];
    for (dedup, together) in cases {
        assert_eq!(repeats(&alice, &dedup) == repeats(&bob, &dedup), together, "{dedup:?}");
        let other_rule = single("3", "other", "alice");
        assert_ne!(repeats(&alice, &dedup), repeats(&other_rule, &dedup), "{dedup:?}");
    }
    let again = single("4", "r", "alice");
    assert_eq!(repeats(&alice, &Dedup::default()), repeats(&again, &Dedup::default()));
    assert_ne!(repeats(&alice, &Dedup::Never), repeats(&again, &Dedup::Never));
    assert_eq!(repeats(&correlated("5", "r", "alice", 1, &["e"]), &Dedup::default()), None);
}

/// Two findings share a mark exactly when they are one incident by themselves.
#[test]
fn marks_say_what_incidents_say() {
    let findings: Vec<Finding> = [
        ("1", "r", "alice", 5, ["e1", "e2"]),
        ("2", "r", "alice", 6, ["e3", "e4"]),
        ("3", "r", "alice", 7, ["e5", "e6"]),
        ("4", "r", "bob", 5, ["e7", "e2"]),
        ("5", "other", "alice", 6, ["e8", "e9"]),
        ("6", "r", "alice", i64::MAX, ["e10", "e11"]),
    ]
    .into_iter()
    .map(|(id, rule, group, bucket, events)| correlated(id, rule, group, bucket, &events))
    .collect();
    for one in &findings {
        for other in &findings {
            let names = incidents([one, other]);
            let (ours, theirs) = (mark_keys(one), mark_keys(other));
            let (a, b) = (&one.finding_id, &other.finding_id);
            assert_eq!(!ours.is_disjoint(&theirs), names[0] == names[1], "{a} and {b}");
        }
    }
}
