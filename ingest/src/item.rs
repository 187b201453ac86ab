//! A lease as an item of DynamoDB, attribute for attribute as the Kinesis Client Library writes it, and the
//! expressions that change one. Pure.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::checkpoint::Declaration;
use crate::lease::{Lease, LeaseChange};
use crate::sequence::Position;
use crate::stream::HashRange;

type Item = HashMap<String, AttributeValue>;

/// The table's key.
pub(crate) const LEASE_KEY: &str = "leaseKey";
const OWNER: &str = "leaseOwner";
const COUNTER: &str = "leaseCounter";
const SWITCHES: &str = "ownerSwitchesSinceCheckpoint";
const CHECKPOINT: &str = "checkpoint";
const CHECKPOINT_SUB: &str = "checkpointSubSequenceNumber";
const PENDING: &str = "pendingCheckpoint";
const PENDING_SUB: &str = "pendingCheckpointSubSequenceNumber";
const PENDING_STATE: &str = "pendingCheckpointState";
const PARENTS: &str = "parentShardId";
const CHILDREN: &str = "childShardIds";
const HASH_START: &str = "startingHashKey";
const HASH_END: &str = "endingHashKey";
/// Who hands the shard over, while the Kinesis Client Library's third version moves it to the owner. Never written
/// here, but a taking ends it, as there: left behind, it would count as the owner's name, and the lease as another's.
const CHECKPOINT_OWNER: &str = "checkpointOwner";

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// The item of a lease. What a lease does not have is absent, since DynamoDB has no empty sets.
pub(crate) fn write(lease: &Lease) -> Item {
    let mut item = Item::from([
        (LEASE_KEY.into(), text(&lease.lease_key)),
        (COUNTER.into(), number(lease.lease_counter)),
        (SWITCHES.into(), number(lease.owner_switches_since_checkpoint)),
        (CHECKPOINT.into(), text(lease.checkpoint.sequence.as_str())),
        (CHECKPOINT_SUB.into(), number(lease.checkpoint.sub_sequence)),
    ]);
    if let Some(owner) = &lease.lease_owner {
        item.insert(OWNER.into(), text(owner));
    }
    if let Some(declaration) = &lease.declaration {
        item.insert(PENDING.into(), text(declaration.position.sequence.as_str()));
        item.insert(PENDING_SUB.into(), number(declaration.position.sub_sequence));
        if !declaration.state.is_empty() {
            item.insert(PENDING_STATE.into(), AttributeValue::B(Blob::new(declaration.state.clone())));
        }
    }
    for (name, ids) in [(PARENTS, &lease.parent_shard_ids), (CHILDREN, &lease.child_shard_ids)] {
        if !ids.is_empty() {
            item.insert(name.into(), AttributeValue::Ss(ids.clone()));
        }
    }
    if let Some(range) = lease.hash_range {
        item.insert(HASH_START.into(), text(range.start.to_string()));
        item.insert(HASH_END.into(), text(range.end.to_string()));
    }
    item
}

/// An item that is not a lease.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("item {key:?}: {attribute} {problem}")]
pub(crate) struct NotALease {
    key: String,
    attribute: &'static str,
    problem: &'static str,
}

/// Reads an item, whoever wrote it; attributes that are not known here are passed over.
pub(crate) fn read(item: &Item) -> Result<Lease, NotALease> {
    let string = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).filter(|s| !s.is_empty());
    let key = string(LEASE_KEY).cloned().unwrap_or_default();
    let wrong = |attribute, problem| NotALease { key: key.clone(), attribute, problem };
    let count = |name: &'static str| match item.get(name) {
        None => Ok(None),
        Some(AttributeValue::N(digits)) => digits.parse().map(Some).map_err(|_| wrong(name, "is no counting number")),
        Some(_) => Err(wrong(name, "is no number")),
    };
    let position = |name: &'static str, sub: &'static str| match string(name) {
        None => Ok(None),
        Some(sequence) => {
            let sequence = sequence.parse().map_err(|_| wrong(name, "is no sequence number"))?;
            Ok(Some(Position::new(sequence, count(sub)?.unwrap_or_default())))
        }
    };
    let ids = |name: &str| item.get(name).and_then(|value| value.as_ss().ok()).cloned().unwrap_or_default();
    let state = || match item.get(PENDING_STATE) {
        Some(AttributeValue::B(bytes)) => bytes.clone().into_inner(),
        _ => Vec::new(),
    };
    let hash_key = |name: &str| string(name).and_then(|digits| digits.parse().ok());
    if key.is_empty() {
        return Err(wrong(LEASE_KEY, "is missing"));
    }
    Ok(Lease {
        lease_owner: string(OWNER).cloned(),
        lease_counter: count(COUNTER)?.ok_or_else(|| wrong(COUNTER, "is missing"))?,
        owner_switches_since_checkpoint: count(SWITCHES)?.unwrap_or_default(),
        checkpoint: position(CHECKPOINT, CHECKPOINT_SUB)?.ok_or_else(|| wrong(CHECKPOINT, "is missing"))?,
        declaration: position(PENDING, PENDING_SUB)?.map(|position| Declaration { position, state: state() }),
        parent_shard_ids: ids(PARENTS),
        child_shard_ids: ids(CHILDREN),
        hash_range: hash_key(HASH_START).zip(hash_key(HASH_END)).map(|(start, end)| HashRange { start, end }),
        lease_key: key,
    })
}

/// The condition that every change of a lease is made on, with what its placeholders stand for.
pub(crate) struct Condition {
    pub(crate) expression: String,
    pub(crate) names: HashMap<String, String>,
    pub(crate) values: Item,
}

impl Condition {
    /// Owner and counter are as they are in `lease`.
    pub(crate) fn unchanged(lease: &Lease) -> Self {
        let mut condition = Self {
            expression: "#counter = :counter AND ".into(),
            names: HashMap::from([("#counter".into(), COUNTER.into()), ("#owner".into(), OWNER.into())]),
            values: Item::from([(":counter".into(), number(lease.lease_counter))]),
        };
        match &lease.lease_owner {
            Some(owner) => {
                condition.expression.push_str("#owner = :owner");
                condition.values.insert(":owner".into(), text(owner));
            }
            None => condition.expression.push_str("attribute_not_exists(#owner)"),
        }
        condition
    }
}

/// A change as an update expression: only what it touches is written.
pub(crate) struct Update {
    pub(crate) expression: String,
    pub(crate) condition: Condition,
    pub(crate) names: HashMap<String, String>,
    pub(crate) values: Item,
}

/// The attributes that a change may alter.
fn touched(change: &LeaseChange) -> &'static [&'static str] {
    match change {
        LeaseChange::Renew => &[COUNTER],
        LeaseChange::Take { .. } => &[COUNTER, OWNER, SWITCHES, CHECKPOINT_OWNER],
        LeaseChange::Release => &[COUNTER, OWNER],
        LeaseChange::Commit { .. } => {
            &[COUNTER, CHECKPOINT, CHECKPOINT_SUB, SWITCHES, PENDING, PENDING_SUB, PENDING_STATE]
        }
        LeaseChange::Declare(_) | LeaseChange::Withdraw => &[COUNTER, PENDING, PENDING_SUB, PENDING_STATE],
        LeaseChange::End { .. } => {
            &[COUNTER, CHECKPOINT, CHECKPOINT_SUB, SWITCHES, PENDING, PENDING_SUB, PENDING_STATE, CHILDREN]
        }
    }
}

impl Update {
    pub(crate) fn new(lease: &Lease, change: &LeaseChange) -> Self {
        let mut after = write(&lease.after(change));
        let condition = Condition::unchanged(lease);
        let (mut names, mut values) = (condition.names.clone(), condition.values.clone());
        let (mut set, mut removed) = (Vec::new(), Vec::new());
        for (n, attribute) in touched(change).iter().enumerate() {
            names.insert(format!("#a{n}"), (*attribute).into());
            match after.remove(*attribute) {
                Some(value) => {
                    values.insert(format!(":a{n}"), value);
                    set.push(format!("#a{n} = :a{n}"));
                }
                None => removed.push(format!("#a{n}")),
            }
        }
        let mut expression = format!("SET {}", set.join(", "));
        if !removed.is_empty() {
            expression.push_str(&format!(" REMOVE {}", removed.join(", ")));
        }
        Self { expression, condition, names, values }
    }
}

#[cfg(test)]
#[path = "item_tests.rs"]
mod tests;
