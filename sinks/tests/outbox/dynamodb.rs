//! The suite over [`DynamoFindingStore`] on ministack, and what only a table can be asked.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use dial_emulators::{Ministack, unique};
use dial_sinks::dynamodb::{DynamoFindingStore, create_table};
use dial_sinks::outbox::store::{Due, Queue, Row, Settled};

use crate::findings::{NOON, finding};
use crate::subject::{START, Store, Subject, due_eventually, row};
use crate::{racing, suite};

fn subject() -> Subject {
    let subject = Subject::new(12, |runtime, count| {
        let table = unique("findings");
        let client = Ministack::shared().dynamodb();
        runtime.block_on(create_table(&client, &table)).unwrap();
        let open = |_| -> Store { Arc::new(DynamoFindingStore::new(client.clone(), &table)) };
        (0..count).map(open).collect()
    });
    Subject { forgets: false, many: 1_500, ..subject }
}

#[test]
fn random_operations_do_what_the_model_does() {
    suite::random_operations_do_what_the_model_does(&subject());
}

#[test]
fn owing_is_part_of_the_write() {
    suite::owing_is_part_of_the_write(&subject());
}

#[test]
fn an_empty_outbox_answers() {
    suite::an_empty_outbox_answers(&subject());
}

#[test]
fn many_are_due_in_order() {
    suite::many_are_due_in_order(&subject());
}

#[test]
fn expired_rows_are_out_of_the_way() {
    suite::expired_rows_are_out_of_the_way(&subject());
}

#[test]
fn rows_have_limits() {
    suite::rows_have_limits(&subject());
}

#[test]
fn progress_has_a_limit() {
    suite::progress_has_a_limit(&subject());
}

#[test]
fn each_revision_has_one_writer() {
    racing::each_revision_has_one_writer(&subject());
}

#[test]
fn settling_never_hides_what_is_recorded() {
    racing::settling_never_hides_what_is_recorded(&subject());
}

async fn item(client: &Client, table: &str, key: &str) -> std::collections::HashMap<String, AttributeValue> {
    let call = client.get_item().table_name(table).key("finding_id", AttributeValue::S(key.to_owned()));
    call.consistent_read(true).send().await.unwrap().item.unwrap()
}

async fn new_table() -> (Store, Client, String) {
    let (client, table) = (Ministack::shared().dynamodb(), unique("findings"));
    create_table(&client, &table).await.unwrap();
    (Arc::new(DynamoFindingStore::new(client.clone(), &table)), client, table)
}

#[tokio::test]
async fn items_hold_what_the_documentation_says() {
    let (store, client, table) = new_table().await;
    let number = |number: i64| Some(AttributeValue::N(number.to_string()));
    store.record_owing(vec![finding("0f", NOON, "1")], Some(START)).await.unwrap();
    let owed = item(&client, &table, "0f").await;
    let partition = owed["due_partition"].as_s().unwrap();
    assert!(partition.starts_with("findings#") && partition.len() == 10, "{partition}");
    assert_eq!(owed["due_position"], AttributeValue::S("0000004102444800000#0f".to_owned()));
    assert!(!owed.contains_key("expires") && !owed.contains_key("progress"));
    let settled =
        Settled { finding_id: "0f".to_owned(), version: 1, revision: 0, progress: Default::default(), due: None };
    assert_eq!(store.settle(vec![settled]).await.unwrap(), [true]);
    let settled = item(&client, &table, "0f").await;
    assert!(!settled.contains_key("due_partition") && !settled.contains_key("due_position"), "the index is sparse");
    assert_eq!(settled.get("progress_revision").cloned(), number(1));
    assert_eq!(settled["progress"], AttributeValue::S("{}".to_owned()));

    let due = Some((Queue::Alerts, START));
    assert!(store.write(&Row { due, expires: Some(START + 1), ..row("#0", "{}") }).await.unwrap());
    let written = item(&client, &table, "#0").await;
    assert!(written["due_partition"].as_s().unwrap().starts_with("alerts#"));
    assert_eq!(written.get("expires").cloned(), number(START / 1_000 + 1), "nothing is deleted before its time");
    assert_eq!(written.get("expires_at").cloned(), number(START + 1));
    assert!(store.write(&Row { revision: 1, ..row("#0", "{}") }).await.unwrap());
    let names: std::collections::BTreeSet<String> = item(&client, &table, "#0").await.into_keys().collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["body", "finding_id", "revision"]);

    let described = client.describe_time_to_live().table_name(&table).send().await.unwrap();
    assert_eq!(described.time_to_live_description.unwrap().attribute_name(), Some("expires"));
}

/// A table as the first version made it.
async fn first_table(client: &Client, table: &str) {
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let text = |name: &str| {
        let attribute = AttributeDefinition::builder().attribute_name(name);
        attribute.attribute_type(ScalarAttributeType::S).build().unwrap()
    };
    let by_day = GlobalSecondaryIndex::builder()
        .index_name("by-day")
        .key_schema(key("list_partition", KeyType::Hash))
        .key_schema(key("list_position", KeyType::Range))
        .projection(Projection::builder().projection_type(ProjectionType::All).build());
    let call = client.create_table().table_name(table).billing_mode(BillingMode::PayPerRequest);
    let call = ["finding_id", "list_partition", "list_position"]
        .into_iter()
        .fold(call, |call, name| call.attribute_definitions(text(name)));
    let call = call.key_schema(key("finding_id", KeyType::Hash)).global_secondary_indexes(by_day.build().unwrap());
    call.send().await.unwrap();
}

#[tokio::test]
async fn a_table_of_the_first_version_gets_what_it_lacks() {
    let (client, table) = (Ministack::shared().dynamodb(), unique("findings"));
    first_table(&client, &table).await;
    let store: Store = Arc::new(DynamoFindingStore::new(client.clone(), &table));
    store.record(vec![finding("1e", NOON, "1")]).await.unwrap();
    store.record_owing(vec![finding("0f", NOON, "1")], Some(START)).await.unwrap();
    let error = store.due(Queue::Findings, START, 9).await.unwrap_err().to_string();
    assert!(error.contains(&table) && error.contains("`dial run`"), "{error}");

    futures::future::try_join_all((0..8).map(|_| create_table(&client, &table))).await.unwrap();
    let due = [Due { at: START, key: "0f".to_owned() }];
    assert_eq!(due_eventually(&store, Queue::Findings, START, 9, &due).await, due, "it was owed before");
    assert_eq!(store.get("1e").await.unwrap(), Some(finding("1e", NOON, "1")));
    let described = client.describe_time_to_live().table_name(&table).send().await.unwrap();
    assert_eq!(described.time_to_live_description.unwrap().attribute_name(), Some("expires"));
    let described = client.describe_table().table_name(&table).send().await.unwrap().table.unwrap();
    let indexes = described.global_secondary_indexes();
    assert_eq!(indexes.iter().filter_map(|index| index.index_name()).collect::<Vec<_>>(), ["by-day", "undelivered"]);
}

#[tokio::test]
async fn what_cannot_be_read_holds_up_nothing_else() {
    let (store, client, table) = new_table().await;
    let findings = ["0f", "1e", "2d"].map(|id| finding(id, NOON, "1"));
    store.record_owing(findings.into(), Some(START)).await.unwrap();
    for key in ["#0", "#1"] {
        assert!(store.write(&row(key, "{}")).await.unwrap());
    }
    for (key, name) in [("0f", "body"), ("1e", "progress"), ("#0", "revision")] {
        let call = client.update_item().table_name(&table).key("finding_id", AttributeValue::S(key.to_owned()));
        let call = call.update_expression("SET #name = :value").expression_attribute_names("#name", name);
        call.expression_attribute_values(":value", AttributeValue::S("[".to_owned())).send().await.unwrap();
    }
    let owed = store.owed(&["0f", "1e", "2d"].map(str::to_owned)).await.unwrap();
    assert_eq!(owed.iter().map(|owed| owed.finding.finding_id.as_str()).collect::<Vec<_>>(), ["2d"]);
    let rows = store.rows(&["#0", "#1"].map(str::to_owned)).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["#1"]);
    assert!(store.record(vec![finding("1e", NOON, "2")]).await.is_ok(), "a damaged progress stops no recording");
}

#[test]
fn who_read_too_early_changes_nothing() {
    suite::who_read_too_early_changes_nothing(&subject());
}
