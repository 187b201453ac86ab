//! The suite over [`DynamoFindingStore`] on ministack, and what only a table can be asked.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use dial_emulators::{Ministack, unique};
use dial_rules::finding::Evidence;
use dial_sinks::dynamodb::{DynamoFindingStore, create_table};
use dial_sinks::store::{FindingStore, StoreError};

use crate::findings::{NOON, finding};
use crate::suite::{self, Subject};

fn subject() -> Subject {
    Subject::new(6, |runtime, count| {
        let table = unique("findings");
        let client = Ministack::shared().dynamodb();
        runtime.block_on(create_table(&client, &table)).unwrap();
        let open = |_| -> Arc<dyn FindingStore> { Arc::new(DynamoFindingStore::new(client.clone(), &table)) };
        (0..count).map(open).collect()
    })
}

#[test]
fn any_order_with_repetitions_gives_the_same_content() {
    suite::any_order_with_repetitions_gives_the_same_content(&subject());
}

#[test]
fn outcomes_say_what_was_new_changed_and_unchanged() {
    suite::outcomes_say_what_was_new_changed_and_unchanged(&subject());
}

#[test]
fn failures_lose_and_add_nothing() {
    suite::failures_lose_and_add_nothing(&subject());
}

#[test]
fn concurrent_recorders_lose_nothing() {
    suite::concurrent_recorders_lose_nothing(&subject());
}

#[test]
fn concurrent_recorders_through_failures_lose_nothing() {
    suite::concurrent_recorders_through_failures_lose_nothing(&subject());
}

#[test]
fn lists_what_the_filter_lets_through_page_by_page() {
    suite::lists_what_the_filter_lets_through_page_by_page(&subject());
}

#[test]
fn an_updated_finding_moves_to_its_new_place() {
    suite::an_updated_finding_moves_to_its_new_place(&subject());
}

#[test]
fn an_empty_store_answers() {
    suite::an_empty_store_answers(&subject());
}

#[test]
fn hostile_strings_are_kept_within_bounds() {
    suite::hostile_strings_are_kept_within_bounds(&subject());
}

#[test]
fn large_batches_are_recorded() {
    suite::large_batches_are_recorded(&subject());
}

async fn store() -> (DynamoFindingStore, Client, String) {
    let (client, table) = (Ministack::shared().dynamodb(), unique("findings"));
    create_table(&client, &table).await.unwrap();
    (DynamoFindingStore::new(client.clone(), &table), client, table)
}

async fn set(client: &Client, table: &str, id: &str, name: &str, value: &str) {
    let call = client.update_item().table_name(table).key("finding_id", AttributeValue::S(id.to_owned()));
    let call = call.update_expression("SET #name = :value").expression_attribute_names("#name", name);
    call.expression_attribute_values(":value", AttributeValue::S(value.to_owned())).send().await.unwrap();
}

#[tokio::test]
async fn attributes_of_others_survive_and_versions_count_writes() {
    let (store, client, table) = store().await;
    store.record(vec![finding("0f", NOON, "1")]).await.unwrap();
    set(&client, &table, "0f", "outbox", "slack").await;
    store.record(vec![finding("0f", NOON + 1, "2")]).await.unwrap();
    store.record(vec![finding("0f", NOON + 1, "2")]).await.unwrap();
    let call = client.get_item().table_name(&table).key("finding_id", AttributeValue::S("0f".to_owned()));
    let item = call.consistent_read(true).send().await.unwrap().item.unwrap();
    assert_eq!(item.get("outbox"), Some(&AttributeValue::S("slack".to_owned())));
    assert_eq!(item.get("version"), Some(&AttributeValue::N("2".to_owned())));
    let partition = item.get("list_partition").unwrap().as_s().unwrap();
    assert!(partition.starts_with("2026-01-31#") && partition.len() == 12, "{partition}");
    assert_eq!(item.get("list_position"), Some(&AttributeValue::S("2026-01-31T12:00:00.001Z#0f".to_owned())));
}

#[tokio::test]
async fn creating_the_table_twice_keeps_what_is_in_it() {
    let (store, client, table) = store().await;
    store.record(vec![finding("0f", NOON, "1")]).await.unwrap();
    create_table(&client, &table).await.unwrap();
    assert_eq!(store.get("0f").await.unwrap(), Some(finding("0f", NOON, "1")));
}

#[tokio::test]
async fn a_missing_table_is_named_with_what_to_do() {
    let store = DynamoFindingStore::new(Ministack::shared().dynamodb(), "no-such-table");
    let error = store.record(vec![finding("0f", NOON, "1")]).await.unwrap_err().to_string();
    assert!(error.contains("no-such-table") && error.contains("`dial run` makes its tables"), "{error}");
}

#[tokio::test]
async fn an_unreachable_endpoint_is_an_error() {
    let client = Client::new(&dial_emulators::sdk_config("http://127.0.0.1:1"));
    let error = DynamoFindingStore::new(client, "findings").get("0f").await.unwrap_err();
    assert!(error.to_string().contains("read DynamoDB table findings"), "{error}");
    assert!(error.to_string().to_lowercase().contains("connect"), "{error}");
}

#[tokio::test]
async fn a_damaged_row_is_named_and_its_neighbours_are_recorded() {
    let (store, client, table) = store().await;
    store.record(vec![finding("0f", NOON, "1")]).await.unwrap();
    set(&client, &table, "0f", "body", "{").await;
    let damaged = |error: StoreError| matches!(error, StoreError::Damaged { finding_id, .. } if finding_id == "0f");
    assert!(damaged(store.get("0f").await.unwrap_err()));
    let batch = vec![finding("0f", NOON, "2"), finding("1e", NOON, "1")];
    assert!(damaged(store.record(batch).await.unwrap_err()));
    assert_eq!(store.get("1e").await.unwrap(), Some(finding("1e", NOON, "1")));
}

#[tokio::test]
async fn a_finding_beyond_a_row_is_refused_and_its_neighbours_are_recorded() {
    let (store, ..) = store().await;
    let mut large = finding("0f", NOON, "1");
    let evidence = large.evidence.first().unwrap().clone();
    large.evidence.extend((0..3_000).map(|rule| Evidence { rule_id: format!("rule-{rule}"), ..evidence.clone() }));
    let error = store.record(vec![large, finding("1e", NOON, "1")]).await.unwrap_err();
    assert!(matches!(&error, StoreError::TooLarge { finding_id, .. } if finding_id == "0f"), "{error}");
    assert_eq!(store.get("1e").await.unwrap(), Some(finding("1e", NOON, "1")));
}
