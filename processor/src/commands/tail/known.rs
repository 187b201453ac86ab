//! [`Known`]: which contents of which findings were seen. Pure.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hash, Hasher};

use dial_rules::event::Millis;
use dial_rules::finding::Finding;
use serde::Serialize;

/// What happened to a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Change {
    /// It was recorded.
    New,
    /// It came to have other content.
    Changed,
}

/// The findings that were seen, each with a hash of its content and when it was last seen.
#[derive(Debug, Default)]
pub(super) struct Known {
    contents: HashMap<String, (u64, Millis)>,
    floor: Option<Millis>,
}

impl Known {
    /// Takes in a finding as it is now; what of it is news.
    pub(super) fn learn(&mut self, finding: &Finding) -> Option<Change> {
        let seen = (content(finding), finding.last_seen);
        match self.contents.entry(finding.finding_id.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(seen);
                Some(Change::New)
            }
            Entry::Occupied(mut entry) => {
                let before = entry.insert(seen);
                (before.0 != seen.0).then_some(Change::Changed)
            }
        }
    }

    /// Nothing that was last seen earlier is ever asked for again, and what was known of it is forgotten.
    pub(super) fn forget_before(&mut self, floor: Option<Millis>) {
        self.floor = self.floor.max(floor);
        if let Some(floor) = self.floor {
            self.contents.retain(|_, (_, last_seen)| *last_seen >= floor);
        }
    }

    /// From where on findings are asked for.
    pub(super) fn floor(&self) -> Option<Millis> {
        self.floor
    }
}

fn content(finding: &Finding) -> u64 {
    let mut hasher = DefaultHasher::new();
    // A finding always serialises.
    serde_json::to_vec(finding).unwrap_or_default().hash(&mut hasher);
    hasher.finish()
}
