//! The findings of one scan: merged in memory, and in a file once they are many, so that memory stays flat however much
//! is found.

use std::collections::HashMap;

use dial_rules::finding::Finding;
use dial_sinks::filter::{Cursor, FindingFilter, MAX_LIMIT};
use dial_sinks::sqlite::SqliteFindingStore;
use dial_sinks::store::{FindingStore, StoreError};

use crate::scratch::Scratch;

/// How many findings are held in memory before they go into the file.
const MOST: usize = 20_000;

/// Findings by id.
#[derive(Debug, Default)]
pub(crate) struct Pile {
    held: HashMap<String, Finding>,
    spilled: Option<Spilled>,
}

#[derive(Debug)]
struct Spilled {
    store: SqliteFindingStore,
    /// Removed with everything in it when the pile is dropped.
    _folder: Scratch,
}

impl Pile {
    /// Adds findings.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) async fn add(&mut self, findings: Vec<Finding>) -> Result<(), StoreError> {
        for finding in findings {
            let merged = match self.held.remove(&finding.finding_id) {
                Some(before) => before.merge(finding),
                None => finding,
            };
            self.held.insert(merged.finding_id.clone(), merged);
        }
        if self.held.len() > MOST { self.spill().await } else { Ok(()) }
    }

    async fn spill(&mut self) -> Result<(), StoreError> {
        let store = match &self.spilled {
            Some(spilled) => spilled.store.clone(),
            None => {
                let folder = Scratch::new("findings");
                let store = SqliteFindingStore::open(folder.file("findings.db")).await?;
                self.spilled = Some(Spilled { store: store.clone(), _folder: folder });
                store
            }
        };
        store.record(self.held.drain().map(|(_, finding)| finding).collect()).await.map(|_| ())
    }

    /// Hands every finding to `visit`, a thousand at a time, the latest first.
    ///
    /// # Errors
    /// When the file cannot be written or read; whatever `visit` returns.
    pub(crate) async fn visit<E: From<StoreError>>(
        &mut self,
        mut visit: impl AsyncFnMut(Vec<Finding>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.spilled.is_some() {
            self.spill().await?;
        }
        let Some(Spilled { store, .. }) = &self.spilled else {
            let mut all: Vec<&Finding> = self.held.values().collect();
            all.sort_by(|a, b| (b.last_seen, &b.finding_id).cmp(&(a.last_seen, &a.finding_id)));
            for page in all.chunks(MAX_LIMIT) {
                visit(page.iter().map(|finding| (*finding).clone()).collect()).await?;
            }
            return Ok(());
        };
        let mut cursor: Option<Cursor> = None;
        loop {
            let page = store.list(&FindingFilter { limit: MAX_LIMIT, cursor, ..FindingFilter::default() }).await?;
            visit(page.findings).await?;
            cursor = page.next;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }
}
