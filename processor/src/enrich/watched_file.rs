//! [`WatchedFile`]: a file that is read again when it is replaced.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The most bytes of a file: the largest databases of cities have some hundred million.
const LARGEST: u64 = 1 << 30;

/// A file as one look found it. A replaced one has another inode, even with the same length and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    length: u64,
    modified: (i64, i64),
    inode: u64,
}

impl Stamp {
    /// Of the file that is there now; `None` without one.
    pub(crate) fn of(path: &Path) -> Option<Stamp> {
        let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        Some(Stamp {
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            inode: metadata.ino(),
        })
    }
}

/// What a look at a file comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// It is as it was, or is being written.
    Nothing,
    /// It is another one now, and is not being written: read it.
    Read,
    /// It is gone. Told once.
    Gone,
}

/// A file, and as what it was read last.
#[derive(Debug)]
pub(crate) struct WatchedFile {
    pub(crate) path: PathBuf,
    /// As it was when it was read last, with whatever result.
    read: Option<Stamp>,
    /// As the last look found it.
    seen: Option<Stamp>,
}

impl WatchedFile {
    /// Not read yet.
    pub(crate) fn new(path: PathBuf) -> WatchedFile {
        WatchedFile { path, read: None, seen: None }
    }

    /// The bytes of the file.
    ///
    /// # Errors
    /// Why it cannot be read, with its name.
    pub(crate) fn read(&mut self) -> Result<Vec<u8>, String> {
        // Taken before reading: what is written meanwhile is another one.
        self.read = Stamp::of(&self.path);
        self.seen = self.read;
        bytes(&self.path).map_err(|error| format!("{} cannot be read: {error}", self.path.display()))
    }

    /// Whether the file, which is so now, is to be read again. A file that is being written differs from one look to the
    /// next, so it is read when two looks found it the same.
    pub(crate) fn look(&mut self, now: Option<Stamp>) -> Look {
        let before = std::mem::replace(&mut self.seen, now);
        match now {
            None if before.is_some() => Look::Gone,
            None => Look::Nothing,
            Some(_) if now == self.read || now != before => Look::Nothing,
            Some(_) => Look::Read,
        }
    }
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    if metadata.len() > LARGEST {
        return Err(io::Error::other(format!("{} bytes are more than any table has", metadata.len())));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_is_read_once_it_holds_still() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table");
        fs::write(&path, "one").unwrap();
        let mut file = WatchedFile::new(path.clone());
        assert_eq!(file.read().unwrap(), b"one");
        let look = |file: &mut WatchedFile| file.look(Stamp::of(&path));
        assert_eq!(look(&mut file), Look::Nothing);
        let other = folder.path().join("other");
        fs::write(&other, "two").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!([look(&mut file), look(&mut file)], [Look::Nothing, Look::Read], "at the second look");
        assert_eq!(file.read().unwrap(), b"two");
        assert_eq!(look(&mut file), Look::Nothing);
        fs::remove_file(&path).unwrap();
        assert_eq!([look(&mut file), look(&mut file)], [Look::Gone, Look::Nothing], "told once");
        fs::write(&path, "three").unwrap();
        assert_eq!([look(&mut file), look(&mut file)], [Look::Nothing, Look::Read]);
    }

    #[test]
    fn what_is_no_file_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let gone = WatchedFile::new(folder.path().join("gone")).read().unwrap_err();
        assert!(gone.contains("gone cannot be read"), "{gone}");
        assert!(WatchedFile::new(folder.path().to_owned()).read().unwrap_err().contains("it is no file"));
    }
}
