//! Which dead letters an archive has: those of all files, but for what redrives have taken out of them.
//!
//! A file of dead letters is never changed. Redriving some of its letters makes another file of those that are left, sets
//! a mark, and deletes it ([`crate::redrive`]). From the mark on, and whatever happens to be there still, the other file
//! is the one that counts.

use std::collections::HashSet;

use crate::dead_letter_file::{Letter, UnreadableLetter, read_letters};
use crate::layout::{
    DEAD_LETTERS, Day, REDRIVES, dead_letters_key, dead_letters_of, redrive_done_key, redrive_plan_key, redriven_from,
};
use crate::shard::Shard;
use crate::store::{ObjectStore, StoreError, StoreErrorKind};

/// A file of dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetterFile {
    /// Its key.
    pub key: String,
    /// The day on which its records arrived; [`Day::FIRST`] where nobody knows.
    pub day: Day,
    /// Its name without the ending.
    pub stem: String,
    /// Its length in bytes.
    pub size: u64,
    /// A redrive of it was begun and has not come to its end: the next one finishes it.
    pub begun: bool,
}

/// The files of dead letters in an archive.
#[derive(Debug, Default)]
pub struct Survey {
    /// Those that count, the earliest day first.
    pub files: Vec<LetterFile>,
    /// Keys of those that do not count any more, and only have to be deleted.
    pub stale: Vec<String>,
}

/// Why a file of dead letters could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LetterFileError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A line of it is none.
    #[error("{key}: {source}")]
    Letter {
        /// The file.
        key: String,
        /// What is wrong.
        source: UnreadableLetter,
    },
    /// Its letters are of more than one shard, which no archive writes.
    #[error("{0}: its letters are of several shards; no version of this program wrote it")]
    Shards(String),
}

/// Looks which files of dead letters there are.
///
/// # Errors
/// Whatever the store said.
pub async fn survey(store: &dyn ObjectStore) -> Result<Survey, StoreError> {
    // Marks first: a file that is made later is missed with its mark, and its parent counts.
    let marks = store.list(&format!("{REDRIVES}/")).await?;
    let marks: HashSet<String> = marks.into_iter().map(|listed| listed.key).collect();
    let listed = store.list(&format!("{DEAD_LETTERS}/")).await?;
    let present: HashSet<&str> = listed.iter().map(|listed| listed.key.as_str()).collect();
    let mut survey = Survey::default();
    for file in &listed {
        let Some((day, stem)) = dead_letters_of(&file.key) else { continue };
        if marks.contains(&redrive_done_key(day, stem)) {
            survey.stale.push(file.key.clone());
            continue;
        }
        let parent = redriven_from(stem).filter(|parent| {
            present.contains(dead_letters_key(day, parent).as_str()) && !marks.contains(&redrive_done_key(day, parent))
        });
        if parent.is_none() {
            let begun = marks.contains(&redrive_plan_key(day, stem));
            let (key, stem) = (file.key.clone(), stem.to_owned());
            survey.files.push(LetterFile { key, day, stem, size: file.size, begun });
        }
    }
    Ok(survey)
}

impl LetterFile {
    /// Its letters, in its order, and the shard that they are of. `None` when the file is gone: somebody else redrove it
    /// meanwhile.
    ///
    /// # Errors
    /// See [`LetterFileError`].
    pub async fn read(&self, store: &dyn ObjectStore) -> Result<Option<(Shard, Vec<Letter>)>, LetterFileError> {
        let bytes = match store.get(&self.key).await {
            Err(error) if error.kind == StoreErrorKind::NotFound => return Ok(None),
            bytes => bytes?,
        };
        let read = read_letters(&bytes).map_err(|source| LetterFileError::Letter { key: self.key.clone(), source })?;
        let Some(shard) = read.first().map(|(shard, _)| Shard::new(shard)) else { return Ok(None) };
        if read.iter().any(|(other, _)| other != shard.id()) {
            return Err(LetterFileError::Shards(self.key.clone()));
        }
        Ok(Some((shard, read.into_iter().map(|(_, letter)| letter).collect())))
    }

    /// The file that redriving this one makes of what is left, if there is one.
    ///
    /// # Errors
    /// Whatever the store said.
    pub async fn next(&self, store: &dyn ObjectStore) -> Result<Option<LetterFile>, StoreError> {
        let stem = crate::layout::redriven_stem(&self.stem);
        let key = dead_letters_key(self.day, &stem);
        let listed = store.list(&key).await?.into_iter().find(|listed| listed.key == key);
        Ok(listed.map(|listed| LetterFile { key, day: self.day, stem, size: listed.size, begun: false }))
    }
}
