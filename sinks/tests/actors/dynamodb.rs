//! The suite over [`DynamoActorStore`] on ministack, and what only a table can be asked.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use dial_emulators::{Ministack, unique};
use dial_sinks::actors::dynamodb::{DynamoActorStore, create_table};
use dial_sinks::actors::{ActorError, ActorStore, Learned};

use crate::suite::{self, KEPT, NOW, Store, Subject, link, temporary};

fn subject() -> Subject {
    Subject::new(6, |runtime, count| {
        let table = unique("actors");
        let client = Ministack::shared().dynamodb();
        runtime.block_on(create_table(&client, &table)).unwrap();
        let open = |_| -> Store { Arc::new(DynamoActorStore::new(client.clone(), &table).keeping(KEPT)) };
        (0..count).map(open).collect()
    })
}

#[test]
fn any_order_with_repetitions_teaches_the_same() {
    suite::any_order_with_repetitions_teaches_the_same(&subject());
}

#[test]
fn sixteen_writers_of_one_credential_lose_nothing() {
    suite::sixteen_writers_of_one_credential_lose_nothing(&subject());
}

#[test]
fn writers_through_failures_lose_and_add_nothing() {
    suite::writers_through_failures_lose_and_add_nothing(&subject());
}

#[test]
fn what_is_known_is_written_again_only_when_it_grows_old() {
    suite::what_is_known_is_written_again_only_when_it_grows_old(&subject());
}

#[test]
fn nothing_is_asked_and_nothing_is_known() {
    suite::nothing_is_asked_and_nothing_is_known(&subject());
}

#[test]
fn large_batches_are_learned_and_read() {
    suite::large_batches_are_learned_and_read(&subject());
}

async fn store() -> (DynamoActorStore, Client, String) {
    let (client, table) = (Ministack::shared().dynamodb(), unique("actors"));
    create_table(&client, &table).await.unwrap();
    (DynamoActorStore::new(client.clone(), &table), client, table)
}

async fn set(client: &Client, table: &str, n: usize, name: &str, value: &str) {
    let call = client.update_item().table_name(table).key("access_key_id", AttributeValue::S(temporary(n)));
    let call = call.update_expression("SET #name = :value").expression_attribute_names("#name", name);
    call.expression_attribute_values(":value", AttributeValue::S(value.to_owned())).send().await.unwrap();
}

#[tokio::test]
async fn rows_expire_count_their_writes_and_keep_what_others_put_there() {
    let (store, client, table) = store().await;
    store.learn(vec![link(1, 1)], NOW).await.unwrap();
    set(&client, &table, 1, "note", "theirs").await;
    store.learn(vec![link(1, 2)], NOW + 5_000).await.unwrap();
    store.learn(vec![link(1, 2)], NOW + 9_000).await.unwrap();
    let call = client.get_item().table_name(&table).key("access_key_id", AttributeValue::S(temporary(1)));
    let item = call.consistent_read(true).send().await.unwrap().item.unwrap();
    assert_eq!(item.get("note"), Some(&AttributeValue::S("theirs".to_owned())));
    assert_eq!(item.get("version"), Some(&AttributeValue::N("2".to_owned())));
    let expires = NOW / 1_000 + 5 + 90 * 24 * 3600;
    assert_eq!(item.get("expires"), Some(&AttributeValue::N(expires.to_string())));
}

#[tokio::test]
async fn creating_the_table_twice_keeps_it_and_its_ttl() {
    let (store, client, table) = store().await;
    store.learn(vec![link(1, 1)], NOW).await.unwrap();
    create_table(&client, &table).await.unwrap();
    assert_eq!(store.known(&[temporary(1)].into()).await.unwrap().len(), 1);
    let described = client.describe_time_to_live().table_name(&table).send().await.unwrap();
    let ttl = described.time_to_live_description.unwrap();
    assert_eq!(ttl.attribute_name.as_deref(), Some("expires"));
    assert_eq!(ttl.time_to_live_status.unwrap().as_str(), "ENABLED");
}

#[tokio::test]
async fn a_damaged_row_is_named_and_written_over() {
    for attribute in ["persons", "sessions", "cut", "expires", "version"] {
        let (store, client, table) = store().await;
        store.learn(vec![link(1, 1)], NOW).await.unwrap();
        set(&client, &table, 1, attribute, "of no use").await;
        let error = store.known(&[temporary(1)].into()).await.unwrap_err();
        assert!(matches!(&error, ActorError::Damaged { credential, .. } if *credential == temporary(1)), "{error}");
        assert!(error.to_string().contains(&format!("`{attribute}`")), "{error}");
        let learned = store.learn(vec![link(1, 2), link(2, 1)], NOW).await.unwrap();
        assert_eq!(learned, Learned { written: 2, unchanged: 0 }, "{attribute}");
        let known = store.known(&[temporary(1), temporary(2)].into()).await.unwrap();
        assert_eq!((&known[&temporary(1)].from, known[&temporary(1)].cut), (&link(1, 2).from, true), "{attribute}");
        assert_eq!((&known[&temporary(2)].from, known[&temporary(2)].cut), (&link(2, 1).from, false));
        assert_eq!(store.learn(vec![link(1, 2)], NOW).await.unwrap().unchanged, 1);
    }
}

/// Who writes over it later joins what others have put there.
#[tokio::test(flavor = "multi_thread")]
async fn workers_that_write_over_a_damaged_row_at_once_lose_nothing() {
    for attribute in ["persons", "version"] {
        let (store, client, table) = store().await;
        store.learn(vec![link(1, 0)], NOW).await.unwrap();
        set(&client, &table, 1, attribute, "of no use").await;
        let learn = |n| {
            let store = store.clone();
            async move { store.learn(vec![link(1, n)], NOW).await.unwrap() }
        };
        tokio::join!(learn(2), learn(3), learn(4), learn(5));
        let known = store.known(&[temporary(1)].into()).await.unwrap().remove(&temporary(1)).unwrap();
        for n in 2..=5 {
            assert!(known.from.contains(&link(1, n).from), "{attribute}: {n} of {known:?}");
        }
    }
}

#[tokio::test]
async fn a_missing_table_is_named_with_what_to_do() {
    let store = DynamoActorStore::new(Ministack::shared().dynamodb(), "no-such-table");
    let error = store.learn(vec![link(1, 1)], NOW).await.unwrap_err().to_string();
    assert!(error.contains("no-such-table") && error.contains("`dial run` makes its tables"), "{error}");
}
