//! [`MemoryFindingStore`]: findings in memory, gone with the process.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use dial_rules::event::Millis;
use dial_rules::finding::Finding;

use crate::filter::{Cursor, FindingFilter, FindingPage};
use crate::merge::{Recorded, Step, coalesce, step};
use crate::store::{FindingStore, RecordOutcome, StoreError};

/// Findings in memory, for tests and for scans whose findings are only printed.
#[derive(Debug, Default)]
pub struct MemoryFindingStore {
    findings: Mutex<BTreeMap<String, Finding>>,
}

impl MemoryFindingStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Finding>> {
        // A poisoned map is whole all the same: each insert is one step.
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl FindingStore for MemoryFindingStore {
    async fn record_owing(&self, updates: Vec<Finding>, owing: Option<Millis>) -> Result<RecordOutcome, StoreError> {
        let mut outcome = RecordOutcome::default();
        let mut findings = self.lock();
        for (id, update) in coalesce(updates) {
            let (recorded, content) = match step(findings.get(&id).cloned(), update) {
                Step::Create(content) => (Recorded::New, Some(content)),
                Step::Replace(content) => (Recorded::Changed, Some(content)),
                Step::Keep => (Recorded::Unchanged, None),
            };
            if let Some(content) = content {
                findings.insert(id.clone(), *content);
            }
            outcome.count(id, recorded);
        }
        Ok(outcome)
    }

    async fn get(&self, finding_id: &str) -> Result<Option<Finding>, StoreError> {
        Ok(self.lock().get(finding_id).cloned())
    }

    async fn list(&self, filter: &FindingFilter) -> Result<FindingPage, StoreError> {
        let findings = self.lock();
        let accepted = findings.values().filter(|finding| filter.accepts(finding));
        let mut rows: Vec<(Cursor, &Finding)> = accepted.map(|finding| (Cursor::of(finding), finding)).collect();
        rows.retain(|(position, _)| filter.cursor.as_ref().is_none_or(|cursor| position < cursor));
        rows.sort_by(|(a, _), (b, _)| a.listing_order().cmp(&b.listing_order()));
        let size = filter.page_size();
        let rows = rows.into_iter().take(size + 1).map(|(position, finding)| (position, finding.clone()));
        Ok(FindingPage::first(size, rows.collect()))
    }
}
