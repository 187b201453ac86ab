//! What a finding rests on: OCSF's objects `evidences`, `related_event`, `resource_details` and `enrichment`.

use dial_rules::assessment::Assessment;
use dial_rules::context::Context;
use dial_rules::finding::{Evidence, Finding};
use serde_json::{Value, json};

use super::who;

/// Whether the event is a finding of GuardDuty or Security Hub itself, and no call of their APIs.
pub(super) fn is_finding(evidence: &Evidence) -> bool {
    let of = matches!(evidence.event_source.as_str(), "guardduty.amazonaws.com" | "securityhub.amazonaws.com");
    // Their ids end in the time of the last change, and their types have what no API call's name has.
    of && evidence.event_id.contains('@') && evidence.event_name.contains(['/', ':', ' '])
}

/// One object an event. A single event's actor and address are the finding's.
pub(super) fn evidences(assessment: &Assessment, actor: Option<&Value>) -> Vec<Value> {
    let finding = &assessment.finding;
    let whole = actor.filter(|_| finding.evidence.len() == 1);
    let of_finding = finding.subject.source_ip.as_deref().filter(|_| finding.evidence.len() == 1);
    let one = |evidence: &Evidence| {
        let source = evidence.source_ip.as_deref().or(of_finding);
        json!({
            "uid": evidence.event_id,
            "name": evidence.event_name,
            "api": {"operation": evidence.event_name, "service": {"name": evidence.event_source}},
            "actor": whole.cloned().or_else(|| evidence.actor.as_deref().map(who::named)),
            "src_endpoint": source.map(|source| endpoint(source, assessment)),
            "data": evidence,
        })
    };
    finding.evidence.iter().map(one).collect()
}

/// The endpoint, with what tables say of the address that the finding names.
fn endpoint(source: &str, assessment: &Assessment) -> Value {
    let mut endpoint = who::endpoint(source);
    let is_ours = assessment.finding.subject.source_ip.as_deref() == Some(source);
    if let Some(address) = assessment.context.address.as_ref().filter(|_| is_ours) {
        if address.country.is_some() || address.city.is_some() {
            endpoint["location"] = json!({"country": address.country, "city": address.city});
        }
        if address.asn.is_some() || address.network.is_some() {
            endpoint["autonomous_system"] = json!({"number": address.asn, "name": address.network});
        }
    }
    endpoint
}

/// The events' ids.
pub(super) fn related_events(finding: &Finding) -> Vec<Value> {
    let one = |evidence: &Evidence| {
        json!({
            "uid": evidence.event_id,
            "type": if is_finding(evidence) { "finding" } else { "CloudTrail event" },
            "title": evidence.event_name,
            "first_seen_time": evidence.event_time,
            "last_seen_time": evidence.event_time,
        })
    };
    finding.evidence.iter().map(one).collect()
}

/// The services whose events they are.
pub(super) fn sources(finding: &Finding) -> Vec<&str> {
    let mut sources: Vec<&str> = finding.evidence.iter().map(|evidence| evidence.event_source.as_str()).collect();
    sources.sort_unstable();
    sources.dedup();
    sources
}

/// What the events are about, by name.
pub(super) fn resources(assessment: &Assessment) -> Vec<Value> {
    let finding = &assessment.finding;
    let mut targets: Vec<(&str, Option<&str>)> = Vec::new();
    for evidence in &finding.evidence {
        let region = evidence.region.as_deref().or(finding.subject.region.as_deref());
        let target = evidence.target.as_deref().map(|target| (target, region));
        targets.extend(target.filter(|target| !targets.contains(target)));
    }
    let one = |(name, region)| json!({"name": name, "region": region, "role_id": 1, "role": "Target"});
    targets.into_iter().map(one).collect()
}

/// What is known of the address beside the events.
pub(super) fn enrichments(context: &Context, finding: &Finding) -> Vec<Value> {
    let Some(address) = finding.subject.source_ip.as_deref() else { return Vec::new() };
    let name = "evidences.src_endpoint.ip";
    let place = context
        .address
        .as_ref()
        .map(|known| json!({"name": name, "value": address, "type": "address", "provider": "DIAL", "data": known}));
    let reputation = context.reputation.as_ref().map(|known| {
        json!({
            "name": name, "value": address, "type": "reputation", "provider": "AbuseIPDB", "data": known,
        })
    });
    place.into_iter().chain(reputation).collect()
}
