//! Topics, queues and buses on ministack, and what arrives in a queue.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_sqs::types::{Message as Received, QueueAttributeName};
use dial_emulators::{Ministack, sdk_config, unique};
use dial_rules::severity::Severity;
use dial_sinks::message::Message;
use dial_sinks::samples::{SampleKind, sample};
use serde_json::Value;

/// Clients of one runtime.
pub(crate) struct Cloud {
    pub(crate) sns: aws_sdk_sns::Client,
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) events: aws_sdk_eventbridge::Client,
}

/// A queue and its names.
pub(crate) struct Queue {
    pub(crate) url: String,
    pub(crate) arn: String,
}

impl Cloud {
    pub(crate) fn new() -> Cloud {
        Cloud::at(&Ministack::shared().endpoint())
    }

    pub(crate) fn at(endpoint: &str) -> Cloud {
        let config = sdk_config(endpoint);
        Cloud {
            sns: aws_sdk_sns::Client::new(&config),
            sqs: aws_sdk_sqs::Client::new(&config),
            events: aws_sdk_eventbridge::Client::new(&config),
        }
    }

    pub(crate) async fn topic(&self, fifo: bool) -> String {
        let call = self.sns.create_topic().name(name("topic", fifo));
        let call = if fifo { call.attributes("FifoTopic", "true") } else { call };
        call.send().await.unwrap().topic_arn.unwrap()
    }

    pub(crate) async fn queue(&self, fifo: bool) -> Queue {
        let call = self.sqs.create_queue().queue_name(name("queue", fifo));
        let call = if fifo { call.attributes(QueueAttributeName::FifoQueue, "true") } else { call };
        let url = call.send().await.unwrap().queue_url.unwrap();
        let call = self.sqs.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::QueueArn);
        let mut attributes = call.send().await.unwrap().attributes.unwrap();
        Queue { arn: attributes.remove(&QueueAttributeName::QueueArn).unwrap(), url }
    }

    /// A queue that gets what passes the policy of a topic.
    pub(crate) async fn subscribed(&self, topic: &str, policy: Option<&Value>) -> Queue {
        let queue = self.queue(topic.ends_with(".fifo")).await;
        let mut attributes = HashMap::from([("RawMessageDelivery".to_owned(), "true".to_owned())]);
        attributes.extend(policy.map(|policy| ("FilterPolicy".to_owned(), policy.to_string())));
        let call = self.sns.subscribe().topic_arn(topic).protocol("sqs").endpoint(&queue.arn);
        call.set_attributes(Some(attributes)).send().await.unwrap();
        queue
    }

    /// Everything that is in a queue, of which there must be at least `least`.
    pub(crate) async fn received(&self, queue: &Queue, least: usize) -> Vec<Received> {
        let mut all = Vec::new();
        for _ in 0..50 {
            let call = self.sqs.receive_message().queue_url(&queue.url).max_number_of_messages(10);
            let call = call.message_attribute_names("All").wait_time_seconds(i32::from(all.len() < least));
            let some = call.send().await.unwrap().messages.unwrap_or_default();
            if some.is_empty() && all.len() >= least {
                break;
            }
            for message in &some {
                let receipt = message.receipt_handle().unwrap();
                self.sqs.delete_message().queue_url(&queue.url).receipt_handle(receipt).send().await.unwrap();
            }
            all.extend(some);
        }
        all
    }

    /// The `thread`s of what is in a queue, in order.
    pub(crate) async fn threads(&self, queue: &Queue, least: usize) -> Vec<String> {
        let bodies = self.received(queue, least).await;
        bodies.iter().map(|one| body(one)["thread"].as_str().unwrap().to_owned()).collect()
    }
}

pub(crate) fn body(received: &Received) -> Value {
    serde_json::from_str(received.body().unwrap()).unwrap()
}

pub(crate) fn attributes(received: &Received) -> BTreeMap<String, String> {
    let attributes = received.message_attributes().unwrap();
    attributes.iter().map(|(name, value)| (name.clone(), value.string_value().unwrap().to_owned())).collect()
}

fn name(prefix: &str, fifo: bool) -> String {
    if fifo { format!("{}.fifo", unique(prefix)) } else { unique(prefix) }
}

/// A sample with a thread of its own and another severity.
pub(crate) fn message(thread: &str, kind: SampleKind, severity: Severity) -> Message {
    Message { thread: thread.to_owned(), key: format!("{thread}-0"), severity, ..sample(kind) }
}
