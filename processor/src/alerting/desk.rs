//! [`AlertDesk`]: what the rules, the policy and the tables in force say of a finding that is alerted.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use dial_rules::assessment::Assessment;
use dial_rules::finding::Finding;
use dial_rules::policy::routing::Routing;
use dial_rules::ruleset::RuleSet;
use dial_sinks::message::{Advice, Moment};
use dial_sinks::outbox::desk::{Desk, Notes};

use crate::assess::Assessor;
use crate::story;

/// The desk of a worker.
#[derive(Debug, Clone)]
pub(crate) struct AlertDesk {
    pub(crate) assessor: Assessor,
    pub(crate) routing: Routing,
    pub(crate) rules: Arc<RuleSet>,
}

#[async_trait]
impl Desk for AlertDesk {
    async fn assess(&self, findings: Vec<Finding>) -> Vec<Assessment> {
        self.assessor.assess(findings).await
    }

    fn routes(&self, assessment: &Assessment) -> BTreeSet<String> {
        self.routing.sinks(assessment)
    }

    fn notes(&self, rule_id: &str) -> Notes {
        if let Some(one) = self.rules.correlations().get(rule_id) {
            let advice = advice(&one.description, one.remediation.as_deref(), &one.references, &one.tactics);
            return Notes { advice, ..Notes::default() };
        }
        let rule = self.rules.rules().iter().chain(self.rules.disabled()).find(|rule| rule.id == rule_id);
        let notes = rule.map(|rule| Notes {
            advice: advice(&rule.description, rule.remediation.as_deref(), &rule.references, &rule.tactics),
            dedup: rule.dedup.clone(),
        });
        notes.unwrap_or_default()
    }

    fn moments(&self, finding: &Finding) -> Vec<Moment> {
        let tables = self.assessor.enricher().live().now();
        story::timeline(finding, Some(&self.rules), &tables)
    }
}

/// What a rule says. Of its references only what a browser opens safely.
fn advice(why: &str, first_step: Option<&str>, references: &[String], tactics: &[String]) -> Advice {
    Advice {
        why: why.trim().to_owned(),
        first_step: first_step.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()),
        references: references.iter().filter(|reference| reference.starts_with("https://")).cloned().collect(),
        tactics: tactics.to_vec(),
    }
}
