//! Random operations on an outbox, and on the model of it.

use std::collections::BTreeMap;

use dial_rules::event::Millis;
use dial_rules::finding::Finding;
use dial_sinks::outbox::store::{Progress, Queue, Row, Settled};
use proptest::prelude::*;
use proptest::sample::select;

use crate::findings::update;
use crate::model::Model;
use crate::subject::{Store, due_eventually};

/// Times are relative to now; revisions and versions are what the model knows, and how far beside it.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Record(Vec<Finding>, Option<Millis>),
    Due(Queue, usize),
    Owed(Vec<String>),
    Settle(Vec<Settling>),
    Rows(Vec<String>),
    Write { key: String, beside: u64, body: String, due: Option<(Queue, Millis)>, expires: Option<Millis> },
    Delete { key: String, beside: u64 },
    Pass(Millis),
}

#[derive(Debug, Clone)]
pub(crate) struct Settling {
    id: String,
    beside: (u64, u64),
    progress: BTreeMap<String, Progress>,
    due: Option<Millis>,
}

fn id() -> impl Strategy<Value = String> {
    prop_oneof![9 => (0..9_u8).prop_map(|id| format!("{id:032x}")), 1 => select(vec!["", "#0", "it's \u{0}"]).prop_map(str::to_owned)]
}

pub(crate) fn key() -> impl Strategy<Value = String> {
    select(vec!["#0", "#1", "#alert:slack#0f", "##", "#$", "#é\"'\n"]).prop_map(str::to_owned)
}

fn keys() -> impl Strategy<Value = Vec<String>> {
    let other = select(vec!["", "0f", "#days", "#", "#none"]).prop_map(str::to_owned);
    prop::collection::vec(prop_oneof![8 => key(), 1 => other], 0..8)
}

fn beside() -> impl Strategy<Value = u64> {
    prop_oneof![8 => Just(0_u64), 2 => Just(1), 1 => Just(7)]
}

/// The same few times again and again, so that there are ties.
fn later() -> impl Strategy<Value = Millis> {
    prop_oneof![3 => 0..5_i64, 2 => 0..3_000_i64, 1 => -500..0_i64]
}

fn progress() -> impl Strategy<Value = BTreeMap<String, Progress>> {
    let of_sink = (key(), 0..9_u64, prop::option::of(0..9_i64));
    let of_sink = of_sink.prop_map(|(alert, version, delivered)| Progress { alert, version, delivered });
    prop::collection::btree_map(select(vec!["slack", "sns", "a \"sink\""]).prop_map(str::to_owned), of_sink, 0..3)
}

fn settling() -> impl Strategy<Value = Vec<Settling>> {
    let one = (id(), (beside(), beside()), progress(), prop::option::of(later()));
    let one = one.prop_map(|(id, beside, progress, due)| Settling { id, beside, progress, due });
    prop::collection::vec(one, 0..6).prop_map(|mut all| {
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all.dedup_by(|a, b| a.id == b.id);
        all
    })
}

pub(crate) fn operation() -> impl Strategy<Value = Operation> {
    let queue = || select(Queue::ALL.to_vec());
    let due = prop::option::weighted(0.8, (queue(), later()));
    let expires = prop::option::weighted(0.3, later());
    prop_oneof![
        4 => (prop::collection::vec(update(), 0..4), prop::option::weighted(0.8, later()))
            .prop_map(|(updates, owing)| Operation::Record(updates, owing)),
        4 => (queue(), prop_oneof![1 => 0..4_usize, 1 => Just(1_000)]).prop_map(|(queue, limit)| Operation::Due(queue, limit)),
        2 => prop::collection::vec(id(), 0..8).prop_map(Operation::Owed),
        4 => settling().prop_map(Operation::Settle),
        2 => keys().prop_map(Operation::Rows),
        5 => (key(), beside(), "[a-z\"é]{0,5}", due, expires)
            .prop_map(|(key, beside, body, due, expires)| Operation::Write { key, beside, body, due, expires }),
        2 => (key(), beside()).prop_map(|(key, beside)| Operation::Delete { key, beside }),
        3 => (0..1_500_i64).prop_map(Operation::Pass),
    ]
}

/// Does it to both, and compares what they say.
pub(crate) async fn apply(
    operation: Operation,
    store: &Store,
    model: &mut Model,
    now: &mut Millis,
) -> Result<(), TestCaseError> {
    let at = |later: Millis| *now + later;
    match operation {
        Operation::Record(updates, owing) => {
            store.record_owing(updates.clone(), owing.map(at)).await.unwrap();
            model.record(&updates, owing.map(at));
        }
        Operation::Due(queue, limit) => {
            let expected = model.due(queue, *now, limit);
            prop_assert_eq!(due_eventually(store, queue, *now, limit, &expected).await, expected);
        }
        Operation::Owed(ids) => {
            let mut asked = Vec::new();
            for id in &ids {
                if !asked.contains(id) {
                    asked.push(id.clone());
                }
            }
            let expected: Vec<_> = asked.iter().filter_map(|id| model.findings.get(id).cloned()).collect();
            prop_assert_eq!(store.owed(&ids).await.unwrap(), expected);
        }
        Operation::Settle(settlings) => {
            let settled = |settling: Settling| {
                let known = model.findings.get(&settling.id).map_or((0, 0), |owed| (owed.version, owed.revision));
                let (version, revision) = (known.0 + settling.beside.0, known.1 + settling.beside.1);
                let (due, progress) = (settling.due.map(at), settling.progress);
                Settled { finding_id: settling.id, version, revision, progress, due }
            };
            let settled: Vec<Settled> = settlings.into_iter().map(settled).collect();
            let expected: Vec<bool> = settled.iter().map(|settled| model.settle(settled)).collect();
            prop_assert_eq!(store.settle(settled).await.unwrap(), expected);
        }
        Operation::Rows(keys) => {
            let mut asked = Vec::new();
            for key in &keys {
                if !asked.contains(key) {
                    asked.push(key.clone());
                }
            }
            let expected: Vec<_> = asked.iter().filter_map(|key| model.rows.get(key).cloned()).collect();
            prop_assert_eq!(store.rows(&keys).await.unwrap(), expected);
        }
        Operation::Write { key, beside, body, due, expires } => {
            let due = due.map(|(queue, later)| (queue, at(later)));
            let revision = model.revision(&key) + beside;
            let row = Row { key, body, revision, due, expires: expires.map(at) };
            let expected = model.write(&row);
            prop_assert_eq!(store.write(&row).await.unwrap(), expected);
        }
        Operation::Delete { key, beside } => {
            let revision = model.revision(&key) + beside;
            let expected = model.delete(&key, revision);
            prop_assert_eq!(store.delete(&key, revision).await.unwrap(), expected);
        }
        Operation::Pass(millis) => *now += millis,
    }
    Ok(())
}
