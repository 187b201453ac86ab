//! [`Finding`]: the durable result of a match. What it contains is a join of what was seen, so that findings are a
//! function of the set of events, whatever the order, the repetitions and the number of workers.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::actor::{actor, source_ip};
use crate::event::Millis;
use crate::facts::target;
use crate::lineage::{self, Lineage};
use crate::ruleset::Match;
use crate::severity::Severity;

/// How many of the earliest, and of the latest, matches a finding keeps for each rule.
pub const EVIDENCE_EACH: usize = 5;

/// Where a finding's count of events ends: from there on it is shown as `10,000+`.
pub const MOST_EVENTS: u64 = 10_000;

/// Where a finding comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingKind {
    /// One event that satisfies a rule.
    Single,
    /// Several matches, by a correlation rule.
    Correlated,
}

/// One match that a finding rests on. Ordered by time, then id, then the rest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Evidence {
    /// When the event happened.
    #[serde(with = "time_text")]
    pub event_time: Millis,
    /// [`crate::event::Event::id`].
    pub event_id: String,
    /// The API call's name; of a GuardDuty or Security Hub finding its type.
    pub event_name: String,
    /// The service's name, such as `iam.amazonaws.com`.
    pub event_source: String,
    /// The rule that the event satisfies.
    pub rule_id: String,
    /// What the call is about, by name: `alice, AdministratorAccess`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Of a correlated finding: the account. A single event's finding says it itself, as it does the next three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// The region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Who acted, as a person would say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The address, or the AWS service's name, that the call came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_ip: Option<String>,
}

/// An event at which a correlation's condition holds. Findings that share one are one incident.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Completion {
    /// When the event happened.
    #[serde(with = "time_text")]
    pub event_time: Millis,
    /// What makes events one: `sharedEventID` where there is one, else [`crate::event::Event::id`].
    pub event_id: String,
}

/// What a finding says of its rule, and of who acted where in its earliest event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// The rule's title.
    pub rule_title: String,
    /// The rule's level.
    pub severity: Severity,
    /// The account, 12 digits.
    pub account_id: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// Who acted, as a person would say it.
    pub actor: Option<String>,
    /// The address, or the AWS service's name, that the call came from.
    pub source_ip: Option<String>,
    /// ATT&CK techniques of the rule, such as `T1098.001`.
    pub techniques: Vec<String>,
    /// The caller's ARN, where the event has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_arn: Option<String>,
    /// The credential and the persons that the event itself names.
    #[serde(default, skip_serializing_if = "Lineage::is_empty")]
    pub origin: Lineage,
}

/// A finding. Its JSON is one flat object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// A function of what happened: 32 hexadecimal digits.
    pub finding_id: String,
    /// Where it comes from.
    pub kind: FindingKind,
    /// The rule's id.
    pub rule_id: String,
    /// What it says of its rule and actor.
    #[serde(flatten)]
    pub subject: Subject,
    /// Time of the earliest match.
    #[serde(with = "time_text")]
    pub first_seen: Millis,
    /// Time of the latest match.
    #[serde(with = "time_text")]
    pub last_seen: Millis,
    /// Field and value of a correlated finding's group; empty otherwise.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub group: BTreeMap<String, String>,
    /// Number of distinct events that the finding rests on, up to [`MOST_EVENTS`].
    pub event_count: u64,
    /// For each rule the earliest and the latest matches, [`EVIDENCE_EACH`] of each.
    pub evidence: BTreeSet<Evidence>,
    /// Of a correlated finding: in which stretch of its correlation's timespan the completions lie, counted from 1970.
    /// Findings of one group in adjacent buckets are one alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<i64>,
    /// Whether the order of events with equal times was taken to be the one that the rule asks for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub order_ambiguous: bool,
    /// The earliest and the latest completions of a correlated finding, [`EVIDENCE_EACH`] of each.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub completed_by: BTreeSet<Completion>,
}

impl Finding {
    /// The finding of a single event. Its id is a hash of the rule's id and the event's; all states of one GuardDuty or
    /// Security Hub finding share it.
    pub fn single(found: &Match<'_>) -> Finding {
        let Match { rule, event } = found;
        let evidence = Evidence {
            event_time: event.time(),
            event_id: event.id().to_owned(),
            event_name: event.name().into_owned(),
            event_source: event.source().into_owned(),
            rule_id: rule.id.clone(),
            target: target::told(event),
            account_id: None,
            region: None,
            actor: None,
            source_ip: None,
        };
        Finding {
            finding_id: finding_id(&["single", &rule.id, &event.subject_id()]),
            kind: FindingKind::Single,
            rule_id: rule.id.clone(),
            subject: Subject {
                rule_title: rule.title.clone(),
                severity: rule.severity,
                account_id: event.account_id().map(Into::into),
                region: event.region().map(Into::into),
                actor: actor(event),
                source_ip: source_ip(event),
                techniques: rule.techniques.clone(),
                actor_arn: event.text_at(&["userIdentity", "arn"]).map(Into::into),
                origin: lineage::origin(event),
            },
            first_seen: event.time(),
            last_seen: event.time(),
            group: BTreeMap::new(),
            event_count: 1,
            evidence: BTreeSet::from([evidence]),
            bucket: None,
            order_ambiguous: false,
            completed_by: BTreeSet::new(),
        }
    }

    /// Joins two states of one finding: idempotent, commutative and associative, so states may arrive in any order and
    /// as often as they like. Both must have the same id.
    pub fn merge(self, other: Finding) -> Finding {
        debug_assert_eq!(self.finding_id, other.finding_id);
        // The subject is that of the earliest event; where copies of it, or versions of a rule, differ, the lesser one.
        let subject = match (self.evidence.first(), other.evidence.first()) {
            (ours, theirs) if (ours, &self.subject) <= (theirs, &other.subject) => self.subject,
            _ => other.subject,
        };
        Finding {
            finding_id: self.finding_id,
            kind: self.kind.min(other.kind),
            rule_id: self.rule_id.min(other.rule_id),
            subject,
            first_seen: self.first_seen.min(other.first_seen),
            last_seen: self.last_seen.max(other.last_seen),
            group: self.group.min(other.group),
            event_count: self.event_count.max(other.event_count),
            evidence: keep_ends(self.evidence.into_iter().chain(other.evidence).collect()),
            bucket: self.bucket.min(other.bucket),
            order_ambiguous: self.order_ambiguous || other.order_ambiguous,
            completed_by: ends(self.completed_by.into_iter().chain(other.completed_by).collect()),
        }
    }

    /// The number of events as people read it: `10,000+` where counting ended.
    pub fn event_count_text(&self) -> String {
        if self.event_count >= MOST_EVENTS { "10,000+".to_owned() } else { self.event_count.to_string() }
    }
}

/// Keeps the first and the last [`EVIDENCE_EACH`].
fn ends(all: BTreeSet<Completion>) -> BTreeSet<Completion> {
    let beyond = all.len().saturating_sub(EVIDENCE_EACH);
    all.into_iter().enumerate().filter(|(at, _)| *at < EVIDENCE_EACH || *at >= beyond).map(|(_, kept)| kept).collect()
}

/// Keeps the earliest and the latest pieces of evidence of each rule. Truncating a union of truncated sets gives what
/// truncating the union of the whole sets gives, which makes this a join.
fn keep_ends(all: BTreeSet<Evidence>) -> BTreeSet<Evidence> {
    let mut by_rule: BTreeMap<String, Vec<Evidence>> = BTreeMap::new();
    for evidence in all {
        by_rule.entry(evidence.rule_id.clone()).or_default().push(evidence);
    }
    let mut kept = BTreeSet::new();
    for (_, mut list) in by_rule {
        if list.len() > 2 * EVIDENCE_EACH {
            list.drain(EVIDENCE_EACH..list.len() - EVIDENCE_EACH);
        }
        kept.extend(list);
    }
    kept
}

/// SHA-256 over the parts, each preceded by its length so that no two lists of parts run together; its first 16 bytes
/// in hexadecimal.
pub(crate) fn finding_id(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Times as RFC 3339 text.
pub(crate) mod time_text {
    use crate::event::{Millis, parse_rfc3339, rfc3339};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
    pub(crate) fn serialize<S: Serializer>(time: &Millis, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&rfc3339(*time))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Millis, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_rfc3339(&text).ok_or_else(|| D::Error::custom(format!("{text:?} is no RFC 3339 time")))
    }
}

#[cfg(test)]
#[path = "finding_tests.rs"]
mod tests;
