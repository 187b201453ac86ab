//! Carrying out a plan: the thin shell around [`plan`].

use std::collections::BTreeMap;

use dial_rules::event::Millis;
use futures::{StreamExt, TryStreamExt, stream};

use crate::compaction::footer::{Footer, FooterError};
use crate::compaction::merge::{Merge, MergeError};
use crate::compaction::plan::{Action, DayFiles, Policy, Source, effective_from, plan};
use crate::folders::Folders;
use crate::layout::Day;
use crate::store::{Listed, ObjectStore, Put, StoreError, StoreErrorKind};
use crate::switch::Switch;
use crate::table::Table;
use crate::visibility::{VisibilityError, files, switches};
use crate::writer::WriteError;

/// How many small reads are on their way at a time.
const AT_A_TIME: usize = 16;
/// How many files to be merged are read ahead.
const READ_AHEAD: usize = 4;

/// Why a day was not compacted. Doing it again is always safe.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompactError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is not known which files count.
    #[error(transparent)]
    Visibility(#[from] VisibilityError),
    /// A file's footer could not be read, although the store gave it.
    #[error(transparent)]
    Footer(FooterError),
    /// A file could not be merged with others.
    #[error("{key}: {source}")]
    Merge {
        /// The file.
        key: String,
        /// What is wrong.
        source: MergeError,
    },
    /// A file that was to count instead of others has other rows than they have.
    #[error("{key} has {found} rows and not {expected}; nothing was switched to it. Delete it, and compact again")]
    Rows {
        /// The file that was made.
        key: String,
        /// By its footer.
        found: u64,
        /// Those of what it is made of.
        expected: u64,
    },
    /// A file that counts gives other rows than its footer says. No other has them.
    #[error(
        "{key} is damaged: its footer says {expected} rows, and {found} can be read. It is the only copy of its rows and \
         stays as it is, and so does its day; put it back from a backup or from an earlier version of the object"
    )]
    Damaged {
        /// The file.
        key: String,
        /// Read from it.
        found: u64,
        /// By its footer.
        expected: u64,
    },
    /// A file could not be put together.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The program is ending.
    #[error("the program is ending")]
    Stopped,
}

impl From<FooterError> for CompactError {
    fn from(error: FooterError) -> CompactError {
        match error {
            FooterError::Store(error) => CompactError::Store(error),
            error => CompactError::Footer(error),
        }
    }
}

/// What came of a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Files that count no longer.
    pub merged: u64,
    /// Their bytes.
    pub merged_bytes: u64,
    /// Files that count instead.
    pub made: u64,
    /// Their bytes.
    pub made_bytes: u64,
    /// Those of them that an earlier attempt had made.
    pub found: u64,
    /// The rows in them.
    pub rows: u64,
    /// From when on they count.
    pub effective_from: Option<Millis>,
    /// Files that were deleted.
    pub removed: u64,
    /// Their bytes.
    pub removed_bytes: u64,
}

impl Report {
    /// What a plan would come to, but for the sizes of the files that it makes.
    #[must_use]
    pub fn of_plan(actions: &[Action]) -> Report {
        let mut report = Report::default();
        for action in actions {
            match action {
                Action::Merge { sources, rows, .. } => report.merged(sources, *rows),
                Action::Remove { size, .. } => report.removed(*size),
                Action::Switch { .. } => {}
            }
        }
        report
    }

    /// Adds what came of another day.
    pub fn add(&mut self, other: &Report) {
        self.merged += other.merged;
        self.merged_bytes += other.merged_bytes;
        self.made += other.made;
        self.made_bytes += other.made_bytes;
        self.found += other.found;
        self.rows += other.rows;
        self.removed += other.removed;
        self.removed_bytes += other.removed_bytes;
    }

    fn merged(&mut self, sources: &[Source], rows: u64) {
        self.merged += sources.len() as u64;
        self.merged_bytes += sources.iter().map(|source| source.size).sum::<u64>();
        self.made += 1;
        self.rows += rows;
    }

    fn removed(&mut self, size: u64) {
        self.removed += 1;
        self.removed_bytes += size;
    }
}

/// How carrying out a plan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As planned.
    Done(Report),
    /// Somebody else compacted the day meanwhile: look, and plan, again.
    Overtaken,
}

/// Compacts one table of an archive.
pub struct Compactor<'a> {
    store: &'a dyn ObjectStore,
    table: &'static Table,
    folders: Folders,
    policy: Policy,
    clock: &'a (dyn Fn() -> Millis + Send + Sync),
}

impl std::fmt::Debug for Compactor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compactor")
            .field("table", &self.table.name)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl<'a> Compactor<'a> {
    /// The compactor of this table, which takes its time from `clock`.
    pub fn new(
        store: &'a dyn ObjectStore,
        table: &'static Table,
        policy: Policy,
        clock: &'a (dyn Fn() -> Millis + Send + Sync),
    ) -> Self {
        Compactor { store, table, folders: Folders::of(table), policy, clock }
    }

    /// What there is of each day from the first to the last that has files, the earliest first.
    ///
    /// # Errors
    /// See [`CompactError`].
    pub async fn survey(&self, days: (Day, Day)) -> Result<Vec<DayFiles>, CompactError> {
        // The switches first: what they show is in the later listing.
        let mut switches = switches(self.store, &self.folders, days).await?;
        let mut by_day: BTreeMap<Day, Vec<Listed>> = BTreeMap::new();
        for file in files(self.store, &self.folders, days).await? {
            if let Some((day, _)) = self.folders.place(&file.key) {
                by_day.entry(day).or_default().push(file);
            }
        }
        let of_day =
            |(day, files)| DayFiles::new(self.folders.clone(), day, switches.remove(&day).unwrap_or_default(), files);
        Ok(by_day.into_iter().map(of_day).collect())
    }

    /// What there is of a day now.
    ///
    /// # Errors
    /// See [`CompactError`].
    pub async fn look(&self, day: Day) -> Result<DayFiles, CompactError> {
        let found = self.survey((day, day)).await?.pop();
        let mut files = found.unwrap_or_else(|| DayFiles::new(self.folders.clone(), day, Vec::new(), Vec::new()));
        let hiding: Vec<u64> = files.hiding().map(|switch| switch.generation).collect();
        for generation in hiding {
            let key = self.folders.switch_key(day, generation);
            if let Some(time) = self.store.put_at(&key).await? {
                files = files.put_at(generation, time);
            }
        }
        Ok(files)
    }

    /// What is to be done about a day; reads footers, and writes nothing. `None` when a file that was there is gone:
    /// look again.
    ///
    /// # Errors
    /// See [`CompactError`].
    pub async fn plan(&self, day: &DayFiles) -> Result<Option<Vec<Action>>, CompactError> {
        let now = (self.clock)();
        let source = |file: Listed| async move {
            let footer = Footer::read(self.store, self.table, &file.key, file.size).await?;
            Ok::<_, FooterError>(Source { key: file.key, size: file.size, footer })
        };
        let candidates = day.candidates(now, &self.policy);
        match stream::iter(candidates).map(source).buffered(AT_A_TIME).try_collect().await {
            Ok(sources) => Ok(Some(plan(day, sources, now, &self.policy))),
            Err(FooterError::Store(error)) if is_gone(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the steps of a plan, one after the other. `read` is told how many bytes of files were merged, as it
    /// happens. Broken off anywhere, or by an error, it leaves the archive right.
    ///
    /// # Errors
    /// See [`CompactError`].
    pub async fn carry_out(
        &self,
        day: &DayFiles,
        actions: Vec<Action>,
        read: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<End, CompactError> {
        let mut report = Report::default();
        for action in actions {
            match action {
                Action::Merge { sources, target, rows } => {
                    let Some(made) = self.make(day, &sources, &target, rows, read).await? else {
                        return Ok(End::Overtaken);
                    };
                    report.merged(&sources, rows);
                    report.made_bytes += made.bytes;
                    report.found += u64::from(made.found);
                }
                Action::Switch { generation, hide, show } => {
                    let effective_from = effective_from((self.clock)(), day.last_switch(), &self.policy);
                    let switch = Switch { day: day.day(), generation, effective_from, hide, show };
                    let key = self.folders.switch_key(day.day(), generation);
                    if self.store.put_if_absent(&key, switch.encode()?).await? == Put::Existed {
                        return Ok(End::Overtaken);
                    }
                    report.effective_from = Some(effective_from);
                }
                Action::Remove { key, size, .. } => {
                    self.store.delete(&key).await?;
                    report.removed(size);
                }
            }
        }
        Ok(End::Done(report))
    }

    /// Sees that the file that is made of these is there and has all their rows. `None` when a source is gone.
    async fn make(
        &self,
        day: &DayFiles,
        sources: &[Source],
        target: &str,
        rows: u64,
        read: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Option<Made>, CompactError> {
        let mut found = day.has(target);
        if found {
            read(sources.iter().map(|source| source.size).sum());
        } else {
            let bytes = match self.merge(sources, read).await {
                Err(CompactError::Store(error)) if is_gone(&error) => return Ok(None),
                merged => merged?,
            };
            found = self.store.put_if_absent(target, bytes).await? == Put::Existed;
        }
        // What readers will be switched to is looked at as it lies there, whoever put it.
        let listed = self.store.list(target).await?.into_iter().find(|listed| listed.key == target);
        let Some(Listed { key, size }) = listed else { return Ok(None) };
        match Footer::read(self.store, self.table, &key, size).await {
            Err(FooterError::Store(error)) if is_gone(&error) => Ok(None),
            footer => match footer?.rows {
                has if has == rows => Ok(Some(Made { bytes: size, found })),
                has => Err(CompactError::Rows { key, found: has, expected: rows }),
            },
        }
    }

    async fn merge(
        &self,
        sources: &[Source],
        read: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<bytes::Bytes, CompactError> {
        let get = |source: &Source| {
            let source = source.clone();
            async move { Ok::<_, StoreError>((self.store.get(&source.key).await?, source)) }
        };
        let mut files = stream::iter(sources.iter().map(get)).buffered(READ_AHEAD);
        let mut merge = Merge::new(self.table);
        while let Some(file) = files.next().await {
            let (bytes, Source { key, size, footer }) = file?;
            let before = merge.rows();
            let pushed = blocking(move || merge.push(bytes)).await?;
            merge = pushed.map_err(|source| CompactError::Merge { key: key.clone(), source })?;
            let got = merge.rows() - before;
            if got != footer.rows {
                return Err(CompactError::Damaged { key, found: got, expected: footer.rows });
            }
            read(size);
        }
        let key = sources.first().map(|source| source.key.clone()).unwrap_or_default();
        blocking(move || merge.finish()).await?.map_err(|source| CompactError::Merge { key, source })
    }
}

struct Made {
    bytes: u64,
    found: bool,
}

fn is_gone(error: &StoreError) -> bool {
    error.kind == StoreErrorKind::NotFound
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, CompactError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| CompactError::Stopped)
}
