//! The suite over [`DynamoWindowStore`] on ministack, and what only a table can be asked.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, TimeToLiveStatus};
use dial_emulators::{Ministack, unique};
use dial_sinks::windows::dynamodb::{DynamoWindowStore, create_table};
use dial_sinks::windows::retention::Retention;
use dial_sinks::windows::store::{Addition, WindowError, WindowItem, WindowStore};

use crate::items::{NOON, TIMESPAN, addition, all, item, window};
use crate::suite::{self, Subject};

const RETENTION: Retention = Retention { allowed_lateness: 5_000, stream_retention: 7_000 };

fn subject() -> Subject {
    Subject::new(6, |runtime, count| {
        let table = unique("windows");
        let client = Ministack::shared().dynamodb();
        runtime.block_on(create_table(&client, &table)).unwrap();
        let open = |_| -> Arc<dyn WindowStore> {
            Arc::new(DynamoWindowStore::new(client.clone(), &table, Retention::default()))
        };
        (0..count).map(open).collect()
    })
}

#[test]
fn appends_and_reads_in_any_order_agree_with_a_plain_list() {
    suite::appends_and_reads_in_any_order_agree_with_a_plain_list(&subject());
}

#[test]
fn failures_lose_and_add_nothing() {
    suite::failures_lose_and_add_nothing(&subject());
}

#[test]
fn adding_again_in_whatever_company_changes_nothing() {
    suite::adding_again_in_whatever_company_changes_nothing(&subject());
}

#[test]
fn of_differing_bodies_the_smaller_stays_whatever_the_order() {
    suite::of_differing_bodies_the_smaller_stays_whatever_the_order(&subject());
}

#[test]
fn ranges_include_both_ends_at_the_edges_of_buckets() {
    suite::ranges_include_both_ends_at_the_edges_of_buckets(&subject());
}

#[test]
fn windows_are_kept_apart() {
    suite::windows_are_kept_apart(&subject());
}

#[test]
fn an_empty_store_answers() {
    suite::an_empty_store_answers(&subject());
}

#[test]
fn items_over_a_limit_are_refused_and_nothing_is_written() {
    suite::items_over_a_limit_are_refused_and_nothing_is_written(&subject());
}

#[test]
fn of_concurrent_append_then_read_pairs_never_both_miss() {
    suite::of_concurrent_append_then_read_pairs_never_both_miss(&subject());
}

#[test]
fn a_hundred_thousand_items_in_one_window_are_all_counted() {
    suite::a_hundred_thousand_items_in_one_window_are_all_counted(&subject());
}

async fn store() -> (DynamoWindowStore, Client, String) {
    let (client, table) = (Ministack::shared().dynamodb(), unique("windows"));
    create_table(&client, &table).await.unwrap();
    (DynamoWindowStore::new(client.clone(), &table, RETENTION), client, table)
}

type Row = HashMap<String, AttributeValue>;

async fn rows(client: &Client, table: &str) -> Vec<Row> {
    let pages = client.scan().table_name(table).into_paginator().items().send();
    let mut rows = pages.collect::<Result<Vec<Row>, _>>().await.unwrap();
    rows.sort_by_key(|row| (text(row, "window"), text(row, "position")));
    rows
}

fn text(row: &Row, name: &str) -> String {
    row.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default()
}

fn number(row: &Row, name: &str) -> i64 {
    row.get(name).and_then(|value| value.as_n().ok()).and_then(|n| n.parse().ok()).unwrap_or(-1)
}

#[tokio::test]
async fn a_batch_of_one_window_and_minute_is_one_row_with_its_expiry() {
    let (store, client, table) = store().await;
    let items = vec![item(NOON, "1"), item(NOON + 59_999, "2"), item(NOON + 60_000, "3")];
    for now in [NOON + 1, NOON + 1_001] {
        let appended = store.append(vec![addition("alice", items.clone())], now).await.unwrap();
        assert_eq!(appended.rows, 2);
    }
    let rows = rows(&client, &table).await;
    assert_eq!(rows.len(), 2, "written again, a row is the same row");
    for (row, minute) in rows.iter().zip(["2026-01-31T12:00Z#", "2026-01-31T12:01Z#"]) {
        assert!(text(row, "position").starts_with(minute), "{row:?}");
        assert_eq!(text(row, "window").len(), 64);
        assert_eq!(text(row, "correlation"), "many-denied-calls");
        // The next whole second after the last writing.
        assert_eq!(number(row, "expires"), NOON / 1_000 + 2 * TIMESPAN / 1_000 + 12 + 2);
    }
    assert!(text(&rows[0], "items").starts_with(r#"[[1769860800000,"1","{\"event_id\""#), "{:?}", rows[0]);
}

#[tokio::test]
async fn a_hot_minute_is_spread_and_every_row_is_bounded() {
    let (store, client, table) = store().await;
    let large = |i: i64| WindowItem { body: "x".repeat(8_000), ..item(NOON + i, &i.to_string()) };
    let items: Vec<WindowItem> = (0..450).map(large).collect();
    for batch in items.chunks(25) {
        store.append(vec![addition("mallory", batch.to_vec())], NOON).await.unwrap();
    }
    let rows = rows(&client, &table).await;
    assert!(rows.iter().all(|row| text(row, "items").len() <= 100 * 1024));
    let markers: Vec<&Row> = rows.iter().filter(|row| row.contains_key("suffixes")).collect();
    assert_eq!(markers.len(), 1);
    assert_eq!(text(markers[0], "position"), "2026-01-31T12:00Z#!suffixes");
    assert_eq!(number(markers[0], "suffixes"), 16);
    let latest = rows.iter().filter(|row| !row.contains_key("suffixes")).map(|row| number(row, "expires")).max();
    assert!(Some(number(markers[0], "expires")) >= latest, "a marker outlives what depends on it");
    let partitions: std::collections::BTreeSet<String> = rows.iter().map(|row| text(row, "window")).collect();
    assert!(partitions.len() > 6, "{partitions:?}");
    assert!(store.read(&[all("mallory")]).await.unwrap() == [items.clone()]);

    // Another worker knows nothing of the heat and reads all the same; then it spreads as the marker says.
    let other = DynamoWindowStore::new(client.clone(), &table, RETENTION);
    assert!(other.read(&[all("mallory")]).await.unwrap() == [items]);
    let before = rows.len();
    for i in 0..40 {
        other.append(vec![addition("mallory", vec![item(NOON, &format!("other-{i}"))])], NOON).await.unwrap();
    }
    let after = self::rows(&client, &table).await;
    let bare = |rows: &[Row]| rows.iter().filter(|row| !text(row, "window").contains('#')).count();
    assert_eq!(after.len(), before + 40);
    assert!(bare(&after) - bare(&rows) < 12, "a sixteenth goes to the first suffix");
}

#[tokio::test]
async fn a_marker_is_extended_before_items_that_outlive_it() {
    let (store, client, table) = store().await;
    let large = |i: i64| WindowItem { body: "x".repeat(8_000), ..item(NOON + i, &i.to_string()) };
    let addition = |timespan| Addition { window: window("mallory"), timespan, items: (0..50).map(large).collect() };
    let month = 30 * 24 * 60 * 60 * 1_000;
    for (timespan, now) in [(TIMESPAN, NOON), (TIMESPAN, NOON + 1), (month, NOON), (TIMESPAN, NOON + 100)] {
        store.append(vec![addition(timespan)], now).await.unwrap();
        let rows = rows(&client, &table).await;
        let expires = |marker: bool| {
            let rows = rows.iter().filter(|row| row.contains_key("suffixes") == marker);
            rows.map(|row| number(row, "expires")).max()
        };
        assert!(expires(true) >= expires(false), "{:?} {:?}", expires(true), expires(false));
    }
}

#[tokio::test]
async fn creating_the_table_twice_keeps_what_is_in_it_and_its_time_to_live() {
    let (store, client, table) = store().await;
    store.append(vec![addition("alice", vec![item(NOON, "1")])], NOON).await.unwrap();
    create_table(&client, &table).await.unwrap();
    assert_eq!(store.read(&[all("alice")]).await.unwrap(), [[item(NOON, "1")]]);
    let described = client.describe_time_to_live().table_name(&table).send().await.unwrap();
    let described = described.time_to_live_description.unwrap();
    assert_eq!(described.attribute_name.as_deref(), Some("expires"));
    assert_eq!(described.time_to_live_status, Some(TimeToLiveStatus::Enabled));
}

#[tokio::test]
async fn a_missing_table_is_named_with_what_to_do() {
    let store = DynamoWindowStore::new(Ministack::shared().dynamodb(), "no-such-table", RETENTION);
    let appended = store.append(vec![addition("alice", vec![item(NOON, "1")])], NOON).await.map(|_| ());
    let read = store.read(&[all("alice")]).await.map(|_| ());
    for error in [appended, read].map(|done| done.unwrap_err().to_string()) {
        assert!(error.contains("no-such-table") && error.contains("`dial run` makes its tables"), "{error}");
    }
}

#[tokio::test]
async fn a_damaged_row_is_named() {
    let (store, client, table) = store().await;
    for (attribute, reason) in [("items", "EOF"), ("notes", "neither `items` nor")] {
        store.append(vec![addition(attribute, vec![item(NOON, "1")])], NOON).await.unwrap();
        let row = rows(&client, &table).await.into_iter().find(|row| text(row, "items").starts_with("[[")).unwrap();
        let put = client.put_item().table_name(&table);
        let put = put.item("window", row["window"].clone()).item("position", row["position"].clone());
        put.item(attribute, AttributeValue::S("[[".to_owned())).send().await.unwrap();
        let error = store.read(&[all(attribute)]).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(&error, WindowError::Damaged { row, .. } if row.contains("2026-01-31T12:00Z#")), "{text}");
        assert!(text.contains(reason), "{text}");
        client
            .delete_item()
            .table_name(&table)
            .key("window", row["window"].clone())
            .key("position", row["position"].clone())
            .send()
            .await
            .unwrap();
    }
}
