//! Events for tests.

use dial_rules::decode::{Decoded, Decoder};
use dial_rules::event::Event;
use serde_json::{Value, json};

/// A CloudTrail record of account 111122223333 with these members, and plausible ones for what it must have.
pub(crate) fn event(members: &Value) -> Event {
    let mut record = json!({
        "eventID": "e", "eventTime": "2026-01-01T00:00:00Z", "eventSource": "iam.amazonaws.com", "eventName": "ListUsers",
        "recipientAccountId": "111122223333", "awsRegion": "us-east-1", "eventType": "AwsApiCall",
    });
    for (key, value) in members.as_object().unwrap() {
        record[key] = value.clone();
    }
    let bytes = serde_json::to_vec(&record).unwrap();
    match Decoder::record(&bytes).next() {
        Some(Decoded::Event(event)) => *event,
        other => panic!("{other:?}"),
    }
}
