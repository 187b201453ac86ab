//! `[tables]`: DynamoDB.

use dial_rules::fault::Fault;
use serde::{Deserialize, Serialize};

use super::aws_name;

/// `[tables]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tables {
    /// What the tables' names begin with.
    pub(crate) prefix: String,
}

impl Default for Tables {
    fn default() -> Self {
        Tables { prefix: "dial-".to_owned() }
    }
}

impl Tables {
    pub(super) fn faults(&self) -> Vec<Fault> {
        let fine = self.prefix.is_empty() || aws_name::is_valid(&self.prefix);
        if fine { Vec::new() } else { vec![Fault::new("prefix", aws_name::WRONG)] }
    }

    /// The table of findings.
    pub(crate) fn findings(&self) -> String {
        format!("{}findings", self.prefix)
    }

    /// The table of who is behind credentials.
    pub(crate) fn actors(&self) -> String {
        format!("{}actors", self.prefix)
    }

    /// The table of the windows of correlations.
    pub(crate) fn windows(&self) -> String {
        format!("{}windows", self.prefix)
    }

    /// The table of a role's leases.
    pub(crate) fn leases(&self, role: &str) -> String {
        format!("{}leases-{role}", self.prefix)
    }
}
