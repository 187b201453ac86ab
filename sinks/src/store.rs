//! [`FindingStore`]: the port behind which findings are kept.

use async_trait::async_trait;
use dial_rules::event::Millis;
use dial_rules::finding::Finding;
use thiserror::Error;

use crate::filter::{FindingFilter, FindingPage};

/// Keeps findings durably, one row a finding.
///
/// Every update is merged into what is there ([`Finding::merge`]), so updates may be recorded in any order, as often as
/// one likes, and by any number of workers at once: the content depends on the set of updates alone.
#[async_trait]
pub trait FindingStore: std::fmt::Debug + Send + Sync {
    /// Merges `updates` into the store; several of one finding are merged first and written once. When it returns `Ok`,
    /// all of them are durable. `owing` is when any worker may take up the alerts of what is new or changed, in the same
    /// write; `None` when nobody is to be told.
    ///
    /// Strings that only a hostile event has (an actor's name of a megabyte) are shortened, so that a finding always
    /// fits its row.
    ///
    /// # Errors
    ///
    /// When something could not be written. Some updates may have been recorded all the same: recording all of them
    /// again is harmless, and right.
    async fn record_owing(&self, updates: Vec<Finding>, owing: Option<Millis>) -> Result<RecordOutcome, StoreError>;

    /// As [`FindingStore::record_owing`], and nobody is to be told.
    ///
    /// # Errors
    ///
    /// When something could not be written.
    async fn record(&self, updates: Vec<Finding>) -> Result<RecordOutcome, StoreError> {
        self.record_owing(updates, None).await
    }

    /// The finding with this id, with everything that was recorded before the call.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    async fn get(&self, finding_id: &str) -> Result<Option<Finding>, StoreError>;

    /// One page of the findings that `filter` lets through, the one with the latest activity first. What was recorded
    /// in the last second may be missing.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    async fn list(&self, filter: &FindingFilter) -> Result<FindingPage, StoreError>;
}

/// What [`FindingStore::record`] did.
///
/// A finding whose write succeeded but whose answer was lost counts as unchanged when it is recorded again, so nothing
/// that must happen for each new finding may hang on this.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordOutcome {
    /// Ids of the findings that were not there before, in order.
    pub new: Vec<String>,
    /// Ids of the findings that were there and got new content, in order.
    pub changed: Vec<String>,
    /// How many findings already said all that their updates say.
    pub unchanged: usize,
}

/// Why findings could not be recorded or read.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The database did not do what it was asked: it is away, full, throttled or refuses us. Trying again may help.
    #[error("cannot {action}: {source}")]
    Unavailable {
        /// What was being done, to what.
        action: String,
        /// What the database or its driver says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Others changed the finding between each of our reads and writes. Trying again helps.
    #[error("finding {finding_id} was changed by other writers during each of {attempts} attempts; try again")]
    Contended {
        /// The finding.
        finding_id: String,
        /// How often the write was tried.
        attempts: u32,
    },
    /// A row is there, but not as any version of this program writes it.
    #[error("the row of finding {finding_id} is damaged ({reason}); restore it from a backup or delete it")]
    Damaged {
        /// The row's key.
        finding_id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The finding is larger than a row can be, however its strings are shortened.
    #[error(
        "finding {finding_id} has {bytes} bytes, a row takes {limit}; split rule {rule_id}, which lists too many rules"
    )]
    TooLarge {
        /// The finding.
        finding_id: String,
        /// Its rule.
        rule_id: String,
        /// Its size as JSON.
        bytes: usize,
        /// The largest size that fits.
        limit: usize,
    },
    /// Something of the [`outbox`](crate::outbox) cannot be kept as it is. Trying again does not help.
    #[error("the outbox cannot keep \"{}\": {reason}", key.escape_debug())]
    Row {
        /// The row's key or the finding's id, or how it begins.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl StoreError {
    pub(crate) fn unavailable(
        action: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        StoreError::Unavailable { action: action.into(), source: source.into() }
    }
}
