//! Ferrokinesis inside the test process.

use std::net::{Ipv4Addr, TcpListener};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, StreamStatus};
use tokio::sync::oneshot;

use crate::client::{credentials_env, sdk_config};

/// Ferrokinesis' own settings: delays, limits, how long iterators live.
pub use ferrokinesis::store::StoreOptions as KinesisOptions;

/// Kinesis' limit of records in one PutRecords call.
const MAX_RECORDS: usize = 500;
/// Kinesis' limit of bytes in one PutRecords call, partition keys included.
const MAX_BYTES: usize = 5 * 1024 * 1024;

/// A running Kinesis emulator with no streams at first. It ends when this is dropped.
///
/// It runs on a thread and runtime of its own, so it survives the runtime of the `#[tokio::test]` that started it.
#[derive(Debug)]
pub struct Kinesis {
    port: u16,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Kinesis {
    /// Starts one with short delays, no throttling, and room for any number of shards.
    ///
    /// # Panics
    ///
    /// When no port on loopback can be opened.
    pub fn start() -> Self {
        Self::start_with(KinesisOptions {
            create_stream_ms: 10,
            delete_stream_ms: 10,
            update_stream_ms: 10,
            shard_limit: 10_000,
            ..KinesisOptions::default()
        })
    }

    /// Starts one with settings of the caller's.
    ///
    /// # Panics
    ///
    /// When no port on loopback can be opened.
    pub fn start_with(options: KinesisOptions) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port on loopback");
        listener.set_nonblocking(true).expect("a listener that does not block");
        let port = listener.local_addr().expect("the listener's address").port();
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .thread_name("kinesis-emulator")
                .enable_all()
                .build()
                .expect("a runtime for the Kinesis emulator");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener for the runtime");
                let (app, _store) = ferrokinesis::create_app(options);
                tokio::select! {
                    served = ferrokinesis::serve_plain_http(listener, app, std::future::pending()) => {
                        served.expect("the Kinesis emulator serves until it is stopped");
                    }
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("kinesis-emulator".to_owned()).spawn(serve);
        Self { port, stop: Some(stop), thread: Some(thread.expect("a thread for the Kinesis emulator")) }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A client for the current tokio runtime.
    pub fn client(&self) -> aws_sdk_kinesis::Client {
        aws_sdk_kinesis::Client::new(&sdk_config(&self.endpoint()))
    }

    /// The environment that points Kinesis of a child process here, credentials and region included.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let mut env = Vec::from(credentials_env());
        env.push(("AWS_ENDPOINT_URL_KINESIS", self.endpoint()));
        env
    }

    /// Creates a stream of `shards` shards and waits until it is ACTIVE.
    ///
    /// # Panics
    ///
    /// When the stream exists already or is not ACTIVE within 30 seconds.
    pub async fn create_stream(&self, name: &str, shards: u32) {
        let client = self.client();
        let shards = i32::try_from(shards).expect("a number of shards that Kinesis can have");
        let created = client.create_stream().stream_name(name).shard_count(shards).send().await;
        created.unwrap_or_else(|e| panic!("cannot create stream {name}: {}", e.into_service_error()));
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let described = client.describe_stream_summary().stream_name(name).send().await;
            let summary = described.expect("DescribeStreamSummary of the new stream").stream_description_summary;
            if summary.is_some_and(|s| *s.stream_status() == StreamStatus::Active) {
                return;
            }
            assert!(Instant::now() < deadline, "stream {name} is not ACTIVE after 30 s");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Puts records (partition key, data), in as few calls as Kinesis' limits allow; those that are refused for lack
    /// of throughput are put again. A shard receives its records in the order given unless some were refused.
    ///
    /// # Panics
    ///
    /// When a call fails, or a record is still refused after 20 attempts.
    pub async fn put(&self, stream: &str, records: Vec<(String, Vec<u8>)>) {
        let client = self.client();
        for chunk in chunks(records) {
            let mut entries: Vec<PutRecordsRequestEntry> = chunk.into_iter().map(entry).collect();
            for attempt in 0.. {
                let put = client.put_records().stream_name(stream).set_records(Some(entries.clone())).send().await;
                let put = put.unwrap_or_else(|e| panic!("cannot put to {stream}: {}", e.into_service_error()));
                let results = put.records();
                assert_eq!(results.len(), entries.len(), "PutRecords answers for each record");
                let mut refused = results.iter().map(|r| r.error_code().is_some());
                entries.retain(|_| refused.next().unwrap_or(true));
                if entries.is_empty() {
                    break;
                }
                assert!(attempt < 20, "{} records are still refused by {stream}: {results:?}", entries.len());
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

impl Drop for Kinesis {
    fn drop(&mut self) {
        // A closed channel or a panicked thread means that it has ended already.
        drop(self.stop.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn entry((key, data): (String, Vec<u8>)) -> PutRecordsRequestEntry {
    let entry = PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new(data));
    entry.build().expect("a record with key and data")
}

/// Records in calls within [`MAX_RECORDS`] and [`MAX_BYTES`], in order; one that is larger travels alone.
fn chunks(records: Vec<(String, Vec<u8>)>) -> Vec<Vec<(String, Vec<u8>)>> {
    let mut chunks: Vec<Vec<(String, Vec<u8>)>> = Vec::new();
    let mut bytes = 0;
    for record in records {
        let size = record.0.len() + record.1.len();
        match chunks.last_mut() {
            Some(chunk) if chunk.len() < MAX_RECORDS && bytes + size <= MAX_BYTES => {
                bytes += size;
                chunk.push(record);
            }
            _ => {
                bytes = size;
                chunks.push(vec![record]);
            }
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_keep_order_and_stay_within_both_limits() {
        let sizes = (0..1_234).map(|i| if i % 50 == 0 { 900 * 1024 } else { i % 7 });
        let records: Vec<(String, Vec<u8>)> = sizes.enumerate().map(|(i, n)| (i.to_string(), vec![0; n])).collect();
        let chunks = chunks(records.clone());
        for chunk in &chunks {
            assert!((1..=MAX_RECORDS).contains(&chunk.len()));
            assert!(chunk.iter().map(|(k, d)| k.len() + d.len()).sum::<usize>() <= MAX_BYTES);
        }
        assert!(chunks.iter().any(|chunk| chunk.len() < MAX_RECORDS), "the limit of bytes was never reached");
        assert_eq!(chunks.concat(), records);
    }

    #[test]
    fn a_record_above_the_limit_travels_alone() {
        let small = || ("k".to_owned(), vec![0; 10]);
        let lengths: Vec<usize> = chunks(vec![small(), ("k".to_owned(), vec![0; MAX_BYTES + 1]), small(), small()])
            .iter()
            .map(Vec::len)
            .collect();
        assert_eq!(lengths, [1, 1, 2]);
    }
}
