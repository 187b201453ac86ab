//! Kinesis-local does what it is there for, on loopback only, and never outlives its parent.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::net::TcpStream;

use aws_sdk_kinesis::types::ShardIteratorType;
use dial_emulators::KinesisLocal;
use support::{some_records, stays_with_its_parent};

#[tokio::test]
async fn what_is_put_can_be_read() {
    let kinesis = KinesisLocal::start();
    kinesis.create_stream("stream", 2).await;
    let records = some_records(300);
    kinesis.put("stream", records.clone()).await;
    assert_eq!(support::read_all(&kinesis.client(), "stream").await, records);
}

#[tokio::test]
async fn large_records_travel_in_calls_that_it_takes() {
    let kinesis = KinesisLocal::start();
    kinesis.create_stream("stream", 1).await;
    let records: Vec<_> = (0..8).map(|n| (format!("key-{n}"), vec![n; 700 * 1024])).collect();
    kinesis.put("stream", records.clone()).await;
    assert_eq!(support::read_all(&kinesis.client(), "stream").await, records);
}

/// What it is there for.
#[tokio::test]
async fn the_last_answer_of_a_split_shard_names_its_children() {
    let kinesis = KinesisLocal::start();
    kinesis.create_stream("stream", 1).await;
    let client = kinesis.client();
    let shard_id = "shardId-000000000000";
    let split = client.split_shard().stream_name("stream").shard_to_split(shard_id);
    split.new_starting_hash_key((1_u128 << 127).to_string()).send().await.unwrap();
    let start = client.get_shard_iterator().stream_name("stream").shard_id(shard_id);
    let start = start.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap();
    let mut iterator = start.shard_iterator;
    let mut children = Vec::new();
    while let Some(current) = iterator.take() {
        let page = client.get_records().shard_iterator(current).send().await.unwrap();
        children.extend(page.child_shards.unwrap_or_default());
        iterator = page.next_shard_iterator;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let ids: Vec<&str> = children.iter().map(|child| child.shard_id()).collect();
    assert_eq!(ids, ["shardId-000000000001", "shardId-000000000002"]);
    assert!(children.iter().all(|child| child.parent_shards() == [shard_id]));
}

#[tokio::test]
async fn it_listens_on_loopback_only_and_ends_when_dropped() {
    let kinesis = KinesisLocal::start();
    let listening = support::listening_addresses(kinesis.pid());
    assert_eq!(listening.len(), 2, "plain and TLS: {listening:?}");
    assert!(listening.iter().all(|address| address.ip().is_loopback()), "{listening:?}");
    let address = kinesis.endpoint().replace("http://", "");
    drop(kinesis);
    assert!(TcpStream::connect(address).is_err(), "the port is still open");
}

#[test]
fn it_is_gone_after_its_parent_was_killed() {
    stays_with_its_parent("it_is_gone_after_its_parent_was_killed", || {
        let kinesis = KinesisLocal::start();
        let (pid, endpoint) = (kinesis.pid(), kinesis.endpoint());
        (kinesis, pid, endpoint)
    });
}
