//! The port to whatever keeps the archive's files: a folder, S3, or memory.

use std::fmt;
use std::io::Read;

use async_trait::async_trait;
use bytes::Bytes;
use dial_rules::event::Millis;

/// What became of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The object was absent and is now there, whole.
    Created,
    /// An object of that key was there already and is as it was.
    Existed,
}

/// An object's name and size, as [`ObjectStore::list`] tells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// The key, relative to the store.
    pub key: String,
    /// Its length in bytes.
    pub size: u64,
}

/// What went wrong, as far as it decides what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// There is no object of that key.
    NotFound,
    /// The store does not let us.
    Denied,
    /// There is no space left, or a quota is used up.
    Full,
    /// The store itself is not there: no such bucket, another region.
    Missing,
    /// A file is where a folder has to be.
    NoFolder,
    /// Nobody has said which region of AWS to ask.
    NoRegion,
    /// The store or the way to it failed; a write may or may not have been made.
    Unavailable,
    /// The key is none that every store can hold.
    BadKey,
}

impl StoreErrorKind {
    fn advice(self) -> &'static str {
        match self {
            Self::NotFound => "no such object",
            Self::Denied => "not permitted; grant the right to it",
            Self::Full => "no space left; make room, it is tried again",
            Self::Missing => "the store is not there; check its name and region",
            Self::NoFolder => "a file is where a folder has to be; name a folder",
            Self::NoRegion => "no AWS region is set: set AWS_REGION or region in the profile",
            Self::Unavailable => "the store does not answer as it should; it is worth another try",
            Self::BadKey => "not a usable key",
        }
    }
}

/// A failed call to an [`ObjectStore`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{call} {place}: {}: {message}", .kind.advice())]
pub struct StoreError {
    /// The call, such as `put`.
    pub call: &'static str,
    /// The object or prefix, in the words of the store's users: a path or an `s3://` address.
    pub place: String,
    /// What to decide by.
    pub kind: StoreErrorKind,
    /// The store's own words.
    pub message: String,
}

impl StoreError {
    /// Whether the same call may work later without anybody changing the program: all but a missing object, a key that
    /// is none and a region that this process was not told. People repair buckets, disks and permissions while a worker
    /// waits.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        !matches!(self.kind, StoreErrorKind::NotFound | StoreErrorKind::BadKey | StoreErrorKind::NoRegion)
    }
}

/// Objects by key, written once and whole.
///
/// A key is a relative path with `/` between its parts (see [`check_key`]). What was put is durable when the call
/// returns, and no reader ever sees a part of an object.
#[async_trait]
pub trait ObjectStore: Send + Sync + fmt::Debug {
    /// Writes the object unless one of that key exists. Of several at once, in whichever processes, one creates it.
    ///
    /// # Errors
    /// Whatever the store said. After [`StoreErrorKind::Unavailable`] the object may be there: putting it again
    /// tells.
    async fn put_if_absent(&self, key: &str, bytes: Bytes) -> Result<Put, StoreError>;

    /// The whole object.
    ///
    /// # Errors
    /// [`StoreErrorKind::NotFound`], or whatever the store said.
    async fn get(&self, key: &str) -> Result<Bytes, StoreError>;

    /// The last `bytes` bytes of the object, or all of it if it has fewer: where Parquet files say what they hold.
    ///
    /// # Errors
    /// As of [`get`](Self::get).
    async fn tail(&self, key: &str, bytes: u64) -> Result<Bytes, StoreError> {
        let whole = self.get(key).await?;
        let skipped = whole.len().saturating_sub(usize::try_from(bytes).unwrap_or(usize::MAX));
        Ok(whole.slice(skipped..))
    }

    /// The object's length in bytes.
    ///
    /// # Errors
    /// As of [`get`](Self::get).
    async fn size(&self, key: &str) -> Result<u64, StoreError> {
        self.get(key).await.map(|bytes| bytes.len() as u64)
    }

    /// When the object came to be there, by the store's clock, in milliseconds since 1970; `None` where the store does not
    /// keep that.
    ///
    /// # Errors
    /// As of [`get`](Self::get).
    async fn put_at(&self, key: &str) -> Result<Option<Millis>, StoreError> {
        self.get(key).await.map(|_| None)
    }

    /// A reader of the object, which holds only a little of it at a time: for objects of any size. Its reads block;
    /// read it on a thread where that is allowed, such as tokio's `spawn_blocking` gives, never within a task.
    ///
    /// # Errors
    /// As of [`get`](Self::get); later ones come out of the reader.
    async fn open(&self, key: &str) -> Result<Box<dyn Read + Send>, StoreError>;

    /// Every object whose key begins with `prefix`, in the order of the keys' bytes. The prefix may end within a
    /// part: `events/v1/dt=2024-` has a year's files.
    ///
    /// # Errors
    /// Whatever the store said.
    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError>;

    /// Removes the object; one that is not there is removed already.
    ///
    /// # Errors
    /// Whatever the store said.
    async fn delete(&self, key: &str) -> Result<(), StoreError>;
}

/// Whether every store can hold an object of this key: relative, of at most 900 bytes, its parts not empty, at most
/// 255 bytes long, not beginning with a dot, and free of backslashes and control characters.
///
/// # Errors
/// [`StoreErrorKind::BadKey`], with what is wrong.
pub fn check_key(call: &'static str, key: &str) -> Result<(), StoreError> {
    let wrong = if key.len() > 900 {
        Some("longer than 900 bytes")
    } else if key.split('/').any(str::is_empty) {
        Some("a part between slashes is empty")
    } else if key.split('/').any(|part| part.starts_with('.')) {
        Some("a part begins with a dot")
    } else if key.split('/').any(|part| part.len() > 255) {
        Some("a part is longer than 255 bytes")
    } else if key.contains(|c: char| c == '\\' || c.is_control()) {
        Some("it has a backslash or a control character")
    } else {
        None
    };
    match wrong {
        None => Ok(()),
        Some(wrong) => Err(StoreError {
            call,
            place: format!("{:?}", key.chars().take(200).collect::<String>()),
            kind: StoreErrorKind::BadKey,
            message: wrong.to_owned(),
        }),
    }
}
