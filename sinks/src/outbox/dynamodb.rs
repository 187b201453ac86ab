//! The outbox in DynamoDB: attributes of the findings, items of its own beside them, and a sparse index of both.

mod update;

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::AttributeValue;
use dial_rules::event::Millis;
use futures::{StreamExt, TryStreamExt};

use super::bounds::{check, decode, distinct, is_finding_id, is_row_key, readable, refused};
use super::store::{Due, Outbox, Owed, Queue, Row, Settled};
use crate::dynamodb::{CONCURRENCY, DynamoFindingStore, Item, id_of, keys, number, parse, text};
use crate::store::StoreError;

/// Items of one page of a query: more are asked for by further pages.
const PAGE: usize = 1_000;

#[async_trait]
impl Outbox for DynamoFindingStore {
    async fn due(&self, queue: Queue, now: Millis, limit: usize) -> Result<Vec<Due>, StoreError> {
        if limit == 0 || now < 0 {
            return Ok(Vec::new());
        }
        let partitions = keys::SUFFIXES.map(|suffix| keys::partition(queue.as_str(), suffix));
        let queries = partitions.map(|partition| self.due_in(partition, now, limit));
        let parts: Vec<Vec<Due>> =
            futures::stream::iter(queries).buffer_unordered(keys::SUFFIXES.len()).try_collect().await?;
        let mut due: Vec<Due> = parts.into_iter().flatten().collect();
        due.sort_unstable();
        // While something moves, the index may show it at both places.
        let mut seen = HashSet::new();
        due.retain(|due| seen.insert(due.key.clone()));
        due.truncate(limit);
        Ok(due)
    }

    async fn waiting(&self, queue: Queue, limit: usize) -> Result<Vec<Due>, StoreError> {
        self.due(queue, Millis::MAX, limit).await
    }

    async fn owed(&self, ids: &[String]) -> Result<Vec<Owed>, StoreError> {
        let ids = distinct(ids, is_finding_id);
        let items = self.items(&ids).await?;
        let mut owed: HashMap<String, Owed> =
            items.iter().filter_map(|item| Some((id_of(item), readable(owed(item))?))).collect();
        Ok(ids.iter().filter_map(|id| owed.remove(id)).collect())
    }

    async fn settle(&self, settled: Vec<Settled>) -> Result<Vec<bool>, StoreError> {
        let calls: Vec<_> = settled.into_iter().map(|settled| self.settle_one(settled)).collect();
        // Each finding is tried, whatever happens to the others.
        let done: Vec<_> = futures::stream::iter(calls).buffered(CONCURRENCY).collect().await;
        done.into_iter().collect()
    }

    async fn rows(&self, keys: &[String]) -> Result<Vec<Row>, StoreError> {
        let keys = distinct(keys, is_row_key);
        let items = self.items(&keys).await?;
        let mut rows: HashMap<String, Row> =
            items.iter().filter_map(|item| Some((id_of(item), readable(row(item))?))).collect();
        Ok(keys.iter().filter_map(|key| rows.remove(key)).collect())
    }

    async fn write(&self, row: &Row) -> Result<bool, StoreError> {
        check(row)?;
        match update::row(self, row).send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(e)) if e.err().is_conditional_check_failed_exception() => Ok(false),
            Err(e) => Err(self.failed("write to", e)),
        }
    }

    async fn delete(&self, key: &str, revision: u64) -> Result<bool, StoreError> {
        if revision == 0 || !is_row_key(key) {
            return Ok(false);
        }
        let call = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(keys::key(key)))
            .condition_expression("#revision = :revision")
            .expression_attribute_names("#revision", keys::REVISION)
            .expression_attribute_values(":revision", AttributeValue::N(revision.to_string()));
        match call.send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(e)) if e.err().is_conditional_check_failed_exception() => Ok(false),
            Err(e) => Err(self.failed("write to", e)),
        }
    }
}

impl DynamoFindingStore {
    /// The first `limit` that are due in one partition.
    async fn due_in(&self, partition: String, now: Millis, limit: usize) -> Result<Vec<Due>, StoreError> {
        let page = i32::try_from(limit.min(PAGE)).unwrap_or(i32::MAX);
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(keys::UNDELIVERED)
            .key_condition_expression("#partition = :partition AND #position < :bound")
            .filter_expression("attribute_not_exists(#expires) OR #expires > :now")
            .expression_attribute_names("#partition", keys::DUE_PARTITION)
            .expression_attribute_names("#position", keys::DUE_POSITION)
            .expression_attribute_names("#expires", keys::EXPIRES_AT)
            .expression_attribute_values(":partition", AttributeValue::S(partition))
            .expression_attribute_values(":bound", AttributeValue::S(keys::due_bound(now)))
            .expression_attribute_values(":now", AttributeValue::N(now.to_string()))
            .limit(page)
            .into_paginator()
            .send();
        let mut due = Vec::new();
        while due.len() < limit
            && let Some(page) = pages.next().await
        {
            let page = page.map_err(|e| self.failed("read what is due from", e))?;
            let positions = page.items.unwrap_or_default();
            due.extend(positions.iter().filter_map(|item| {
                let (at, key) = keys::parse_due_position(text(item, keys::DUE_POSITION)?)?;
                Some(Due { at, key: key.to_owned() })
            }));
        }
        due.truncate(limit);
        Ok(due)
    }

    async fn settle_one(&self, settled: Settled) -> Result<bool, StoreError> {
        if !is_finding_id(&settled.finding_id) {
            return Ok(false);
        }
        match update::settled(self, &settled)?.send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(e)) if e.err().is_conditional_check_failed_exception() => Ok(false),
            Err(e) => Err(self.failed("write to", e)),
        }
    }
}

/// A finding's item, and what is owed of it.
fn owed(item: &Item) -> Result<Owed, StoreError> {
    let stored = parse(item)?;
    let progress = text(item, keys::PROGRESS).map(|progress| decode(&stored.finding.finding_id, progress));
    Ok(Owed {
        version: stored.version,
        revision: number(item, keys::PROGRESS_REVISION).unwrap_or(0),
        progress: progress.transpose()?.unwrap_or_default(),
        due: stored.due,
        finding: stored.finding,
    })
}

/// A row as [`update::row`] writes it.
fn row(item: &Item) -> Result<Row, StoreError> {
    let key = id_of(item);
    let missing = |name: &str| refused(&key, format!("its attribute `{name}` is missing or of the wrong type"));
    let body = text(item, keys::BODY).ok_or_else(|| missing(keys::BODY))?.clone();
    let revision = number(item, keys::REVISION).ok_or_else(|| missing(keys::REVISION))?;
    let due = match (text(item, keys::DUE_PARTITION), text(item, keys::DUE_POSITION)) {
        (Some(partition), Some(position)) => {
            let queue = keys::queue_of(partition).ok_or_else(|| missing(keys::DUE_PARTITION))?;
            let (at, _) = keys::parse_due_position(position).ok_or_else(|| missing(keys::DUE_POSITION))?;
            Some((queue, at))
        }
        _ => None,
    };
    Ok(Row { key, body, revision, due, expires: number(item, keys::EXPIRES_AT) })
}
