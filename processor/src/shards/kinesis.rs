//! The port over Kinesis Data Streams.

use async_trait::async_trait;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::types::{ScalingType, StreamMode, StreamStatus as Status};
use aws_sdk_kinesis::{Client, Config};
use dial_ingest::resharding::{Look, StreamStatus};

use super::admin::{AdminError, AdminErrorKind, StreamAdmin, View};
use super::history::{self, TAG};

/// A stream of Kinesis Data Streams, by its name.
#[derive(Debug, Clone)]
pub(crate) struct KinesisAdmin {
    client: Client,
    /// Without retries: a repeated call could not be told from somebody else's.
    once: Client,
    stream_name: String,
}

impl KinesisAdmin {
    pub(crate) fn new(client: Client, stream_name: impl Into<String>) -> KinesisAdmin {
        let once: Config = client.config().to_builder().retry_config(RetryConfig::disabled()).build();
        KinesisAdmin { client, once: Client::from_conf(once), stream_name: stream_name.into() }
    }
}

#[async_trait]
impl StreamAdmin for KinesisAdmin {
    async fn look(&self) -> Result<View, AdminError> {
        const CALL: &str = "DescribeStreamSummary";
        let answer = self.client.describe_stream_summary().stream_name(&self.stream_name).send().await;
        let answer = answer.map_err(|error| admin_error(CALL, error))?;
        let summary = answer.stream_description_summary.ok_or_else(|| malformed(CALL, "no summary"))?;
        let status = match summary.stream_status {
            Status::Active => StreamStatus::Active,
            Status::Deleting => StreamStatus::Deleting,
            _ => StreamStatus::Changing,
        };
        let mode = summary.stream_mode_details.map(|details| details.stream_mode);
        let shards = u32::try_from(summary.open_shard_count).map_err(|_| malformed(CALL, "no number of shards"))?;
        Ok(View { look: Look { status, shards }, on_demand: mode == Some(StreamMode::OnDemand) })
    }

    async fn update_shard_count(&self, count: u32) -> Result<(), AdminError> {
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        let call = self.once.update_shard_count().stream_name(&self.stream_name).target_shard_count(count);
        let answer = call.scaling_type(ScalingType::UniformScaling).send().await;
        answer.map(drop).map_err(|error| admin_error("UpdateShardCount", error))
    }

    async fn account_room(&self) -> Result<u32, AdminError> {
        let answer = self.client.describe_limits().send().await;
        let answer = answer.map_err(|error| admin_error("DescribeLimits", error))?;
        let room = answer.shard_limit.saturating_sub(answer.open_shard_count).max(0);
        Ok(u32::try_from(room).unwrap_or(0))
    }

    async fn history(&self) -> Result<Vec<i64>, AdminError> {
        // Tags come in the order of their names, and a stream has at most 50: one page holds all.
        let answer = self.client.list_tags_for_stream().stream_name(&self.stream_name).send().await;
        let answer = answer.map_err(|error| admin_error("ListTagsForStream", error))?;
        let tag = answer.tags.into_iter().find(|tag| tag.key == TAG);
        Ok(tag.and_then(|tag| tag.value).map(|value| history::read(&value)).unwrap_or_default())
    }

    async fn note_history(&self, times: &[i64]) -> Result<(), AdminError> {
        let call = self.client.add_tags_to_stream().stream_name(&self.stream_name).tags(TAG, history::write(times));
        call.send().await.map(drop).map_err(|error| admin_error("AddTagsToStream", error))
    }
}

fn malformed(call: &'static str, what: &str) -> AdminError {
    AdminError { call, kind: AdminErrorKind::Unavailable, message: format!("the service sent {what}") }
}

fn admin_error<E>(call: &'static str, error: SdkError<E>) -> AdminError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let kind = match &error {
        SdkError::ConstructionFailure(_) => AdminErrorKind::Denied,
        SdkError::DispatchFailure(failure) if failure.is_user() => AdminErrorKind::Denied,
        SdkError::ServiceError(answer) => {
            AdminError::kind_of(answer.err().code().unwrap_or_default(), answer.raw().status().as_u16())
        }
        _ => AdminErrorKind::Unavailable,
    };
    let message = match error.as_service_error().map(|service| (service.code(), service.message())) {
        Some((Some(code), Some(message))) => format!("{code}: {message}"),
        Some((Some(code), None)) => code.to_owned(),
        _ => DisplayErrorContext(&error).to_string(),
    };
    AdminError { call, kind, message }
}
