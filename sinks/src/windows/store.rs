//! [`WindowStore`]: the port behind which the matches of open windows are kept.

use async_trait::async_trait;
use dial_rules::event::Millis;
use thiserror::Error;

/// Longest [`WindowItem::body`] in bytes.
pub const LONGEST_BODY: usize = 12 * 1024;
/// Longest [`WindowItem::key`] in bytes: an ARN as an event's id has up to 2,048, the rest is for the rule's id.
pub const LONGEST_KEY: usize = 3 * 1024;

/// Keeps the matches of windows, shared by any number of workers.
///
/// # Append, then read
///
/// A worker that appends its matches and only then reads their windows can rely on this: of two workers that do so at
/// the same instant, at least one sees the matches of both. For the append that returned last did so before its worker's
/// read began, and so did the other append; a read sees whatever was appended before it began.
#[async_trait]
pub trait WindowStore: std::fmt::Debug + Send + Sync {
    /// Adds items to windows. When it returns `Ok`, all of them are durable. The items of one window travel together.
    ///
    /// Adding an item that is there already, alone or in whatever company, changes nothing that a reader sees.
    /// `now` decides only when the items expire ([`Retention`](super::retention::Retention)).
    ///
    /// # Errors
    ///
    /// [`WindowError::TooLarge`] before anything is written, when an item is over a limit. Any other error may leave
    /// some of the items written: adding all of them again is harmless, and right.
    async fn append(&self, additions: Vec<Addition>, now: Millis) -> Result<Appended, WindowError>;

    /// The items of each range, in the order of `ranges`: everything whose append returned before this call began, by
    /// (time, key), each once. Of an item that was added with different bodies the smaller bytes count, so that all
    /// readers agree. What has expired may still be there: reads go by event time alone.
    ///
    /// # Errors
    ///
    /// When the store cannot be read, or holds something that no version of this program wrote.
    async fn read(&self, ranges: &[WindowRange]) -> Result<Vec<Vec<WindowItem>>, WindowError>;
}

/// Which window.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowKey {
    /// Id of the correlation rule.
    pub correlation: String,
    /// The canonical text of the group's key; any length, any characters.
    pub group: String,
}

/// One match in a window. (time, key) makes it distinct within its window.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WindowItem {
    /// The event's time.
    pub time: Millis,
    /// Event id and rule id; at most [`LONGEST_KEY`] bytes.
    pub key: String,
    /// The match, normally as JSON; at most [`LONGEST_BODY`] bytes.
    pub body: String,
}

/// Items for one window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    /// The window.
    pub window: WindowKey,
    /// The timespan of its correlation, in milliseconds. It decides when the items expire.
    pub timespan: Millis,
    /// What to add, in any order.
    pub items: Vec<WindowItem>,
}

/// A stretch of one window, both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowRange {
    /// The window.
    pub window: WindowKey,
    /// The earliest event time.
    pub from: Millis,
    /// The latest event time; before `from`, the range is empty.
    pub to: Millis,
}

/// What [`WindowStore::append`] wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Appended {
    /// Windows that were added to.
    pub windows: usize,
    /// Items, repetitions within the call counted once.
    pub items: usize,
    /// Rows written for them; packing makes these fewer than the items in DynamoDB.
    pub rows: usize,
}

/// What of an item is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemPart {
    /// [`WindowItem::key`], beyond [`LONGEST_KEY`].
    Key,
    /// [`WindowItem::body`], beyond [`LONGEST_BODY`].
    Body,
}

impl std::fmt::Display for ItemPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ItemPart::Key => "key",
            ItemPart::Body => "body",
        })
    }
}

/// Why windows could not be added to or read.
#[derive(Debug, Error)]
pub enum WindowError {
    /// The database did not do what it was asked: it is away, full, throttled or refuses us. Trying again may help.
    #[error("cannot {action}: {source}")]
    Unavailable {
        /// What was being done, to what.
        action: String,
        /// What the database or its driver says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An item is over a limit. Trying again does not help.
    #[error(
        "the {part} of item {key} for a window of correlation {correlation} has {bytes} bytes, at most {limit} are kept; \
         shorten the event's values before they are filed"
    )]
    TooLarge {
        /// What is too long.
        part: ItemPart,
        /// The correlation.
        correlation: String,
        /// The item's key, or the beginning of one that is too long itself.
        key: String,
        /// Its length in bytes.
        bytes: usize,
        /// The most that is kept.
        limit: usize,
    },
    /// A row is there, but not as any version of this program writes it.
    #[error("row {row} of the windows is damaged ({reason}); delete it, or restore it from a backup")]
    Damaged {
        /// The row's key.
        row: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl WindowError {
    pub(crate) fn unavailable(
        action: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        WindowError::Unavailable { action: action.into(), source: source.into() }
    }
}
