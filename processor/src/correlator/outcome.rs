//! What windows come to. Pure.

use std::borrow::Cow;

use dial_rules::correlation::{Correlation, CorrelationMatch, Correlations, Filed, GroupKey, Seen, evaluate};
use dial_rules::finding::Finding;
use dial_sinks::windows::store::{WindowItem, WindowKey};

use super::{CorrelateError, entry};

/// What some buckets of a window come to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Findings, unless the correlation only serves others.
    pub(super) findings: Vec<Finding>,
    /// Matches of the correlations that list this one.
    pub(super) completions: Vec<Filed>,
    /// How many completions lack what such a correlation groups by.
    pub(super) missing: u64,
}

/// Evaluates some buckets of a window on the items in their ranges.
pub(super) fn outcome(
    correlations: &Correlations,
    correlation: &Correlation,
    window: &WindowKey,
    items: &[WindowItem],
    buckets: impl IntoIterator<Item = i64>,
) -> Result<Outcome, CorrelateError> {
    let group = entry::group_of(window)?;
    let matches: Result<Vec<_>, _> = items.iter().map(|item| entry::match_in(&correlation.id, item)).collect();
    Ok(outcome_of(correlations, correlation, &group, &matches?, buckets, Cow::Borrowed))
}

/// Evaluates some buckets of a group on the matches in their ranges, of which `whole` gives all there is.
pub(super) fn outcome_of<'m, M: Seen>(
    correlations: &Correlations,
    correlation: &'m Correlation,
    group: &GroupKey,
    matches: &'m [M],
    buckets: impl IntoIterator<Item = i64>,
    whole: impl Fn(&'m M) -> Cow<'m, CorrelationMatch>,
) -> Outcome {
    let mut outcome = Outcome::default();
    let listed = correlations.listing(&correlation.id).next().is_some();
    for evaluated in evaluate(correlation, group, matches, buckets) {
        for completing in evaluated.completing.into_iter().filter(|_| listed) {
            let filing = correlations.file_completion(correlation, group, &whole(completing));
            outcome.missing += filing.missing;
            outcome.completions.extend(filing.filed);
        }
        if correlations.makes_findings(&correlation.id) {
            outcome.findings.push(evaluated.finding);
        }
    }
    outcome
}
