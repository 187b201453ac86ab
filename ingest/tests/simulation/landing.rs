//! Whether what must always hold does, whenever something lands in the lease table or becomes durable.

use dial_ingest::Declaration;
use dial_ingest::lease::{Lease, LeaseChange};

use crate::app::App;
use crate::consumer::number;
use crate::table::Row;
use crate::telling::told;
use crate::truth::Truth;
use crate::wire::Effect;
use crate::witness::Person;

impl App {
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
                format!("{} wrote {} to {key}, which {:?} owns", who.name, told(change), old.lease_owner)
            });
            self.must(known.lease_counter >= before.since_counter, || {
                format!("{} wrote {} to {key}, meant for an earlier holding", who.name, told(change))
            });
        }
        match change {
            LeaseChange::Commit { position } => {
                self.passed(key, number(position), truth);
                self.carried_out(key, old.declaration.as_ref(), Some(number(position)));
            }
            LeaseChange::Declare(declaration) => {
                self.must(declaration.position > old.checkpoint, || {
                    format!("{key}: a declaration behind the checkpoint")
                });
                let other = old.declaration.as_ref().is_some_and(|open| open != declaration);
                self.must(!other, || format!("{key}: a declaration over an open one"));
            }
            LeaseChange::End { .. } => {
                self.passed(key, u64::MAX, truth);
                self.carried_out(key, old.declaration.as_ref(), None);
                self.children_exist(key, truth);
                self.ended.insert(key.clone());
            }
            _ => {}
        }
    }

    /// I5: a child starts after its parents ended.
    fn parents_ended(&mut self, who: &Person, key: &str, truth: &Truth) {
        for parent in truth.ancestors(key) {
            let shown = &truth.shards[parent];
            let open = self.table.is_ended(parent) == Some(false) && !self.ended.contains(parent);
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

    /// Whoever looks at the table after a shard's end finds what it continues in.
    fn children_exist(&mut self, key: &str, truth: &Truth) {
        for child in &truth.shards[key].children {
            let known = self.table.rows.contains_key(child) || truth.shards[child].forgotten;
            self.must(known, || format!("{key} ended before the lease of its child {child} existed"));
        }
    }

    pub fn created(&mut self, who: &Person, key: &str, before: Option<&Lease>) {
        let (Some(before), Some(after)) = (before, self.table.rows.get(key)) else { return };
        let untouched = after.lease == *before;
        self.must(untouched, || {
            format!("{} created {key} over the lease of {:?} at {}", who.name, before.lease_owner, before.checkpoint)
        });
    }

    /// A lease goes when its shard is over for good.
    pub fn deleted(&mut self, who: &Person, known: &Lease, removed: &Lease, truth: &Truth) {
        let key = &known.lease_key;
        let shard = &truth.shards[key];
        let done = shard.forgotten && shard.records.iter().all(|record| self.durable.contains(record));
        self.must(removed.is_ended() && done, || format!("{} removed the lease of {key}, which is not done", who.name));
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
}
