//! One shard from the taking of its lease to its end: read, process, and what interrupts that.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::budget::{Room, WorkerRoom};
use crate::checkpoint::CheckpointError;
use crate::checkpointer::Checkpointer;
use crate::children;
use crate::config::WorkerConfig;
use crate::error::{ErrorKind, ProcessError};
use crate::fan_out::FanOut;
use crate::feed::{Fed, Feed};
use crate::fleet::within;
use crate::health::{HealthBook, HealthEntry};
use crate::held::HeldLease;
use crate::lease::LeaseChange;
use crate::processor::{ProcessorFactory, ShardProcessor, ShardStart};
use crate::progress::{ProgressPage, ShardProgress, WorkerProgress};
use crate::reader::{Answer, ShardReader, start_at};
use crate::record::Batch;
use crate::retry;
use crate::store::LeaseStore;
use crate::stream::{ChildShard, IteratorStart, StreamClient, StreamRecord};
use crate::unpack::batches;

/// A processor that hears nothing else is told that it idles, this often.
const IDLE: Duration = Duration::from_secs(1);

/// What the shards of one worker share.
pub(crate) struct Surroundings {
    pub(crate) config: WorkerConfig,
    pub(crate) stream: Arc<dyn StreamClient>,
    pub(crate) leases: Arc<dyn LeaseStore>,
    pub(crate) factory: Arc<dyn ProcessorFactory>,
    pub(crate) progress: watch::Sender<WorkerProgress>,
    pub(crate) health: Arc<HealthBook>,
    pub(crate) room: WorkerRoom,
    pub(crate) fan_out: Option<Arc<FanOut>>,
    /// Finish what is at hand and let go.
    pub(crate) stopping: CancellationToken,
    /// Let go at once.
    pub(crate) overdue: CancellationToken,
}

/// How a shard's run ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It was read to its end, and its children's leases exist.
    Ended,
    /// Somebody else has it.
    Lost,
    /// The worker is stopping; the lease is released.
    Stopped,
    /// The processor cannot go on; the lease is released.
    Failed(ProcessError),
}

/// Why the work on a shard cannot go on.
enum Halt {
    Lost,
    Stopping,
    Failed(ProcessError),
}

impl From<CheckpointError> for Halt {
    fn from(error: CheckpointError) -> Self {
        match error {
            CheckpointError::LeaseLost(_) => Self::Lost,
            other => Self::Failed(other.into()),
        }
    }
}

/// A call of the processor.
enum Call<'a> {
    Process(&'a Batch),
    Idle,
    ShardEnded,
}

/// A shard that this worker holds the lease of.
pub(crate) struct ShardRun {
    around: Arc<Surroundings>,
    held: Arc<HeldLease>,
    shard_id: Arc<str>,
    checkpointer: Checkpointer,
    processor: Box<dyn ShardProcessor>,
    page: ProgressPage,
    health: HealthEntry,
}

impl ShardRun {
    pub(crate) fn new(around: Arc<Surroundings>, held: HeldLease) -> Self {
        let held = Arc::new(held);
        let lease = held.lease();
        let shard_id = held.shard_id().clone();
        let start = ShardStart {
            shard_id: shard_id.clone(),
            checkpoint: lease.checkpoint.clone(),
            open_declaration: lease.declaration,
        };
        let page =
            ProgressPage::open(&around.progress, shard_id.clone(), ShardProgress::beginning_at(lease.checkpoint));
        let health = around.health.hold(&held);
        let processor = around.factory.start(&start);
        let checkpointer = Checkpointer::new(held.clone());
        Self { around, held, shard_id, checkpointer, processor, page, health }
    }

    /// Works on the shard until something ends that, and leaves the lease as that demands.
    pub(crate) async fn run(mut self) -> Outcome {
        let keeper = AbortOnDrop(tokio::spawn(self.held.clone().keep()));
        let (held, overdue) = (self.held.clone(), self.around.overdue.clone());
        let work = async {
            tokio::select! {
                biased;
                () = overdue.cancelled() => Err(Halt::Stopping),
                end = self.work() => end,
            }
        };
        let end = held.while_valid(work).await.unwrap_or(Err(Halt::Lost));
        let outcome = self.conclude(end, &overdue).await;
        drop(keeper);
        outcome
    }

    async fn conclude(&mut self, end: Result<(), Halt>, overdue: &CancellationToken) -> Outcome {
        match end {
            Ok(()) => {
                info!(shard = %self.shard_id, "read to its end");
                self.held.lost().cancel();
                Outcome::Ended
            }
            Err(Halt::Lost) => self.lose().await,
            Err(Halt::Stopping) => {
                let held = self.held.clone();
                if held.while_valid(self.shut_down(overdue)).await.is_none() {
                    return self.lose().await;
                }
                self.held.release().await;
                Outcome::Stopped
            }
            Err(Halt::Failed(error)) => {
                error!(shard = %self.shard_id, %error, "the processor cannot go on");
                self.held.release().await;
                Outcome::Failed(error)
            }
        }
    }

    async fn lose(&mut self) -> Outcome {
        warn!(shard = %self.shard_id, "lease lost");
        self.health.lost();
        self.held.lost().cancel();
        self.processor.lease_lost().await;
        Outcome::Lost
    }

    async fn shut_down(&mut self, overdue: &CancellationToken) {
        tokio::select! {
            biased;
            () = overdue.cancelled() => warn!(shard = %self.shard_id, "not finished in time; letting go"),
            done = self.processor.shutdown(&self.checkpointer) => if let Err(error) = done {
                warn!(shard = %self.shard_id, %error, "the processor did not shut down well");
            },
        }
    }

    async fn work(&mut self) -> Result<(), Halt> {
        let checkpoint = self.checkpointer.checkpoint();
        let declared = self.checkpointer.open_declaration().is_some();
        let Some(start) = start_at(&checkpoint, self.around.config.initial_position, declared) else {
            return Ok(());
        };
        info!(shard = %self.shard_id, %checkpoint, "reading");
        let mut feed = self.around.feed(&self.shard_id, start);
        loop {
            let fed = tokio::select! {
                biased;
                () = self.around.stopping.cancelled() => return Err(Halt::Stopping),
                fed = feed.next() => fed.ok_or_else(|| Halt::Failed(ProcessError::fatal("its reader stopped")))?,
                () = sleep(IDLE) => Fed { answer: Answer::Failed, room: None },
            };
            match fed.answer {
                Answer::Records { records, millis_behind_latest } => {
                    let room = fed.room.map(Room::at_hand);
                    self.take_in(records, millis_behind_latest).await?;
                    drop(room);
                }
                Answer::Nothing { millis_behind_latest } => self.nothing(millis_behind_latest).await?,
                Answer::Failed => self.call(Call::Idle).await?,
                Answer::End(children) => return self.end(children, false).await,
                Answer::Gone => return self.end(Vec::new(), true).await,
            }
            let checkpoint = self.checkpointer.checkpoint();
            self.page.update(|page| page.checkpoint = checkpoint);
        }
    }

    async fn take_in(&mut self, records: Vec<StreamRecord>, millis_behind_latest: Option<i64>) -> Result<(), Halt> {
        let range = self.held.look(|lease| lease.hash_range);
        let checkpoint = self.checkpointer.checkpoint();
        let mut batches = batches(self.shard_id.clone(), range, records, millis_behind_latest, checkpoint).peekable();
        if batches.peek().is_none() {
            return self.nothing(millis_behind_latest).await;
        }
        for batch in batches {
            if self.around.stopping.is_cancelled() {
                return Err(Halt::Stopping);
            }
            self.process(&batch).await?;
        }
        Ok(())
    }

    async fn nothing(&mut self, millis_behind_latest: Option<i64>) -> Result<(), Halt> {
        self.page.update(|page| {
            page.millis_behind_latest = millis_behind_latest;
            page.answered = Instant::now();
            let caught_up = millis_behind_latest.unwrap_or(0) == 0;
            page.empty_polls = if caught_up { page.empty_polls.saturating_add(1) } else { 0 };
        });
        self.call(Call::Idle).await
    }

    async fn process(&mut self, batch: &Batch) -> Result<(), Halt> {
        let Some(position) = batch.last_position() else {
            return Ok(());
        };
        self.checkpointer.delivered(&position);
        self.page.update(|page| {
            page.empty_polls = 0;
            page.millis_behind_latest = batch.millis_behind_latest;
        });
        self.call(Call::Process(batch)).await?;
        self.health.processed(batch.records.len(), batch.data_len());
        self.page.update(|page| {
            page.delivered = position;
            page.answered = Instant::now();
            page.records += batch.records.len() as u64;
            page.bytes += batch.data_len() as u64;
        });
        Ok(())
    }

    /// Calls the processor until it succeeds. A batch that keeps failing holds its shard, never the checkpoint.
    async fn call(&mut self, call: Call<'_>) -> Result<(), Halt> {
        let seed = retry::seed_of(&[&self.around.config.worker_id, &self.shard_id, "process"]);
        let mut failures = 0;
        loop {
            if !self.held.is_valid() {
                return Err(Halt::Lost);
            }
            let done = match call {
                Call::Process(batch) => self.processor.process(batch, &self.checkpointer).await,
                Call::Idle => self.processor.idle(&self.checkpointer).await,
                Call::ShardEnded => self.processor.shard_ended(&self.checkpointer).await,
            };
            let error = match done {
                Ok(()) => return Ok(()),
                Err(ProcessError::Checkpoint(CheckpointError::LeaseLost(_))) => {
                    return Err(Halt::Lost);
                }
                Err(error @ ProcessError::Fatal(_)) => return Err(Halt::Failed(error)),
                Err(error) => error,
            };
            failures += 1;
            let pause = retry::delay(failures, ErrorKind::Unavailable, seed);
            warn!(shard = %self.shard_id, %error, failures, ?pause, "the processor failed; trying again");
            self.around.pause(pause).await?;
            if matches!(call, Call::Idle) {
                // The next poll calls it again, perhaps with records.
                return Ok(());
            }
        }
    }

    /// Closes the shard: its records are durable, then its children's leases exist, then SHARD_END is written. In
    /// that order a crash at any moment leaves either the shard to be finished again or its children to be found.
    async fn end(&mut self, children: Vec<ChildShard>, gone: bool) -> Result<(), Halt> {
        if gone {
            warn!(shard = %self.shard_id, "its records have aged out of the stream");
        }
        self.page.update(|page| page.empty_polls = 0);
        self.call(Call::ShardEnded).await?;
        let seed = retry::seed_of(&[&self.around.config.worker_id, &self.shard_id, "end"]);
        let mut failures = 0;
        loop {
            let begun = children::begin(&self.around, &self.shard_id, &children, gone);
            let error = match within(self.around.config.failover, "beginning the children", begun).await {
                Ok(children) => match self.write_end(children).await {
                    Err(CheckpointError::Store(error)) => error,
                    done => return done.map_err(Halt::from),
                },
                Err(error) => error,
            };
            failures += 1;
            warn!(shard = %self.shard_id, %error, "the shard cannot be closed yet; trying again");
            let pause = retry::delay(failures, error.kind, seed);
            self.around.pause(pause).await?;
        }
    }

    async fn write_end(&mut self, children: Vec<String>) -> Result<(), CheckpointError> {
        let end = LeaseChange::End { children };
        self.held.write_patiently(|lease| Ok((!lease.is_ended()).then(|| end.clone()))).await
    }
}

impl Surroundings {
    /// Begins to read a shard.
    fn feed(&self, shard_id: &Arc<str>, start: IteratorStart) -> Feed {
        let config = &self.config;
        let sharing = config.sharing.as_ref().map(|sharing| sharing.of_shard(shard_id.clone()));
        let reader = ShardReader::new(self.stream.clone(), shard_id.clone(), start, config.pace).sharing(sharing);
        Feed::start(self.stream.clone(), reader, self.room.of_shard(), self.fan_out.clone())
    }

    /// Waits, unless the worker is stopping.
    async fn pause(&self, pause: Duration) -> Result<(), Halt> {
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => Err(Halt::Stopping),
            () = sleep(pause) => Ok(()),
        }
    }
}

/// Ends a task with its owner.
pub(crate) struct AbortOnDrop(pub(crate) tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
