//! The suite over [`SqliteFindingStore`], and what only a file can be asked.

use std::process::{Command, Stdio};
use std::sync::Arc;

use dial_sinks::sqlite::SqliteFindingStore;
use dial_sinks::store::{FindingStore, StoreError};

use crate::findings::{NOON, finding, merged};
use crate::suite::{self, Subject};

fn subject() -> Subject {
    // Kept until the test ends; each store is a file of its own.
    let folder = tempfile::tempdir().unwrap();
    let counter = std::cell::Cell::new(0);
    Subject::new(25, move |runtime, count| {
        counter.set(counter.get() + 1);
        let path = folder.path().join("a folder").join(format!("{}.db", counter.get()));
        let open =
            |_| -> Arc<dyn FindingStore> { Arc::new(runtime.block_on(SqliteFindingStore::open(&path)).unwrap()) };
        (0..count).map(open).collect()
    })
}

#[test]
fn any_order_with_repetitions_gives_the_same_content() {
    suite::any_order_with_repetitions_gives_the_same_content(&subject());
}

#[test]
fn outcomes_say_what_was_new_changed_and_unchanged() {
    suite::outcomes_say_what_was_new_changed_and_unchanged(&subject());
}

#[test]
fn failures_lose_and_add_nothing() {
    suite::failures_lose_and_add_nothing(&subject());
}

#[test]
fn concurrent_recorders_lose_nothing() {
    suite::concurrent_recorders_lose_nothing(&subject());
}

#[test]
fn concurrent_recorders_through_failures_lose_nothing() {
    suite::concurrent_recorders_through_failures_lose_nothing(&subject());
}

#[test]
fn lists_what_the_filter_lets_through_page_by_page() {
    suite::lists_what_the_filter_lets_through_page_by_page(&subject());
}

#[test]
fn an_updated_finding_moves_to_its_new_place() {
    suite::an_updated_finding_moves_to_its_new_place(&subject());
}

#[test]
fn an_empty_store_answers() {
    suite::an_empty_store_answers(&subject());
}

#[test]
fn hostile_strings_are_kept_within_bounds() {
    suite::hostile_strings_are_kept_within_bounds(&subject());
}

#[test]
fn large_batches_are_recorded() {
    suite::large_batches_are_recorded(&subject());
}

#[tokio::test]
async fn findings_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("findings.db");
    let store = SqliteFindingStore::open(&path).await.unwrap();
    store.record(vec![finding("0f", NOON, "1")]).await.unwrap();
    drop(store);
    let store = SqliteFindingStore::open(&path).await.unwrap();
    assert_eq!(store.get("0f").await.unwrap(), Some(finding("0f", NOON, "1")));
}

#[test]
fn many_may_open_a_new_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for file in 0..20 {
        let path = folder.path().join(format!("{file}.db"));
        let open = || SqliteFindingStore::open(path.clone());
        runtime.block_on(futures::future::try_join_all((0..8).map(|_| open()))).unwrap();
    }
}

/// Plays both parts: `cargo test` starts it, and it starts itself four times as a worker on one new file.
#[tokio::test]
async fn processes_share_one_file() {
    const FILE: &str = "DIAL_SINKS_TEST_FILE";
    const WORKER: &str = "DIAL_SINKS_TEST_WORKER";
    let updates_of = |worker: i64| (0..40).map(move |i| finding("0f", NOON + i * 4 + worker, &format!("{worker}-{i}")));
    if let (Some(file), Ok(worker)) = (std::env::var_os(FILE), std::env::var(WORKER)) {
        let store = SqliteFindingStore::open(file).await.unwrap();
        for update in updates_of(worker.parse().unwrap()) {
            store.record(vec![update]).await.unwrap();
        }
        return;
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("findings.db");
    let start = |worker: i64| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sqlite::processes_share_one_file"])
            .env(FILE, &path)
            .env(WORKER, worker.to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    let workers: Vec<_> = (0..4).map(start).collect();
    for mut worker in workers {
        assert!(worker.wait().unwrap().success());
    }
    let updates: Vec<_> = (0..4).flat_map(updates_of).collect();
    let store = SqliteFindingStore::open(&path).await.unwrap();
    assert_eq!(store.get("0f").await.unwrap().as_ref(), merged(&updates).get("0f"));
}

#[tokio::test]
async fn columns_of_a_later_version_keep_their_values() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("findings.db");
    let store = SqliteFindingStore::open(&path).await.unwrap();
    store.record(vec![finding("0f", NOON, "1")]).await.unwrap();
    let later = rusqlite::Connection::open(&path).unwrap();
    later.execute_batch("ALTER TABLE findings ADD COLUMN outbox TEXT; UPDATE findings SET outbox = 'slack'").unwrap();
    store.record(vec![finding("0f", NOON + 1, "2")]).await.unwrap();
    let row = later.query_row("SELECT outbox, version FROM findings", [], |row| Ok((row.get(0)?, row.get(1)?)));
    assert_eq!(row.unwrap(), ("slack".to_owned(), 2));
}

#[tokio::test]
async fn other_files_and_damaged_rows_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "no database, but long enough to be mistaken for one".repeat(20)).unwrap();
    let error = SqliteFindingStore::open(&text).await.unwrap_err().to_string();
    assert!(error.contains("notes.txt") && error.contains("not a database"), "{error}");
    let error = SqliteFindingStore::open(text.join("findings.db")).await.unwrap_err().to_string();
    assert!(error.contains("findings.db"), "{error}");

    let path = folder.path().join("findings.db");
    let store = SqliteFindingStore::open(&path).await.unwrap();
    store.record(vec![finding("0f", NOON, "1"), finding("1e", NOON, "1")]).await.unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute("UPDATE findings SET body = '{' WHERE finding_id = '0f'", []).unwrap();
    let error = store.record(vec![finding("0f", NOON, "2"), finding("1e", NOON, "2")]).await.unwrap_err();
    assert!(matches!(&error, StoreError::Damaged { finding_id, .. } if finding_id == "0f"), "{error}");
    assert_eq!(
        store.get("1e").await.unwrap(),
        Some(finding("1e", NOON, "1")),
        "a batch is recorded whole or not at all"
    );
}
