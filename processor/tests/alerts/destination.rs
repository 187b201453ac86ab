//! What destinations make of requests when they are well, and which findings a message names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use dial_sinks::destinations::webhook::{IDEMPOTENCY_KEY, SIGNATURE, signature};
use reqwest::{Method, Url};
use serde_json::{Value, json};

use crate::server::{Reply, Request};

/// What webhooks are signed with.
pub(crate) const SIGNING_KEY: &str = "a key for tests";

/// What a message says of findings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    /// Its idempotency key; where the destination knows none, all of its text.
    pub(crate) key: String,
    pub(crate) named: Named,
}

/// The findings that a message names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    /// By their ids.
    Ids(BTreeSet<String>),
    /// People read one finding's id, and numbers: how many findings the alert has named so far, and how many of them are of
    /// this message.
    Lead { finding_id: String, count: usize, new: usize },
}

/// What kind of destination it is.
#[derive(Debug)]
pub(crate) enum Destination {
    SlackBot(Mutex<u64>),
    SlackHook,
    Webhook,
    /// The ids of its alerts, by `sourceRef`.
    TheHive(Mutex<BTreeMap<String, String>>),
    /// A service of AWS, which lies there.
    Aws {
        upstream: String,
    },
}

impl Destination {
    /// Whether it is content with whatever has the status 200.
    pub(crate) fn takes_any_answer(&self) -> bool {
        matches!(self, Destination::Webhook)
    }

    /// What the request says of findings; `None` when it is no message.
    pub(crate) fn said(&self, request: &Request) -> Option<Said> {
        let text = String::from_utf8(request.body.clone()).unwrap();
        match self {
            Destination::SlackBot(_) | Destination::SlackHook => {
                let payload: Value = serde_json::from_str(&text).unwrap();
                let key = payload["client_msg_id"].as_str().map_or_else(|| text.clone(), str::to_owned);
                assert!(payload["client_msg_id"].is_string() || matches!(self, Destination::SlackHook));
                Some(Said { key, named: for_people(&texts(&payload)) })
            }
            Destination::Webhook => {
                let said = for_machines(&text);
                assert_eq!(request.headers[&IDEMPOTENCY_KEY.to_lowercase()], said.key);
                let header = &request.headers[&SIGNATURE.to_lowercase()];
                let time = header.strip_prefix("t=").unwrap().split_once(',').unwrap().0.parse().unwrap();
                assert_eq!(*header, signature(SIGNING_KEY, time, &text), "the signature does not verify");
                Some(said)
            }
            Destination::TheHive(_) => {
                let body: Value = serde_json::from_str(&text).unwrap_or_default();
                let text = body["description"].as_str().or(body["message"].as_str())?;
                let key = between(text, "Delivery `", "`").unwrap().to_owned();
                Some(Said { key, named: for_people(text) })
            }
            Destination::Aws { .. } => message_of(request, &text).map(|message| for_machines(&message)),
        }
    }

    /// What it answers when it is well, and whether it has taken a message.
    pub(crate) async fn take(&self, request: &Request) -> (Reply, bool) {
        match self {
            Destination::SlackBot(count) => {
                let mut count = count.lock().unwrap();
                *count += 1;
                let reply = json!({"ok": true, "channel": "C1", "ts": format!("1700000000.{:06}", *count)});
                (Reply::new(200, reply.to_string()), true)
            }
            Destination::SlackHook => (Reply { content_type: "text/plain".to_owned(), ..Reply::new(200, "ok") }, true),
            Destination::Webhook => (Reply::new(204, ""), true),
            Destination::TheHive(alerts) => hive(&mut alerts.lock().unwrap(), request),
            Destination::Aws { upstream } => forward(upstream, request).await,
        }
    }
}

/// As much of TheHive 5 as there is to alerts.
fn hive(alerts: &mut BTreeMap<String, String>, request: &Request) -> (Reply, bool) {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let reply = |status, body: Value| Reply::new(status, body.to_string());
    let path = request.path.split('?').next().unwrap();
    let is_known = |id: &str| alerts.values().any(|known| known == id);
    match (request.method.as_str(), path.trim_start_matches("/hive/api/v1/")) {
        ("POST", "alert") => {
            let reference = body["sourceRef"].as_str().unwrap().to_owned();
            if alerts.contains_key(&reference) {
                return (reply(400, json!({"type": "CreateError", "message": "Alert already exists"})), false);
            }
            let id = format!("~{}", alerts.len());
            alerts.insert(reference, id.clone());
            (reply(201, json!({"_id": id, "severity": body["severity"]})), true)
        }
        ("POST", "query") => {
            let wanted = texts(&body["query"]);
            let found = alerts.iter().find(|(reference, _)| wanted.lines().any(|text| text == reference.as_str()));
            (reply(200, found.map_or(json!([]), |(_, id)| json!([{"_id": id, "severity": 4}]))), false)
        }
        ("PATCH", what) if is_known(what.trim_start_matches("alert/")) => (Reply::new(204, ""), false),
        ("POST", what) if is_known(what.trim_start_matches("alert/").trim_end_matches("/comment")) => {
            (reply(201, json!({"_id": "~c"})), true)
        }
        (method, path) => panic!("TheHive is asked for {method} {path}"),
    }
}

/// Hands a request on to where the service is.
async fn forward(upstream: &str, request: &Request) -> (Reply, bool) {
    let url = Url::parse(&format!("{upstream}{}", request.path)).unwrap();
    let client = dial_sinks::http::client(Duration::from_secs(30), &url).unwrap();
    let mut call = client.request(Method::from_bytes(request.method.as_bytes()).unwrap(), url);
    for (name, value) in &request.headers {
        if !["host", "content-length", "connection"].contains(&name.as_str()) {
            call = call.header(name, value);
        }
    }
    let answer = call.body(request.body.clone()).send().await.unwrap();
    let status = answer.status();
    let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
    let body = answer.bytes().await.unwrap().to_vec();
    let text = String::from_utf8_lossy(&body);
    let failed = serde_json::from_str::<Value>(&text).is_ok_and(|body| body["FailedEntryCount"].as_u64() > Some(0));
    let accepted = status.is_success() && !failed;
    assert!(accepted || status.is_server_error(), "AWS does not take it: {status} {text}");
    (Reply { status: status.as_u16(), content_type, body }, accepted)
}

/// The message of a request to SNS, SQS or EventBridge; `None` when it is another one.
fn message_of(request: &Request, text: &str) -> Option<String> {
    let target = request.headers.get("x-amz-target").map(String::as_str).unwrap_or_default();
    let json = || serde_json::from_str::<Value>(text).unwrap();
    let of = |value: &Value| Some(value.as_str().unwrap().to_owned());
    match target.rsplit('.').next().unwrap() {
        "SendMessage" => of(&json()["MessageBody"]),
        "PutEvents" => of(&json()["Entries"][0]["Detail"]),
        "" => {
            let form = Url::parse(&format!("http://localhost/?{text}")).unwrap();
            let form: BTreeMap<_, _> = form.query_pairs().into_owned().collect();
            (form["Action"] == "Publish").then(|| form["Message"].clone())
        }
        _ => None,
    }
}

/// What the JSON of our schema says.
pub(crate) fn for_machines(text: &str) -> Said {
    let alert: Value = serde_json::from_str(text).unwrap();
    assert!(alert.get("truncated").is_none(), "what is cut names not all findings: {text}");
    let ids = alert["finding_ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned());
    Said { key: alert["key"].as_str().unwrap().to_owned(), named: Named::Ids(ids.collect()) }
}

/// What a text for people says: `dial findings show ID`, and where there are several `*12 findings, 3 of them new*`.
fn for_people(text: &str) -> Named {
    let finding_id = between(text, "`dial findings show ", "`").unwrap().to_owned();
    let number = |text: &str| text.replace(',', "").parse::<usize>().ok();
    let (mut count, mut new) = (1, 1);
    for (at, _) in text.match_indices(" findings") {
        let before = text[..at].rsplit('*').next().and_then(number);
        let Some(told) = before else { continue };
        let after = between(&text[at..], " findings, ", " of them new").filter(|text| text.len() < 10);
        (count, new) = (told, after.and_then(number).unwrap_or(told));
    }
    Named::Lead { finding_id, count, new }
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    let begin = text.find(before)? + before.len();
    text[begin..].split_once(after).map(|(text, _)| text)
}

/// All texts in a value, one a line.
fn texts(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text}\n"),
        Value::Array(list) => list.iter().map(texts).collect(),
        Value::Object(members) => members.values().map(texts).collect(),
        _ => String::new(),
    }
}
