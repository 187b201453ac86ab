//! [`FailingWindowStore`]: a store that fails on purpose, for tests.

use std::sync::Arc;

use async_trait::async_trait;
use dial_rules::event::Millis;

use super::store::{Addition, Appended, WindowError, WindowItem, WindowRange, WindowStore};
use crate::failing::FailureRates;
use crate::fate::{Fate, Fates};

/// Wraps a store and lets calls fail, by a sequence that depends on the seed and on the calls' order alone.
#[derive(Debug)]
pub struct FailingWindowStore {
    inner: Arc<dyn WindowStore>,
    fates: Fates,
}

impl FailingWindowStore {
    /// Lets calls to `inner` fail at these rates. An append that fails halfway has added some of its items; a read that
    /// does so fails after it has been made.
    pub fn new(inner: Arc<dyn WindowStore>, rates: FailureRates, seed: u64) -> Self {
        Self { inner, fates: Fates::new(rates, seed) }
    }

    /// How many calls have been made to fail so far.
    pub fn injected(&self) -> u64 {
        self.fates.injected()
    }

    fn failure(&self, when: &str) -> WindowError {
        WindowError::unavailable("reach the window store", self.fates.failure(when))
    }
}

#[async_trait]
impl WindowStore for FailingWindowStore {
    async fn append(&self, mut additions: Vec<Addition>, now: Millis) -> Result<Appended, WindowError> {
        match self.fates.next() {
            Fate::Succeed => self.inner.append(additions, now).await,
            Fate::FailBefore => Err(self.failure("before")),
            Fate::FailHalfway => {
                additions.iter_mut().for_each(|addition| addition.items.retain(|_| self.fates.chance() < 0.5));
                self.inner.append(additions, now).await?;
                Err(self.failure("halfway through"))
            }
            Fate::FailAfter => {
                self.inner.append(additions, now).await?;
                Err(self.failure("after"))
            }
        }
    }

    async fn read(&self, ranges: &[WindowRange]) -> Result<Vec<Vec<WindowItem>>, WindowError> {
        match self.fates.next() {
            Fate::Succeed => self.inner.read(ranges).await,
            Fate::FailBefore => Err(self.failure("before")),
            Fate::FailHalfway | Fate::FailAfter => {
                self.inner.read(ranges).await?;
                Err(self.failure("after"))
            }
        }
    }
}
