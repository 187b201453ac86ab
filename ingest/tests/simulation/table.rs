//! A lease table whose conditions can be taken away one by one.

use std::collections::{BTreeMap, BTreeSet};

use dial_ingest::lease::{Lease, LeaseChange};
use dial_ingest::{ErrorKind, PortError, Position};

use crate::clock::Micros;
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
    /// Who took it, ever.
    pub takers: BTreeSet<String>,
    /// So many of the shard's records were found durable when a checkpoint passed them.
    pub checked: usize,
}

#[derive(Default)]
pub struct Table {
    pub rows: BTreeMap<String, Row>,
    holdings: u64,
}

pub fn refused(call: &'static str) -> PortError {
    PortError::new(call, ErrorKind::Refused, "the lease has changed")
}

impl Table {
    pub fn is_ended(&self, key: &str) -> Option<bool> {
        self.rows.get(key).map(|row| row.lease.is_ended())
    }

    pub fn create(&mut self, lease: &Lease, now: Micros, without: Option<Mutation>) -> bool {
        let overwrite = without == Some(Mutation::CreateAnyway);
        let absent = !self.rows.contains_key(&lease.lease_key);
        let open_parent = |key: &String| self.is_ended(key) == Some(false);
        if without == Some(Mutation::ChildrenNotCreated) && lease.parent_shard_ids.iter().any(open_parent) {
            return absent;
        }
        if absent || overwrite {
            self.holdings += 1;
            let row = Row {
                since_counter: lease.lease_counter,
                lease: lease.clone(),
                holding: self.holdings,
                since: now,
                takers: BTreeSet::new(),
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
        let owner_is_free = without == Some(Mutation::NoOwner(Kind::of(change)));
        if !(counter || counter_is_free) || !(owner || owner_is_free) {
            return Err(refused("UpdateItem"));
        }
        let before = row.clone();
        row.lease = row.lease.after(change);
        if let LeaseChange::Take { owner } = change {
            self.holdings += 1;
            row.takers.insert(owner.clone());
            (row.holding, row.since_counter, row.since) = (self.holdings, row.lease.lease_counter, now);
        }
        Ok(before)
    }

    /// Removes the lease if it is as known; returns what was removed.
    pub fn delete(&mut self, known: &Lease, without: Option<Mutation>) -> Result<Option<Row>, PortError> {
        let as_known =
            |row: &Row| row.lease.lease_counter == known.lease_counter && row.lease.lease_owner == known.lease_owner;
        match self.rows.get(&known.lease_key) {
            Some(row) if !as_known(row) && without != Some(Mutation::DeleteAnyway) => Err(refused("DeleteItem")),
            _ => Ok(self.rows.remove(&known.lease_key)),
        }
    }

    /// An operator writes another owner's name on a lease, by hand and without counting. Not that of who had it once:
    /// if that worker has not noticed yet that it lost the lease, nobody could tell it.
    pub fn give_away(&mut self, key: &str, owner: Option<String>, now: Micros) {
        let news = |row: &&mut Row| {
            owner != row.lease.lease_owner && owner.as_ref().is_none_or(|owner| !row.takers.contains(owner))
        };
        if let Some(row) = self.rows.get_mut(key).filter(news) {
            self.holdings += 1;
            (row.lease.lease_owner, row.holding, row.since) = (owner, self.holdings, now);
            row.since_counter = row.lease.lease_counter;
        }
    }

    /// An operator sets a shard's checkpoint back, so that it is read again.
    pub fn set_back(&mut self, key: &str, checkpoint: Position, now: Micros) {
        self.give_away(key, None, now);
        if let Some(row) = self.rows.get_mut(key) {
            row.since_counter += 1;
            row.lease.lease_counter += 1;
            row.lease.checkpoint = checkpoint;
        }
    }
}
