//! [`Sink`]: the port to where alerts go.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::circuit::{Failure, Pause};
use crate::message::Message;

/// A destination of alerts. It is asked by the outbox only, which retries, limits and gives up; a sink makes one attempt.
#[async_trait]
pub trait Sink: std::fmt::Debug + Send + Sync {
    /// What kind of destination it is, as settings spell it: `slack`.
    fn kind(&self) -> &'static str;

    /// What it does with what comes after the first message of an alert.
    fn growth(&self) -> Growth;

    /// Sends one message, once. `sent` is what the destination called the alert's earlier message, if there is one. Must be
    /// safe to drop at any point.
    ///
    /// # Errors
    /// Why it is not known to have arrived. The text names no secret: neither key nor token nor an address that holds one.
    async fn send(&self, message: &Message, sent: Option<&Handle>) -> Result<Option<Handle>, SendError>;
}

/// What a destination does with what comes after the first message of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// It changes its message, or adds to it: an update may be sent soon.
    Updates,
    /// Every message stands alone: growth waits for a digest.
    Digests,
    /// Nothing is urgent: what comes gathers for a while, the first too.
    Batches,
}

/// What a destination calls a message that was sent: the `ts` of Slack, the id of a case. At most 1,024 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Handle(pub String);

/// Why a message is not known to have arrived.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SendError {
    /// It could not be reached, or failed by its own account.
    #[error("it is out of reach: {0}")]
    Unavailable(String),
    /// It did not answer in time.
    #[error("it did not answer in time")]
    Slow,
    /// It wants fewer messages.
    #[error("it limits how much it takes")]
    Limited {
        /// Nothing before so long, if it said.
        retry_after: Option<Duration>,
    },
    /// It does not let us in: a key is wrong, or a right is missing.
    #[error("it refuses us: {0}")]
    Refused(String),
    /// It does not take this message.
    #[error("it rejects the message: {0}")]
    Rejected(String),
    /// What it answered makes no sense.
    #[error("its answer makes no sense: {0}")]
    Nonsense(String),
}

impl Failure for SendError {
    fn pause(&self) -> Pause {
        match self {
            SendError::Refused(_) => Pause::Long,
            SendError::Limited { retry_after: Some(told) } => Pause::AtLeast(*told),
            _ => Pause::Doubling,
        }
    }
}
