//! [`OwingFindingStore`]: a store of findings that owes their alerts in the write that records them, and has a courier deliver
//! them at once.

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

/// The store behind the straight line of a worker whose settings name sinks.
#[derive(Debug)]
pub(crate) struct OwingFindingStore {
    store: Arc<dyn Outbox>,
    offers: Offers,
}

impl OwingFindingStore {
    pub(crate) fn new(store: Arc<dyn Outbox>, offers: Offers) -> OwingFindingStore {
        OwingFindingStore { store, offers }
    }
}

#[async_trait]
impl FindingStore for OwingFindingStore {
    async fn record_owing(&self, updates: Vec<Finding>, owing: Option<Millis>) -> Result<RecordOutcome, StoreError> {
        // Others leave them to this worker for a while.
        let grace = Millis::try_from(GRACE.as_millis()).unwrap_or(Millis::MAX);
        let owing = owing.unwrap_or_else(|| now().saturating_add(grace));
        let outcome = self.store.record_owing(updates, Some(owing)).await?;
        self.offers.offer(outcome.new.iter().chain(&outcome.changed).cloned());
        Ok(outcome)
    }

    async fn get(&self, finding_id: &str) -> Result<Option<Finding>, StoreError> {
        self.store.get(finding_id).await
    }

    async fn list(&self, filter: &FindingFilter) -> Result<FindingPage, StoreError> {
        self.store.list(filter).await
    }
}
