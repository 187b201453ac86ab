//! The suite over [`SqliteActorStore`], and what only a file can be asked.

use std::sync::Arc;

use dial_sinks::actors::sqlite::SqliteActorStore;
use dial_sinks::actors::{ActorError, ActorStore, Learned};

use crate::suite::{self, KEPT, NOW, Store, Subject, link, temporary};

fn subject() -> Subject {
    // Kept until the test ends; each store is a file of its own.
    let folder = tempfile::tempdir().unwrap();
    let counter = std::cell::Cell::new(0);
    Subject::new(25, move |runtime, count| {
        counter.set(counter.get() + 1);
        let path = folder.path().join("a folder").join(format!("{}.db", counter.get()));
        let open = |_| -> Store { Arc::new(runtime.block_on(SqliteActorStore::open(&path)).unwrap().keeping(KEPT)) };
        (0..count).map(open).collect()
    })
}

#[test]
fn any_order_with_repetitions_teaches_the_same() {
    suite::any_order_with_repetitions_teaches_the_same(&subject());
}

#[test]
fn sixteen_writers_of_one_credential_lose_nothing() {
    suite::sixteen_writers_of_one_credential_lose_nothing(&subject());
}

#[test]
fn writers_through_failures_lose_and_add_nothing() {
    suite::writers_through_failures_lose_and_add_nothing(&subject());
}

#[test]
fn what_is_known_is_written_again_only_when_it_grows_old() {
    suite::what_is_known_is_written_again_only_when_it_grows_old(&subject());
}

#[test]
fn nothing_is_asked_and_nothing_is_known() {
    suite::nothing_is_asked_and_nothing_is_known(&subject());
}

#[test]
fn large_batches_are_learned_and_read() {
    suite::large_batches_are_learned_and_read(&subject());
}

#[tokio::test]
async fn actors_survive_a_restart_until_their_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("actors.db");
    let open = async || SqliteActorStore::open(&path).await.unwrap().keeping(KEPT);
    open().await.learn(vec![link(1, 1)], NOW).await.unwrap();
    let store = open().await;
    assert_eq!(store.known(&[temporary(1)].into()).await.unwrap().len(), 1);
    store.learn(vec![link(2, 1)], NOW + 1_000_000).await.unwrap();
    let known = store.known(&[temporary(1), temporary(2)].into()).await.unwrap();
    assert!(known.contains_key(&temporary(2)) && known.len() == 1, "{known:?}");
}

#[tokio::test]
async fn damaged_rows_are_written_over_and_damaged_files_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("actors.db");
    let store = SqliteActorStore::open(&path).await.unwrap();
    store.learn(vec![link(1, 1)], NOW).await.unwrap();
    rusqlite::Connection::open(&path).unwrap().execute("UPDATE actors SET ancestry = '{'", []).unwrap();
    let error = store.known(&[temporary(1)].into()).await.unwrap_err();
    assert!(matches!(&error, ActorError::Damaged { credential, .. } if *credential == temporary(1)), "{error}");
    // It stops nobody: its neighbours are learned, and so is what is taught of it from then on.
    let learned = store.learn(vec![link(1, 2), link(2, 1)], NOW).await.unwrap();
    assert_eq!(learned, Learned { written: 2, unchanged: 0 });
    let known = store.known(&[temporary(1), temporary(2)].into()).await.unwrap();
    assert_eq!((&known[&temporary(1)].from, known[&temporary(1)].cut), (&link(1, 2).from, true));
    assert_eq!((&known[&temporary(2)].from, known[&temporary(2)].cut), (&link(2, 1).from, false));
    assert_eq!(store.learn(vec![link(1, 2)], NOW).await.unwrap().unchanged, 1);
    std::fs::write(folder.path().join("text.db"), "no database, but long enough to be taken for one".repeat(40))
        .unwrap();
    let error = SqliteActorStore::open(folder.path().join("text.db")).await.unwrap_err().to_string();
    assert!(error.contains("open the actors in") && error.contains("text.db"), "{error}");
}
