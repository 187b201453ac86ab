//! The processors of the simulated applications.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dial_ingest::{
    Batch, Checkpointer, Declaration, Position, ProcessError, ProcessorFactory, Record, ShardProcessor, ShardStart,
};
use tokio::time::sleep;

use crate::dice::Dice;
use crate::wire::{Effect, Note, Outbox};

/// What an application does with its records.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Effects that may be repeated, then a commit.
    Detect,
    /// Each record in exactly one file, by checkpoints in two phases.
    Archive,
}

/// How a worker's processors behave.
#[derive(Clone, Debug)]
pub struct Habits {
    pub kind: Kind,
    /// A batch takes at most so many milliseconds.
    pub work: u64,
    /// Commits, or files a batch at once, every so many batches.
    pub commit_every: u64,
    /// Commits from a task of its own.
    pub commits_aside: bool,
    /// So many times in a hundred a batch fails for no reason.
    pub failing: u64,
    /// Records in a file.
    pub file_rows: usize,
}

/// Makes the processors of one worker.
pub struct Consumer {
    pub outbox: Arc<Outbox>,
    pub habits: Habits,
    /// The worker's number; its runs are numbered from it.
    pub machine: u64,
    pub seed: u64,
    pub runs: AtomicU64,
}

/// A record's number, unique in the stream: the last digits of its sequence number.
pub fn number(position: &Position) -> u64 {
    let digits = position.sequence.as_str();
    let tail = &digits[digits.len().saturating_sub(18)..];
    tail.parse().unwrap_or_else(|_| panic!("{position} is not of a record"))
}

/// What both kinds have.
struct Desk {
    outbox: Arc<Outbox>,
    habits: Habits,
    run: u64,
    shard: String,
    dice: Dice,
    in_hand: Option<Position>,
    batches: u64,
}

impl ProcessorFactory for Consumer {
    fn start(&self, start: &ShardStart) -> Box<dyn ShardProcessor> {
        let run = self.machine * 1_000 + self.runs.fetch_add(1, Ordering::Relaxed);
        let shard = start.shard_id.to_string();
        self.outbox.note(Note::Started {
            run,
            shard: shard.clone(),
            checkpoint: start.checkpoint.clone(),
            declaration: start.open_declaration.clone(),
        });
        let desk = Desk {
            outbox: self.outbox.clone(),
            habits: self.habits.clone(),
            run,
            shard,
            dice: Dice::new(self.seed, 1_000_000 + run),
            in_hand: None,
            batches: 0,
        };
        match self.habits.kind {
            Kind::Detect => Box::new(Detector { desk, done: None, before: None }),
            Kind::Archive => {
                let declared = start.open_declaration.clone();
                Box::new(Archivist { desk, declared, rows: Vec::new(), read: None, idle: 0 })
            }
        }
    }
}

fn rows(records: &[Record]) -> Vec<u64> {
    records.iter().map(|record| number(&record.position())).collect()
}

impl Desk {
    /// A batch is on the desk, perhaps again.
    async fn open(&mut self, batch: &Batch) -> Result<(), ProcessError> {
        let last = batch.last_position();
        assert!(last.is_some(), "an empty batch");
        if self.in_hand != last {
            self.outbox.note(Note::Delivered { run: self.run, rows: rows(&batch.records) });
            self.in_hand = last;
            self.batches += 1;
        }
        let work = self.dice.below(self.habits.work + 1);
        if work > 0 {
            sleep(Duration::from_millis(work)).await;
        }
        if self.dice.chance(self.habits.failing) { Err(ProcessError::retry("told to fail")) } else { Ok(()) }
    }

    async fn write(&self, effect: Effect) -> Result<(), ProcessError> {
        self.outbox.effect(&self.shard, effect).await.map_err(ProcessError::retry)
    }

    fn commit_is_due(&self) -> bool {
        self.batches.is_multiple_of(self.habits.commit_every)
    }
}

struct Detector {
    desk: Desk,
    /// Durable up to here, and what it was before.
    done: Option<Position>,
    before: Option<Position>,
}

impl Detector {
    async fn commit(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        let Some(done) = self.done.clone() else { return Ok(()) };
        if self.desk.habits.commits_aside {
            let checkpointer = checkpointer.clone();
            tokio::spawn(async move { checkpointer.commit(done).await });
            return Ok(());
        }
        checkpointer.commit(done).await?;
        // A late thought of what was long done: nothing to write.
        match self.before.take() {
            Some(before) if self.desk.dice.chance(20) => Ok(checkpointer.commit(before).await?),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl ShardProcessor for Detector {
    async fn process(&mut self, batch: &Batch, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        self.desk.open(batch).await?;
        let parts = self.desk.dice.between(1, 3) as usize;
        for part in batch.records.chunks(batch.records.len().div_ceil(parts)) {
            self.desk.write(Effect::Rows(rows(part))).await?;
            self.before = std::mem::replace(&mut self.done, part.last().map(Record::position));
        }
        if self.desk.commit_is_due() { self.commit(checkpointer).await } else { Ok(()) }
    }

    async fn shard_ended(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        self.commit(checkpointer).await?;
        self.desk.outbox.note(Note::Ended { run: self.desk.run });
        Ok(())
    }

    async fn lease_lost(&mut self) {
        self.desk.outbox.note(Note::Lost { run: self.desk.run });
    }

    async fn shutdown(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        self.desk.outbox.note(Note::Shutdown { run: self.desk.run });
        match self.done.clone() {
            Some(done) => Ok(checkpointer.commit(done).await?),
            None => Ok(()),
        }
    }
}

struct Archivist {
    desk: Desk,
    /// The file that an owner before us declared: its end and its name.
    declared: Option<Declaration>,
    rows: Vec<Position>,
    /// The last record that was put into the rows.
    read: Option<Position>,
    idle: u32,
}

impl Archivist {
    fn file_is_due(&self) -> bool {
        let last = self.rows.last();
        match &self.declared {
            Some(declared) => last == Some(&declared.position),
            None => self.rows.len() >= self.desk.habits.file_rows,
        }
    }

    /// Declares a file of the rows at hand, writes it, and commits. After an error, call it again.
    async fn flush(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        let (Some(first), Some(last)) = (self.rows.first(), self.rows.last().cloned()) else { return Ok(()) };
        let name = format!("{}_{}_{}", self.desk.shard, number(first), number(&last));
        checkpointer.declare(last.clone(), name.clone().into_bytes()).await?;
        if self.declared.is_none() && self.desk.dice.chance(5) {
            // Thought better of it, before anything was written.
            checkpointer.withdraw().await?;
            checkpointer.declare(last.clone(), name.clone().into_bytes()).await?;
        }
        // From here on it is the file to be finished, as if another had declared it.
        self.declared = Some(Declaration { position: last.clone(), state: name.clone().into_bytes() });
        self.desk.write(Effect::File { name, rows: self.rows.iter().map(number).collect() }).await?;
        checkpointer.commit(last).await?;
        self.rows.clear();
        self.declared = None;
        Ok(())
    }
}

#[async_trait]
impl ShardProcessor for Archivist {
    async fn process(&mut self, batch: &Batch, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        self.desk.open(batch).await?;
        self.idle = 0;
        for record in &batch.records {
            if self.file_is_due() {
                self.flush(checkpointer).await?;
            }
            let position = record.position();
            if self.read.as_ref().is_none_or(|read| position > *read) {
                self.rows.push(position.clone());
                self.read = Some(position);
            }
        }
        if self.file_is_due() { self.flush(checkpointer).await } else { Ok(()) }
    }

    async fn idle(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        self.idle += 1;
        let rest = self.declared.is_none() && u64::from(self.idle) >= 2 * self.desk.habits.commit_every;
        if rest || self.file_is_due() { self.flush(checkpointer).await } else { Ok(()) }
    }

    async fn shard_ended(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        self.flush(checkpointer).await?;
        self.desk.outbox.note(Note::Ended { run: self.desk.run });
        Ok(())
    }

    async fn lease_lost(&mut self) {
        self.desk.outbox.note(Note::Lost { run: self.desk.run });
    }

    async fn shutdown(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        self.desk.outbox.note(Note::Shutdown { run: self.desk.run });
        // What is short of a declared file's end is for the next owner.
        if self.declared.is_none() || self.file_is_due() { self.flush(checkpointer).await } else { Ok(()) }
    }
}
