//! The outbox in SQLite: columns of the table of findings, and a table of its own.

use async_trait::async_trait;
use dial_rules::event::Millis;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, named_params, params};

use super::bounds::{check, countable, decode, distinct, encode, is_row_key, readable, refused};
use super::store::{Due, Outbox, Owed, Queue, Row, Settled};
use crate::sqlite::{SqliteError, SqliteFindingStore};
use crate::store::StoreError;

const DUE: &str = "
    SELECT due, finding_id FROM findings WHERE :queue = 'findings' AND due <= :now
    UNION ALL
    SELECT due, key FROM outbox WHERE queue = :queue AND due <= :now AND (expires IS NULL OR expires > :now)
    ORDER BY 1, 2 LIMIT :limit";

const ANY_EXPIRED: &str = "SELECT EXISTS (SELECT 1 FROM outbox WHERE expires <= ?1)";
/// A thousand at once, so that others get their turn.
const FORGET: &str =
    "DELETE FROM outbox WHERE key IN (SELECT key FROM outbox WHERE expires <= ?1 ORDER BY expires LIMIT 1000)";

const OWED: &str = "SELECT body, version, progress_revision, progress, due FROM findings WHERE finding_id = ?1";

const SETTLE: &str = "
    UPDATE findings SET progress = :progress, progress_revision = progress_revision + 1, due = :due
    WHERE finding_id = :id AND version = :version AND progress_revision = :revision";

const ROW: &str = "SELECT body, revision, queue, due, expires FROM outbox WHERE key = ?1";

const CREATE: &str = "
    INSERT INTO outbox (key, revision, body, queue, due, expires)
    VALUES (:key, 1, :body, :queue, :due, :expires) ON CONFLICT (key) DO NOTHING";

const REPLACE: &str = "
    UPDATE outbox SET revision = revision + 1, body = :body, queue = :queue, due = :due, expires = :expires
    WHERE key = :key AND revision = :revision";

const DELETE: &str = "DELETE FROM outbox WHERE key = ?1 AND revision = ?2";

#[async_trait]
impl Outbox for SqliteFindingStore {
    async fn due(&self, queue: Queue, now: Millis, limit: usize) -> Result<Vec<Due>, StoreError> {
        let read = move |connection: &mut Connection| {
            forget(connection, now)?;
            queued(connection, queue, now, limit)
        };
        self.run("read the outbox of", read).await
    }

    async fn waiting(&self, queue: Queue, limit: usize) -> Result<Vec<Due>, StoreError> {
        self.run("read the outbox of", move |connection| queued(connection, queue, Millis::MAX, limit)).await
    }

    async fn owed(&self, ids: &[String]) -> Result<Vec<Owed>, StoreError> {
        let ids = distinct(ids, |_| true);
        let read = move |connection: &mut Connection| {
            // One picture of all of them.
            let transaction = connection.transaction()?;
            let read = |id: &String| owed(&transaction, id).transpose();
            ids.iter().filter_map(read).filter_map(or_left_out).collect()
        };
        self.run("read the outbox of", read).await
    }

    async fn settle(&self, settled: Vec<Settled>) -> Result<Vec<bool>, StoreError> {
        if settled.is_empty() {
            return Ok(Vec::new());
        }
        let settle = move |transaction: &Transaction<'_>| settled.iter().map(|one| settle(transaction, one)).collect();
        self.write_at_once(settle).await
    }

    async fn rows(&self, keys: &[String]) -> Result<Vec<Row>, StoreError> {
        let keys = distinct(keys, is_row_key);
        let read = move |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            let read = |key: &String| row(&transaction, key).transpose();
            keys.iter().filter_map(read).filter_map(or_left_out).collect()
        };
        self.run("read the outbox of", read).await
    }

    async fn write(&self, row: &Row) -> Result<bool, StoreError> {
        check(row)?;
        let row = row.clone();
        self.write_at_once(move |transaction| write(transaction, &row)).await
    }

    async fn delete(&self, key: &str, revision: u64) -> Result<bool, StoreError> {
        let key = key.to_owned();
        let delete = move |transaction: &Transaction<'_>| {
            let deleted = transaction.prepare_cached(DELETE)?.execute(params![key, number(revision)])?;
            Ok(deleted > 0)
        };
        self.write_at_once(delete).await
    }
}

impl SqliteFindingStore {
    /// Runs `work` in a transaction that takes the write lock first.
    async fn write_at_once<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, SqliteError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let run = |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        self.run("write to the outbox of", run).await
    }
}

/// Deletes rows that have expired.
fn forget(connection: &Connection, now: Millis) -> Result<(), SqliteError> {
    // Looking takes no lock from writers.
    if connection.prepare_cached(ANY_EXPIRED)?.query_row(params![now], |row| row.get(0))? {
        connection.prepare_cached(FORGET)?.execute(params![now])?;
    }
    Ok(())
}

fn queued(connection: &Connection, queue: Queue, now: Millis, limit: usize) -> Result<Vec<Due>, SqliteError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(DUE)?;
    let rows = statement
        .query_map(named_params! { ":queue": queue.as_str(), ":now": now, ":limit": limit }, |row| {
            Ok(Due { at: row.get(0)?, key: row.get(1)? })
        })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn owed(connection: &Connection, id: &str) -> Result<Option<Owed>, SqliteError> {
    type Columns = (String, i64, i64, Option<String>, Option<Millis>);
    let mut statement = connection.prepare_cached(OWED)?;
    let columns = statement
        .query_row(params![id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
        .optional()?;
    let Some((body, version, revision, progress, due)): Option<Columns> = columns else { return Ok(None) };
    Ok(Some(Owed {
        finding: crate::row::decode(id, &body)?,
        version: count(version),
        revision: count(revision),
        progress: progress.map(|progress| decode(id, &progress)).transpose()?.unwrap_or_default(),
        due,
    }))
}

fn settle(transaction: &Transaction<'_>, settled: &Settled) -> Result<bool, SqliteError> {
    let written = transaction.prepare_cached(SETTLE)?.execute(named_params! {
        ":id": settled.finding_id,
        ":version": number(settled.version),
        ":revision": number(settled.revision),
        ":progress": encode(&settled.finding_id, &settled.progress)?,
        ":due": settled.due.map(countable),
    })?;
    Ok(written > 0)
}

fn row(connection: &Connection, key: &str) -> Result<Option<Row>, SqliteError> {
    type Columns = (String, i64, Option<String>, Option<Millis>, Option<Millis>);
    let mut statement = connection.prepare_cached(ROW)?;
    let columns = statement
        .query_row(params![key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
        .optional()?;
    let Some((body, revision, queue, due, expires)): Option<Columns> = columns else { return Ok(None) };
    let queued = |(queue, at): (String, Millis)| {
        let unknown = || refused(key, format!("its row is in a queue {queue:?}, which is none"));
        Queue::parse(&queue).ok_or_else(unknown).map(|queue| (queue, at))
    };
    let due = queue.zip(due).map(queued).transpose()?;
    Ok(Some(Row { key: key.to_owned(), body, revision: count(revision), due, expires }))
}

fn write(transaction: &Transaction<'_>, row: &Row) -> Result<bool, SqliteError> {
    let (queue, due) = row.due.map(|(queue, at)| (queue.as_str(), countable(at))).unzip();
    let written = if row.revision == 0 {
        transaction.prepare_cached(CREATE)?.execute(named_params! {
            ":key": row.key, ":body": row.body, ":queue": queue, ":due": due, ":expires": row.expires,
        })?
    } else {
        transaction.prepare_cached(REPLACE)?.execute(named_params! {
            ":key": row.key, ":body": row.body, ":queue": queue, ":due": due, ":expires": row.expires,
            ":revision": number(row.revision),
        })?
    };
    Ok(written > 0)
}

/// What cannot be read is left out; that the database cannot be read is an error.
fn or_left_out<T>(read: Result<T, SqliteError>) -> Option<Result<T, SqliteError>> {
    match read {
        Err(SqliteError::Content(error)) => readable(Err(error)).map(Ok),
        read => Some(read),
    }
}

/// A count as SQLite holds it. One that is too large matches no row.
fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
