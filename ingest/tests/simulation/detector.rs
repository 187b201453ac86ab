//! A processor whose effects may be repeated: effects, then a commit.

use async_trait::async_trait;
use dial_ingest::{Batch, Checkpointer, Position, ProcessError, Record, ShardProcessor};

use crate::consumer::{Desk, rows};
use crate::wire::{Effect, Note};

pub struct Detector {
    desk: Desk,
    /// Durable up to here, and what it was before.
    done: Option<Position>,
    before: Option<Position>,
}

impl Detector {
    pub fn new(desk: Desk) -> Self {
        Self { desk, done: None, before: None }
    }

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
        match self.done.clone() {
            Some(done) => Ok(checkpointer.commit(done).await?),
            None => Ok(()),
        }
    }
}
