//! [`SqliteActorStore`]: ancestries in one SQLite file, shared by any number of processes on one machine.
//!
//! As with findings, each batch is one transaction that takes the write lock first.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dial_rules::event::Millis;
use dial_rules::lineage::{Ancestry, Link, ancestries};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::row::{KEPT, Row, step_over};
use super::{ActorError, ActorStore, Learned};
use crate::sqlite::connect;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS actors (
        access_key_id TEXT PRIMARY KEY NOT NULL,
        ancestry      TEXT NOT NULL,
        expires       INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS actors_by_expiry ON actors (expires);
";

const READ: &str = "SELECT ancestry, expires FROM actors WHERE access_key_id = ?1";

const WRITE: &str = "
    INSERT INTO actors (access_key_id, ancestry, expires) VALUES (?1, ?2, ?3)
    ON CONFLICT (access_key_id) DO UPDATE SET ancestry = ?2, expires = ?3";

const FORGET: &str = "DELETE FROM actors WHERE expires <= ?1";

/// Ancestries in an SQLite file.
#[derive(Debug, Clone)]
pub struct SqliteActorStore {
    connection: Arc<Mutex<Connection>>,
    path: PathBuf,
    kept: Duration,
}

/// What goes wrong with a database, and with what is in it.
enum SqliteError {
    Database(Box<dyn std::error::Error + Send + Sync>),
    Content(ActorError),
}

impl From<rusqlite::Error> for SqliteError {
    fn from(error: rusqlite::Error) -> Self {
        SqliteError::Database(error.into())
    }
}

impl SqliteActorStore {
    /// Opens the file, creating it, its folder and its table where they are missing.
    ///
    /// # Errors
    ///
    /// When the file cannot be created or is no SQLite database.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, ActorError> {
        let path = path.into();
        let opened = path.clone();
        let work = move || connect(&opened, SCHEMA).map_err(SqliteError::Database);
        let connection = blocking(format!("open the actors in {}", path.display()), work).await?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), path, kept: KEPT })
    }

    /// Keeps rows for so long after their last write, instead of [`KEPT`].
    #[must_use]
    pub fn keeping(self, kept: Duration) -> Self {
        Self { kept, ..self }
    }

    async fn run<T: Send + 'static>(
        &self,
        verb: &str,
        work: impl FnOnce(&mut Connection) -> Result<T, SqliteError> + Send + 'static,
    ) -> Result<T, ActorError> {
        let connection = Arc::clone(&self.connection);
        let work = move || {
            // A panic rolled its transaction back: the connection is usable.
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut connection)
        };
        blocking(format!("{verb} the actors in {}", self.path.display()), work).await
    }
}

/// Runs `work` on a thread that may block.
async fn blocking<T: Send + 'static>(
    action: String,
    work: impl FnOnce() -> Result<T, SqliteError> + Send + 'static,
) -> Result<T, ActorError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(SqliteError::Content(error))) => Err(error),
        Ok(Err(SqliteError::Database(source))) => Err(ActorError::Unavailable { action, source }),
        Err(e) => Err(ActorError::unavailable(action, e)),
    }
}

#[async_trait]
impl ActorStore for SqliteActorStore {
    async fn learn(&self, links: Vec<Link>, now: Millis) -> Result<Learned, ActorError> {
        if links.is_empty() {
            return Ok(Learned::default());
        }
        let kept = self.kept;
        let learn = move |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.prepare_cached(FORGET)?.execute(params![now.div_euclid(1000)])?;
            let mut learned = Learned::default();
            for (credential, update) in ancestries(links) {
                let current = read(&transaction, &credential)?;
                match step_over(&credential, current.as_ref().map(Result::as_ref), update, now, kept) {
                    Some(row) => {
                        let text = serde_json::to_string(&row.ancestry).map_err(|e| SqliteError::Database(e.into()))?;
                        transaction.prepare_cached(WRITE)?.execute(params![credential, text, row.expires])?;
                        learned.written += 1;
                    }
                    None => learned.unchanged += 1,
                }
            }
            transaction.commit()?;
            Ok(learned)
        };
        self.run("write", learn).await
    }

    async fn known(&self, credentials: &BTreeSet<String>) -> Result<HashMap<String, Ancestry>, ActorError> {
        let credentials = credentials.clone();
        let known = move |connection: &mut Connection| {
            let mut known = HashMap::new();
            for credential in credentials {
                match read(connection, &credential)? {
                    Some(Ok(row)) => drop(known.insert(credential, row.ancestry)),
                    Some(Err(reason)) => {
                        return Err(SqliteError::Content(ActorError::Damaged { credential, reason }));
                    }
                    None => {}
                }
            }
            Ok(known)
        };
        self.run("read", known).await
    }
}

/// The row, or what is wrong with it.
fn read(connection: &Connection, credential: &str) -> Result<Option<Result<Row, String>>, SqliteError> {
    let mut statement = connection.prepare_cached(READ)?;
    let row: Option<(String, i64)> =
        statement.query_row(params![credential], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let parse = |(text, expires): (String, i64)| {
        serde_json::from_str(&text).map(|ancestry| Row { ancestry, expires }).map_err(|error| error.to_string())
    };
    Ok(row.map(parse))
}
