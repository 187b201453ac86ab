//! The port to a stream: shards, iterators, records.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{ErrorKind, PortError};
use crate::sequence::{Position, SequenceNumber};

/// A shard, as `ListShards` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its id, unique in the stream: `shardId-000000000000`.
    pub shard_id: String,
    /// The shards that it came from: none, one after a split, two after a merge. They may be gone from the stream.
    pub parent_ids: Vec<String>,
    /// The hash keys that it takes in, both ends included.
    pub hash_range: Option<HashRange>,
    /// Whether it takes in records still; a closed shard was split or merged.
    pub open: bool,
}

/// A range of hash keys, both ends included. Hash keys are 128-bit, as MD5 of the partition key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashRange {
    /// The first key.
    pub start: u128,
    /// The last key.
    pub end: u128,
}

impl HashRange {
    /// Whether `key` lies in it.
    #[must_use]
    pub fn contains(&self, key: u128) -> bool {
        self.start <= key && key <= self.end
    }

    /// Whether some key is in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }
}

/// A shard that a closed one continues in, as the last `GetRecords` answer names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildShard {
    /// Its id.
    pub shard_id: String,
    /// All its parents.
    pub parent_ids: Vec<String>,
    /// The hash keys that it takes in.
    pub hash_range: Option<HashRange>,
}

impl From<&Shard> for ChildShard {
    fn from(shard: &Shard) -> Self {
        Self { shard_id: shard.shard_id.clone(), parent_ids: shard.parent_ids.clone(), hash_range: shard.hash_range }
    }
}

/// One page of `ListShards`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardPage {
    /// Some of the shards, open and closed ones.
    pub shards: Vec<Shard>,
    /// What to ask the next page with; `None` on the last.
    pub next: Option<String>,
}

/// Where a shard iterator begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IteratorStart {
    /// The oldest record there is.
    TrimHorizon,
    /// Only what arrives from now on.
    Latest,
    /// The first record that arrived at this time (milliseconds since the Unix epoch) or later.
    AtTimestamp(i64),
    /// This record, or the oldest there is if it has aged out.
    At(SequenceNumber),
    /// The record after this one.
    After(SequenceNumber),
}

impl fmt::Display for IteratorStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TrimHorizon => f.write_str("TRIM_HORIZON"),
            Self::Latest => f.write_str("LATEST"),
            Self::AtTimestamp(millis) => write!(f, "AT_TIMESTAMP {millis}"),
            Self::At(sequence) => write!(f, "AT_SEQUENCE_NUMBER {sequence}"),
            Self::After(sequence) => write!(f, "AFTER_SEQUENCE_NUMBER {sequence}"),
        }
    }
}

/// Where a consumer begins in shards that nobody has read yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InitialPosition {
    /// With the oldest record that the stream still has.
    #[default]
    TrimHorizon,
    /// With what arrives from now on. Until a shard's first checkpoint this "now" is whenever its lease was taken last, by
    /// a start, a crash or a rebalancing: what came before that and was not committed is not read again. Where nothing
    /// may be lost from a moment on, name the moment: [`AtTimestamp`](Self::AtTimestamp).
    Latest,
    /// With what arrived at this time (milliseconds since the Unix epoch) or later.
    AtTimestamp(i64),
}

impl InitialPosition {
    /// The checkpoint of a lease that nobody has begun.
    #[must_use]
    pub fn checkpoint(self) -> Position {
        match self {
            Self::TrimHorizon => Position::TRIM_HORIZON,
            Self::Latest => Position::LATEST,
            Self::AtTimestamp(_) => Position::AT_TIMESTAMP,
        }
    }
}

/// A record as the stream hands it over, before de-aggregation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRecord {
    /// Its sequence number.
    pub sequence_number: SequenceNumber,
    /// Its partition key.
    pub partition_key: String,
    /// When it arrived, in milliseconds since the Unix epoch.
    pub arrival: i64,
    /// Its bytes.
    pub data: Bytes,
}

/// The answer to one `GetRecords`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GetRecords {
    /// The records, in order; may be none although some wait.
    pub records: Vec<StreamRecord>,
    /// What to read on with; `None` at the end of a closed shard.
    pub next_iterator: Option<String>,
    /// How far behind the newest record this answer is, in milliseconds.
    pub millis_behind_latest: Option<i64>,
    /// At the end of a closed shard, what it continues in. Not every implementation says.
    pub child_shards: Vec<ChildShard>,
}

/// A consumer with enhanced fan-out, registered with a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// What subscriptions are made with.
    pub arn: String,
    /// Whether it can be used.
    pub status: ConsumerStatus,
}

/// `ConsumerStatus`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumerStatus {
    /// Not yet.
    Creating,
    /// Yes.
    Active,
    /// No more.
    Deleting,
}

/// One event of a subscription (`SubscribeToShardEvent`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// The records, in order; none in an event that only tells how far the shard was read.
    pub records: Vec<StreamRecord>,
    /// Where another subscription goes on: no record's number, perhaps. `None` at the end of a closed shard.
    pub continuation: Option<SequenceNumber>,
    /// How far behind the newest record this event is, in milliseconds.
    pub millis_behind_latest: Option<i64>,
    /// At the end of a closed shard, what it continues in.
    pub child_shards: Vec<ChildShard>,
}

impl Pushed {
    /// Whether a closed shard has nothing more. Its children are named at the end only; some implementations name them
    /// once the shard is closed, along with the records that are left, and never leave the continuation out.
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.continuation.is_none() || (self.records.is_empty() && !self.child_shards.is_empty())
    }
}

/// A subscription to one shard. It lasts five minutes.
#[async_trait]
pub trait Subscription: Send {
    /// Waits for the next event; `None` when the subscription has come to its end, which says nothing of the shard's.
    ///
    /// Dropping the future may lose an event: drop the subscription with it.
    ///
    /// # Errors
    /// [`InUse`](ErrorKind::InUse) if another subscription took this one's place. After any error it is of no use.
    async fn next(&mut self) -> Result<Option<Pushed>, PortError>;
}

/// A stream that is read by polling, and by subscription where it offers that.
///
/// Each method is one call to the service, without retries: the worker decides what is tried again, and when. An
/// implementation over a client that retries by itself must switch that off, or a throttled shard is read more often
/// than the five times a second that Kinesis allows.
#[async_trait]
pub trait StreamClient: Send + Sync {
    /// One page of all shards that the stream knows, closed ones included (`ListShards`).
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) if there is no such stream, else whatever the service said.
    async fn list_shards(&self, page: Option<&str>) -> Result<ShardPage, PortError>;

    /// An iterator that begins at `start` (`GetShardIterator`).
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) if there is no such stream or no such shard in it.
    async fn get_iterator(&self, shard_id: &str, start: &IteratorStart) -> Result<String, PortError>;

    /// At most `limit` records (1 to 10,000), and as many as 10 MB hold (`GetRecords`).
    ///
    /// # Errors
    /// [`ExpiredIterator`](crate::ErrorKind::ExpiredIterator) five minutes after the iterator was made.
    async fn get_records(&self, iterator: &str, limit: u32) -> Result<GetRecords, PortError>;

    /// The consumer of this name, if it is registered (`DescribeStreamConsumer`).
    ///
    /// # Errors
    /// [`Denied`](ErrorKind::Denied) where the stream offers no enhanced fan-out, which is what every implementation
    /// does that leaves these three methods out.
    async fn describe_consumer(&self, consumer_name: &str) -> Result<Option<Consumer>, PortError> {
        Err(no_fan_out("DescribeStreamConsumer", consumer_name))
    }

    /// Registers a consumer of this name (`RegisterStreamConsumer`).
    ///
    /// # Errors
    /// [`InUse`](ErrorKind::InUse) if there is one already, [`Throttled`](ErrorKind::Throttled) if the stream has as
    /// many as it may have, [`Denied`](ErrorKind::Denied).
    async fn register_consumer(&self, consumer_name: &str) -> Result<Consumer, PortError> {
        Err(no_fan_out("RegisterStreamConsumer", consumer_name))
    }

    /// Subscribes to a shard (`SubscribeToShard`). A subscription of the same consumer to the same shard ends then, if
    /// it is older than five seconds.
    ///
    /// # Errors
    /// [`InUse`](ErrorKind::InUse) if it is younger, or the consumer is not active;
    /// [`Throttled`](ErrorKind::Throttled), [`NotFound`](ErrorKind::NotFound), [`Denied`](ErrorKind::Denied).
    async fn subscribe(
        &self,
        consumer_arn: &str,
        shard_id: &str,
        start: &IteratorStart,
    ) -> Result<Box<dyn Subscription>, PortError> {
        let _ = (shard_id, start);
        Err(no_fan_out("SubscribeToShard", consumer_arn))
    }
}

pub(crate) fn no_fan_out(call: &'static str, consumer: &str) -> PortError {
    let message = format!("this stream offers no enhanced fan-out, which consumer {consumer} asks for");
    PortError::new(call, ErrorKind::Denied, message)
}

#[async_trait]
impl<T: StreamClient + ?Sized> StreamClient for std::sync::Arc<T> {
    async fn list_shards(&self, page: Option<&str>) -> Result<ShardPage, PortError> {
        (**self).list_shards(page).await
    }

    async fn get_iterator(&self, shard_id: &str, start: &IteratorStart) -> Result<String, PortError> {
        (**self).get_iterator(shard_id, start).await
    }

    async fn get_records(&self, iterator: &str, limit: u32) -> Result<GetRecords, PortError> {
        (**self).get_records(iterator, limit).await
    }

    async fn describe_consumer(&self, consumer_name: &str) -> Result<Option<Consumer>, PortError> {
        (**self).describe_consumer(consumer_name).await
    }

    async fn register_consumer(&self, consumer_name: &str) -> Result<Consumer, PortError> {
        (**self).register_consumer(consumer_name).await
    }

    async fn subscribe(
        &self,
        consumer_arn: &str,
        shard_id: &str,
        start: &IteratorStart,
    ) -> Result<Box<dyn Subscription>, PortError> {
        (**self).subscribe(consumer_arn, shard_id, start).await
    }
}

/// Every shard of the stream, page by page.
///
/// # Errors
/// That of the first page that failed.
pub(crate) async fn all_shards(stream: &dyn StreamClient) -> Result<Vec<Shard>, PortError> {
    let mut shards = Vec::new();
    let mut page = None;
    loop {
        let answer = stream.list_shards(page.as_deref()).await?;
        shards.extend(answer.shards);
        if answer.next.is_none() || answer.next == page {
            return Ok(shards);
        }
        page = answer.next;
    }
}
