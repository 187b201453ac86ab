//! [`Outbox`]: the port behind which is kept what is owed to sinks. The stores of findings implement it, since owing is part
//! of recording.

use std::collections::BTreeMap;

use async_trait::async_trait;
use dial_rules::event::Millis;
use dial_rules::finding::Finding;
use serde::{Deserialize, Serialize};

use crate::store::{FindingStore, StoreError};

/// The longest key of a row, in bytes.
pub const KEY_LIMIT: usize = 512;
/// The largest body of a row, in bytes.
pub const BODY_LIMIT: usize = 300 * 1024;
/// The largest `progress` of a finding as JSON, in bytes: with the finding itself it fits DynamoDB's 400 KB.
pub const PROGRESS_LIMIT: usize = 40 * 1024;

/// Keeps what is owed, durably, for any number of workers. Each write is conditional on what was read, so decisions are made
/// by pure functions above it, and whoever was too slow reads again.
///
/// No implementation looks at a clock. [`Outbox::due`], which is told the time, leaves out rows that have expired;
/// [`Outbox::rows`] gives them as long as they are there, and whoever reads asks [`Row::is_expired`]. An expired row that is
/// still there is written over at the revision that was read; at revision 0 it is in the way.
///
/// A write that answers `false` may have been made all the same, where the answer to a first attempt was lost below us:
/// reading tells.
#[async_trait]
pub trait Outbox: FindingStore {
    /// What is due at `now` in a queue, the earliest first, each once: ids of findings, or keys of rows. It may be a second
    /// behind, and name what is done already. Rows that have expired by `now` may be deleted.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn due(&self, queue: Queue, now: Millis, limit: usize) -> Result<Vec<Due>, StoreError>;

    /// What waits in a queue, whenever it is due, as [`Outbox::due`] gives it; rows that are to expire are not among it. Deletes
    /// nothing: it is for whoever looks.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn waiting(&self, queue: Queue, limit: usize) -> Result<Vec<Due>, StoreError>;

    /// These findings with what is owed of them, as of now, each once and in the order asked for. Those that are not there are
    /// left out, and so is one that cannot be read, which is logged: it holds up no other.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn owed(&self, ids: &[String]) -> Result<Vec<Owed>, StoreError>;

    /// Writes how far findings are on their way, and when each is to be looked at again (`None`: when its content changes).
    /// A finding that was recorded or settled by somebody else since it was read stays as it is: its entry is `false`, and it
    /// is still owed. Of several entries for one finding at most one is `true`.
    ///
    /// # Errors
    /// When the store cannot be written, or `progress` is larger than [`PROGRESS_LIMIT`] as JSON. Some may have been settled
    /// all the same.
    async fn settle(&self, settled: Vec<Settled>) -> Result<Vec<bool>, StoreError>;

    /// Rows by their keys, as of now, each once and in the order asked for. Those that are not there are left out, and so is
    /// one that cannot be read, which is logged.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn rows(&self, keys: &[String]) -> Result<Vec<Row>, StoreError>;

    /// Writes a row if its revision is still the given one (0: it is not there), and says whether it did. The row's own
    /// revision becomes the next one. A row that was deleted, or has expired and gone, begins at revision 1 again, so
    /// what was read before is not to be written after that: keys of rows that are deleted say what they are of.
    ///
    /// # Errors
    /// [`StoreError::Row`] when its key or body is none a row can have; else when the store cannot be written. Then it may
    /// have been written all the same: reading tells.
    async fn write(&self, row: &Row) -> Result<bool, StoreError>;

    /// Deletes a row if its revision is still the given one, and says whether it did.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn delete(&self, key: &str, revision: u64) -> Result<bool, StoreError>;
}

/// What waits for its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Queue {
    /// Findings that are to be routed.
    Findings,
    /// Alerts that are to be delivered.
    Alerts,
    /// Alerts that could not be delivered, by the time at which they were given up.
    Dead,
}

impl Queue {
    /// All of them.
    pub const ALL: [Queue; 3] = [Queue::Findings, Queue::Alerts, Queue::Dead];

    /// The queue of a word, as [`Queue::as_str`] gives it.
    pub(crate) fn parse(word: &str) -> Option<Queue> {
        Queue::ALL.into_iter().find(|queue| queue.as_str() == word)
    }

    /// Its word, in keys and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Queue::Findings => "findings",
            Queue::Alerts => "alerts",
            Queue::Dead => "dead",
        }
    }
}

/// Something that waits for its time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// Since when it may be taken up. Times before 1970 count as 1970.
    pub at: Millis,
    /// The id of a finding, or the key of a row.
    pub key: String,
}

/// A finding, and what is owed of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Owed {
    /// What is recorded.
    pub finding: Finding,
    /// How often its content was written: what was told of an earlier version is told again.
    pub version: u64,
    /// Counts the writes of `progress`.
    pub revision: u64,
    /// By the name of a sink: how far the finding is on its way there.
    pub progress: BTreeMap<String, Progress>,
    /// When it is to be looked at.
    pub due: Option<Millis>,
}

/// How far a finding is on its way to one sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The key of the alert's row that it joined.
    pub alert: String,
    /// The version of its content that joined.
    pub version: u64,
    /// When that was confirmed by the sink. Told by whoever delivered it, after the alert itself says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Millis>,
}

/// What becomes of what is owed of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The finding.
    pub finding_id: String,
    /// As it was read.
    pub version: u64,
    /// As it was read.
    pub revision: u64,
    /// What is written.
    pub progress: BTreeMap<String, Progress>,
    /// When it is to be looked at again, if nothing is recorded before.
    pub due: Option<Millis>,
}

/// A row of the outbox that is no finding: an alert, or what alerts are grouped by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its key; begins with `#`, as no id of a finding does. At most [`KEY_LIMIT`] bytes; `#days` is taken.
    pub key: String,
    /// JSON, at most [`BODY_LIMIT`] bytes.
    pub body: String,
    /// Counts its writes; 0 of one that is not there yet.
    pub revision: u64,
    /// The queue it waits in, and until when.
    pub due: Option<(Queue, Millis)>,
    /// When nobody asks for it any longer: from then on it may be gone. `None`: never.
    pub expires: Option<Millis>,
}

impl Row {
    /// Whether it counts as gone at `now`, though it is still there.
    pub fn is_expired(&self, now: Millis) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}
