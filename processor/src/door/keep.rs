//! The port to where events are kept: once it says so, they are durable.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dial_ingest::{NewRecord, Producer, PutError};

/// How long a sender waits at most to hear that its events are kept. EventBridge gives an API destination five seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(4);

/// A body that holds at least one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parcel {
    /// As it was sent: perhaps gzipped.
    pub(crate) body: Bytes,
    /// The id of its first event.
    pub(crate) first_id: String,
    /// The size of the body, decompressed.
    pub(crate) expanded: u64,
}

/// Why a body is not known to be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeepError {
    /// Not now: there is no room.
    #[error("{0}")]
    Full(String),
    /// Never: it is larger than what a stream takes as one record.
    #[error("{0}")]
    TooLarge(String),
    /// Something outside failed.
    #[error("{0}")]
    Outside(String),
}

/// Where events are kept.
#[async_trait]
pub(crate) trait Keep: Send + Sync {
    /// Returns once the body is durable.
    async fn keep(&self, parcel: Parcel) -> Result<(), KeepError>;

    /// Bytes that are kept here and not processed, or on their way.
    fn backlog(&self) -> u64;

    /// Takes nothing more.
    fn close(&self) {}
}

/// The stream: a body becomes one record, so that it is kept as a whole or not at all.
#[derive(Debug)]
pub(crate) struct InStream(pub(crate) Producer);

#[async_trait]
impl Keep for InStream {
    async fn keep(&self, parcel: Parcel) -> Result<(), KeepError> {
        let record = NewRecord { partition_key: partition_key(&parcel.first_id), data: parcel.body };
        self.0.put(record, PATIENCE).await.map_err(|error| match error {
            PutError::TooLarge { .. } => KeepError::TooLarge(format!(
                "the body does not fit a record of the stream ({} bytes): send fewer events at a time, or gzip them",
                dial_ingest::producer::MAX_RECORD_BYTES
            )),
            PutError::Late { .. } => {
                tracing::warn!(%error, "what was posted is not in the stream yet");
                KeepError::Full("the stream did not take it in time".to_owned())
            }
            // What the service says may name accounts and roles: that is for the log.
            error => {
                tracing::error!(%error, "what was posted cannot be put into the stream");
                KeepError::Outside("the stream does not take it".to_owned())
            }
        })
    }

    fn backlog(&self) -> u64 {
        self.0.waiting_bytes() as u64
    }
}

/// An event's id, as far as a partition key may be long.
fn partition_key(id: &str) -> String {
    match id {
        "" => "-".to_owned(),
        id => id.chars().take(dial_ingest::producer::MAX_PARTITION_KEY).collect(),
    }
}

#[cfg(test)]
pub(crate) mod twins {
    //! A keep in memory that fails when told.

    use std::sync::{Mutex, PoisonError};

    use super::*;

    /// Keeps bodies in memory.
    #[derive(Debug, Default)]
    pub(crate) struct InMemory {
        kept: Mutex<Vec<Parcel>>,
        failure: Mutex<Option<KeepError>>,
        delay: Duration,
    }

    impl InMemory {
        /// Takes so long.
        pub(crate) fn slow(delay: Duration) -> InMemory {
            InMemory { delay, ..InMemory::default() }
        }

        pub(crate) fn kept(&self) -> Vec<Parcel> {
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }

        pub(crate) fn fail(&self, failure: Option<KeepError>) {
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
        }
    }

    #[async_trait]
    impl Keep for InMemory {
        async fn keep(&self, parcel: Parcel) -> Result<(), KeepError> {
            tokio::time::sleep(self.delay).await;
            if let Some(failure) = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone() {
                return Err(failure);
            }
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(parcel);
            Ok(())
        }

        fn backlog(&self) -> u64 {
            self.kept().iter().map(|parcel| parcel.body.len() as u64).sum()
        }
    }

    #[test]
    fn partition_keys_fit() {
        assert_eq!(partition_key(""), "-");
        assert_eq!(partition_key("abc"), "abc");
        assert_eq!(partition_key(&"ä".repeat(300)).chars().count(), 256);
    }
}
