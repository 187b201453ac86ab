//! What updates mean for stored findings. Pure.

use std::collections::BTreeMap;

use dial_rules::finding::Finding;

use crate::bounds::bounded;
use crate::store::RecordOutcome;

/// One update for each finding: all of its updates, shortened to fit a row and merged.
pub(crate) fn coalesce(updates: Vec<Finding>) -> BTreeMap<String, Finding> {
    let mut merged: BTreeMap<String, Finding> = BTreeMap::new();
    for update in updates {
        let update = bounded(update);
        let id = update.finding_id.clone();
        let joined = match merged.remove(&id) {
            Some(before) => before.merge(update),
            None => update,
        };
        merged.insert(id, joined);
    }
    merged
}

/// What has to be written so that a row contains an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// There is no row yet.
    Create(Box<Finding>),
    /// The row must say this instead.
    Replace(Box<Finding>),
    /// The row says it all already.
    Keep,
}

/// The step from a row, if there is one, to one that contains `update`.
pub(crate) fn step(current: Option<Finding>, update: Finding) -> Step {
    let Some(current) = current else { return Step::Create(Box::new(update)) };
    let merged = current.clone().merge(update);
    if merged == current { Step::Keep } else { Step::Replace(Box::new(merged)) }
}

/// What became of one finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recorded {
    New,
    Changed,
    Unchanged,
}

impl RecordOutcome {
    /// Counts one finding. Findings must come in the order of their ids.
    pub(crate) fn count(&mut self, finding_id: String, recorded: Recorded) {
        match recorded {
            Recorded::New => self.new.push(finding_id),
            Recorded::Changed => self.changed.push(finding_id),
            Recorded::Unchanged => self.unchanged += 1,
        }
    }
}
