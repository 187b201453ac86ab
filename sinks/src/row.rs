//! How a finding is written into a row, in SQLite and DynamoDB alike. Pure.

use dial_rules::finding::{Finding, FindingKind};
use dial_rules::severity::Severity;

use crate::store::StoreError;

/// A finding as JSON text, the content of its row.
pub(crate) fn encode(finding: &Finding) -> Result<String, StoreError> {
    serde_json::to_string(finding)
        .map_err(|e| StoreError::unavailable(format!("write finding {} as JSON", finding.finding_id), e))
}

/// The finding in a row.
pub(crate) fn decode(finding_id: &str, body: &str) -> Result<Finding, StoreError> {
    serde_json::from_str(body)
        .map_err(|e| StoreError::Damaged { finding_id: finding_id.to_owned(), reason: e.to_string() })
}

/// A kind as rows spell it.
pub(crate) fn kind_text(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Single => "single",
        FindingKind::Correlated => "correlated",
    }
}

/// A severity as rows compare it, from 1 (informational) to 5 (critical).
pub(crate) fn severity_rank(severity: Severity) -> i64 {
    match severity {
        Severity::Informational => 1,
        Severity::Low => 2,
        Severity::Medium => 3,
        Severity::High => 4,
        Severity::Critical => 5,
    }
}
