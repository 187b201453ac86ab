//! One consumer application: its lease table, what it made durable, and what is left of that in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::clock::Micros;
use crate::consumer::{Kind, number};
use crate::table::Table;
use crate::truth::Truth;
use crate::witness::{Holding, Run};

pub struct App {
    pub kind: Kind,
    pub table: Table,
    pub violations: Vec<String>,
    /// The records whose effect is durable, and how often they were handed over.
    pub durable: BTreeSet<u64>,
    pub delivered: BTreeMap<u64, u32>,
    pub files: BTreeMap<String, Vec<u64>>,
    pub failover: Duration,
    /// Which holding began with this machine's write of this counter.
    pub takes: BTreeMap<(usize, String, u64), u64>,
    pub holdings: BTreeMap<(usize, String), Holding>,
    pub runs: BTreeMap<u64, Run>,
    /// The shards whose end was written once.
    pub ended: BTreeSet<String>,
    /// Declarations that were handed to a new owner.
    pub inherited: u64,
}

impl App {
    pub fn new(kind: Kind, failover: Duration) -> Self {
        Self {
            kind,
            table: Table::default(),
            violations: Vec::new(),
            durable: BTreeSet::new(),
            delivered: BTreeMap::new(),
            files: BTreeMap::new(),
            failover,
            takes: BTreeMap::new(),
            holdings: BTreeMap::new(),
            runs: BTreeMap::new(),
            ended: BTreeSet::new(),
            inherited: 0,
        }
    }

    pub fn must(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.violations.push(format!("{:?}: {}", self.kind, what()));
        }
    }

    /// What must be done still, once nothing is in the way.
    pub fn undone(&self, truth: &Truth) -> Vec<String> {
        let kind = self.kind;
        let missing = truth.shards.iter().flat_map(|(id, shard)| {
            let lost = shard.records.iter().find(|record| !self.durable.contains(record));
            lost.map(move |record| format!("{kind:?}: record {record} of {id}"))
        });
        let open = truth.shards.iter().filter(|(id, shard)| shard.closed && self.table.is_ended(id) == Some(false));
        let open = open.map(|(id, _)| format!("{kind:?}: the end of {id}"));
        let read = |id: &str| match self.table.rows.get(id) {
            Some(row) => row.lease.is_ended() || self.is_read_to(id, row.holding, truth.shards[id].records.len()),
            None => truth.shards[id].forgotten,
        };
        let unread = truth.shards.keys().filter(|id| !read(id)).map(|id| format!("{kind:?}: nobody reads {id}"));
        let removable = truth.shards.keys().filter(|id| self.is_removable(id, truth));
        missing.chain(open).chain(unread).chain(removable.map(|id| format!("{kind:?}: the removal of {id}"))).collect()
    }

    /// A lease is over when its shard has aged out and all that the shard continues in has begun.
    fn is_removable(&self, id: &str, truth: &Truth) -> bool {
        let begun = |child: &String| match self.table.rows.get(child) {
            Some(row) => row.lease.checkpoint.has_begun(),
            None => truth.shards[child].forgotten,
        };
        let shard = &truth.shards[id];
        shard.forgotten && self.table.is_ended(id) == Some(true) && shard.children.iter().all(begun)
    }

    /// After everything was healed, read and, from `stopping` on, stopped.
    pub fn conclude(&mut self, truth: &Truth, stopping: Micros) {
        for (id, shard) in &truth.shards {
            let Some(row) = self.table.rows.get(id).cloned() else {
                self.must(shard.forgotten, || format!("{id} has no lease in the end"));
                continue;
            };
            if row.since >= stopping {
                // A take that was on its way when its worker was told to stop: such a lease is left to expire.
                continue;
            }
            let (lease, last) = (row.lease, shard.records.last().copied().unwrap_or_default());
            let at = if lease.checkpoint.has_begun() && !lease.is_ended() { number(&lease.checkpoint) } else { 0 };
            self.must(lease.is_ended() || at == last, || {
                format!("{id} ends at {last}, its checkpoint is {}", lease.checkpoint)
            });
            self.must(lease.is_ended() == shard.closed, || {
                format!("{id}: its checkpoint is {}, and closed: {}", lease.checkpoint, shard.closed)
            });
            self.must(lease.is_ended() || lease.lease_owner.is_none(), || format!("{id} was not released"));
            self.must(lease.declaration.is_none(), || format!("{id}: a declaration is still open"));
        }
        if self.kind == Kind::Archive {
            let rows: usize = self.files.values().map(Vec::len).sum();
            let distinct: BTreeSet<u64> = self.files.values().flatten().copied().collect();
            self.must(rows == distinct.len() && rows as u64 == truth.put, || {
                format!("{} records lie in {rows} rows of files, {} of them different", truth.put, distinct.len())
            });
        }
    }
}
