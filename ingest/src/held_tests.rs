#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;

use super::*;
use crate::memory::MemoryLeases;
use crate::sequence::Position;
use crate::stream::Shard;

const FAILOVER: Duration = Duration::from_secs(10);
const KEY: &str = "shardId-000000000000";

/// A store whose next updates go through and lose their answers, and which counts what it is asked.
#[derive(Default)]
struct Unreliable {
    inner: MemoryLeases,
    answers_to_lose: AtomicU32,
    /// Answers that never come, not even as an error.
    silences: AtomicU32,
    updates: AtomicU32,
}

#[async_trait]
impl LeaseStore for Unreliable {
    async fn create_table(&self) -> Result<(), PortError> {
        self.inner.create_table().await
    }

    async fn list(&self) -> Result<Vec<Lease>, PortError> {
        self.inner.list().await
    }

    async fn get(&self, lease_key: &str) -> Result<Option<Lease>, PortError> {
        self.inner.get(lease_key).await
    }

    async fn create(&self, lease: &Lease) -> Result<bool, PortError> {
        self.inner.create(lease).await
    }

    async fn update(&self, lease: &Lease, change: &LeaseChange) -> Result<Lease, PortError> {
        self.updates.fetch_add(1, Ordering::SeqCst);
        let done = self.inner.update(lease, change).await?;
        if self.silences.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
            std::future::pending::<()>().await;
        }
        let lose = self.answers_to_lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if lose.is_ok() { Err(PortError::new("UpdateItem", ErrorKind::Unavailable, "no answer")) } else { Ok(done) }
    }

    async fn delete(&self, lease: &Lease) -> Result<(), PortError> {
        self.inner.delete(lease).await
    }
}

fn at(n: u32) -> Position {
    Position::new(n.to_string().parse().unwrap(), 0)
}

async fn held() -> (Arc<Unreliable>, Arc<HeldLease>) {
    let store = Arc::new(Unreliable::default());
    let shard = Shard { shard_id: KEY.into(), parent_ids: vec![], hash_range: None, open: true };
    let lease = Lease::of_shard(&shard, Position::TRIM_HORIZON);
    assert!(store.create(&lease).await.unwrap());
    let held = HeldLease::take(store.clone(), &lease, "me", FAILOVER).await.unwrap();
    (store, Arc::new(held))
}

async fn commit(held: &HeldLease, n: u32) -> Result<(), CheckpointError> {
    let behind = |lease: &Lease| lease.checkpoint < at(n);
    held.write_patiently(|lease| Ok(behind(lease).then(|| LeaseChange::Commit { position: at(n) }))).await
}

fn stored(store: &Unreliable) -> Lease {
    store.inner.snapshot()[KEY].clone()
}

#[tokio::test(start_paused = true)]
async fn work_does_not_go_on_after_a_standstill_that_outlasted_the_lease() {
    let (_, held) = held().await;
    let (answer, answered) = tokio::sync::oneshot::channel();
    let mut went_on = false;
    let work = async {
        answered.await.unwrap();
        went_on = true;
    };
    // The answer comes while nothing runs: `advance` fires no timer before the work is asked to go on.
    let standstill = async {
        answer.send(()).unwrap();
        tokio::time::advance(FAILOVER).await;
    };
    let (done, ()) = tokio::join!(held.while_valid(work), standstill);
    assert!(done.is_none() && !went_on);
}

#[tokio::test(start_paused = true)]
async fn a_write_without_any_answer_does_not_cost_the_lease() {
    let (store, held) = held().await;
    store.silences.store(1, Ordering::SeqCst);
    let begun = Instant::now();
    commit(&held, 7).await.unwrap();
    assert!(begun.elapsed() < FAILOVER / 2 && held.is_valid());
    assert_eq!((stored(&store).checkpoint, stored(&store).lease_counter), (at(7), 2), "made once");
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_was_lost_is_found_to_be_made() {
    let (store, held) = held().await;
    store.answers_to_lose.store(1, Ordering::SeqCst);
    commit(&held, 5).await.unwrap();
    assert_eq!((stored(&store).checkpoint, stored(&store).lease_counter), (at(5), 2), "made once");
    commit(&held, 6).await.unwrap();
    assert_eq!(stored(&store).checkpoint, at(6));
    assert_eq!(held.lease(), stored(&store));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_a_renewal_does_not_cost_the_next_commit() {
    let (store, held) = held().await;
    store.answers_to_lose.store(1, Ordering::SeqCst);
    assert!(held.attempt(&|_| Ok(Some(LeaseChange::Renew))).await.is_err());
    commit(&held, 5).await.unwrap();
    assert_eq!((stored(&store).checkpoint, stored(&store).lease_counter), (at(5), 3));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_dropped_halfway_does_not_cost_the_lease() {
    let (store, held) = held().await;
    // As if its answer had come after the future was dropped.
    let behind_our_back = store.inner.update(&held.lease(), &LeaseChange::Renew).await.unwrap();
    *held.unanswered.lock().await = 1;
    commit(&held, 5).await.unwrap();
    assert_eq!(stored(&store).lease_counter, behind_our_back.lease_counter + 1);
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_write_is_not_taken_for_ours() {
    for owner in ["other", "me"] {
        let (store, held) = held().await;
        store.answers_to_lose.store(1, Ordering::SeqCst);
        assert!(held.attempt(&|_| Ok(Some(LeaseChange::Renew))).await.is_err());
        let taken = LeaseChange::Take { owner: owner.into() };
        let taken = store.inner.update(&stored(&store), &taken).await.unwrap();
        assert!(matches!(commit(&held, 5).await, Err(CheckpointError::LeaseLost(_))), "{owner}");
        assert!(held.lost().is_cancelled());
        assert_eq!(stored(&store), taken, "nothing was written");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_without_reason_of_ours_loses_the_lease_at_once() {
    let (store, held) = held().await;
    store.inner.update(&stored(&store), &LeaseChange::Renew).await.unwrap();
    assert!(matches!(commit(&held, 5).await, Err(CheckpointError::LeaseLost(_))));
}

#[tokio::test(start_paused = true)]
async fn no_write_is_started_once_the_lease_has_run_out() {
    let (store, held) = held().await;
    tokio::time::advance(FAILOVER - Duration::from_millis(1)).await;
    assert!(held.is_valid());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(!held.is_valid());
    let before = store.updates.load(Ordering::SeqCst);
    assert!(matches!(commit(&held, 5).await, Err(CheckpointError::LeaseLost(_))));
    held.release().await;
    assert_eq!(store.updates.load(Ordering::SeqCst), before);
    assert!(stored(&store).is_owned_by("me"), "it expires for others by itself");
}

#[tokio::test(start_paused = true)]
async fn a_commit_prolongs_the_lease_and_spares_a_renewal() {
    let (store, held) = held().await;
    let keeper = tokio::spawn(held.clone().keep());
    for n in 1..=20 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        commit(&held, n).await.unwrap();
    }
    assert_eq!(stored(&store).lease_counter, 21, "one taking and twenty commits, no renewal");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(stored(&store).lease_counter, 23, "a renewal every third of the failover time, 3.3 s");
    assert!(held.is_valid());
    held.release().await;
    keeper.await.unwrap();
    assert_eq!(stored(&store).lease_owner, None);
}

#[tokio::test(start_paused = true)]
async fn writes_take_turns_and_the_checkpoint_never_falls() {
    let (store, held) = held().await;
    let writers: Vec<_> = [9, 3, 7, 5, 1, 8]
        .into_iter()
        .map(|n| {
            let held = held.clone();
            tokio::spawn(async move { commit(&held, n).await })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
    assert_eq!(stored(&store).checkpoint, at(9));
    assert_eq!(stored(&store).lease_counter, 2, "the lesser ones were nothing to write");
}
