#![allow(clippy::unwrap_used)]

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "\\PC{0,5}", "[a-zé\u{1}]{120,300}"]
}

fn matched() -> impl Strategy<Value = CorrelationMatch> {
    let credential =
        prop_oneof![Just("ASIAIOSFODNN7EXAMPLE".to_owned()), Just("AKIAIOSFODNN7EXAMPLE".to_owned()), text()];
    let whole = [(); 4].map(|()| text());
    let optional = [(); 7].map(|()| option::of(text()));
    let lists = (btree_set(credential, 0..3), btree_set(text(), 0..3), btree_set(text(), 0..20));
    // Some are equal at first, and some altogether.
    (prop_oneof![Just(0), any::<i64>()], whole, optional, lists).prop_map(
        |(event_time, whole, optional, (credentials, persons, values))| {
            let [event_id, event_name, event_source, rule_id] = whole;
            let [account_id, region, actor, source_ip, target, actor_arn, shared_event_id] = optional;
            let origin = Lineage { credentials, persons };
            CorrelationMatch {
                event_time,
                event_id,
                event_name,
                event_source,
                rule_id,
                account_id,
                region,
                actor,
                source_ip,
                target,
                actor_arn,
                origin,
                shared_event_id,
                values,
            }
        },
    )
}

proptest! {
    #[test]
    fn what_is_appended_is_read_again(all in vec((btree_map(text(), text(), 0..4), matched()), 0..6)) {
        let mut log = Vec::new();
        let all: Vec<_> = all.iter().chain(all.first()).cloned().collect();
        for (key, matched) in &all {
            append(&mut log, &GroupKey(key.clone()), matched);
        }
        let read: Vec<_> =
            records(&log).map(|record| (group(record.group).unwrap().0, record.unpacked().unwrap())).collect();
        prop_assert_eq!(&read, &all);
        for (record, (key, matched)) in records(&log).zip(&all) {
            let temporary = matched.origin.credentials.iter().any(|credential| is_temporary(credential));
            prop_assert_eq!(record.growing_origin(), temporary.then(|| matched.origin.clone()));
            let view = View::of(record).unwrap();
            prop_assert_eq!(Seen::distinct_id(&view), matched.distinct_id());
            prop_assert_eq!((view.time(), view.rule_id()), (matched.event_time, matched.rule_id.as_str()));
            prop_assert_eq!(view.values().collect::<Vec<_>>(), Seen::values(matched).collect::<Vec<_>>());
            prop_assert_eq!(view.evidence(), matched.evidence());
            for (other, (other_key, other_matched)) in records(&log).zip(&all) {
                prop_assert_eq!(record.group == other.group, key == other_key);
                prop_assert_eq!(view.cmp(&View::of(other).unwrap()), matched.cmp(other_matched));
            }
        }
    }

    #[test]
    fn what_is_no_log_is_survived(bytes in vec(any::<u8>(), 0..80), cut in 0_usize..400, matched in matched()) {
        let mut log = Vec::new();
        append(&mut log, &GroupKey::default(), &matched);
        log.truncate(cut);
        for bytes in [bytes, log] {
            for record in records(&bytes) {
                group(record.group);
                record.unpacked();
                record.growing_origin();
                View::of(record).map(|view| view.whole());
            }
        }
    }
}
