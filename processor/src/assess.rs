//! [`Assessor`]: findings → what is shown of them. The one place where a finding meets its context and the policy.

use dial_rules::accounts::Accounts;
use dial_rules::assessment::Assessment;
use dial_rules::context::Context;
use dial_rules::finding::Finding;
use dial_rules::policy::Policy;

use crate::settings::Settings;

/// Assesses findings when they are shown, alerted or archived. Nothing of it is stored.
#[derive(Debug, Clone, Default)]
pub(crate) struct Assessor {
    policy: Policy,
    accounts: Accounts,
}

impl Assessor {
    pub(crate) fn new(policy: Policy, settings: &Settings) -> Assessor {
        Assessor { policy, accounts: settings.accounts.clone() }
    }

    /// The policy in force.
    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The findings with their contexts and dispositions, in the same order.
    pub(crate) async fn assess(&self, findings: Vec<Finding>) -> Vec<Assessment> {
        findings.into_iter().map(|finding| self.assess_one(finding)).collect()
    }

    fn assess_one(&self, finding: Finding) -> Assessment {
        let account = finding.subject.account_id.as_ref().and_then(|id| self.accounts.get(id)).cloned();
        let context = Context { account, ..Context::default() };
        let disposition = self.policy.decide(&finding, &context);
        Assessment { finding, context, disposition }
    }
}
