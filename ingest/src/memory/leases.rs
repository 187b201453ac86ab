//! A lease table in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::error::{ErrorKind, PortError};
use crate::lease::{Lease, LeaseChange};
use crate::store::LeaseStore;

/// A lease table that lasts as long as the value. Share it between workers in an `Arc`.
#[derive(Debug, Default)]
pub struct MemoryLeases {
    leases: Mutex<BTreeMap<String, Lease>>,
}

impl MemoryLeases {
    fn leases(&self) -> MutexGuard<'_, BTreeMap<String, Lease>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every lease as it is now, by key.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<String, Lease> {
        self.leases().clone()
    }

    /// Puts a lease there whatever there was, as an operator does by hand.
    pub fn put(&self, lease: Lease) {
        self.leases().insert(lease.lease_key.clone(), lease);
    }
}

fn is_as_known(stored: Option<&Lease>, known: &Lease) -> bool {
    stored.is_some_and(|stored| stored.lease_counter == known.lease_counter && stored.lease_owner == known.lease_owner)
}

#[async_trait]
impl LeaseStore for MemoryLeases {
    async fn create_table(&self) -> Result<(), PortError> {
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Lease>, PortError> {
        Ok(self.leases().values().cloned().collect())
    }

    async fn get(&self, lease_key: &str) -> Result<Option<Lease>, PortError> {
        Ok(self.leases().get(lease_key).cloned())
    }

    async fn create(&self, lease: &Lease) -> Result<bool, PortError> {
        let mut leases = self.leases();
        let absent = !leases.contains_key(&lease.lease_key);
        if absent {
            leases.insert(lease.lease_key.clone(), lease.clone());
        }
        Ok(absent)
    }

    async fn update(&self, lease: &Lease, change: &LeaseChange) -> Result<Lease, PortError> {
        let mut leases = self.leases();
        match leases.get_mut(&lease.lease_key) {
            Some(stored) if is_as_known(Some(stored), lease) => {
                *stored = stored.after(change);
                Ok(stored.clone())
            }
            _ => Err(PortError::new("UpdateItem", ErrorKind::Refused, "the lease has changed")),
        }
    }

    async fn delete(&self, lease: &Lease) -> Result<(), PortError> {
        let mut leases = self.leases();
        let stored = leases.get(&lease.lease_key);
        if stored.is_some() && !is_as_known(stored, lease) {
            return Err(PortError::new("DeleteItem", ErrorKind::Refused, "the lease has changed"));
        }
        leases.remove(&lease.lease_key);
        Ok(())
    }
}
