//! [`FailingFindingArchive`]: fails on purpose, in the ways in which a store of files does.

use std::sync::Arc;

use async_trait::async_trait;
use dial_rules::event::Millis;

use super::memory::day;
use super::{Archived, FindingArchive};
use crate::failing::FailureRates;
use crate::fate::{Fate, Fates};
use crate::sink::SendError;

/// Wraps an archive and makes some of its calls fail: before anything is written, when the findings of some days are, or when
/// all are and only the answer is lost. Which calls fail is a function of the seed and of the calls' order.
#[derive(Debug)]
pub struct FailingFindingArchive {
    inner: Arc<dyn FindingArchive>,
    fates: Fates,
}

impl FailingFindingArchive {
    /// Fails at these rates.
    pub fn new(inner: Arc<dyn FindingArchive>, rates: FailureRates, seed: u64) -> Self {
        FailingFindingArchive { inner, fates: Fates::new(rates, seed) }
    }

    /// How many failures have been injected so far.
    pub fn injected(&self) -> u64 {
        self.fates.injected()
    }

    fn failure(&self, when: &str) -> SendError {
        SendError::Unavailable(self.fates.failure(when))
    }
}

#[async_trait]
impl FindingArchive for FailingFindingArchive {
    async fn put(&self, batch: &str, mut findings: Vec<Archived>, written: Millis) -> Result<(), SendError> {
        match self.fates.next() {
            Fate::FailBefore => Err(self.failure("before")),
            Fate::FailHalfway => {
                let last = findings.iter().map(day).max();
                findings.retain(|archived| Some(day(archived)) != last);
                self.inner.put(batch, findings, written).await?;
                Err(self.failure("halfway through"))
            }
            Fate::FailAfter => {
                self.inner.put(batch, findings, written).await?;
                Err(self.failure("after"))
            }
            Fate::Succeed => self.inner.put(batch, findings, written).await,
        }
    }
}
