//! [`OwingFindingStore`]: a store of findings that owes their alerts in the write that records them, and has a courier deliver
//! them at once, or leaves them to the workers.

use std::sync::Arc;

use async_trait::async_trait;
use dial_rules::event::Millis;
use dial_rules::finding::Finding;
use dial_sinks::filter::{FindingFilter, FindingPage};
use dial_sinks::outbox::courier::Offers;
use dial_sinks::outbox::pace::GRACE;
use dial_sinks::outbox::store::Outbox;
use dial_sinks::store::{FindingStore, RecordOutcome, StoreError};

use crate::clock::now;

/// The store behind the straight line.
#[derive(Debug)]
pub(crate) struct OwingFindingStore {
    store: Arc<dyn Outbox>,
    /// Of the courier beside it, if there is one.
    offers: Option<Offers>,
}

impl OwingFindingStore {
    /// Of a worker that delivers.
    pub(crate) fn new(store: Arc<dyn Outbox>, offers: Offers) -> OwingFindingStore {
        OwingFindingStore { store, offers: Some(offers) }
    }

    /// Of a command that delivers nothing: what it records is any worker's to take up at once.
    pub(crate) fn without_courier(store: Arc<dyn Outbox>) -> OwingFindingStore {
        OwingFindingStore { store, offers: None }
    }

    /// From when on others may take up what is recorded now.
    fn owing(&self) -> Millis {
        let grace = match &self.offers {
            // Others leave it to this worker for a while.
            Some(_) => Millis::try_from(GRACE.as_millis()).unwrap_or(Millis::MAX),
            None => 0,
        };
        now().saturating_add(grace)
    }
}

#[async_trait]
impl FindingStore for OwingFindingStore {
    async fn record_owing(&self, updates: Vec<Finding>, owing: Option<Millis>) -> Result<RecordOutcome, StoreError> {
        let owing = owing.unwrap_or_else(|| self.owing());
        let outcome = self.store.record_owing(updates, Some(owing)).await?;
        if let Some(offers) = &self.offers {
            offers.offer(outcome.new.iter().chain(&outcome.changed).cloned());
        }
        Ok(outcome)
    }

    async fn get(&self, finding_id: &str) -> Result<Option<Finding>, StoreError> {
        self.store.get(finding_id).await
    }

    async fn list(&self, filter: &FindingFilter) -> Result<FindingPage, StoreError> {
        self.store.list(filter).await
    }
}
