//! Stores whose calls wait at a gate, and may break a promise.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dial_rules::event::Millis;
use dial_rules::finding::Finding;
use dial_rules::lineage::{Ancestry, Link};
use dial_sinks::actors::memory::MemoryActorStore;
use dial_sinks::actors::{ActorError, ActorStore, Learned};
use dial_sinks::filter::{FindingFilter, FindingPage};
use dial_sinks::memory::MemoryFindingStore;
use dial_sinks::store::{FindingStore, RecordOutcome, StoreError};
use dial_sinks::windows::memory::MemoryWindowStore;
use dial_sinks::windows::retention::Retention;
use dial_sinks::windows::store::{Addition, Appended, WindowError, WindowItem, WindowRange, WindowStore};

/// Where calls wait.
#[async_trait]
pub(crate) trait Gate: std::fmt::Debug + Send + Sync {
    /// Before a call has its effect.
    async fn before(&self);
    /// After it, before the caller knows.
    async fn after(&self) {}
}

/// A promise that is broken: as if the steps were taken in another order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Matches are appended only after the next time that windows are read.
    ReadFirst,
    /// Matches are appended only after it was asked who is behind their credentials.
    ResolveFirst,
    /// Links are written only after the next time that windows are read.
    RefileFirst,
}

/// What all workers share.
#[derive(Debug, Clone)]
pub(crate) struct Stores {
    pub(crate) windows: Arc<MemoryWindowStore>,
    pub(crate) actors: Arc<MemoryActorStore>,
    pub(crate) findings: Arc<MemoryFindingStore>,
}

impl Default for Stores {
    fn default() -> Stores {
        Stores {
            windows: Arc::new(MemoryWindowStore::new(Retention::default())),
            actors: Arc::default(),
            findings: Arc::default(),
        }
    }
}

/// One worker's way to the stores.
#[derive(Debug)]
pub(crate) struct Gated {
    pub(crate) stores: Stores,
    pub(crate) gate: Arc<dyn Gate>,
    pub(crate) fault: Fault,
    appends: Mutex<Vec<(Vec<Addition>, Millis)>>,
    links: Mutex<Vec<(Vec<Link>, Millis)>>,
}

impl Gated {
    pub(crate) fn new(stores: Stores, gate: Arc<dyn Gate>, fault: Fault) -> Gated {
        Gated { stores, gate, fault, appends: Mutex::default(), links: Mutex::default() }
    }

    /// What was put off happens now.
    pub(crate) async fn catch_up(&self) {
        let appends = std::mem::take(&mut *self.appends.lock().unwrap());
        for (additions, now) in appends {
            self.stores.windows.append(additions, now).await.unwrap();
        }
        let links = std::mem::take(&mut *self.links.lock().unwrap());
        for (links, now) in links {
            self.stores.actors.learn(links, now).await.unwrap();
        }
    }
}

#[async_trait]
impl WindowStore for Gated {
    async fn append(&self, additions: Vec<Addition>, now: Millis) -> Result<Appended, WindowError> {
        self.gate.before().await;
        let appended = match self.fault {
            Fault::ReadFirst | Fault::ResolveFirst => {
                self.appends.lock().unwrap().push((additions, now));
                Appended::default()
            }
            _ => self.stores.windows.append(additions, now).await?,
        };
        self.gate.after().await;
        Ok(appended)
    }

    async fn read(&self, ranges: &[WindowRange]) -> Result<Vec<Vec<WindowItem>>, WindowError> {
        self.gate.before().await;
        if self.fault == Fault::ResolveFirst {
            self.catch_up().await;
        }
        let read = self.stores.windows.read(ranges).await?;
        if self.fault == Fault::RefileFirst {
            self.gate.after().await;
            self.gate.before().await;
        }
        self.catch_up().await;
        self.gate.after().await;
        Ok(read)
    }
}

#[async_trait]
impl ActorStore for Gated {
    async fn learn(&self, links: Vec<Link>, now: Millis) -> Result<Learned, ActorError> {
        self.gate.before().await;
        let learned = match self.fault {
            Fault::RefileFirst => {
                self.links.lock().unwrap().push((links, now));
                Learned::default()
            }
            _ => self.stores.actors.learn(links, now).await?,
        };
        self.gate.after().await;
        Ok(learned)
    }

    async fn known(&self, credentials: &BTreeSet<String>) -> Result<HashMap<String, Ancestry>, ActorError> {
        self.gate.before().await;
        let known = self.stores.actors.known(credentials).await?;
        if self.fault == Fault::ResolveFirst {
            self.gate.after().await;
            self.gate.before().await;
            self.catch_up().await;
        }
        self.gate.after().await;
        Ok(known)
    }
}

#[async_trait]
impl FindingStore for Gated {
    async fn record_owing(&self, findings: Vec<Finding>, owing: Option<i64>) -> Result<RecordOutcome, StoreError> {
        self.gate.before().await;
        let recorded = self.stores.findings.record_owing(findings, owing).await?;
        self.gate.after().await;
        Ok(recorded)
    }

    async fn get(&self, finding_id: &str) -> Result<Option<Finding>, StoreError> {
        self.stores.findings.get(finding_id).await
    }

    async fn list(&self, filter: &FindingFilter) -> Result<FindingPage, StoreError> {
        self.stores.findings.list(filter).await
    }
}
