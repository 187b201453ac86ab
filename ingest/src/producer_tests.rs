#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::sync::Mutex;

use proptest::prelude::*;

use super::*;
use crate::failing::{Failing, Faults};
use crate::memory::MemoryStream;
use crate::stream::{IteratorStart, StreamClient};

const MINUTE: Duration = Duration::from_secs(60);

fn record(n: usize) -> NewRecord {
    NewRecord { partition_key: format!("key-{n}"), data: Bytes::from(format!("data-{n}")) }
}

/// A stream that answers as it is told, call after call, and notes how many records each call had.
#[derive(Default)]
struct Scripted {
    answers: Mutex<Vec<Answer>>,
    calls: Mutex<Vec<usize>>,
}

type Answer = Result<Vec<Result<(), PortError>>, PortError>;

impl Scripted {
    fn new(mut answers: Vec<Answer>) -> Arc<Self> {
        answers.reverse();
        Arc::new(Self { answers: Mutex::new(answers), ..Self::default() })
    }

    fn calls(&self) -> Vec<usize> {
        self.calls.lock().unwrap().clone()
    }
}

#[async_trait]
impl StreamWriter for Scripted {
    async fn put_records(&self, records: &[NewRecord]) -> Answer {
        self.calls.lock().unwrap().push(records.len());
        sleep(Duration::from_millis(10)).await;
        let next = self.answers.lock().unwrap().pop();
        next.unwrap_or_else(|| Ok(vec![Ok(()); records.len()]))
    }
}

fn error(kind: ErrorKind) -> PortError {
    PortError::new("PutRecords", kind, "as scripted")
}

async fn all_data(stream: &MemoryStream) -> Vec<Bytes> {
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

async fn put_all(producer: &Producer, count: usize, within: Duration) -> Vec<Result<(), PutError>> {
    futures_of((0..count).map(|n| producer.put(record(n), within)).collect()).await
}

/// Runs futures side by side, in their order.
async fn futures_of<F: Future<Output = Result<(), PutError>>>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut results: Vec<Option<F::Output>> = vec![None; futures.len()];
    std::future::poll_fn(|context| {
        for (future, result) in futures.iter_mut().zip(&mut results) {
            if result.is_none()
                && let std::task::Poll::Ready(done) = future.as_mut().poll(context)
            {
                *result = Some(done);
            }
        }
        match results.iter().all(Option::is_some) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    results.into_iter().map(Option::unwrap).collect()
}

#[tokio::test(start_paused = true)]
async fn callers_share_calls() {
    let stream = Scripted::new(vec![]);
    let producer = Producer::start(stream.clone(), ProducerConfig::default());
    assert!(put_all(&producer, 700, MINUTE).await.iter().all(Result::is_ok));
    assert_eq!(stream.calls().iter().sum::<usize>(), 700);
    assert!(stream.calls().len() <= 3, "{:?}", stream.calls());
    assert_eq!(producer.waiting_bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn only_what_failed_is_put_again() {
    let throttled = || Err(error(ErrorKind::Throttled));
    let stream = Scripted::new(vec![
        Ok(vec![Ok(()), throttled(), Ok(()), throttled()]),
        Err(error(ErrorKind::Unavailable)),
        Ok(vec![Ok(())]), // for one of two: nothing is known of either
        Ok(vec![Ok(()), Err(error(ErrorKind::Denied))]),
    ]);
    let producer = Producer::start(stream.clone(), ProducerConfig::default());
    let results = put_all(&producer, 4, MINUTE).await;
    assert_eq!(stream.calls(), [4, 2, 2, 2]);
    assert_eq!(results, [Ok(()), Ok(()), Ok(()), Err(PutError::Refused(error(ErrorKind::Denied)))]);
}

#[tokio::test(start_paused = true)]
async fn in_vain_is_said_in_time() {
    let stream = Arc::new(Failing::new(MemoryStream::new(1), Faults { seed: 1, percent: 0, delay: Duration::ZERO }));
    stream.set_down(true);
    let producer = Producer::start(stream.clone(), ProducerConfig::default());
    let begun = Instant::now();
    let result = producer.put(record(1), Duration::from_secs(4)).await;
    assert!(matches!(&result, Err(PutError::Late { last: Some(_) })), "{result:?}");
    assert!(begun.elapsed() <= Duration::from_secs(4) && stream.calls() > 3);
    stream.set_down(false);
    assert_eq!(producer.put(record(2), Duration::from_secs(4)).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_too_slow_holds_callers_back() {
    let config = ProducerConfig { waiting_bytes: 0, in_flight: 1, ..ProducerConfig::default() };
    let hanging = Arc::new(Hanging);
    let producer = Producer::start(hanging, config);
    let large = |n: usize| NewRecord { partition_key: n.to_string(), data: Bytes::from(vec![0; 600_000]) };
    let puts = (0..3).map(|n| producer.put(large(n), Duration::from_secs(1))).collect();
    for result in futures_of(puts).await {
        assert_eq!(result, Err(PutError::Late { last: None }));
    }
    assert!(producer.waiting_bytes() <= MAX_RECORD_BYTES);
}

struct Hanging;

#[async_trait]
impl StreamWriter for Hanging {
    async fn put_records(&self, _: &[NewRecord]) -> Answer {
        std::future::pending().await
    }
}

#[tokio::test]
async fn what_no_stream_takes_is_refused_at_once() {
    let producer = Producer::start(Scripted::new(vec![]), ProducerConfig::default());
    let with = |key: &str, bytes: usize| NewRecord { partition_key: key.into(), data: Bytes::from(vec![0; bytes]) };
    let too_large = producer.put(with("k", MAX_RECORD_BYTES), MINUTE).await;
    assert_eq!(too_large, Err(PutError::TooLarge { bytes: MAX_RECORD_BYTES + 1 }));
    assert_eq!(producer.put(with("k", MAX_RECORD_BYTES - 1), MINUTE).await, Ok(()));
    assert_eq!(producer.put(with("", 1), MINUTE).await, Err(PutError::BadKey { characters: 0 }));
    let long = producer.put(with(&"k".repeat(257), 1), MINUTE).await;
    assert_eq!(long, Err(PutError::BadKey { characters: 257 }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is confirmed is in the stream, and what is in the stream was put.
    #[test]
    fn nothing_confirmed_is_lost(seed in any::<u64>(), percent in 0_u8..70, count in 1_usize..60) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let faults = Faults { seed, percent, delay: Duration::from_secs(2) };
            let stream = Arc::new(Failing::new(MemoryStream::new(3).without_limits(), faults));
            let producer = Producer::start(stream.clone(), ProducerConfig { in_flight: 2, ..Default::default() });
            let results = put_all(&producer, count, Duration::from_secs(5)).await;
            let there: BTreeSet<Bytes> = all_data(stream.inner()).await.into_iter().collect();
            for (n, result) in results.iter().enumerate() {
                if result.is_ok() {
                    assert!(there.contains(&record(n).data), "record {n} was confirmed");
                }
            }
            assert!(there.iter().all(|data| (0..count).any(|n| record(n).data == *data)));
            if percent == 0 {
                assert!(results.iter().all(Result::is_ok));
            }
        });
    }

    #[test]
    fn a_batch_fits_one_call(sizes in prop::collection::vec(1_usize..=MAX_RECORD_BYTES, 1..700)) {
        let taken = fitting(sizes.iter().copied());
        prop_assert!((1..=MAX_RECORDS).contains(&taken));
        prop_assert!(sizes[..taken].iter().sum::<usize>() <= MAX_CALL_BYTES);
        let next: usize = sizes.iter().take(taken + 1).sum();
        prop_assert!(taken == MAX_RECORDS || taken == sizes.len() || next > MAX_CALL_BYTES);
    }
}
