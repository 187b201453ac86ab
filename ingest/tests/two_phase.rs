//! Checkpoints in two phases: a write that happens exactly once although its writer crashes at any step.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dial_ingest::memory::{MemoryLeases, MemoryStream};
use dial_ingest::{
    Batch, CheckpointError, Checkpointer, Declaration, Position, ProcessError, ProcessorFactory, ShardProcessor,
    ShardStart, Worker, WorkerConfig,
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Files by name. Putting one that is there already is success, and changes nothing.
type Folder = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

/// Writes a shard's records to files of at least ten records, each named by its first and last position.
#[derive(Clone, Default)]
struct Archive {
    folder: Folder,
    /// Hangs, as good as dead, at this step of the writing; counted over all shards.
    dies_at: Arc<AtomicU32>,
}

struct Writer {
    archive: Archive,
    /// The file that an owner before us declared: its end and its name.
    declared: Option<Declaration>,
    rows: Vec<(Position, String)>,
}

impl ProcessorFactory for Archive {
    fn start(&self, shard: &ShardStart) -> Box<dyn ShardProcessor> {
        Box::new(Writer { archive: self.clone(), declared: shard.open_declaration.clone(), rows: Vec::new() })
    }
}

impl Writer {
    async fn step(&self) {
        if self.archive.dies_at.fetch_sub(1, Ordering::SeqCst) == 1 {
            std::future::pending::<()>().await;
        }
    }

    async fn flush(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        let (Some((first, _)), Some((last, _))) = (self.rows.first(), self.rows.last()) else { return Ok(()) };
        let name = format!("{}_{first}_{last}", checkpointer.shard_id());
        let last = last.clone();
        self.step().await;
        checkpointer.declare(last.clone(), name.clone().into_bytes()).await?;
        self.step().await;
        let rows = self.rows.iter().map(|(_, row)| row.clone()).collect();
        self.archive.folder.lock().unwrap().entry(name).or_insert(rows);
        self.step().await;
        checkpointer.commit(last).await?;
        self.rows.clear();
        self.declared = None;
        Ok(())
    }
}

#[async_trait]
impl ShardProcessor for Writer {
    async fn process(&mut self, batch: &Batch, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        for record in &batch.records {
            let position = record.position();
            self.rows.push((position.clone(), String::from_utf8(record.data.to_vec()).unwrap()));
            let due = match &self.declared {
                Some(declared) => position == declared.position,
                None => self.rows.len() >= 10,
            };
            if due {
                self.flush(checkpointer).await?;
            }
        }
        Ok(())
    }

    async fn shard_ended(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        self.flush(checkpointer).await
    }

    async fn shutdown(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        self.flush(checkpointer).await
    }
}

fn put(stream: &MemoryStream, numbers: std::ops::Range<u32>) {
    for n in numbers {
        stream.put(&format!("key-{n}"), format!("record-{n}")).unwrap();
    }
}

/// A worker that crashes at each step in turn, then one that lives: every record is in exactly one file.
#[tokio::test(start_paused = true)]
async fn every_record_is_written_once_wherever_the_writer_dies() {
    for dies_at in 1..=30 {
        let stream = Arc::new(MemoryStream::new(2));
        let leases = Arc::new(MemoryLeases::default());
        let folder = Folder::default();
        put(&stream, 0..60);
        let mortal = Archive { folder: folder.clone(), dies_at: Arc::new(dies_at.into()) };
        let config = WorkerConfig { max_leases: 4, ..WorkerConfig::new("mortal") };
        let worker = Worker::new(config, stream.clone(), leases.clone(), Arc::new(mortal));
        let task = tokio::spawn(worker.run(CancellationToken::new()));
        sleep(Duration::from_secs(20)).await;
        task.abort();
        let _ = task.await;
        // What comes after must not end up in the file that was begun.
        put(&stream, 60..75);
        let config = WorkerConfig { stop_when_drained: true, ..WorkerConfig::new("heir") };
        let heir = Archive { folder: folder.clone(), dies_at: Arc::default() };
        Worker::new(config, stream, leases, Arc::new(heir)).run(CancellationToken::new()).await.unwrap();
        let mut rows: Vec<String> = folder.lock().unwrap().values().flatten().cloned().collect();
        rows.sort();
        let mut expected: Vec<String> = (0..75).map(|n| format!("record-{n}")).collect();
        expected.sort();
        assert_eq!(rows, expected, "dying at step {dies_at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_declaration_is_handed_on_and_bars_the_way_until_it_is_settled() {
    let leases = Arc::new(MemoryLeases::default());
    let shard =
        dial_ingest::stream::Shard { shard_id: "shard".into(), parent_ids: vec![], hash_range: None, open: true };
    leases.put(dial_ingest::lease::Lease::of_shard(&shard, Position::TRIM_HORIZON));
    let at = |n: u32| Position::new(n.to_string().parse().unwrap(), 0);
    let failover = Duration::from_secs(10);
    let take = async |worker: &str| {
        let lease = leases.snapshot()["shard"].clone();
        Checkpointer::take(leases.clone(), &lease, worker, failover).await.unwrap()
    };
    let first = take("first").await;
    assert!(matches!(first.declare(at(5), vec![1]).await, Err(CheckpointError::NotDelivered { .. })));
    first.delivered(&at(20));
    first.declare(at(10), b"intent".to_vec()).await.unwrap();
    first.declare(at(10), b"intent".to_vec()).await.unwrap();
    assert!(matches!(first.declare(at(11), vec![]).await, Err(CheckpointError::DeclarationOpen { .. })));
    assert!(matches!(first.commit(at(9)).await, Err(CheckpointError::DeclarationOpen { .. })));

    let second = take("second").await;
    let open = Declaration { position: at(10), state: b"intent".to_vec() };
    assert_eq!(second.open_declaration(), Some(open));
    assert!(matches!(first.commit(at(10)).await, Err(CheckpointError::LeaseLost(_))));
    assert!(!first.holds_lease());
    // What was declared was delivered, so the heir may commit it without reading it again.
    second.commit(at(10)).await.unwrap();
    assert_eq!((second.checkpoint(), second.open_declaration()), (at(10), None));
    assert!(matches!(second.commit(at(11)).await, Err(CheckpointError::NotDelivered { .. })));
    second.delivered(&at(30));
    assert!(matches!(second.declare(at(10), vec![]).await, Err(CheckpointError::NotAhead { .. })));
    second.declare(at(30), vec![]).await.unwrap();
    second.withdraw().await.unwrap();
    second.commit(at(12)).await.unwrap();
    second.commit(at(11)).await.unwrap();
    assert_eq!(leases.snapshot()["shard"].checkpoint, at(12));
}
