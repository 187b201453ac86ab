//! What findings are grouped by. Pure.

use std::collections::{BTreeMap, BTreeSet};

use dial_rules::dedup::Dedup;
use dial_rules::finding::{Finding, FindingKind};
use dial_rules::incident::incidents;

use super::alert::Group;
use super::keys::digest;

/// The group of a finding of one event: its repeats. `None` of a correlated one, whose incident its
/// [marks](mark_keys) tell.
pub(crate) fn repeats(finding: &Finding, dedup: &Dedup) -> Option<Group> {
    let alone = || BTreeMap::from([("finding_id".to_owned(), finding.finding_id.clone())]);
    let of = || dedup.values(finding).unwrap_or_else(alone);
    (finding.kind == FindingKind::Single).then(|| Group::Repeats { rule_id: finding.rule_id.clone(), of: of() })
}

/// The keys of what binds a correlated finding to its incident: two findings share one when an event completes both, or
/// when they are of one correlation and group in adjacent buckets.
pub(crate) fn mark_keys(finding: &Finding) -> BTreeSet<String> {
    let events = finding.completed_by.iter().map(|completion| digest(&["event", &completion.event_id]));
    // A mark for each side of the bucket: neighbours share one, and those with a bucket between them none.
    let sides = finding.bucket.into_iter().flat_map(|bucket| [bucket, bucket.saturating_add(1)]);
    let group: Vec<&str> = finding.group.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]).collect();
    let side = |side: i64| digest(&[&["bucket", &finding.rule_id, &side.to_string()], group.as_slice()].concat());
    events.chain(sides.map(side)).map(|hash| format!("#mark:{hash}")).collect()
}

/// What the incident of a correlated finding is called when it is the first.
pub(crate) fn incident_name(finding: &Finding) -> String {
    incidents([finding]).pop().flatten().unwrap_or_else(|| finding.finding_id.clone())
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
