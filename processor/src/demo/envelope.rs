//! The bytes: CloudTrail records and GuardDuty findings inside the envelope EventBridge delivers them in.

use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};

use super::caller::Caller;
use super::random::Random;

/// One event of the simulated day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SimulatedEvent {
    /// When it happens, in seconds of the Unix epoch.
    pub(crate) at: i64,
    /// The EventBridge envelope as JSON.
    pub(crate) envelope: Vec<u8>,
}

/// What is called, and what came of it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    service: &'static str,
    name: &'static str,
    read_only: bool,
    request: Value,
    response: Value,
    error: Option<(&'static str, String)>,
    extra: Vec<(&'static str, Value)>,
}

impl Call {
    /// A call that only reads, whose response CloudTrail leaves out.
    pub(crate) fn read(service: &'static str, name: &'static str, request: Value) -> Self {
        Self { service, name, read_only: true, request, response: Value::Null, error: None, extra: Vec::new() }
    }

    /// A call that changes something, with the response CloudTrail keeps.
    pub(crate) fn write(service: &'static str, name: &'static str, request: Value, response: Value) -> Self {
        Self { read_only: false, response, ..Self::read(service, name, request) }
    }

    /// With a response, where CloudTrail keeps that of a call that only reads.
    pub(crate) fn answered(mut self, response: Value) -> Self {
        self.response = response;
        self
    }

    /// The same call, failed.
    pub(crate) fn failed(mut self, code: &'static str, message: impl Into<String>) -> Self {
        self.response = Value::Null;
        self.error = Some((code, message.into()));
        self
    }

    /// With a further top-level field, such as `resources` or `additionalEventData`.
    pub(crate) fn with(mut self, field: &'static str, value: Value) -> Self {
        self.extra.push((field, value));
        self
    }
}

/// `at` as CloudTrail writes a time.
pub(crate) fn instant(at: i64) -> String {
    DateTime::from_timestamp(at, 0).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A call as EventBridge delivers it.
pub(crate) fn api_call(random: &mut Random, at: i64, caller: &Caller, call: &Call) -> SimulatedEvent {
    let mut record = record(random, at, caller, call);
    record.insert("eventType".into(), json!("AwsApiCall"));
    record.insert("requestID".into(), json!(random.uuid()));
    let region = region(caller, call).to_owned();
    wrap(random, at, caller.account.id, &region, call.service, "AWS API Call via CloudTrail", record.into())
}

/// A sign-in to the console as EventBridge delivers it: `call` is signin's `ConsoleLogin` with its own response.
pub(crate) fn sign_in(random: &mut Random, at: i64, caller: &Caller, call: &Call) -> SimulatedEvent {
    let mut record = record(random, at, caller, call);
    record.insert("eventType".into(), json!("AwsConsoleSignIn"));
    wrap(random, at, caller.account.id, caller.region, "signin", "AWS Console Sign In via CloudTrail", record.into())
}

/// A GuardDuty finding as EventBridge delivers it; `finding` holds what differs from finding to finding.
pub(crate) fn guardduty(random: &mut Random, at: i64, account: &str, region: &str, finding: Value) -> SimulatedEvent {
    let (id, detector) = (random.hex(32), Random::named(account).hex(32));
    let mut detail = json!({
        "schemaVersion": "2.0", "accountId": account, "region": region, "partition": "aws", "id": id,
        "arn": format!("arn:aws:guardduty:{region}:{account}:detector/{detector}/finding/{id}"),
        "createdAt": instant(at), "updatedAt": instant(at),
        "service": {
            "serviceName": "guardduty", "detectorId": detector, "resourceRole": "TARGET", "count": 1,
            "eventFirstSeen": instant(at - 300), "eventLastSeen": instant(at - 60), "archived": false,
        },
    });
    if let (Some(detail), Value::Object(finding)) = (detail.as_object_mut(), finding) {
        let action = finding.get("action").cloned();
        detail.extend(finding.into_iter().filter(|(field, _)| field != "action"));
        if let (Some(service), Some(action)) = (detail.get_mut("service"), action) {
            service["action"] = action;
        }
    }
    wrap(random, at, account, region, "guardduty", "GuardDuty Finding", detail)
}

fn record(random: &mut Random, at: i64, caller: &Caller, call: &Call) -> Map<String, Value> {
    let mut record = Map::new();
    let mut set = |field: &str, value: Value| {
        record.insert(field.to_owned(), value);
    };
    set("eventVersion", json!("1.11"));
    set("userIdentity", caller.identity.clone());
    set("eventTime", json!(instant(at)));
    set("eventSource", json!(format!("{}.amazonaws.com", call.service)));
    set("eventName", json!(call.name));
    set("awsRegion", json!(region(caller, call)));
    set("sourceIPAddress", json!(caller.address));
    set("userAgent", json!(caller.agent));
    set("requestParameters", call.request.clone());
    set("responseElements", call.response.clone());
    set("eventID", json!(random.uuid()));
    set("readOnly", json!(call.read_only));
    set("managementEvent", json!(true));
    set("eventCategory", json!("Management"));
    set("recipientAccountId", json!(caller.account.id));
    if let Some((code, message)) = &call.error {
        // A refused sign-in carries its reason without a code.
        if !code.is_empty() {
            set("errorCode", json!(code));
        }
        set("errorMessage", json!(message));
    }
    if caller.console && call.service != "signin" {
        set("sessionCredentialFromConsole", json!("true"));
    }
    if !caller.address.ends_with(".amazonaws.com") {
        let host = host(call.service, region(caller, call));
        set(
            "tlsDetails",
            json!({ "tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256", "clientProvidedHostHeader": host }),
        );
    }
    for (field, value) in &call.extra {
        set(field, value.clone());
    }
    record
}

/// Global services record their calls in Northern Virginia, wherever the caller is.
fn region(caller: &Caller, call: &Call) -> &'static str {
    match call.service {
        "iam" | "organizations" | "route53" | "route53domains" | "ecr-public" => "us-east-1",
        _ => caller.region,
    }
}

fn host(service: &str, region: &str) -> String {
    match service {
        "iam" | "organizations" | "route53" => format!("{service}.amazonaws.com"),
        "signin" => format!("{region}.signin.aws.amazon.com"),
        "ecr" => format!("api.ecr.{region}.amazonaws.com"),
        _ => format!("{service}.{region}.amazonaws.com"),
    }
}

fn wrap(
    random: &mut Random,
    at: i64,
    account: &str,
    region: &str,
    service: &str,
    detail_type: &str,
    detail: Value,
) -> SimulatedEvent {
    let envelope = json!({
        "version": "0", "id": random.uuid(), "detail-type": detail_type, "source": format!("aws.{service}"),
        "account": account, "time": instant(at), "region": region, "resources": [], "detail": detail,
    });
    SimulatedEvent { at, envelope: envelope.to_string().into_bytes() }
}
