//! Our side: workers whose processors write down what they are given.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dial_ingest::dynamodb::DynamoLeases;
use dial_ingest::kinesis::KinesisStream;
use dial_ingest::{
    Batch, Checkpointer, PollPace, Position, ProcessError, ProcessorFactory, ShardProcessor, ShardStart, Worker,
    WorkerConfig, WorkerError,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::account::{Account, Seen};
use crate::{BATCH, CHECKPOINT_EVERY, FAILOVER, INTERVAL};

/// Makes processors that write into the account, under the worker's name.
#[derive(Clone)]
struct Clerk {
    worker: String,
    account: Arc<Mutex<Account>>,
}

struct Desk {
    clerk: Clerk,
    shard: String,
    batches: u32,
}

impl Clerk {
    fn note(&self, shard: &str, seen: Seen) {
        let mut account = self.account.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        account.note(&self.worker, shard, seen);
    }
}

impl ProcessorFactory for Clerk {
    fn start(&self, start: &ShardStart) -> Box<dyn ShardProcessor> {
        let at = &start.checkpoint;
        self.note(&start.shard_id, Seen::Start { sequence: at.sequence.to_string(), sub: at.sub_sequence });
        Box::new(Desk { clerk: self.clone(), shard: start.shard_id.to_string(), batches: 0 })
    }
}

#[async_trait]
impl ShardProcessor for Desk {
    /// Of every few batches the last one is declared before it is processed and committed after, so that the table
    /// shows both.
    async fn process(&mut self, batch: &Batch, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        let Some(position) = batch.last_position() else { return Ok(()) };
        self.batches += 1;
        let last = self.batches.is_multiple_of(CHECKPOINT_EVERY) && may_commit(checkpointer, &position);
        if last && checkpointer.open_declaration().is_none() {
            checkpointer.declare(position.clone(), b"what is about to be written".to_vec()).await?;
        }
        for record in &batch.records {
            let data = String::from_utf8_lossy(&record.data).into_owned();
            let (sequence, sub) = (record.sequence_number.to_string(), record.sub_sequence_number);
            self.clerk.note(&self.shard, Seen::Record { sequence, sub, data });
        }
        // Work that takes its time, so that a crash finds some declared.
        tokio::time::sleep(INTERVAL / 2).await;
        if last { Ok(checkpointer.commit(position).await?) } else { Ok(()) }
    }

    async fn shard_ended(&mut self, _: &Checkpointer) -> Result<(), ProcessError> {
        Ok(())
    }

    async fn shutdown(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        let done = {
            let account = self.clerk.account.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            account.last_of(&self.clerk.worker, &self.shard)
        };
        match done {
            Some(position) if may_commit(checkpointer, &position) => Ok(checkpointer.commit(position).await?),
            _ => Ok(()),
        }
    }
}

/// What an owner before us declared is committed as a whole or not at all.
fn may_commit(checkpointer: &Checkpointer, position: &Position) -> bool {
    checkpointer.open_declaration().is_none_or(|open| *position >= open.position)
}

/// A worker of ours that runs.
pub struct Running {
    task: JoinHandle<Result<(), WorkerError>>,
    shutdown: CancellationToken,
}

/// What a worker needs to know of the scene.
pub struct Place {
    pub kinesis: aws_sdk_kinesis::Client,
    pub dynamodb: aws_sdk_dynamodb::Client,
    pub stream: String,
    pub table: String,
    pub account: Arc<Mutex<Account>>,
}

impl Place {
    /// Starts a worker of ours; one that stops by itself when nothing is left to read, if `to_the_end`.
    pub fn start(&self, worker: &str, to_the_end: bool) -> Running {
        let config = WorkerConfig {
            failover: FAILOVER,
            pace: PollPace { interval: INTERVAL, max_records: BATCH, ..PollPace::EAGER },
            stop_when_drained: to_the_end,
            ..WorkerConfig::new(worker)
        };
        let stream = Arc::new(KinesisStream::new(self.kinesis.clone(), &self.stream));
        let leases = Arc::new(DynamoLeases::new(self.dynamodb.clone(), &self.table));
        let clerk = Clerk { worker: worker.into(), account: self.account.clone() };
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(Worker::new(config, stream, leases, Arc::new(clerk)).run(shutdown.clone()));
        Running { task, shutdown }
    }
}

impl Running {
    /// Stops it as SIGTERM does.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.end().await;
    }

    /// Waits until it stops by itself.
    pub async fn end(self) {
        let ended = tokio::time::timeout(Duration::from_secs(120), self.task).await;
        ended.expect("a worker of ours ends in time").expect("it does not panic").expect("it does not fail");
    }

    /// Stops it as SIGKILL does: its leases stay behind as they are.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}
