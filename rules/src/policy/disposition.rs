//! [`Disposition`]: what the policy thinks of one finding.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::written::{Allowance, Suppression};
use crate::severity::Severity;

/// What a policy makes of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disposition {
    /// How bad it is here.
    pub severity: Severity,
    /// Whether it is to be seen.
    pub status: Status,
    /// Which entry says not.
    pub by: Option<Entry>,
    /// What was done to the rule's severity, in order: `from medium to high: payments`.
    pub adjusted: Vec<String>,
}

/// Whether a finding is to be seen. All are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// To be looked at, and alerted.
    Open,
    /// Hidden for a while, by somebody who answers for it.
    Suppressed,
    /// Expected of whoever did it, or from there.
    Allowed,
    /// Of a rule that does not alert.
    Muted,
    /// Of a rule on trial.
    Staged,
}

impl Status {
    /// All of them.
    pub const ALL: [Status; 5] = [Status::Open, Status::Suppressed, Status::Allowed, Status::Muted, Status::Staged];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Open => "open",
            Status::Suppressed => "suppressed",
            Status::Allowed => "allowed",
            Status::Muted => "muted",
            Status::Staged => "staged",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The entry of the policy by which a finding is not open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Where it stands: `policy.suppress`.
    pub entry: &'static str,
    /// What it asks of findings: `account payments, rule iam/*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// Who answers for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The date or time at which it ends, as it is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

impl Entry {
    pub(super) fn of_suppression(entry: &Suppression) -> Entry {
        Entry {
            entry: "policy.suppress",
            about: Some(entry.asked().words()),
            owner: entry.owner.clone(),
            reason: entry.reason.clone(),
            expires: entry.expires.clone(),
        }
    }

    pub(super) fn of_allowance(entry: &Allowance) -> Entry {
        Entry {
            entry: "policy.allow",
            about: Some(entry.asked().words()),
            owner: entry.owner.clone(),
            reason: entry.reason.clone(),
            expires: None,
        }
    }

    pub(super) fn of_rule(entry: &'static str, expires: Option<String>) -> Entry {
        Entry { entry, about: None, owner: None, reason: None, expires }
    }

    /// In words: `reason (owner, until 2030-12-31)`.
    pub fn words(&self) -> String {
        let until = self.expires.as_deref().map(|expires| format!("until {expires}"));
        let who: Vec<String> = self.owner.iter().cloned().chain(until).collect();
        let why = self.reason.as_deref().unwrap_or(match self.entry {
            "policy.muted" => "the rule is muted",
            _ => "the rule is on trial",
        });
        if who.is_empty() { why.to_owned() } else { format!("{why} ({})", who.join(", ")) }
    }
}
