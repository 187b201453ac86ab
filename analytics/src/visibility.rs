//! Which files of a table count: [`visible`].
//!
//! Rows lie in files as they were written, and after compaction in larger ones too. A reader must see each row in one
//! of them. *Switches* ([`crate::switch`]) decide: a written file counts unless a switch hides it, a compacted one
//! counts once a switch shows it and unless a later one hides it.
//!
//! A reader lists the switches first and the files afterwards. Every file that a listed switch shows was durable
//! before the switch was put, so the later listing has it; and what a switch hides that was put too late to be listed
//! is kept for the grace period, which is longer than any reader takes. Readers that cannot choose the order, such as
//! Athena, go by the time at which they began instead: see docs/decisions/0007-compaction.md.

use std::collections::{BTreeMap, HashSet};

use dial_rules::event::Millis;

use crate::folders::{Folders, Kind};
use crate::layout::Day;
use crate::store::{Listed, ObjectStore, StoreError};
use crate::switch::{Switch, UnreadableSwitch};
use crate::table::{PARTITION, Table};

/// How often switches are listed again when one seems to be missing: a listing is no snapshot, and may have the
/// second of two that were put meanwhile.
const LISTINGS: usize = 5;

/// Why it is not known which files count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VisibilityError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A switch cannot be read.
    #[error(transparent)]
    Switch(#[from] UnreadableSwitch),
    /// A switch is gone.
    #[error(
        "{0} is missing, and later ones are there: which rows of that day count is unknown; restore it from a backup \
         (nothing deletes switches)"
    )]
    Missing(String),
}

/// What the switches say about files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Visibility {
    hidden: HashSet<String>,
    shown: HashSet<String>,
}

impl Visibility {
    /// What these switches say to a reader that began at `now`.
    #[must_use]
    pub fn at<'s>(switches: impl IntoIterator<Item = &'s Switch>, now: Millis) -> Visibility {
        let mut visibility = Visibility::default();
        for switch in switches.into_iter().filter(|switch| switch.effective_from <= now) {
            visibility.hidden.extend(switch.hide.iter().cloned());
            visibility.shown.extend(switch.show.iter().cloned());
        }
        visibility
    }

    /// Whether a file of this key and kind counts.
    #[must_use]
    pub fn sees(&self, key: &str, kind: Kind) -> bool {
        let made = match kind {
            Kind::Written => true,
            Kind::Compacted(_) => self.shown.contains(key),
            Kind::Switch(_) => false,
        };
        made && !self.hidden.contains(key)
    }

    /// Those of these files that count, in their order. Objects that are no Parquet files of the table never do.
    #[must_use]
    pub fn among(&self, folders: &Folders, files: impl IntoIterator<Item = Listed>) -> Vec<Listed> {
        let counts = |file: &Listed| folders.place(&file.key).is_some_and(|(_, kind)| self.sees(&file.key, kind));
        files.into_iter().filter(counts).collect()
    }
}

/// The files of `table` that count for a reader that begins at `now`, in the order of their keys: those it then has to
/// read, each row once. They stay for the grace period, a day unless `dial compact` is told otherwise.
///
/// # Errors
/// See [`VisibilityError`].
pub async fn visible(store: &dyn ObjectStore, table: &Table, now: Millis) -> Result<Vec<Listed>, VisibilityError> {
    visible_within(store, table, (Day::FIRST, Day::LAST), now).await
}

/// The same of the days from the first to the last, both included.
///
/// # Errors
/// See [`VisibilityError`].
pub async fn visible_within(
    store: &dyn ObjectStore,
    table: &Table,
    days: (Day, Day),
    now: Millis,
) -> Result<Vec<Listed>, VisibilityError> {
    let folders = Folders::of(table);
    let switches = switches(store, &folders, days).await?;
    let visibility = Visibility::at(switches.values().flatten(), now);
    let mut files = files(store, &folders, days).await?;
    files.sort();
    Ok(visibility.among(&folders, files))
}

/// The keys of files of `table` whose rows are in others for good, whether these files are deleted yet or not: putting
/// one of them again would add a file that nobody reads.
///
/// # Errors
/// See [`VisibilityError`].
pub async fn replaced(store: &dyn ObjectStore, table: &Table) -> Result<HashSet<String>, VisibilityError> {
    let switches = switches(store, &Folders::of(table), (Day::FIRST, Day::LAST)).await?;
    Ok(switches.into_values().flatten().flat_map(|switch| switch.hide).collect())
}

/// The written and compacted files of these days.
pub(crate) async fn files(
    store: &dyn ObjectStore,
    folders: &Folders,
    days: (Day, Day),
) -> Result<Vec<Listed>, StoreError> {
    let mut files = list(store, folders, folders.written(), days).await?;
    files.extend(list(store, folders, folders.compacted(), days).await?);
    Ok(files)
}

/// The switches of these days, each day's in their order.
pub(crate) async fn switches(
    store: &dyn ObjectStore,
    folders: &Folders,
    days: (Day, Day),
) -> Result<BTreeMap<Day, Vec<Switch>>, VisibilityError> {
    let mut listings = 0;
    let listed = loop {
        let listed = list(store, folders, folders.switches(), days).await?;
        listings += 1;
        match gap(folders, &listed) {
            None => break listed,
            Some(missing) if listings == LISTINGS => return Err(VisibilityError::Missing(missing)),
            Some(_) => {}
        }
    };
    let mut switches: BTreeMap<Day, Vec<Switch>> = BTreeMap::new();
    for file in listed {
        let switch = Switch::decode(folders, &file.key, store.get(&file.key).await?)?;
        switches.entry(switch.day).or_default().push(switch);
    }
    switches.values_mut().for_each(|of_day| of_day.sort_by_key(|switch| switch.generation));
    Ok(switches)
}

/// The first switch that is missing before another one of its day.
fn gap(folders: &Folders, listed: &[Listed]) -> Option<String> {
    let mut generations: BTreeMap<Day, Vec<u64>> = BTreeMap::new();
    for (day, kind) in listed.iter().filter_map(|file| folders.place(&file.key)) {
        if let Kind::Switch(generation) = kind {
            generations.entry(day).or_default().push(generation);
        }
    }
    generations.iter_mut().find_map(|(day, generations)| {
        generations.sort_unstable();
        let missing = (1..).zip(generations.iter()).find(|(expected, found)| expected != *found)?.0;
        Some(folders.switch_key(*day, missing))
    })
}

/// The table's files in one of its folders, of these days.
async fn list(
    store: &dyn ObjectStore,
    folders: &Folders,
    folder: &str,
    (first, last): (Day, Day),
) -> Result<Vec<Listed>, StoreError> {
    let (from, to) = (first.to_string(), last.to_string());
    let common: String = from.chars().zip(to.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect();
    let mut listed = store.list(&format!("{folder}/{PARTITION}={common}")).await?;
    listed.retain(|file| folders.place(&file.key).is_some_and(|(day, _)| (first..=last).contains(&day)));
    Ok(listed)
}

#[cfg(test)]
#[path = "visibility_tests.rs"]
mod tests;
