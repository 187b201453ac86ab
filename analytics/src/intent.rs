//! [`Intent`]: which files are about to be written, said before the first of them is.

use serde::{Deserialize, Serialize};

use crate::layout::{Day, EVENTS, dead_letters_key, events_key};
use crate::position::Position;

const VERSION: u32 = 1;

/// What a flush will write, for the lease row's `pendingCheckpointState`. Some hundred bytes, and a dozen more for
/// each day; well below what a DynamoDB item holds, since days are bounded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    version: u32,
    /// The program's version, for people.
    pub(crate) software: String,
    /// The folder of the table.
    pub(crate) table: String,
    /// The shard's id.
    pub(crate) shard: String,
    /// The first record.
    pub(crate) first: Position,
    /// The last record: the checkpoint to come.
    pub(crate) last: Position,
    /// The files' name without its ending.
    pub(crate) stem: String,
    /// Whether the column `raw` is filled.
    pub(crate) raw: bool,
    /// The days that have a file of events.
    pub(crate) event_days: Vec<String>,
    /// The days that have a file of dead letters.
    pub(crate) dead_letter_days: Vec<String>,
    /// How many rows the files have.
    pub(crate) rows: u64,
    /// How many dead letters they have.
    pub(crate) dead_letters: u64,
    /// SHA-256 over which row or dead letter goes into which file.
    pub(crate) digest: String,
    /// The bytes that it was read from.
    #[serde(skip)]
    declared: Option<Vec<u8>>,
}

/// A declared state that is no intent of this version or of this shard.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntentError {
    /// It is not what this program writes.
    #[error(
        "the pending checkpoint's state is not an archive intent ({0}); another application seems to use this lease \
         table: give each its own"
    )]
    Unreadable(String),
    /// It was written by another version.
    #[error(
        "the pending checkpoint's state has version {found}, this program reads {VERSION}; let the version that wrote \
         it finish it"
    )]
    Version {
        /// Its version.
        found: u64,
    },
    /// It names another shard.
    #[error("the pending checkpoint's state is of shard {found:?}, not of {expected:?}")]
    Shard {
        /// The shard that it names.
        found: String,
        /// The shard of the lease.
        expected: String,
    },
}

/// The fields of an intent that depend on what the files hold.
pub(crate) struct Content {
    pub(crate) event_days: Vec<Day>,
    pub(crate) dead_letter_days: Vec<Day>,
    pub(crate) rows: u64,
    pub(crate) dead_letters: u64,
    pub(crate) digest: String,
}

impl Intent {
    pub(crate) fn new(
        shard: &str,
        (first, last): (&Position, &Position),
        stem: &str,
        raw: bool,
        content: Content,
    ) -> Self {
        let texts = |days: Vec<Day>| days.iter().map(Day::to_string).collect();
        Self {
            version: VERSION,
            software: env!("CARGO_PKG_VERSION").to_owned(),
            table: EVENTS.to_owned(),
            shard: shard.to_owned(),
            first: first.clone(),
            last: last.clone(),
            stem: stem.to_owned(),
            raw,
            event_days: texts(content.event_days),
            dead_letter_days: texts(content.dead_letter_days),
            rows: content.rows,
            dead_letters: content.dead_letters,
            digest: content.digest,
            declared: None,
        }
    }

    /// The form in the lease row: JSON. Of one that was read, the very bytes it was read from, whichever version wrote
    /// them: a lease holds one declaration at a time, and declaring the same once more is no change.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let declared = self.declared.clone();
        // Strings and numbers always serialise.
        declared.unwrap_or_else(|| serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// See [`IntentError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, IntentError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u64,
        }
        let unreadable = |e: serde_json::Error| IntentError::Unreadable(e.to_string());
        let Versioned { version } = serde_json::from_slice(bytes).map_err(unreadable)?;
        if version != u64::from(VERSION) {
            return Err(IntentError::Version { found: version });
        }
        let mut intent: Self = serde_json::from_slice(bytes).map_err(unreadable)?;
        let days = || intent.event_days.iter().chain(&intent.dead_letter_days);
        if let Some(day) = days().find(|day| Day::parse(day).is_none()) {
            return Err(IntentError::Unreadable(format!("{day:?} is no day")));
        }
        intent.declared = Some(bytes.to_vec());
        Ok(intent)
    }

    /// The first record that the files cover.
    #[must_use]
    pub fn first(&self) -> &Position {
        &self.first
    }

    /// The last record that the files cover: what to commit once they are written.
    #[must_use]
    pub fn last(&self) -> &Position {
        &self.last
    }

    /// The keys of all files, in the order in which they are written.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let key = |days: &[String], key: fn(Day, &str) -> String| -> Vec<String> {
            let days = days.iter().filter_map(|day| Day::parse(day));
            days.map(|day| key(day, &self.stem)).collect()
        };
        let mut keys = key(&self.event_days, events_key);
        keys.extend(key(&self.dead_letter_days, dead_letters_key));
        keys
    }
}
