//! Reads the index by day.

use std::collections::HashSet;

use aws_sdk_dynamodb::types::AttributeValue;
use dial_rules::event::Millis;
use futures::{StreamExt, TryStreamExt};

use super::{DynamoFindingStore, Item, keys};
use crate::filter::{Cursor, FindingFilter};
use crate::row::{kind_text, severity_rank};
use crate::store::StoreError;

impl DynamoFindingStore {
    /// The first `count` findings in listing order that `filter` lets through.
    pub(super) async fn positions(&self, filter: &FindingFilter, count: usize) -> Result<Vec<Cursor>, StoreError> {
        let mut positions: Vec<Cursor> = Vec::new();
        // While a finding moves to another day, the index may show it at both places: the later one is right.
        let mut seen = HashSet::new();
        for day in days_of(self.days().await?, filter) {
            let partitions = keys::SUFFIXES.map(|suffix| self.partition(keys::partition(&day, suffix), filter, count));
            let parts: Vec<Vec<Cursor>> =
                futures::stream::iter(partitions).buffer_unordered(keys::SUFFIXES.len()).try_collect().await?;
            let mut of_day: Vec<Cursor> = parts.into_iter().flatten().collect();
            of_day.sort_by(|a, b| a.listing_order().cmp(&b.listing_order()));
            positions.extend(of_day.into_iter().filter(|position| seen.insert(position.finding_id.clone())));
            if positions.len() >= count {
                break;
            }
        }
        positions.truncate(count);
        Ok(positions)
    }

    /// Every day that has findings.
    async fn days(&self) -> Result<Vec<String>, StoreError> {
        let call = self.client.get_item().table_name(&self.table).consistent_read(true);
        let answer = call.set_key(Some(keys::key(keys::DAYS_KEY))).send().await;
        let item = answer.map_err(|e| self.failed("list", e))?.item.unwrap_or_default();
        Ok(item.get(keys::DAYS).and_then(|days| days.as_ss().ok()).cloned().unwrap_or_default())
    }

    /// The first `count` of one partition.
    async fn partition(
        &self,
        partition: String,
        filter: &FindingFilter,
        count: usize,
    ) -> Result<Vec<Cursor>, StoreError> {
        let (least, greatest) = bounds(filter);
        let mut query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(keys::BY_DAY)
            .key_condition_expression("#partition = :partition AND #position BETWEEN :least AND :greatest")
            .expression_attribute_names("#partition", keys::LIST_PARTITION)
            .expression_attribute_names("#position", keys::LIST_POSITION)
            .expression_attribute_values(":partition", AttributeValue::S(partition))
            .expression_attribute_values(":least", AttributeValue::S(least))
            .expression_attribute_values(":greatest", AttributeValue::S(greatest))
            .scan_index_forward(false);
        let mut conditions = Vec::new();
        for (name, operator, value) in conditions_of(filter) {
            query = query
                .expression_attribute_names(format!("#{name}"), name)
                .expression_attribute_values(format!(":{name}"), value);
            conditions.push(format!("#{name} {operator} :{name}"));
        }
        if !conditions.is_empty() {
            query = query.filter_expression(conditions.join(" AND "));
        }
        let mut found = Vec::new();
        let mut pages = query.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| self.failed("list", e))?;
            let positions = page.items.unwrap_or_default().into_iter().filter_map(|item| position(&item));
            found.extend(positions.filter(|position| filter.cursor.as_ref().is_none_or(|cursor| position < cursor)));
            if found.len() >= count {
                break;
            }
        }
        found.truncate(count);
        Ok(found)
    }
}

/// The days that can hold what `filter` lets through, the latest first.
fn days_of(mut days: Vec<String>, filter: &FindingFilter) -> Vec<String> {
    let from = filter.from.map(keys::day);
    let to = latest(filter).map(keys::day);
    days.retain(|day| from.as_ref().is_none_or(|from| day >= from) && to.as_ref().is_none_or(|to| day <= to));
    days.sort_by(|a, b| b.cmp(a));
    days.dedup();
    days
}

/// The latest time that `filter` can let through, if it has a bound.
fn latest(filter: &FindingFilter) -> Option<Millis> {
    let before = filter.to.map(|to| to.saturating_sub(1));
    let cursor = filter.cursor.as_ref().map(|cursor| cursor.last_seen);
    before.into_iter().chain(cursor).min()
}

/// The least and greatest position that `filter` can let through.
fn bounds(filter: &FindingFilter) -> (String, String) {
    let least = keys::time(filter.from.unwrap_or(Millis::MIN));
    // `$` is the character after `#`, so this is beyond every finding of that millisecond.
    let greatest = format!("{}$", keys::time(latest(filter).unwrap_or(Millis::MAX)));
    // DynamoDB refuses a range whose ends are the wrong way round, as a cursor from another time range makes it.
    if least <= greatest { (least, greatest) } else { (greatest.clone(), greatest) }
}

/// What DynamoDB itself can filter by: attribute, comparison, value.
fn conditions_of(filter: &FindingFilter) -> Vec<(&'static str, &'static str, AttributeValue)> {
    let mut conditions = Vec::new();
    if let Some(least) = filter.min_severity {
        conditions.push((keys::SEVERITY, ">=", AttributeValue::N(severity_rank(least).to_string())));
    }
    if let Some(rule_id) = &filter.rule_id {
        conditions.push((keys::RULE_ID, "=", AttributeValue::S(rule_id.clone())));
    }
    if let Some(kind) = filter.kind {
        conditions.push((keys::KIND, "=", AttributeValue::S(kind_text(kind).to_owned())));
    }
    conditions
}

fn position(item: &Item) -> Option<Cursor> {
    let finding_id = item.get(keys::FINDING_ID)?.as_s().ok()?.clone();
    let last_seen = item.get(keys::LAST_SEEN)?.as_n().ok()?.parse().ok()?;
    Some(Cursor { last_seen, finding_id })
}
