//! The stores and the stream as one life of a worker sees them: slow, and gone when it dies.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dial_ingest::PortError;
use dial_ingest::memory::MemoryStream;
use dial_ingest::stream::{GetRecords, IteratorStart, ShardPage, StreamClient};
use dial_rules::event::Millis;
use dial_rules::finding::Finding;
use dial_rules::lineage::{Ancestry, Link};
use dial_sinks::actors::{ActorError, ActorStore, Learned};
use dial_sinks::filter::{FindingFilter, FindingPage};
use dial_sinks::store::{FindingStore, RecordOutcome, StoreError};
use dial_sinks::windows::store::{Addition, Appended, WindowError, WindowItem, WindowRange, WindowStore};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::dice::Dice;

/// Lets every call of a worker take its time, until the worker dies in the middle of one.
#[derive(Debug)]
pub(super) struct Gate {
    dice: Mutex<Dice>,
    slowest: Duration,
    /// At how many passages it closes.
    closes: usize,
    passed: AtomicUsize,
    pub(super) closed: Notify,
}

impl Gate {
    pub(super) fn new(seed: u64, slowest: Duration, closes: usize) -> Arc<Gate> {
        let dice = Mutex::new(Dice::new(seed, 5));
        Arc::new(Gate { dice, slowest, closes, passed: AtomicUsize::new(0), closed: Notify::new() })
    }

    /// One passage before a call takes effect and one after it. Whoever is too late never comes back.
    pub(super) async fn pass(&self) {
        if self.passed.fetch_add(1, Ordering::Relaxed) >= self.closes {
            self.closed.notify_one();
            std::future::pending::<()>().await;
        }
        match self.delay() {
            Duration::ZERO => tokio::task::yield_now().await,
            wait => sleep(wait).await,
        }
    }

    /// How long something takes.
    pub(super) fn delay(&self) -> Duration {
        let most = usize::try_from(self.slowest.as_millis()).unwrap();
        Duration::from_millis(self.dice.lock().unwrap().below(most + 1) as u64)
    }

    pub(super) async fn around<T>(&self, call: impl Future<Output = T>) -> T {
        self.pass().await;
        let answer = call.await;
        self.pass().await;
        answer
    }
}

/// A store behind a gate.
#[derive(Debug)]
pub(super) struct Gated<S: ?Sized> {
    pub(super) gate: Arc<Gate>,
    pub(super) store: Arc<S>,
}

#[async_trait]
impl WindowStore for Gated<dyn WindowStore> {
    async fn append(&self, additions: Vec<Addition>, now: Millis) -> Result<Appended, WindowError> {
        self.gate.around(self.store.append(additions, now)).await
    }

    async fn read(&self, ranges: &[WindowRange]) -> Result<Vec<Vec<WindowItem>>, WindowError> {
        self.gate.around(self.store.read(ranges)).await
    }
}

#[async_trait]
impl ActorStore for Gated<dyn ActorStore> {
    async fn learn(&self, links: Vec<Link>, now: Millis) -> Result<Learned, ActorError> {
        self.gate.around(self.store.learn(links, now)).await
    }

    async fn known(&self, credentials: &BTreeSet<String>) -> Result<HashMap<String, Ancestry>, ActorError> {
        self.gate.around(self.store.known(credentials)).await
    }
}

#[async_trait]
impl FindingStore for Gated<dyn FindingStore> {
    async fn record_owing(&self, updates: Vec<Finding>, owing: Option<i64>) -> Result<RecordOutcome, StoreError> {
        self.gate.around(self.store.record_owing(updates, owing)).await
    }

    async fn get(&self, finding_id: &str) -> Result<Option<Finding>, StoreError> {
        self.gate.around(self.store.get(finding_id)).await
    }

    async fn list(&self, filter: &FindingFilter) -> Result<FindingPage, StoreError> {
        self.gate.around(self.store.list(filter)).await
    }
}

/// A stream whose records arrived when a case says, whatever the clock says: by their data.
pub(super) struct Dated {
    pub(super) stream: MemoryStream,
    /// In milliseconds, by sequence number.
    pub(super) arrivals: Mutex<BTreeMap<String, i64>>,
}

#[async_trait]
impl StreamClient for Dated {
    async fn list_shards(&self, page: Option<&str>) -> Result<ShardPage, PortError> {
        self.stream.list_shards(page).await
    }

    async fn get_iterator(&self, shard_id: &str, start: &IteratorStart) -> Result<String, PortError> {
        self.stream.get_iterator(shard_id, start).await
    }

    async fn get_records(&self, iterator: &str, limit: u32) -> Result<GetRecords, PortError> {
        let mut answer = self.stream.get_records(iterator, limit).await?;
        let arrivals = self.arrivals.lock().unwrap();
        for record in &mut answer.records {
            record.arrival = arrivals[record.sequence_number.as_str()];
        }
        Ok(answer)
    }
}
