//! [`MemoryFindingArchive`]: archived findings in memory, gone with the process.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use dial_rules::event::Millis;

use super::{Archived, FindingArchive};
use crate::sink::SendError;

const DAY: Millis = 24 * 3600 * 1000;

/// Archived findings in memory, for tests: files that are written once and whole, one for each day of a batch.
#[derive(Debug, Default)]
pub struct MemoryFindingArchive {
    files: Mutex<BTreeMap<(i64, String), Vec<Archived>>>,
}

impl MemoryFindingArchive {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// What each file holds, by its day (since 1970) and its batch.
    pub fn files(&self) -> BTreeMap<(i64, String), Vec<Archived>> {
        self.lock().clone()
    }

    /// The rows of all files, in the order of their files.
    pub fn rows(&self) -> Vec<Archived> {
        self.lock().values().flatten().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(i64, String), Vec<Archived>>> {
        // Each change leaves the map whole.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The day, since 1970, whose file a finding belongs to.
pub(super) fn day(archived: &Archived) -> i64 {
    archived.assessment.finding.first_seen.div_euclid(DAY)
}

#[async_trait]
impl FindingArchive for MemoryFindingArchive {
    async fn put(&self, batch: &str, findings: Vec<Archived>, _: Millis) -> Result<(), SendError> {
        let mut days: BTreeMap<i64, Vec<Archived>> = BTreeMap::new();
        for archived in findings {
            days.entry(day(&archived)).or_default().push(archived);
        }
        let mut files = self.lock();
        for (day, rows) in days {
            files.entry((day, batch.to_owned())).or_insert(rows);
        }
        Ok(())
    }
}
