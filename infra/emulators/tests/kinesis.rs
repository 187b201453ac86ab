//! The Kinesis emulator keeps what it is given and outlives the runtime that started it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use aws_sdk_kinesis::types::ShardIteratorType;
use dial_emulators::{Kinesis, KinesisOptions, unique};

/// Every record of every shard, as (partition key, data), sorted.
async fn read_all(kinesis: &Kinesis, stream: &str) -> Vec<(String, Vec<u8>)> {
    let client = kinesis.client();
    let shards = client.list_shards().stream_name(stream).send().await.unwrap();
    let mut records = Vec::new();
    for shard in shards.shards() {
        let from = client.get_shard_iterator().stream_name(stream).shard_id(shard.shard_id());
        let from = from.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap();
        let mut iterator = from.shard_iterator;
        while let Some(current) = iterator.take() {
            let page = client.get_records().shard_iterator(current).limit(1_000).send().await.unwrap();
            if page.records().is_empty() {
                break;
            }
            records.extend(
                page.records()
                    .iter()
                    .map(|r| (r.partition_key().unwrap_or_default().to_owned(), r.data().as_ref().to_vec())),
            );
            iterator = page.next_shard_iterator;
        }
    }
    records.sort();
    records
}

fn some_records(count: usize) -> Vec<(String, Vec<u8>)> {
    (0..count).map(|i| (format!("key-{i:05}"), format!("data of {i}").into_bytes())).collect()
}

#[tokio::test]
async fn what_is_put_can_be_read() {
    let kinesis = Kinesis::start();
    let stream = unique("events");
    kinesis.create_stream(&stream, 4).await;
    let records = some_records(1_234);
    kinesis.put(&stream, records.clone()).await;
    assert_eq!(read_all(&kinesis, &stream).await, records);
}

#[tokio::test]
async fn refused_records_are_put_again() {
    let options = KinesisOptions { enforce_limits: true, create_stream_ms: 10, ..KinesisOptions::default() };
    let kinesis = Kinesis::start_with(options);
    kinesis.create_stream("slow", 1).await;
    // One shard takes 1,000 records a second, so some of these are refused at first.
    let records = some_records(1_600);
    let began = std::time::Instant::now();
    kinesis.put("slow", records.clone()).await;
    assert!(began.elapsed().as_millis() > 300, "nothing was refused");
    assert_eq!(read_all(&kinesis, "slow").await, records);
}

#[test]
fn it_outlives_the_runtime_that_started_it_and_ends_when_dropped() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let kinesis = runtime().block_on(async {
        let kinesis = Kinesis::start();
        kinesis.create_stream("kept", 1).await;
        kinesis
    });
    runtime().block_on(async {
        kinesis.put("kept", some_records(1)).await;
        assert_eq!(read_all(&kinesis, "kept").await, some_records(1));
    });
    let address = kinesis.endpoint().replace("http://", "");
    drop(kinesis);
    assert!(std::net::TcpStream::connect(address).is_err(), "the port is still open");
}
