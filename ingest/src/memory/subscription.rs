//! Enhanced fan-out of a stream in memory: registered consumers, and what is pushed to them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::stream::{Clock, State, not_found};
use crate::error::{ErrorKind, PortError};
use crate::sequence::SequenceNumber;
use crate::stream::{Consumer, ConsumerStatus, IteratorStart, Pushed, Subscription};

/// A consumer is active this long after its registration.
const CREATION: Duration = Duration::from_secs(2);
/// A subscription may be replaced after this.
const SETTLING: Duration = Duration::from_secs(5);
/// A subscription ends after this.
const LIFE: Duration = Duration::from_secs(300);
/// Of a quiet shard something is said this often.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// The most records in one event.
const EVENT_RECORDS: usize = 1_000;

/// Who is registered, and who is subscribed.
#[derive(Default)]
pub(super) struct FanOut {
    /// When each consumer was registered, by its name.
    consumers: BTreeMap<String, Instant>,
    /// The subscription to a shard that counts, by consumer and shard: its number, and when it was made.
    newest: BTreeMap<(String, String), (u64, Instant)>,
    made: u64,
}

impl FanOut {
    pub(super) fn describe(&self, name: &str) -> Option<Consumer> {
        let registered = self.consumers.get(name)?;
        let status = if registered.elapsed() < CREATION { ConsumerStatus::Creating } else { ConsumerStatus::Active };
        Some(Consumer { arn: name.to_owned(), status })
    }

    pub(super) fn register(&mut self, name: &str) -> Result<Consumer, PortError> {
        if self.consumers.contains_key(name) {
            return Err(in_use("RegisterStreamConsumer", "the consumer is registered already"));
        }
        self.consumers.insert(name.to_owned(), Instant::now());
        Ok(Consumer { arn: name.to_owned(), status: ConsumerStatus::Creating })
    }

    fn begin(&mut self, arn: &str, shard_id: &str) -> Result<u64, PortError> {
        let consumer = self.describe(arn).ok_or_else(|| not_found("SubscribeToShard", arn))?;
        if consumer.status != ConsumerStatus::Active {
            return Err(in_use("SubscribeToShard", "the consumer is not active yet"));
        }
        let key = (arn.to_owned(), shard_id.to_owned());
        if self.newest.get(&key).is_some_and(|(_, made)| made.elapsed() < SETTLING) {
            return Err(in_use("SubscribeToShard", "the shard was subscribed to less than five seconds ago"));
        }
        self.made += 1;
        self.newest.insert(key, (self.made, Instant::now()));
        Ok(self.made)
    }

    /// Ends every subscription, as a broken network does.
    pub(super) fn cut(&mut self) {
        self.newest.clear();
    }

    fn is_newest(&self, subscription: &MemorySubscription) -> bool {
        let key = (subscription.arn.clone(), subscription.shard_id.clone());
        self.newest.get(&key).is_some_and(|(number, _)| *number == subscription.number)
    }
}

fn in_use(call: &'static str, message: &str) -> PortError {
    PortError::new(call, ErrorKind::InUse, message)
}

/// A subscription to one shard.
pub(super) struct MemorySubscription {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
    clock: Clock,
    arn: String,
    shard_id: String,
    number: u64,
    index: usize,
    until: Instant,
    ended: bool,
}

impl MemorySubscription {
    pub(super) fn begin(
        state: &Arc<Mutex<State>>,
        changed: &Arc<Notify>,
        clock: Clock,
        (arn, shard_id): (&str, &str),
        start: &IteratorStart,
    ) -> Result<Self, PortError> {
        let mut now = state.lock().unwrap_or_else(PoisonError::into_inner);
        let shard = now.shards.get(shard_id).ok_or_else(|| not_found("SubscribeToShard", shard_id))?;
        let index = shard.index(start);
        let number = now.fan_out.begin(arn, shard_id)?;
        drop(now);
        let (state, changed) = (state.clone(), changed.clone());
        let (arn, shard_id) = (arn.to_owned(), shard_id.to_owned());
        let until = Instant::now() + LIFE;
        Ok(Self { state, changed, clock, arn, shard_id, number, index, until, ended: false })
    }

    /// What there is to say now, and the newest record's number.
    fn look(&mut self) -> Result<(Option<Pushed>, SequenceNumber), PortError> {
        let state = self.state.clone();
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.fan_out.is_newest(self) {
            return Err(in_use("SubscribeToShard", "the subscription was replaced or cut off"));
        }
        let shard = state.shards.get(&self.shard_id).ok_or_else(|| not_found("SubscribeToShard", &self.shard_id))?;
        let (records, index) = shard.read(self.index, EVENT_RECORDS);
        self.index = index;
        self.ended = shard.is_at_end(index);
        if records.is_empty() && !self.ended {
            return Ok((None, state.latest()));
        }
        let continuation = records.last().map(|record| record.sequence_number.clone()).filter(|_| !self.ended);
        let millis_behind_latest = shard.arrival(index).map_or(0, |arrival| (self.clock.millis() - arrival).max(1));
        let child_shards = if self.ended { state.children(&self.shard_id) } else { Vec::new() };
        let pushed = Pushed { records, continuation, millis_behind_latest: Some(millis_behind_latest), child_shards };
        Ok((Some(pushed), state.latest()))
    }
}

#[async_trait]
impl Subscription for MemorySubscription {
    async fn next(&mut self) -> Result<Option<Pushed>, PortError> {
        let beat = Instant::now() + HEARTBEAT;
        loop {
            if self.ended || Instant::now() >= self.until {
                return Ok(None);
            }
            let changed = self.changed.clone();
            // Registered before the look, so that nothing that comes after it is missed.
            let mut changed = std::pin::pin!(changed.notified());
            changed.as_mut().enable();
            let (pushed, latest) = self.look()?;
            if pushed.is_some() {
                return Ok(pushed);
            }
            let wait = beat.saturating_duration_since(Instant::now());
            if timeout(wait, changed).await.is_err() {
                // A quiet shard's place is the greatest number that was given out when it was looked at.
                return Ok(Some(Pushed {
                    continuation: Some(latest),
                    millis_behind_latest: Some(0),
                    ..Pushed::default()
                }));
            }
        }
    }
}
