use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn matched(values: impl IntoIterator<Item = String>) -> CorrelationMatch {
    CorrelationMatch {
        event_time: 1_000,
        event_id: "event".to_owned(),
        event_name: "GetSecretValue".to_owned(),
        event_source: "secretsmanager.amazonaws.com".to_owned(),
        rule_id: "rule".to_owned(),
        account_id: Some("111122223333".to_owned()),
        region: None,
        actor: Some("alice".to_owned()),
        source_ip: None,
        actor_arn: None,
        origin: Default::default(),
        shared_event_id: None,
        values: values.into_iter().collect(),
        ..some()
    }
}

/// What the scene's events are filed as; of it only the parts that are not named above are taken.
fn some() -> CorrelationMatch {
    let rules = crate::correlator::tests::scene::ordered("userIdentity.arn");
    let event = crate::correlator::tests::scene::by_alice("a", 1, "First");
    crate::correlator::tests::scene::follow_up(&rules, &[event]).filed.remove(0).matched
}

fn read(items: &[WindowItem]) -> Vec<CorrelationMatch> {
    items.iter().map(|item| match_in("c", item).unwrap()).collect()
}

#[test]
fn a_match_is_one_item_that_says_all_of_it() {
    let matched = matched(["a".to_owned(), "b".to_owned()]);
    let items = items(&matched).unwrap();
    assert_eq!(read(&items), std::slice::from_ref(&matched));
    assert_eq!(items[0].time, 1_000);
    assert!(items[0].key.starts_with("event rule "), "{}", items[0].key);
    // Filed again it is the same item; with more to count, or as a copy that differs, another.
    assert_eq!(super::items(&matched).unwrap(), items);
    let more = CorrelationMatch { values: ["c".to_owned()].into(), ..matched.clone() };
    let copy = CorrelationMatch { region: Some("eu-west-1".to_owned()), ..matched };
    for other in [more, copy] {
        let other = super::items(&other).unwrap().remove(0);
        assert!(other.key != items[0].key && (other.time, &other.key) != (items[0].time, &items[0].key));
    }
}

#[test]
fn a_hostile_match_is_kept_in_short_and_stays_one_and_the_same() {
    let hostile = || "\u{1}\"".repeat(20_000);
    let long = CorrelationMatch { actor: Some(hostile()), event_name: hostile(), ..matched(["v".to_owned()]) };
    let kept = items(&long).unwrap();
    assert_eq!((kept.len(), items(&long).unwrap()), (1, kept.clone()));
    let short = read(&kept).remove(0);
    assert_eq!((short.event_time, &short.event_id, &short.values), (1_000, &long.event_id, &long.values));
    assert!(short.actor.is_some_and(|actor| actor.starts_with('\u{2026}') && actor.len() < SHORT_TEXT));
    let other = CorrelationMatch { actor: Some(hostile() + "x"), ..long };
    assert!(items(&other).unwrap()[0].key != kept[0].key, "what is left out is still told apart");
}

#[test]
fn what_is_found_under_a_credential_has_its_group() {
    let group = GroupKey(BTreeMap::from([("awsRegion".to_owned(), "eu-west-1".to_owned())]));
    let many = (0..3_000).map(|n| format!("value-{n}"));
    for matched in [matched(["a".to_owned()]), matched(many)] {
        let filed = Filed { correlation: "c".to_owned(), group: group.clone(), matched };
        let items = index_items(&filed).unwrap();
        let mut values = BTreeSet::new();
        for item in &items {
            assert!(item.body.len() <= LONGEST_BODY);
            let back = filed_in(item).unwrap();
            assert_eq!((&back.correlation, &back.group), (&filed.correlation, &group));
            values.extend(back.matched.values);
        }
        assert_eq!(values, filed.matched.values.iter().cloned().collect());
    }
}

#[test]
fn damage_is_told_with_its_place() {
    let item = WindowItem { time: 0, key: "the key".to_owned(), body: "{".to_owned() };
    for error in [match_in("the correlation", &item).unwrap_err(), filed_in(&item).unwrap_err()] {
        assert!(error.to_string().contains("the key"), "{error}");
    }
    let window = WindowKey { correlation: "c".to_owned(), group: "no JSON".to_owned() };
    assert!(group_of(&window).is_err());
    assert_eq!(index_of("ASIA1").correlation, BY_CREDENTIAL);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However many values there are to count, items fit and lose none of them.
    #[test]
    fn items_fit_and_say_together_what_the_match_says(
        lengths in proptest::collection::vec(0usize..900, 0..60), escaped: bool,
    ) {
        let fill = if escaped { "\u{1}" } else { "x" };
        let whole = matched(lengths.iter().enumerate().map(|(n, length)| format!("{n} {}", fill.repeat(*length))));
        let items = items(&whole).unwrap();
        prop_assert!(!items.is_empty() && items.iter().all(|item| item.body.len() <= LONGEST_BODY));
        let keys: BTreeSet<&str> = items.iter().map(|item| item.key.as_str()).collect();
        prop_assert_eq!(keys.len(), items.len());
        let mut values = BTreeSet::new();
        for part in read(&items) {
            values.extend(part.values.clone());
            let apart = CorrelationMatch { values: whole.values.clone(), ..part };
            prop_assert_eq!(&apart, &whole);
        }
        prop_assert_eq!(values, whole.values.iter().cloned().collect::<BTreeSet<_>>());
    }

    /// Stretches hold what their buckets need, once, and nothing else.
    #[test]
    fn stretches_are_the_union_of_their_buckets(buckets in proptest::collection::btree_set(-20i64..20, 0..12), timespan in 1i64..9) {
        let stretches = stretches(buckets.iter().copied(), timespan);
        prop_assert!(stretches.windows(2).all(|two| two[0].1 < two[1].0), "{:?}", stretches);
        for time in -400..400 {
            let needed = buckets.iter().any(|bucket| dial_rules::correlation::range_of(*bucket, timespan).contains(&time));
            let held = stretches.iter().any(|(from, to)| (from..=to).contains(&&time));
            prop_assert_eq!(needed, held, "{}", time);
        }
    }
}
