//! [`FailingActorStore`]: a store that fails, or hangs, on purpose, for tests.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use dial_rules::event::Millis;
use dial_rules::lineage::{Ancestry, Link};
use tokio::sync::watch;

use super::{ActorError, ActorStore, Learned};
use crate::failing::FailureRates;
use crate::fate::{Fate, Fates};

/// Wraps a store and lets calls fail, by a sequence that depends on the seed and on the calls' order alone.
#[derive(Debug)]
pub struct FailingActorStore {
    inner: Arc<dyn ActorStore>,
    fates: Fates,
    mood: watch::Sender<Mood>,
    calls: AtomicU64,
}

/// What a [`FailingActorStore`] does with every call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Lets it fail as often as the rates say.
    Fair,
    /// Fails without effect.
    Down,
    /// Does not answer until the mood changes.
    Hanging,
}

impl FailingActorStore {
    /// Lets calls to `inner` fail at these rates.
    pub fn new(inner: Arc<dyn ActorStore>, rates: FailureRates, seed: u64) -> Self {
        let mood = watch::Sender::new(Mood::Fair);
        Self { inner, fates: Fates::new(rates, seed), mood, calls: AtomicU64::new(0) }
    }

    /// A store that never fails but when its mood says so.
    pub fn moody(inner: Arc<dyn ActorStore>) -> Self {
        Self::new(inner, FailureRates { before: 0.0, halfway: 0.0, after: 0.0 }, 0)
    }

    /// Changes the mood, of calls under way too.
    pub fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// How many of them have been made to fail so far.
    pub fn injected(&self) -> u64 {
        self.fates.injected()
    }

    async fn begin(&self) -> Result<Fate, ActorError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let mut mood = self.mood.subscribe();
        let _ = mood.wait_for(|mood| *mood != Mood::Hanging).await; // the sender is ours: it does not end
        let down = *mood.borrow() == Mood::Down;
        if down { Err(self.failure("before")) } else { Ok(self.fates.next()) }
    }

    fn failure(&self, when: &str) -> ActorError {
        ActorError::unavailable("reach the actor store", self.fates.failure(when))
    }
}

#[async_trait]
impl ActorStore for FailingActorStore {
    async fn learn(&self, mut links: Vec<Link>, now: Millis) -> Result<Learned, ActorError> {
        match self.begin().await? {
            Fate::Succeed => self.inner.learn(links, now).await,
            Fate::FailBefore => Err(self.failure("before")),
            Fate::FailHalfway => {
                links.retain(|_| self.fates.chance() < 0.5);
                self.inner.learn(links, now).await?;
                Err(self.failure("halfway through"))
            }
            Fate::FailAfter => {
                self.inner.learn(links, now).await?;
                Err(self.failure("after"))
            }
        }
    }

    async fn known(&self, credentials: &BTreeSet<String>) -> Result<HashMap<String, Ancestry>, ActorError> {
        match self.begin().await? {
            Fate::FailBefore => Err(self.failure("before")),
            Fate::Succeed | Fate::FailHalfway | Fate::FailAfter => self.inner.known(credentials).await,
        }
    }
}
