//! Calls to a Kinesis emulator that every test needs: create a stream, put records.

use std::time::{Duration, Instant};

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, StreamStatus};

/// How much goes into one PutRecords call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallLimits {
    /// Records.
    pub(crate) records: usize,
    /// Bytes, partition keys included.
    pub(crate) bytes: usize,
}

impl CallLimits {
    /// Kinesis' own.
    pub(crate) const KINESIS: Self = Self { records: 500, bytes: 5 * 1024 * 1024 };
}

/// Creates a stream of `shards` shards and waits until it is ACTIVE, for at most 30 seconds.
pub(crate) async fn create(client: &Client, name: &str, shards: u32) {
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
/// Puts records (partition key, data), in as few calls as the limits allow; those that are refused for lack of
/// throughput are put again, at most 20 times.
pub(crate) async fn put(client: &Client, stream: &str, records: Vec<(String, Vec<u8>)>, limits: CallLimits) {
    for chunk in chunks(records, limits) {
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

fn entry((key, data): (String, Vec<u8>)) -> PutRecordsRequestEntry {
    let entry = PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new(data));
    entry.build().expect("a record with key and data")
}

/// Records in calls within the limits, in order; one that is larger travels alone.
fn chunks(records: Vec<(String, Vec<u8>)>, limits: CallLimits) -> Vec<Vec<(String, Vec<u8>)>> {
    let mut chunks: Vec<Vec<(String, Vec<u8>)>> = Vec::new();
    let mut bytes = 0;
    for record in records {
        let size = record.0.len() + record.1.len();
        match chunks.last_mut() {
            Some(chunk) if chunk.len() < limits.records && bytes + size <= limits.bytes => {
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

    const LIMITS: CallLimits = CallLimits::KINESIS;

    #[test]
    fn chunks_keep_order_and_stay_within_both_limits() {
        let sizes = (0..1_234).map(|i| if i % 50 == 0 { 900 * 1024 } else { i % 7 });
        let records: Vec<(String, Vec<u8>)> = sizes.enumerate().map(|(i, n)| (i.to_string(), vec![0; n])).collect();
        let chunks = chunks(records.clone(), LIMITS);
        for chunk in &chunks {
            assert!((1..=LIMITS.records).contains(&chunk.len()));
            assert!(chunk.iter().map(|(k, d)| k.len() + d.len()).sum::<usize>() <= LIMITS.bytes);
        }
        assert!(chunks.iter().any(|chunk| chunk.len() < LIMITS.records), "the limit of bytes was never reached");
        assert_eq!(chunks.concat(), records);
    }

    #[test]
    fn a_record_above_the_limit_travels_alone() {
        let small = || ("k".to_owned(), vec![0; 10]);
        let lengths: Vec<usize> =
            chunks(vec![small(), ("k".to_owned(), vec![0; LIMITS.bytes + 1]), small(), small()], LIMITS)
                .iter()
                .map(Vec::len)
                .collect();
        assert_eq!(lengths, [1, 1, 2]);
    }
}
