//! [`Assessor`]: findings → what is shown of them. The one place where a finding meets its context and the policy.

use std::sync::Arc;

use dial_rules::assessment::Assessment;
use dial_rules::finding::Finding;
use dial_rules::policy::Policy;
use dial_sinks::actors::ActorStore;

use crate::enrich::enricher::Enricher;

/// Assesses findings when they are shown, alerted or archived. Nothing of it is stored.
#[derive(Debug, Clone)]
pub(crate) struct Assessor {
    policy: Policy,
    enricher: Enricher,
}

impl Assessor {
    pub(crate) fn new(policy: Policy, enricher: Enricher) -> Assessor {
        Assessor { policy, enricher }
    }

    /// The policy in force.
    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The same with this store to say who is behind credentials.
    pub(crate) fn with_actors(self, actors: Arc<dyn ActorStore>) -> Assessor {
        Assessor { enricher: self.enricher.with_actors(actors), ..self }
    }

    /// Where the context comes from.
    pub(crate) fn enricher(&self) -> &Enricher {
        &self.enricher
    }

    /// The findings with their contexts and dispositions, in the same order. It takes half a second more than nothing at
    /// most: what sources do not say by then is named as missing.
    pub(crate) async fn assess(&self, findings: Vec<Finding>) -> Vec<Assessment> {
        // One state of them for all that is asked and said.
        let tables = self.enricher.live().now();
        let known = self.enricher.prefetch(&findings, &tables).await;
        let assess = |finding: Finding| {
            let context = known.context(&finding, &tables);
            let disposition = self.policy.decide(&finding, &context);
            Assessment { finding, context, disposition }
        };
        findings.into_iter().map(assess).collect()
    }
}
