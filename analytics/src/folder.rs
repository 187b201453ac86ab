//! An [`ObjectStore`] in a local folder.
//!
//! An object is written under a temporary name, made durable, and then given its name by a hard link, which fails if
//! the name is taken. So an object is there whole or not at all, for other processes too and after a SIGKILL; what a
//! killed process leaves behind lies in a hidden folder and is removed when the store is next opened. That folder is made
//! when something is first put: whoever only reads writes nothing.

use std::fs::{File, Metadata, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use bytes::Bytes;
use dial_rules::event::Millis;

use crate::store::{Listed, ObjectStore, Put, StoreError, StoreErrorKind, check_key};

/// Within the root, so that it is on the same file system; hidden, so that no reader of Parquet folders looks there.
const INCOMING: &str = ".incoming";

/// A folder whose files are the objects.
#[derive(Debug, Clone)]
pub struct FolderStore {
    root: Arc<Path>,
}

impl FolderStore {
    /// The store in the folder `root`, which is created where it is missing. Removes what writers that were killed
    /// left behind, where that may be; those that are at work are not disturbed. Blocks.
    ///
    /// # Errors
    /// There is no folder and none can be created.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(root).map_err(|e| failure("create", root, &e))?;
        // There may be nothing yet, or nothing that is ours to look through: then nothing is to be removed.
        for entry in std::fs::read_dir(root.join(INCOMING)).into_iter().flatten().flatten() {
            sweep(&entry.path());
        }
        Ok(Self { root: root.into() })
    }

    /// Checks that something can be put, before anything is made that has to be. Blocks.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn check_writable(&self) -> Result<(), StoreError> {
        let incoming = self.root.join(INCOMING);
        // It may be of a time at which the folder could be written.
        let tried = std::fs::create_dir_all(&incoming).and_then(|()| write_temporary(&self.root, b""));
        let (path, _lock) = tried.map_err(|e| failure("create", &incoming, &e))?;
        let _ = std::fs::remove_file(path);
        Ok(())
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    async fn blocking<T: Send + 'static>(
        &self,
        call: &'static str,
        key: &str,
        work: impl FnOnce(&Path, &Path) -> Result<T, std::io::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let root = Arc::clone(&self.root);
        let path = root.join(key);
        let result = tokio::task::spawn_blocking({
            let path = path.clone();
            move || work(&root, &path)
        });
        match result.await {
            Ok(result) => result.map_err(|e| failure(call, &path, &e)),
            Err(stopped) => Err(failure(call, &path, &std::io::Error::other(stopped))),
        }
    }
}

/// Removes a temporary file unless its writer, who holds a lock on it, is at work still.
fn sweep(path: &Path) {
    let unlocked = File::open(path).is_ok_and(|file| match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
    });
    if unlocked {
        // Somebody else who opens the store may have been quicker.
        let _ = std::fs::remove_file(path);
    }
}

#[async_trait]
impl ObjectStore for FolderStore {
    async fn put_if_absent(&self, key: &str, bytes: Bytes) -> Result<Put, StoreError> {
        check_key("put", key)?;
        self.blocking("put", key, move |root, path| put(root, path, &bytes)).await
    }

    async fn get(&self, key: &str) -> Result<Bytes, StoreError> {
        check_key("get", key)?;
        self.blocking("get", key, |_, path| std::fs::read(path).map(Bytes::from)).await
    }

    async fn tail(&self, key: &str, bytes: u64) -> Result<Bytes, StoreError> {
        check_key("get", key)?;
        self.blocking("get", key, move |_, path| {
            let mut file = File::open(path)?;
            let skipped = file.metadata()?.len().saturating_sub(bytes);
            file.seek(SeekFrom::Start(skipped))?;
            let mut tail = Vec::new();
            file.take(bytes).read_to_end(&mut tail)?;
            Ok(tail.into())
        })
        .await
    }

    async fn size(&self, key: &str) -> Result<u64, StoreError> {
        check_key("get", key)?;
        self.blocking("get", key, |_, path| {
            let metadata = std::fs::metadata(path)?;
            if metadata.is_dir() { Err(ErrorKind::NotFound.into()) } else { Ok(metadata.len()) }
        })
        .await
    }

    async fn put_at(&self, key: &str) -> Result<Option<Millis>, StoreError> {
        check_key("get", key)?;
        self.blocking("get", key, |_, path| {
            let metadata = std::fs::metadata(path)?;
            if metadata.is_dir() {
                return Err(ErrorKind::NotFound.into());
            }
            let written = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            let written = Millis::try_from(written.as_millis()).unwrap_or(Millis::MAX);
            Ok(Some(named_at(&metadata).map_or(written, |named| named.max(written))))
        })
        .await
    }

    async fn open(&self, key: &str) -> Result<Box<dyn Read + Send>, StoreError> {
        check_key("open", key)?;
        let file = self
            .blocking("open", key, |_, path| {
                let file = File::open(path)?;
                if file.metadata()?.is_dir() {
                    return Err(ErrorKind::NotFound.into());
                }
                Ok(file)
            })
            .await?;
        Ok(Box::new(file))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        let prefix = prefix.to_owned();
        self.blocking("list", "", move |root, _| {
            let mut listed = Vec::new();
            // Only the folder that the prefix's last slash ends needs to be looked through. One that no store may
            // name leads nowhere.
            let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
            if folder.is_empty() && prefix.starts_with('/') || !folder.is_empty() && check_key("list", folder).is_err()
            {
                return Ok(listed);
            }
            walk(&root.join(folder), folder, &prefix, &mut listed)?;
            listed.sort();
            Ok(listed)
        })
        .await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        check_key("delete", key)?;
        self.blocking("delete", key, |_, path| match std::fs::remove_file(path) {
            Err(e) if !is_absent(&e) => Err(e),
            _ => Ok(()),
        })
        .await
    }
}

/// When the file was last given a name: that is later than its writing.
#[cfg(unix)]
fn named_at(metadata: &Metadata) -> Option<Millis> {
    use std::os::unix::fs::MetadataExt;
    metadata.ctime().checked_mul(1000)?.checked_add(metadata.ctime_nsec() / 1_000_000)
}

#[cfg(not(unix))]
fn named_at(_: &Metadata) -> Option<Millis> {
    None
}

fn walk(dir: &Path, name: &str, prefix: &str, listed: &mut Vec<Listed>) -> Result<(), std::io::Error> {
    let entries = match std::fs::read_dir(dir) {
        Err(e) if is_absent(&e) => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        // Names that are not UTF-8, or hidden, are not ours.
        let Ok(part) = entry.file_name().into_string() else {
            continue;
        };
        if part.starts_with('.') {
            continue;
        }
        let key = if name.is_empty() { part } else { format!("{name}/{part}") };
        let is_dir = entry.file_type()?.is_dir();
        let leads_on = key.starts_with(prefix) || (is_dir && prefix.starts_with(&key));
        match (leads_on, is_dir) {
            (true, true) => walk(&entry.path(), &key, prefix, listed)?,
            (true, false) => {
                // A file may be deleted between being seen and being looked at.
                if let Ok(metadata) = entry.metadata() {
                    listed.push(Listed { key, size: metadata.len() });
                }
            }
            (false, _) => {}
        }
    }
    Ok(())
}

fn put(root: &Path, path: &Path, bytes: &[u8]) -> Result<Put, std::io::Error> {
    let folder = path.parent().unwrap_or(root);
    if path.try_exists()? {
        return existed(folder);
    }
    create_dirs(root, folder)?;
    // A second time only if the temporary file was swept away between being made and being locked.
    let (temporary, _lock) = match write_temporary(root, bytes) {
        Err(e) if e.kind() == ErrorKind::NotFound => write_temporary(root, bytes)?,
        written => written?,
    };
    let named = name(root, &temporary, path);
    // Where the name was given by renaming it is gone already.
    let _ = std::fs::remove_file(&temporary);
    if named? == Put::Existed {
        return existed(folder);
    }
    sync_dir(folder)?;
    Ok(Put::Created)
}

/// Whoever named it may have been killed before the name was durable, which it is to be when this returns.
fn existed(folder: &Path) -> Result<Put, std::io::Error> {
    match sync_dir(folder) {
        // Where nothing can be written, nothing waits to be.
        Err(e) if !matches!(e.kind(), ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied) => Err(e),
        _ => Ok(Put::Existed),
    }
}

/// Writes and syncs a temporary file; the open file holds the lock that says so.
fn write_temporary(root: &Path, bytes: &[u8]) -> Result<(PathBuf, File), std::io::Error> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let incoming = root.join(INCOMING);
    std::fs::create_dir_all(&incoming)?;
    loop {
        let n = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = incoming.join(format!("{}-{n}", std::process::id()));
        // A name may be taken by a process of that id in another container, or by a dead one.
        let mut file = match File::create_new(&path) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => continue,
            file => file?,
        };
        let written = file.lock().and_then(|()| file.write_all(bytes)).and_then(|()| file.sync_all());
        if let Err(e) = written {
            let _ = std::fs::remove_file(&path);
            return Err(e);
        }
        if !path.try_exists()? {
            return Err(ErrorKind::NotFound.into());
        }
        return Ok((path, file));
    }
}

fn name(root: &Path, temporary: &Path, path: &Path) -> Result<Put, std::io::Error> {
    match std::fs::hard_link(temporary, path) {
        Ok(()) => Ok(Put::Created),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(Put::Existed),
        // Some file systems have no hard links (exFAT, some network and container mounts).
        Err(e) if matches!(e.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) => {
            rename_if_absent(root, temporary, path)
        }
        Err(e) => Err(e),
    }
}

/// Renames under a lock that all writers of this folder take, since a rename alone replaces what is there.
fn rename_if_absent(root: &Path, temporary: &Path, path: &Path) -> Result<Put, std::io::Error> {
    let lock = File::create(root.join(INCOMING).with_extension("lock"))?;
    lock.lock()?;
    if path.try_exists()? {
        return Ok(Put::Existed);
    }
    std::fs::rename(temporary, path)?;
    Ok(Put::Created)
}

/// Creates the folders down to `folder`, each made durable in the one above.
fn create_dirs(root: &Path, folder: &Path) -> Result<(), std::io::Error> {
    let above = folder.parent().unwrap_or(root);
    if folder.is_dir() {
        // Whoever made it may have been killed before it was durable.
        return if folder == root { Ok(()) } else { sync_dir(above) };
    }
    if folder != root {
        create_dirs(root, above)?;
    }
    match std::fs::create_dir(folder) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    sync_dir(above)
}

fn sync_dir(dir: &Path) -> Result<(), std::io::Error> {
    File::open(dir)?.sync_all()
}

/// Also where a part of the path is a file: then nothing can lie below it.
fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn failure(call: &'static str, path: &Path, error: &std::io::Error) -> StoreError {
    let kind = match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory if matches!(call, "get" | "open") => {
            StoreErrorKind::NotFound
        }
        ErrorKind::NotFound => StoreErrorKind::Missing,
        // Where a folder is created, what is there already is none.
        ErrorKind::NotADirectory => StoreErrorKind::NoFolder,
        ErrorKind::AlreadyExists if call == "create" => StoreErrorKind::NoFolder,
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreErrorKind::Denied,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => StoreErrorKind::Full,
        _ => StoreErrorKind::Unavailable,
    };
    StoreError { call, place: path.display().to_string(), kind, message: error.to_string() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn without_hard_links_a_name_is_given_once_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let store = FolderStore::open(dir.path()).unwrap();
        let target = dir.path().join("object");
        let created = std::thread::scope(|scope| {
            let put = |n: u8| {
                let (temporary, _lock) = write_temporary(store.root(), &[n; 100]).unwrap();
                rename_if_absent(store.root(), &temporary, &target).unwrap() == Put::Created
            };
            let threads: Vec<_> = (0..8).map(|n| scope.spawn(move || put(n))).collect();
            threads.into_iter().map(|t| t.join().unwrap()).filter(|created| *created).count()
        });
        assert_eq!(created, 1);
        let bytes = std::fs::read(&target).unwrap();
        assert!(bytes.len() == 100 && bytes.iter().all(|b| *b == bytes[0]));
    }

    #[test]
    fn opening_sweeps_what_the_dead_left_and_spares_the_living() {
        let dir = tempfile::tempdir().unwrap();
        FolderStore::open(dir.path()).unwrap();
        assert!(!dir.path().join(INCOMING).exists(), "whoever only reads writes nothing");
        let (living, lock) = write_temporary(dir.path(), b"living").unwrap();
        let dead = dir.path().join(INCOMING).join("1-1");
        std::fs::write(&dead, "half").unwrap();
        FolderStore::open(dir.path()).unwrap();
        assert!(living.exists() && !dead.exists());
        drop(lock);
        FolderStore::open(dir.path()).unwrap();
        assert!(!living.exists());
    }

    #[test]
    fn errors_say_where_and_what_to_do() {
        let error = failure("put", Path::new("d/e"), &ErrorKind::StorageFull.into());
        assert_eq!(error.kind, StoreErrorKind::Full);
        assert!(error.is_retryable());
        let text = error.to_string();
        assert!(text.contains("d/e") && text.contains("make room"), "{text}");
        let error = failure("get", Path::new("d/e"), &ErrorKind::NotFound.into());
        assert_eq!(error.kind, StoreErrorKind::NotFound);
        assert!(!error.is_retryable());
    }
}
