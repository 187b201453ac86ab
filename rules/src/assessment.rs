//! [`Assessment`]: a finding with what is known beside it and what the policy makes of it, as it is shown, alerted and archived.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::context::Context;
use crate::event::rfc3339;
use crate::finding::{Completion, Evidence, Finding, FindingKind};
use crate::lineage::Lineage;
use crate::policy::{Disposition, Entry, Status};
use crate::severity::Severity;

/// A finding, its context, and its disposition. Its JSON is one flat object: the finding's, with `severity` as it is here,
/// and `rule_severity` where that differs, `status`, `status_by`, `adjusted` and `context`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// What was recorded.
    pub finding: Finding,
    /// What is known beside it now.
    pub context: Context,
    /// What the policy makes of both.
    pub disposition: Disposition,
}

impl Assessment {
    /// How bad it is here.
    pub fn severity(&self) -> Severity {
        self.disposition.severity
    }

    /// Whether it is to be seen.
    pub fn is_open(&self) -> bool {
        self.disposition.status == Status::Open
    }
}

impl Serialize for Assessment {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Flat::of(self).serialize(serializer)
    }
}

/// The JSON, in its order.
#[derive(Serialize)]
struct Flat<'a> {
    finding_id: &'a str,
    kind: FindingKind,
    rule_id: &'a str,
    rule_title: &'a str,
    severity: Severity,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_severity: Option<Severity>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    adjusted: &'a [String],
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_by: Option<&'a Entry>,
    account_id: Option<&'a str>,
    region: Option<&'a str>,
    actor: Option<&'a str>,
    source_ip: Option<&'a str>,
    techniques: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    actor_arn: Option<&'a str>,
    #[serde(skip_serializing_if = "Lineage::is_empty")]
    origin: &'a Lineage,
    first_seen: String,
    last_seen: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    group: &'a BTreeMap<String, String>,
    event_count: u64,
    evidence: &'a BTreeSet<Evidence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket: Option<i64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    order_ambiguous: bool,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    completed_by: &'a BTreeSet<Completion>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a Context>,
}

impl<'a> Flat<'a> {
    fn of(assessment: &'a Assessment) -> Flat<'a> {
        let Assessment { finding, context, disposition } = assessment;
        let subject = &finding.subject;
        Flat {
            finding_id: &finding.finding_id,
            kind: finding.kind,
            rule_id: &finding.rule_id,
            rule_title: &subject.rule_title,
            severity: disposition.severity,
            rule_severity: Some(subject.severity).filter(|severity| *severity != disposition.severity),
            adjusted: &disposition.adjusted,
            status: disposition.status,
            status_by: disposition.by.as_ref(),
            account_id: subject.account_id.as_deref(),
            region: subject.region.as_deref(),
            actor: subject.actor.as_deref(),
            source_ip: subject.source_ip.as_deref(),
            techniques: &subject.techniques,
            actor_arn: subject.actor_arn.as_deref(),
            origin: &subject.origin,
            first_seen: rfc3339(finding.first_seen),
            last_seen: rfc3339(finding.last_seen),
            group: &finding.group,
            event_count: finding.event_count,
            evidence: &finding.evidence,
            bucket: finding.bucket,
            order_ambiguous: finding.order_ambiguous,
            completed_by: &finding.completed_by,
            context: Some(context).filter(|context| **context != Context::default()),
        }
    }
}

#[cfg(test)]
#[path = "assessment_tests.rs"]
mod tests;
