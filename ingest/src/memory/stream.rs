//! A stream in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::shard::MemoryShard;
use super::subscription::{FanOut, MemorySubscription};
use crate::error::{ErrorKind, PortError};
use crate::kpl::hash_key;
use crate::producer::{NewRecord, StreamWriter};
use crate::sequence::SequenceNumber;
use crate::stream::{
    ChildShard, Consumer, GetRecords, HashRange, IteratorStart, Shard, ShardPage, StreamClient, StreamRecord,
    Subscription, no_fan_out,
};

const ITERATOR_LIFE: Duration = Duration::from_secs(300);

/// A stream that lasts as long as the value. Share it between its producer and its consumers in an `Arc`.
pub struct MemoryStream {
    clock: Clock,
    page_size: usize,
    names_children: bool,
    limits: bool,
    fan_out: bool,
    state: Arc<Mutex<State>>,
    /// Subscribers are told of every record and every resharding.
    changed: Arc<Notify>,
}

/// The stream's time.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    origin: Instant,
    /// The time of day at the origin, in milliseconds since the Unix epoch.
    epoch: i64,
}

impl Clock {
    pub(super) fn millis(self) -> i64 {
        self.epoch + i64::try_from(self.origin.elapsed().as_millis()).unwrap_or(i64::MAX / 2)
    }
}

#[derive(Default)]
pub(super) struct State {
    pub(super) shards: BTreeMap<String, MemoryShard>,
    pub(super) fan_out: FanOut,
    made: usize,
    records: u64,
    /// Iterators of an earlier generation have expired.
    generation: u64,
}

impl MemoryStream {
    /// A stream of so many shards (at least one), which divide the hash keys evenly.
    ///
    /// Call it inside a tokio runtime whose time is to be paused.
    #[must_use]
    pub fn new(shard_count: usize) -> Self {
        let mut state = State::default();
        let count = u128::try_from(shard_count.max(1)).unwrap_or(1);
        let width = u128::MAX / count;
        for n in 0..count {
            let end = if n + 1 == count { u128::MAX } else { (n + 1) * width - 1 };
            state.add(vec![], HashRange { start: n * width, end });
        }
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        Self {
            clock: Clock { origin: Instant::now(), epoch: i64::try_from(epoch).unwrap_or_default() },
            page_size: 1_000,
            names_children: true,
            limits: true,
            fan_out: true,
            state: Arc::new(Mutex::new(state)),
            changed: Arc::default(),
        }
    }

    /// Lists so many shards a page.
    #[must_use]
    pub fn with_page_size(self, page_size: usize) -> Self {
        Self { page_size: page_size.max(1), ..self }
    }

    /// Does not name a closed shard's children in the last answer, as some implementations do not.
    #[must_use]
    pub fn without_child_shards(self) -> Self {
        Self { names_children: false, ..self }
    }

    /// Answers as many reads as are made.
    #[must_use]
    pub fn without_limits(self) -> Self {
        Self { limits: false, ..self }
    }

    /// Refuses enhanced fan-out, as to who lacks the permission.
    #[must_use]
    pub fn without_fan_out(self) -> Self {
        Self { fan_out: false, ..self }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a record into the shard that its partition key falls to; returns its place.
    ///
    /// # Errors
    /// None while the open shards cover every hash key, as they do.
    pub fn put(&self, partition_key: &str, data: impl Into<Bytes>) -> Result<(String, SequenceNumber), PortError> {
        let key = hash_key(partition_key);
        let arrival = self.clock.millis();
        let mut state = self.state();
        state.records += 1;
        let sequence_number = sequence(state.records);
        let mut open = state.shards.values_mut().filter(|shard| shard.shard.open);
        let shard = open
            .find(|shard| shard.shard.hash_range.is_some_and(|range| range.contains(key)))
            .ok_or_else(|| not_found("PutRecord", partition_key))?;
        shard.push(StreamRecord {
            sequence_number: sequence_number.clone(),
            partition_key: partition_key.into(),
            arrival,
            data: data.into(),
        });
        self.changed.notify_waiters();
        Ok((shard.shard.shard_id.clone(), sequence_number))
    }

    /// Closes a shard and divides its hash keys between two new ones; returns their ids.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such open shard.
    pub fn split(&self, shard_id: &str) -> Result<[String; 2], PortError> {
        let mut state = self.state();
        let range = state.close(shard_id)?;
        self.changed.notify_waiters();
        let middle = range.start + (range.end - range.start) / 2;
        let parent = || vec![shard_id.to_owned()];
        Ok([
            state.add(parent(), HashRange { start: range.start, end: middle }),
            state.add(parent(), HashRange { start: middle + 1, end: range.end }),
        ])
    }

    /// Closes two neighbouring shards and gives their hash keys to a new one; returns its id.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if they are not two open shards, [`ErrorKind::Denied`] if they are not neighbours.
    pub fn merge(&self, lower: &str, upper: &str) -> Result<String, PortError> {
        let mut state = self.state();
        let (first, second) = (state.open_range(lower)?, state.open_range(upper)?);
        if first.end.checked_add(1) != Some(second.start) {
            return Err(PortError::new("MergeShards", ErrorKind::Denied, "the shards are not adjacent"));
        }
        state.close(lower)?;
        state.close(upper)?;
        self.changed.notify_waiters();
        Ok(state.add(vec![lower.into(), upper.into()], HashRange { start: first.start, end: second.end }))
    }

    /// Makes every iterator given out so far an expired one.
    pub fn expire_iterators(&self) {
        self.state().generation += 1;
    }

    /// Breaks every subscription.
    pub fn cut_subscriptions(&self) {
        self.state().fan_out.cut();
        self.changed.notify_waiters();
    }

    /// Lets a shard's oldest records age out.
    pub fn trim(&self, shard_id: &str, count: usize) {
        if let Some(shard) = self.state().shards.get_mut(shard_id) {
            shard.trim(count);
        }
    }

    /// Lets a whole closed shard age out: it is listed no more. An open one stays.
    pub fn forget(&self, shard_id: &str) {
        self.state().shards.retain(|id, shard| id != shard_id || shard.shard.open);
    }
}

impl State {
    fn add(&mut self, parent_ids: Vec<String>, range: HashRange) -> String {
        let shard_id = format!("shardId-{:012}", self.made);
        self.made += 1;
        let shard = Shard { shard_id: shard_id.clone(), parent_ids, hash_range: Some(range), open: true };
        self.shards.insert(shard_id.clone(), MemoryShard::new(shard));
        shard_id
    }

    fn open_range(&self, shard_id: &str) -> Result<HashRange, PortError> {
        let shard = self.shards.get(shard_id).filter(|shard| shard.shard.open);
        shard.and_then(|shard| shard.shard.hash_range).ok_or_else(|| not_found("SplitShard", shard_id))
    }

    fn close(&mut self, shard_id: &str) -> Result<HashRange, PortError> {
        let range = self.open_range(shard_id)?;
        if let Some(shard) = self.shards.get_mut(shard_id) {
            shard.shard.open = false;
        }
        Ok(range)
    }

    /// The newest record's number, or one before all of them.
    pub(super) fn latest(&self) -> SequenceNumber {
        sequence(self.records)
    }

    pub(super) fn children(&self, shard_id: &str) -> Vec<ChildShard> {
        let shards = self.shards.values().map(|shard| &shard.shard);
        shards.filter(|shard| shard.parent_ids.iter().any(|id| id == shard_id)).map(ChildShard::from).collect()
    }
}

pub(super) fn not_found(call: &'static str, shard_id: &str) -> PortError {
    PortError::new(call, ErrorKind::NotFound, format!("no shard {shard_id}"))
}

/// 56 digits, as Kinesis' own have.
fn sequence(n: u64) -> SequenceNumber {
    format!("49{n:054}").parse().unwrap_or(SequenceNumber::TrimHorizon)
}

/// What an iterator's text says: it is issued and read here alone.
struct Token<'a> {
    shard_id: &'a str,
    index: usize,
    generation: u64,
    issued: Duration,
}

impl<'a> Token<'a> {
    fn write(&self) -> String {
        format!("{}/{}/{}/{}", self.shard_id, self.index, self.generation, self.issued.as_millis())
    }

    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split('/');
        Some(Self {
            shard_id: parts.next()?,
            index: parts.next()?.parse().ok()?,
            generation: parts.next()?.parse().ok()?,
            issued: Duration::from_millis(parts.next()?.parse().ok()?),
        })
    }
}

#[async_trait]
impl StreamClient for MemoryStream {
    async fn list_shards(&self, page: Option<&str>) -> Result<ShardPage, PortError> {
        let state = self.state();
        let mut shards = state
            .shards
            .values()
            .map(|shard| shard.shard.clone())
            .filter(|shard| page.is_none_or(|last| shard.shard_id.as_str() > last));
        let shown: Vec<Shard> = shards.by_ref().take(self.page_size).collect();
        let more = shards.next().is_some();
        let next = shown.last().filter(|_| more).map(|shard| shard.shard_id.clone());
        Ok(ShardPage { shards: shown, next })
    }

    async fn get_iterator(&self, shard_id: &str, start: &IteratorStart) -> Result<String, PortError> {
        let state = self.state();
        let shard = state.shards.get(shard_id).ok_or_else(|| not_found("GetShardIterator", shard_id))?;
        let index = shard.index(start);
        Ok(Token { shard_id, index, generation: state.generation, issued: self.clock.origin.elapsed() }.write())
    }

    async fn get_records(&self, iterator: &str, limit: u32) -> Result<GetRecords, PortError> {
        let token = Token::read(iterator)
            .ok_or_else(|| PortError::new("GetRecords", ErrorKind::Denied, "not an iterator of this stream"))?;
        let now = Instant::now();
        let mut state = self.state();
        let aged = self.clock.origin.elapsed().saturating_sub(token.issued) >= ITERATOR_LIFE;
        if aged || token.generation < state.generation {
            return Err(PortError::new("GetRecords", ErrorKind::ExpiredIterator, "the iterator has expired"));
        }
        let generation = state.generation;
        let shard = state.shards.get_mut(token.shard_id).ok_or_else(|| not_found("GetRecords", token.shard_id))?;
        if self.limits {
            shard.admit(now)?;
        }
        let (records, index) = shard.read(token.index, limit as usize);
        shard.account(now, records.iter().map(|record| record.data.len()).sum());
        let behind = shard.arrival(index).map_or(0, |arrival| (self.clock.millis() - arrival).max(1));
        let at_end = shard.is_at_end(index);
        let next = Token { index, generation, issued: self.clock.origin.elapsed(), ..token };
        Ok(GetRecords {
            records,
            next_iterator: (!at_end).then(|| next.write()),
            millis_behind_latest: Some(behind),
            child_shards: if at_end && self.names_children { state.children(token.shard_id) } else { vec![] },
        })
    }

    async fn describe_consumer(&self, consumer_name: &str) -> Result<Option<Consumer>, PortError> {
        if !self.fan_out {
            return Err(no_fan_out("DescribeStreamConsumer", consumer_name));
        }
        Ok(self.state().fan_out.describe(consumer_name))
    }

    async fn register_consumer(&self, consumer_name: &str) -> Result<Consumer, PortError> {
        self.state().fan_out.register(consumer_name)
    }

    async fn subscribe(
        &self,
        consumer_arn: &str,
        shard_id: &str,
        start: &IteratorStart,
    ) -> Result<Box<dyn Subscription>, PortError> {
        let to = (consumer_arn, shard_id);
        Ok(Box::new(MemorySubscription::begin(&self.state, &self.changed, self.clock, to, start)?))
    }
}

#[async_trait]
impl StreamWriter for MemoryStream {
    async fn put_records(&self, records: &[NewRecord]) -> Result<Vec<Result<(), PortError>>, PortError> {
        let put = |record: &NewRecord| self.put(&record.partition_key, record.data.clone()).map(|_| ());
        Ok(records.iter().map(put).collect())
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
