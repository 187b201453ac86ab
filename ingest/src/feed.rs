//! Reads one shard ahead of its processor, by polling or by subscription, as far as there is room.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use crate::budget::{Amount, Room, ShardRoom};
use crate::error::{ErrorKind, PortError};
use crate::fan_out::{AfterFailure, FanOut, after_failure};
use crate::reader::{Answer, ShardReader};
use crate::retry;
use crate::shard::AbortOnDrop;
use crate::stream::{Pushed, StreamClient, Subscription};

/// The most answers that wait for the processor. Their size is bounded by the room; this bounds the empty ones.
const ANSWERS: usize = 32;

/// A subscription that was silent for so long is dead: the service says something every five seconds.
const SILENCE: Duration = Duration::from_secs(30);

/// A subscription that there is no room for is dropped after this.
const FULL: Duration = Duration::from_secs(2);

/// An answer, and the room that it takes until it is dropped.
pub(crate) struct Fed {
    pub(crate) answer: Answer,
    pub(crate) room: Option<Room>,
}

/// The answers of one shard, read ahead. Reading stops when it is dropped, and what was read ahead is forgotten: it
/// was never handed over.
pub(crate) struct Feed {
    answers: mpsc::Receiver<Fed>,
    _task: AbortOnDrop,
}

impl Feed {
    /// Begins to read.
    pub(crate) fn start(
        stream: Arc<dyn StreamClient>,
        reader: ShardReader,
        room: ShardRoom,
        fan_out: Option<Arc<FanOut>>,
    ) -> Self {
        let (sender, answers) = mpsc::channel(ANSWERS);
        let seed = retry::seed_of(&[reader.shard_id(), "subscribe"]);
        let feeder = Feeder { stream, reader, room, answers: sender, seed };
        let task = match fan_out {
            None => tokio::spawn(async move { feeder.poll_only().await }),
            Some(fan_out) => tokio::spawn(async move { feeder.subscribe(&fan_out).await }),
        };
        Self { answers, _task: AbortOnDrop(task) }
    }

    /// The next answer; `None` after the shard's end.
    pub(crate) async fn next(&mut self) -> Option<Fed> {
        self.answers.recv().await
    }
}

/// There is nothing more to read, or nobody to read for.
struct Over;

/// The reading side.
struct Feeder {
    stream: Arc<dyn StreamClient>,
    reader: ShardReader,
    room: ShardRoom,
    answers: mpsc::Sender<Fed>,
    seed: u64,
}

impl Feeder {
    async fn poll_only(mut self) {
        while self.poll().await.is_ok() {}
    }

    /// One poll. The room is taken only when the read is due, so that who waits for that holds none.
    async fn poll(&mut self) -> Result<(), Over> {
        self.reader.due().await;
        let limit = self.reader.limit();
        let mut room = self.room.take(Amount::of_a_read(limit)).await;
        let answer = self.reader.poll(limit).await;
        match &answer {
            Answer::Records { records, .. } => {
                room.shrink(Amount::of(records));
                self.hand_over(answer, Some(room)).await
            }
            _ => {
                drop(room);
                self.hand_over(answer, None).await
            }
        }
    }

    async fn hand_over(&mut self, answer: Answer, room: Option<Room>) -> Result<(), Over> {
        let last = matches!(answer, Answer::End(_) | Answer::Gone);
        let sent = self.answers.send(Fed { answer, room }).await;
        if last || sent.is_err() { Err(Over) } else { Ok(()) }
    }

    /// Subscribes again and again, and polls where that is refused.
    async fn subscribe(mut self, fan_out: &FanOut) {
        // "From now on" is now, not when the first subscription is made.
        self.reader.place.pin_latest();
        let mut failures = 0;
        loop {
            let error = match self.one_subscription(fan_out, &mut failures).await {
                Ok(()) => continue,
                Err(Ended::Over) => return,
                Err(Ended::Failed(error)) => error,
            };
            failures += 1;
            if error.kind == ErrorKind::NotFound {
                fan_out.forget().await;
            }
            let shard = self.reader.shard_id().clone();
            match after_failure(error.kind, failures, self.seed) {
                AfterFailure::Subscribe(pause) => {
                    debug!(%shard, %error, failures, ?pause, "the subscription failed; trying again");
                    sleep(pause).await;
                }
                AfterFailure::Poll(time) => {
                    warn!(%shard, %error, ?time, "no subscription to the shard; polling it for a while");
                    failures = 0;
                    if self.poll_for(time).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    async fn poll_for(&mut self, time: Duration) -> Result<(), Over> {
        let until = Instant::now() + time;
        self.reader.begin_anew();
        while Instant::now() < until {
            self.poll().await?;
        }
        Ok(())
    }

    /// One subscription from its beginning to its end, which comes after five minutes if nothing else happens.
    async fn one_subscription(&mut self, fan_out: &FanOut, failures: &mut u32) -> Result<(), Ended> {
        let arn = in_time("RegisterStreamConsumer", fan_out.arn()).await?;
        let start = self.reader.place.next_pushed();
        let subscribing = self.stream.subscribe(&arn, self.reader.shard_id(), &start);
        let mut subscription = in_time("SubscribeToShard", subscribing).await?;
        info!(shard = %self.reader.shard_id(), %start, "subscribed");
        let mut heard = false;
        while let Some(pushed) = next_event(&mut *subscription).await? {
            (heard, *failures) = (true, 0);
            let need = Amount::of(&pushed.records);
            if let Ok(room) = timeout(FULL, self.room.take(need)).await {
                self.take_in(pushed, room).await?;
                continue;
            }
            // Left open and unread, it would hold up the other shards' subscriptions on the same connection.
            drop(subscription);
            debug!(shard = %self.reader.shard_id(), "no room for what is pushed; subscribing again when there is");
            let room = self.room.take(need).await;
            return self.take_in(pushed, room).await;
        }
        match heard {
            true => Ok(()),
            false => {
                Err(PortError::new("SubscribeToShard", ErrorKind::Unavailable, "it ended without an event").into())
            }
        }
    }

    async fn take_in(&mut self, mut pushed: Pushed, room: Room) -> Result<(), Ended> {
        let millis_behind_latest = pushed.millis_behind_latest;
        let ended = pushed.is_end();
        self.reader.place.read(&mut pushed.records);
        self.reader.place.continues(pushed.continuation);
        if !pushed.records.is_empty() {
            let answer = Answer::Records { records: pushed.records, millis_behind_latest };
            self.hand_over(answer, Some(room)).await?;
        } else if !ended {
            self.hand_over(Answer::Nothing { millis_behind_latest }, None).await?;
        }
        if ended { Ok(self.hand_over(Answer::End(pushed.child_shards), None).await?) } else { Ok(()) }
    }
}

/// Why a subscription is of no more use.
enum Ended {
    Over,
    Failed(PortError),
}

impl From<Over> for Ended {
    fn from(_: Over) -> Self {
        Self::Over
    }
}

impl From<PortError> for Ended {
    fn from(error: PortError) -> Self {
        Self::Failed(error)
    }
}

async fn next_event(subscription: &mut dyn Subscription) -> Result<Option<Pushed>, PortError> {
    in_time("SubscribeToShard", subscription.next()).await
}

async fn in_time<T>(call: &'static str, answer: impl Future<Output = Result<T, PortError>>) -> Result<T, PortError> {
    let late = || PortError::new(call, ErrorKind::Unavailable, format!("nothing was heard for {SILENCE:?}"));
    timeout(SILENCE, answer).await.unwrap_or_else(|_| Err(late()))
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
