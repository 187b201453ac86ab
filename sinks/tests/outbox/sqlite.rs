//! The suite over [`SqliteFindingStore`], and what only a file can be asked.

use std::path::Path;
use std::sync::Arc;

use dial_sinks::outbox::store::{Due, Outbox, Queue, Settled};
use dial_sinks::sqlite::SqliteFindingStore;
use dial_sinks::store::FindingStore;
use rusqlite::Connection;

use crate::findings::{NOON, finding};
use crate::subject::{START, Store, Subject, row};
use crate::{racing, suite};

fn subject() -> Subject {
    // Kept until the test ends; each store is a file of its own.
    let folder = tempfile::tempdir().unwrap();
    let counter = std::cell::Cell::new(0);
    let subject = Subject::new(40, move |runtime, count| {
        counter.set(counter.get() + 1);
        let path = folder.path().join(format!("{}.db", counter.get()));
        let open = |_| -> Store { Arc::new(runtime.block_on(SqliteFindingStore::open(&path)).unwrap()) };
        (0..count).map(open).collect()
    });
    Subject { many: 2_000, ..subject }
}

#[test]
fn random_operations_do_what_the_model_does() {
    suite::random_operations_do_what_the_model_does(&subject());
}

#[test]
fn owing_is_part_of_the_write() {
    suite::owing_is_part_of_the_write(&subject());
}

#[test]
fn an_empty_outbox_answers() {
    suite::an_empty_outbox_answers(&subject());
}

#[test]
fn many_are_due_in_order() {
    suite::many_are_due_in_order(&subject());
}

#[test]
fn expired_rows_are_out_of_the_way() {
    suite::expired_rows_are_out_of_the_way(&subject());
}

#[test]
fn rows_have_limits() {
    suite::rows_have_limits(&subject());
}

#[test]
fn progress_has_a_limit() {
    suite::progress_has_a_limit(&subject());
}

#[test]
fn each_revision_has_one_writer() {
    racing::each_revision_has_one_writer(&subject());
}

#[test]
fn settling_never_hides_what_is_recorded() {
    racing::settling_never_hides_what_is_recorded(&subject());
}

/// The table as the first version made it.
const FIRST_SCHEMA: &str = "
    CREATE TABLE findings (
        finding_id TEXT PRIMARY KEY NOT NULL,
        version    INTEGER NOT NULL,
        kind       TEXT NOT NULL,
        rule_id    TEXT NOT NULL,
        severity   INTEGER NOT NULL,
        first_seen INTEGER NOT NULL,
        last_seen  INTEGER NOT NULL,
        body       TEXT NOT NULL
    ) STRICT;
    CREATE INDEX findings_by_time ON findings (last_seen, finding_id);
";

/// How the first version writes.
const FIRST_WRITE: &str = "
    INSERT INTO findings (finding_id, version, kind, rule_id, severity, first_seen, last_seen, body)
    VALUES (?1, 1, 'single', 'rule-0', 3, ?2, ?2, ?3)
    ON CONFLICT (finding_id) DO UPDATE SET version = version + 1, last_seen = ?2, body = ?3";

fn write_as_the_first_version(file: &Connection, id: &str, time: i64, event: &str) {
    let body = serde_json::to_string(&finding(id, time, event)).unwrap();
    file.execute(FIRST_WRITE, rusqlite::params![id, time, body]).unwrap();
}

fn first_file(path: &Path) -> Connection {
    let file = Connection::open(path).unwrap();
    file.execute_batch(FIRST_SCHEMA).unwrap();
    write_as_the_first_version(&file, "0f", NOON, "1");
    file
}

#[tokio::test]
async fn a_file_of_the_first_version_is_upgraded_and_still_serves_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("findings.db");
    let first = first_file(&path);
    let store = SqliteFindingStore::open(&path).await.unwrap();
    assert_eq!(store.get("0f").await.unwrap(), Some(finding("0f", NOON, "1")));
    assert_eq!(store.due(Queue::Findings, i64::MAX, 9).await.unwrap(), [], "nobody is told of what is old");
    store.record_owing(vec![finding("0f", NOON + 1, "2")], Some(START)).await.unwrap();
    write_as_the_first_version(&first, "0f", NOON + 2, "3");
    write_as_the_first_version(&first, "1e", NOON, "1");
    assert_eq!(store.due(Queue::Findings, START, 9).await.unwrap(), [Due { at: START, key: "0f".to_owned() }]);
    let owed = store.owed(&["0f".to_owned(), "1e".to_owned()]).await.unwrap();
    assert_eq!(
        owed.iter().map(|o| (o.version, o.revision, o.due)).collect::<Vec<_>>(),
        [(3, 0, Some(START)), (1, 0, None)]
    );
    let settled =
        Settled { finding_id: "0f".to_owned(), version: 3, revision: 0, progress: Default::default(), due: None };
    assert_eq!(store.settle(vec![settled]).await.unwrap(), [true]);
    assert!(store.write(&row("#0", "{}")).await.unwrap());
    drop(store);
    let store = SqliteFindingStore::open(&path).await.unwrap();
    assert_eq!(store.owed(&["0f".to_owned()]).await.unwrap()[0].revision, 1, "what was settled survives a restart");
    assert_eq!(store.rows(&["#0".to_owned()]).await.unwrap()[0].revision, 1);
}

#[test]
fn many_may_upgrade_a_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for file in 0..10 {
        let path = folder.path().join(format!("{file}.db"));
        drop(first_file(&path));
        let open = || SqliteFindingStore::open(path.clone());
        runtime.block_on(futures::future::try_join_all((0..8).map(|_| open()))).unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_read_holds_up_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("findings.db");
    let store = SqliteFindingStore::open(&path).await.unwrap();
    let findings = ["0f", "1e", "2d"].map(|id| finding(id, NOON, "1"));
    store.record_owing(findings.into(), Some(START)).await.unwrap();
    for key in ["#0", "#1"] {
        assert!(
            store
                .write(&dial_sinks::outbox::store::Row { due: Some((Queue::Dead, START)), ..row(key, "{}") })
                .await
                .unwrap()
        );
    }
    let other = Connection::open(&path).unwrap();
    other.execute("UPDATE findings SET body = '{' WHERE finding_id = '0f'", []).unwrap();
    other.execute("UPDATE findings SET progress = '[' WHERE finding_id = '1e'", []).unwrap();
    other.execute("UPDATE outbox SET queue = 'elsewhere' WHERE key = '#0'", []).unwrap();
    let owed = store.owed(&["0f", "1e", "2d"].map(str::to_owned)).await.unwrap();
    assert_eq!(owed.iter().map(|owed| owed.finding.finding_id.as_str()).collect::<Vec<_>>(), ["2d"]);
    let rows = store.rows(&["#0", "#1"].map(str::to_owned)).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["#1"]);
    assert!(store.record(vec![finding("1e", NOON, "2")]).await.is_ok(), "a damaged progress stops no recording");
}

#[test]
fn who_read_too_early_changes_nothing() {
    suite::who_read_too_early_changes_nothing(&subject());
}
