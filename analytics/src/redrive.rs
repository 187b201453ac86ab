//! Redriving dead letters: their bytes are decoded again, by this version's decoder; what decodes now becomes rows of the
//! archive, and leaves the dead letters when those are durable.
//!
//! One file of dead letters is redriven at a time, in steps that may be taken again by anybody, and broken off anywhere:
//!
//! 1. *declare*: a `Plan` says which letters are taken, and which files are made of them. Of several that are declared
//!    at once one is; whoever comes finishes that one first.
//! 2. The caller does what the events lead to: findings, correlations.
//! 3. *put*: the rows, and another file of dead letters with those that are left.
//! 4. *mark*: from here on the other file counts, and this one does not ([`crate::dead_letters`]).
//! 5. *delete*: this one goes. Should the shard's owner put it again, to finish what an earlier owner declared, the mark
//!    is there.
//!
//! A row has its letter's place in the shard: the first event of a letter its index, too; further ones, and what is still
//! dead among them, one that no part of a record has.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use dial_rules::decode::{Decoded, Decoder};
use dial_rules::tables::Tables;
use serde::{Deserialize, Serialize};

use crate::archive::{self, ArchiveError, Written};
use crate::dead_letter_file::{LETTERS_PER_RECORD, Letter};
use crate::dead_letters::LetterFile;
use crate::intent::{Intent, IntentError};
use crate::layout::{redrive_done_key, redrive_plan_key, redriven_stem};
use crate::position::RowKey;
use crate::row::{Row, RowContext};
use crate::sealed::Sealed;
use crate::shard::Shard;
use crate::store::{ObjectStore, Put, StoreError, StoreErrorKind};

const VERSION: u32 = 1;

/// Of an index that no part of a record has, the lower bits number the parts of the letter whose index, plus one, the
/// upper bits are. No record has so many parts: at most 512 MiB of it are read.
const PARTS: u32 = 32;

/// What decoding a letter once more comes to.
#[derive(Debug)]
pub enum Again {
    /// It has events now.
    Alive {
        /// A row each.
        rows: Vec<Row>,
        /// What lies between them and is still dead.
        rest: Vec<Letter>,
    },
    /// It has none: why.
    Dead(String),
}

/// Decodes a letter's bytes once more. Pure.
#[must_use]
pub fn again(letter: &Letter) -> Again {
    let kept = letter.bytes.len() as u64;
    if letter.length != kept {
        return Again::Dead(format!("only {kept} of its {} bytes are kept", letter.length));
    }
    if kept == 0 {
        return Again::Dead(format!("no bytes of it are kept: {}", letter.reason));
    }
    let (mut events, mut rest) = (Vec::new(), Vec::new());
    for (part, decoded) in (0..).zip(Decoder::record(&letter.bytes)) {
        match decoded {
            Decoded::Event(event) => events.push((part, event)),
            Decoded::DeadLetter(dead) => rest.push((part, dead)),
        }
        if rest.len() > LETTERS_PER_RECORD {
            return Again::Dead(format!("it falls into more than {LETTERS_PER_RECORD} pieces that are no events"));
        }
    }
    if events.is_empty() {
        let first = rest.into_iter().next().map(|(_, dead)| dead.reason);
        return Again::Dead(first.unwrap_or_else(|| "there is no event in it".to_owned()));
    }
    let keys = Keys { letter, first: events.first().map_or(0, |(part, _)| *part) };
    let row = |(part, event)| Some(Row { event, key: keys.of(part)?, arrival: letter.arrival });
    let left = |(part, dead): (u64, dial_rules::dead_letter::DeadLetter)| {
        Some(Letter {
            key: keys.of(part)?,
            arrival: letter.arrival,
            offset: letter.offset.saturating_add(dead.offset),
            fault: letter.offset.saturating_add(dead.fault),
            reason: dead.reason,
            length: dead.bytes.len() as u64,
            bytes: dead.bytes,
        })
    };
    let rows: Option<Vec<Row>> = events.into_iter().map(row).collect();
    let rest: Option<Vec<Letter>> = rest.into_iter().map(left).collect();
    match (rows, rest) {
        (Some(rows), Some(rest)) => Again::Alive { rows, rest },
        _ => Again::Dead("it was a part of a redriven letter and has several parts itself".to_owned()),
    }
}

/// The keys of a letter's parts.
struct Keys<'l> {
    letter: &'l Letter,
    /// The part that has the letter's own.
    first: u64,
}

impl Keys<'_> {
    fn of(&self, part: u64) -> Option<RowKey> {
        let RowKey { position, index } = &self.letter.key;
        let index = match part == self.first {
            true => *index,
            false => {
                let upper = index.checked_add(1).filter(|upper| *upper < 1 << (u64::BITS - 1 - PARTS))?;
                (upper << PARTS) | u64::from(u32::try_from(part).ok()?)
            }
        };
        Some(RowKey { position: position.clone(), index })
    }
}

/// What redriving a file comes to, said before anything of it is done.
#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    version: u32,
    /// The lines of the letters that are taken, counted from 0, in order.
    lines: Vec<usize>,
    /// What is made of them, and of the others.
    intent: Intent,
}

/// Letters of one file on their way to become rows.
#[derive(Debug)]
pub struct Redrive {
    file: LetterFile,
    sealed: Arc<Sealed>,
    lines: Vec<usize>,
}

/// Why letters could not be redriven. What is not done is still declared: doing it again is safe, and right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedriveError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Files could not be written.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The declaration is not this program's.
    #[error("{key}: this is no redrive of version {VERSION} ({reason}); let the version that began it finish it")]
    Unreadable {
        /// The declaration.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// The letters no longer become what was declared.
    #[error(
        "{key}: version {software} began to redrive these letters and made other events of them than this version ({}) \
         does; some of those may be archived: let {software} finish it",
        env!("CARGO_PKG_VERSION")
    )]
    Differs {
        /// The declaration.
        key: String,
        /// The version that declared it.
        software: String,
    },
}

impl Redrive {
    /// Declares that the letters on these lines are taken, and `None` if none of them has an event. When a redrive of
    /// the file was begun before, that one is to be finished instead: it is returned, whatever is asked for.
    ///
    /// # Errors
    /// See [`RedriveError`].
    pub async fn declare(
        store: &dyn ObjectStore,
        file: &LetterFile,
        (shard, letters): (&Shard, &[Letter]),
        lines: &BTreeSet<usize>,
        raw: bool,
    ) -> Result<Option<Redrive>, RedriveError> {
        let key = redrive_plan_key(file.day, &file.stem);
        if let Some(plan) = declared(store, &key).await? {
            return Self::resume(file, (shard, letters), &plan, &key).map(Some);
        }
        let (lines, sealed) = seal(file, (shard, letters), lines, raw);
        if lines.is_empty() {
            return Ok(None);
        }
        let plan = Plan { version: VERSION, lines, intent: sealed.intent().clone() };
        let json = |e: serde_json::Error| RedriveError::Unreadable { key: key.clone(), reason: e.to_string() };
        let bytes = serde_json::to_vec(&plan).map_err(json)?;
        if store.put_if_absent(&key, bytes.into()).await? == Put::Existed
            && let Some(first) = declared(store, &key).await?
        {
            return Self::resume(file, (shard, letters), &first, &key).map(Some);
        }
        Ok(Some(Redrive { file: file.clone(), sealed: Arc::new(sealed), lines: plan.lines }))
    }

    fn resume(
        file: &LetterFile,
        letters: (&Shard, &[Letter]),
        plan: &Plan,
        key: &str,
    ) -> Result<Redrive, RedriveError> {
        let lines: BTreeSet<usize> = plan.lines.iter().copied().collect();
        let (now, sealed) = seal(file, letters, &lines, plan.intent.raw);
        let (is, was) = (sealed.intent(), &plan.intent);
        if now != plan.lines || is.stem != was.stem || is.digest != was.digest || is.table != was.table {
            return Err(RedriveError::Differs { key: key.to_owned(), software: was.software.clone() });
        }
        Ok(Redrive { file: file.clone(), sealed: Arc::new(sealed), lines: now })
    }

    /// The events, as rows; by day and time.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        self.sealed.events()
    }

    /// The lines of the letters that are taken, counted from 0.
    #[must_use]
    pub fn lines(&self) -> &[usize] {
        &self.lines
    }

    /// How many letters the file has then, those among them that are new parts of the old.
    #[must_use]
    pub fn left(&self) -> usize {
        self.sealed.dead_letters()
    }

    /// Archives the events, and takes their letters off the list: when everything that the events lead to is durable.
    ///
    /// # Errors
    /// See [`RedriveError`].
    pub async fn finish(&self, store: &dyn ObjectStore, tables: &Arc<Tables>) -> Result<Written, RedriveError> {
        let written = archive::write(store, &self.sealed, tables, || true).await?;
        let done = redrive_done_key(self.file.day, &self.file.stem);
        store.put_if_absent(&done, Bytes::from_static(b"{}\n")).await?;
        store.delete(&self.file.key).await?;
        Ok(written)
    }
}

async fn declared(store: &dyn ObjectStore, key: &str) -> Result<Option<Plan>, RedriveError> {
    let unreadable = |reason: String| RedriveError::Unreadable { key: key.to_owned(), reason };
    let bytes = match store.get(key).await {
        Err(error) if error.kind == StoreErrorKind::NotFound => return Ok(None),
        bytes => bytes?,
    };
    let plan: Plan = serde_json::from_slice(&bytes).map_err(|e| unreadable(e.to_string()))?;
    // Its own check of version and days.
    Intent::parse(&plan.intent.to_bytes()).map_err(|e: IntentError| unreadable(e.to_string()))?;
    if plan.version != VERSION {
        return Err(unreadable(format!("its version is {}", plan.version)));
    }
    Ok(Some(plan))
}

/// The files that are made when the letters on these lines are taken, and which of them are: those that have events.
fn seal(
    file: &LetterFile,
    (shard, letters): (&Shard, &[Letter]),
    lines: &BTreeSet<usize>,
    raw: bool,
) -> (Vec<usize>, Sealed) {
    let (mut taken, mut rows, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for (line, letter) in letters.iter().enumerate() {
        match lines.contains(&line).then(|| again(letter)) {
            Some(Again::Alive { rows: new, rest }) => {
                taken.push(line);
                rows.extend(new);
                left.extend(rest);
            }
            Some(Again::Dead(_)) | None => left.push(letter.clone()),
        }
    }
    let positions = || letters.iter().map(|letter| &letter.key.position);
    let end = |position: Option<&crate::position::Position>| {
        position.cloned().unwrap_or_else(|| crate::position::Position::ordinal(0))
    };
    let ends = (end(positions().min()), end(positions().max()));
    let context = RowContext { shard: shard.clone(), raw };
    (taken, Sealed::named(context, &redriven_stem(&file.stem), ends, rows, left))
}

#[cfg(test)]
#[path = "redrive_tests.rs"]
mod tests;
