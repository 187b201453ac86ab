//! The port to the disk that the inbox lies on: a folder, or a twin in memory that fills up and breaks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const SUFFIX: &str = ".segment";
/// Where damaged segments are put aside.
const DAMAGED: &str = "damaged";

/// Where segments lie, by their numbers.
pub(super) trait Disk: Send + Sync {
    /// The numbers of all segments, ascending, and their sizes in bytes.
    fn list(&self) -> io::Result<Vec<(u64, u64)>>;

    /// Makes an empty segment, whose name is durable then.
    fn create(&self, number: u64) -> io::Result<Box<dyn SegmentFile>>;

    /// All bytes of a segment.
    fn read(&self, number: u64) -> io::Result<Vec<u8>>;

    /// Removes a segment.
    fn remove(&self, number: u64) -> io::Result<()>;

    /// Puts a segment where it is listed no more, for people to look at.
    fn put_aside(&self, number: u64) -> io::Result<()>;
}

/// A segment that is being written.
pub(super) trait SegmentFile: Send {
    /// Appends bytes, which are durable when this returns. After an error nothing is known of them.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the segment off at this length.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

/// A folder.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// The folder at this path, which is made unless it is there.
    pub(super) fn open(path: &Path) -> io::Result<Folder> {
        fs::create_dir_all(path)?;
        Ok(Folder(path.to_owned()))
    }

    fn path(&self, number: u64) -> PathBuf {
        self.0.join(name(number))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

fn name(number: u64) -> String {
    format!("{number:020}{SUFFIX}")
}

impl Disk for Folder {
    fn list(&self) -> io::Result<Vec<(u64, u64)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)?.parse::<u64>().ok());
            if let Some(number) = number {
                found.push((number, entry.metadata()?.len()));
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    fn create(&self, number: u64) -> io::Result<Box<dyn SegmentFile>> {
        let file = OpenOptions::new().append(true).create_new(true).open(self.path(number))?;
        match self.sync() {
            Ok(()) => Ok(Box::new(file)),
            Err(error) => {
                let _ = fs::remove_file(self.path(number)); // it is empty, and would be passed over
                Err(error)
            }
        }
    }

    fn read(&self, number: u64) -> io::Result<Vec<u8>> {
        fs::read(self.path(number))
    }

    fn remove(&self, number: u64) -> io::Result<()> {
        fs::remove_file(self.path(number))
    }

    fn put_aside(&self, number: u64) -> io::Result<()> {
        let folder = self.0.join(DAMAGED);
        fs::create_dir_all(&folder)?;
        // Numbers begin anew in an empty inbox.
        let free = (0_u32..).map(|n| folder.join(format!("{number:020}-{n}{SUFFIX}"))).find(|path| !path.exists());
        fs::rename(self.path(number), free.unwrap_or_else(|| folder.join(name(number))))
    }
}

impl SegmentFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)?;
        self.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.sync_data()
    }
}

#[cfg(test)]
pub(super) mod twin {
    //! A disk in memory.

    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    /// What it holds, and how it fails.
    #[derive(Debug, Default)]
    pub(in super::super) struct State {
        pub(in super::super) segments: BTreeMap<u64, Vec<u8>>,
        pub(in super::super) aside: BTreeMap<u64, Vec<u8>>,
        /// So many bytes may be on it.
        pub(in super::super) capacity: Option<usize>,
        /// Whether it refuses to cut, too.
        pub(in super::super) stubborn: bool,
        /// How many times bytes were made durable.
        pub(in super::super) syncs: usize,
    }

    /// A disk in memory. Clones share what is on it.
    #[derive(Debug, Clone, Default)]
    pub(in super::super) struct Twin(Arc<Mutex<State>>);

    impl Twin {
        pub(in super::super) fn with<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
            look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }

    struct TwinFile(Twin, u64);

    impl Disk for Twin {
        fn list(&self) -> io::Result<Vec<(u64, u64)>> {
            Ok(self.with(|state| state.segments.iter().map(|(number, bytes)| (*number, bytes.len() as u64)).collect()))
        }

        fn create(&self, number: u64) -> io::Result<Box<dyn SegmentFile>> {
            self.with(|state| state.segments.insert(number, Vec::new()));
            Ok(Box::new(TwinFile(self.clone(), number)))
        }

        fn read(&self, number: u64) -> io::Result<Vec<u8>> {
            self.with(|state| state.segments.get(&number).cloned()).ok_or_else(|| io::ErrorKind::NotFound.into())
        }

        fn remove(&self, number: u64) -> io::Result<()> {
            self.with(|state| state.segments.remove(&number)).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
        }

        fn put_aside(&self, number: u64) -> io::Result<()> {
            self.with(|state| {
                let bytes = state.segments.remove(&number).ok_or(io::ErrorKind::NotFound)?;
                state.aside.insert(number, bytes);
                Ok(())
            })
        }
    }

    impl SegmentFile for TwinFile {
        /// Where there is no room for all, some of it is written, as file systems do.
        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.0.with(|state| {
                let taken: usize = state.segments.values().map(Vec::len).sum();
                let room = state.capacity.map_or(usize::MAX, |capacity| capacity.saturating_sub(taken));
                let written = bytes.len().min(room);
                state.segments.entry(self.1).or_default().extend_from_slice(&bytes[..written]);
                if written < bytes.len() {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                state.syncs += 1;
                Ok(())
            })
        }

        fn cut(&mut self, length: u64) -> io::Result<()> {
            self.0.with(|state| {
                if state.stubborn {
                    return Err(io::ErrorKind::Other.into());
                }
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                state.segments.entry(self.1).or_default().truncate(length);
                Ok(())
            })
        }
    }
}
