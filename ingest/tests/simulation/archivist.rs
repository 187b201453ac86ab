//! A processor that puts each record into exactly one file, by checkpoints in two phases.

use async_trait::async_trait;
use dial_ingest::{Batch, Checkpointer, Declaration, Position, ProcessError, ShardProcessor};

use crate::consumer::{Desk, number};
use crate::wire::{Effect, Note};

pub struct Archivist {
    desk: Desk,
    /// The file that an owner before us declared: its end and its name.
    declared: Option<Declaration>,
    rows: Vec<Position>,
    /// The last record that was put into the rows.
    read: Option<Position>,
    idle: u32,
}

impl Archivist {
    pub fn new(desk: Desk, declared: Option<Declaration>) -> Self {
        Self { desk, declared, rows: Vec::new(), read: None, idle: 0 }
    }

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
        // What is short of a declared file's end is for the next owner.
        if self.declared.is_none() || self.file_is_due() { self.flush(checkpointer).await } else { Ok(()) }
    }
}
