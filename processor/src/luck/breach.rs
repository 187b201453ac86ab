//! Stores that break a promise, to see whether anybody notices.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dial_rules::event::Millis;
use dial_rules::finding::Finding;
use dial_rules::lineage::{Ancestry, Link};
use dial_sinks::actors::{ActorError, ActorStore, Learned};
use dial_sinks::filter::{FindingFilter, FindingPage};
use dial_sinks::store::{FindingStore, RecordOutcome, StoreError};
use dial_sinks::windows::store::{Addition, Appended, WindowError, WindowItem, WindowRange, WindowStore};
use tokio::time::sleep;

/// As the correlation of the windows that hold what was filed under a credential.
const BY_CREDENTIAL: &str = "by credential";

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
            let by_credential = ranges.iter().map(|range| range.window.correlation == BY_CREDENTIAL);
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
    async fn record_owing(&self, mut updates: Vec<Finding>, owing: Option<i64>) -> Result<RecordOutcome, StoreError> {
        match self.breach {
            Breach::FindingsLost => updates.truncate(1),
            Breach::FindingsReplaced => {
                let replaced = updates.iter().map(|finding| (finding.finding_id.clone(), finding.clone()));
                self.replaced.lock().unwrap().extend(replaced);
            }
            _ => {}
        }
        self.store.record_owing(updates, owing).await
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
