//! [`Scratch`]: where a scan puts what is too much for memory.

use std::path::{Path, PathBuf};

/// A folder of our own among the system's temporary files, removed with everything in it when this is dropped. Whoever writes
/// into it makes it.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// One for this purpose, of which a process has one.
    pub(crate) fn new(purpose: &str) -> Scratch {
        Scratch(std::env::temp_dir().join(format!("dial-scan-{}-{purpose}", std::process::id())))
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0); // what is left is the system's to clean up
    }
}
