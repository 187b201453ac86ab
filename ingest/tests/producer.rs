//! The producer against a real Kinesis protocol that throttles.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dial_emulators::{Kinesis, KinesisOptions, unique};
use dial_ingest::kinesis::KinesisStream;
use dial_ingest::stream::IteratorStart;
use dial_ingest::{ErrorKind, NewRecord, Producer, ProducerConfig, PutError, StreamClient};
use tokio::task::JoinSet;

const MINUTE: Duration = Duration::from_secs(60);

async fn all(stream: &KinesisStream) -> Vec<Bytes> {
    let mut data = Vec::new();
    for shard in stream.list_shards(None).await.unwrap().shards {
        let mut iterator = stream.get_iterator(&shard.shard_id, &IteratorStart::TrimHorizon).await.unwrap();
        loop {
            let answer = stream.get_records(&iterator, 10_000).await.unwrap();
            if answer.records.is_empty() {
                break;
            }
            data.extend(answer.records.into_iter().map(|record| record.data));
            iterator = answer.next_iterator.unwrap();
        }
    }
    data
}

#[tokio::test]
async fn what_a_throttled_stream_confirms_is_in_it() {
    // A shard takes a thousand records a second.
    let options = KinesisOptions { create_stream_ms: 10, enforce_limits: true, ..KinesisOptions::default() };
    let kinesis = Kinesis::start_with(options);
    let name = unique("producer");
    kinesis.create_stream(&name, 1).await;
    let stream = Arc::new(KinesisStream::new(kinesis.client(), &name));
    let producer = Producer::start(stream.clone(), ProducerConfig::default());
    let mut puts = JoinSet::new();
    for n in 0..2_500 {
        let producer = producer.clone();
        let record = NewRecord { partition_key: format!("key-{n}"), data: Bytes::from(format!("data-{n}")) };
        puts.spawn(async move { producer.put(record, MINUTE).await });
    }
    assert!(puts.join_all().await.iter().all(Result::is_ok));
    let there = all(&stream).await;
    let distinct: BTreeSet<&Bytes> = there.iter().collect();
    assert_eq!((distinct.len(), there.len()), (2_500, 2_500), "each is there, and once, since no answer was lost");
}

#[tokio::test]
async fn a_stream_that_is_not_there_is_told_at_once() {
    let kinesis = Kinesis::start();
    let producer =
        Producer::start(Arc::new(KinesisStream::new(kinesis.client(), "no-such-stream")), ProducerConfig::default());
    let record = NewRecord { partition_key: "key".to_owned(), data: Bytes::from_static(b"data") };
    let error = producer.put(record, MINUTE).await.unwrap_err();
    assert!(matches!(&error, PutError::Refused(error) if error.kind == ErrorKind::NotFound), "{error}");
}
