//! A reader of what may never come: standard input that nobody writes to, a pipe without an end.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

/// How much is read at a time, in bytes.
const PIECE: usize = 64 * 1024;
/// How often the flag is looked at while nothing comes.
const LOOK: Duration = Duration::from_millis(100);

/// Set to end reading.
pub(crate) type StopFlag = Arc<AtomicBool>;

/// Reads on a thread of its own, so that whoever reads here is free when the flag is set: the input then ends. The
/// thread is left waiting; it keeps nobody from ending the program.
pub(crate) struct Patient {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: io::Cursor<Vec<u8>>,
    stop: StopFlag,
}

impl Patient {
    /// Reads what `open` opens; opening may wait too.
    pub(crate) fn new<R: Read>(open: impl FnOnce() -> io::Result<R> + Send + 'static, stop: StopFlag) -> Patient {
        // Two pieces ahead at most: a reader that is slow is waited for.
        let (sender, pieces) = sync_channel(2);
        thread::spawn(move || {
            let mut reader = match open() {
                Ok(reader) => reader,
                Err(error) => return drop(sender.send(Err(error))),
            };
            loop {
                let mut piece = vec![0; PIECE];
                let read = match reader.read(&mut piece) {
                    Ok(0) => return,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    other => other.map(|length| {
                        piece.truncate(length);
                        piece
                    }),
                };
                let failed = read.is_err();
                if sender.send(read).is_err() || failed {
                    return;
                }
            }
        });
        Patient { pieces, piece: io::Cursor::default(), stop }
    }
}

impl Read for Patient {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.piece.read(out)?;
            if read > 0 || out.is_empty() {
                return Ok(read);
            }
            if self.stop.load(Ordering::Relaxed) {
                return Ok(0);
            }
            match self.pieces.recv_timeout(LOOK) {
                Ok(piece) => self.piece = io::Cursor::new(piece?),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn everything_comes_through_in_order() {
        let bytes: Vec<u8> = (0..300_000_u32).flat_map(|n| n.to_le_bytes()).collect();
        let (mut given, mut read) = (bytes.clone(), Vec::new());
        let mut patient = Patient::new(move || Ok(io::Cursor::new(std::mem::take(&mut given))), StopFlag::default());
        patient.read_to_end(&mut read).unwrap();
        assert!(read == bytes);
    }

    #[test]
    fn what_cannot_be_opened_is_an_error() {
        let open = || Err::<io::Empty, _>(io::Error::other("locked"));
        let error = Patient::new(open, StopFlag::default()).read(&mut [0; 4]).unwrap_err();
        assert_eq!(error.to_string(), "locked");
    }

    #[test]
    fn it_ends_when_told_although_nothing_comes() {
        let (reader, mut writer) = io::pipe().unwrap();
        let stop = StopFlag::default();
        let mut patient = Patient::new(|| Ok(reader), stop.clone());
        writer.write_all(b"ab").unwrap();
        let mut two = [0; 2];
        patient.read_exact(&mut two).unwrap();
        assert_eq!(&two, b"ab");
        stop.store(true, Ordering::Relaxed);
        assert_eq!(patient.read(&mut two).unwrap(), 0);
        drop(writer);
    }
}
