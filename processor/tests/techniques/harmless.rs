//! What takes the attack out of an event.

use serde_json::{Value, json};

use super::table::Change;

/// Applies the change to a record.
pub(crate) fn apply(change: &Change, record: &mut Value) {
    let own = record["recipientAccountId"].as_str().unwrap().to_owned();
    let user = record["userIdentity"]["userName"].as_str().unwrap_or("nobody").to_owned();
    if change.mfa {
        record["userIdentity"]["sessionContext"] =
            json!({ "attributes": { "creationDate": "2024-08-02T08:20:52Z", "mfaAuthenticated": "true" } });
    }
    if change.program {
        record["userIdentity"] = json!({ "type": "AssumedRole", "principalId": "AROAPROGRAMPROGRAM12:orders", "accountId": own,
            "arn": format!("arn:aws:sts::{own}:assumed-role/orders-task/orders"),
            "sessionContext": { "attributes": { "mfaAuthenticated": "false" }, "sessionIssuer": { "type": "Role",
                "arn": format!("arn:aws:iam::{own}:role/orders-task"), "accountId": own, "userName": "orders-task" } } });
    }
    if let Some(service) = &change.service {
        record["userIdentity"] = json!({ "type": "AWSService", "invokedBy": service });
    }
    for (pointer, value) in &change.set {
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        let Some(parent) = record.pointer_mut(parent) else { panic!("no {parent} in {record}") };
        let text = value.to_string().replace("{own}", &own).replace("{user}", &user);
        let value: Value = serde_json::from_str(&text).unwrap();
        match (parent, value) {
            (Value::Object(fields), Value::Null) => drop(fields.remove(field)),
            (parent, value) => parent[field] = value,
        }
    }
}
