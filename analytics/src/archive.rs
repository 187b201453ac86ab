//! Writing a sealed batch: the thin shell around [`Sealed`].

use std::sync::Arc;

use dial_rules::tables::Tables;

use crate::sealed::{EncodeError, Sealed};
use crate::store::{ObjectStore, Put, StoreError};

/// What writing a batch came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Files that were not there.
    pub created: usize,
    /// Files that were there already: an earlier attempt's.
    pub existed: usize,
    /// Bytes of the files that were not there.
    pub bytes: u64,
}

/// Why a batch was not written, or not all of it. Doing it again is always safe.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file could not be put together.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The caller may not write any more.
    #[error("the shard's lease is not held any more; its next owner writes what is missing")]
    NotOwner,
    /// The program is ending.
    #[error("the program is ending")]
    Stopped,
}

/// Puts every file of a batch that is not there yet, one after the other; each is in memory only while it is put.
///
/// Declare [`Sealed::intent`] before and commit [`Sealed::last`] after. `may_write` is asked before each put: whether
/// the shard's lease is still held.
///
/// # Errors
/// The first failure. What was written stays, and the next attempt, whosever, finds it.
pub async fn write(
    store: &dyn ObjectStore,
    sealed: &Arc<Sealed>,
    tables: &Arc<Tables>,
    may_write: impl Fn() -> bool + Send,
) -> Result<Written, ArchiveError> {
    let mut written = Written::default();
    let keys: Vec<String> = sealed.keys().map(str::to_owned).collect();
    for (n, key) in keys.iter().enumerate() {
        let (encoding, tables) = (Arc::clone(sealed), Arc::clone(tables));
        let bytes = tokio::task::spawn_blocking(move || encoding.encode(n, &tables))
            .await
            .map_err(|_| ArchiveError::Stopped)??;
        if !may_write() {
            return Err(ArchiveError::NotOwner);
        }
        let size = bytes.len() as u64;
        match store.put_if_absent(key, bytes).await? {
            Put::Existed => written.existed += 1,
            Put::Created => {
                written.created += 1;
                written.bytes += size;
            }
        }
    }
    Ok(written)
}
