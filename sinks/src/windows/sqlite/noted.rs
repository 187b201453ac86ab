//! Which windows are added to through one handle, so that they can be visited afterwards. The notes are a temporary table
//! of the connection: in a file once they are many, and gone with the handle.

use dial_rules::event::Millis;
use rusqlite::{Connection, Transaction, params};

use super::SqliteWindowStore;
use crate::windows::settle::Settled;
use crate::windows::store::{WindowError, WindowKey};

const SCHEMA: &str = "
    CREATE TEMP TABLE IF NOT EXISTS noted (
        correlation TEXT NOT NULL,
        name        TEXT NOT NULL,
        bucket      INTEGER NOT NULL,
        PRIMARY KEY (correlation, name, bucket)
    ) STRICT, WITHOUT ROWID";

const NOTE: &str = "INSERT OR IGNORE INTO noted (correlation, name, bucket) VALUES (?1, ?2, ?3)";

const NOTED: &str = "
    SELECT name, bucket FROM noted WHERE correlation = ?1 AND (name, bucket) > (?2, ?3)
    ORDER BY name, bucket LIMIT ?4";

/// As the bucket of a window that is noted as a whole.
const WHOLE: i64 = i64::MIN;

/// A part of a window.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Noted {
    /// [`WindowKey::group`].
    pub group: String,
    /// `floor(time / timespan)` of the items that were added; `None` of a window that was noted as a whole.
    pub bucket: Option<i64>,
}

impl SqliteWindowStore {
    /// Notes from now on what is added to through this handle.
    ///
    /// # Errors
    ///
    /// When the notes cannot be begun.
    pub async fn noting(mut self) -> Result<Self, WindowError> {
        self.notes = true;
        let begin = |connection: &mut Connection| connection.execute_batch(SCHEMA);
        self.run("begin notes".to_owned(), begin).await?;
        Ok(self)
    }

    /// Notes windows as a whole, whether they are added to or not. Without [`SqliteWindowStore::noting`] it does nothing.
    ///
    /// # Errors
    ///
    /// When the notes cannot be written.
    pub async fn note(&self, windows: Vec<WindowKey>) -> Result<(), WindowError> {
        if !self.notes {
            return Ok(());
        }
        let note = move |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            for window in &windows {
                transaction.prepare_cached(NOTE)?.execute(params![window.correlation, window.group, WHOLE])?;
            }
            transaction.commit()
        };
        self.run("note windows".to_owned(), note).await
    }

    /// What is noted of a correlation's windows beyond `after`, by group and bucket, `limit` of them at most. Nothing
    /// without [`SqliteWindowStore::noting`].
    ///
    /// # Errors
    ///
    /// When the notes cannot be read.
    pub async fn noted(
        &self,
        correlation: &str,
        after: Option<Noted>,
        limit: usize,
    ) -> Result<Vec<Noted>, WindowError> {
        if !self.notes {
            return Ok(Vec::new());
        }
        let correlation = correlation.to_owned();
        let read = move |connection: &mut Connection| {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            // Before all that there can be: no group is empty.
            let after = after.map_or((String::new(), WHOLE), |noted| (noted.group, noted.bucket.unwrap_or(WHOLE)));
            let mut statement = connection.prepare_cached(NOTED)?;
            let noted = |row: &rusqlite::Row<'_>| {
                let bucket: i64 = row.get(1)?;
                Ok(Noted { group: row.get(0)?, bucket: (bucket != WHOLE).then_some(bucket) })
            };
            statement.query_map(params![correlation, after.0, after.1, limit], noted)?.collect()
        };
        self.run("read which windows were added to".to_owned(), read).await
    }
}

/// Notes what is added to one window.
pub(super) fn add(transaction: &Transaction<'_>, window: &WindowKey, settled: &Settled) -> Result<(), rusqlite::Error> {
    let mut statement = transaction.prepare_cached(NOTE)?;
    let bucket = |time: Millis| time.div_euclid(settled.timespan.max(1));
    let mut buckets: Vec<i64> = settled.items.keys().map(|(time, _)| bucket(*time)).collect();
    buckets.dedup(); // items are by time
    for bucket in buckets {
        statement.execute(params![window.correlation, window.group, bucket])?;
    }
    Ok(())
}
