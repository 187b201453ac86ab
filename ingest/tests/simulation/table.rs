//! A lease table whose conditions can be taken away one by one.

use std::collections::BTreeMap;

use dial_ingest::lease::{Lease, LeaseChange};
use dial_ingest::{ErrorKind, PortError};

use crate::machine::Micros;
use crate::mutation::{Kind, Mutation};

/// A lease and what no worker knows of it.
#[derive(Clone, Debug)]
pub struct Row {
    pub lease: Lease,
    /// Which holding of the lease this is: another number whenever somebody takes it, or an operator interferes.
    pub holding: u64,
    /// The counter and the time when that began.
    pub since_counter: u64,
    pub since: Micros,
    /// So many of the shard's records were found durable when a checkpoint passed them.
    pub checked: usize,
}

#[derive(Default)]
pub struct Table {
    pub rows: BTreeMap<String, Row>,
    holdings: u64,
}

fn refused(call: &'static str) -> PortError {
    PortError::new(call, ErrorKind::Refused, "the lease has changed")
}

impl Table {
    pub fn is_ended(&self, key: &str) -> Option<bool> {
        self.rows.get(key).map(|row| row.lease.is_ended())
    }

    pub fn create(&mut self, lease: &Lease, now: Micros, without: Option<Mutation>) -> bool {
        let overwrite = without == Some(Mutation::CreateUnconditionally);
        let absent = !self.rows.contains_key(&lease.lease_key);
        if without == Some(Mutation::CreateNothing) {
            return absent;
        }
        if absent || overwrite {
            self.holdings += 1;
            let row = Row {
                since_counter: lease.lease_counter,
                lease: lease.clone(),
                holding: self.holdings,
                since: now,
                checked: 0,
            };
            self.rows.insert(lease.lease_key.clone(), row);
        }
        absent || overwrite
    }

    /// Makes the change on the conditions that are left; returns the row as it was before.
    pub fn update(
        &mut self,
        known: &Lease,
        change: &LeaseChange,
        now: Micros,
        without: Option<Mutation>,
    ) -> Result<Row, PortError> {
        let row = self.rows.get_mut(&known.lease_key).ok_or_else(|| refused("UpdateItem"))?;
        let counter = row.lease.lease_counter == known.lease_counter;
        let owner = row.lease.lease_owner == known.lease_owner;
        let counter_is_free = without == Some(Mutation::NoCounter(Kind::of(change)));
        let owner_is_free = without == Some(Mutation::NoOwner);
        if !(counter || counter_is_free) || !(owner || owner_is_free) {
            return Err(refused("UpdateItem"));
        }
        let before = row.clone();
        row.lease = row.lease.after(change);
        if matches!(change, LeaseChange::Take { .. }) {
            self.holdings += 1;
            (row.holding, row.since_counter, row.since) = (self.holdings, row.lease.lease_counter, now);
        }
        Ok(before)
    }

    pub fn delete(&mut self, known: &Lease) -> Result<Option<Row>, PortError> {
        match self.rows.get(&known.lease_key) {
            Some(row)
                if row.lease.lease_counter != known.lease_counter || row.lease.lease_owner != known.lease_owner =>
            {
                Err(refused("DeleteItem"))
            }
            _ => Ok(self.rows.remove(&known.lease_key)),
        }
    }

    /// An operator takes the owner's name off a lease, by hand and without counting.
    pub fn free_by_hand(&mut self, key: &str, now: Micros) {
        if let Some(row) = self.rows.get_mut(key) {
            self.holdings += 1;
            (row.lease.lease_owner, row.holding, row.since) = (None, self.holdings, now);
            row.since_counter = row.lease.lease_counter;
        }
    }
}
