//! The port through which the number of shards is changed.

use async_trait::async_trait;
use dial_ingest::resharding::Look;

/// A stream, as far as its number of shards goes. Each method is one call, or a few that only read.
#[async_trait]
pub(crate) trait StreamAdmin: Send + Sync {
    /// The stream as it is (`DescribeStreamSummary`).
    async fn look(&self) -> Result<View, AdminError>;

    /// Asks for so many shards, uniformly (`UpdateShardCount`). It is done when the stream is ACTIVE again.
    async fn update_shard_count(&self, count: u32) -> Result<(), AdminError>;

    /// How many more shards the account may open (`DescribeLimits`).
    async fn account_room(&self) -> Result<u32, AdminError>;

    /// When the number of shards was asked to change, in milliseconds since the Unix epoch, as far as that was noted.
    async fn history(&self) -> Result<Vec<i64>, AdminError>;

    /// Notes these times in place of those noted before.
    async fn note_history(&self, times: &[i64]) -> Result<(), AdminError>;
}

/// A look at a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) look: Look,
    /// Kinesis sizes the stream itself.
    pub(crate) on_demand: bool,
}

/// What a failure means for what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AdminErrorKind {
    /// A limit is reached: of calls in 24 hours, of shards, of streams that change at one time. Nothing was done.
    Limit,
    /// The stream is being changed. Nothing was done.
    Busy,
    /// Too many calls in this second. Nothing was done.
    Throttled,
    /// No answer: it may have been done.
    Unavailable,
    /// It will not be done, however often it is asked.
    Denied,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{call}: {message}")]
pub(crate) struct AdminError {
    pub(crate) call: &'static str,
    pub(crate) kind: AdminErrorKind,
    /// The service's own words.
    pub(crate) message: String,
}

impl AdminError {
    /// By the error code, as the API reference of Kinesis lists them, else by the HTTP status.
    pub(crate) fn kind_of(code: &str, status: u16) -> AdminErrorKind {
        match code {
            "LimitExceededException" => AdminErrorKind::Limit,
            "ResourceInUseException" => AdminErrorKind::Busy,
            "ThrottlingException" | "Throttling" | "RequestLimitExceeded" | "TooManyRequestsException" => {
                AdminErrorKind::Throttled
            }
            _ if status == 429 => AdminErrorKind::Throttled,
            _ if status >= 500 || status == 408 => AdminErrorKind::Unavailable,
            _ => AdminErrorKind::Denied,
        }
    }
}
