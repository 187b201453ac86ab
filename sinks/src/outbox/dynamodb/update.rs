//! The writes of the outbox as UpdateItem calls, each conditional on what was read.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use dial_rules::event::Millis;

use crate::dynamodb::{DynamoFindingStore, due_attributes, keys};
use crate::outbox::bounds::encode;
use crate::outbox::store::{Queue, Row, Settled};
use crate::store::StoreError;

/// An attribute, and what it is set to; `None` removes it.
type Change = (&'static str, Option<AttributeValue>);

/// Settles a finding that is still as it was read.
pub(super) fn settled(store: &DynamoFindingStore, settled: &Settled) -> Result<UpdateItemFluentBuilder, StoreError> {
    let progress = encode(&settled.finding_id, &settled.progress)?;
    let mut changes: Vec<Change> = vec![
        (keys::PROGRESS, Some(AttributeValue::S(progress))),
        (keys::PROGRESS_REVISION, Some(count(settled.revision.saturating_add(1)))),
    ];
    changes.extend(waiting(settled.due.map(|at| (Queue::Findings, at)), &settled.finding_id));
    let call = update(store, &settled.finding_id, changes)
        .expression_attribute_names("#version", keys::VERSION)
        .expression_attribute_values(":version", count(settled.version))
        .expression_attribute_names("#revision", keys::PROGRESS_REVISION);
    Ok(match settled.revision {
        0 => call.condition_expression("#version = :version AND attribute_not_exists(#revision)"),
        revision => call
            .condition_expression("#version = :version AND #revision = :revision")
            .expression_attribute_values(":revision", count(revision)),
    })
}

/// Writes a row that is still as it was read.
pub(super) fn row(store: &DynamoFindingStore, row: &Row) -> UpdateItemFluentBuilder {
    let number = |number: Millis| AttributeValue::N(number.to_string());
    let mut changes: Vec<Change> = vec![
        (keys::BODY, Some(AttributeValue::S(row.body.clone()))),
        (keys::REVISION, Some(count(row.revision.saturating_add(1)))),
        (keys::EXPIRES, row.expires.map(|at| number(seconds(at)))),
        (keys::EXPIRES_AT, row.expires.map(number)),
    ];
    changes.extend(waiting(row.due, &row.key));
    let call = update(store, &row.key, changes);
    match row.revision {
        0 => {
            call.condition_expression("attribute_not_exists(#key)").expression_attribute_names("#key", keys::FINDING_ID)
        }
        revision => call
            .condition_expression("#revision = :revision")
            .expression_attribute_names("#revision", keys::REVISION)
            .expression_attribute_values(":revision", count(revision)),
    }
}

fn waiting(due: Option<(Queue, Millis)>, key: &str) -> Vec<Change> {
    match due {
        Some((queue, at)) => due_attributes(queue, at, key).map(|(name, value)| (name, Some(value))).into(),
        None => vec![(keys::DUE_PARTITION, None), (keys::DUE_POSITION, None)],
    }
}

/// The end of a time's second: nothing is deleted before its time.
fn seconds(at: Millis) -> i64 {
    at.div_euclid(1000) + i64::from(at.rem_euclid(1000) > 0)
}

fn count(count: u64) -> AttributeValue {
    AttributeValue::N(count.to_string())
}

fn update(store: &DynamoFindingStore, key: &str, changes: Vec<Change>) -> UpdateItemFluentBuilder {
    let mut call = store.client.update_item().table_name(&store.table).set_key(Some(keys::key(key)));
    let (mut set, mut removed) = (Vec::new(), Vec::new());
    for (i, (name, value)) in changes.into_iter().enumerate() {
        call = call.expression_attribute_names(format!("#a{i}"), name);
        match value {
            Some(value) => {
                call = call.expression_attribute_values(format!(":a{i}"), value);
                set.push(format!("#a{i} = :a{i}"));
            }
            None => removed.push(format!("#a{i}")),
        }
    }
    let remove = if removed.is_empty() { String::new() } else { format!(" REMOVE {}", removed.join(", ")) };
    call.update_expression(format!("SET {}{remove}", set.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_is_deleted_before_its_time() {
        assert_eq!([seconds(0), seconds(1), seconds(999), seconds(1_000), seconds(1_001)], [0, 1, 1, 1, 2]);
        assert_eq!([seconds(-1), seconds(-1_000), seconds(-1_001)], [0, -1, -1]);
    }
}
