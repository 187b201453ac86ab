#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::failing::{Failing, Faults};
use crate::memory::{MemoryLeases, MemoryStream};
use crate::{Batch, Checkpointer, LeaseStore, ProcessError, ProcessorFactory, ShardProcessor, ShardStart, Worker};
use crate::{StreamClient, WorkerConfig};
use async_trait::async_trait;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

struct Commit;

impl ProcessorFactory for Commit {
    fn start(&self, _: &ShardStart) -> Box<dyn ShardProcessor> {
        Box::new(Commit)
    }
}

#[async_trait]
impl ShardProcessor for Commit {
    async fn process(&mut self, batch: &Batch, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        Ok(checkpointer.commit(batch.last_position().unwrap()).await?)
    }
    async fn shard_ended(&mut self, _: &Checkpointer) -> Result<(), ProcessError> {
        Ok(())
    }
    async fn shutdown(&mut self, _: &Checkpointer) -> Result<(), ProcessError> {
        Ok(())
    }
}

const FAILOVER: Duration = Duration::from_secs(10);

fn worker(name: &str, stream: &Arc<MemoryStream>, leases: Arc<dyn LeaseStore>) -> Worker {
    let stream: Arc<dyn StreamClient> = stream.clone();
    Worker::new(WorkerConfig { failover: FAILOVER, ..WorkerConfig::new(name) }, stream, leases, Arc::new(Commit))
}

#[tokio::test(start_paused = true)]
async fn a_worker_is_unfit_before_it_begins_and_while_its_table_is_away() {
    let stream = Arc::new(MemoryStream::new(3));
    let table = Arc::new(Failing::new(MemoryLeases::default(), Faults { seed: 0, percent: 0, delay: Duration::ZERO }));
    let worker = worker("a", &stream, table.clone());
    let monitor = worker.health();
    assert_eq!(monitor.look().unfit(Instant::now()), [Unfit::TableUnread]);
    let (stop, health) = (CancellationToken::new(), || monitor.look().unfit(Instant::now()));
    let running = tokio::spawn(worker.run(stop.clone()));
    for n in 0..30 {
        stream.put(&format!("key-{n}"), "ten bytes!").unwrap();
    }
    for _ in 0..60 {
        sleep(Duration::from_secs(1)).await;
        assert_eq!(health(), []);
    }
    let seen = monitor.look();
    assert_eq!((seen.held.len(), seen.leases_taken, seen.leases_lost), (3, 3, 0));
    let view = seen.table.unwrap();
    assert_eq!((view.leases, view.expired, view.workers), (3, 0, 1));
    let total = seen.processed.values().fold((0, 0), |sum, shard| (sum.0 + shard.records, sum.1 + shard.bytes));
    assert_eq!(total, (30, 300));

    table.set_down(true);
    let down = Instant::now();
    sleep(Duration::from_secs(3)).await;
    assert_eq!(health(), [], "one missed renewal is no reason yet");
    while health().is_empty() {
        assert!(down.elapsed() < FAILOVER * 2 / 3 + Duration::from_millis(100), "not told in time");
        sleep(Duration::from_millis(50)).await;
    }
    assert!(health().iter().all(|unfit| matches!(unfit, Unfit::RenewalOverdue { .. })), "{:?}", health());
    assert!(!monitor.look().held.is_empty(), "told before anything is lost");
    sleep(Duration::from_secs(10)).await;
    let seen = monitor.look();
    assert_eq!((seen.held.len(), seen.leases_lost), (0, 3));
    assert!(matches!(health()[..], [Unfit::TableStale(ago)] if ago > FAILOVER), "{:?}", health());

    table.set_down(false);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(health(), []);
    let seen = monitor.look();
    assert_eq!((seen.held.len(), seen.leases_taken), (3, 6));
    assert_eq!(seen.processed.values().map(|shard| shard.records).sum::<u64>(), 30, "what was done stays counted");
    stop.cancel();
    running.await.unwrap().unwrap();
    assert!(monitor.look().held.is_empty());
}

#[tokio::test(start_paused = true)]
async fn others_and_the_dead_among_them_are_seen() {
    let stream = Arc::new(MemoryStream::new(4));
    let leases = Arc::new(MemoryLeases::default());
    let dead = tokio::spawn(worker("dead", &stream, leases.clone()).run(CancellationToken::new()));
    sleep(Duration::from_secs(15)).await;
    let alive = worker("alive", &stream, leases);
    let (monitor, stop) = (alive.health(), CancellationToken::new());
    let running = tokio::spawn(alive.run(stop.clone()));
    sleep(Duration::from_secs(5)).await;
    assert_eq!(monitor.look().table.unwrap().workers, 2);
    sleep(Duration::from_secs(25)).await;
    assert_eq!(monitor.look().held.len(), 2);
    dead.abort();
    let mut most_expired = 0;
    for _ in 0..300 {
        sleep(Duration::from_millis(100)).await;
        most_expired = most_expired.max(monitor.look().table.unwrap().expired);
    }
    assert!(most_expired > 0);
    let seen = monitor.look();
    assert_eq!((seen.held.len(), seen.table.unwrap().expired, seen.leases_lost), (4, 0, 0));
    stop.cancel();
    running.await.unwrap().unwrap();
}
