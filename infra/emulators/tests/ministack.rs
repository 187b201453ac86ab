//! Ministack keeps the promises that the tests of other crates build on, and never outlives its parent.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use aws_sdk_s3::primitives::ByteStream;
use dial_emulators::{Ministack, unique};

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

/// Plays both parts: started by `cargo test` it starts itself once more as the parent of a ministack, kills that
/// parent with SIGKILL, and sees ministack go.
#[test]
fn it_is_gone_after_its_parent_was_killed() {
    const PARENT: &str = "DIAL_EMULATORS_TEST_PARENT";
    if std::env::var_os(PARENT).is_some() {
        let ministack = Ministack::start();
        let mut stdout = std::io::stdout();
        writeln!(stdout, "\nministack {} {}", ministack.pid(), ministack.endpoint()).unwrap();
        stdout.flush().unwrap();
        std::thread::sleep(Duration::from_secs(600));
        panic!("nobody killed the parent");
    }

    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "it_is_gone_after_its_parent_was_killed", "--nocapture"])
        .env(PARENT, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(parent.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.into_iter().find(|line| line.starts_with("ministack ")).expect("the parent says where it is");
    let mut words = line.split(' ').skip(1);
    let (pid, address) = (words.next().unwrap(), words.next().unwrap().replace("http://", ""));
    assert!(TcpStream::connect(&address).is_ok(), "ministack runs before its parent is killed");

    parent.kill().unwrap();
    parent.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(&address).is_ok() || is_running(pid) {
        assert!(Instant::now() < deadline, "ministack (process {pid}) outlived its parent");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether the process is there and not merely waiting to be reaped by whoever adopted it.
fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with('Z'))
}
