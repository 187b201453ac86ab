//! [`Seen`]: what [`evaluate()`](super::evaluate()) asks of a match.

use super::{Correlation, CorrelationMatch};
use crate::event::Millis;
use crate::finding::{Evidence, Subject};

/// A match, in whatever form it is kept. Ordered as a [`CorrelationMatch`] is: by time, then id, then the rest.
pub trait Seen: Ord {
    /// When the event happened.
    fn time(&self) -> Millis;

    /// The rule that the event satisfies; of a completion, the correlation.
    fn rule_id(&self) -> &str;

    /// What makes events one: `sharedEventID` where there is one, else the id.
    fn distinct_id(&self) -> &str;

    /// The values that `value_count` counts, each once.
    fn values(&self) -> impl Iterator<Item = &str>;

    /// As evidence of a correlated finding.
    fn evidence(&self) -> Evidence;

    /// What a finding says of which this is the earliest match.
    fn subject(&self, correlation: &Correlation) -> Subject;
}

impl Seen for CorrelationMatch {
    fn time(&self) -> Millis {
        self.event_time
    }

    fn rule_id(&self) -> &str {
        &self.rule_id
    }

    fn distinct_id(&self) -> &str {
        self.distinct_id()
    }

    fn values(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(String::as_str)
    }

    fn evidence(&self) -> Evidence {
        Evidence {
            event_time: self.event_time,
            event_id: self.event_id.clone(),
            event_name: self.event_name.clone(),
            event_source: self.event_source.clone(),
            rule_id: self.rule_id.clone(),
            target: self.target.clone(),
            account_id: self.account_id.clone(),
            region: self.region.clone(),
            actor: self.actor.clone(),
            source_ip: self.source_ip.clone(),
        }
    }

    fn subject(&self, correlation: &Correlation) -> Subject {
        Subject {
            rule_title: correlation.title.clone(),
            severity: correlation.severity,
            account_id: self.account_id.clone(),
            region: self.region.clone(),
            actor: self.actor.clone(),
            source_ip: self.source_ip.clone(),
            techniques: correlation.techniques.clone(),
            actor_arn: self.actor_arn.clone(),
            origin: self.origin.clone(),
        }
    }
}
