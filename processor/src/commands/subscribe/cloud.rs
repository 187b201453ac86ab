//! SNS and SQS, in the region of the topic.

use std::collections::HashMap;

use aws_config::{Region, SdkConfig};
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sns::types::Subscription as Listed;
use aws_sdk_sqs::types::QueueAttributeName;
use dial_sinks::arn::Arn;
use dial_sinks::aws_error::words;
use serde_json::{Value, json};

use super::plan::{Queue, Seen, Step, Subscription, Wanted};
use super::queue_policy;
use crate::failure::{Failure, Result};

/// How long a queue keeps what nobody reads: the longest that SQS has, 14 days in seconds.
const RETENTION: &str = "1209600";

pub(super) struct Cloud {
    sns: aws_sdk_sns::Client,
    sqs: aws_sdk_sqs::Client,
}

impl Cloud {
    pub(super) fn new(config: &SdkConfig, topic: &Arn) -> Cloud {
        let region = Region::new(topic.region.clone());
        let sns = aws_sdk_sns::config::Builder::from(config).region(region.clone()).build();
        let sqs = aws_sdk_sqs::config::Builder::from(config).region(region).build();
        Cloud { sns: aws_sdk_sns::Client::from_conf(sns), sqs: aws_sdk_sqs::Client::from_conf(sqs) }
    }

    /// That the topic is there, as far as we may ask.
    pub(super) async fn check_topic(&self, topic: &Arn) -> Result<()> {
        match self.sns.get_topic_attributes().topic_arn(topic.to_string()).send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.code() {
                Some("NotFound" | "NotFoundException" | "InvalidParameter" | "InvalidParameterException") => {
                    let name = &topic.resource;
                    let fifo = if name.ends_with(".fifo") { " --attributes FifoTopic=true" } else { "" };
                    Err(Failure::Outside(format!(
                        "there is no topic {topic} ({}): create it with `aws sns create-topic --region {} --name \
                         {name}{fifo}` in account {}, or correct --topic",
                        words(&error),
                        topic.region,
                        topic.account
                    )))
                }
                // Another account's, perhaps: to subscribe may still be allowed.
                Some("AuthorizationError" | "AuthorizationErrorException" | "AccessDenied") => {
                    tracing::warn!("whether the topic is there is not known: {}", words(&error));
                    Ok(())
                }
                _ => Err(failed("look at the topic", &error)),
            },
        }
    }

    /// What is there.
    pub(super) async fn look(&self, wanted: &Wanted) -> Result<Seen> {
        let Some(queue) = self.queue(&wanted.queue).await? else { return Ok(Seen::default()) };
        let subscription = self.subscription(&wanted.topic, &queue.arn).await?;
        Ok(Seen { queue: Some(queue), subscription })
    }

    async fn queue(&self, name: &str) -> Result<Option<Queue>> {
        match self.sqs.get_queue_url().queue_name(name).send().await {
            Ok(output) => match output.queue_url {
                Some(url) => self.described(url).await.map(Some),
                None => Err(Failure::Outside("SQS names a queue without a URL".to_owned())),
            },
            Err(error) if error.as_service_error().is_some_and(|error| error.is_queue_does_not_exist()) => Ok(None),
            Err(error) => Err(failed("look for the queue", &error)),
        }
    }

    async fn described(&self, url: String) -> Result<Queue> {
        let call = self.sqs.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::All);
        let output = call.send().await.map_err(|error| failed("look at the queue", &error))?;
        let mut attributes = output.attributes.unwrap_or_default();
        let arn = attributes.remove(&QueueAttributeName::QueueArn);
        let arn = arn.ok_or_else(|| Failure::Outside(format!("SQS tells no ARN of the queue {url}")))?;
        let by_sqs = attributes.get(&QueueAttributeName::SqsManagedSseEnabled).is_some_and(|value| value == "true");
        let by_kms = attributes.get(&QueueAttributeName::KmsMasterKeyId).is_some_and(|value| !value.is_empty());
        let policy = attributes.remove(&QueueAttributeName::Policy);
        Ok(Queue { url, arn, policy, is_encrypted: by_sqs || by_kms })
    }

    async fn subscription(&self, topic: &Arn, queue_arn: &str) -> Result<Option<Subscription>> {
        let mut pages = self.sns.list_subscriptions_by_topic().topic_arn(topic.to_string()).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failed("list the topic's subscriptions", &error))?;
            let is_ours = |one: &&Listed| one.protocol() == Some("sqs") && one.endpoint() == Some(queue_arn);
            // What waits for confirmation has no ARN, and to subscribe again confirms it.
            let ours = page.subscriptions().iter().find(is_ours).and_then(|one| one.subscription_arn());
            if let Some(arn) = ours.filter(|arn| arn.starts_with("arn:")) {
                return self.subscribed(arn).await.map(Some);
            }
        }
        Ok(None)
    }

    async fn subscribed(&self, arn: &str) -> Result<Subscription> {
        let call = self.sns.get_subscription_attributes().subscription_arn(arn);
        let output = call.send().await.map_err(|error| failed("look at the subscription", &error))?;
        let attributes = output.attributes.unwrap_or_default();
        let value = |name: &str| attributes.get(name).map(String::as_str);
        let filter = value("FilterPolicy").filter(|text| !text.is_empty());
        Ok(Subscription {
            arn: arn.to_owned(),
            filter: filter.map_or_else(|| json!({}), |text| serde_json::from_str(text).unwrap_or(Value::Null)),
            filters_body: value("FilterPolicyScope") == Some("MessageBody"),
            is_raw: value("RawMessageDelivery") == Some("true"),
        })
    }

    /// Makes the queue.
    pub(super) async fn create(&self, name: &str) -> Result<Queue> {
        let call = self.sqs.create_queue().queue_name(name);
        let call = call.attributes(QueueAttributeName::SqsManagedSseEnabled, "true");
        let mut call = call.attributes(QueueAttributeName::MessageRetentionPeriod, RETENTION);
        if name.ends_with(".fifo") {
            call = call.attributes(QueueAttributeName::FifoQueue, "true");
        }
        let output = call.send().await.map_err(|error| match error.as_service_error() {
            Some(service) if service.is_queue_deleted_recently() => {
                Failure::Outside(format!("a queue {name} was deleted just now: SQS makes it anew after a minute"))
            }
            _ => failed("create the queue", &error),
        })?;
        let url = output.queue_url.ok_or_else(|| Failure::Outside("SQS made a queue without a URL".to_owned()))?;
        self.described(url).await
    }

    /// Takes a step on a queue that is there, and says the subscription's ARN.
    pub(super) async fn take(
        &self,
        step: &Step,
        wanted: &Wanted,
        queue: &Queue,
        subscription: Option<String>,
    ) -> Result<Option<String>> {
        match step {
            // It has been done.
            Step::CreateQueue => {}
            Step::Encrypt => self.set_queue(queue, QueueAttributeName::SqsManagedSseEnabled, "true").await?,
            Step::AllowTopic => {
                let policy = queue_policy::allowing(queue.policy.as_deref(), &wanted.topic, &queue.arn);
                if let Some(policy) = policy.map_err(Failure::Outside)? {
                    self.set_queue(queue, QueueAttributeName::Policy, &policy).await?;
                }
            }
            Step::Subscribe => return self.subscribe(wanted, queue).await.map(Some),
            Step::SetFilterScope => {
                self.set_subscription(subscription.as_deref(), "FilterPolicyScope", "MessageAttributes").await?;
            }
            Step::SetFilter => {
                self.set_subscription(subscription.as_deref(), "FilterPolicy", &wanted.filter.to_string()).await?;
            }
            Step::SetRaw => self.set_subscription(subscription.as_deref(), "RawMessageDelivery", "true").await?,
        }
        Ok(subscription)
    }

    async fn subscribe(&self, wanted: &Wanted, queue: &Queue) -> Result<String> {
        let mut attributes = HashMap::from([("RawMessageDelivery".to_owned(), "true".to_owned())]);
        if wanted.filter != json!({}) {
            attributes.insert("FilterPolicy".to_owned(), wanted.filter.to_string());
        }
        let call = self.sns.subscribe().topic_arn(wanted.topic.to_string()).protocol("sqs").endpoint(&queue.arn);
        let call = call.set_attributes(Some(attributes)).return_subscription_arn(true);
        let output = call.send().await.map_err(|error| failed("subscribe the queue", &error))?;
        output.subscription_arn.ok_or_else(|| Failure::Outside("SNS made a subscription without an ARN".to_owned()))
    }

    async fn set_queue(&self, queue: &Queue, name: QueueAttributeName, value: &str) -> Result<()> {
        let doing = format!("set {} of the queue", name.as_str());
        let call = self.sqs.set_queue_attributes().queue_url(&queue.url).attributes(name, value);
        call.send().await.map(drop).map_err(|error| failed(&doing, &error))
    }

    async fn set_subscription(&self, arn: Option<&str>, name: &str, value: &str) -> Result<()> {
        let call = self.sns.set_subscription_attributes().set_subscription_arn(arn.map(str::to_owned));
        let call = call.attribute_name(name).attribute_value(value);
        call.send().await.map(drop).map_err(|error| failed(&format!("set {name} of the subscription"), &error))
    }
}

/// What could not be done, and what may help.
fn failed<E, R>(doing: &str, error: &SdkError<E, R>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let is_denied = error.code().is_some_and(|code| code.contains("AccessDenied") || code.contains("Authorization"));
    let hint = if is_denied { "; `dial subscribe --help` lists the rights that it takes" } else { "" };
    Failure::outside(format!("could not {doing}"), format!("{}{hint}", words(error)))
}
