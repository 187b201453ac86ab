//! [`Filter`]: which findings are told. Pure.

use dial_rules::assessment::Assessment;
use dial_rules::finding::FindingKind;
use dial_rules::policy::Patterns;
use dial_rules::severity::Severity;

use crate::cli::FindingsTail;
use crate::story;

/// All conditions hold at once; of several words for one of them, one must fit.
#[derive(Debug)]
pub(super) struct Filter {
    severity: Severity,
    kind: Option<FindingKind>,
    /// What ids of rules begin with, and patterns for ids and titles.
    rules: Vec<String>,
    rule_names: Patterns,
    account: Patterns,
    region: Patterns,
    actor: Patterns,
    suppressed: bool,
}

impl Filter {
    pub(super) fn new(args: &FindingsTail) -> Filter {
        let patterns = |words: &[String]| Patterns::new(words.iter().map(String::as_str));
        Filter {
            severity: args.min_severity,
            kind: args.kind.map(Into::into),
            rules: args.rule.iter().map(|rule| rule.to_lowercase()).collect(),
            rule_names: patterns(&args.rule),
            account: patterns(&args.account),
            region: patterns(&args.region),
            actor: patterns(&args.actor),
            suppressed: args.suppressed,
        }
    }

    pub(super) fn accepts(&self, assessment: &Assessment) -> bool {
        let Assessment { finding, context, .. } = assessment;
        let subject = &finding.subject;
        let fits = |patterns: &Patterns, texts: &[Option<&str>]| {
            patterns.is_empty() || texts.iter().flatten().any(|text| patterns.fit(text))
        };
        let account = context.account.as_ref().and_then(|account| account.name.as_deref());
        let who = story::who(assessment);
        (self.suppressed || assessment.is_open())
            && assessment.severity() >= self.severity
            && self.kind.is_none_or(|kind| kind == finding.kind)
            && self.is_of_rule(&finding.rule_id, &subject.rule_title)
            && fits(&self.account, &[subject.account_id.as_deref(), account])
            && fits(&self.region, &[subject.region.as_deref()])
            && fits(&self.actor, &[who.as_deref(), subject.actor.as_deref(), subject.actor_arn.as_deref()])
    }

    fn is_of_rule(&self, id: &str, title: &str) -> bool {
        let lower = id.to_lowercase();
        self.rules.is_empty()
            || self.rules.iter().any(|begins| lower.starts_with(begins))
            || self.rule_names.fit(id)
            || self.rule_names.fit(title)
    }
}
