//! The simulated applications, and what their processors have in common.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dial_ingest::{Batch, Position, ProcessError, ProcessorFactory, Record, ShardProcessor, ShardStart};
use tokio::time::{sleep, timeout};

use crate::archivist::Archivist;
use crate::detector::Detector;
use crate::dice::Dice;
use crate::ports::Outbox;
use crate::wire::{Effect, Note};

/// So long a write may take before it is tried again.
const PATIENCE: Duration = Duration::from_secs(5);

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
pub struct Desk {
    pub outbox: Arc<Outbox>,
    pub habits: Habits,
    pub run: u64,
    pub shard: String,
    pub dice: Dice,
    pub in_hand: Option<Position>,
    pub batches: u64,
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
            Kind::Detect => Box::new(Detector::new(desk)),
            Kind::Archive => Box::new(Archivist::new(desk, start.open_declaration.clone())),
        }
    }
}

pub fn rows(records: &[Record]) -> Vec<u64> {
    records.iter().map(|record| number(&record.position())).collect()
}

impl Desk {
    /// A batch is on the desk, perhaps again.
    pub async fn open(&mut self, batch: &Batch) -> Result<(), ProcessError> {
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
        let failing = self.dice.chance(self.habits.failing) && !self.outbox.calm.load(Ordering::Relaxed);
        if failing { Err(ProcessError::retry("told to fail")) } else { Ok(()) }
    }

    pub async fn write(&self, effect: Effect) -> Result<(), ProcessError> {
        let written = timeout(PATIENCE, self.outbox.effect(&self.shard, effect)).await;
        written.map_err(ProcessError::retry)?.map_err(ProcessError::retry)
    }

    pub fn commit_is_due(&self) -> bool {
        self.batches.is_multiple_of(self.habits.commit_every)
    }
}
