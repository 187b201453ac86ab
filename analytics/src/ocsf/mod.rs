//! A finding as a Detection Finding of the Open Cybersecurity Schema Framework: class 2004 of category 2, OCSF 1.6.0
//! (<https://schema.ocsf.io/1.6.0/classes/detection_finding>), with the profiles `cloud` and `host`. Pure.
//!
//! Times are milliseconds since 1970. What is not known is left out. What OCSF has no place for (a correlation's group,
//! the policy's reasons, the lineage) stands under `unmapped`, as DIAL's own JSON has it.

mod attacks;
mod evidences;
mod observables;
mod who;

use dial_rules::assessment::Assessment;
use dial_rules::event::Millis;
use dial_rules::finding::{Finding, FindingKind};
use dial_rules::policy::Status;
use dial_rules::severity::Severity;
use serde_json::{Map, Value, json};

/// The version of OCSF that the documents are of.
pub const VERSION: &str = "1.6.0";

/// The class: Detection Finding.
pub const CLASS_UID: u64 = 2004;

/// A finding in one version, as it is assessed now, as a Detection Finding. Its first version is what was created,
/// later ones update it.
#[must_use]
pub fn detection_finding(assessment: &Assessment, version: u64, written: Millis) -> Value {
    let Assessment { finding, context, disposition } = assessment;
    let (severity_id, severity) = severity(disposition.severity);
    let (status_id, status) = status(disposition.status);
    let (activity_id, activity) = if version <= 1 { (1, "Create") } else { (2, "Update") };
    let actor = who::actor(finding, &context.lineage);
    let evidences = evidences::evidences(assessment, actor.as_ref());
    let observables = observables::observables(assessment);
    known(json!({
        "activity_id": activity_id, "activity_name": activity,
        "category_uid": 2, "category_name": "Findings",
        "class_uid": CLASS_UID, "class_name": "Detection Finding",
        "type_uid": CLASS_UID * 100 + activity_id, "type_name": format!("Detection Finding: {activity}"),
        "severity_id": severity_id, "severity": severity,
        "status_id": status_id, "status": status,
        "status_detail": disposition.by.as_ref().map(dial_rules::policy::Entry::words),
        "is_alert": assessment.is_open(),
        "message": finding.subject.rule_title,
        "time": finding.first_seen, "start_time": finding.first_seen, "end_time": finding.last_seen,
        "count": finding.event_count,
        "metadata": metadata(finding, version, written),
        "finding_info": finding_info(assessment, version, written),
        "cloud": who::cloud(assessment),
        "actor": actor,
        "resources": evidences::resources(assessment),
        "evidences": evidences,
        "observables": observables,
        "enrichments": evidences::enrichments(context, finding),
        "unmapped": unmapped(assessment),
    }))
}

fn metadata(finding: &Finding, version: u64, written: Millis) -> Value {
    json!({
        "version": VERSION,
        "product": product(),
        "profiles": ["cloud", "host"],
        "uid": format!("{}:{version}", finding.finding_id),
        "event_code": finding.rule_id,
        "log_name": "findings",
        "log_provider": "DIAL",
        "sequence": version,
        "processed_time": written,
    })
}

fn product() -> Value {
    json!({"name": "DIAL", "vendor_name": "DIAL", "uid": "dial", "version": env!("CARGO_PKG_VERSION")})
}

fn finding_info(assessment: &Assessment, version: u64, written: Millis) -> Value {
    let finding = &assessment.finding;
    json!({
        "uid": finding.finding_id,
        "title": finding.subject.rule_title,
        "desc": description(assessment),
        "types": types(finding),
        "analytic": {
            "type_id": 1, "type": "Rule", "uid": finding.rule_id, "name": finding.subject.rule_title,
            "category": crate::findings::kind(finding.kind),
        },
        "attacks": attacks::attacks(&finding.subject.techniques),
        "data_sources": evidences::sources(finding),
        // When it was first written is known of its first version only.
        "created_time": (version <= 1).then_some(written),
        "modified_time": written,
        "first_seen_time": finding.first_seen,
        "last_seen_time": finding.last_seen,
        "related_events": evidences::related_events(finding),
        "related_events_count": finding.event_count,
    })
}

/// What the finding is; of one that GuardDuty or Security Hub made, its type there as well.
fn types(finding: &Finding) -> Vec<String> {
    let kind = match finding.kind {
        FindingKind::Single => "Single event",
        FindingKind::Correlated => "Correlation",
    };
    let theirs = finding.evidence.iter().filter(|evidence| evidences::is_finding(evidence));
    let theirs = theirs.map(|evidence| evidence.event_name.clone());
    let mut types = vec![kind.to_owned()];
    for theirs in theirs {
        if !types.contains(&theirs) {
            types.push(theirs);
        }
    }
    types
}

/// `Title: 3 events by role Admin as alice, from 192.0.2.1, in account 111122223333 (payments), eu-west-1`.
fn description(assessment: &Assessment) -> String {
    let Assessment { finding, context, .. } = assessment;
    let subject = &finding.subject;
    let events = match finding.event_count {
        1 => "1 event".to_owned(),
        _ => format!("{} events", finding.event_count_text()),
    };
    let name = context.account.as_ref().and_then(|account| account.name.as_ref());
    let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
    let parts = [
        subject.actor.as_ref().map(|actor| format!(" by {actor}")),
        subject.source_ip.as_ref().map(|address| format!(", from {address}")),
        subject.account_id.as_ref().map(|account| format!(", in account {account}{name}")),
        subject.region.as_ref().map(|region| format!(", {region}")),
    ];
    format!("{}: {events}{}", subject.rule_title, parts.into_iter().flatten().collect::<String>())
}

/// `severity_id` and its caption.
pub(crate) fn severity(severity: Severity) -> (i64, &'static str) {
    match severity {
        Severity::Informational => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    }
}

/// `status_id` and its caption; of `Other` (99) our own word, as the schema asks for. What the policy allows was
/// judged harmless beforehand, which is what `Suppressed` means.
fn status(status: Status) -> (i64, &'static str) {
    match status {
        Status::Open => (1, "New"),
        Status::Suppressed | Status::Allowed => (3, "Suppressed"),
        Status::Muted | Status::Staged => (99, status.as_str()),
    }
}

/// What OCSF has no place for, under the names of DIAL's own JSON.
fn unmapped(assessment: &Assessment) -> Value {
    let Assessment { finding, context, disposition } = assessment;
    let adjusted = finding.subject.severity != disposition.severity;
    let some = |is: bool, value: Value| if is { value } else { Value::Null };
    json!({
        "group": some(!finding.group.is_empty(), json!(finding.group)),
        "bucket": finding.bucket,
        "order_ambiguous": some(finding.order_ambiguous, json!(true)),
        "completed_by": some(!finding.completed_by.is_empty(), json!(finding.completed_by)),
        "status": disposition.status,
        "status_by": disposition.by,
        "rule_severity": some(adjusted, json!(finding.subject.severity)),
        "adjusted": disposition.adjusted,
        "origin": some(!finding.subject.origin.is_empty(), json!(finding.subject.origin)),
        "lineage": some(!context.lineage.is_empty(), json!(context.lineage)),
        "chain": context.chain,
        "missing": context.missing,
    })
}

/// The same without what is null or empty, however deep.
fn known(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| (name, known(value)));
            Value::Object(members.filter(|(_, value)| !is_nothing(value)).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.into_iter().map(known).filter(|value| !is_nothing(value)).collect(),
        other => other,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}
