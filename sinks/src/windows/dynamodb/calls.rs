//! How DynamoDB answers the store's calls: what it throttles is tried again, with growing pauses.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use futures::{StreamExt, TryStreamExt};

use super::keys;
use super::spread::{Marker, Place};
use super::table::{Content, NewPack, Page, Row, Stretch, Table};
use crate::dynamodb::explain;
use crate::retry;
use crate::windows::store::WindowError;

/// DynamoDB's limit of rows in one BatchWriteItem call; of our packs they have 2.5 MB at most, where 16 MB are allowed.
const BATCH: usize = 25;
/// BatchWriteItem calls in flight at once, of one append.
const CONCURRENCY: usize = 8;

type Item = HashMap<String, AttributeValue>;

/// The table itself.
#[derive(Debug)]
pub(super) struct DynamoTable {
    pub(super) client: Client,
    pub(super) table: String,
}

impl DynamoTable {
    fn failed<E, R>(&self, verb: &str, error: SdkError<E, R>) -> WindowError
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        WindowError::unavailable(format!("{verb} DynamoDB table {}", self.table), explain(error))
    }

    /// Waits before attempt number `attempt`, or fails when there were enough.
    async fn pause_or_fail(&self, verb: &str, attempt: u32) -> Result<(), WindowError> {
        if self.pause(attempt).await {
            return Ok(());
        }
        let action = format!("{verb} DynamoDB table {}", self.table);
        Err(WindowError::unavailable(action, "the table is throttled; raise its capacity"))
    }

    /// Makes a call until it is not throttled.
    async fn patiently<T, E, R, F>(
        &self,
        verb: &str,
        call: impl Fn() -> F,
    ) -> Result<Result<T, SdkError<E, R>>, WindowError>
    where
        F: Future<Output = Result<T, SdkError<E, R>>>,
        E: ProvideErrorMetadata,
    {
        let mut attempt = 0;
        loop {
            match call().await {
                Err(e) if throttled(&e) => attempt += 1,
                done => return Ok(done),
            }
            self.pause_or_fail(verb, attempt).await?;
        }
    }

    async fn put_chunk(&self, packs: Vec<NewPack>) -> Result<(), WindowError> {
        let built = packs.into_iter().map(put_request).collect::<Result<Vec<_>, _>>();
        let mut left = built.map_err(|e| WindowError::unavailable("build a request to DynamoDB", e))?;
        let mut attempt = 0;
        loop {
            let before = left.len();
            let call = self.client.batch_write_item().request_items(&self.table, left.clone());
            match call.send().await {
                Ok(answer) => {
                    left = answer.unprocessed_items.unwrap_or_default().remove(&self.table).unwrap_or_default();
                }
                Err(e) if throttled(&e) => {}
                Err(e) => return Err(self.failed("write to", e)),
            }
            if left.is_empty() {
                return Ok(());
            }
            // A part of it is progress, but a pause all the same: the rest was throttled.
            attempt = if left.len() < before { 1 } else { attempt + 1 };
            self.pause_or_fail("write to", attempt).await?;
        }
    }
}

fn throttled<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default();
    matches!(code, "ProvisionedThroughputExceededException" | "ThrottlingException" | "RequestLimitExceeded")
}

fn put_request(pack: NewPack) -> Result<WriteRequest, BuildError> {
    let request = PutRequest::builder()
        .item(keys::WINDOW, AttributeValue::S(pack.partition))
        .item(keys::POSITION, AttributeValue::S(pack.position))
        .item(keys::ITEMS, AttributeValue::S(pack.payload))
        .item(keys::CORRELATION, AttributeValue::S(pack.correlation))
        .item(keys::EXPIRES, AttributeValue::N(pack.expires.to_string()));
    Ok(WriteRequest::builder().put_request(request.build()?).build())
}

#[async_trait]
impl Table for DynamoTable {
    async fn put(&self, packs: Vec<NewPack>) -> Result<(), WindowError> {
        let chunks: Vec<Vec<NewPack>> = packs.chunks(BATCH).map(<[NewPack]>::to_vec).collect();
        let puts = futures::stream::iter(chunks).map(|chunk| self.put_chunk(chunk));
        puts.buffer_unordered(CONCURRENCY).try_collect().await
    }

    async fn query(&self, stretch: &Stretch, after: Option<String>) -> Result<Page, WindowError> {
        let start = after.map(|position| key(&stretch.partition, position));
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("#window = :window AND #position BETWEEN :least AND :greatest")
            .expression_attribute_names("#window", keys::WINDOW)
            .expression_attribute_names("#position", keys::POSITION)
            .expression_attribute_values(":window", AttributeValue::S(stretch.partition.clone()))
            .expression_attribute_values(":least", AttributeValue::S(stretch.least.clone()))
            .expression_attribute_values(":greatest", AttributeValue::S(stretch.greatest.clone()))
            .set_exclusive_start_key(start);
        let answer = self.patiently("read", || query.clone().send()).await?.map_err(|e| self.failed("read", e))?;
        let rows = answer.items.unwrap_or_default().into_iter().map(|item| parse(&stretch.partition, item));
        let next = answer.last_evaluated_key.and_then(|mut key| text(&mut key, keys::POSITION));
        Ok(Page { rows: rows.collect::<Result<_, _>>()?, next })
    }

    async fn marker(&self, place: &Place) -> Result<Option<Marker>, WindowError> {
        let call = self.client.get_item().table_name(&self.table).consistent_read(true);
        let call = call.set_key(Some(key(&place.window, keys::marker_position(&place.bucket))));
        let answer = self.patiently("read", || call.clone().send()).await?.map_err(|e| self.failed("read", e))?;
        let Some(item) = answer.item else { return Ok(None) };
        match parse(&place.window, item)?.content {
            Content::Marker(marker) => Ok(Some(marker)),
            Content::Pack(_) => Ok(None),
        }
    }

    async fn replace_marker(&self, place: &Place, before: Option<Marker>, marker: Marker) -> Result<bool, WindowError> {
        let number = |number: &dyn ToString| AttributeValue::N(number.to_string());
        let call = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(&place.window, keys::marker_position(&place.bucket))))
            .update_expression("SET #suffixes = :suffixes, #expires = :expires")
            .expression_attribute_names("#suffixes", keys::SUFFIXES)
            .expression_attribute_names("#expires", keys::EXPIRES)
            .expression_attribute_values(":suffixes", number(&marker.suffixes))
            .expression_attribute_values(":expires", number(&marker.expires));
        let call = match before {
            None => call.condition_expression("attribute_not_exists(#suffixes)"),
            Some(before) => call
                .condition_expression("#suffixes = :suffixes_before AND #expires = :expires_before")
                .expression_attribute_values(":suffixes_before", number(&before.suffixes))
                .expression_attribute_values(":expires_before", number(&before.expires)),
        };
        match self.patiently("write to", || call.clone().send()).await? {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(e)) if e.err().is_conditional_check_failed_exception() => Ok(false),
            Err(e) => Err(self.failed("write to", e)),
        }
    }

    async fn pause(&self, attempt: u32) -> bool {
        match retry::delay(attempt, RandomState::new().hash_one(attempt)) {
            Some(delay) => tokio::time::sleep(delay).await,
            None => return false,
        }
        true
    }
}

fn key(partition: &str, position: String) -> Item {
    let text = |name: &str, value: String| (name.to_owned(), AttributeValue::S(value));
    HashMap::from([text(keys::WINDOW, partition.to_owned()), text(keys::POSITION, position)])
}

fn text(item: &mut Item, name: &str) -> Option<String> {
    match item.remove(name) {
        Some(AttributeValue::S(text)) => Some(text),
        _ => None,
    }
}

fn parse(partition: &str, mut item: Item) -> Result<Row, WindowError> {
    let position = text(&mut item, keys::POSITION).unwrap_or_default();
    if let Some(payload) = text(&mut item, keys::ITEMS) {
        return Ok(Row { position, content: Content::Pack(payload) });
    }
    let number = |name: &str| item.get(name).and_then(|value| value.as_n().ok());
    let suffixes = number(keys::SUFFIXES).and_then(|n| n.parse().ok());
    let expires = number(keys::EXPIRES).and_then(|n| n.parse().ok());
    match suffixes.zip(expires) {
        Some((suffixes @ 1..=256, expires)) => {
            Ok(Row { position, content: Content::Marker(Marker { suffixes, expires }) })
        }
        _ => {
            let reason = format!("it has neither `{}` nor `{}` and `{}`", keys::ITEMS, keys::SUFFIXES, keys::EXPIRES);
            Err(WindowError::Damaged { row: format!("{partition} {position}"), reason })
        }
    }
}
