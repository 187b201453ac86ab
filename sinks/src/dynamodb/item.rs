//! A finding as an item of the table, and back. Pure.

use aws_sdk_dynamodb::types::AttributeValue;
use dial_rules::event::Millis;
use dial_rules::finding::Finding;

use super::{Item, keys};
use crate::outbox::store::Queue;
use crate::row::{decode, encode, kind_text, severity_rank};
use crate::store::StoreError;

/// Largest finding as JSON: DynamoDB's limit of an item is 400 KB, the rest is for the other attributes.
const LARGEST: usize = 350 * 1024;

/// A finding, the version of its content, and when it is due.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) finding: Finding,
    pub(crate) version: u64,
    pub(crate) due: Option<Millis>,
}

/// What a row says, its key aside.
pub(super) fn attributes(finding: &Finding, version: u64) -> Result<Vec<(&'static str, AttributeValue)>, StoreError> {
    let body = encode(finding)?;
    if body.len() > LARGEST {
        return Err(StoreError::TooLarge {
            finding_id: finding.finding_id.clone(),
            rule_id: finding.rule_id.clone(),
            bytes: body.len(),
            limit: LARGEST,
        });
    }
    Ok(vec![
        (keys::VERSION, AttributeValue::N(version.to_string())),
        (keys::BODY, AttributeValue::S(body)),
        (keys::KIND, AttributeValue::S(kind_text(finding.kind).to_owned())),
        (keys::RULE_ID, AttributeValue::S(finding.rule_id.clone())),
        (keys::SEVERITY, AttributeValue::N(severity_rank(finding.subject.severity).to_string())),
        (keys::FIRST_SEEN, AttributeValue::N(finding.first_seen.to_string())),
        (keys::LAST_SEEN, AttributeValue::N(finding.last_seen.to_string())),
        (keys::LIST_PARTITION, AttributeValue::S(keys::partition_of(finding))),
        (keys::LIST_POSITION, AttributeValue::S(keys::position(finding.last_seen, &finding.finding_id))),
    ])
}

/// What an item says that waits in a queue.
pub(crate) fn due_attributes(queue: Queue, at: Millis, key: &str) -> [(&'static str, AttributeValue); 2] {
    let partition = AttributeValue::S(keys::due_partition_of(queue, key));
    [(keys::DUE_PARTITION, partition), (keys::DUE_POSITION, AttributeValue::S(keys::due_position(at, key)))]
}

/// The key of an item.
pub(crate) fn id_of(item: &Item) -> String {
    text(item, keys::FINDING_ID).cloned().unwrap_or_default()
}

/// An attribute that is a text.
pub(crate) fn text<'a>(item: &'a Item, name: &str) -> Option<&'a String> {
    item.get(name).and_then(|value| value.as_s().ok())
}

/// An attribute that is a number.
pub(crate) fn number<T: std::str::FromStr>(item: &Item, name: &str) -> Option<T> {
    item.get(name).and_then(|value| value.as_n().ok()?.parse().ok())
}

/// A finding's row as [`attributes`] writes it.
pub(crate) fn parse(item: &Item) -> Result<Stored, StoreError> {
    let id = id_of(item);
    let missing = |name: &str| StoreError::Damaged {
        finding_id: id.clone(),
        reason: format!("its attribute `{name}` is missing or of the wrong type"),
    };
    let version = number(item, keys::VERSION).ok_or_else(|| missing(keys::VERSION))?;
    let body = text(item, keys::BODY).ok_or_else(|| missing(keys::BODY))?;
    let due = text(item, keys::DUE_POSITION).and_then(|position| keys::parse_due_position(position));
    Ok(Stored { finding: decode(&id, body)?, version, due: due.map(|(at, _)| at) })
}
