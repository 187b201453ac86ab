//! [`Sealed`]: a batch that is closed, as the set of files that it becomes. Pure.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use dial_rules::tables::Tables;
use sha2::{Digest, Sha256};

use crate::dead_letter_file::{Letter, write_letters};
use crate::intent::{Content, Intent};
use crate::layout::{Day, dead_letters_key, events_key, file_stem};
use crate::position::{Position, RowKey};
use crate::row::{Row, RowContext};
use crate::shard::hex;
use crate::writer::{WriteError, write_events};

/// A closed batch. Its files, their names and their bytes are functions of the records in it and of the program's
/// version; how the records came in, in how many polls, does not matter.
#[derive(Debug)]
pub struct Sealed {
    context: RowContext,
    rows: Vec<Row>,
    letters: Vec<Letter>,
    files: Vec<FilePlan>,
    intent: Intent,
}

#[derive(Debug)]
struct FilePlan {
    key: String,
    content: Part,
}

/// Indexes into the sorted rows or letters.
#[derive(Debug)]
enum Part {
    Events(Range<usize>),
    DeadLetters(Range<usize>),
}

/// A file could not be put together. Not its content's fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// As Parquet.
    #[error(transparent)]
    Parquet(#[from] WriteError),
    /// As JSON lines.
    #[error("writing dead letters failed, which is a defect of the program; nothing was committed: {0}")]
    Json(#[from] serde_json::Error),
    /// There is no such file.
    #[error("the batch has no file number {0}")]
    NoSuchFile(usize),
}

impl Sealed {
    pub(crate) fn new(
        context: RowContext,
        first: Position,
        last: Position,
        rows: Vec<Row>,
        letters: Vec<Letter>,
    ) -> Self {
        let stem = file_stem(&context.shard, &first, &last);
        Self::named(context, &stem, (first, last), rows, letters)
    }

    /// The same with files of another name.
    pub(crate) fn named(
        context: RowContext,
        stem: &str,
        (first, last): (Position, Position),
        mut rows: Vec<Row>,
        mut letters: Vec<Letter>,
    ) -> Self {
        rows.sort_by(|a, b| a.day().cmp(&b.day()).then_with(|| a.order(b)));
        letters.sort_by(|a, b| (a.day(), &a.key).cmp(&(b.day(), &b.key)));
        let event_days = by_day(rows.iter().map(Row::day));
        let letter_days = by_day(letters.iter().map(Letter::day));
        let content = Content {
            event_days: event_days.keys().copied().collect(),
            dead_letter_days: letter_days.keys().copied().collect(),
            rows: rows.len() as u64,
            dead_letters: letters.len() as u64,
            digest: digest(&rows, &letters),
        };
        let intent = Intent::new(context.shard.id(), (&first, &last), stem, context.raw, content);
        let events = event_days
            .into_iter()
            .map(|(day, range)| FilePlan { key: events_key(day, stem), content: Part::Events(range) });
        let dead = letter_days
            .into_iter()
            .map(|(day, range)| FilePlan { key: dead_letters_key(day, stem), content: Part::DeadLetters(range) });
        let files = events.chain(dead).collect();
        Self { context, rows, letters, files, intent }
    }

    /// The same files, under an intent that is declared already.
    pub(crate) fn under(mut self, intent: Intent) -> Self {
        self.intent = intent;
        self
    }

    /// What to declare before any file is written; of a recovered batch, what its first owner declared.
    #[must_use]
    pub fn intent(&self) -> &Intent {
        &self.intent
    }

    /// The position of the last record: what to commit once every file is written.
    #[must_use]
    pub fn last(&self) -> &Position {
        self.intent.last()
    }

    /// The keys of the files, in the order in which they are to be written.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.files.iter().map(|file| file.key.as_str())
    }

    /// Rows in all files of events.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Those rows, by day and time.
    pub(crate) fn events(&self) -> &[Row] {
        &self.rows
    }

    /// Dead letters in all files of them.
    #[must_use]
    pub fn dead_letters(&self) -> usize {
        self.letters.len()
    }

    /// How many rows lie on another day than their event says, since that is out of all reason.
    #[must_use]
    pub fn clamped(&self) -> usize {
        let off = |row: &&Row| !row.day().holds(row.event.time());
        self.rows.iter().filter(off).count()
    }

    /// The bytes of the `n`th file: one at a time, as only one need be in memory. It takes a second of a processor
    /// for some 100,000 rows: not for a thread that others wait for. The columns of context say what `tables` do now;
    /// everything else is a function of the records.
    ///
    /// # Errors
    /// See [`EncodeError`].
    pub fn encode(&self, n: usize, tables: &Tables) -> Result<Bytes, EncodeError> {
        let file = self.files.get(n).ok_or(EncodeError::NoSuchFile(n))?;
        match &file.content {
            Part::Events(range) => Ok(write_events(&self.rows[range.clone()], &self.context, tables)?),
            Part::DeadLetters(range) => Ok(write_letters(&self.context.shard, &self.letters[range.clone()])?),
        }
    }
}

/// Where each day's run begins and ends among sorted days.
fn by_day(days: impl Iterator<Item = Day>) -> BTreeMap<Day, Range<usize>> {
    let mut runs = BTreeMap::new();
    for (i, day) in days.enumerate() {
        let run: &mut Range<usize> = runs.entry(day).or_insert(i..i);
        run.end = i + 1;
    }
    runs
}

/// Over which row or dead letter goes into which file: what must be the same when another worker, perhaps of another
/// version, finishes the batch, lest a row be in two files or in none.
fn digest(rows: &[Row], letters: &[Letter]) -> String {
    let mut sha = Sha256::new();
    let mut add = |kind: char, day: Day, key: &RowKey| {
        let position = &key.position;
        let (sequence, sub) = (position.sequence(), position.sub_sequence());
        sha.update(format!("{kind} {day} {sequence} {sub} {}\n", key.index));
    };
    rows.iter().for_each(|row| add('e', row.day(), &row.key));
    letters.iter().for_each(|letter| add('d', letter.day(), &letter.key));
    hex(&sha.finalize())
}
