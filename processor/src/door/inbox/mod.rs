//! The inbox: a folder that keeps what was posted until it is processed.
//!
//! Bodies are appended to a segment, a file, and are durable before anybody is told that they were accepted. A segment is
//! sealed when it is large, or when whoever empties the inbox has nothing else to do; sealed, it is processed as a whole and
//! then removed. After a crash the segments that are left are processed again, from their beginnings: that is harmless, since
//! a segment holds the same entries whenever it is read.

mod disk;
mod entry;
mod ledger;
mod writer;

use std::fs::{File, TryLockError};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use self::disk::{Disk, Folder};
use self::entry::End;
use self::ledger::{Ledger, Next};
use self::writer::{Append, Command, Writer};
use super::keep::{Keep, KeepError, Parcel};
use crate::failure::{Failure, Result};
use crate::in_place::in_place;

/// How long an open segment waits for more before it is processed.
const PATIENCE: Duration = Duration::from_millis(250);
/// How many bodies may wait for the disk.
const QUEUE: usize = 1024;
const LOCK: &str = "lock";

/// Puts bodies into the inbox.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// `None` once it is closed.
    commands: RwLock<Option<mpsc::Sender<Command>>>,
    ledger: Arc<Ledger>,
    /// How many bytes may wait.
    most: u64,
}

/// Empties the inbox. Only one process has it.
pub(crate) struct Emptier {
    disk: Arc<dyn Disk>,
    ledger: Arc<Ledger>,
    commands: Option<mpsc::WeakSender<Command>>,
    /// Held as long as this lives.
    _lock: Option<File>,
}

/// Opens the inbox in this folder, to put bodies in and to empty it. Once the [`Inbox`] is
/// closed the emptier comes to an end.
///
/// # Errors
/// When another process has it, or the folder cannot be used.
pub(crate) fn open(folder: &Path, most: u64) -> Result<(Inbox, Emptier)> {
    let lock = lock(folder)?.ok_or_else(|| {
        Failure::Outside(format!(
            "the inbox {} is in use by another process: give this one a `data.folder` of its own, or stop that one",
            folder.display()
        ))
    })?;
    let disk: Arc<dyn Disk> = Arc::new(Folder::open(folder).map_err(|error| outside(folder, &error))?);
    let (inbox, mut emptier) = over(disk, most).map_err(|error| outside(folder, &error))?;
    emptier._lock = Some(lock);
    Ok((inbox, emptier))
}

/// What a process left in the inbox of this folder that did not come to process it; `None` when there is nothing, or when
/// another process is at it.
///
/// # Errors
/// When the folder cannot be used.
pub(crate) fn left(folder: &Path) -> Result<Option<Emptier>> {
    if !folder.is_dir() {
        return Ok(None);
    }
    let Some(lock) = lock(folder)? else { return Ok(None) };
    let disk: Arc<dyn Disk> = Arc::new(Folder::open(folder).map_err(|error| outside(folder, &error))?);
    let ledger = Arc::new(Ledger::default());
    recover(disk.as_ref(), &ledger).map_err(|error| outside(folder, &error))?;
    ledger.close();
    let some = ledger.next() != Next::End;
    Ok(some.then_some(Emptier { disk, ledger, commands: None, _lock: Some(lock) }))
}

fn outside(folder: &Path, error: &io::Error) -> Failure {
    Failure::Outside(format!("the inbox {}: {error}", folder.display()))
}

/// `None` when another process has it.
fn lock(folder: &Path) -> Result<Option<File>> {
    let path: PathBuf = folder.join(LOCK);
    let fail = |error: io::Error| Failure::Outside(format!("{}: {error}", path.display()));
    std::fs::create_dir_all(folder).map_err(fail)?;
    let file = File::options().create(true).append(true).open(&path).map_err(fail)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(fail(error)),
    }
}

fn over(disk: Arc<dyn Disk>, most: u64) -> io::Result<(Inbox, Emptier)> {
    let ledger = Arc::new(Ledger::default());
    let next = recover(disk.as_ref(), &ledger)?;
    let (commands, asked) = mpsc::channel(QUEUE);
    let writer = Writer::new(disk.clone(), ledger.clone(), next);
    thread::Builder::new().name("inbox".to_owned()).spawn(move || writer.run(asked))?;
    let weak = Some(commands.downgrade());
    let emptier = Emptier { disk, ledger: ledger.clone(), commands: weak, _lock: None };
    Ok((Inbox { commands: RwLock::new(Some(commands)), ledger, most }, emptier))
}

/// Notes the segments that are there; the number for the next one. None is ever added to again: its end may be torn.
fn recover(disk: &dyn Disk, ledger: &Ledger) -> io::Result<u64> {
    let found = disk.list()?;
    for (number, bytes) in &found {
        ledger.found(*number, *bytes);
    }
    if !found.is_empty() {
        tracing::info!(segments = found.len(), bytes = ledger.backlog(), "what was posted earlier is processed first");
    }
    Ok(found.last().map_or(1, |(last, _)| last + 1))
}

#[async_trait]
impl Keep for Inbox {
    async fn keep(&self, parcel: Parcel) -> std::result::Result<(), KeepError> {
        let coming = entry::size(parcel.body.len()) as u64;
        if self.ledger.backlog() + coming > self.most {
            return Err(KeepError::Full("more waits to be processed than `door.backlog_mib` allows".to_owned()));
        }
        let (done, kept) = oneshot::channel();
        let append = Append { bytes: parcel.body, expanded: parcel.expanded, done };
        let stopped = || KeepError::Outside("the inbox is closed".to_owned());
        let commands = self.commands.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(stopped)?;
        commands.send(Command::Append(append)).await.map_err(|_| stopped())?;
        drop(commands);
        match kept.await.map_err(|_| stopped())? {
            Ok(()) => Ok(()),
            Err(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                Err(KeepError::Full("there is no space left to keep it".to_owned()))
            }
            Err(error) => Err(KeepError::Outside(format!("the inbox cannot be written: {error}"))),
        }
    }

    fn backlog(&self) -> u64 {
        self.ledger.backlog()
    }

    fn close(&self) {
        self.commands.write().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// A sealed segment.
pub(crate) struct Segment {
    number: u64,
    bytes: Vec<u8>,
    entries: Vec<Range<usize>>,
    damaged: bool,
}

impl Segment {
    /// The bodies, in the order in which they were kept.
    pub(crate) fn bodies(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.iter().map(|entry| &self.bytes[entry.clone()])
    }
}

impl Emptier {
    /// The oldest segment that is not done, once there is one; `None` when all are done and nothing more will come.
    ///
    /// # Errors
    /// When a segment cannot be read.
    pub(crate) async fn next(&self) -> io::Result<Option<Segment>> {
        loop {
            match self.ledger.next() {
                Next::Take(number) => return in_place(|| self.read(number)).map(Some),
                Next::End => return Ok(None),
                Next::Wait => self.ledger.changed().await,
                Next::Seal => {
                    tokio::time::sleep(PATIENCE).await;
                    // Without a sender the writer is about to seal it by itself.
                    if let Some(commands) = self.commands.as_ref().and_then(mpsc::WeakSender::upgrade) {
                        let _ = commands.send(Command::Seal).await;
                    }
                    self.ledger.changed().await;
                }
            }
        }
    }

    fn read(&self, number: u64) -> io::Result<Segment> {
        let bytes = self.disk.read(number)?;
        let scanned = entry::scan(number, &bytes);
        match scanned.end {
            End::Whole => {}
            End::Torn => tracing::info!(
                segment = number,
                entries = scanned.entries.len(),
                "the last entry was never finished, and nobody was told that it was kept: it is left out"
            ),
            End::Damaged(at) => tracing::error!(
                segment = number,
                byte = at,
                entries = scanned.entries.len(),
                "a segment of the inbox is damaged: what can be read is processed, and the file is put into inbox/damaged"
            ),
        }
        let damaged = matches!(scanned.end, End::Damaged(_));
        Ok(Segment { number, bytes, entries: scanned.entries, damaged })
    }

    /// Lets go of a segment whose events are processed.
    ///
    /// # Errors
    /// When its file cannot be removed. It would be processed again at the next start, which is harmless.
    pub(crate) fn done(&self, segment: &Segment) -> io::Result<()> {
        // First, so that this one is not the next one again.
        self.ledger.done();
        match segment.damaged {
            true => self.disk.put_aside(segment.number),
            false => self.disk.remove(segment.number),
        }
    }
}

#[cfg(test)]
mod tests;
