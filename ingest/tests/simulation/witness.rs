//! Whether a worker does only what it may, whenever it begins something.

use std::time::Duration;

use dial_ingest::lease::{Lease, LeaseChange};

use crate::app::App;
use crate::clock::{Clock, Micros};
use crate::consumer::number;
use crate::truth::Truth;
use crate::wire::Note;

/// A worker, as a witness knows it.
#[derive(Clone, Debug)]
pub struct Person {
    pub machine: usize,
    pub app: usize,
    pub name: String,
    pub clock: Clock,
    /// When it last went on after standing still.
    pub thawed: Option<Micros>,
}

/// A lease as its holder may know it.
#[derive(Clone, Debug)]
pub struct Holding {
    number: u64,
    counter: u64,
    since: Micros,
    /// By the holder's clock.
    valid_until: Duration,
    /// As it was before the last answer.
    was_valid_until: Duration,
    run: Option<u64>,
}

/// One processor from its start to its end.
#[derive(Clone, Debug)]
pub struct Run {
    shard: String,
    /// How many of the shard's records were handed over or done before.
    cursor: usize,
}

/// Timers have a grain of a millisecond.
const GRAIN: Duration = Duration::from_millis(5);

impl App {
    /// I5: `who` works on a shard, at this time by its own clock.
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
                let read = shown.forgotten || cursor == shown.records.len();
                self.must(shown.closed && read, || {
                    format!("{} was told that {shard} ended after {cursor} records", who.name)
                });
            }
            Note::Lost { run } => self.lost(who, *run, reading),
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
        // An answer that comes within a timer's grain of the expiry may find that its time has run out.
        let just_expired = reading.abs_diff(holding.was_valid_until) <= GRAIN;
        let expired = reading + Duration::from_micros(1) >= holding.valid_until || just_expired;
        let frozen = who.thawed.is_some_and(|thawed| thawed >= holding.since);
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
                let holding = Holding {
                    number,
                    counter: lease.lease_counter,
                    since: now,
                    valid_until,
                    was_valid_until: valid_until,
                    run: None,
                };
                self.holdings.insert(key, holding);
            }
            LeaseChange::Release => {
                self.holdings.remove(&key);
            }
            _ => {
                let later = |holding: &&mut Holding| lease.lease_counter > holding.counter;
                if let Some(holding) = self.holdings.get_mut(&key).filter(later) {
                    holding.was_valid_until = std::mem::replace(&mut holding.valid_until, valid_until);
                }
            }
        }
    }

    /// Whether the worker that holds the shard now was handed all of so many records.
    pub fn is_read_to(&self, shard: &str, number: u64, records: usize) -> bool {
        let mut holdings = self.holdings.iter().filter(|((_, key), holding)| key == shard && holding.number == number);
        let run = holdings.find_map(|(_, holding)| self.runs.get(&holding.run?));
        run.is_some_and(|run| run.cursor == records)
    }

    pub fn died(&mut self, machine: usize) {
        self.holdings.retain(|(holder, _), _| *holder != machine);
    }
}
