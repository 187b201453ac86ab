//! The Kinesis emulator keeps what it is given and outlives the runtime that started it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use dial_emulators::{Kinesis, KinesisOptions, unique};
use support::{read_all, some_records};

#[tokio::test]
async fn what_is_put_can_be_read() {
    let kinesis = Kinesis::start();
    let stream = unique("events");
    kinesis.create_stream(&stream, 4).await;
    let records = some_records(1_234);
    kinesis.put(&stream, records.clone()).await;
    assert_eq!(read_all(&kinesis.client(), &stream).await, records);
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
    assert_eq!(read_all(&kinesis.client(), "slow").await, records);
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
        assert_eq!(read_all(&kinesis.client(), "kept").await, some_records(1));
    });
    let address = kinesis.endpoint().replace("http://", "");
    drop(kinesis);
    assert!(std::net::TcpStream::connect(address).is_err(), "the port is still open");
}
