//! Enhanced fan-out of Kinesis Data Streams: what the SDK calls it, in the stream port's words.

use async_trait::async_trait;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardOutput;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{self, ShardIteratorType, StartingPosition, SubscribeToShardEventStream};

use crate::error::{ErrorKind, PortError};
use crate::kinesis::{child, malformed, record};
use crate::sdk_error::{kind_of, told};
use crate::stream::{Consumer, ConsumerStatus, IteratorStart, Pushed, Subscription};

pub(crate) fn consumer(consumer: types::Consumer) -> Consumer {
    Consumer { status: status(&consumer.consumer_status), arn: consumer.consumer_arn }
}

pub(crate) fn status(status: &types::ConsumerStatus) -> ConsumerStatus {
    match status {
        types::ConsumerStatus::Active => ConsumerStatus::Active,
        types::ConsumerStatus::Deleting => ConsumerStatus::Deleting,
        _ => ConsumerStatus::Creating,
    }
}

pub(crate) fn starting_position(start: &IteratorStart) -> Result<StartingPosition, PortError> {
    let position = StartingPosition::builder();
    let position = match start {
        IteratorStart::TrimHorizon => position.r#type(ShardIteratorType::TrimHorizon),
        IteratorStart::Latest => position.r#type(ShardIteratorType::Latest),
        IteratorStart::AtTimestamp(millis) => {
            position.r#type(ShardIteratorType::AtTimestamp).timestamp(DateTime::from_millis(*millis))
        }
        IteratorStart::At(sequence) => {
            position.r#type(ShardIteratorType::AtSequenceNumber).sequence_number(sequence.as_str())
        }
        IteratorStart::After(sequence) => {
            position.r#type(ShardIteratorType::AfterSequenceNumber).sequence_number(sequence.as_str())
        }
    };
    position.build().map_err(|error| PortError::new("SubscribeToShard", ErrorKind::Denied, error.to_string()))
}

/// A subscription over one HTTP/2 stream.
pub(crate) struct KinesisSubscription {
    answer: SubscribeToShardOutput,
}

impl KinesisSubscription {
    pub(crate) fn of(answer: SubscribeToShardOutput) -> Self {
        Self { answer }
    }
}

#[async_trait]
impl Subscription for KinesisSubscription {
    async fn next(&mut self) -> Result<Option<Pushed>, PortError> {
        let event = loop {
            match self.answer.event_stream.recv().await {
                Ok(Some(SubscribeToShardEventStream::SubscribeToShardEvent(event))) => break event,
                // Of a kind that is newer than the SDK; no record comes so.
                Ok(Some(_)) => {}
                Ok(None) => return Ok(None),
                Err(error) => return Err(push_error(&error)),
            }
        };
        // An empty number, or none, says that the shard has ended.
        let continuation = Some(event.continuation_sequence_number).filter(|number| !number.is_empty());
        let continuation = continuation.map(|number| number.parse()).transpose();
        Ok(Some(Pushed {
            records: event.records.into_iter().map(record).collect::<Result<_, _>>()?,
            continuation: continuation.map_err(|error| malformed("SubscribeToShard", error))?,
            millis_behind_latest: Some(event.millis_behind_latest),
            child_shards: event.child_shards.unwrap_or_default().into_iter().map(child).collect(),
        }))
    }
}

/// An error that came over the subscription's own stream.
fn push_error<E, R>(error: &SdkError<E, R>) -> PortError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    let service = error.as_service_error();
    let kind = service.and_then(ProvideErrorMetadata::code).map_or(ErrorKind::Unavailable, |code| kind_of(code, 500));
    PortError::new("SubscribeToShard", kind, told(error))
}
