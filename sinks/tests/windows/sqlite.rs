//! The suite over [`SqliteWindowStore`], and what only a file can be asked.

use std::process::{Command, Stdio};
use std::sync::Arc;

use dial_sinks::windows::retention::Retention;
use dial_sinks::windows::sqlite::SqliteWindowStore;
use dial_sinks::windows::store::{WindowItem, WindowStore};

use crate::items::{NOON, TIMESPAN, addition, all, item};
use crate::suite::{self, Subject};

fn subject() -> Subject {
    // Kept until the test ends; each store is a file of its own.
    let folder = tempfile::tempdir().unwrap();
    let counter = std::cell::Cell::new(0);
    Subject::new(25, move |runtime, count| {
        counter.set(counter.get() + 1);
        let path = folder.path().join("a folder").join(format!("{}.db", counter.get()));
        let open = |_| -> Arc<dyn WindowStore> {
            Arc::new(runtime.block_on(SqliteWindowStore::open(&path, Retention::default())).unwrap())
        };
        (0..count).map(open).collect()
    })
}

#[test]
fn appends_and_reads_in_any_order_agree_with_a_plain_list() {
    suite::appends_and_reads_in_any_order_agree_with_a_plain_list(&subject());
}

#[test]
fn failures_lose_and_add_nothing() {
    suite::failures_lose_and_add_nothing(&subject());
}

#[test]
fn adding_again_in_whatever_company_changes_nothing() {
    suite::adding_again_in_whatever_company_changes_nothing(&subject());
}

#[test]
fn of_differing_bodies_the_smaller_stays_whatever_the_order() {
    suite::of_differing_bodies_the_smaller_stays_whatever_the_order(&subject());
}

#[test]
fn ranges_include_both_ends_at_the_edges_of_buckets() {
    suite::ranges_include_both_ends_at_the_edges_of_buckets(&subject());
}

#[test]
fn windows_are_kept_apart() {
    suite::windows_are_kept_apart(&subject());
}

#[test]
fn an_empty_store_answers() {
    suite::an_empty_store_answers(&subject());
}

#[test]
fn items_over_a_limit_are_refused_and_nothing_is_written() {
    suite::items_over_a_limit_are_refused_and_nothing_is_written(&subject());
}

#[test]
fn of_concurrent_append_then_read_pairs_never_both_miss() {
    suite::of_concurrent_append_then_read_pairs_never_both_miss(&subject());
}

#[test]
fn a_hundred_thousand_items_in_one_window_are_all_counted() {
    suite::a_hundred_thousand_items_in_one_window_are_all_counted(&subject());
}

#[test]
fn a_temporary_store_agrees_with_a_plain_list() {
    let subject = Subject::new(50, |runtime, _| {
        let store: Arc<dyn WindowStore> =
            Arc::new(runtime.block_on(SqliteWindowStore::temporary(Retention::default())).unwrap());
        vec![store]
    });
    suite::appends_and_reads_in_any_order_agree_with_a_plain_list(&subject);
}

/// The file has no name any more, but the process still holds it.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_temporary_store_spills_into_a_file() {
    let store = SqliteWindowStore::temporary(Retention::default()).await.unwrap();
    for batch in 0..20 {
        let large = |i: i64| WindowItem { body: "x".repeat(8_000), ..item(NOON + i, "1") };
        let items = (0..250).map(|i| large(batch * 250 + i)).collect();
        store.append(vec![addition("mallory", items)], NOON).await.unwrap();
    }
    let held = std::fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
    let deleted =
        held.filter(|file| std::fs::read_link(file).is_ok_and(|to| to.to_string_lossy().ends_with("(deleted)")));
    let longest = deleted.filter_map(|file| std::fs::metadata(file).ok()).map(|file| file.len()).max();
    assert!(longest.is_some_and(|bytes| bytes > 20_000_000), "of 40 MB, 16 stay in memory: {longest:?}");
    assert_eq!(store.read(&[all("mallory")]).await.unwrap()[0].len(), 5_000);
}

#[tokio::test]
async fn windows_survive_a_restart_and_share_a_file_with_findings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("windows.db");
    let store = SqliteWindowStore::open(&path, Retention::default()).await.unwrap();
    store.append(vec![addition("alice", vec![item(NOON, "1")])], NOON).await.unwrap();
    drop(store);
    let findings = dial_sinks::sqlite::SqliteFindingStore::open(&path).await.unwrap();
    let store = SqliteWindowStore::open(&path, Retention::default()).await.unwrap();
    assert_eq!(store.read(&[all("alice")]).await.unwrap(), [[item(NOON, "1")]]);
    drop(findings);
}

/// Plays both parts: `cargo test` starts it, and it starts itself four times as a worker on one new file. A worker ends
/// without closing anything, as one that is killed does.
#[tokio::test]
async fn processes_share_one_file() {
    const FILE: &str = "DIAL_WINDOWS_TEST_FILE";
    const WORKER: &str = "DIAL_WINDOWS_TEST_WORKER";
    let items_of = |worker: i64| (0..40).map(move |i| item(NOON + i * 4 + worker, &format!("{worker}-{i}")));
    if let (Some(file), Ok(worker)) = (std::env::var_os(FILE), std::env::var(WORKER)) {
        let store = SqliteWindowStore::open(file, Retention::default()).await.unwrap();
        for item in items_of(worker.parse().unwrap()) {
            store.append(vec![addition("alice", vec![item.clone()])], NOON).await.unwrap();
            assert!(store.read(&[all("alice")]).await.unwrap()[0].contains(&item));
        }
        std::process::exit(0);
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("windows.db");
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
    let mut expected: Vec<_> = (0..4).flat_map(items_of).collect();
    expected.sort();
    let store = SqliteWindowStore::open(&path, Retention::default()).await.unwrap();
    assert_eq!(store.read(&[all("alice")]).await.unwrap(), [expected]);
}

#[tokio::test]
async fn what_has_expired_is_deleted_now_and_then() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("windows.db");
    let retention = Retention { allowed_lateness: 5_000, stream_retention: 7_000 };
    let store = SqliteWindowStore::open(&path, retention).await.unwrap();
    let rows = || {
        let file = rusqlite::Connection::open(&path).unwrap();
        file.query_row("SELECT count(*) FROM window_items", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let kept = 2 * TIMESPAN + 12_000;
    let many = (0..12_000).map(|i| item(i, "old")).collect();
    store.append(vec![addition("alice", vec![item(0, "again")])], NOON).await.unwrap();
    store.append(vec![addition("alice", many)], NOON).await.unwrap();
    store.append(vec![addition("alice", vec![item(0, "again")])], NOON + TIMESPAN).await.unwrap();
    store.append(vec![addition("alice", vec![item(0, "again")])], NOON).await.unwrap();
    store.append(vec![addition("bob", vec![item(0, "1")])], NOON + kept - 1).await.unwrap();
    assert_eq!(rows(), 12_002, "nothing has expired yet");
    for (i, left) in [(0, 2_003), (1, 4), (2, 5)] {
        store.append(vec![addition("bob", vec![item(i, "2")])], NOON + kept + TIMESPAN - 1).await.unwrap();
        assert_eq!(rows(), left, "an append deletes a part at most");
    }
    assert_eq!(store.read(&[all("alice")]).await.unwrap(), [[item(0, "again")]]);
}

#[tokio::test]
async fn other_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "no database, but long enough to be mistaken for one".repeat(20)).unwrap();
    let error = SqliteWindowStore::open(&text, Retention::default()).await.unwrap_err().to_string();
    assert!(error.contains("notes.txt") && error.contains("not a database"), "{error}");
}
