//! Which files of a followed folder have been processed: remembered in the data folder, one small object a file.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use dial_analytics::store::ObjectStore;
use sha2::{Digest, Sha256};

use crate::failure::{Failure, Result};
use crate::inputs::is_log;

const PREFIX: &str = "watched/";

/// A file as one look found it; it differs while the file is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    length: u64,
    /// Nanoseconds since 1970.
    modified: u128,
}

/// The files that were processed.
#[derive(Debug)]
pub(crate) struct Watched {
    store: Arc<dyn ObjectStore>,
    done: HashSet<String>,
}

impl Watched {
    pub(crate) async fn open(store: Arc<dyn ObjectStore>) -> Result<Watched> {
        let listed = store.list(PREFIX).await.map_err(|error| Failure::Outside(error.to_string()))?;
        Ok(Watched { store, done: listed.into_iter().map(|object| object.key).collect() })
    }

    pub(crate) fn has(&self, path: &Path, version: Version) -> bool {
        self.done.contains(&key(path, version))
    }

    /// Remembers a file that was processed.
    pub(crate) async fn add(&mut self, path: &Path, version: Version) -> Result<()> {
        let key = key(path, version);
        let name = Bytes::from(format!("{}\n", path.display()));
        self.store.put_if_absent(&key, name).await.map_err(|error| Failure::Outside(error.to_string()))?;
        self.done.insert(key);
        Ok(())
    }
}

fn key(path: &Path, version: Version) -> String {
    let hash = Sha256::digest(path.as_os_str().as_encoded_bytes());
    let name: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{PREFIX}{name}-{}-{}", version.length, version.modified)
}

/// The CloudTrail files below `folder` as they are now. What cannot be looked into is left for the next look.
pub(crate) fn look(folder: &Path) -> BTreeMap<PathBuf, Version> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            tracing::warn!(folder = %folder.display(), "cannot be looked into");
            continue;
        };
        for entry in entries.flatten() {
            let (path, Ok(metadata)) = (entry.path(), entry.metadata()) else {
                continue;
            };
            if metadata.is_dir() {
                folders.push(path);
            } else if metadata.is_file() && is_log(&path.to_string_lossy()) {
                let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
                let modified = modified.map_or(0, |since| since.as_nanos());
                found.insert(path, Version { length: metadata.len(), modified });
            }
        }
    }
    found
}
