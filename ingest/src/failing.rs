//! A wrapper that makes either port fail, by a schedule that a seed decides.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::sleep;

use crate::error::{ErrorKind, PortError};
use crate::lease::{Lease, LeaseChange};
use crate::producer::{NewRecord, StreamWriter};
use crate::retry::scatter;
use crate::store::LeaseStore;
use crate::stream::{Consumer, GetRecords, IteratorStart, Pushed, ShardPage, StreamClient, Subscription};

/// How often calls fail, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// The same seed gives the same faults to the same sequence of calls.
    pub seed: u64,
    /// Of a hundred calls, so many fail or are late.
    pub percent: u8,
    /// A late call is late by at most this.
    pub delay: Duration,
}

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is refused without effect.
    Before(ErrorKind),
    /// It is made, but its answer is lost.
    AnswerLost,
    /// It is made after a while.
    Late(Duration),
}

impl Faults {
    /// What happens to call number `n`.
    #[must_use]
    pub fn of_call(&self, n: u64) -> Option<Fault> {
        let dice = scatter(self.seed ^ scatter(n));
        if dice % 100 >= u64::from(self.percent) {
            return None;
        }
        let micros = u64::try_from(self.delay.as_micros()).unwrap_or(u64::MAX);
        Some(match (dice >> 32) % 5 {
            0 => Fault::Before(ErrorKind::Throttled),
            1 => Fault::Before(ErrorKind::Unavailable),
            2 => Fault::Before(ErrorKind::ExpiredIterator),
            3 => Fault::AnswerLost,
            _ => Fault::Late(Duration::from_micros(scatter(dice) % micros.saturating_add(1))),
        })
    }
}

/// A port that fails now and then.
#[derive(Debug)]
pub struct Failing<T> {
    inner: T,
    faults: Faults,
    calls: AtomicU64,
    down: AtomicBool,
}

impl<T> Failing<T> {
    /// `inner`, failing by `faults`.
    pub fn new(inner: T, faults: Faults) -> Self {
        Self { inner, faults, calls: AtomicU64::new(0), down: AtomicBool::new(false) }
    }

    /// What is wrapped.
    pub fn inner(&self) -> &T {
        &self.inner
    }

    /// From now on every call fails without effect, or none but by the schedule.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    async fn through<R>(
        &self,
        call: &'static str,
        inner: impl Future<Output = Result<R, PortError>> + Send,
    ) -> Result<R, PortError> {
        let n = self.calls.fetch_add(1, Ordering::SeqCst);
        let failed = |kind| Err(PortError::new(call, kind, format!("injected into call {n}")));
        if self.down.load(Ordering::SeqCst) {
            return failed(ErrorKind::Unavailable);
        }
        match self.faults.of_call(n) {
            None => inner.await,
            // Only one call knows iterators.
            Some(Fault::Before(ErrorKind::ExpiredIterator)) if call != "GetRecords" => failed(ErrorKind::Unavailable),
            Some(Fault::Before(kind)) => failed(kind),
            Some(Fault::AnswerLost) => {
                inner.await?;
                failed(ErrorKind::Unavailable)
            }
            Some(Fault::Late(delay)) => {
                sleep(delay).await;
                inner.await
            }
        }
    }
}

#[async_trait]
impl<T: StreamClient> StreamClient for Failing<T> {
    async fn list_shards(&self, page: Option<&str>) -> Result<ShardPage, PortError> {
        self.through("ListShards", self.inner.list_shards(page)).await
    }

    async fn get_iterator(&self, shard_id: &str, start: &IteratorStart) -> Result<String, PortError> {
        self.through("GetShardIterator", self.inner.get_iterator(shard_id, start)).await
    }

    async fn get_records(&self, iterator: &str, limit: u32) -> Result<GetRecords, PortError> {
        self.through("GetRecords", self.inner.get_records(iterator, limit)).await
    }

    async fn describe_consumer(&self, consumer_name: &str) -> Result<Option<Consumer>, PortError> {
        self.through("DescribeStreamConsumer", self.inner.describe_consumer(consumer_name)).await
    }

    async fn register_consumer(&self, consumer_name: &str) -> Result<Consumer, PortError> {
        self.through("RegisterStreamConsumer", self.inner.register_consumer(consumer_name)).await
    }

    async fn subscribe(
        &self,
        consumer_arn: &str,
        shard_id: &str,
        start: &IteratorStart,
    ) -> Result<Box<dyn Subscription>, PortError> {
        let inner = self.through("SubscribeToShard", self.inner.subscribe(consumer_arn, shard_id, start)).await?;
        let n = self.calls.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(FailingSubscription { inner, faults: self.faults, n, events: 0 }))
    }
}

/// A subscription that breaks off now and then.
struct FailingSubscription {
    inner: Box<dyn Subscription>,
    faults: Faults,
    n: u64,
    events: u64,
}

#[async_trait]
impl Subscription for FailingSubscription {
    async fn next(&mut self) -> Result<Option<Pushed>, PortError> {
        self.events += 1;
        match self.faults.of_call(scatter(self.n) ^ self.events) {
            None => self.inner.next().await,
            Some(Fault::Late(delay)) => {
                sleep(delay).await;
                self.inner.next().await
            }
            Some(Fault::Before(_) | Fault::AnswerLost) => {
                Err(PortError::new("SubscribeToShard", ErrorKind::Unavailable, "injected: the connection broke"))
            }
        }
    }
}

#[async_trait]
impl<T: StreamWriter> StreamWriter for Failing<T> {
    /// Besides the call, single records of it are refused, at the same rate.
    async fn put_records(&self, records: &[NewRecord]) -> Result<Vec<Result<(), PortError>>, PortError> {
        let n = self.calls.load(Ordering::SeqCst);
        let put = async {
            let is_kept = |at: &usize| self.faults.of_call(scatter(n) ^ *at as u64).is_none();
            let kept: Vec<usize> = (0..records.len()).filter(is_kept).collect();
            let some: Vec<NewRecord> = kept.iter().map(|at| records[*at].clone()).collect();
            let refused = PortError::new("PutRecords", ErrorKind::Throttled, "injected into one record");
            let mut results = vec![Err(refused); records.len()];
            for (at, result) in kept.into_iter().zip(self.inner.put_records(&some).await?) {
                results[at] = result;
            }
            Ok(results)
        };
        self.through("PutRecords", put).await
    }
}

#[async_trait]
impl<T: LeaseStore> LeaseStore for Failing<T> {
    async fn create_table(&self) -> Result<(), PortError> {
        self.through("CreateTable", self.inner.create_table()).await
    }

    async fn list(&self) -> Result<Vec<Lease>, PortError> {
        self.through("Scan", self.inner.list()).await
    }

    async fn get(&self, lease_key: &str) -> Result<Option<Lease>, PortError> {
        self.through("GetItem", self.inner.get(lease_key)).await
    }

    async fn create(&self, lease: &Lease) -> Result<bool, PortError> {
        self.through("PutItem", self.inner.create(lease)).await
    }

    async fn update(&self, lease: &Lease, change: &LeaseChange) -> Result<Lease, PortError> {
        self.through("UpdateItem", self.inner.update(lease, change)).await
    }

    async fn delete(&self, lease: &Lease) -> Result<(), PortError> {
        self.through("DeleteItem", self.inner.delete(lease)).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::memory::MemoryLeases;
    use crate::sequence::Position;
    use crate::stream::Shard;

    fn faults(seed: u64, percent: u8) -> Faults {
        Faults { seed, percent, delay: Duration::from_secs(1) }
    }

    #[test]
    fn the_seed_decides_and_the_share_is_as_told() {
        let schedule = |seed| (0..10_000).map(|n| faults(seed, 20).of_call(n)).collect::<Vec<_>>();
        assert_eq!(schedule(1), schedule(1));
        assert_ne!(schedule(1), schedule(2));
        let failed = schedule(3).into_iter().flatten().count();
        assert!((1_800..2_200).contains(&failed), "{failed}");
        assert!((0..10_000).all(|n| faults(4, 0).of_call(n).is_none()));
        for wanted in [Fault::AnswerLost, Fault::Before(ErrorKind::Throttled), Fault::Before(ErrorKind::Unavailable)] {
            assert!(schedule(5).contains(&Some(wanted)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_answer_is_of_a_call_that_was_made() {
        let seed = (0..).find(|seed| faults(*seed, 100).of_call(0) == Some(Fault::AnswerLost)).unwrap();
        let store = Failing::new(MemoryLeases::default(), faults(seed, 100));
        let shard = Shard { shard_id: "s".into(), parent_ids: vec![], hash_range: None, open: true };
        let created = store.create(&Lease::of_shard(&shard, Position::TRIM_HORIZON)).await;
        assert_eq!(created.unwrap_err().kind, ErrorKind::Unavailable);
        assert!(store.inner().snapshot().contains_key("s"));
        store.set_down(true);
        let other = Shard { shard_id: "t".into(), ..shard };
        assert!(store.create(&Lease::of_shard(&other, Position::TRIM_HORIZON)).await.is_err());
        assert_eq!((store.inner().snapshot().len(), store.calls()), (1, 2));
    }
}
