//! [`Desk`]: what the outbox asks of whoever knows rules, policy and context.

use std::collections::BTreeSet;

use async_trait::async_trait;
use dial_rules::assessment::Assessment;
use dial_rules::dedup::Dedup;
use dial_rules::finding::Finding;

use crate::message::{Advice, Moment};

/// Knows what findings mean here and now.
#[async_trait]
pub trait Desk: std::fmt::Debug + Send + Sync {
    /// The findings with their contexts and dispositions, in the same order. Takes half a second at most.
    async fn assess(&self, findings: Vec<Finding>) -> Vec<Assessment>;

    /// The names of the sinks that a finding goes to; none of one that is not open.
    fn routes(&self, assessment: &Assessment) -> BTreeSet<String>;

    /// What the rule with this id says; of one that is gone the default.
    fn notes(&self, rule_id: &str) -> Notes;

    /// What happened when, in order.
    fn moments(&self, finding: &Finding) -> Vec<Moment>;
}

/// What a rule says of its alerts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// What it says to whoever gets one.
    pub advice: Advice,
    /// What repeats have in common.
    pub dedup: Dedup,
}
