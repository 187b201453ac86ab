//! [`Policy`]: what to think of a finding, by who acted, where, and by what is agreed: another severity, hidden for a while,
//! expected, muted, on trial.
//!
//! It is computed from the finding's content and context whenever the finding is read, alerted or archived, and never stored:
//! a policy that changes changes what all findings mean, and findings stay a function of the events.

mod check;
mod condition;
mod disposition;
pub mod moment;
pub(crate) mod region;
pub mod routing;
pub mod rule_names;
mod sessions;
mod words;
mod written;

use std::collections::BTreeSet;

use self::condition::{Conditions, resolve};
use self::rule_names::RuleNames;
use crate::context::Context;
use crate::event::Millis;
use crate::fault::Fault;
use crate::finding::Finding;
use crate::severity::Severity;

pub use self::disposition::{Disposition, Entry, Status};
pub use self::words::{Patterns, Words};
pub use self::written::{Allowance, SeverityChange, Staged, Suppression, Written};

/// A policy in force. The default finds every finding open, and as severe as its rule says.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    severity: Vec<(Conditions, Change, String)>,
    suppress: Vec<(Conditions, Span, Entry)>,
    allow: Vec<(Conditions, Entry)>,
    disabled: BTreeSet<String>,
    muted: BTreeSet<String>,
    staged: Vec<Trial>,
}

/// What becomes of a severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Set(Severity),
    By(i8),
}

/// When a suppression holds: for findings first seen at the first of these or later, and last seen before the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    from: Option<Millis>,
    expires: Millis,
}

/// Rules whose findings are recorded and not alerted before a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Which of the entries `policy.staged` it is, from 0.
    pub at: usize,
    /// The rules' ids.
    pub rules: BTreeSet<String>,
    /// When they are promoted.
    pub until: Millis,
    /// The same as it is written.
    pub until_text: String,
}

impl Policy {
    /// The policy that is written, over these rules.
    ///
    /// # Errors
    /// All names of rules that are none, and what [`Written::faults`] has.
    pub fn new(written: &Written, rules: &RuleNames) -> Result<Policy, Vec<Fault>> {
        let mut faults = written.faults();
        let mut policy = Policy::default();
        let names = |words: &Words, key: &str, faults: &mut Vec<Fault>| {
            resolve(words, key, rules).unwrap_or_else(|wrong| {
                faults.extend(wrong);
                BTreeSet::new()
            })
        };
        policy.disabled = names(&written.disabled, "disabled", &mut faults);
        policy.muted = names(&written.muted, "muted", &mut faults);
        for (at, staged) in written.staged.iter().enumerate() {
            let rules = names(&staged.rule, &format!("staged[{at}].rule"), &mut faults);
            let until_text = staged.until.clone().unwrap_or_default();
            let until = moment::parse(&until_text).unwrap_or(Millis::MAX);
            policy.staged.push(Trial { at, rules, until, until_text });
        }
        let mut conditions = |asked, place: String| {
            Conditions::of(asked, rules).unwrap_or_else(|wrong| {
                faults.extend(wrong.into_iter().map(|fault| fault.within(&place)));
                Conditions::default()
            })
        };
        for (at, entry) in written.severity.iter().enumerate() {
            let asked = conditions(entry.asked(), format!("severity[{at}]"));
            policy.severity.push((asked, Change::of(entry), why(entry)));
        }
        for (at, entry) in written.suppress.iter().enumerate() {
            let asked = conditions(entry.asked(), format!("suppress[{at}]"));
            policy.suppress.push((asked, Span::of(entry), Entry::of_suppression(entry)));
        }
        for (at, entry) in written.allow.iter().enumerate() {
            let asked = conditions(entry.asked(), format!("allow[{at}]"));
            policy.allow.push((asked, Entry::of_allowance(entry)));
        }
        if faults.is_empty() { Ok(policy) } else { Err(faults) }
    }

    /// What to think of a finding.
    pub fn decide(&self, finding: &Finding, context: &Context) -> Disposition {
        let (severity, adjusted) = self.severity(finding, context);
        let (status, by) = self.status(finding, context);
        Disposition { severity, status, by, adjusted }
    }

    /// The severity after all changes that are about the finding, in the order of the file, and what they did.
    fn severity(&self, finding: &Finding, context: &Context) -> (Severity, Vec<String>) {
        let (mut severity, mut adjusted) = (finding.subject.severity, Vec::new());
        for (conditions, change, why) in &self.severity {
            if !conditions.hold(finding, context) {
                continue;
            }
            let before = severity;
            severity = change.apply(before);
            if severity != before {
                adjusted.push(format!("from {before} to {severity}: {why}"));
            }
        }
        (severity, adjusted)
    }

    /// Whether the finding is to be seen, and which entry says not. A suppression tells more than an allowance, and that more
    /// than what is said of the rule.
    fn status(&self, finding: &Finding, context: &Context) -> (Status, Option<Entry>) {
        let suppressed =
            self.suppress.iter().find(|(conditions, span, _)| span.holds(finding) && conditions.hold(finding, context));
        if let Some((_, _, entry)) = suppressed {
            return (Status::Suppressed, Some(entry.clone()));
        }
        if let Some((_, entry)) = self.allow.iter().find(|(conditions, _)| conditions.hold(finding, context)) {
            return (Status::Allowed, Some(entry.clone()));
        }
        if self.muted.contains(&finding.rule_id) {
            return (Status::Muted, Some(Entry::of_rule("policy.muted", None)));
        }
        match self.trial(&finding.rule_id) {
            Some(trial) if finding.last_seen < trial.until => {
                (Status::Staged, Some(Entry::of_rule("policy.staged", Some(trial.until_text.clone()))))
            }
            _ => (Status::Open, None),
        }
    }

    /// The trial of a rule; of several the one that ends last.
    pub fn trial(&self, rule_id: &str) -> Option<&Trial> {
        self.staged.iter().filter(|trial| trial.rules.contains(rule_id)).max_by_key(|trial| trial.until)
    }

    /// All trials, in the order of the file.
    pub fn trials(&self) -> &[Trial] {
        &self.staged
    }

    /// The ids of rules that are not evaluated.
    pub fn disabled(&self) -> &BTreeSet<String> {
        &self.disabled
    }

    /// Whether the rule's findings are recorded and not alerted.
    pub fn is_muted(&self, rule_id: &str) -> bool {
        self.muted.contains(rule_id)
    }

    /// Whether a finding may have another severity than its rule.
    pub fn changes_severity(&self) -> bool {
        !self.severity.is_empty()
    }
}

impl Change {
    fn of(entry: &SeverityChange) -> Change {
        let levels = |levels: Option<u8>| i8::try_from(levels.unwrap_or(0)).unwrap_or(i8::MAX);
        match entry.set {
            Some(severity) => Change::Set(severity),
            None => Change::By(levels(entry.raise).saturating_sub(levels(entry.lower))),
        }
    }

    /// The severity after it; there is none worse than critical and none better than informational.
    fn apply(self, severity: Severity) -> Severity {
        const UPWARDS: [Severity; 5] =
            [Severity::Informational, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
        match self {
            Change::Set(severity) => severity,
            Change::By(levels) => {
                let at = UPWARDS.iter().position(|level| *level == severity).unwrap_or(0);
                UPWARDS[at.saturating_add_signed(levels.into()).min(UPWARDS.len() - 1)]
            }
        }
    }
}

impl Span {
    fn of(entry: &Suppression) -> Span {
        let time = |text: &Option<String>| text.as_deref().and_then(moment::parse);
        // Without an expiry, which is refused, nothing would be hidden.
        Span { from: time(&entry.from), expires: time(&entry.expires).unwrap_or(Millis::MIN) }
    }

    fn holds(self, finding: &Finding) -> bool {
        self.from.is_none_or(|from| finding.first_seen >= from) && finding.last_seen < self.expires
    }
}

/// Why a severity is another.
fn why(entry: &SeverityChange) -> String {
    match &entry.reason {
        Some(reason) => reason.clone(),
        None => entry.asked().words(),
    }
}

#[cfg(test)]
mod tests;
