//! Following up beside the stream: what a batch leads to beyond the findings of its single events is done by a task of its
//! own while the shard goes on: links of lineage and matches are written, windows evaluated, what they come to recorded.
//! Only the checkpoint waits for it, and, when very much is waiting, the shard.

mod ledger;
#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use dial_ingest::{ErrorKind, Position, retry};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::ledger::{Ledger, Ticket};
use crate::clock::now;
use crate::correlator::{CorrelateError, Correlator, FollowUp};

/// How much of one shard may wait before the shard does: links and matches. Some 500 bytes each; far more than a shard
/// brings in a minute.
const MOST_WAITING: usize = 8_192;
/// So many windows that wait to be evaluated count as one match: of them hardly more is held than that.
const WINDOWS_TO_ONE: usize = 4;
/// How long a shard waits for room before its worker hears of it.
const FOR_ROOM: Duration = Duration::from_secs(2);
/// How long a batch waits for what it leads to before it is committed as far as that is done. Without it, the checkpoint
/// would stand a whole poll behind what is durable a few milliseconds later.
const FOR_THE_COMMIT: Duration = Duration::from_millis(100);
/// How long a shard that ends, or a worker that stops, waits for what is under way: less than a worker's grace.
const FOR_THE_END: Duration = Duration::from_secs(5);

/// What all shards of a worker share.
#[derive(Debug, Clone)]
pub(crate) struct Follower {
    correlator: Correlator,
    /// Whether a store failed the last time, so that an outage is told once and not by every batch.
    ailing: Arc<AtomicBool>,
    /// [`MOST_WAITING`], or less in tests.
    most_waiting: usize,
}

impl Follower {
    /// One that follows up by this correlator.
    pub(crate) fn new(correlator: Correlator) -> Follower {
        Follower { correlator, ailing: Arc::default(), most_waiting: MOST_WAITING }
    }

    /// Does everything that follows, however often that takes.
    async fn follow(self, work: FollowUp, mut counted: Counted) {
        let mut again = Again { follower: &self, failures: 0, seed: RandomState::new().hash_one(work.len()) };
        let mut pending = loop {
            match self.correlator.file(&work, now()).await {
                Ok(pending) => break pending,
                Err(error) => again.after(&error).await,
            }
        };
        // All of it is in the windows: what was read may be forgotten.
        drop(work);
        counted.set(pending.len() / WINDOWS_TO_ONE);
        while let Err(error) = self.correlator.evaluate(&mut pending).await {
            again.after(&error).await;
        }
        if self.ailing.swap(false, Ordering::Relaxed) {
            tracing::info!("correlation goes on");
        }
    }
}

/// What is tried until it succeeds.
struct Again<'f> {
    follower: &'f Follower,
    failures: u32,
    seed: u64,
}

impl Again<'_> {
    /// Tells of a failure and waits.
    async fn after(&mut self, error: &CorrelateError) {
        self.failures += 1;
        let failures = self.failures;
        match self.follower.ailing.swap(true, Ordering::Relaxed) {
            true => tracing::debug!(%error, failures, "correlation does not go on yet"),
            false => tracing::warn!(%error, "correlation does not go on; trying on, and the checkpoint waits for it"),
        }
        sleep(retry::delay(failures, ErrorKind::Unavailable, self.seed)).await;
    }
}

/// What one shard leads to: what of it is under way, and how far the checkpoint may go. Dropping it ends the work.
pub(crate) struct FollowUps {
    follower: Follower,
    ledger: Ledger,
    following: JoinSet<Ticket>,
    /// How much is held in memory for it.
    held: watch::Sender<usize>,
    /// Of all shards, for whoever watches.
    waiting: Arc<AtomicU64>,
}

/// What of a batch is under way, counted as long as this lives.
struct Counted {
    count: usize,
    /// Of the shard.
    held: watch::Sender<usize>,
    /// Of all shards.
    total: Arc<AtomicU64>,
}

impl Counted {
    fn set(&mut self, count: usize) {
        let before = std::mem::replace(&mut self.count, count);
        self.held.send_modify(|held| *held = held.saturating_add(count).saturating_sub(before));
        self.total.fetch_add(count as u64, Ordering::Relaxed);
        self.total.fetch_sub(before as u64, Ordering::Relaxed);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // After a panic nothing of it will ever be durable: as much is not to be begun on again and again.
        if !std::thread::panicking() {
            self.set(0);
        }
    }
}

impl FollowUps {
    /// Of a shard that begins after `start`. What is under way is counted in `waiting` too.
    pub(crate) fn new(follower: Follower, start: Position, waiting: Arc<AtomicU64>) -> FollowUps {
        let held = watch::Sender::new(0);
        FollowUps { follower, ledger: Ledger::new(start), following: JoinSet::new(), held, waiting }
    }

    /// A batch that ends at `position` is done but for what it leads to, which is done from now on.
    pub(crate) fn begin(&mut self, position: Position, work: FollowUp) {
        if let Some(ticket) = self.ledger.enter(position, work.len()) {
            let mut counted = Counted { count: 0, held: self.held.clone(), total: self.waiting.clone() };
            counted.set(work.len());
            let follow = self.follower.clone().follow(work, counted);
            self.following.spawn(async move {
                follow.await;
                ticket
            });
        }
    }

    /// The last position with everything up to it durable, as of now.
    pub(crate) fn durable(&mut self) -> Position {
        while let Some(done) = self.following.try_join_next() {
            self.settle(done);
        }
        self.ledger.durable().clone()
    }

    /// How many links and matches are under way.
    pub(crate) fn pending(&self) -> usize {
        self.ledger.pending()
    }

    /// Whether there is room for another batch; waits a little for it.
    pub(crate) async fn room(&mut self) -> bool {
        self.durable();
        let most = self.follower.most_waiting;
        let mut held = self.held.subscribe();
        // What counts is how much is left.
        let _ = timeout(FOR_ROOM, held.wait_for(|held| *held < most)).await;
        *self.held.borrow() < most
    }

    /// Waits a moment for everything to be durable.
    pub(crate) async fn moment(&mut self) {
        self.wait(FOR_THE_COMMIT).await;
    }

    /// Whether everything is durable; waits some seconds for it.
    pub(crate) async fn all(&mut self) -> bool {
        self.wait(FOR_THE_END).await;
        self.ledger.pending() == 0
    }

    async fn wait(&mut self, limit: Duration) {
        self.durable();
        let all = async {
            while let Some(done) = self.following.join_next().await {
                self.settle(done);
            }
        };
        let _ = timeout(limit, all).await; // what counts is how much is left
    }

    /// Does no more.
    pub(crate) fn stop(&mut self) {
        self.following.abort_all();
    }

    fn settle(&mut self, done: Result<Ticket, tokio::task::JoinError>) {
        // One that was stopped or panicked is never durable here, so the checkpoint stays, and whoever comes next reads it again.
        match done {
            Ok(ticket) => self.ledger.settle(ticket),
            Err(error) if error.is_panic() => {
                tracing::error!(%error, "correlation ended; the shard's checkpoint stays")
            }
            Err(_) => {}
        }
    }
}
