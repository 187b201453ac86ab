//! [`SnsSink`]: a topic of Amazon SNS. Its subscribers filter by the message's attributes.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sns::Client;
use aws_sdk_sns::config::Region;
use aws_sdk_sns::config::retry::RetryConfig;
use aws_sdk_sns::config::timeout::TimeoutConfig;
use aws_sdk_sns::types::MessageAttributeValue;

use super::attributes::{Attribute, attributes};
use super::body::{MOST, body};
use super::fifo::FifoIds;
use crate::arn::Arn;
use crate::aws_error::send_error;
use crate::message::Message;
use crate::sink::{Growth, Handle, SendError, Sink};

/// The longest that a call takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A topic. The message is the alert's JSON; one topic whose name ends in `.fifo` keeps the messages of an alert in order and
/// drops repeats.
#[derive(Debug)]
pub struct SnsSink {
    client: Client,
    topic: Arn,
}

impl SnsSink {
    /// Publishes to the topic with this ARN, in its region, with the credentials, the endpoint and the HTTP client of `client`.
    ///
    /// # Errors
    /// What to write instead, to follow the key's name.
    pub fn new(client: &Client, topic: &str) -> Result<SnsSink, String> {
        let topic = Arn::of_service(topic, "sns", "arn:aws:sns:eu-west-1:111122223333:alerts")?;
        let config = client.config().to_builder().region(Region::new(topic.region.clone()));
        let timeouts = TimeoutConfig::builder().operation_timeout(PATIENCE).build();
        let config = config.retry_config(RetryConfig::disabled()).timeout_config(timeouts).build();
        Ok(SnsSink { client: Client::from_conf(config), topic })
    }
}

#[async_trait]
impl Sink for SnsSink {
    fn kind(&self) -> &'static str {
        "sns"
    }

    fn growth(&self) -> Growth {
        Growth::Digests
    }

    async fn send(&self, message: &Message, _: Option<&Handle>) -> Result<Option<Handle>, SendError> {
        let mut call = self.client.publish().topic_arn(self.topic.to_string());
        call = call.subject(subject(message)).message(body(message, MOST));
        for Attribute { name, data_type, value } in attributes(message) {
            let value = MessageAttributeValue::builder().data_type(data_type).string_value(value).build();
            let value = value.map_err(|error| SendError::Rejected(error.to_string()))?;
            call = call.message_attributes(name, value);
        }
        if let Some(FifoIds { group, deduplication }) = FifoIds::of(message, &self.topic.resource) {
            call = call.message_group_id(group).message_deduplication_id(deduplication);
        }
        match call.send().await {
            Ok(output) if output.message_id.is_some() => Ok(None),
            Ok(_) => Err(SendError::Nonsense("it took the message and gave it no id".to_owned())),
            Err(error) => Err(about_topic(send_error(&error), &self.topic)),
        }
    }
}

/// A topic that is not there is our settings' fault, not the message's, whatever SNS calls it.
fn about_topic(error: SendError, topic: &Arn) -> SendError {
    match error {
        SendError::Rejected(words) if words.contains("TopicArn") || words.contains("TargetArn") => {
            SendError::Unavailable(format!("{words}; check that the topic {topic} is there"))
        }
        SendError::Unavailable(words) if words.starts_with("NotFound") => {
            SendError::Unavailable(format!("{words}; check that the topic {topic} is there"))
        }
        other => other,
    }
}

/// The subject of mails: printable ASCII, less than 100 characters.
fn subject(message: &Message) -> String {
    let sample = if message.is_sample { "sample " } else { "" };
    let severity = message.severity.as_str().to_uppercase();
    let text = format!("DIAL {sample}{severity}: {}", message.titled());
    let plain = |c: char| match c {
        ' '..='~' => c,
        _ if c.is_control() => ' ',
        _ => '?',
    };
    text.chars().map(plain).take(99).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{SampleKind, sample};

    #[test]
    fn subjects_are_what_sns_takes() {
        let mut message = sample(SampleKind::Single);
        assert_eq!(subject(&message), "DIAL sample HIGH: Administrator rights granted to a user");
        message.is_sample = false;
        message.title = " \u{fe0f}".to_owned();
        assert_eq!(subject(&message), format!("DIAL HIGH: {}", message.lead.finding.rule_id));
        for title in ["", "a\r\nBcc: x@example.com", "ключ \u{202e}\x1b[31m", &"x".repeat(500)] {
            message.title = title.to_owned();
            let subject = subject(&message);
            assert!(subject.starts_with("DIAL HIGH:") && subject.len() < 100, "{subject:?}");
            assert!(subject.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{subject:?}");
        }
    }

    #[test]
    fn a_topic_is_named_by_its_arn() {
        let config = aws_sdk_sns::Config::builder().behavior_version_latest().build();
        let client = Client::from_conf(config);
        assert!(SnsSink::new(&client, "arn:aws:sns:eu-west-1:111122223333:alerts").is_ok());
        let wrong = SnsSink::new(&client, "alerts").unwrap_err();
        assert!(wrong.contains("arn:aws:sns:eu-west-1"), "{wrong}");
    }
}
