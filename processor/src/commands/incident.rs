//! The incident that a finding belongs to, as `dial findings` shows it.

use dial_rules::assessment::Assessment;
use dial_rules::event::Millis;
use dial_rules::finding::{Finding, FindingKind};
use dial_rules::incident::incidents;
use dial_sinks::filter::{FindingFilter, MAX_LIMIT};
use dial_sinks::store::FindingStore;
use serde::Serialize;

use crate::failure::Result;
use crate::output::{Output, plain};
use crate::story;

/// A finding with its incident, as JSON.
#[derive(Serialize)]
pub(super) struct OfIncident<'a> {
    #[serde(flatten)]
    pub(super) assessment: &'a Assessment,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) incident: Option<String>,
}

/// The incident of a finding.
pub(super) struct Incident {
    pub(super) name: Option<String>,
    /// The findings that are one with it.
    pub(super) others: Vec<Finding>,
}

impl Incident {
    /// The incident of a finding among those that were active from the month before it until the month after.
    pub(super) async fn of(finding: &Finding, store: &dyn FindingStore) -> Result<Incident> {
        const MONTH: Millis = 31 * 86_400_000;
        let mut all = vec![finding.clone()];
        let mut filter = FindingFilter {
            from: Some(finding.first_seen.saturating_sub(MONTH)),
            to: Some(finding.last_seen.saturating_add(MONTH)),
            kind: Some(FindingKind::Correlated),
            limit: MAX_LIMIT,
            ..FindingFilter::default()
        };
        while story::is_correlated(finding) {
            let page = store.list(&filter).await?;
            all.extend(page.findings.into_iter().filter(|other| other.finding_id != finding.finding_id));
            match page.next {
                Some(next) => filter.cursor = Some(next),
                None => break,
            }
        }
        let names = incidents(&all);
        let name = names.first().cloned().flatten();
        let others = all.into_iter().zip(names).skip(1).filter(|(_, other)| name.is_some() && *other == name);
        Ok(Incident { others: others.map(|(finding, _)| finding).collect(), name })
    }
}

/// Names the findings that tell the same.
pub(super) fn tell(others: &[Finding], output: &Output) -> Result<()> {
    /// So many are named.
    const NAMED: usize = 10;
    if others.is_empty() {
        return Ok(());
    }
    output.line("\nOne incident with")?;
    for Finding { finding_id, subject, group, .. } in others.iter().take(NAMED) {
        let group = group.values().map(String::as_str).collect::<Vec<_>>().join(", ");
        output.line(&format!("  {finding_id}  {}  {}", plain(&subject.rule_title), plain(&group)))?;
    }
    match others.len().saturating_sub(NAMED) {
        0 => Ok(()),
        more => output.line(&format!("  and {more} more: see `dial findings list --all`")),
    }
}
