#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use proptest::prelude::*;

fn position() -> impl Strategy<Value = Position> {
    let words = prop_oneof![Just("TRIM_HORIZON"), Just("LATEST"), Just("AT_TIMESTAMP"), Just("SHARD_END")];
    prop_oneof![
        words.prop_map(|word| Position::new(word.parse().unwrap(), 0)),
        ("[1-9][0-9]{0,60}", any::<u64>()).prop_map(|(digits, sub)| Position::new(digits.parse().unwrap(), sub)),
    ]
}

fn declaration() -> impl Strategy<Value = Declaration> {
    (position(), proptest::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(position, state)| Declaration { position, state })
}

fn ids() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::btree_set("shardId-[0-9]{12}", 0..3).prop_map(|ids| ids.into_iter().collect())
}

fn lease() -> impl Strategy<Value = Lease> {
    let owner = proptest::option::of("[a-z]{1,8}");
    let range = proptest::option::of((any::<u128>(), any::<u128>()));
    let who = ("shardId-[0-9]{12}", owner, 0..u64::MAX, 0..u64::MAX);
    (who, position(), proptest::option::of(declaration()), ids(), ids(), range).prop_map(
        |((lease_key, lease_owner, lease_counter, switches), checkpoint, declaration, parents, children, range)| {
            Lease {
                lease_key,
                lease_owner,
                lease_counter,
                owner_switches_since_checkpoint: switches,
                checkpoint,
                declaration,
                parent_shard_ids: parents,
                child_shard_ids: children,
                hash_range: range.map(|(start, end)| HashRange { start, end }),
            }
        },
    )
}

fn change() -> impl Strategy<Value = LeaseChange> {
    prop_oneof![
        Just(LeaseChange::Renew),
        "[a-z]{1,8}".prop_map(|owner| LeaseChange::Take { owner }),
        Just(LeaseChange::Release),
        position().prop_map(|position| LeaseChange::Commit { position }),
        declaration().prop_map(LeaseChange::Declare),
        Just(LeaseChange::Withdraw),
        ids().prop_map(|children| LeaseChange::End { children }),
    ]
}

/// Carries out an update expression of the two clauses that are used here, as DynamoDB would.
fn carry_out(item: &Item, update: &Update) -> Item {
    let mut item = item.clone();
    let (set, remove) = update.expression.split_once(" REMOVE ").unwrap_or((&update.expression, ""));
    for clause in set.strip_prefix("SET ").unwrap().split(", ") {
        let (name, value) = clause.split_once(" = ").unwrap();
        item.insert(update.names[name].clone(), update.values[value].clone());
    }
    for name in remove.split(", ").filter(|name| !name.is_empty()) {
        item.remove(&update.names[name]);
    }
    item
}

proptest! {
    #[test]
    fn a_lease_survives_the_table(lease in lease()) {
        prop_assert_eq!(read(&write(&lease)), Ok(lease));
    }

    /// An update expression does to the item what the change does to the lease, and nothing to other attributes.
    #[test]
    fn an_update_is_the_change(lease in lease(), change in change()) {
        let mut item = write(&lease);
        item.insert("throughputKBps".into(), AttributeValue::N("1.5".into()));
        let update = Update::new(&lease, &change);
        let updated = carry_out(&item, &update);
        prop_assert_eq!(updated.get("throughputKBps"), item.get("throughputKBps"));
        prop_assert_eq!(read(&updated), Ok(lease.after(&change)));
        // DynamoDB refuses placeholders that are not used.
        let used = format!("{} {}", update.expression, update.condition.expression);
        let is_used = |placeholder: &&String| used.split([' ', ',', '(', ')']).any(|word| word == placeholder.as_str());
        prop_assert!(update.names.keys().all(|name| is_used(&name)), "{}", used);
        prop_assert!(update.values.keys().all(|value| is_used(&value)), "{}", used);
    }
}

/// An item with the names and types of the Kinesis Client Library's lease table (`DynamoDBLeaseSerializer`), with
/// attributes of its third version.
fn foreign() -> Item {
    let s = |value: &str| AttributeValue::S(value.into());
    let n = |value: &str| AttributeValue::N(value.into());
    Item::from([
        ("leaseKey".into(), s("shardId-000000000002")),
        ("leaseOwner".into(), s("0f3c1a2b")),
        ("leaseCounter".into(), n("42")),
        ("ownerSwitchesSinceCheckpoint".into(), n("1")),
        ("checkpoint".into(), s("49590338271490256608559692538361571095921575989136588898")),
        ("checkpointSubSequenceNumber".into(), n("3")),
        ("pendingCheckpoint".into(), s("49590338271490256608559692538361571095921575989136588899")),
        ("pendingCheckpointSubSequenceNumber".into(), n("0")),
        ("pendingCheckpointState".into(), AttributeValue::B(Blob::new(b"state".to_vec()))),
        ("parentShardId".into(), AttributeValue::Ss(vec!["shardId-000000000000".into()])),
        ("startingHashKey".into(), s("0")),
        ("endingHashKey".into(), s("340282366920938463463374607431768211455")),
        ("throughputKBps".into(), n("12.25")),
    ])
}

#[test]
fn another_librarys_item_is_read() {
    let lease = read(&foreign()).unwrap();
    assert_eq!(lease.lease_owner.as_deref(), Some("0f3c1a2b"));
    assert_eq!((lease.lease_counter, lease.checkpoint.sub_sequence), (42, 3));
    assert_eq!(lease.declaration.unwrap().state, b"state");
    assert_eq!(lease.hash_range.unwrap().end, u128::MAX);
    assert_eq!(lease.parent_shard_ids, ["shardId-000000000000"]);
}

/// Items as the Kinesis Client Library for Java 3.1.3 left them, attribute for attribute, in runs of the example
/// `kcl_interop`: of a shard that it reads, and of one that it read to the end.
fn recorded() -> [Item; 2] {
    let s = |value: &str| AttributeValue::S(value.into());
    let n = |value: &str| AttributeValue::N(value.into());
    let ss = |ids: [&str; 2]| AttributeValue::Ss(ids.map(str::to_owned).into());
    let both = |item: &mut Item, key, counter, checkpoint, throughput| {
        item.insert("leaseKey".into(), s(key));
        item.insert("leaseOwner".into(), s("kcl-1"));
        item.insert("leaseCounter".into(), n(counter));
        item.insert("ownerSwitchesSinceCheckpoint".into(), n("0"));
        item.insert("checkpoint".into(), s(checkpoint));
        item.insert("checkpointSubSequenceNumber".into(), n("0"));
        item.insert("throughputKBps".into(), n(throughput));
    };
    let mut read = Item::from([
        ("startingHashKey".into(), s("170141183460469231731687303715884105728")),
        ("endingHashKey".into(), s("340282366920938463463374607431768211455")),
    ]);
    let checkpoint = "49680490521392720649401286543563015122291728350055497746";
    both(&mut read, "shardId-000000000001", "116", checkpoint, "0");
    let mut ended = Item::from([
        ("startingHashKey".into(), s("0")),
        ("endingHashKey".into(), s("170141183460469231731687303715884105726")),
        ("childShardIds".into(), ss(["shardId-000000000003", "shardId-000000000002"])),
    ]);
    both(&mut ended, "shardId-000000000000", "12", "SHARD_END", "0.018774");
    [read, ended]
}

/// Nothing that the library writes is lost on the way through a lease but what it alone uses, and that stays in place.
#[test]
fn the_librarys_own_items_are_read_and_written_alike() {
    for item in recorded() {
        let lease = read(&item).unwrap();
        let mut ours = write(&lease);
        ours.insert("throughputKBps".into(), item["throughputKBps"].clone());
        assert_eq!(ours, item);
        let taken = carry_out(&item, &Update::new(&lease, &LeaseChange::Take { owner: "ours".into() }));
        assert_eq!(taken["throughputKBps"], item["throughputKBps"]);
        assert_eq!(read(&taken), Ok(lease.after(&LeaseChange::Take { owner: "ours".into() })));
    }
    let [_, ended] = recorded();
    let ended = read(&ended).unwrap();
    assert_eq!(ended.checkpoint, Position::new("SHARD_END".parse().unwrap(), 0));
    assert_eq!(ended.child_shard_ids, ["shardId-000000000003", "shardId-000000000002"]);
}

#[test]
fn what_is_not_a_lease_is_told_by_key_and_attribute() {
    let broken = |attribute: &str, value: Option<AttributeValue>| {
        let mut item = foreign();
        match value {
            Some(value) => item.insert(attribute.into(), value),
            None => item.remove(attribute),
        };
        read(&item).unwrap_err().to_string()
    };
    assert!(broken("leaseKey", None).contains("leaseKey is missing"));
    let error = broken("checkpoint", Some(AttributeValue::S("yesterday".into())));
    assert!(error.contains("shardId-000000000002") && error.contains("checkpoint is no sequence number"), "{error}");
    assert!(broken("leaseCounter", Some(AttributeValue::N("-1".into()))).contains("leaseCounter"));
    assert!(broken("leaseCounter", Some(AttributeValue::S("1".into()))).contains("leaseCounter"));
    assert!(broken("checkpoint", None).contains("checkpoint is missing"));
}

#[test]
fn only_what_is_optional_may_be_absent() {
    let mut item = foreign();
    for optional in [
        "leaseOwner",
        "ownerSwitchesSinceCheckpoint",
        "checkpointSubSequenceNumber",
        "pendingCheckpoint",
        "pendingCheckpointState",
        "parentShardId",
        "startingHashKey",
    ] {
        item.remove(optional);
    }
    let lease = read(&item).unwrap();
    assert_eq!((lease.lease_owner, lease.declaration, lease.hash_range), (None, None, None));
}

#[test]
fn a_taking_ends_a_handing_over_between_others() {
    let mut item = foreign();
    item.insert("checkpointOwner".into(), AttributeValue::S("the one before".into()));
    let lease = read(&item).unwrap();
    let taken = carry_out(&item, &Update::new(&lease, &LeaseChange::Take { owner: "me".into() }));
    assert!(!taken.contains_key("checkpointOwner"));
    assert_eq!(taken["throughputKBps"], item["throughputKBps"]);
    let renewed = carry_out(&item, &Update::new(&lease, &LeaseChange::Renew));
    assert_eq!(renewed["checkpointOwner"], item["checkpointOwner"]);
}
