//! [`SqliteWindowStore`]: windows in one SQLite file, shared by any number of processes on one machine; or in a file of
//! SQLite's own that ends with the store, for scans.
//!
//! A row is an item. Windows are named by a hash, so that a hostile group costs each row no more than any other. Each
//! append is one transaction.

pub mod noted;

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use dial_rules::event::Millis;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::keys::window_hash;
use super::retention::{Retention, SWEEP_EVERY};
use super::settle::{Settled, coalesce};
use super::store::{Addition, Appended, WindowError, WindowItem, WindowKey, WindowRange, WindowStore};
use crate::sqlite::connect;

/// The table is in the order of reads: a range of a window is one stretch of it.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS window_items (
        window  BLOB NOT NULL,
        time    INTEGER NOT NULL,
        key     TEXT NOT NULL,
        body    TEXT NOT NULL,
        expires INTEGER NOT NULL,
        PRIMARY KEY (window, time, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS window_items_by_expiry ON window_items (expires);
";

const ADD: &str = "
    INSERT INTO window_items (window, time, key, body, expires) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (window, time, key) DO UPDATE
        SET body = min(body, excluded.body), expires = max(expires, excluded.expires)
        WHERE excluded.body < body OR excluded.expires > expires";

const READ: &str = "
    SELECT time, key, body FROM window_items
    WHERE window = ?1 AND time BETWEEN ?2 AND ?3 ORDER BY time, key";

const SWEEP: &str = "
    DELETE FROM window_items WHERE (window, time, key) IN
        (SELECT window, time, key FROM window_items WHERE expires <= ?1 ORDER BY expires LIMIT ?2)";

/// Expired rows that one append deletes at most, so that none takes long.
const SWEPT_AT_ONCE: u16 = 10_000;

/// How much of a temporary store stays in memory, in kB.
const TEMPORARY_CACHE: i64 = 16 * 1024;

/// Windows in an SQLite file. Its clones are handles to the same.
#[derive(Debug, Clone)]
pub struct SqliteWindowStore {
    connection: Arc<Mutex<Connection>>,
    /// Where the windows are, for messages.
    place: String,
    retention: Retention,
    /// When expired rows were last looked for.
    swept: Arc<AtomicI64>,
    /// Whether it is noted what is added to.
    notes: bool,
}

impl SqliteWindowStore {
    /// Opens the file, creating it, its folder and its tables where they are missing. What it acknowledges survives a
    /// power cut.
    ///
    /// # Errors
    ///
    /// When the file cannot be created or is no SQLite database.
    pub async fn open(path: impl Into<PathBuf>, retention: Retention) -> Result<Self, WindowError> {
        let path = path.into();
        let place = path.display().to_string();
        Self::opened(place, retention, move || connect(&path, SCHEMA)).await
    }

    /// Opens an empty store in a file of its own among the system's temporary files. Up to 16 MB are held in memory, the
    /// rest is in the file, which the system removes when the store is dropped and when the process ends, however it
    /// ends. `SQLITE_TMPDIR` or `TMPDIR` name another folder for it.
    ///
    /// # Errors
    ///
    /// When the file cannot be created.
    pub async fn temporary(retention: Retention) -> Result<Self, WindowError> {
        Self::opened("a temporary file".to_owned(), retention, || {
            // SQLite takes an empty name as a request for such a file.
            let connection = Connection::open("")?;
            connection.pragma_update(None, "temp_store", "FILE")?;
            connection.pragma_update(None, "cache_size", -TEMPORARY_CACHE)?;
            connection.pragma_update(None, "synchronous", "OFF")?;
            connection.execute_batch(SCHEMA)?;
            Ok(connection)
        })
        .await
    }

    async fn opened(
        place: String,
        retention: Retention,
        open: impl FnOnce() -> Result<Connection, Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
    ) -> Result<Self, WindowError> {
        let action = format!("open the windows in {place}");
        let connection = blocking(move || open().map_err(|source| WindowError::Unavailable { action, source })).await?;
        let connection = Arc::new(Mutex::new(connection));
        Ok(Self { connection, place, retention, swept: Arc::default(), notes: false })
    }

    /// Runs `work` on a thread that may block.
    async fn run<T: Send + 'static>(
        &self,
        action: String,
        work: impl FnOnce(&mut Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, WindowError> {
        let connection = Arc::clone(&self.connection);
        blocking(move || {
            // A panic rolled its transaction back: the connection is usable.
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut connection).map_err(|error| WindowError::unavailable(action, error))
        })
        .await
    }

    /// Whether it is time to look for expired rows again.
    fn sweeps(&self, now: Millis) -> bool {
        now.saturating_sub(self.swept.load(Ordering::Relaxed)) >= SWEEP_EVERY
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WindowError> + Send + 'static,
) -> Result<T, WindowError> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|e| Err(WindowError::unavailable("finish a call to SQLite", e)))
}

#[async_trait]
impl WindowStore for SqliteWindowStore {
    async fn append(&self, additions: Vec<Addition>, now: Millis) -> Result<Appended, WindowError> {
        let windows = coalesce(additions)?;
        if windows.is_empty() {
            return Ok(Appended::default());
        }
        let items = windows.values().map(|settled| settled.items.len()).sum();
        let appended = Appended { windows: windows.len(), items, rows: items };
        let (retention, sweeps, notes) = (self.retention, self.sweeps(now), self.notes);
        let append = move |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for (window, settled) in &windows {
                add(&transaction, window, settled, retention.expires(now, settled.timespan))?;
                if notes {
                    noted::add(&transaction, window, settled)?;
                }
            }
            let swept =
                if sweeps { transaction.prepare_cached(SWEEP)?.execute(params![now, SWEPT_AT_ONCE])? } else { 0 };
            transaction.commit()?;
            Ok(swept)
        };
        let swept = self.run(format!("add to the windows in {}", self.place), append).await?;
        if sweeps && swept < usize::from(SWEPT_AT_ONCE) {
            self.swept.store(now, Ordering::Relaxed);
        }
        Ok(appended)
    }

    async fn read(&self, ranges: &[WindowRange]) -> Result<Vec<Vec<WindowItem>>, WindowError> {
        if ranges.is_empty() {
            return Ok(Vec::new());
        }
        let ranges = ranges.to_vec();
        let read = move |connection: &mut Connection| ranges.iter().map(|range| read(connection, range)).collect();
        self.run(format!("read the windows in {}", self.place), read).await
    }
}

fn add(
    transaction: &Transaction<'_>,
    window: &WindowKey,
    settled: &Settled,
    expires: Millis,
) -> Result<(), rusqlite::Error> {
    let window = window_hash(window);
    let mut statement = transaction.prepare_cached(ADD)?;
    for ((time, key), body) in &settled.items {
        statement.execute(params![window, time, key, body, expires])?;
    }
    Ok(())
}

fn read(connection: &Connection, range: &WindowRange) -> Result<Vec<WindowItem>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(READ)?;
    let item = |row: &rusqlite::Row<'_>| Ok(WindowItem { time: row.get(0)?, key: row.get(1)?, body: row.get(2)? });
    statement.query_map(params![window_hash(&range.window), range.from, range.to], item)?.collect()
}
