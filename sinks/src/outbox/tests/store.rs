//! A store that takes its time, so that whoever waits for it may be killed before and after each call.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dial_rules::event::Millis;
use dial_rules::finding::Finding;
use tokio::time::sleep;

use super::world::Dice;
use crate::archive::{Archived, FindingArchive};
use crate::filter::{FindingFilter, FindingPage};
use crate::outbox::store::{Due, Outbox, Owed, Queue, Row, Settled};
use crate::sink::SendError;
use crate::store::{FindingStore, RecordOutcome, StoreError};

#[derive(Debug)]
pub(crate) struct Slow {
    pub(crate) inner: Arc<dyn Outbox>,
    pub(crate) dice: Dice,
}

impl Slow {
    async fn wait(&self) {
        sleep(Duration::from_millis(self.dice.below(12))).await;
    }

    async fn around<T>(&self, call: impl Future<Output = T>) -> T {
        self.wait().await;
        let answer = call.await;
        self.wait().await;
        answer
    }
}

#[async_trait]
impl FindingStore for Slow {
    async fn record_owing(&self, updates: Vec<Finding>, owing: Option<Millis>) -> Result<RecordOutcome, StoreError> {
        self.around(self.inner.record_owing(updates, owing)).await
    }

    async fn get(&self, finding_id: &str) -> Result<Option<Finding>, StoreError> {
        self.around(self.inner.get(finding_id)).await
    }

    async fn list(&self, filter: &FindingFilter) -> Result<FindingPage, StoreError> {
        self.around(self.inner.list(filter)).await
    }
}

#[async_trait]
impl Outbox for Slow {
    async fn due(&self, queue: Queue, now: Millis, limit: usize) -> Result<Vec<Due>, StoreError> {
        self.around(self.inner.due(queue, now, limit)).await
    }

    async fn waiting(&self, queue: Queue, limit: usize) -> Result<Vec<Due>, StoreError> {
        self.around(self.inner.waiting(queue, limit)).await
    }

    async fn owed(&self, ids: &[String]) -> Result<Vec<Owed>, StoreError> {
        self.around(self.inner.owed(ids)).await
    }

    async fn settle(&self, settled: Vec<Settled>) -> Result<Vec<bool>, StoreError> {
        self.around(self.inner.settle(settled)).await
    }

    async fn rows(&self, keys: &[String]) -> Result<Vec<Row>, StoreError> {
        self.around(self.inner.rows(keys)).await
    }

    async fn write(&self, row: &Row) -> Result<bool, StoreError> {
        self.around(self.inner.write(row)).await
    }

    async fn delete(&self, key: &str, revision: u64) -> Result<bool, StoreError> {
        self.around(self.inner.delete(key, revision)).await
    }
}

/// An archive that takes its time, sometimes more than it is given.
#[derive(Debug)]
pub(crate) struct SlowArchive {
    pub(crate) inner: Arc<dyn FindingArchive>,
    pub(crate) dice: Dice,
}

#[async_trait]
impl FindingArchive for SlowArchive {
    async fn put(&self, batch: &str, findings: Vec<Archived>, written: Millis) -> Result<(), SendError> {
        let most = if self.dice.below(20) == 0 { 30_000 } else { 200 };
        sleep(Duration::from_millis(self.dice.below(most))).await;
        let done = self.inner.put(batch, findings, written).await;
        sleep(Duration::from_millis(self.dice.below(most))).await;
        done
    }
}
