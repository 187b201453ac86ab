//! The table, read.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

/// The account of the events of our own.
const OWN: &str = "123412341234";
/// A strange account.
const OTHER: &str = "432143214321";

/// One technique.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// The name of its published log, without `.json`.
    pub(crate) file: String,
    /// The ATT&CK techniques that findings of medium or more must name, all of them.
    pub(crate) techniques: Vec<String>,
    events: Vec<Sample>,
    /// What makes it harmless.
    pub(crate) harmless: Vec<Change>,
}

/// An event of our own, in few words.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    #[serde(rename = "as", default)]
    who: Option<String>,
    call: String,
    #[serde(default)]
    request: Value,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    more: Option<Value>,
}

/// A change to every event with this name. `{own}` and `{user}` in its texts are the event's own account and user.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    /// The event name.
    pub(crate) call: String,
    /// Why the event is harmless then.
    #[serde(rename = "why")]
    _why: String,
    /// The user showed a second factor.
    #[serde(default)]
    pub(crate) mfa: bool,
    /// A program's role makes the call.
    #[serde(default)]
    pub(crate) program: bool,
    /// This service makes the call for itself.
    #[serde(default)]
    pub(crate) service: Option<String>,
    /// Values by JSON pointer; null takes the field away.
    #[serde(default)]
    pub(crate) set: BTreeMap<String, Value>,
}

/// All rows.
pub(crate) fn rows() -> Vec<Row> {
    serde_json::from_str(include_str!("table.json")).unwrap()
}

impl Row {
    /// The row's own events as CloudTrail records.
    pub(crate) fn records(&self) -> Vec<Value> {
        self.events.iter().enumerate().map(|(number, sample)| sample.record(number)).collect()
    }
}

impl Sample {
    fn record(&self, number: usize) -> Value {
        let (service, name) = self.call.split_once(' ').unwrap();
        let request = self.request.to_string().replace("{own}", OWN).replace("{other}", OTHER);
        let mut record = json!({
            "eventVersion": "1.11", "eventTime": "2026-03-03T10:00:00Z", "eventType": "AwsApiCall",
            "eventID": format!("00000000-0000-4000-8000-{number:012}"), "eventCategory": "Management",
            "eventSource": format!("{service}.amazonaws.com"), "eventName": name, "awsRegion": "eu-west-1",
            "sourceIPAddress": "198.51.100.77", "userAgent": "stratus-red-team_7f0c", "recipientAccountId": OWN,
            "userIdentity": identity(self.who.as_deref().unwrap_or("key")),
            "requestParameters": serde_json::from_str::<Value>(&request).unwrap(), "responseElements": null,
        });
        if let Some(error) = &self.error {
            record["errorCode"] = json!(error);
        }
        for (field, value) in self.more.iter().filter_map(Value::as_object).flatten() {
            record[field] = value.clone();
        }
        record
    }
}

fn identity(who: &str) -> Value {
    let user = json!({ "type": "IAMUser", "principalId": "AIDAEXAMPLEEXAMPLE12", "accountId": OWN,
        "arn": format!("arn:aws:iam::{OWN}:user/marta"), "userName": "marta", "accessKeyId": "AKIAEXAMPLEEXAMPLE12" });
    let session = if who == "instance" { "i-0a1b2c3d4e5f60718" } else { "aws-go-sdk-1700000000000000000" };
    let mut role = json!({ "type": "AssumedRole", "principalId": format!("AROAEXAMPLEEXAMPLE12:{session}"), "accountId": OWN,
        "arn": format!("arn:aws:sts::{OWN}:assumed-role/helper-role/{session}"), "accessKeyId": "ASIAEXAMPLEEXAMPLE12",
        "sessionContext": { "attributes": { "creationDate": "2026-03-03T09:50:00Z", "mfaAuthenticated": "false" },
            "sessionIssuer": { "type": "Role", "principalId": "AROAEXAMPLEEXAMPLE12", "accountId": OWN,
                "arn": format!("arn:aws:iam::{OWN}:role/helper-role"), "userName": "helper-role" } } });
    match who {
        "key" => user,
        "signed-in" => {
            let mut user = user;
            user.as_object_mut().unwrap().remove("accessKeyId");
            user
        }
        "role" => role,
        "instance" => {
            role["sessionContext"]["ec2RoleDelivery"] = json!("1.0");
            role
        }
        other => panic!("nobody is {other}"),
    }
}
