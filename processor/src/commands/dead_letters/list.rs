//! `dial dead-letters list` of records.

use std::cmp::Reverse;

use dial_analytics::dead_letter_file::Letter;
use dial_analytics::dead_letters::{LetterFile, survey};
use dial_analytics::layout::Day;
use dial_analytics::position::RowKey;
use dial_analytics::store::ObjectStore;
use dial_rules::event::Millis;
use futures::{StreamExt, stream};

use super::record::Entry;
use crate::cli::LettersList;
use crate::failure::{Outcome, Result};
use crate::output::{Output, clock, counted, note, plain};
use crate::settings::Settings;
use crate::stores;

/// How many files are read at a time.
const AT_A_TIME: usize = 4;

/// `None` where none are kept.
pub(super) async fn records(args: &LettersList, settings: &Settings, output: &Output) -> Result<Option<Outcome>> {
    let store = stores::archive_to_read(settings, args.of.data.data.as_deref()).await?;
    let Some(store) = store else { return Ok(None) };
    let mut files = survey(store.as_ref()).await?.files;
    if files.is_empty() {
        return Ok(None);
    }
    let kept = files.len();
    let wanted = Wanted::new(args);
    files.retain(|file| wanted.may_be_in(file));
    let found = wanted.gather(store.as_ref(), &files).await;
    if found.listed.is_empty() && !found.failed {
        let text = format!("no dead letter of a record matches; {kept} files of them are kept");
        match output.is_json() {
            true => note(&text),
            false => output.line(&text)?,
        }
    }
    found.print(wanted.limit, output).map(Some)
}

/// Which letters to list.
struct Wanted {
    from: Option<Millis>,
    to: Option<Millis>,
    reason: Option<String>,
    limit: usize,
}

/// In the order of the list: the latest first, those of no known time last.
type Order = Reverse<(Option<Millis>, String, RowKey)>;

#[derive(Default)]
struct Found {
    listed: Vec<(Order, Entry)>,
    more: bool,
    /// A file could not be read; that has been said.
    failed: bool,
}

impl Wanted {
    fn new(args: &LettersList) -> Wanted {
        Wanted {
            from: args.from,
            to: args.to,
            reason: args.reason.as_ref().map(|reason| reason.to_lowercase()),
            limit: usize::try_from(args.limit).unwrap_or(usize::MAX),
        }
    }

    fn may_be_in(&self, file: &LetterFile) -> bool {
        self.from.is_none_or(|from| file.day >= Day::of(from)) && self.to.is_none_or(|to| file.day <= Day::of(to))
    }

    fn accepts(&self, letter: &Letter) -> bool {
        let timed = self.from.is_none() && self.to.is_none()
            || letter.arrival.is_some_and(|arrival| {
                self.from.is_none_or(|from| arrival >= from) && self.to.is_none_or(|to| arrival < to)
            });
        timed && self.reason.as_ref().is_none_or(|reason| letter.reason.to_lowercase().contains(reason))
    }

    /// The first of them, one day after the other; never many more in memory than are wanted.
    async fn gather(&self, store: &dyn ObjectStore, files: &[LetterFile]) -> Found {
        let mut found = Found::default();
        let mut files: Vec<&LetterFile> = files.iter().collect();
        files.sort_by_key(|file| Reverse(file.day));
        for of_day in files.chunk_by(|a, b| a.day == b.day) {
            let mut read = stream::iter(of_day.iter().map(|file| self.read(store, file))).buffer_unordered(AT_A_TIME);
            while let Some(entries) = read.next().await {
                match entries {
                    Ok(entries) => found.listed.extend(entries),
                    Err(failure) => {
                        note(&plain(&failure.to_string()));
                        found.failed = true;
                    }
                }
                if found.listed.len() > 2 * self.limit {
                    found.keep(self.limit + 1);
                }
            }
            if found.listed.len() > self.limit {
                break;
            }
        }
        found.more = found.listed.len() > self.limit;
        found.keep(self.limit);
        found
    }

    async fn read(&self, store: &dyn ObjectStore, file: &LetterFile) -> Result<Vec<(Order, Entry)>> {
        let Some((shard, letters)) = file.read(store).await? else { return Ok(Vec::new()) };
        let entry = |letter: &Letter| {
            let order = Reverse((letter.arrival, shard.id().to_owned(), letter.key.clone()));
            (order, Entry::of(file, &shard, letter))
        };
        let mut entries: Vec<_> = letters.iter().filter(|letter| self.accepts(letter)).map(entry).collect();
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        entries.truncate(self.limit + 1);
        Ok(entries)
    }
}

impl Found {
    fn keep(&mut self, most: usize) {
        self.listed.sort_by(|a, b| a.0.cmp(&b.0));
        self.listed.truncate(most);
    }

    fn print(&self, limit: usize, output: &Output) -> Result<Outcome> {
        let entries = self.listed.iter().map(|(_, entry)| entry);
        if output.is_json() {
            entries.clone().try_for_each(|entry| output.json(entry))?;
        } else {
            // Not as a table: one would break positions, which are to be copied, on most terminals.
            for (Reverse((arrival, ..)), entry) in &self.listed {
                let (arrived, bytes) = (arrival.map_or("–".to_owned(), clock), counted(entry.length, "byte"));
                output.line(&format!("{arrived}  {bytes}  {}", plain(&entry.reason)))?;
                output.line(&format!("    {}", plain(&entry.position)))?;
            }
        }
        if self.more {
            note(&format!("there are more than {limit}: raise --limit, or give the last one's time as --to"));
        }
        if self.listed.iter().any(|(_, entry)| entry.redrive_begun) {
            note("a redrive was broken off: `dial dead-letters redrive` finishes it, whatever it is asked for");
        }
        Ok(if self.failed { Outcome::Outside } else { Outcome::Fine })
    }
}
