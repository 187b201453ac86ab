//! Ministack keeps the promises that the tests of other crates build on, and never outlives its parent.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::net::TcpStream;
use std::process::Command;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use aws_sdk_s3::primitives::ByteStream;
use dial_emulators::{Ministack, python, unique};
use support::stays_with_its_parent;

#[tokio::test]
async fn a_dynamodb_write_is_refused_when_its_condition_fails() {
    let client = Ministack::shared().dynamodb();
    let table = unique("conditional");
    let attribute = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S);
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash);
    let create = client.create_table().table_name(&table).billing_mode(BillingMode::PayPerRequest);
    let create = create.attribute_definitions(attribute.build().unwrap()).key_schema(key.build().unwrap());
    create.send().await.unwrap();

    let put = |value: &str| {
        let put = client.put_item().table_name(&table).item("id", AttributeValue::S("a".to_owned()));
        put.item("value", AttributeValue::S(value.to_owned())).condition_expression("attribute_not_exists(id)").send()
    };
    put("first").await.unwrap();
    let refused = put("second").await.unwrap_err().into_service_error();
    assert!(refused.is_conditional_check_failed_exception(), "{refused:?}");
    let got = client.get_item().table_name(&table).key("id", AttributeValue::S("a".to_owned())).consistent_read(true);
    let item = got.send().await.unwrap().item.unwrap();
    assert_eq!(item.get("value"), Some(&AttributeValue::S("first".to_owned())));
}

#[tokio::test]
async fn an_s3_object_put_if_absent_is_refused_the_second_time() {
    let client = Ministack::shared().s3();
    let bucket = unique("bucket");
    client.create_bucket().bucket(&bucket).send().await.unwrap();
    let put = |body: &'static [u8]| {
        let put = client.put_object().bucket(&bucket).key("dt=2026-01-02/a file.parquet").if_none_match("*");
        put.body(ByteStream::from_static(body)).send()
    };
    put(b"first").await.unwrap();
    let refused = put(b"second").await.unwrap_err();
    assert_eq!(refused.raw_response().map(|r| r.status().as_u16()), Some(412));
    let got = client.get_object().bucket(&bucket).key("dt=2026-01-02/a file.parquet").send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().into_bytes().as_ref(), b"first");
}

#[tokio::test]
async fn the_shared_one_is_started_once_and_others_are_apart() {
    assert_eq!(Ministack::shared().pid(), Ministack::shared().pid());
    let own = Ministack::start();
    assert_ne!(own.endpoint(), Ministack::shared().endpoint());
    let address = own.endpoint().replace("http://", "");
    drop(own);
    assert!(TcpStream::connect(address).is_err(), "the port is still open");
}

#[test]
fn it_is_gone_after_its_parent_was_killed() {
    stays_with_its_parent("it_is_gone_after_its_parent_was_killed", || {
        let ministack = Ministack::start();
        let (pid, endpoint) = (ministack.pid(), ministack.endpoint());
        (ministack, pid, endpoint)
    });
}

#[test]
fn its_python_has_duckdb() {
    let question = "import duckdb; print(duckdb.sql('select 6 * 7').fetchall()[0][0])";
    let output = Command::new(python()).args(["-c", question]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "42", "{output:?}");
}
