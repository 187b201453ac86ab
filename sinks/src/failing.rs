//! [`FailingFindingStore`]: a store that fails on purpose, for tests.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use dial_rules::finding::Finding;

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

/// Wraps a store and lets calls fail, by a sequence that depends on the seed and on the calls' order alone.
#[derive(Debug)]
pub struct FailingFindingStore {
    inner: Arc<dyn FindingStore>,
    rates: FailureRates,
    chance: Chance,
    injected: AtomicU64,
}

/// What becomes of a call.
pub(crate) enum Fate {
    Succeed,
    FailBefore,
    FailHalfway,
    FailAfter,
}

/// Chance that a seed decides.
#[derive(Debug)]
pub(crate) struct Chance(Mutex<u64>);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    /// A number from 0 up to 1, by the SplitMix64 generator.
    pub(crate) fn next(&self) -> f64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from(u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or(0)) / 4_294_967_296.0
    }

    /// What becomes of the next call.
    pub(crate) fn fate(&self, rates: FailureRates) -> Fate {
        let FailureRates { before, halfway, after } = rates;
        match self.next() {
            x if x < before => Fate::FailBefore,
            x if x < before + halfway => Fate::FailHalfway,
            x if x < before + halfway + after => Fate::FailAfter,
            _ => Fate::Succeed,
        }
    }
}

impl FailingFindingStore {
    /// Lets calls to `inner` fail at these rates.
    pub fn new(inner: Arc<dyn FindingStore>, rates: FailureRates, seed: u64) -> Self {
        Self { inner, rates, chance: Chance::new(seed), injected: AtomicU64::new(0) }
    }

    /// How many calls have been made to fail so far.
    pub fn injected(&self) -> u64 {
        self.injected.load(Ordering::Relaxed)
    }

    fn failure(&self, when: &str) -> StoreError {
        let count = self.injected.fetch_add(1, Ordering::Relaxed) + 1;
        StoreError::unavailable("reach the finding store", format!("injected failure {count}, {when} the call"))
    }

    fn before_reading(&self) -> Result<(), StoreError> {
        match self.chance.fate(self.rates) {
            Fate::FailBefore => Err(self.failure("before")),
            Fate::Succeed | Fate::FailHalfway | Fate::FailAfter => Ok(()),
        }
    }
}

#[async_trait]
impl FindingStore for FailingFindingStore {
    async fn record(&self, mut updates: Vec<Finding>) -> Result<RecordOutcome, StoreError> {
        match self.chance.fate(self.rates) {
            Fate::Succeed => self.inner.record(updates).await,
            Fate::FailBefore => Err(self.failure("before")),
            Fate::FailHalfway => {
                updates.retain(|_| self.chance.next() < 0.5);
                self.inner.record(updates).await?;
                Err(self.failure("halfway through"))
            }
            Fate::FailAfter => {
                self.inner.record(updates).await?;
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
