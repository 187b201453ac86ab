//! The stores as one life of a worker sees them: slow, failing, and gone when it dies; and what may be broken about them.

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
    async fn pass(&self) {
        if self.passed.fetch_add(1, Ordering::Relaxed) >= self.closes {
            self.closed.notify_one();
            std::future::pending::<()>().await;
        }
        let wait = self.dice.lock().unwrap().below(usize::try_from(self.slowest.as_millis()).unwrap() + 1);
        match wait {
            0 => tokio::task::yield_now().await,
            wait => sleep(Duration::from_millis(wait as u64)).await,
        }
    }

    async fn around<T>(&self, call: impl Future<Output = T>) -> T {
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
    async fn record(&self, updates: Vec<Finding>) -> Result<RecordOutcome, StoreError> {
        self.gate.around(self.store.record(updates)).await
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

/// What a worker's stores do not do, though they promise it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breach {
    /// What is appended can be read by others only after its worker has read: as if it read first.
    ReadBeforeAppend,
    /// What is appended is lost.
    AppendsLost,
    /// Ranges are read without the moments at their ends.
    RangesTooShort,
    /// What was filed before more was known of its credential is not found again.
    NothingRefiled,
    /// What teaches of credentials is lost.
    LinksLost,
    /// Of what was learned of a credential only the last counts.
    LastLinkOnly,
    /// A finding is replaced and not joined.
    FindingsReplaced,
    /// Of several findings only the first is recorded.
    FindingsLost,
}

impl Breach {
    pub(super) const ALL: [Breach; 8] = [
        Breach::ReadBeforeAppend,
        Breach::AppendsLost,
        Breach::RangesTooShort,
        Breach::NothingRefiled,
        Breach::LinksLost,
        Breach::LastLinkOnly,
        Breach::FindingsReplaced,
        Breach::FindingsLost,
    ];
}

/// A store that breaks a promise.
#[derive(Debug)]
pub(super) struct Broken<S: ?Sized> {
    store: Arc<S>,
    breach: Breach,
    waiting: Mutex<Vec<Addition>>,
    last: Mutex<BTreeMap<String, Ancestry>>,
    replaced: Mutex<BTreeMap<String, Finding>>,
}

impl<S: ?Sized> Broken<S> {
    pub(super) fn new(store: Arc<S>, breach: Breach) -> Broken<S> {
        Broken { store, breach, waiting: Mutex::default(), last: Mutex::default(), replaced: Mutex::default() }
    }
}

#[async_trait]
impl WindowStore for Broken<dyn WindowStore> {
    async fn append(&self, mut additions: Vec<Addition>, now: Millis) -> Result<Appended, WindowError> {
        match self.breach {
            Breach::ReadBeforeAppend => {
                self.waiting.lock().unwrap().append(&mut additions);
                Ok(Appended::default())
            }
            Breach::AppendsLost => Ok(Appended::default()),
            _ => self.store.append(additions, now).await,
        }
    }

    async fn read(&self, ranges: &[WindowRange]) -> Result<Vec<Vec<WindowItem>>, WindowError> {
        let mut asked = ranges.to_vec();
        if self.breach == Breach::RangesTooShort {
            asked.iter_mut().for_each(|range| {
                range.from = range.from.saturating_add(1);
                range.to = range.to.saturating_sub(1);
            });
        }
        let mut answer = self.store.read(&asked).await?;
        if self.breach == Breach::NothingRefiled {
            let by_credential = ranges.iter().map(|range| range.window.correlation == super::BY_CREDENTIAL);
            answer.iter_mut().zip(by_credential).filter(|(_, is)| *is).for_each(|(items, _)| items.clear());
        }
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap());
        for (range, items) in ranges.iter().zip(&mut answer) {
            let own = waiting.iter().filter(|addition| addition.window == range.window);
            items.extend(own.flat_map(|addition| addition.items.clone()));
            items.retain(|item| (range.from..=range.to).contains(&item.time));
            items.sort();
            items.dedup();
        }
        if !waiting.is_empty() {
            sleep(Duration::from_millis(1)).await;
            self.store.append(waiting, 0).await?;
        }
        Ok(answer)
    }
}

#[async_trait]
impl ActorStore for Broken<dyn ActorStore> {
    async fn learn(&self, links: Vec<Link>, now: Millis) -> Result<Learned, ActorError> {
        match self.breach {
            Breach::LinksLost => return Ok(Learned::default()),
            Breach::LastLinkOnly => {
                let mut last = self.last.lock().unwrap();
                last.extend(links.iter().map(|link| (link.credential.clone(), link.clone().into())));
            }
            _ => {}
        }
        self.store.learn(links, now).await
    }

    async fn known(&self, credentials: &BTreeSet<String>) -> Result<HashMap<String, Ancestry>, ActorError> {
        if self.breach == Breach::LastLinkOnly {
            let last = self.last.lock().unwrap();
            return Ok(credentials.iter().filter_map(|id| Some((id.clone(), last.get(id)?.clone()))).collect());
        }
        self.store.known(credentials).await
    }
}

#[async_trait]
impl FindingStore for Broken<dyn FindingStore> {
    async fn record(&self, mut updates: Vec<Finding>) -> Result<RecordOutcome, StoreError> {
        match self.breach {
            Breach::FindingsLost => updates.truncate(1),
            Breach::FindingsReplaced => {
                let replaced = updates.iter().map(|finding| (finding.finding_id.clone(), finding.clone()));
                self.replaced.lock().unwrap().extend(replaced);
            }
            _ => {}
        }
        self.store.record(updates).await
    }

    async fn get(&self, finding_id: &str) -> Result<Option<Finding>, StoreError> {
        self.store.get(finding_id).await
    }

    async fn list(&self, filter: &FindingFilter) -> Result<FindingPage, StoreError> {
        let mut page = self.store.list(filter).await?;
        let replaced = self.replaced.lock().unwrap();
        page.findings.iter_mut().for_each(|finding| {
            if let Some(last) = replaced.get(&finding.finding_id) {
                *finding = last.clone();
            }
        });
        Ok(page)
    }
}
