//! [`Patterns`]: the EventBridge event patterns that forward every event a set of rules can match.
//!
//! Each rule's necessary conditions become alternatives of a `$or`: services with their API calls, or a few fields where
//! a rule names no call. What keeps a matching event from failing them:
//!
//! - Texts are compared without case, as Sigma compares them, unless the rule says `cased`. EventBridge's `wildcard`
//!   cannot do that, so it is used where CloudTrail has one spelling only (`requirement.rs`) or the rule tells
//!   case apart; elsewhere a weaker condition takes its place.
//! - Conditions with `not`, on facts, on elements of lists and on anything else that is not understood are left out: the
//!   patterns may pass too much, never too little.
//!
//! Calls whose names begin with `Describe`, `Get` or `List` are in patterns of their own. EventBridge gives them only to
//! rules whose state is `ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS`, and there are many more of them:
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail-management.html>.

mod clauses;
mod packing;

use serde::Serialize;
use serde_json::{Value, json};

use crate::event::EventKind;
use crate::event_pattern::EventPattern;
use crate::rule::Rule;
use clauses::Wanted;

/// The most characters that EventBridge takes in a pattern.
pub const MOST_CHARACTERS: usize = 2048;

/// One event pattern.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pattern {
    /// A name among the others, such as `cloudtrail-1`; letters, digits and hyphens.
    pub name: String,
    /// The pattern. On one line it has at most [`MOST_CHARACTERS`], even with blanks after its commas and colons.
    pub pattern: Value,
    /// Whether its rule at EventBridge must be in the state `ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS`.
    pub read_only: bool,
    /// Ids of the rules that it is for.
    pub rules: Vec<String>,
}

impl Pattern {
    /// How long the pattern is on one line with a blank after each comma and colon, in characters.
    pub fn characters(&self) -> usize {
        packing::characters(&self.pattern)
    }
}

/// The patterns of a set of rules.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Patterns {
    /// As few patterns as the conditions fit into.
    pub patterns: Vec<Pattern>,
    /// Ids of rules that may match any event: for them the patterns named `everything` forward all that CloudTrail sends.
    pub everything: Vec<String>,
    /// Ids of rules whose conditions contradict each other.
    pub never: Vec<String>,
}

impl Patterns {
    /// Derives the patterns of these rules.
    pub fn of<'r>(rules: impl IntoIterator<Item = &'r Rule>) -> Patterns {
        let rules: Vec<&Rule> = rules.into_iter().collect();
        let wanted = Wanted::of(&rules);
        let ids = |indexes: &[usize]| indexes.iter().map(|&index| rules[index].id.clone()).collect::<Vec<_>>();
        let mut patterns = packing::pack(&wanted, &ids);
        patterns.extend(everything(ids(&wanted.everything)));
        patterns.extend(findings(&rules));
        let never = rules.iter().filter(|rule| rule.requirement.clauses.is_empty()).map(|rule| rule.id.clone());
        Patterns { patterns, everything: ids(&wanted.everything), never: never.collect() }
    }

    /// The patterns, ready to be evaluated.
    pub fn forwarding(&self) -> Forwarding {
        let parsed = |pattern: &Pattern| Some((pattern.read_only, EventPattern::parse(&pattern.pattern).ok()?));
        Forwarding(self.patterns.iter().filter_map(parsed).collect())
    }

    /// Whether EventBridge forwards an event, envelope and all, by one of the patterns.
    pub fn forwards(&self, envelope: &Value) -> bool {
        self.forwarding().forwards(envelope)
    }
}

/// Patterns, each with whether it is for read-only calls too, to be evaluated on many events.
#[derive(Debug, Clone)]
pub struct Forwarding(Vec<(bool, EventPattern)>);

impl Forwarding {
    /// Whether EventBridge forwards an event, envelope and all, by one of the patterns.
    pub fn forwards(&self, envelope: &Value) -> bool {
        let withheld = is_withheld(envelope);
        self.0.iter().any(|(read_only, pattern)| (*read_only || !withheld) && pattern.matches(envelope))
    }
}

/// The envelope in which EventBridge would deliver a CloudTrail record, or a finding of GuardDuty or Security Hub; an
/// envelope is returned as it is. <https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-cloudtrail.html>
pub fn envelope(event: &Value) -> Value {
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    let is_record = ["eventSource", "eventName", "eventID"].iter().any(|name| event.get(name).is_some());
    let (source, detail_type, detail) = match text("eventType") {
        _ if event.get("detail-type").is_some() => return event.clone(),
        _ if !is_record && event.get("schemaVersion").is_some() => ("guardduty", "GuardDuty Finding", event.clone()),
        _ if !is_record => ("securityhub", "Security Hub Findings - Imported", json!({"findings": [event]})),
        "AwsConsoleSignIn" => ("", "AWS Console Sign In via CloudTrail", event.clone()),
        "AwsServiceEvent" => ("", "AWS Service Event via CloudTrail", event.clone()),
        "AwsConsoleAction" => ("", "AWS Console Action via CloudTrail", event.clone()),
        _ => ("", "AWS API Call via CloudTrail", event.clone()),
    };
    let service = text("eventSource").split('.').next().unwrap_or_default();
    json!({
        "version": "0", "id": event["eventID"], "detail-type": detail_type, "source": format!("aws.{source}{service}"),
        "account": event["recipientAccountId"], "time": event["eventTime"], "region": event["awsRegion"],
        "resources": [], "detail": detail,
    })
}

/// What CloudTrail sends, in envelopes that the decoder takes.
fn cloudtrail(detail: Option<Value>) -> Value {
    let mut pattern = json!({"source": [{"prefix": "aws."}], "detail-type": [{"suffix": " via CloudTrail"}]});
    if let Some(detail) = detail {
        pattern["detail"] = detail;
    }
    pattern
}

fn everything(rules: Vec<String>) -> Vec<Pattern> {
    if rules.is_empty() {
        return Vec::new();
    }
    let reads: Vec<Value> = clauses::READS.iter().map(|verb| json!({"prefix": verb})).collect();
    let reads = cloudtrail(Some(json!({"eventName": reads})));
    let pattern =
        |name: &str, pattern, read_only| Pattern { name: name.into(), pattern, read_only, rules: rules.clone() };
    vec![pattern("everything", cloudtrail(None), false), pattern("everything-read-only", reads, true)]
}

/// Findings of other services: all of them, since they are few.
fn findings(rules: &[&Rule]) -> Option<Pattern> {
    let wants = |rule: &Rule, kind| {
        let nameless = rule.requirement.clauses.iter().any(clauses::is_nameless);
        rule.looks_at(kind) && (nameless || rule.service.is_some()) && !rule.requirement.clauses.is_empty()
    };
    let of_kind = |kind| rules.iter().any(|rule| wants(rule, kind));
    let guardduty = of_kind(EventKind::GuardDuty)
        .then(|| json!({"source": ["aws.guardduty"], "detail-type": ["GuardDuty Finding"]}));
    let securityhub = of_kind(EventKind::SecurityHub)
        .then(|| json!({"source": ["aws.securityhub"], "detail-type": [{"prefix": "Security Hub Findings"}]}));
    let pattern = match (guardduty, securityhub) {
        (Some(guardduty), Some(securityhub)) => json!({"$or": [guardduty, securityhub]}),
        (one, other) => one.or(other)?,
    };
    let both = |rule: &&&Rule| wants(rule, EventKind::GuardDuty) || wants(rule, EventKind::SecurityHub);
    let rules = rules.iter().filter(both).map(|rule| rule.id.clone()).collect();
    Some(Pattern { name: "findings".into(), pattern, read_only: false, rules })
}

/// Whether EventBridge gives an event only to rules that ask for read-only calls.
fn is_withheld(envelope: &Value) -> bool {
    let is_cloudtrail = envelope["detail-type"].as_str().is_some_and(|kind| kind.ends_with(" via CloudTrail"));
    is_cloudtrail && envelope["detail"]["eventName"].as_str().is_some_and(clauses::is_read)
}

#[cfg(test)]
#[path = "patterns_tests.rs"]
mod tests;
