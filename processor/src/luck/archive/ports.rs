//! The object store and the lease table as one life of a worker sees them: slow, failing, and gone when it dies.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use dial_analytics::failing::FailingStore;
use dial_analytics::memory::MemoryStore;
use dial_analytics::store::{Listed, ObjectStore, Put, StoreError};
use dial_ingest::failing::Failing;
use dial_ingest::lease::{Lease, LeaseChange};
use dial_ingest::memory::MemoryLeases;
use dial_ingest::{LeaseStore, PortError};
use tokio::time::{Instant, sleep};

use super::super::ports::Gate;
use super::breach::{Breach, HeldBack};

/// What outlives every worker.
#[derive(Debug)]
pub(super) struct Backend {
    pub(super) store: FailingStore<MemoryStore>,
    pub(super) leases: Failing<Arc<MemoryLeases>>,
    /// How many files were found to be there already.
    pub(super) existed: AtomicUsize,
    /// How many open intents were taken over.
    pub(super) recovered: AtomicUsize,
    pub(super) begun: Instant,
}

/// Both ports, behind a worker's gate.
#[derive(Debug, Clone)]
pub(super) struct Gated {
    pub(super) gate: Arc<Gate>,
    pub(super) backend: Arc<Backend>,
    pub(super) breach: Option<Breach>,
    pub(super) held: Arc<HeldBack>,
}

impl Gated {
    /// What was sent arrives, whether or not its sender lives to hear of it.
    async fn send(&self, key: String, bytes: Bytes) -> Result<Put, StoreError> {
        self.gate.pass().await;
        let (backend, late) = (self.backend.clone(), self.gate.delay());
        let sent = tokio::spawn(async move {
            sleep(late).await;
            backend.store.put_if_absent(&key, bytes).await
        });
        let put = sent.await.unwrap();
        self.gate.pass().await;
        if matches!(put, Ok(Put::Existed)) {
            self.backend.existed.fetch_add(1, Ordering::Relaxed);
        }
        put
    }

    async fn change(&self, lease: &Lease, change: &LeaseChange) -> Result<Lease, PortError> {
        let leases = &self.backend.leases;
        match (self.breach, change) {
            (Some(Breach::NoIntent | Breach::IntentAfterPut), LeaseChange::Declare(declaration)) => {
                let renewed = leases.update(lease, &LeaseChange::Renew).await?;
                self.held.intents.lock().unwrap().insert(lease.lease_key.clone(), declaration.clone());
                Ok(Lease { declaration: Some(declaration.clone()), ..renewed })
            }
            (Some(Breach::IntentAfterPut), LeaseChange::Commit { .. }) => {
                let held = self.held.intents.lock().unwrap().remove(&lease.lease_key);
                let Some(declaration) = held else { return leases.update(lease, change).await };
                let declared = leases.update(lease, &LeaseChange::Declare(declaration)).await?;
                self.gate.pass().await;
                leases.update(&declared, change).await
            }
            (Some(Breach::IntentUnread), LeaseChange::Take { .. }) => {
                Ok(Lease { declaration: None, ..leases.update(lease, change).await? })
            }
            (Some(Breach::CommitBeforePut), LeaseChange::Commit { .. }) => {
                let committed = leases.update(lease, change).await?;
                let files = std::mem::take(&mut *self.held.files.lock().unwrap());
                for (key, bytes) in files {
                    while self.send(key.clone(), bytes.clone()).await.is_err() {}
                }
                Ok(committed)
            }
            _ => leases.update(lease, change).await,
        }
    }
}

/// A name that the file would not have had otherwise.
fn renamed(key: &str, by: &str) -> String {
    let (stem, ending) = key.rsplit_once('.').unwrap();
    format!("{stem}-{by}.{ending}")
}

#[async_trait]
impl ObjectStore for Gated {
    async fn put_if_absent(&self, key: &str, bytes: Bytes) -> Result<Put, StoreError> {
        match self.breach {
            Some(Breach::CommitBeforePut) => {
                self.held.files.lock().unwrap().push((key.to_owned(), bytes));
                Ok(Put::Created)
            }
            Some(Breach::NamedByTime) => {
                let now = self.backend.begun.elapsed().as_millis().to_string();
                self.send(renamed(key, &now), bytes).await
            }
            Some(Breach::PutBeside) => match self.send(key.to_owned(), bytes.clone()).await? {
                Put::Existed => self.send(renamed(key, "again"), bytes).await,
                Put::Created => Ok(Put::Created),
            },
            _ => self.send(key.to_owned(), bytes).await,
        }
    }

    async fn get(&self, key: &str) -> Result<Bytes, StoreError> {
        self.gate.around(self.backend.store.get(key)).await
    }

    async fn open(&self, key: &str) -> Result<Box<dyn Read + Send>, StoreError> {
        self.gate.around(self.backend.store.open(key)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        self.gate.around(self.backend.store.list(prefix)).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.gate.around(self.backend.store.delete(key)).await
    }
}

#[async_trait]
impl LeaseStore for Gated {
    async fn create_table(&self) -> Result<(), PortError> {
        self.backend.leases.create_table().await
    }

    async fn list(&self) -> Result<Vec<Lease>, PortError> {
        self.backend.leases.list().await
    }

    async fn get(&self, lease_key: &str) -> Result<Option<Lease>, PortError> {
        self.backend.leases.get(lease_key).await
    }

    async fn create(&self, lease: &Lease) -> Result<bool, PortError> {
        self.gate.around(self.backend.leases.create(lease)).await
    }

    async fn update(&self, lease: &Lease, change: &LeaseChange) -> Result<Lease, PortError> {
        let changed = self.gate.around(self.change(lease, change)).await;
        let takes = matches!(change, LeaseChange::Take { .. });
        if takes && matches!(&changed, Ok(Lease { declaration: Some(_), .. })) {
            self.backend.recovered.fetch_add(1, Ordering::Relaxed);
        }
        changed
    }

    async fn delete(&self, lease: &Lease) -> Result<(), PortError> {
        self.gate.around(self.backend.leases.delete(lease)).await
    }
}
