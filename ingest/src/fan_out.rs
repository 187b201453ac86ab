//! Enhanced fan-out: the consumer that a worker registers with the stream, and when to do without it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tracing::info;

use crate::error::{ErrorKind, PortError};
use crate::retry;
use crate::stream::{ConsumerStatus, StreamClient};

/// So many failures in a row of subscribing are tried again at once; then the shard is polled for a while.
const PATIENCE: u32 = 5;
/// How long a shard is polled after the service was not able to push.
const POLL_AFTER_FAILURE: Duration = Duration::from_secs(60);
/// How long a shard is polled after the service refused to push: a person must grant or register something.
const POLL_AFTER_REFUSAL: Duration = Duration::from_secs(300);

/// The consumer of one worker, registered when the first shard needs it.
pub(crate) struct FanOut {
    stream: Arc<dyn StreamClient>,
    consumer_name: String,
    arn: Mutex<Option<Arc<str>>>,
}

impl FanOut {
    pub(crate) fn new(stream: Arc<dyn StreamClient>, consumer_name: String) -> Self {
        Self { stream, consumer_name, arn: Mutex::new(None) }
    }

    /// What to subscribe with. Asked for once, however many shards wait for it; an attempt is short, and whoever fails
    /// tries again by itself, so that a consumer which does not become active keeps nobody waiting behind the lock.
    pub(crate) async fn arn(&self) -> Result<Arc<str>, PortError> {
        let mut known = self.arn.lock().await;
        if let Some(arn) = &*known {
            return Ok(arn.clone());
        }
        let arn = self.register().await?;
        *known = Some(arn.clone());
        Ok(arn)
    }

    /// The consumer may be there no more: ask again.
    pub(crate) async fn forget(&self) {
        *self.arn.lock().await = None;
    }

    async fn register(&self) -> Result<Arc<str>, PortError> {
        let consumer = match self.stream.describe_consumer(&self.consumer_name).await? {
            Some(consumer) => consumer,
            // Where another worker of ours was faster, that is in use: the next attempt finds it.
            None => self.stream.register_consumer(&self.consumer_name).await?,
        };
        if consumer.status == ConsumerStatus::Active {
            info!(consumer = %self.consumer_name, "registered for enhanced fan-out");
            return Ok(consumer.arn.into());
        }
        let message = format!("consumer {} is not active yet", self.consumer_name);
        Err(PortError::new("RegisterStreamConsumer", ErrorKind::InUse, message))
    }
}

/// What to do after a subscription failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterFailure {
    /// Subscribe again after this.
    Subscribe(Duration),
    /// Poll for so long, then subscribe again.
    Poll(Duration),
}

/// The decision, given how many attempts in a row have failed.
pub(crate) fn after_failure(kind: ErrorKind, failures: u32, seed: u64) -> AfterFailure {
    match kind {
        ErrorKind::Denied => AfterFailure::Poll(POLL_AFTER_REFUSAL),
        _ if failures >= PATIENCE => AfterFailure::Poll(POLL_AFTER_FAILURE),
        _ => AfterFailure::Subscribe(retry::delay(failures, kind, seed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_polled_for_and_an_outage_is_waited_for() {
        assert_eq!(after_failure(ErrorKind::Denied, 1, 0), AfterFailure::Poll(POLL_AFTER_REFUSAL));
        for kind in [ErrorKind::InUse, ErrorKind::Unavailable, ErrorKind::Throttled, ErrorKind::NotFound] {
            assert!(matches!(after_failure(kind, 1, 0), AfterFailure::Subscribe(_)), "{kind}");
            assert_eq!(after_failure(kind, PATIENCE, 0), AfterFailure::Poll(POLL_AFTER_FAILURE), "{kind}");
        }
    }
}
