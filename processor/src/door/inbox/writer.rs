//! The thread that writes the inbox: bodies that arrive together are made durable together, by one call to the disk.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::disk::{Disk, SegmentFile};
use super::entry;
use super::ledger::Ledger;

/// A segment takes no more bytes than this, but for its last group.
const SEGMENT_BYTES: u64 = 8 << 20;
/// Nor more than this, decompressed: it is processed as a whole.
const SEGMENT_EXPANDED: u64 = 64 << 20;
/// The most bytes that one call makes durable, but for the last body.
const GROUP_BYTES: usize = 2 << 20;

/// What the thread is asked to do.
pub(super) enum Command {
    Append(Append),
    /// Ends the open segment, if anything is in it, so that it can be processed.
    Seal,
}

/// A body to be kept.
pub(super) struct Append {
    pub(super) bytes: Bytes,
    /// Its size, decompressed.
    pub(super) expanded: u64,
    pub(super) done: oneshot::Sender<io::Result<()>>,
}

/// The open segment.
struct Open {
    number: u64,
    file: Box<dyn SegmentFile>,
    /// How much of it is known to be durable.
    durable: u64,
    expanded: u64,
}

pub(super) struct Writer {
    disk: Arc<dyn Disk>,
    ledger: Arc<Ledger>,
    next: u64,
    open: Option<Open>,
}

impl Writer {
    /// Writes segments numbered from `next`.
    pub(super) fn new(disk: Arc<dyn Disk>, ledger: Arc<Ledger>, next: u64) -> Writer {
        Writer { disk, ledger, next, open: None }
    }

    /// Works until nobody can ask any more.
    pub(super) fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut after = None;
        while let Some(command) = after.take().or_else(|| commands.blocking_recv()) {
            let Command::Append(first) = command else {
                self.seal();
                continue;
            };
            let mut group = vec![first];
            let mut bytes = group[0].bytes.len();
            while bytes < GROUP_BYTES
                && let Ok(next) = commands.try_recv()
            {
                match next {
                    Command::Append(append) => {
                        bytes += append.bytes.len();
                        group.push(append);
                    }
                    Command::Seal => {
                        after = Some(Command::Seal);
                        break;
                    }
                }
            }
            self.keep(group);
        }
        self.seal();
        self.ledger.close();
    }

    /// Makes a group durable, and says so to everybody in it.
    fn keep(&mut self, group: Vec<Append>) {
        let kept = self.append(&group);
        if let Err(error) = &kept {
            tracing::error!(%error, requests = group.len(), "what was posted cannot be kept; its senders were told to try again");
        }
        for Append { done, .. } in group {
            // Who sent it may have gone.
            let _ = done.send(kept.as_ref().map_or_else(|error| Err(error.kind().into()), |()| Ok(())));
        }
        if self.open.as_ref().is_some_and(|open| open.durable >= SEGMENT_BYTES || open.expanded >= SEGMENT_EXPANDED) {
            self.seal();
        }
    }

    fn append(&mut self, group: &[Append]) -> io::Result<()> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.begin()?,
        };
        let mut bytes = Vec::new();
        for append in group {
            entry::write(open.number, open.durable + bytes.len() as u64, &append.bytes, &mut bytes);
        }
        match open.file.append(&bytes) {
            Ok(()) => {
                open.durable += bytes.len() as u64;
                open.expanded += group.iter().map(|append| append.expanded).sum::<u64>();
                self.ledger.add(bytes.len() as u64);
                self.open = Some(open);
                Ok(())
            }
            Err(error) => {
                self.abandon(open);
                Err(error)
            }
        }
    }

    fn begin(&mut self) -> io::Result<Open> {
        let number = self.next;
        let mut file = self.disk.create(number)?;
        self.next += 1;
        match file.append(entry::HEADER) {
            Ok(()) => Ok(Open { number, file, durable: entry::HEADER.len() as u64, expanded: 0 }),
            Err(error) => {
                drop(file);
                let _ = self.disk.remove(number); // if it stays, nothing is in it
                Err(error)
            }
        }
    }

    /// Gives up a segment that could not be written to: after a failed write or sync the same file cannot be trusted with
    /// more. What is durable in it is processed; what else may be in it was confirmed to nobody and does no harm.
    fn abandon(&mut self, mut open: Open) {
        if let Err(error) = open.file.cut(open.durable) {
            tracing::warn!(%error, segment = open.number, "a segment of the inbox is left as it is");
        }
        self.finish(open);
    }

    fn seal(&mut self) {
        if let Some(open) = self.open.take() {
            self.finish(open);
        }
    }

    fn finish(&mut self, open: Open) {
        let (number, durable) = (open.number, open.durable);
        drop(open);
        if durable > entry::HEADER.len() as u64 {
            self.ledger.seal(number);
        } else if let Err(error) = self.disk.remove(number) {
            tracing::warn!(%error, segment = number, "an empty segment of the inbox cannot be removed");
        }
    }
}
