//! Whether a worker keeps up with its leases, and what became of them: what a monitor wants to know and the lease
//! table does not tell.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::held::HeldLease;
use crate::sighting::{Sighting, workers_seen};

/// A worker's health at one moment.
#[derive(Clone, Debug)]
pub struct WorkerHealth {
    /// How long a lease lasts without being renewed.
    pub failover: Duration,
    /// The lease table as it was when it was last read; `None` before that.
    pub table: Option<TableView>,
    /// The leases that are held now, by shard, and when each was last renewed. A checkpoint renews as well.
    pub held: BTreeMap<Arc<str>, Instant>,
    /// How many leases this worker has taken.
    pub leases_taken: u64,
    /// How many it has lost: taken by another worker, or not renewed in time.
    pub leases_lost: u64,
    /// What it has processed of every shard that it ever held.
    pub processed: BTreeMap<Arc<str>, Processed>,
}

/// The lease table, as one worker saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableView {
    /// When it was read.
    pub read: Instant,
    /// The leases of shards that are not at their end.
    pub leases: usize,
    /// How many of those have an owner who was silent for the failover time.
    pub expired: usize,
    /// The workers that own a lease which has not expired.
    pub workers: usize,
}

/// What was processed of a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Processed {
    /// Records.
    pub records: u64,
    /// The bytes of their data.
    pub bytes: u64,
}

/// Why a worker is not fit to work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// It has only just started, or the table is out of reach.
    #[error("the lease table has not been read yet")]
    TableUnread,
    /// The table is out of reach.
    #[error("the lease table was last read {0:?} ago")]
    TableStale(Duration),
    /// A lease will be lost if this goes on.
    #[error("the lease of {shard_id} was last renewed {ago:?} ago")]
    RenewalOverdue {
        /// The shard.
        shard_id: Arc<str>,
        /// When.
        ago: Duration,
    },
}

impl WorkerHealth {
    /// What is wrong at the time `now`, the worst first; nothing if the worker is fit.
    ///
    /// A lease is due for renewal after a third of the failover time, and overdue after two. The table is read as
    /// often, and is stale when it was not for the whole of it.
    #[must_use]
    pub fn unfit(&self, now: Instant) -> Vec<Unfit> {
        let table = match self.table.map(|table| now.saturating_duration_since(table.read)) {
            None => Some(Unfit::TableUnread),
            Some(ago) if ago > self.failover => Some(Unfit::TableStale(ago)),
            Some(_) => None,
        };
        let mut overdue: Vec<(Duration, &Arc<str>)> = self
            .held
            .iter()
            .map(|(shard_id, renewed)| (now.saturating_duration_since(*renewed), shard_id))
            .filter(|(ago, _)| *ago > self.failover * 2 / 3)
            .collect();
        overdue.sort_unstable_by(|a, b| b.cmp(a));
        let overdue =
            overdue.into_iter().map(|(ago, shard_id)| Unfit::RenewalOverdue { shard_id: shard_id.clone(), ago });
        table.into_iter().chain(overdue).collect()
    }
}

/// A handle on a worker's health. It outlives the worker and then says what was last.
#[derive(Clone)]
pub struct HealthMonitor(Arc<HealthBook>);

impl HealthMonitor {
    /// The worker's health now.
    #[must_use]
    pub fn look(&self) -> WorkerHealth {
        let state = self.0.state();
        WorkerHealth {
            failover: self.0.failover,
            table: state.table,
            held: state.held.iter().map(|(shard_id, held)| (shard_id.clone(), held.renewed())).collect(),
            leases_taken: state.leases_taken,
            leases_lost: state.leases_lost,
            processed: state.processed.clone(),
        }
    }
}

/// Where the worker's parts write down what happens.
pub(crate) struct HealthBook {
    failover: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    table: Option<TableView>,
    held: BTreeMap<Arc<str>, Arc<HeldLease>>,
    leases_taken: u64,
    leases_lost: u64,
    processed: BTreeMap<Arc<str>, Processed>,
}

impl HealthBook {
    pub(crate) fn new(failover: Duration) -> Arc<Self> {
        Arc::new(Self { failover, state: Mutex::default() })
    }

    pub(crate) fn monitor(self: &Arc<Self>) -> HealthMonitor {
        HealthMonitor(self.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The table was read; `now` is by the sightings' clock.
    pub(crate) fn table_read(&self, leases: &[Sighting], now: Duration) {
        let unfinished = || leases.iter().filter(|seen| !seen.lease.is_ended());
        let is_expired = |seen: &&Sighting| seen.lease.lease_owner.is_some() && seen.is_expired(self.failover, now);
        let view = TableView {
            read: Instant::now(),
            leases: unfinished().count(),
            expired: unfinished().filter(is_expired).count(),
            workers: workers_seen(leases, self.failover, now).len(),
        };
        self.state().table = Some(view);
    }

    /// A lease was taken; the entry stands until it is dropped.
    pub(crate) fn hold(self: &Arc<Self>, held: &Arc<HeldLease>) -> HealthEntry {
        let mut state = self.state();
        state.leases_taken += 1;
        state.held.insert(held.shard_id().clone(), held.clone());
        state.processed.entry(held.shard_id().clone()).or_default();
        drop(state);
        HealthEntry { book: self.clone(), held: held.clone() }
    }
}

/// A held lease in the book.
pub(crate) struct HealthEntry {
    book: Arc<HealthBook>,
    held: Arc<HeldLease>,
}

impl HealthEntry {
    /// The lease was lost.
    pub(crate) fn lost(&self) {
        self.book.state().leases_lost += 1;
    }

    /// Records were processed.
    pub(crate) fn processed(&self, records: usize, bytes: usize) {
        let mut state = self.book.state();
        let total = state.processed.entry(self.held.shard_id().clone()).or_default();
        total.records += records as u64;
        total.bytes += bytes as u64;
    }
}

impl Drop for HealthEntry {
    fn drop(&mut self) {
        let mut state = self.book.state();
        // The same shard may have been taken anew meanwhile.
        if state.held.get(self.held.shard_id()).is_some_and(|held| Arc::ptr_eq(held, &self.held)) {
            state.held.remove(self.held.shard_id());
        }
    }
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
