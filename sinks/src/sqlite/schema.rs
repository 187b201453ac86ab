//! The tables of the file, and what older files lack of them.

use rusqlite::{Connection, TransactionBehavior};

pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS findings (
        finding_id TEXT PRIMARY KEY NOT NULL,
        version    INTEGER NOT NULL,
        kind       TEXT NOT NULL,
        rule_id    TEXT NOT NULL,
        severity   INTEGER NOT NULL,
        first_seen INTEGER NOT NULL,
        last_seen  INTEGER NOT NULL,
        body       TEXT NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS findings_by_time ON findings (last_seen, finding_id);
    CREATE TABLE IF NOT EXISTS outbox (
        key      TEXT PRIMARY KEY NOT NULL,
        revision INTEGER NOT NULL,
        body     TEXT NOT NULL,
        queue    TEXT,
        due      INTEGER,
        expires  INTEGER
    ) STRICT;
    CREATE INDEX IF NOT EXISTS outbox_due ON outbox (queue, due, key) WHERE due IS NOT NULL;
    CREATE INDEX IF NOT EXISTS outbox_expiring ON outbox (expires) WHERE expires IS NOT NULL;
";

/// Columns of `findings` that came later. They may be empty, so that programs which do not know them can write rows.
const LATER: [(&str, &str); 3] =
    [("progress", "TEXT"), ("progress_revision", "INTEGER NOT NULL DEFAULT 0"), ("due", "INTEGER")];

const INDEX: &str = "CREATE INDEX IF NOT EXISTS findings_due ON findings (due, finding_id) WHERE due IS NOT NULL";

/// Adds what a file of an earlier version lacks.
pub(super) fn upgrade(connection: &mut Connection) -> rusqlite::Result<()> {
    // Of several processes that open the file at once, one upgrades it, and the others see that it is done.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (column, kind) in LATER {
        let known = "SELECT EXISTS (SELECT 1 FROM pragma_table_info('findings') WHERE name = ?1)";
        if !transaction.query_row(known, [column], |row| row.get::<_, bool>(0))? {
            transaction.execute_batch(&format!("ALTER TABLE findings ADD COLUMN {column} {kind}"))?;
        }
    }
    transaction.execute_batch(INDEX)?;
    transaction.commit()
}
