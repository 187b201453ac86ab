//! Putting records into a stream: batched over concurrent callers, and retried record by record.
//!
//! A caller of [`Producer::put`] waits until the service has confirmed its record, or until its own time is over. What
//! many callers put in the same few milliseconds goes out in one call. Between records nothing is promised about order,
//! and a record may be in the stream twice: after an answer that was lost, it is put again.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};

use crate::error::{ErrorKind, PortError};
use crate::retry::{delay, seed_of};

/// The most bytes of one record, its data and its partition key together. Streams may be set to take up to 10 MiB; this
/// is what every stream takes.
pub const MAX_RECORD_BYTES: usize = 1 << 20;
/// The most records of one call (`PutRecords`).
pub const MAX_RECORDS: usize = 500;
/// The most bytes of one call, partition keys included, that every region takes.
pub const MAX_CALL_BYTES: usize = 5 << 20;
/// The longest partition key, in characters.
pub const MAX_PARTITION_KEY: usize = 256;

/// A record on its way to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// Decides by its MD5 to which shard the record goes; 1 to 256 characters.
    pub partition_key: String,
    /// The record's data.
    pub data: Bytes,
}

impl NewRecord {
    /// What it counts against the service's limits, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.data.len() + self.partition_key.len()
    }
}

/// A stream that records can be put into.
///
/// One call to the service, without retries: the [`Producer`] decides what is tried again, and when.
#[async_trait]
pub trait StreamWriter: Send + Sync {
    /// Puts at most [`MAX_RECORDS`] records of at most [`MAX_CALL_BYTES`] (`PutRecords`). The answer has a result for each
    /// record, in their order: some may be in the stream and others not.
    ///
    /// # Errors
    /// When the call as a whole failed; with [`Unavailable`](ErrorKind::Unavailable) records may be in the stream still.
    async fn put_records(&self, records: &[NewRecord]) -> Result<Vec<Result<(), PortError>>, PortError>;
}

#[async_trait]
impl<T: StreamWriter + ?Sized> StreamWriter for Arc<T> {
    async fn put_records(&self, records: &[NewRecord]) -> Result<Vec<Result<(), PortError>>, PortError> {
        (**self).put_records(records).await
    }
}

/// How a [`Producer`] works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerConfig {
    /// How long a record waits for others to be put with it.
    pub linger: Duration,
    /// The most calls under way, those included that wait to be tried again.
    pub in_flight: usize,
    /// The most bytes of records that are not confirmed yet; callers beyond wait.
    pub waiting_bytes: usize,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self { linger: Duration::from_millis(5), in_flight: 8, waiting_bytes: 64 << 20 }
    }
}

/// Why a record is not known to be in the stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PutError {
    /// No stream takes a record of this size.
    #[error("the record has {bytes} bytes with its partition key: the stream takes at most {MAX_RECORD_BYTES}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The partition key is empty or too long.
    #[error("the partition key has {characters} characters: it must have 1 to {MAX_PARTITION_KEY}")]
    BadKey {
        /// Its length.
        characters: usize,
    },
    /// The caller's time is over. The record may get into the stream yet.
    #[error("the stream did not confirm the record in time{}", last.as_ref().map(|error| format!(": {error}")).unwrap_or_default())]
    Late {
        /// What the last try came to, where there was an answer.
        last: Option<PortError>,
    },
    /// Trying again will not help.
    #[error("the stream does not take the record: {0}")]
    Refused(PortError),
    /// The producer's runtime is going down.
    #[error("the producer has stopped")]
    Stopped,
}

/// Puts records of many callers into one stream. Clones share their calls.
#[derive(Clone, Debug)]
pub struct Producer {
    queue: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
    capacity: usize,
}

/// A record whose caller waits.
#[derive(Debug)]
struct Waiting {
    record: NewRecord,
    deadline: Instant,
    done: oneshot::Sender<Result<(), PutError>>,
    _room: OwnedSemaphorePermit,
}

impl Producer {
    /// A producer over this stream. Its task ends when the last clone is dropped.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(stream: Arc<dyn StreamWriter>, config: ProducerConfig) -> Self {
        let capacity = config.waiting_bytes.clamp(MAX_RECORD_BYTES, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        let (queue, waiting) = mpsc::channel(2 * MAX_RECORDS);
        tokio::spawn(dispatch(stream, waiting, config));
        Self { queue, room: Arc::new(Semaphore::new(capacity)), capacity }
    }

    /// Puts a record, and returns once it is durable in the stream. Dropping the future gives the record up: it may get
    /// into the stream or not.
    ///
    /// # Errors
    /// See [`PutError`]. After `within` it is [`PutError::Late`].
    pub async fn put(&self, record: NewRecord, within: Duration) -> Result<(), PutError> {
        let (bytes, characters) = (record.bytes(), record.partition_key.chars().count());
        if bytes > MAX_RECORD_BYTES {
            return Err(PutError::TooLarge { bytes });
        }
        if characters == 0 || characters > MAX_PARTITION_KEY {
            return Err(PutError::BadKey { characters });
        }
        let deadline = Instant::now() + within;
        let (done, confirmed) = oneshot::channel();
        let handed_over = async {
            let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
            let room = self.room.clone().acquire_many_owned(permits).await.map_err(|_| PutError::Stopped)?;
            let waiting = Waiting { record, deadline, done, _room: room };
            self.queue.send(waiting).await.map_err(|_| PutError::Stopped)?;
            confirmed.await.unwrap_or(Err(PutError::Stopped))
        };
        timeout_at(deadline, handed_over).await.unwrap_or(Err(PutError::Late { last: None }))
    }

    /// Bytes of records that are not confirmed yet.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.capacity.saturating_sub(self.room.available_permits())
    }
}

/// Makes batches of what waits, and sends them side by side.
async fn dispatch(stream: Arc<dyn StreamWriter>, mut queue: mpsc::Receiver<Waiting>, config: ProducerConfig) {
    let flights = Arc::new(Semaphore::new(config.in_flight.max(1)));
    let mut gathered = Vec::new();
    let mut calls = 0_u64;
    loop {
        let Ok(flight) = flights.clone().acquire_owned().await else { return };
        if gathered.is_empty() && queue.recv_many(&mut gathered, MAX_RECORDS).await == 0 {
            return;
        }
        let until = Instant::now() + config.linger;
        while gathered.len() < MAX_RECORDS {
            let room = MAX_RECORDS - gathered.len();
            match timeout_at(until, queue.recv_many(&mut gathered, room)).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        let rest = gathered.split_off(fitting(gathered.iter().map(|waiting| waiting.record.bytes())));
        let batch = std::mem::replace(&mut gathered, rest);
        let (stream, seed) = (stream.clone(), seed_of(&["producer"]).wrapping_add(calls));
        calls += 1;
        tokio::spawn(async move {
            send(stream.as_ref(), batch, seed).await;
            drop(flight);
        });
    }
}

/// How many records of these sizes one call takes; at least one.
fn fitting(sizes: impl Iterator<Item = usize>) -> usize {
    let mut total = 0;
    let within = sizes.take(MAX_RECORDS).take_while(|size| {
        total += size;
        total <= MAX_CALL_BYTES
    });
    within.count().max(1)
}

/// Tries until every caller has its answer.
async fn send(stream: &dyn StreamWriter, mut batch: Vec<Waiting>, seed: u64) {
    let mut attempt = 0;
    loop {
        batch.retain(|waiting| !waiting.done.is_closed());
        if batch.is_empty() {
            return;
        }
        attempt += 1;
        let records: Vec<NewRecord> = batch.iter().map(|waiting| waiting.record.clone()).collect();
        let results = results(stream.put_records(&records).await, batch.len());
        let mut failed = Vec::new();
        for (waiting, result) in batch.into_iter().zip(results) {
            match result {
                // A caller may have gone.
                Ok(()) => drop(waiting.done.send(Ok(()))),
                Err(error) if is_final(error.kind) => drop(waiting.done.send(Err(PutError::Refused(error)))),
                Err(error) => failed.push((waiting, error)),
            }
        }
        let Some(kind) = failed.iter().map(|(_, error)| error.kind).max_by_key(|kind| delay(1, *kind, 0)) else {
            return;
        };
        let pause = delay(attempt, kind, seed);
        let next = Instant::now() + pause;
        let (again, late): (Vec<_>, Vec<_>) = failed.into_iter().partition(|(waiting, _)| waiting.deadline > next);
        for (waiting, error) in late {
            let _ = waiting.done.send(Err(PutError::Late { last: Some(error) }));
        }
        batch = again.into_iter().map(|(waiting, _)| waiting).collect();
        if !batch.is_empty() {
            tracing::debug!(records = batch.len(), attempt, %kind, "records are put again");
            sleep(pause).await;
        }
    }
}

/// A result for each record, whatever the call came to.
fn results(answer: Result<Vec<Result<(), PortError>>, PortError>, records: usize) -> Vec<Result<(), PortError>> {
    match answer {
        Ok(results) if results.len() == records => results,
        Ok(results) => {
            let message = format!("the service answered for {} of {records} records", results.len());
            vec![Err(PortError::new("PutRecords", ErrorKind::Unavailable, message)); records]
        }
        Err(error) => vec![Err(error); records],
    }
}

/// Whether trying again cannot help.
fn is_final(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::Denied)
}

#[cfg(test)]
#[path = "producer_tests.rs"]
mod tests;
