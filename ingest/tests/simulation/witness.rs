//! One consumer application: its lease table, what it made durable, and whether what must always hold does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dial_ingest::Declaration;
use dial_ingest::lease::{Lease, LeaseChange};

use crate::consumer::{Kind, number};
use crate::machine::{Clock, MILLI, Micros};
use crate::table::{Row, Table};
use crate::truth::Truth;
use crate::wire::{Effect, Note};

/// A worker, as a witness knows it.
#[derive(Clone, Debug)]
pub struct Person {
    pub machine: usize,
    pub name: String,
    pub clock: Clock,
    /// When it last went on after standing still.
    pub thawed: Micros,
}

/// A lease as its holder may know it.
#[derive(Clone, Debug)]
struct Holding {
    number: u64,
    counter: u64,
    since: Micros,
    /// By the holder's clock.
    valid_until: Duration,
    run: Option<u64>,
}

/// One processor from its start to its end.
#[derive(Clone, Debug)]
struct Run {
    shard: String,
    /// How many of the shard's records were handed over or done before.
    cursor: usize,
}

pub struct App {
    pub kind: Kind,
    pub table: Table,
    pub violations: Vec<String>,
    /// The records whose effect is durable, and how often they were handed over.
    pub durable: BTreeSet<u64>,
    pub delivered: BTreeMap<u64, u32>,
    files: BTreeMap<String, Vec<u64>>,
    failover: Duration,
    /// Which holding began with this machine's write of this counter.
    takes: BTreeMap<(usize, String, u64), u64>,
    holdings: BTreeMap<(usize, String), Holding>,
    runs: BTreeMap<u64, Run>,
    /// Declarations that were handed to a new owner.
    pub inherited: u64,
}

/// Timers have a grain of a millisecond.
const GRAIN: Duration = Duration::from_millis(5);

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
            inherited: 0,
        }
    }

    fn must(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds && self.violations.len() < 10 {
            self.violations.push(what());
        }
    }

    // What a worker begins.

    /// `who` works on a shard, at this time by its own clock.
    pub fn works(&mut self, who: &Person, shard: &str, reading: Duration, now: Micros, at: &str) {
        let Some(holding) = self.holdings.get(&(who.machine, shard.to_owned())).cloned() else {
            return self.must(false, || format!("{} works on {shard} without holding it: {at}", who.name));
        };
        self.must(reading < holding.valid_until, || {
            let over = reading - holding.valid_until;
            format!("{} works on {shard} {over:?} after its lease expired by its own clock: {at}", who.name)
        });
        let Some(row) = self.table.rows.get(shard) else { return };
        if row.holding != holding.number && row.lease.lease_owner.is_some() {
            let both = who.clock.reads(now).saturating_sub(who.clock.reads(row.since));
            self.must(both <= self.failover + GRAIN, || {
                format!("{} works on {shard} for {both:?} after another took it: {at}", who.name)
            });
        }
    }

    pub fn noted(&mut self, who: &Person, note: &Note, reading: Duration, now: Micros, truth: &Truth) {
        match note {
            Note::Started { run, shard, checkpoint, declaration } => {
                let begun = if checkpoint.has_begun() { number(checkpoint) } else { 0 };
                let cursor = truth.shards[shard].records.partition_point(|record| *record <= begun);
                self.runs.insert(*run, Run { shard: shard.clone(), cursor });
                self.inherited += u64::from(declaration.is_some());
                if let Some(holding) = self.holdings.get_mut(&(who.machine, shard.clone())) {
                    holding.run = Some(*run);
                }
            }
            Note::Delivered { run, rows } => {
                let Run { shard, cursor } = self.runs[run].clone();
                self.works(who, &shard, reading, now, "a batch");
                let expected = truth.shards[&shard].records.get(cursor..cursor + rows.len());
                self.must(expected == Some(rows), || {
                    format!("{} was handed {rows:?} of {shard}, not {expected:?}", who.name)
                });
                for row in rows {
                    *self.delivered.entry(*row).or_default() += 1;
                }
                if let Some(run) = self.runs.get_mut(run) {
                    run.cursor = cursor + rows.len();
                }
            }
            Note::Ended { run } => {
                let Run { shard, cursor } = self.runs[run].clone();
                let shown = &truth.shards[&shard];
                self.must(shown.closed && cursor == shown.records.len(), || {
                    format!("{} was told that {shard} ended after {cursor} records", who.name)
                });
            }
            Note::Lost { run } => self.lost(who, *run, reading),
            Note::Shutdown { .. } => {}
        }
    }

    /// A lease is lost for a reason: it expired by its holder's clock, or somebody interfered.
    fn lost(&mut self, who: &Person, run: u64, reading: Duration) {
        let shard = self.runs[&run].shard.clone();
        let key = (who.machine, shard.clone());
        let Some(holding) = self.holdings.get(&key).filter(|holding| holding.run == Some(run)).cloned() else {
            return;
        };
        self.holdings.remove(&key);
        let taken = self.table.rows.get(&shard).is_none_or(|row| row.holding != holding.number);
        let expired = reading + Duration::from_micros(1) >= holding.valid_until;
        let frozen = who.thawed >= holding.since;
        self.must(taken || expired || frozen, || format!("{} lost {shard} without a reason", who.name));
    }

    /// An answer to a change arrived: the holder knows that it holds the lease.
    pub fn answered(&mut self, who: &Person, change: &LeaseChange, lease: &Lease, sent: Duration, now: Micros) {
        let key = (who.machine, lease.lease_key.clone());
        let valid_until = sent + self.failover;
        match change {
            LeaseChange::Take { .. } => {
                let take = (who.machine, lease.lease_key.clone(), lease.lease_counter);
                let number = self.takes.get(&take).copied().unwrap_or_default();
                let holding = Holding { number, counter: lease.lease_counter, since: now, valid_until, run: None };
                self.holdings.insert(key, holding);
            }
            LeaseChange::Release => {
                self.holdings.remove(&key);
            }
            _ => {
                if let Some(holding) = self.holdings.get_mut(&key).filter(|holding| lease.lease_counter > holding.counter)
                {
                    holding.valid_until = valid_until;
                }
            }
        }
    }

    pub fn died(&mut self, machine: usize) {
        self.holdings.retain(|(holder, _), _| *holder != machine);
    }

    // What lands.

    pub fn changed(&mut self, who: &Person, known: &Lease, change: &LeaseChange, before: &Row, truth: &Truth) {
        let (key, old) = (&known.lease_key, &before.lease);
        let new = self.table.rows[key].lease.clone();
        self.must(new.checkpoint >= old.checkpoint, || {
            format!("the checkpoint of {key} moved back from {} to {}", old.checkpoint, new.checkpoint)
        });
        if let LeaseChange::Take { .. } = change {
            let holding = self.table.rows[key].holding;
            self.takes.insert((who.machine, key.clone(), new.lease_counter), holding);
            self.must(known.lease_counter == old.lease_counter && known.lease_owner == old.lease_owner, || {
                format!("{} took {key} although somebody had written to it since it looked", who.name)
            });
            self.parents_ended(who, key, truth);
        } else {
            self.must(old.is_owned_by(&who.name), || {
                format!("{} wrote {change:?} to {key}, which {:?} owns", who.name, old.lease_owner)
            });
            self.must(known.lease_counter >= before.since_counter, || {
                format!("{} wrote {change:?} to {key}, meant for an earlier holding", who.name)
            });
        }
        match change {
            LeaseChange::Commit { position } => {
                self.passed(key, number(position), truth);
                self.carried_out(key, old.declaration.as_ref(), Some(number(position)));
            }
            LeaseChange::Declare(declaration) => {
                self.must(declaration.position > old.checkpoint, || format!("{key}: a declaration behind the checkpoint"));
                let other = old.declaration.as_ref().is_some_and(|open| open != declaration);
                self.must(!other, || format!("{key}: a declaration over an open one"));
            }
            LeaseChange::End { .. } => {
                self.passed(key, u64::MAX, truth);
                self.carried_out(key, old.declaration.as_ref(), None);
                self.children_exist(key, truth);
            }
            _ => {}
        }
    }

    /// I5: a child starts after its parents ended.
    fn parents_ended(&mut self, who: &Person, key: &str, truth: &Truth) {
        for parent in truth.ancestors(key) {
            let shown = &truth.shards[parent];
            let open = self.table.is_ended(parent) == Some(false);
            let undone = shown.records.iter().any(|record| !self.durable.contains(record));
            self.must(!open && !undone && shown.closed, || {
                let what = if open { "ended" } else { "was done" };
                format!("{} took {key} before its ancestor {parent} {what}", who.name)
            });
        }
    }

    /// I1: a checkpoint never passes a record whose effect is not durable.
    fn passed(&mut self, key: &str, upto: u64, truth: &Truth) {
        let records = &truth.shards[key].records;
        let end = records.partition_point(|record| *record <= upto);
        let Some(row) = self.table.rows.get_mut(key) else { return };
        let unchecked = row.checked.min(end)..end;
        row.checked = end.max(row.checked);
        for record in &records[unchecked] {
            let durable = self.durable.contains(record);
            self.must(durable, || format!("the checkpoint of {key} passed record {record}, which is not durable"));
        }
    }

    /// A declaration that a commit closes was carried out, and not in part.
    fn carried_out(&mut self, key: &str, open: Option<&Declaration>, upto: Option<u64>) {
        let Some(open) = open else { return };
        let name = String::from_utf8_lossy(&open.state).into_owned();
        self.must(upto.is_none_or(|upto| upto >= number(&open.position)), || {
            format!("{key}: the checkpoint lies inside the declared {name}")
        });
        let written = self.files.contains_key(&name);
        self.must(written, || format!("{key}: the declared {name} was committed and not written"));
    }

    fn children_exist(&mut self, key: &str, truth: &Truth) {
        for child in &truth.shards[key].children {
            let known = self.table.rows.contains_key(child) || truth.shards[child].forgotten;
            self.must(known, || format!("{key} ended before the lease of its child {child} existed"));
        }
    }

    pub fn created(&mut self, who: &Person, key: &str, before: Option<&Lease>, truth: &Truth) {
        let Some(before) = before else { return };
        let after = &self.table.rows[key].lease;
        let (back, expropriated) = (after.checkpoint < before.checkpoint, before.lease_owner.is_some());
        self.must(!back && !expropriated, || {
            format!("{} created {key} over the lease of {:?} at {}", who.name, before.lease_owner, before.checkpoint)
        });
        let _ = truth;
    }

    /// A lease goes when its shard is over for good.
    pub fn deleted(&mut self, who: &Person, lease: &Lease, truth: &Truth) {
        let key = &lease.lease_key;
        let done = truth.shards[key].records.iter().all(|record| self.durable.contains(record));
        self.must(lease.is_ended() && done, || format!("{} removed the lease of {key}, which is not done", who.name));
    }

    pub fn made_durable(&mut self, effect: &Effect) {
        match effect {
            Effect::Rows(rows) => self.durable.extend(rows),
            Effect::File { name, rows } => match self.files.get(name).cloned() {
                None => {
                    self.durable.extend(rows);
                    self.files.insert(name.clone(), rows.clone());
                }
                Some(there) => self.must(there == *rows, || format!("{name} was written with other contents")),
            },
        }
    }

    // What is left in the end.

    pub fn is_done(&self, truth: &Truth) -> bool {
        let open = |key: &str| self.table.is_ended(key) == Some(false);
        self.durable.len() as u64 == truth.put && truth.shards.iter().all(|(id, shard)| !shard.closed || !open(id))
    }

    /// After everything was healed, read and stopped.
    pub fn conclude(&mut self, truth: &Truth) {
        for (id, shard) in &truth.shards {
            let row = self.table.rows.get(id).cloned();
            let Some(row) = row else {
                self.must(shard.forgotten, || format!("{id} has no lease in the end"));
                continue;
            };
            let last = shard.records.last().copied().unwrap_or_default();
            let at = if row.lease.checkpoint.has_begun() && !row.lease.is_ended() {
                number(&row.lease.checkpoint)
            } else {
                last * u64::from(row.lease.is_ended())
            };
            self.must(at == last, || format!("{id} ends at {last}, its checkpoint is {}", row.lease.checkpoint));
            self.must(row.lease.is_ended() == shard.closed, || format!("{id}: closed {}, in the lease not", shard.closed));
            self.must(row.lease.is_ended() || row.lease.lease_owner.is_none(), || format!("{id} was not released"));
            self.must(row.lease.declaration.is_none(), || format!("{id}: a declaration is still open"));
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

/// How long a thing took by a clock, as people read it.
pub fn shown(now: Micros) -> String {
    format!("{:>9.3} s", now as f64 / 1_000.0 / MILLI as f64)
}
