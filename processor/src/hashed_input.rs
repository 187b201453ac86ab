//! [`HashedInput`]: what is read under the name of its SHA-256, and is checked to have been just that.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use crate::scan_archive::hashed;

/// Bytes whose SHA-256 is known before they are read. Rows are kept under that name, so whoever keeps them asks in the end
/// whether what was read are those bytes: a file may have changed in between, or break off.
pub(crate) struct HashedInput {
    source: Box<dyn Read + Send>,
    sha256: [u8; 32],
    seen: Sha256,
    /// Whether a read failed, so that whoever read has not seen what came behind.
    failed: bool,
}

impl HashedInput {
    /// A file as long as it is now. It is read twice, and what is put in its place meanwhile is not it.
    pub(crate) fn of_file(mut file: File) -> io::Result<HashedInput> {
        let (sha256, length) = hashed(&mut file, |_| Ok(()))?;
        file.rewind()?;
        Ok(HashedInput::new(Box::new(file.take(length)), sha256))
    }

    /// What can be read only once, or is dear to fetch: it is laid down in `scratch` first.
    pub(crate) fn laid_down(mut source: impl Read, scratch: &Path) -> io::Result<HashedInput> {
        let mut laid = Laid::new(scratch)?;
        let (sha256, _) = hashed(&mut source, |piece| laid.file.write_all(piece))?;
        laid.file.rewind()?;
        Ok(HashedInput::new(Box::new(laid), sha256))
    }

    fn new(source: Box<dyn Read + Send>, sha256: [u8; 32]) -> HashedInput {
        HashedInput { source, sha256, seen: Sha256::new(), failed: false }
    }

    pub(crate) fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// Whether what was read, with what is left of it, is what was hashed. Reads to the end.
    pub(crate) fn is_whole(&mut self) -> bool {
        let rest = io::copy(self, &mut io::sink());
        rest.is_ok() && !self.failed && self.seen.finalize_reset()[..] == self.sha256
    }
}

impl Read for HashedInput {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(out);
        match &read {
            Ok(n) => self.seen.update(&out[..*n]),
            Err(error) => self.failed |= error.kind() != ErrorKind::Interrupted,
        }
        read
    }
}

/// What was laid down, gone when it is dropped.
struct Laid {
    file: File,
    path: PathBuf,
}

impl Laid {
    fn new(folder: &Path) -> io::Result<Laid> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        fs::create_dir_all(folder)?;
        let path = folder.join(NEXT.fetch_add(1, Ordering::Relaxed).to_string());
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        Ok(Laid { file, path })
    }
}

impl Read for Laid {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.file.read(out)
    }
}

impl Drop for Laid {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path); // its folder goes with the scan
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: &[u8] = b"{\"eventID\": \"a\"}\n{\"eventID\": \"b\"}\n";

    fn half(input: &mut HashedInput) {
        input.read_exact(&mut [0; 17]).unwrap();
    }

    #[test]
    fn what_grows_or_is_replaced_is_what_it_was_and_what_changes_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.json");
        let beside = folder.path().join("beside");
        let begin = || {
            fs::write(&path, BYTES).unwrap();
            HashedInput::of_file(File::open(&path).unwrap()).unwrap()
        };
        let mut input = begin();
        half(&mut input);
        File::options().append(true).open(&path).unwrap().write_all(BYTES).unwrap();
        assert!(input.is_whole(), "it grew");
        let mut input = begin();
        fs::write(&beside, b"another").unwrap();
        fs::rename(&beside, &path).unwrap();
        assert!(input.is_whole(), "another took its name");
        let mut input = begin();
        half(&mut input);
        File::options().write(true).open(&path).unwrap().set_len(20).unwrap();
        assert!(!input.is_whole(), "its end is gone");
        let mut input = begin();
        fs::write(&path, BYTES.to_ascii_uppercase()).unwrap();
        assert!(!input.is_whole(), "it was written over");
    }

    #[test]
    fn a_read_that_failed_is_not_made_up_for_by_what_is_read_later() {
        struct Breaks(usize);
        impl Read for Breaks {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                self.0 += 1;
                match self.0 {
                    1 => Err(ErrorKind::Interrupted.into()),
                    2 => Err(io::Error::other("the disk")),
                    3 => (&mut &*BYTES).read(out),
                    _ => Ok(0),
                }
            }
        }
        let sha256: [u8; 32] = Sha256::digest(BYTES).into();
        let mut input = HashedInput::new(Box::new(Breaks(0)), sha256);
        assert!(input.read(&mut [0; 9]).is_err() && input.read(&mut [0; 9]).is_err());
        assert!(!input.is_whole());
        let mut input = HashedInput::new(Box::new(Breaks(2)), sha256);
        assert!(input.is_whole());
    }

    #[test]
    fn what_is_laid_down_is_whole_and_gone_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let mut input = HashedInput::laid_down(BYTES, folder.path()).unwrap();
        assert_eq!(input.sha256(), <[u8; 32]>::from(Sha256::digest(BYTES)));
        let mut text = Vec::new();
        input.read_to_end(&mut text).unwrap();
        assert!(text == BYTES && input.is_whole());
        drop(input);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
