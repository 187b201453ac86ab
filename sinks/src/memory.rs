//! [`MemoryFindingStore`]: findings in memory, gone with the process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use dial_rules::event::Millis;
use dial_rules::finding::Finding;

use crate::filter::{Cursor, FindingFilter, FindingPage};
use crate::merge::{Recorded, Step, coalesce, step};
use crate::outbox::bounds::sooner;
use crate::outbox::store::{Owed, Queue, Row};
use crate::store::{FindingStore, RecordOutcome, StoreError};

/// Findings in memory, for tests and for scans whose findings are only printed.
#[derive(Debug, Default)]
pub struct MemoryFindingStore {
    contents: Mutex<Contents>,
}

/// Findings and the outbox, which change together.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) findings: BTreeMap<String, Owed>,
    pub(crate) rows: BTreeMap<String, Row>,
    /// What is due when, of findings and rows.
    pub(crate) due: BTreeSet<(Queue, Millis, String)>,
    /// Which rows expire when.
    pub(crate) expiring: BTreeSet<(Millis, String)>,
}

impl MemoryFindingStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Contents> {
        // Nothing between two changes that belong together can panic.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    fn record(&mut self, id: &str, update: Finding, owing: Option<Millis>) -> Recorded {
        let before = self.findings.get(id);
        let (recorded, content) = match step(before.map(|owed| owed.finding.clone()), update) {
            Step::Create(content) => (Recorded::New, content),
            Step::Replace(content) => (Recorded::Changed, content),
            Step::Keep => return Recorded::Unchanged,
        };
        let (version, revision) = before.map_or((0, 0), |owed| (owed.version, owed.revision));
        let progress = before.map(|owed| owed.progress.clone()).unwrap_or_default();
        let due = sooner(before.and_then(|owed| owed.due), owing);
        self.keep(Owed { finding: *content, version: version + 1, revision, progress, due });
        recorded
    }

    /// Puts a finding in place of what was there, and where it belongs in its queue.
    pub(crate) fn keep(&mut self, owed: Owed) {
        let id = owed.finding.finding_id.clone();
        let due = owed.due;
        let before = self.findings.insert(id.clone(), owed).and_then(|owed| owed.due);
        if let Some(at) = before {
            self.due.remove(&(Queue::Findings, at, id.clone()));
        }
        self.due.extend(due.map(|at| (Queue::Findings, at, id)));
    }
}

#[async_trait]
impl FindingStore for MemoryFindingStore {
    async fn record_owing(&self, updates: Vec<Finding>, owing: Option<Millis>) -> Result<RecordOutcome, StoreError> {
        let mut outcome = RecordOutcome::default();
        let mut contents = self.lock();
        for (id, update) in coalesce(updates) {
            let recorded = contents.record(&id, update, owing);
            outcome.count(id, recorded);
        }
        Ok(outcome)
    }

    async fn get(&self, finding_id: &str) -> Result<Option<Finding>, StoreError> {
        Ok(self.lock().findings.get(finding_id).map(|owed| owed.finding.clone()))
    }

    async fn list(&self, filter: &FindingFilter) -> Result<FindingPage, StoreError> {
        let contents = self.lock();
        let findings = contents.findings.values().map(|owed| &owed.finding);
        let accepted = findings.filter(|finding| filter.accepts(finding));
        let mut rows: Vec<(Cursor, &Finding)> = accepted.map(|finding| (Cursor::of(finding), finding)).collect();
        rows.retain(|(position, _)| filter.cursor.as_ref().is_none_or(|cursor| position < cursor));
        rows.sort_by(|(a, _), (b, _)| a.listing_order().cmp(&b.listing_order()));
        let size = filter.page_size();
        let rows = rows.into_iter().take(size + 1).map(|(position, finding)| (position, finding.clone()));
        Ok(FindingPage::first(size, rows.collect()))
    }
}
