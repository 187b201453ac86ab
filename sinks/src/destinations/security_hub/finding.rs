//! Findings in the AWS Security Finding Format (ASFF), 2018-10-08
//! (<https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-findings-format-syntax.html>). Pure.

use std::net::IpAddr;

use chrono::{DateTime, SecondsFormat, Utc};
use dial_rules::assessment::Assessment;
use dial_rules::event::rfc3339;
use dial_rules::severity::Severity;
use reqwest::Url;
use serde_json::{Map, Value, json};

use crate::message::{Message, title_or_rule};
use crate::telling::Telling;
use crate::text::{Medium, https_address, inert};

/// Longest title.
const MOST_TITLE: usize = 256;
/// Longest description.
const MOST_DESCRIPTION: usize = 1_024;
/// Longest recommendation.
const MOST_RECOMMENDATION: usize = 512;
/// Longest id of a generator or a resource.
const MOST_ID: usize = 512;
/// Longest value of a product's field; Security Hub takes 2,048.
const MOST_FIELD: usize = 1_000;
/// Ids in one field of the product: 32 characters each, and a space.
const IDS_A_FIELD: usize = 60;
/// Most fields with ids; a finding has at most 50 fields of its product.
const MOST_ID_FIELDS: usize = 35;

/// The hub that findings are sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hub {
    /// Whose findings they are, 12 digits.
    pub(super) account: String,
    /// Such as `eu-west-1`.
    pub(super) region: String,
}

impl Hub {
    /// The hub of an account in a region.
    ///
    /// # Errors
    /// What to write instead, to follow the name of the account's key.
    pub fn new(account: &str, region: &str) -> Result<Hub, String> {
        if !is_account(account) {
            return Err(format!("is {account:?}: write the account's 12 digits"));
        }
        let is_region = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if region.is_empty() || region.len() > 40 || !region.chars().all(is_region) {
            return Err(format!("has no hub in the region {region:?}: write one such as \"eu-west-1\" in `region`"));
        }
        Ok(Hub { account: account.to_owned(), region: region.to_owned() })
    }

    pub(super) fn endpoint(&self) -> Result<Url, String> {
        let domain = if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let url = Url::parse(&format!("https://securityhub.{}.{domain}/", self.region));
        url.map_err(|error| format!("makes no address: {error}"))
    }

    fn partition(&self) -> &'static str {
        match self.region.as_str() {
            region if region.starts_with("cn-") => "aws-cn",
            region if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }

    /// The product that an account's own findings are of.
    fn product(&self) -> String {
        let Hub { account, region } = self;
        format!("arn:{}:securityhub:{region}:{account}:product/{account}/default", self.partition())
    }
}

/// The findings that a message tells one by one, as of `now`. The first one names those that it does not.
pub fn findings(message: &Message, hub: &Hub, now: DateTime<Utc>) -> Vec<Value> {
    let told: Vec<&Assessment> = std::iter::once(&message.lead).chain(&message.others).collect();
    let mut findings: Vec<Value> = Vec::new();
    for (at, assessment) in told.iter().enumerate() {
        // A call with one id twice is refused.
        if told[..at].iter().all(|before| before.finding.finding_id != assessment.finding.finding_id) {
            findings.push(finding(message, assessment, at == 0, hub, now));
        }
    }
    let is_told = |id: &String| told.iter().any(|assessment| assessment.finding.finding_id == *id);
    let beyond: Vec<&str> = message.finding_ids.iter().filter(|id| !is_told(id)).map(String::as_str).collect();
    for (ids, number) in beyond.chunks(IDS_A_FIELD).take(MOST_ID_FIELDS).zip(1..) {
        findings[0]["ProductFields"][format!("dial/also/{number}")] = ids.join(" ").into();
    }
    findings
}

fn finding(message: &Message, assessment: &Assessment, is_lead: bool, hub: &Hub, now: DateTime<Utc>) -> Value {
    let Assessment { finding, disposition, .. } = assessment;
    // Of the others the advice is not known.
    let tactics: &[String] = if is_lead { &message.advice.tactics } else { &[] };
    let types = types(tactics);
    let severity = json!({"Label": label(disposition.severity), "Original": disposition.severity.as_str()});
    let mark = if message.is_sample { "SAMPLE: " } else { "" };
    let title = title_or_rule(&finding.subject.rule_title, &finding.rule_id);
    let title = shown(&format!("{mark}{title}"), MOST_TITLE);
    let mut asff = json!({
        "SchemaVersion": "2018-10-08",
        "Id": finding.finding_id,
        "ProductArn": hub.product(),
        "GeneratorId": or(shown(&finding.rule_id, MOST_ID), "dial"),
        "AwsAccountId": hub.account,
        "Types": types,
        "FirstObservedAt": rfc3339(finding.first_seen),
        "LastObservedAt": rfc3339(finding.last_seen),
        "CreatedAt": rfc3339(finding.first_seen),
        // What is not later than what is there changes nothing.
        "UpdatedAt": now.to_rfc3339_opts(SecondsFormat::Millis, true),
        "Severity": severity,
        "FindingProviderFields": {"Severity": severity, "Types": types},
        "Title": title,
        "Description": or(description(message, assessment, is_lead), "See the finding in DIAL."),
        "Resources": resources(assessment, hub),
        "ProductFields": fields(message, assessment, is_lead),
        "RecordState": "ACTIVE",
    });
    if let Some(network) = network(assessment) {
        asff["Network"] = network;
    }
    if let Some(url) = message.links.console.as_deref().and_then(https_address).filter(|_| is_lead) {
        asff["SourceUrl"] = url.into();
    }
    let recommendation = message.advice.first_step.as_deref().filter(|_| is_lead).unwrap_or_default();
    let recommendation = shown(recommendation, MOST_RECOMMENDATION);
    if !recommendation.is_empty() {
        asff["Remediation"]["Recommendation"]["Text"] = recommendation.into();
        if let Some(url) = message.advice.references.iter().find_map(|url| https_address(url)) {
            asff["Remediation"]["Recommendation"]["Url"] = url.into();
        }
    }
    asff
}

fn shown(text: &str, most: usize) -> String {
    inert(text, Medium::Linking, most)
}

/// A text that must not be empty.
fn or(text: String, otherwise: &str) -> String {
    if text.is_empty() { otherwise.to_owned() } else { text }
}

/// What happened, and why it matters where that is known.
fn description(message: &Message, assessment: &Assessment, is_lead: bool) -> String {
    let moments = if is_lead { message.moments.clone() } else { Vec::new() };
    let told = Telling::of(&Message { lead: assessment.clone(), moments, ..message.clone() });
    let facts = told.facts.iter().map(|fact| format!("{}: {}", fact.name, fact.text));
    let why = Some(message.advice.why.clone()).filter(|why| !why.is_empty());
    let rest = if is_lead { why } else { calls(assessment) };
    shown(&facts.chain(rest).collect::<Vec<_>>().join("; "), MOST_DESCRIPTION)
}

/// What was called, for a finding that the message has no timeline of.
fn calls(assessment: &Assessment) -> Option<String> {
    let mut names: Vec<&str> = Vec::new();
    for evidence in &assessment.finding.evidence {
        if !names.contains(&evidence.event_name.as_str()) {
            names.push(&evidence.event_name);
        }
    }
    (!names.is_empty()).then(|| format!("Did what: {}", names.join(" → ")))
}

/// The account where it happened, and who acted.
fn resources(assessment: &Assessment, hub: &Hub) -> Vec<Value> {
    let subject = &assessment.finding.subject;
    let account = subject.account_id.as_deref().filter(|id| is_account(id)).unwrap_or(&hub.account);
    let mut place =
        json!({"Type": "AwsAccount", "Id": format!("AWS::::Account:{account}"), "Partition": hub.partition()});
    let is_region = |region: &&String| Hub::new(&hub.account, region).is_ok();
    if let Some(region) = subject.region.as_ref().filter(is_region) {
        place["Region"] = region.as_str().into();
    }
    let mut resources = vec![place];
    // Inert, since it is an event's; an ARN has nothing in it that would be changed.
    let arn = subject.actor_arn.as_deref().map(|arn| inert(arn, Medium::Plain, MOST_ID));
    if let Some(arn) = arn.filter(|arn| !arn.is_empty()) {
        let mut other = Map::new();
        let actor = subject.actor.as_deref().map(|actor| shown(actor, MOST_FIELD));
        for (name, value) in [("Role", Some("actor".to_owned())), ("Name", actor)] {
            other.extend(value.filter(|value| !value.is_empty()).map(|value| (name.to_owned(), value.into())));
        }
        let details = json!({"Other": other});
        resources.push(json!({"Type": "Other", "Id": arn, "Partition": hub.partition(), "Details": details}));
    }
    resources
}

fn fields(message: &Message, assessment: &Assessment, is_lead: bool) -> Map<String, Value> {
    let finding = &assessment.finding;
    let list = message.links.list.as_deref().filter(|_| is_lead).unwrap_or_default();
    let show = format!("dial findings show {}", finding.finding_id);
    let techniques = finding.subject.techniques.join(" ");
    let count = message.count.to_string();
    let all = [
        ("dial/alert", message.thread.as_str()),
        ("dial/delivery", &message.key),
        ("dial/count", &count),
        ("dial/show", &show),
        ("dial/list", list),
        ("dial/techniques", &techniques),
    ];
    let all = all.map(|(name, text)| (name.to_owned(), inert(text, Medium::Plain, MOST_FIELD)));
    all.into_iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name, text.into())).collect()
}

/// Where the call came from, when that is an address.
fn network(assessment: &Assessment) -> Option<Value> {
    let address: IpAddr = assessment.finding.subject.source_ip.as_deref()?.parse().ok()?;
    let key = if address.is_ipv4() { "SourceIpV4" } else { "SourceIpV6" };
    Some(json!({"Direction": "IN", key: address.to_string()}))
}

/// ATT&CK's tactics in the taxonomy of Security Hub, which has not all of them.
fn types(tactics: &[String]) -> Vec<String> {
    let of_one = |tactic: &String| match tactic.as_str() {
        "initial-access" => "TTPs/Initial Access",
        "execution" => "TTPs/Execution",
        "persistence" => "TTPs/Persistence",
        "privilege-escalation" => "TTPs/Privilege Escalation",
        "defense-evasion" => "TTPs/Defense Evasion",
        "credential-access" => "TTPs/Credential Access",
        "discovery" => "TTPs/Discovery",
        "lateral-movement" => "TTPs/Lateral Movement",
        "collection" => "TTPs/Collection",
        "command-and-control" => "TTPs/Command and Control",
        "exfiltration" => "Effects/Data Exfiltration",
        "impact" => "Effects",
        _ => "TTPs",
    };
    let mut types: Vec<String> = tactics.iter().map(|tactic| of_one(tactic).to_owned()).collect();
    types.sort_unstable();
    types.dedup();
    if types.is_empty() { vec!["TTPs".to_owned()] } else { types }
}

fn label(severity: Severity) -> &'static str {
    match severity {
        Severity::Informational => "INFORMATIONAL",
        Severity::Low => "LOW",
        Severity::Medium => "MEDIUM",
        Severity::High => "HIGH",
        Severity::Critical => "CRITICAL",
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_is_of_an_account_in_a_region() {
        let hub = Hub::new("111122223333", "cn-north-1").unwrap();
        assert_eq!(hub.endpoint().unwrap().as_str(), "https://securityhub.cn-north-1.amazonaws.com.cn/");
        assert!(
            hub.product().starts_with("arn:aws-cn:securityhub:cn-north-1:111122223333:product/111122223333/default")
        );
        for (account, region) in [("1111", "eu-west-1"), ("111122223333", ""), ("111122223333", "evil.example/")] {
            assert!(Hub::new(account, region).is_err(), "{account} {region}");
        }
    }

    #[test]
    fn tactics_are_types() {
        let of = |tactics: &[&str]| types(&tactics.iter().map(|tactic| (*tactic).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["persistence", "impact"]), ["Effects", "TTPs/Persistence"]);
        assert_eq!((of(&[]), of(&["<script>"])), (vec!["TTPs".to_owned()], vec!["TTPs".to_owned()]));
    }
}
