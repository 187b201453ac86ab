//! [`ArchiveBatch`]: what one shard brought since its last flush. Pure: `now` is an argument.

use std::collections::BTreeSet;

use bytes::Bytes;
use dial_rules::dead_letter::DeadLetter;
use dial_rules::decode::Decoded;
use dial_rules::event::Millis;

use crate::dead_letter_file::{Letter, LettersOfRecord};
use crate::layout::Day;
use crate::position::{Position, RowKey};
use crate::row::{Row, RowContext};
use crate::sealed::Sealed;
use crate::shard::Shard;

/// When a batch is to be written. Fewer, larger files are better for whoever reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlushPolicy {
    /// At so many bytes in memory ([`ArchiveBatch::size`]).
    pub bytes: usize,
    /// So many milliseconds after its first record was pushed.
    pub age: Millis,
    /// At so many event days, each of which becomes a file.
    pub days: usize,
}

impl Default for FlushPolicy {
    /// 128 MiB, five minutes, 64 days.
    fn default() -> Self {
        Self { bytes: 128 << 20, age: 5 * 60 * 1000, days: 64 }
    }
}

impl FlushPolicy {
    /// For inputs that are files: by what the batch holds alone, so that one content is always cut into the same
    /// batches, and archiving it twice adds nothing. These numbers must not change.
    pub const OF_FILES: FlushPolicy = FlushPolicy { bytes: 64 << 20, age: Millis::MAX, days: usize::MAX };
}

/// Why a batch is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlushReason {
    /// It is large.
    Size,
    /// It has waited long.
    Age,
    /// It spans many event days.
    Days,
}

/// What became of a pushed record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It is in the batch: so many events and dead letters.
    Taken {
        /// Events.
        events: usize,
        /// Dead letters.
        dead_letters: usize,
    },
    /// It lies at or before a record that was pushed already, and changed nothing.
    SeenBefore,
}

/// The rows and dead letters of one shard between two positions.
#[derive(Debug)]
pub struct ArchiveBatch {
    context: RowContext,
    /// Everything up to here was pushed before, into this batch or an earlier one.
    seen: Option<Position>,
    first: Option<Position>,
    rows: Vec<Row>,
    letters: Vec<Letter>,
    days: BTreeSet<Day>,
    size: usize,
    since: Millis,
}

impl ArchiveBatch {
    /// An empty batch of a shard; `raw` fills the column of that name.
    #[must_use]
    pub fn new(shard: Shard, raw: bool) -> Self {
        Self {
            context: RowContext { shard, raw },
            seen: None,
            first: None,
            rows: Vec::new(),
            letters: Vec::new(),
            days: BTreeSet::new(),
            size: 0,
            since: 0,
        }
    }

    /// The same, but records up to `position` count as pushed already.
    #[must_use]
    pub fn after(mut self, position: Position) -> Self {
        self.seen = Some(position);
        self
    }

    /// Adds one user record: what decoding it yields, in that order. Records come in the shard's order; one that
    /// comes again, as after a failed attempt, is passed over, and its `decoded` not consumed.
    ///
    /// A record in which there is nothing at all becomes a dead letter, so that every record leaves a trace.
    pub fn push(
        &mut self,
        position: &Position,
        arrival: Option<Millis>,
        decoded: impl IntoIterator<Item = Decoded>,
        now: Millis,
    ) -> Pushed {
        if self.seen.as_ref().is_some_and(|seen| position <= seen) {
            return Pushed::SeenBefore;
        }
        let before = self.rows.len();
        let mut letters = LettersOfRecord::new(position, arrival);
        let mut count = 0;
        for (index, decoded) in (0..).zip(decoded) {
            count = index + 1;
            match decoded {
                Decoded::DeadLetter(dead) => letters.push(index, dead),
                Decoded::Event(event) => {
                    self.take(Row { event, key: RowKey { position: position.clone(), index }, arrival })
                }
            }
        }
        if count == 0 {
            letters.push(0, nothing());
        }
        let letters = letters.finish();
        let dead_letters = letters.len();
        self.size += letters.iter().map(Letter::size).sum::<usize>();
        self.letters.extend(letters);
        self.seen = Some(position.clone());
        if self.first.is_none() {
            self.first = Some(position.clone());
            self.since = now;
        }
        Pushed::Taken { events: self.rows.len() - before, dead_letters }
    }

    fn take(&mut self, row: Row) {
        self.size += row.size();
        self.days.insert(row.day());
        self.rows.push(row);
    }

    /// Whether no record was pushed since the last [`seal`](Self::seal).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Roughly the bytes of memory that it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The position of the last record that was pushed, into this batch or before it.
    #[must_use]
    pub fn last(&self) -> Option<&Position> {
        self.seen.as_ref()
    }

    /// Whether, and why, the batch is to be written now. An empty one never is.
    #[must_use]
    pub fn flush_due(&self, policy: &FlushPolicy, now: Millis) -> Option<FlushReason> {
        if self.is_empty() {
            None
        } else if self.size >= policy.bytes {
            Some(FlushReason::Size)
        } else if self.days.len() >= policy.days {
            Some(FlushReason::Days)
        } else if now.saturating_sub(self.since) >= policy.age {
            Some(FlushReason::Age)
        } else {
            None
        }
    }

    /// Takes everything out to be written, and goes on, empty, behind it; `None` if there is nothing.
    pub fn seal(&mut self) -> Option<Sealed> {
        let first = self.first.take()?;
        let last = self.seen.clone()?;
        Some(self.seal_as(first, last))
    }

    /// The same between given positions, whether or not any record was pushed.
    pub(crate) fn seal_as(&mut self, first: Position, last: Position) -> Sealed {
        self.first = None;
        self.size = 0;
        self.days.clear();
        let rows = std::mem::take(&mut self.rows);
        let letters = std::mem::take(&mut self.letters);
        Sealed::new(self.context.clone(), first, last, rows, letters)
    }
}

fn nothing() -> DeadLetter {
    DeadLetter { offset: 0, fault: 0, reason: "there is no event in it".to_owned(), bytes: Bytes::new() }
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
