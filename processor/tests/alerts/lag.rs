//! How far the stream is behind: the age of the first record that is not done.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::ShardIteratorType;
use dial_ingest::lease::Lease;
use dial_ingest::{LeaseStore, SequenceNumber};
use dial_rules::event::{Millis, parse_rfc3339};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::scene::{STREAM, Scene, now};

/// How often it is looked at.
const EVERY: Duration = Duration::from_millis(200);

/// Looks at it all the time.
#[derive(Debug)]
pub(crate) struct LagWatch {
    task: JoinHandle<()>,
    /// In milliseconds, the worst of all shards.
    samples: Arc<Mutex<Vec<(Instant, u64)>>>,
}

impl LagWatch {
    pub(crate) fn begin(scene: Arc<Scene>) -> LagWatch {
        let samples: Arc<Mutex<Vec<(Instant, u64)>>> = Arc::default();
        let seen = samples.clone();
        let task = tokio::spawn(async move {
            let (leases, kinesis) = (scene.leases(), scene.kinesis.client());
            loop {
                sleep(EVERY).await;
                // By the time before the leases are read, so that looking takes no time.
                let (at, now) = (Instant::now(), now());
                let mut lags = Vec::new();
                for lease in leases.list().await.unwrap_or_default() {
                    lags.extend(of(&kinesis, &lease, now).await);
                }
                seen.lock().unwrap().extend(lags.into_iter().max().map(|lag| (at, lag)));
            }
        });
        LagWatch { task, samples }
    }

    /// What was seen, sorted, but for `without`: the time in which a dead worker's shards are nobody's.
    pub(crate) fn end(self, without: Option<(Instant, Instant)>) -> Vec<u64> {
        self.task.abort();
        let samples = self.samples.lock().unwrap();
        let counts = |at: &Instant| without.is_none_or(|(from, to)| *at < from || *at > to);
        let mut lags: Vec<u64> = samples.iter().filter(|(at, _)| counts(at)).map(|(_, lag)| *lag).collect();
        lags.sort_unstable();
        lags
    }
}

/// How long ago the first record behind the checkpoint was put at `now`, in milliseconds. By its event, which happens as it
/// is put: the emulator tells when records arrived in whole seconds, and the lag would look up to a second longer than it is.
async fn of(kinesis: &Client, lease: &Lease, now: Millis) -> Option<u64> {
    let call = kinesis.get_shard_iterator().stream_name(STREAM).shard_id(&lease.lease_key);
    let call = match &lease.checkpoint.sequence {
        SequenceNumber::Number(_) => call
            .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
            .starting_sequence_number(lease.checkpoint.sequence.to_string()),
        _ => call.shard_iterator_type(ShardIteratorType::TrimHorizon),
    };
    let iterator = call.send().await.ok()?.shard_iterator?;
    let answer = kinesis.get_records().shard_iterator(iterator).limit(1).send().await.ok()?;
    let Some(first) = answer.records.first() else { return Some(0) };
    let event: Value = serde_json::from_slice(first.data.as_ref()).unwrap();
    let put = parse_rfc3339(event["eventTime"].as_str().unwrap()).unwrap();
    Some(u64::try_from(now - put).unwrap_or_default())
}

/// The value below which so many of a hundred lie.
pub(crate) fn percentile(sorted: &[u64], percent: usize) -> u64 {
    sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}
