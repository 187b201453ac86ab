//! [`Recovery`]: finishing a batch that an earlier owner of the shard declared and did not commit. Pure.

use dial_rules::decode::Decoded;
use dial_rules::event::Millis;

use crate::batch::{ArchiveBatch, Pushed};
use crate::intent::{Intent, IntentError};
use crate::position::Position;
use crate::sealed::Sealed;
use crate::shard::Shard;

/// What became of a record that was pushed into a [`Recovery`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It belongs to the declared batch, and more does.
    More,
    /// It was the last one of the declared batch: [`finish`](Recovery::finish) now.
    Complete,
    /// It lies behind the declared batch and was not taken: [`finish`](Recovery::finish) now, and push it into the
    /// next.
    Beyond,
}

/// Collects again the records that an open intent covers.
#[derive(Debug)]
pub struct Recovery {
    intent: Intent,
    batch: ArchiveBatch,
    first: Option<Position>,
    /// No record that belongs to it can come any more.
    complete: bool,
}

/// A declared batch, ready to be written once more.
#[derive(Debug)]
pub struct Recovered {
    /// Its files. Those that exist already stay as they are. May be none, when `gap` is set.
    pub sealed: Sealed,
    /// Records of the batch have left the stream meanwhile. Files that were not written before then lack their
    /// events: something was lost, and people must be told.
    pub gap: bool,
}

/// Why a declared batch is not finished.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// Records of it are still to come; a defect of the caller.
    #[error("the batch up to {0} is not read again to its end")]
    Unfinished(Position),
    /// The records no longer become what was declared.
    #[error(
        "the records {first} to {last} of shard {shard} give other files than the build that declared them (version \
         {software}) said; some of those may be written, so this build (version {}) must not go on: run that one until it \
         has finished the batch",
        env!("CARGO_PKG_VERSION")
    )]
    Differs {
        /// The shard.
        shard: String,
        /// The first record.
        first: Position,
        /// The last record.
        last: Position,
        /// The version that declared it.
        software: String,
    },
}

impl Recovery {
    /// Begins to finish what `state`, the open declaration of the shard's lease, says.
    ///
    /// # Errors
    /// See [`IntentError`].
    pub fn new(shard: Shard, state: &[u8]) -> Result<Self, IntentError> {
        let intent = Intent::parse(state)?;
        if intent.shard != shard.id() {
            return Err(IntentError::Shard { found: intent.shard, expected: shard.id().to_owned() });
        }
        let batch = ArchiveBatch::new(shard, intent.raw);
        Ok(Self { intent, batch, first: None, complete: false })
    }

    /// What was declared.
    #[must_use]
    pub fn intent(&self) -> &Intent {
        &self.intent
    }

    /// Adds the next record behind the shard's checkpoint, as [`ArchiveBatch::push`] does; a record that comes again, or
    /// lies before what was declared, changes nothing.
    pub fn push(
        &mut self,
        position: &Position,
        arrival: Option<Millis>,
        decoded: impl IntoIterator<Item = Decoded>,
        now: Millis,
    ) -> Step {
        if position > self.intent.last() {
            self.complete = true;
            return Step::Beyond;
        }
        if position < self.intent.first() {
            return Step::More; // from before the owner that declared began
        }
        if let Pushed::Taken { .. } = self.batch.push(position, arrival, decoded, now) {
            self.first.get_or_insert_with(|| position.clone());
        }
        if position == self.intent.last() {
            self.complete = true;
            Step::Complete
        } else {
            Step::More
        }
    }

    /// Says that the shard was read to its end, so that nothing more comes.
    pub fn shard_ended(&mut self) {
        self.complete = true;
    }

    /// The declared files again, once a push or [`shard_ended`](Self::shard_ended) completed them. Write them all,
    /// then commit [`Intent::last`]; go on with a new batch [`after`](ArchiveBatch::after) it.
    ///
    /// # Errors
    /// See [`RecoveryError`]. Neither write nor commit then: nothing is lost meanwhile.
    pub fn finish(mut self) -> Result<Recovered, RecoveryError> {
        let (first, last) = (self.intent.first().clone(), self.intent.last().clone());
        if !self.complete {
            return Err(RecoveryError::Unfinished(last));
        }
        let gap = self.first.as_ref() != Some(&first) || self.batch.last() != Some(&last);
        let sealed = self.batch.seal_as(first, last);
        let (now, then) = (sealed.intent(), &self.intent);
        let same_names = now.stem == then.stem && now.table == then.table;
        if same_names && (gap || now.digest == then.digest) {
            let sealed = sealed.under(self.intent);
            return Ok(Recovered { sealed, gap });
        }
        Err(RecoveryError::Differs {
            shard: then.shard.clone(),
            first: then.first.clone(),
            last: then.last.clone(),
            software: then.software.clone(),
        })
    }
}
