//! The stream port over Kinesis Data Streams.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{self, ShardIteratorType};
use aws_sdk_kinesis::{Client, Config};
use bytes::Bytes;
use tokio::sync::OnceCell;

use crate::error::{ErrorKind, PortError};
use crate::kinesis_push::{KinesisSubscription, consumer, starting_position, status};
use crate::sdk_error::port_error;
use crate::stream::{
    ChildShard, Consumer, GetRecords, HashRange, IteratorStart, Shard, ShardPage, StreamClient, StreamRecord,
    Subscription,
};

/// A stream of Kinesis Data Streams, by its name.
#[derive(Clone, Debug)]
pub struct KinesisStream {
    client: Client,
    stream_name: String,
    stream_arn: OnceCell<String>,
}

impl KinesisStream {
    /// The stream of this name in the client's region and account. The client's own retries are switched off, and its
    /// connections shared.
    pub fn new(client: Client, stream_name: impl Into<String>) -> Self {
        let config = client.config().to_builder().retry_config(RetryConfig::disabled()).timeout_config(timeouts());
        let config: Config = config.build();
        Self { client: Client::from_conf(config), stream_name: stream_name.into(), stream_arn: OnceCell::new() }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn stream_name(&self) -> &str {
        &self.stream_name
    }

    /// The stream's ARN, which its consumers are registered under. Asked for once.
    async fn stream_arn(&self) -> Result<&str, PortError> {
        let ask = || async {
            let call = self.client.describe_stream_summary().stream_name(&self.stream_name);
            let answer = call.send().await.map_err(|e| port_error("DescribeStreamSummary", e))?;
            let summary = answer.stream_description_summary;
            Ok(summary.ok_or_else(|| malformed("DescribeStreamSummary", "no summary"))?.stream_arn)
        };
        self.stream_arn.get_or_try_init(ask).await.map(String::as_str)
    }
}

/// The SDK leaves a connection on which nothing is heard in time, where a call that is dropped from outside stays on it.
/// It is the time until an answer begins: subscriptions last longer.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(Duration::from_secs(3)).read_timeout(Duration::from_secs(10)).build()
}

#[async_trait]
impl StreamClient for KinesisStream {
    async fn list_shards(&self, page: Option<&str>) -> Result<ShardPage, PortError> {
        let call = self.client.list_shards();
        // A token carries the stream; naming both is an error.
        let call = match page {
            Some(token) => call.next_token(token),
            None => call.stream_name(&self.stream_name),
        };
        let answer = call.send().await.map_err(|e| port_error("ListShards", e))?;
        Ok(ShardPage {
            next: answer.next_token,
            shards: answer.shards.unwrap_or_default().into_iter().map(shard).collect(),
        })
    }

    async fn get_iterator(&self, shard_id: &str, start: &IteratorStart) -> Result<String, PortError> {
        let call = self.client.get_shard_iterator().stream_name(&self.stream_name).shard_id(shard_id);
        let call = match start {
            IteratorStart::TrimHorizon => call.shard_iterator_type(ShardIteratorType::TrimHorizon),
            IteratorStart::Latest => call.shard_iterator_type(ShardIteratorType::Latest),
            IteratorStart::AtTimestamp(millis) => {
                call.shard_iterator_type(ShardIteratorType::AtTimestamp).timestamp(DateTime::from_millis(*millis))
            }
            IteratorStart::At(sequence) => call
                .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
                .starting_sequence_number(sequence.as_str()),
            IteratorStart::After(sequence) => call
                .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                .starting_sequence_number(sequence.as_str()),
        };
        let answer = call.send().await.map_err(|e| port_error("GetShardIterator", e))?;
        answer.shard_iterator.ok_or_else(|| malformed("GetShardIterator", "an answer without iterator"))
    }

    async fn get_records(&self, iterator: &str, limit: u32) -> Result<GetRecords, PortError> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let call = self.client.get_records().shard_iterator(iterator).limit(limit);
        let answer = call.send().await.map_err(|e| port_error("GetRecords", e))?;
        Ok(GetRecords {
            records: answer.records.into_iter().map(record).collect::<Result<_, _>>()?,
            next_iterator: answer.next_shard_iterator.filter(|iterator| !iterator.is_empty()),
            millis_behind_latest: answer.millis_behind_latest,
            child_shards: answer.child_shards.unwrap_or_default().into_iter().map(child).collect(),
        })
    }

    async fn describe_consumer(&self, consumer_name: &str) -> Result<Option<Consumer>, PortError> {
        let call = self.client.describe_stream_consumer().stream_arn(self.stream_arn().await?);
        match call.consumer_name(consumer_name).send().await.map_err(|e| port_error("DescribeStreamConsumer", e)) {
            Ok(answer) => {
                let found = answer.consumer_description;
                Ok(found.map(|found| Consumer { status: status(&found.consumer_status), arn: found.consumer_arn }))
            }
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn register_consumer(&self, consumer_name: &str) -> Result<Consumer, PortError> {
        let call = self.client.register_stream_consumer().stream_arn(self.stream_arn().await?);
        let answer = call.consumer_name(consumer_name).send().await;
        let answer = answer.map_err(|e| port_error("RegisterStreamConsumer", e))?;
        answer.consumer.map(consumer).ok_or_else(|| malformed("RegisterStreamConsumer", "no consumer"))
    }

    async fn subscribe(
        &self,
        consumer_arn: &str,
        shard_id: &str,
        start: &IteratorStart,
    ) -> Result<Box<dyn Subscription>, PortError> {
        let call = self.client.subscribe_to_shard().consumer_arn(consumer_arn).shard_id(shard_id);
        let answer = call.starting_position(starting_position(start)?).send().await;
        let answer = answer.map_err(|e| port_error("SubscribeToShard", e))?;
        Ok(Box::new(KinesisSubscription::of(answer)))
    }
}

pub(crate) fn malformed(call: &'static str, what: impl std::fmt::Display) -> PortError {
    PortError::new(call, ErrorKind::Unavailable, format!("the service sent {what}"))
}

pub(crate) fn record(record: types::Record) -> Result<StreamRecord, PortError> {
    let sequence_number = record.sequence_number.parse().map_err(|e| malformed("GetRecords", e))?;
    let arrival = record.approximate_arrival_timestamp.and_then(|time| time.to_millis().ok());
    Ok(StreamRecord {
        sequence_number,
        partition_key: record.partition_key.unwrap_or_default(),
        arrival: arrival.unwrap_or_default(),
        data: Bytes::from(record.data.into_inner()),
    })
}

fn shard(shard: types::Shard) -> Shard {
    let range = shard.sequence_number_range;
    Shard {
        shard_id: shard.shard_id,
        parent_ids: shard.parent_shard_id.into_iter().chain(shard.adjacent_parent_shard_id).collect(),
        hash_range: shard.hash_key_range.as_ref().and_then(hash_range),
        open: range.is_none_or(|range| range.ending_sequence_number.is_none()),
    }
}

pub(crate) fn child(child: types::ChildShard) -> ChildShard {
    ChildShard {
        shard_id: child.shard_id,
        parent_ids: child.parent_shards,
        hash_range: child.hash_key_range.as_ref().and_then(hash_range),
    }
}

fn hash_range(range: &types::HashKeyRange) -> Option<HashRange> {
    Some(HashRange { start: range.starting_hash_key.parse().ok()?, end: range.ending_hash_key.parse().ok()? })
}
