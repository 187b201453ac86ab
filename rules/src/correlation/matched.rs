//! [`CorrelationMatch`]: what a window keeps of a match.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::values::bounded;
use super::{Correlation, MOST_VALUES};
use crate::event::{Key, Millis};
use crate::finding::{Evidence, Finding, time_text};
use crate::lineage::Lineage;
use crate::ruleset::Match;

/// A match in a window. Ordered by time, then id, then the rest; texts are at most [`super::LONGEST_VALUE`] bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CorrelationMatch {
    /// When the event happened.
    #[serde(with = "time_text")]
    pub event_time: Millis,
    /// [`crate::event::Event::id`], which findings show.
    pub event_id: String,
    /// The API call's name; of a finding its type.
    pub event_name: String,
    /// The service's name, such as `iam.amazonaws.com`.
    pub event_source: String,
    /// The rule that the event satisfies; of a completion, the correlation.
    pub rule_id: String,
    /// The account, 12 digits.
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
    /// What the call is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The caller's ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_arn: Option<String>,
    /// The credential and the persons that the event itself names.
    #[serde(default, skip_serializing_if = "Lineage::is_empty")]
    pub origin: Lineage,
    /// `sharedEventID`, where it is another than `event_id`: by it copies of one call in several accounts are one event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_event_id: Option<String>,
    /// The values that `value_count` counts.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub values: BTreeSet<String>,
}

impl CorrelationMatch {
    /// What to keep of a match, without the values that a correlation may count.
    pub fn of(found: &Match<'_>) -> CorrelationMatch {
        CorrelationMatch::of_single(&Finding::single(found), found)
    }

    /// The same where the finding of the match alone is there already: making one reads much of the event.
    pub(super) fn of_single(finding: &Finding, found: &Match<'_>) -> CorrelationMatch {
        let Finding { subject, evidence, rule_id, .. } = finding;
        let optional = |text: &Option<String>| text.as_deref().map(bounded);
        let text =
            |read: fn(&Evidence) -> &String| evidence.first().map(|seen| bounded(read(seen))).unwrap_or_default();
        let event_id = text(|seen| &seen.event_id);
        let shared = found.event.text(Key::SharedEventId).filter(|shared| !shared.is_empty());
        CorrelationMatch {
            event_time: found.event.time(),
            event_name: text(|seen| &seen.event_name),
            event_source: text(|seen| &seen.event_source),
            rule_id: rule_id.clone(),
            account_id: optional(&subject.account_id),
            region: optional(&subject.region),
            actor: optional(&subject.actor),
            source_ip: optional(&subject.source_ip),
            target: evidence.first().and_then(|seen| seen.target.clone()),
            actor_arn: optional(&subject.actor_arn),
            origin: subject.origin.clone(),
            shared_event_id: shared.map(|shared| bounded(&shared)).filter(|shared| *shared != event_id),
            values: BTreeSet::new(),
            event_id,
        }
    }

    /// What makes events one: `sharedEventID` where there is one, else the id.
    pub fn distinct_id(&self) -> &str {
        self.shared_event_id.as_deref().unwrap_or(&self.event_id)
    }

    /// With values to count, the smallest [`MOST_VALUES`] of them.
    pub(super) fn counting(mut self, values: impl IntoIterator<Item = String>) -> CorrelationMatch {
        let all: BTreeSet<String> = values.into_iter().collect();
        self.values = all.into_iter().take(MOST_VALUES).collect();
        self
    }

    /// As the match of an outer correlation: a completion of `inner` at this event.
    pub(super) fn completing(&self, inner: &Correlation) -> CorrelationMatch {
        CorrelationMatch { rule_id: inner.id.clone(), values: BTreeSet::new(), ..self.clone() }
    }
}
