//! The outbox that fails on purpose.

use async_trait::async_trait;
use dial_rules::event::Millis;

use super::store::{Due, Outbox, Owed, Queue, Row, Settled};
use crate::failing::FailingFindingStore;
use crate::fate::Fate;
use crate::store::StoreError;

/// A call that writes one row and fails halfway has written it or not, by chance.
#[async_trait]
impl<S: Outbox + ?Sized> Outbox for FailingFindingStore<S> {
    async fn due(&self, queue: Queue, now: Millis, limit: usize) -> Result<Vec<Due>, StoreError> {
        self.before_reading()?;
        self.inner.due(queue, now, limit).await
    }

    async fn waiting(&self, queue: Queue, limit: usize) -> Result<Vec<Due>, StoreError> {
        self.before_reading()?;
        self.inner.waiting(queue, limit).await
    }

    async fn owed(&self, ids: &[String]) -> Result<Vec<Owed>, StoreError> {
        self.before_reading()?;
        self.inner.owed(ids).await
    }

    async fn settle(&self, mut settled: Vec<Settled>) -> Result<Vec<bool>, StoreError> {
        let fate = self.fates.next();
        match fate {
            Fate::FailBefore => return Err(self.failure("before")),
            Fate::FailHalfway => settled.retain(|_| self.fates.chance() < 0.5),
            Fate::Succeed | Fate::FailAfter => {}
        }
        let done = self.inner.settle(settled).await?;
        self.answer(&fate, done)
    }

    async fn rows(&self, keys: &[String]) -> Result<Vec<Row>, StoreError> {
        self.before_reading()?;
        self.inner.rows(keys).await
    }

    async fn write(&self, row: &Row) -> Result<bool, StoreError> {
        let fate = self.reach()?;
        let done = self.inner.write(row).await?;
        self.answer(&fate, done)
    }

    async fn delete(&self, key: &str, revision: u64) -> Result<bool, StoreError> {
        let fate = self.reach()?;
        let done = self.inner.delete(key, revision).await?;
        self.answer(&fate, done)
    }
}

impl<S: Outbox + ?Sized> FailingFindingStore<S> {
    /// Fails before the one row is written, or says what becomes of the call after it.
    fn reach(&self) -> Result<Fate, StoreError> {
        match self.fates.next() {
            Fate::FailBefore => Err(self.failure("before")),
            Fate::FailHalfway if self.fates.chance() < 0.5 => Err(self.failure("halfway through")),
            fate => Ok(fate),
        }
    }

    fn answer<T>(&self, fate: &Fate, done: T) -> Result<T, StoreError> {
        match fate {
            Fate::FailHalfway => Err(self.failure("halfway through")),
            Fate::FailAfter => Err(self.failure("after")),
            Fate::Succeed | Fate::FailBefore => Ok(done),
        }
    }
}
