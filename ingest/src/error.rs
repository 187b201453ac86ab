//! Errors of the two ports, reduced to what the worker decides by.

use std::fmt;

/// What went wrong, as far as it decides what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Too many calls: wait longer. The call had no effect.
    Throttled,
    /// The service or the way to it failed; the call may or may not have had its effect.
    Unavailable,
    /// The shard iterator is older than five minutes: ask for a new one.
    ExpiredIterator,
    /// The stream, shard or table does not exist.
    NotFound,
    /// The item is not as the write expected it: somebody else wrote in between.
    Refused,
    /// Somebody else has it, or it is not ready: of a consumer that is registered already, and of a subscription that
    /// another one replaced or follows too closely.
    InUse,
    /// The service will not do this, however often it is asked: missing permission, wrong argument.
    Denied,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::ExpiredIterator => "expired iterator",
            Self::NotFound => "not found",
            Self::Refused => "refused by its condition",
            Self::InUse => "in use",
            Self::Denied => "denied",
        })
    }
}

/// A failed call to a [`StreamClient`](crate::StreamClient) or a [`LeaseStore`](crate::LeaseStore).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{call}: {kind}: {message}")]
pub struct PortError {
    /// The call, as the service names it: `GetRecords`, `UpdateItem`.
    pub call: &'static str,
    /// What to decide by.
    pub kind: ErrorKind,
    /// The service's own words.
    pub message: String,
}

impl PortError {
    /// An error of `call`.
    pub fn new(call: &'static str, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { call, kind, message: message.into() }
    }
}

/// Why a processor could not finish a batch.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// It may work later: the same batch is handed over again after a while, and the checkpoint stays.
    #[error("{0}")]
    Retry(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It will not work however often it is tried: the worker stops with this error. Not for bad records, which a
    /// processor keeps aside.
    #[error("{0}")]
    Fatal(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The checkpoint could not be written.
    #[error(transparent)]
    Checkpoint(#[from] crate::checkpoint::CheckpointError),
}

impl ProcessError {
    /// An error worth another try.
    pub fn retry(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Retry(error.into())
    }

    /// An error that stops the worker.
    pub fn fatal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Fatal(error.into())
    }
}
