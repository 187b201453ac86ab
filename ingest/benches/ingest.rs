//! What the consumer costs a record, beside a baseline of the same run: calling the same stream client in a loop.
//!
//! Records of 1.3 kB, a stream in memory without its limits, one thread, and tokio's time paused, so that what waits
//! costs nothing and what is measured is computing. `cargo bench -p dial-ingest`; the difference between a line and its
//! baseline is the overhead.

#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::sync::Arc;

use async_trait::async_trait;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dial_ingest::kpl::{UserRecord, aggregate};
use dial_ingest::memory::{MemoryLeases, MemoryStream};
use dial_ingest::stream::IteratorStart;
use dial_ingest::{
    Batch, Checkpointer, PollPace, PrefetchBudget, ProcessError, ProcessorFactory, ShardProcessor, ShardStart,
    StreamClient, Worker, WorkerConfig,
};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

const RECORDS: usize = 200_000;
const SIZE: usize = 1_300;
const SHARDS: usize = 4;
const PACKED: usize = 100;

/// Looks at each record's length, and commits each batch.
#[derive(Clone)]
struct Weigh;

impl ProcessorFactory for Weigh {
    fn start(&self, _: &ShardStart) -> Box<dyn ShardProcessor> {
        Box::new(Self)
    }
}

#[async_trait]
impl ShardProcessor for Weigh {
    async fn process(&mut self, batch: &Batch, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        black_box(batch.data_len());
        match batch.last_position() {
            Some(position) => Ok(checkpointer.commit(position).await?),
            None => Ok(()),
        }
    }

    async fn shard_ended(&mut self, _: &Checkpointer) -> Result<(), ProcessError> {
        Ok(())
    }

    async fn shutdown(&mut self, _: &Checkpointer) -> Result<(), ProcessError> {
        Ok(())
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// `RECORDS` records, each its own, or so many packed into one.
fn stream(packed: usize) -> Arc<MemoryStream> {
    let stream = MemoryStream::new(SHARDS).without_limits();
    let data = bytes::Bytes::from(vec![b'x'; SIZE]);
    for n in 0..RECORDS / packed {
        let key = format!("key-{n}");
        if packed == 1 {
            stream.put(&key, data.clone()).unwrap();
        } else {
            // As a producer does, which packs for one shard: all have the key of the whole.
            let user = UserRecord { partition_key: key.clone(), explicit_hash_key: None, data: data.clone() };
            stream.put(&key, aggregate(&vec![user; packed])).unwrap();
        }
    }
    Arc::new(stream)
}

async fn through_a_worker(stream: Arc<MemoryStream>) {
    let pace = PollPace { max_bytes: 8 << 20, ..PollPace::ALONE };
    // An answer for each shard, and one ahead.
    let prefetch = PrefetchBudget { worker_bytes: 128 << 20, ..PrefetchBudget::default() };
    let config = WorkerConfig { stop_when_drained: true, pace, prefetch, ..WorkerConfig::new("worker") };
    let worker = Worker::new(config, stream, Arc::new(MemoryLeases::default()), Arc::new(Weigh));
    let health = worker.health();
    worker.run(CancellationToken::new()).await.unwrap();
    let processed: u64 = health.look().processed.values().map(|shard| shard.records).sum();
    assert_eq!(processed, RECORDS as u64);
}

async fn by_hand(stream: &MemoryStream) {
    for shard in stream.list_shards(None).await.unwrap().shards {
        let mut iterator = stream.get_iterator(&shard.shard_id, &IteratorStart::TrimHorizon).await.unwrap();
        loop {
            let answer = stream.get_records(&iterator, 6_000).await.unwrap();
            if answer.records.is_empty() {
                break;
            }
            black_box(answer.records.iter().map(|record| record.data.len()).sum::<usize>());
            iterator = answer.next_iterator.unwrap();
        }
    }
}

fn ingest(criterion: &mut Criterion) {
    for (name, packed) in [("plain", 1), ("aggregated", PACKED)] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(RECORDS as u64)).sample_size(10);
        let runtime = runtime();
        let stream = runtime.block_on(async { stream(packed) });
        group.bench_function("baseline", |bench| bench.iter(|| runtime.block_on(by_hand(&stream))));
        group.bench_function("worker", |bench| bench.iter(|| runtime.block_on(through_a_worker(stream.clone()))));
        group.finish();
    }
}

criterion_group!(benches, ingest);
criterion_main!(benches);
