//! [`FailingFindingStore`]: a store that fails on purpose, for tests.

use std::sync::Arc;

use async_trait::async_trait;
use dial_rules::event::Millis;
use dial_rules::finding::Finding;

use crate::fate::{Fate, Fates};
use crate::filter::{FindingFilter, FindingPage};
use crate::store::{FindingStore, RecordOutcome, StoreError};

/// How likely each failure is, from 0 (never) to 1 (always); their sum is at most 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FailureRates {
    /// Nothing happens, and the call fails. Reads fail in this way only.
    pub before: f64,
    /// A part of the updates is recorded, and the call fails.
    pub halfway: f64,
    /// All updates are recorded, and the call fails all the same: the answer was lost.
    pub after: f64,
}

/// Wraps a store and lets calls fail, by a sequence that depends on the seed and on the calls' order alone. Around a store
/// with an [`Outbox`](crate::outbox::store::Outbox) it is one.
#[derive(Debug)]
pub struct FailingFindingStore<S: ?Sized = dyn FindingStore> {
    pub(crate) inner: Arc<S>,
    pub(crate) fates: Fates,
}

impl<S: FindingStore + ?Sized> FailingFindingStore<S> {
    /// Lets calls to `inner` fail at these rates.
    pub fn new(inner: Arc<S>, rates: FailureRates, seed: u64) -> Self {
        Self { inner, fates: Fates::new(rates, seed) }
    }

    /// How many calls have been made to fail so far.
    pub fn injected(&self) -> u64 {
        self.fates.injected()
    }

    pub(crate) fn failure(&self, when: &str) -> StoreError {
        StoreError::unavailable("reach the finding store", self.fates.failure(when))
    }

    pub(crate) fn before_reading(&self) -> Result<(), StoreError> {
        match self.fates.next() {
            Fate::FailBefore => Err(self.failure("before")),
            Fate::Succeed | Fate::FailHalfway | Fate::FailAfter => Ok(()),
        }
    }
}

#[async_trait]
impl<S: FindingStore + ?Sized> FindingStore for FailingFindingStore<S> {
    async fn record_owing(
        &self,
        mut updates: Vec<Finding>,
        owing: Option<Millis>,
    ) -> Result<RecordOutcome, StoreError> {
        match self.fates.next() {
            Fate::Succeed => self.inner.record_owing(updates, owing).await,
            Fate::FailBefore => Err(self.failure("before")),
            Fate::FailHalfway => {
                updates.retain(|_| self.fates.chance() < 0.5);
                self.inner.record_owing(updates, owing).await?;
                Err(self.failure("halfway through"))
            }
            Fate::FailAfter => {
                self.inner.record_owing(updates, owing).await?;
                Err(self.failure("after"))
            }
        }
    }

    async fn get(&self, finding_id: &str) -> Result<Option<Finding>, StoreError> {
        self.before_reading()?;
        self.inner.get(finding_id).await
    }

    async fn list(&self, filter: &FindingFilter) -> Result<FindingPage, StoreError> {
        self.before_reading()?;
        self.inner.list(filter).await
    }
}
