//! A stream, a lease table and the workers of both sides at them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::types::{ShardIteratorType, StreamStatus};
use dial_emulators::{Kcl, KclSettings, Ministack, unique};

use crate::account::{Account, assert_checkpointed};
use crate::emulator::Emulator;
use crate::items::Items;
use crate::ours::{self, Place};
use crate::{BATCH, CHECKPOINT_EVERY, FAILOVER, INTERVAL};

/// How long to wait for anything.
const PATIENCE: Duration = Duration::from_secs(180);

/// A stream, a lease table, and who read what.
pub struct Scene {
    kinesis: Emulator,
    ministack: &'static Ministack,
    place: Place,
    journals: PathBuf,
    kcl_workers: Vec<String>,
    /// How many records were put.
    pub put: usize,
    /// The records that crashes left without checkpoint, a set for each crash.
    pub crashes: Vec<BTreeSet<String>>,
}

impl Scene {
    pub async fn new(title: &str, kinesis: Emulator, shards: usize) -> Self {
        println!("\n# {title}");
        let ministack = Ministack::shared();
        let (stream, table) = (unique("interop"), unique("leases"));
        kinesis.create_stream(&stream, shards).await;
        let journals = std::env::temp_dir().join(unique("dial-kcl"));
        let account = Arc::new(Mutex::new(Account::default()));
        let (kinesis_client, dynamodb) = (kinesis.client(), ministack.dynamodb());
        let place = Place { kinesis: kinesis_client, dynamodb, stream, table, account };
        Self { kinesis, ministack, place, journals, kcl_workers: Vec::new(), put: 0, crashes: Vec::new() }
    }

    pub async fn put(&mut self, count: usize) {
        let new = self.put..self.put + count;
        self.put = new.end;
        let records = new.map(|n| (format!("key-{n}"), format!("record-{n}").into_bytes())).collect();
        self.kinesis.put(&self.place.stream, records).await;
        println!("\n{count} records put, {} in all", self.put);
    }

    /// Splits a shard at a hash key.
    pub async fn split(&self, shard: u32, at: u128) {
        let split = self.place.kinesis.split_shard().stream_name(&self.place.stream).shard_to_split(shard_id(shard));
        split.new_starting_hash_key(at.to_string()).send().await.expect("the shard is split");
        self.settled().await;
        println!("shard {shard} is split");
    }

    /// Merges two shards whose hash keys adjoin.
    pub async fn merge(&self, one: u32, other: u32) {
        let merge = self.place.kinesis.merge_shards().stream_name(&self.place.stream).shard_to_merge(shard_id(one));
        merge.adjacent_shard_to_merge(shard_id(other)).send().await.expect("the shards are merged");
        self.settled().await;
        println!("shards {one} and {other} are merged");
    }

    /// Waits until new records go to the new shards.
    async fn settled(&self) {
        loop {
            let described = self.place.kinesis.describe_stream_summary().stream_name(&self.place.stream).send().await;
            let summary = described.expect("the stream").stream_description_summary;
            if summary.is_some_and(|summary| *summary.stream_status() == StreamStatus::Active) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What the emulator answers at the end of a closed shard.
    pub async fn last_answer(&self, shard: u32) -> GetRecordsOutput {
        let kinesis = &self.place.kinesis;
        let iterator = kinesis.get_shard_iterator().stream_name(&self.place.stream).shard_id(shard_id(shard));
        let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await;
        let mut next = iterator.expect("the shard").shard_iterator;
        loop {
            let answer = kinesis.get_records().set_shard_iterator(next).send().await.expect("records");
            if answer.next_shard_iterator.is_none() {
                return answer;
            }
            next = answer.next_shard_iterator;
        }
    }

    fn journal(&self, worker: &str) -> PathBuf {
        self.journals.join(worker)
    }

    pub fn start_kcl(&mut self, worker: &str) -> Kcl {
        let journal = self.journal(worker);
        std::fs::create_dir_all(&journal).expect("a folder for the journal");
        self.kcl_workers.push(worker.into());
        println!("\n{worker}: the Kinesis Client Library begins");
        Kcl::start(&KclSettings {
            application: self.place.table.clone(),
            worker_id: worker.into(),
            stream: self.place.stream.clone(),
            kinesis: self.kinesis.endpoint(),
            dynamodb: self.ministack.endpoint(),
            failover: FAILOVER,
            max_records: BATCH,
            read_interval: INTERVAL,
            checkpoint_every: CHECKPOINT_EVERY,
            journal,
        })
    }

    pub fn start_ours(&self, worker: &str, to_the_end: bool) -> ours::Running {
        println!("\n{worker}: a worker of ours begins");
        self.place.start(worker, to_the_end)
    }

    /// What everybody saw so far.
    pub fn account(&self) -> Account {
        let mut account = self.place.account.lock().expect("nobody panicked").clone();
        for worker in &self.kcl_workers {
            account.add(Account::of_journal(worker, &self.journal(worker)));
        }
        account
    }

    pub fn processed(&self) -> usize {
        self.account().records().len()
    }

    pub async fn items(&self) -> Items {
        Items::read(&self.place.dynamodb, &self.place.table).await
    }

    /// Waits until `count` different records were processed and `also` holds of the table.
    pub async fn until(&self, count: usize, mut kcl: Option<&mut Kcl>, also: impl Fn(&Items) -> bool) {
        let began = Instant::now();
        loop {
            let processed = self.processed();
            if processed >= count && also(&self.items().await) {
                println!("{processed} records are processed after {:.1} s", began.elapsed().as_secs_f64());
                return;
            }
            if let Some(kcl) = &mut kcl {
                assert!(kcl.is_running(), "the Kinesis Client Library ended: {}", kcl.log());
            }
            if began.elapsed() > PATIENCE {
                let log = kcl.map(|kcl| kcl.log()).unwrap_or_default();
                panic!("{processed} of {count} records after {PATIENCE:?}: {:#?}\n{log}", self.items().await);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Notes what a crash left without checkpoint, going by the table: of each shard no more than the batches from one
    /// checkpoint to the next.
    pub fn crashed(&mut self, who: &str, items: &Items) {
        let open = self.account().not_checkpointed(items);
        println!("{who} is gone; {} records are processed but not checkpointed", open.len());
        assert!(open.len() <= items.0.len() * (CHECKPOINT_EVERY * BATCH) as usize);
        self.crashes.push(open);
    }

    /// Notes what `loser` had processed of the shards that `taker` took from it while it was running: what the loser had
    /// not checkpointed, and what it did until it noticed, which is less than the failover time.
    pub fn taken(&mut self, loser: &str, taker: &str) {
        let most = CHECKPOINT_EVERY + (FAILOVER.as_millis() / INTERVAL.as_millis()) as u32;
        let account = self.account();
        let mut repeatable = BTreeSet::new();
        for (shard, start) in account.starts(taker) {
            let after = account.after(loser, shard, start);
            println!("{taker} took {shard}, of which {loser} had processed {} more records", after.len());
            assert!(after.len() <= (most * BATCH) as usize);
            repeatable.extend(after);
        }
        self.crashes.push(repeatable);
    }

    /// Asks that `worker` began where the table's items said, and shards that were not there yet at their beginning.
    pub fn assert_began_at(&self, worker: &str, items: &Items) {
        let account = self.account();
        let starts = account.starts(worker);
        for (shard, start) in &starts {
            let known = items.0.contains_key(*shard);
            let expected = if known { items.checkpoint(shard) } else { ("TRIM_HORIZON", 0) };
            assert_eq!(*start, expected, "{worker} in {shard}");
        }
        println!("{worker} began {} shards exactly where the table says", starts.len());
        assert!(!starts.is_empty());
    }

    /// Asks that our store reads every item.
    pub async fn assert_readable(&self, items: &Items) {
        let store = dial_ingest::dynamodb::DynamoLeases::new(self.place.dynamodb.clone(), &self.place.table);
        let leases = dial_ingest::LeaseStore::list(&store).await.expect("the lease table");
        assert_eq!(leases.len(), items.0.len(), "every item is a lease to us");
        for lease in leases {
            let (sequence, sub) = items.checkpoint(&lease.lease_key);
            assert_eq!((lease.checkpoint.sequence.as_str(), lease.checkpoint.sub_sequence), (sequence, sub));
            assert_eq!(lease.lease_owner.as_deref(), items.value(&lease.lease_key, "leaseOwner"));
            assert!(lease.hash_range.is_some(), "{lease:?}");
        }
    }

    /// The judgement at the end.
    pub fn assert_all_processed(&self) {
        for worker in &self.kcl_workers {
            assert_checkpointed(worker, &self.journal(worker));
        }
        let account = self.account();
        account.assert_ordered();
        let records = account.records();
        let expected: BTreeSet<String> = (0..self.put).map(|n| format!("record-{n}")).collect();
        assert_eq!(records.keys().map(ToString::to_string).collect::<BTreeSet<_>>(), expected);
        let mut repeated = 0;
        for (data, count) in &records {
            let allowed = 1 + self.crashes.iter().filter(|open| open.contains(*data)).count();
            assert!(*count <= allowed, "{data} was processed {count} times, {allowed} times at most");
            repeated += count - 1;
        }
        let open: Vec<usize> = self.crashes.iter().map(BTreeSet::len).collect();
        println!(
            "\nevery one of {} records is processed; {repeated} once more, of {open:?} left without checkpoint",
            self.put
        );
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.journals);
    }
}

/// What Kinesis calls its n-th shard.
pub fn shard_id(n: u32) -> String {
    format!("shardId-{n:012}")
}
