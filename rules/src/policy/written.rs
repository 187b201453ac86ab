//! `[policy]` as it is written: what to think of findings, in the order of the file.

use serde::{Deserialize, Serialize};

use super::words::Words;
use crate::severity::Severity;

/// `[policy]`. Rules are named by id, by the beginning of an id, by title or by file; see [`super::rule_names`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Written {
    /// Rules that are not evaluated.
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub disabled: Words,
    /// Rules whose findings are recorded and not alerted.
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub muted: Words,
    /// `[[policy.staged]]`: rules on trial.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub staged: Vec<Staged>,
    /// `[[policy.severity]]`: all that fit apply, one after the other.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub severity: Vec<SeverityChange>,
    /// `[[policy.suppress]]`: what is known and not to be seen for a while.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suppress: Vec<Suppression>,
    /// `[[policy.allow]]`: who may, and from where.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Allowance>,
}

/// `[[policy.staged]]`: a rule whose findings are recorded and not alerted until a moment, and alerted from then on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Staged {
    /// The rules.
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub rule: Words,
    /// The date, or RFC 3339 time, of the promotion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// `[[policy.severity]]`: another severity for some findings. All conditions must hold; of each one word must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SeverityChange {
    /// Accounts: ids, or names of `[accounts]`.
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub account: Words,
    /// Regions.
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub region: Words,
    /// Organizational units, with all that is below them: `/Workloads`.
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub ou: Words,
    /// Environments of accounts.
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub environment: Words,
    /// Actors: as findings name them, ARNs, or persons behind them.
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub actor: Words,
    /// Rules.
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub rule: Words,
    /// This severity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set: Option<Severity>,
    /// So many levels worse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raise: Option<u8>,
    /// So many levels less bad.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower: Option<u8>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `[[policy.suppress]]`: findings that are hidden for a while.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Suppression {
    /// As in [`SeverityChange`].
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub account: Words,
    /// As in [`SeverityChange`].
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub region: Words,
    /// As in [`SeverityChange`].
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub ou: Words,
    /// As in [`SeverityChange`].
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub environment: Words,
    /// As in [`SeverityChange`].
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub actor: Words,
    /// As in [`SeverityChange`].
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub rule: Words,
    /// Networks and addresses that the call came from, or names of AWS services.
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub address: Words,
    /// Who answers for it. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Why. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A finding is hidden if it was first seen at this date or time, or later. Optional.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// A finding is hidden if it was last seen before this date or time. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// `[[policy.allow]]`: principals and addresses whose findings are expected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Allowance {
    /// ARNs, actors, persons behind them, or ids of access keys.
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub principal: Words,
    /// Networks and addresses, or names of AWS services.
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub address: Words,
    /// Only in these accounts.
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub account: Words,
    /// Only for these rules.
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub rule: Words,
    /// Who answers for it. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Why. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
