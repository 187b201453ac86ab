//! [`SqsSink`]: a queue of Amazon SQS.

mod place;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Region;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::types::MessageAttributeValue;

use self::place::QueuePlace;
use super::attributes::{Attribute, attributes};
use super::body::{MOST, body};
use super::fifo::FifoIds;
use super::sns::PATIENCE;
use crate::aws_error::send_error;
use crate::message::Message;
use crate::sink::{Growth, Handle, SendError, Sink};

/// A queue. The message and its attributes are those of [`SnsSink`](super::sns::SnsSink); a queue whose name ends in `.fifo`
/// keeps the messages of an alert in order and drops repeats.
#[derive(Debug)]
pub struct SqsSink {
    client: Client,
    queue: QueuePlace,
}

impl SqsSink {
    /// Sends to the queue with this URL, in the region that it names, or to the endpoint that it is where it names none, with the
    /// credentials and the HTTP client of `client`.
    ///
    /// # Errors
    /// What to write instead, to follow the key's name.
    pub fn new(client: &Client, queue_url: &str) -> Result<SqsSink, String> {
        let queue = QueuePlace::parse(queue_url)?;
        let timeouts = TimeoutConfig::builder().operation_timeout(PATIENCE).build();
        let mut config = client.config().to_builder().retry_config(RetryConfig::disabled()).timeout_config(timeouts);
        config.set_region(queue.region.clone().map(Region::new).or_else(|| client.config().region().cloned()));
        if let Some(endpoint) = &queue.endpoint {
            config = config.endpoint_url(endpoint);
        }
        Ok(SqsSink { client: Client::from_conf(config.build()), queue })
    }
}

#[async_trait]
impl Sink for SqsSink {
    fn kind(&self) -> &'static str {
        "sqs"
    }

    fn growth(&self) -> Growth {
        Growth::Digests
    }

    async fn send(&self, message: &Message, _: Option<&Handle>) -> Result<Option<Handle>, SendError> {
        let mut call = self.client.send_message().queue_url(&self.queue.url).message_body(body(message, MOST));
        for Attribute { name, data_type, value } in attributes(message) {
            let value = MessageAttributeValue::builder().data_type(data_type).string_value(value).build();
            let value = value.map_err(|error| SendError::Rejected(error.to_string()))?;
            call = call.message_attributes(name, value);
        }
        if let Some(FifoIds { group, deduplication }) = FifoIds::of(message, &self.queue.url) {
            call = call.message_group_id(group).message_deduplication_id(deduplication);
        }
        match call.send().await {
            Ok(output) if output.message_id.is_some() => Ok(None),
            Ok(_) => Err(SendError::Nonsense("it took the message and gave it no id".to_owned())),
            Err(error) => Err(about_queue(send_error(&error), &self.queue.url)),
        }
    }
}

/// A queue that is not there is our settings' fault, not the message's.
fn about_queue(error: SendError, url: &str) -> SendError {
    match error {
        SendError::Unavailable(words) | SendError::Rejected(words)
            if words.contains("NonExistentQueue")
                || words.contains("QueueDoesNotExist")
                || words.starts_with("InvalidAddress") =>
        {
            SendError::Unavailable(format!("{words}; check that the queue {url} is there"))
        }
        other => other,
    }
}
