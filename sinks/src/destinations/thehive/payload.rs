//! What is sent: alerts, and what is added to them, in Markdown. Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;

use dial_rules::assessment::Assessment;
use dial_rules::severity::Severity;
use serde_json::{Value, json};

use super::TheHiveVersion;
use crate::message::Message;
use crate::telling::Telling;
use crate::text::{Medium, https_address, inert, is_blank, paragraphs};

/// Type and source of our alerts.
const DIAL: &str = "dial";
/// Longest title; TheHive 5 takes 512.
const MOST_TITLE: usize = 500;
/// Longest tag.
const MOST_TAG: usize = 100;
/// Most tags.
const MOST_TAGS: usize = 30;
/// Most observables.
const MOST_OBSERVABLES: usize = 50;
/// Longest observable.
const MOST_OBSERVABLE: usize = 512;
/// Longest `sourceRef`.
const MOST_REFERENCE: usize = 128;
/// Longest line of the description.
const MOST_LINE: usize = 1_000;
/// Most lines of a list.
const MOST_LINES: usize = 100;
/// Longest advice.
const MOST_ADVICE: usize = 4_000;

/// What alerts are marked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TheHiveLabels {
    /// Traffic Light Protocol: 0 (clear) to 3 (amber+strict) or 4 (red); in version 4, 3 is red.
    pub tlp: u8,
    /// Permissible Actions Protocol: 0 (clear) to 3 (red).
    pub pap: u8,
    /// Tags beside ours.
    pub tags: Vec<String>,
}

impl Default for TheHiveLabels {
    /// Amber, both, as TheHive itself has it.
    fn default() -> Self {
        TheHiveLabels { tlp: 2, pap: 2, tags: Vec::new() }
    }
}

/// TheHive's severities: 1 (low) to 4 (critical).
pub(super) fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Informational | Severity::Low => 1,
        Severity::Medium => 2,
        Severity::High => 3,
        Severity::Critical => 4,
    }
}

/// A thread as a `sourceRef`.
pub(super) fn reference(thread: &str) -> String {
    crate::destinations::reference::reference(thread, MOST_REFERENCE)
}

/// A new alert.
pub fn alert(message: &Message, reference: &str, labels: &TheHiveLabels, version: TheHiveVersion) -> Value {
    let lead = &message.lead.finding;
    let mark = if message.is_sample { "SAMPLE: " } else { "" };
    let title = inert(&format!("{mark}{}", message.titled()), Medium::Plain, MOST_TITLE);
    let mut alert = json!({
        "type": DIAL,
        "source": DIAL,
        "sourceRef": reference,
        "title": title,
        "description": description(message),
        "severity": severity(message.severity),
        "date": lead.first_seen,
        "tags": tags(message, labels),
        "tlp": labels.tlp,
        "pap": labels.pap,
    });
    match version {
        TheHiveVersion::Five => {
            alert["observables"] = observables(message).into();
            if let Some(link) = message.links.console.as_deref().and_then(https_address) {
                alert["externalLink"] = link.into();
            }
        }
        TheHiveVersion::Four => alert["artifacts"] = observables(message).into(),
    }
    alert
}

/// What is added to an alert or a case that grew.
pub fn update(message: &Message) -> String {
    let headline = inert(&Telling::of(message).headline, Medium::Markdown, MOST_LINE);
    format!("**{headline}**\n\n{}", description(message))
}

/// Finds an alert by its reference (the query API of version 5).
pub(super) fn find_five(reference: &str) -> Value {
    let is = |field: &str, value: &str| json!({"_eq": {"_field": field, "_value": value}});
    json!({"query": [
        {"_name": "listAlert"},
        {"_name": "filter", "_and": [is("type", DIAL), is("source", DIAL), is("sourceRef", reference)]},
        {"_name": "page", "from": 0, "to": 1},
    ]})
}

/// The same, as versions 3 and 4 search.
pub(super) fn find_four(reference: &str) -> Value {
    let is = |field: &str, value: &str| json!({"_field": field, "_value": value});
    json!({"query": {"_and": [is("type", DIAL), is("source", DIAL), is("sourceRef", reference)]}})
}

/// Whether a description tells what this message does: it names the delivery.
pub(super) fn is_told(description: &str, message: &Message) -> bool {
    description.contains(&delivery(message))
}

/// What a message is called.
fn delivery(message: &Message) -> String {
    format!("- Delivery {}", inert(&message.key, Medium::MarkdownCode, MOST_LINE))
}

fn description(message: &Message) -> String {
    let telling = Telling::of(message);
    let shown = |text: &str| inert(text, Medium::Markdown, MOST_LINE);
    let mut parts: Vec<String> = Vec::new();
    let facts = telling.facts.iter().map(|fact| {
        let medium = if fact.is_code { Medium::MarkdownCode } else { Medium::Markdown };
        format!("- **{}:** {}", shown(fact.name), inert(&fact.text, medium, MOST_LINE))
    });
    parts.push(facts.collect::<Vec<_>>().join("\n"));
    parts.extend(telling.count.as_deref().map(|count| format!("**{}**", shown(count))));
    let beside = message.finding_ids.len().saturating_sub(1).max(telling.others.len());
    let timeline = ("What happened (UTC)", &telling.timeline, telling.timeline.len());
    for (title, lines, all) in [timeline, ("Also", &telling.others, beside)] {
        let beyond = all.saturating_sub(lines.len().min(MOST_LINES));
        let more = (beyond > 0).then(|| format!("- … and {beyond} more"));
        let lines = lines.iter().take(MOST_LINES).map(|line| format!("- {}", shown(line)));
        let lines: Vec<String> = lines.chain(more).collect();
        parts.extend((!lines.is_empty()).then(|| format!("### {title}\n\n{}", lines.join("\n"))));
    }
    let first_step = message.advice.first_step.as_deref().unwrap_or_default();
    for (title, text) in [("Why it matters", message.advice.why.as_str()), ("What to do first", first_step)] {
        let text = paragraphs(text, Medium::Markdown, MOST_ADVICE);
        parts.extend((!text.is_empty()).then(|| format!("### {title}\n\n{text}")));
    }
    parts.push(read_on(message));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

/// Where to read on, and what this message is called.
fn read_on(message: &Message) -> String {
    let code = |text: &str| inert(text, Medium::MarkdownCode, MOST_LINE);
    let links = &message.links;
    let named = |name: &str, text: &str| (!is_blank(text)).then(|| format!("- {name}{}", code(text)));
    let mut lines: Vec<String> = named("", &links.show).into_iter().collect();
    lines.extend(links.list.as_deref().and_then(|list| named("All of them: ", list)));
    let console = links.console.as_deref().and_then(https_address);
    lines.extend(console.map(|address| format!("- [Event in CloudTrail](<{address}>)")));
    let references = message.advice.references.iter().take(10).filter_map(|text| https_address(text));
    lines.extend(references.map(|address| format!("- <{address}>")));
    lines.push(delivery(message));
    format!("### Read on\n\n{}", lines.join("\n"))
}

fn tags(message: &Message, labels: &TheHiveLabels) -> Vec<String> {
    let subject = &message.lead.finding.subject;
    let account = subject.account_id.as_ref().map(|id| format!("account-{id}"));
    let sample = message.is_sample.then(|| "sample".to_owned());
    let techniques = subject.techniques.iter().chain(&message.advice.tactics).cloned();
    let all =
        [Some(DIAL.to_owned()), Some(message.severity.as_str().to_owned()), sample, account].into_iter().flatten();
    let mut tags: Vec<String> = Vec::new();
    // Techniques last: there may be too many of them.
    for tag in all.chain(labels.tags.iter().cloned()).chain(techniques) {
        let tag = inert(&tag, Medium::Plain, MOST_TAG);
        if !tag.is_empty() && !tags.contains(&tag) && tags.len() < MOST_TAGS {
            tags.push(tag);
        }
    }
    tags
}

/// Addresses and callers, each once: TheHive 4 refuses an alert that names one twice.
fn observables(message: &Message) -> Vec<Value> {
    let findings = [&message.lead].into_iter().chain(&message.others);
    let mut seen: BTreeSet<(&'static str, String)> = BTreeSet::new();
    let mut observables = Vec::new();
    for (kind, data, what) in findings.flat_map(seen_in) {
        let data = inert(&data, Medium::Plain, MOST_OBSERVABLE);
        if observables.len() < MOST_OBSERVABLES && !data.is_empty() && seen.insert((kind, data.clone())) {
            observables.push(json!({"dataType": kind, "data": data, "message": what, "tags": [DIAL]}));
        }
    }
    observables
}

fn seen_in(assessment: &Assessment) -> impl Iterator<Item = (&'static str, String, &'static str)> + use<> {
    let finding = &assessment.finding;
    let sources = finding.evidence.iter().filter_map(|evidence| evidence.source_ip.as_ref());
    let addresses = finding.subject.source_ip.iter().chain(sources).filter_map(|text| text.parse::<IpAddr>().ok());
    let addresses = addresses.map(|address| ("ip", address.to_string(), "where the call came from"));
    let arn = finding.subject.actor_arn.iter().map(|arn| ("other", arn.clone(), "the caller"));
    addresses.chain(arn).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{SampleKind, sample};

    #[test]
    fn an_observable_is_named_once() {
        let mut message = sample(SampleKind::Storm);
        message.lead.finding.subject.source_ip = Some("not an address".to_owned());
        let observables = observables(&message);
        let data: Vec<&str> = observables.iter().filter_map(|one| one["data"].as_str()).collect();
        assert_eq!(data, ["arn:aws:sts::111122223333:assumed-role/Admin/alice", "198.51.100.7"]);
    }
}
