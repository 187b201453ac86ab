//! Learning beside the stream: what a batch teaches is written by a task of its own while the shard goes on. Only the checkpoint
//! waits for it, and, when very much is waiting, the shard.

mod ledger;
#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use dial_ingest::{ErrorKind, Position, retry};
use dial_rules::lineage::Link;
use dial_sinks::actors::ActorStore;
use dial_sinks::actors::remembering::RememberingActorStore;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::ledger::{Ledger, Ticket};
use crate::clock::now;

/// How many links of one shard may wait before the shard does. Some 300 bytes each; far more than a shard teaches in a minute.
const MOST_WAITING: usize = 4_096;
/// How many calls to the store are under way at once, of all shards of a worker.
const CALLS: usize = 8;
/// How long a call may take before it is made again.
const CALL: Duration = Duration::from_secs(10);
/// How long a shard waits for room before its worker hears of it.
const FOR_ROOM: Duration = Duration::from_secs(2);
/// How long a shard that ends, or a worker that stops, waits for what is being written: less than a worker's grace.
const FOR_THE_END: Duration = Duration::from_secs(5);

/// What all shards of a worker share.
#[derive(Debug, Clone)]
pub(crate) struct Learner {
    store: Arc<RememberingActorStore>,
    calls: Arc<Semaphore>,
    /// Whether the store failed the last time, so that an outage is told once and not by every batch.
    ailing: Arc<AtomicBool>,
    /// [`MOST_WAITING`], or less in tests.
    most_waiting: usize,
}

impl Learner {
    /// A learner that writes to `store`, and never twice what it wrote before.
    pub(crate) fn new(store: Arc<dyn ActorStore>) -> Learner {
        let store = Arc::new(RememberingActorStore::new(store));
        Learner { store, calls: Arc::new(Semaphore::new(CALLS)), ailing: Arc::default(), most_waiting: MOST_WAITING }
    }

    /// Writes links, however often that takes.
    async fn write(self, links: Vec<Link>) {
        let seed = RandomState::new().hash_one(links.len());
        let mut failures = 0;
        while let Err(error) = self.attempt(links.clone()).await {
            failures += 1;
            match self.ailing.swap(true, Ordering::Relaxed) {
                true => tracing::debug!(error, failures, "lineage is not written yet"),
                false => tracing::warn!(error, "lineage cannot be written; trying on, and the checkpoint waits for it"),
            }
            sleep(retry::delay(failures, ErrorKind::Unavailable, seed)).await;
        }
        if self.ailing.swap(false, Ordering::Relaxed) {
            tracing::info!("lineage is written again");
        }
    }

    async fn attempt(&self, links: Vec<Link>) -> Result<(), String> {
        let _one_of_few = self.calls.acquire().await.map_err(|error| error.to_string())?;
        match timeout(CALL, self.store.learn(links, now())).await {
            Ok(done) => done.map(drop).map_err(|error| error.to_string()),
            Err(_) => Err(format!("the store of actors did not answer within {} s", CALL.as_secs())),
        }
    }
}

/// What one shard taught: what of it is being written, and how far the checkpoint may go. Dropping it ends the writing.
pub(crate) struct Lessons {
    learner: Learner,
    ledger: Ledger,
    writing: JoinSet<Ticket>,
    /// Of all shards, for whoever watches.
    waiting: Arc<AtomicU64>,
}

/// Links that are being written, counted as long as this lives.
struct Counted(Arc<AtomicU64>, u64);

impl Counted {
    fn new(total: &Arc<AtomicU64>, links: usize) -> Counted {
        let count = links as u64;
        total.fetch_add(count, Ordering::Relaxed);
        Counted(total.clone(), count)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::Relaxed);
    }
}

impl Lessons {
    /// Of a shard that begins after `start`. What is being written is counted in `waiting` too.
    pub(crate) fn new(learner: Learner, start: Position, waiting: Arc<AtomicU64>) -> Lessons {
        Lessons { learner, ledger: Ledger::new(start), writing: JoinSet::new(), waiting }
    }

    /// A batch that ends at `position` is done but for what it teaches, which is written from now on.
    pub(crate) fn begin(&mut self, position: Position, links: Vec<Link>) {
        if let Some(ticket) = self.ledger.enter(position, links.len()) {
            let counted = Counted::new(&self.waiting, links.len());
            let writing = self.learner.clone().write(links);
            self.writing.spawn(async move {
                writing.await;
                drop(counted);
                ticket
            });
        }
    }

    /// The last position with everything up to it durable, as of now.
    pub(crate) fn durable(&mut self) -> Position {
        while let Some(done) = self.writing.try_join_next() {
            self.settle(done);
        }
        self.ledger.durable().clone()
    }

    /// How many links are being written.
    pub(crate) fn pending(&self) -> usize {
        self.ledger.pending()
    }

    /// Whether there is room for another batch; waits a little for it.
    pub(crate) async fn room(&mut self) -> bool {
        self.wait(FOR_ROOM, self.learner.most_waiting - 1).await
    }

    /// Whether everything is durable; waits some seconds for it.
    pub(crate) async fn all(&mut self) -> bool {
        self.wait(FOR_THE_END, 0).await
    }

    /// Writes no more.
    pub(crate) fn stop(&mut self) {
        self.writing.abort_all();
    }

    async fn wait(&mut self, patience: Duration, most: usize) -> bool {
        self.durable();
        let enough = async {
            while self.ledger.pending() > most
                && let Some(done) = self.writing.join_next().await
            {
                self.settle(done);
            }
        };
        let _ = timeout(patience, enough).await; // what counts is how much is left
        self.ledger.pending() <= most
    }

    fn settle(&mut self, done: Result<Ticket, tokio::task::JoinError>) {
        // One that was stopped or panicked is never durable here, so the checkpoint stays, and whoever comes next reads it again.
        match done {
            Ok(ticket) => self.ledger.settle(ticket),
            Err(error) if error.is_panic() => tracing::error!(%error, "learning ended; the shard's checkpoint stays"),
            Err(_) => {}
        }
    }
}
