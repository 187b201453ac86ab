//! [`Message`]: what an alert says, whatever the destination makes of it.

use std::collections::BTreeSet;

use dial_rules::assessment::Assessment;
use dial_rules::event::Millis;
use dial_rules::finding::{Finding, FindingKind};
use dial_rules::severity::Severity;
use serde::Serialize;

use crate::outbox::alert::Group;
use crate::text::is_blank;

/// What one delivery of an alert says. Every text in it may come from an event: a destination escapes all of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The idempotency key of this delivery: every attempt has the same.
    pub key: String,
    /// Names the alert: the same for its first message and all that update it.
    pub thread: String,
    /// Where this message stands among those of its alert, from 0.
    pub sequence: u64,
    /// What its findings have in common.
    pub group: Group,
    /// How bad the worst of its findings is here.
    pub severity: Severity,
    /// One line: what happened.
    pub title: String,
    /// The finding that says the most.
    pub lead: Assessment,
    /// The others that this message names, the most telling first; at most [`MOST_SHOWN`] of them.
    pub others: Vec<Assessment>,
    /// Ids of all findings that this message names: `lead`, `others` and those beyond.
    pub finding_ids: Vec<String>,
    /// What all of those are of.
    pub of: Subjects,
    /// How many findings the alert has named, with those of this message.
    pub count: u64,
    /// What happened when, in order; of a finding of one event that event alone.
    pub moments: Vec<Moment>,
    /// Why the lead's rule matters, and what to do first.
    pub advice: Advice,
    /// Where to read on.
    pub links: Links,
    /// A sample, sent by hand: nothing happened.
    pub is_sample: bool,
}

/// What findings are of, all of them together: what subscribers filter by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subjects {
    /// Whether one of them is correlated.
    pub is_correlated: bool,
    /// Ids of their rules.
    pub rules: BTreeSet<String>,
    /// The accounts that they are in, and those of their events.
    pub accounts: BTreeSet<String>,
    /// Ids of their ATT&CK techniques.
    pub techniques: BTreeSet<String>,
}

impl Subjects {
    /// Of one finding more.
    pub fn add(&mut self, finding: &Finding) {
        self.is_correlated |= finding.kind == FindingKind::Correlated;
        self.rules.insert(finding.rule_id.clone());
        let of_events = finding.evidence.iter().filter_map(|evidence| evidence.account_id.as_ref());
        self.accounts.extend(finding.subject.account_id.iter().chain(of_events).cloned());
        self.techniques.extend(finding.subject.techniques.iter().cloned());
    }
}

impl<'f> FromIterator<&'f Finding> for Subjects {
    fn from_iter<I: IntoIterator<Item = &'f Finding>>(findings: I) -> Subjects {
        let mut subjects = Subjects::default();
        findings.into_iter().for_each(|finding| subjects.add(finding));
        subjects
    }
}

/// What stands for a title in which there is nothing to see, where the rule's id is no better.
const UNTITLED: &str = "an alert without a title";

impl Message {
    /// The title, which is never blank: destinations refuse what has none.
    pub fn titled(&self) -> &str {
        title_or_rule(&self.title, &self.lead.finding.rule_id)
    }
}

/// A title, or the rule's id where there is nothing to see in it.
pub(crate) fn title_or_rule<'t>(title: &'t str, rule_id: &'t str) -> &'t str {
    [title, rule_id].into_iter().find(|text| !is_blank(text)).unwrap_or(UNTITLED)
}

/// Most findings of a message that are told one by one, beside the lead.
pub const MOST_SHOWN: usize = 20;

/// What a rule says to whoever gets its alert.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// The rule's `description`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// What to do first: the rule's `dial.remediation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_step: Option<String>,
    /// The rule's `references`, as far as they are https URLs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
    /// ATT&CK tactics, such as `persistence`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tactics: Vec<String>,
}

/// One line of the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// When.
    #[serde(serialize_with = "as_rfc3339")]
    pub time: Millis,
    /// Who, as a person would say it.
    pub who: String,
    /// From where: an address with its country, or a service.
    pub from: String,
    /// What, and to what where that is known: `iam AttachUserPolicy bob, AdministratorAccess`.
    pub what: String,
    /// The account, with its name where that is known.
    pub account: String,
    /// The region.
    pub region: String,
    /// The title of the rule that it satisfies.
    pub rule: String,
}

/// Where to read on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Links {
    /// The lead's first event in the CloudTrail console.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console: Option<String>,
    /// The command that shows the lead whole.
    pub show: String,
    /// The command that lists all findings of the alert, where there are more than this message tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
}

fn as_rfc3339<S: serde::Serializer>(time: &Millis, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&dial_rules::event::rfc3339(*time))
}
