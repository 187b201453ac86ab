//! A processor that remembers, and a lease store that watches over what must always hold.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dial_ingest::lease::{Lease, LeaseChange};
use dial_ingest::{
    Batch, Checkpointer, Declaration, LeaseStore, PortError, Position, ProcessError, ProcessorFactory, ShardProcessor,
    ShardStart,
};
use tokio::time::{Instant, sleep};

/// What happened to a worker's processors, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Start { shard: String, checkpoint: Position, declared: Option<Declaration> },
    Records { shard: String, positions: Vec<Position>, at: Instant },
    Ended { shard: String },
    Lost { shard: String },
    Shutdown { shard: String },
}

/// What all processors of a test wrote down.
#[derive(Clone, Default)]
pub struct Log {
    pub events: Arc<Mutex<Vec<Event>>>,
    /// How often each record, by its data, was processed.
    pub seen: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Log {
    pub fn note(&self, event: Event) {
        self.events.lock().unwrap().push(event);
    }

    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    pub fn seen(&self) -> BTreeMap<String, usize> {
        self.seen.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// The checkpoints that processors of this shard were started at.
    pub fn starts(&self, shard_id: &str) -> Vec<Position> {
        let start = |event: &Event| match event {
            Event::Start { shard, checkpoint, .. } if shard == shard_id => Some(checkpoint.clone()),
            _ => None,
        };
        self.events().iter().filter_map(start).collect()
    }
}

/// When a [`Recorder`] commits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Commits {
    EachBatch,
    /// Every so many batches, and at the end.
    Every(usize),
    AtTheEnd,
}

/// A processor factory whose processors write down what they see.
#[derive(Clone)]
pub struct Recorder {
    pub log: Log,
    pub commits: Commits,
    /// How long each batch takes.
    pub work: Duration,
    /// So many calls of `process` fail first.
    pub failures: Arc<AtomicU32>,
    pub fatal: bool,
}

impl Recorder {
    pub fn new(log: &Log) -> Self {
        Self {
            log: log.clone(),
            commits: Commits::EachBatch,
            work: Duration::ZERO,
            failures: Arc::default(),
            fatal: false,
        }
    }

    pub fn commits(self, commits: Commits) -> Self {
        Self { commits, ..self }
    }

    pub fn work(self, work: Duration) -> Self {
        Self { work, ..self }
    }

    pub fn failing(self, times: u32) -> Self {
        Self { failures: Arc::new(AtomicU32::new(times)), ..self }
    }
}

struct Recording {
    shard: String,
    recorder: Recorder,
    batches: usize,
    done: Option<Position>,
}

impl ProcessorFactory for Recorder {
    fn start(&self, start: &ShardStart) -> Box<dyn ShardProcessor> {
        self.log.note(Event::Start {
            shard: start.shard_id.to_string(),
            checkpoint: start.checkpoint.clone(),
            declared: start.open_declaration.clone(),
        });
        Box::new(Recording { shard: start.shard_id.to_string(), recorder: self.clone(), batches: 0, done: None })
    }
}

impl Recording {
    async fn commit(&self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        match &self.done {
            Some(position) => Ok(checkpointer.commit(position.clone()).await?),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl ShardProcessor for Recording {
    async fn process(&mut self, batch: &Batch, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        assert!(!batch.records.is_empty());
        assert!(checkpointer.holds_lease());
        let once = |n: u32| n.checked_sub(1);
        if self.recorder.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, once).is_ok() {
            let error = "told to fail";
            return Err(if self.recorder.fatal { ProcessError::fatal(error) } else { ProcessError::retry(error) });
        }
        sleep(self.recorder.work).await;
        for record in &batch.records {
            assert_eq!(*record.shard_id, *self.shard);
            let data = String::from_utf8(record.data.to_vec()).unwrap();
            *self.recorder.log.seen.lock().unwrap().entry(data).or_default() += 1;
        }
        self.recorder.log.note(Event::Records {
            shard: self.shard.clone(),
            positions: batch.records.iter().map(|record| record.position()).collect(),
            at: Instant::now(),
        });
        self.batches += 1;
        self.done = batch.last_position();
        let due = match self.recorder.commits {
            Commits::EachBatch => true,
            Commits::Every(n) => self.batches.is_multiple_of(n),
            Commits::AtTheEnd => false,
        };
        if due { self.commit(checkpointer).await } else { Ok(()) }
    }

    async fn shard_ended(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        self.commit(checkpointer).await?;
        self.recorder.log.note(Event::Ended { shard: self.shard.clone() });
        Ok(())
    }

    async fn lease_lost(&mut self) {
        self.recorder.log.note(Event::Lost { shard: self.shard.clone() });
    }

    async fn shutdown(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        self.recorder.log.note(Event::Shutdown { shard: self.shard.clone() });
        self.commit(checkpointer).await
    }
}

/// Watches the writes that another store accepts, and writes down those that must not be.
pub struct Witness<L> {
    inner: L,
    pub violations: Mutex<Vec<String>>,
}

impl<L> Witness<L> {
    pub fn new(inner: L) -> Self {
        Self { inner, violations: Mutex::default() }
    }

    pub fn inner(&self) -> &L {
        &self.inner
    }

    fn check(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.violations.lock().unwrap().push(what());
        }
    }
}

#[async_trait]
impl<L: LeaseStore> LeaseStore for Witness<L> {
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
        let before = self.inner.get(&lease.lease_key).await?;
        let after = self.inner.update(lease, change).await?;
        let before = before.expect("an updated lease was there");
        self.check(after.checkpoint >= before.checkpoint, || {
            format!("{}: {} after {}", lease.lease_key, after.checkpoint, before.checkpoint)
        });
        self.check(after.lease_counter > before.lease_counter, || format!("{}: counter", lease.lease_key));
        if let LeaseChange::Take { .. } = change {
            for parent in &after.parent_shard_ids {
                let done = self.inner.get(parent).await?.is_none_or(|parent| parent.is_ended());
                self.check(done, || format!("{} taken before {parent} ended", lease.lease_key));
            }
        }
        Ok(after)
    }

    async fn delete(&self, lease: &Lease) -> Result<(), PortError> {
        self.inner.delete(lease).await
    }
}
