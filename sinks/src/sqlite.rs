//! [`SqliteFindingStore`]: findings in one SQLite file, shared by any number of processes on one machine.
//!
//! Each batch is one transaction that takes the write lock first, so what it read cannot change before it writes. The
//! write-ahead log lets others read meanwhile. Columns beside `body` repeat what listings filter by. Rows are updated,
//! never replaced, so columns that a later version adds keep their values. The table `outbox` holds the rows of the
//! [`outbox`](crate::outbox) that are no findings.

mod schema;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dial_rules::event::Millis;
use dial_rules::finding::Finding;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, named_params, params};

use crate::filter::{Cursor, FindingFilter, FindingPage};
use crate::merge::{Recorded, Step, coalesce, step};
use crate::outbox::bounds::countable;
use crate::row::{decode, encode, kind_text, severity_rank};
use crate::store::{FindingStore, RecordOutcome, StoreError};

/// How long to wait for another process's transaction.
const BUSY: Duration = Duration::from_secs(30);

const READ: &str = "SELECT body FROM findings WHERE finding_id = ?1";

const WRITE: &str = "
    INSERT INTO findings (finding_id, version, kind, rule_id, severity, first_seen, last_seen, body, due)
    VALUES (:id, 1, :kind, :rule, :severity, :first, :last, :body, :owing)
    ON CONFLICT (finding_id) DO UPDATE SET version = version + 1, kind = :kind, rule_id = :rule, severity = :severity,
        first_seen = :first, last_seen = :last, body = :body,
        due = CASE WHEN :owing IS NULL OR due < :owing THEN due ELSE :owing END";

const LIST: &str = "
    SELECT finding_id, last_seen, body FROM findings
    WHERE (:from IS NULL OR last_seen >= :from)
      AND (:to IS NULL OR last_seen < :to)
      AND (:severity IS NULL OR severity >= :severity)
      AND (:rule IS NULL OR rule_id = :rule)
      AND (:kind IS NULL OR kind = :kind)
      AND (:cursor_time IS NULL OR (last_seen, finding_id) < (:cursor_time, :cursor_id))
    ORDER BY last_seen DESC, finding_id DESC LIMIT :limit";

/// Findings in an SQLite file.
#[derive(Debug, Clone)]
pub struct SqliteFindingStore {
    connection: Arc<Mutex<Connection>>,
    path: PathBuf,
}

impl SqliteFindingStore {
    /// Opens the file, creating it, its folder and its tables where they are missing.
    ///
    /// # Errors
    ///
    /// When the file cannot be created or is no SQLite database.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let path = path.into();
        let action = format!("open the findings in {}", path.display());
        let opened = path.clone();
        let connect = move || {
            let mut connection = connect(&opened, schema::SCHEMA)?;
            schema::upgrade(&mut connection)?;
            Ok(connection)
        };
        let connection = blocking(move || connect().map_err(|source| StoreError::Unavailable { action, source }));
        Ok(Self { connection: Arc::new(Mutex::new(connection.await?)), path })
    }

    /// Runs `work` on a thread that may block.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        verb: &str,
        work: impl FnOnce(&mut Connection) -> Result<T, SqliteError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let action = format!("{verb} the findings in {}", self.path.display());
        let connection = Arc::clone(&self.connection);
        blocking(move || {
            // A panic rolled its transaction back: the connection is usable.
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut connection).map_err(|error| match error {
                SqliteError::Database(e) => StoreError::unavailable(action, e),
                SqliteError::Content(e) => e,
            })
        })
        .await
    }
}

pub(crate) enum SqliteError {
    Database(rusqlite::Error),
    Content(StoreError),
}

impl From<rusqlite::Error> for SqliteError {
    fn from(error: rusqlite::Error) -> Self {
        SqliteError::Database(error)
    }
}

impl From<StoreError> for SqliteError {
    fn from(error: StoreError) -> Self {
        SqliteError::Content(error)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|e| Err(StoreError::unavailable("finish a call to SQLite", e)))
}

/// Opens a database file, creating it, its folder and what `schema` says where they are missing.
pub(crate) fn connect(path: &Path, schema: &str) -> Result<Connection, Box<dyn std::error::Error + Send + Sync>> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    // SQLite does not wait its busy time for this switch while another process makes it too.
    let deadline = Instant::now() + BUSY;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(e) if e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            switched => break switched?,
        }
    }
    // What was acknowledged survives a power cut as well.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch(&format!("BEGIN IMMEDIATE; {schema} COMMIT;"))?;
    Ok(connection)
}

#[async_trait]
impl FindingStore for SqliteFindingStore {
    async fn record_owing(&self, updates: Vec<Finding>, owing: Option<Millis>) -> Result<RecordOutcome, StoreError> {
        if updates.is_empty() {
            return Ok(RecordOutcome::default());
        }
        let record = move |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut outcome = RecordOutcome::default();
            for (id, update) in coalesce(updates) {
                let recorded = record_one(&transaction, &id, update, owing)?;
                outcome.count(id, recorded);
            }
            transaction.commit()?;
            Ok(outcome)
        };
        self.run("record", record).await
    }

    async fn get(&self, finding_id: &str) -> Result<Option<Finding>, StoreError> {
        let id = finding_id.to_owned();
        self.run("read", move |connection| read(connection, &id)).await
    }

    async fn list(&self, filter: &FindingFilter) -> Result<FindingPage, StoreError> {
        let filter = filter.clone();
        self.run("list", move |connection| list(connection, &filter)).await
    }
}

fn read(connection: &Connection, id: &str) -> Result<Option<Finding>, SqliteError> {
    let mut statement = connection.prepare_cached(READ)?;
    let body: Option<String> = statement.query_row(params![id], |row| row.get(0)).optional()?;
    Ok(body.map(|body| decode(id, &body)).transpose()?)
}

fn record_one(
    transaction: &Transaction<'_>,
    id: &str,
    update: Finding,
    owing: Option<Millis>,
) -> Result<Recorded, SqliteError> {
    let (recorded, content) = match step(read(transaction, id)?, update) {
        Step::Create(content) => (Recorded::New, content),
        Step::Replace(content) => (Recorded::Changed, content),
        Step::Keep => return Ok(Recorded::Unchanged),
    };
    transaction.prepare_cached(WRITE)?.execute(named_params! {
        ":id": id,
        ":kind": kind_text(content.kind),
        ":rule": content.rule_id,
        ":severity": severity_rank(content.subject.severity),
        ":first": content.first_seen,
        ":last": content.last_seen,
        ":body": encode(&content)?,
        ":owing": owing.map(countable),
    })?;
    Ok(recorded)
}

fn list(connection: &Connection, filter: &FindingFilter) -> Result<FindingPage, SqliteError> {
    let size = filter.page_size();
    let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
    let cursor = filter.cursor.as_ref();
    let mut statement = connection.prepare_cached(LIST)?;
    let mut rows = statement.query(named_params! {
        ":from": filter.from,
        ":to": filter.to,
        ":severity": filter.min_severity.map(severity_rank),
        ":rule": filter.rule_id,
        ":kind": filter.kind.map(kind_text),
        ":cursor_time": cursor.map(|cursor| cursor.last_seen),
        ":cursor_id": cursor.map(|cursor| &cursor.finding_id),
        ":limit": limit,
    })?;
    let mut listed = Vec::new();
    while let Some(row) = rows.next()? {
        let position = Cursor { finding_id: row.get(0)?, last_seen: row.get(1)? };
        let body: String = row.get(2)?;
        let finding = decode(&position.finding_id, &body)?;
        listed.push((position, finding));
    }
    Ok(FindingPage::first(size, listed))
}
