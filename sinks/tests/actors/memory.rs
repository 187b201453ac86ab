//! The suite over [`MemoryActorStore`], and what only memory can be asked.

use std::sync::Arc;

use dial_sinks::actors::ActorStore;
use dial_sinks::actors::memory::MemoryActorStore;

use crate::suite::{self, KEPT, NOW, Store, Subject, link, temporary};

fn subject() -> Subject {
    Subject::new(200, |_, count| {
        let store: Store = Arc::new(MemoryActorStore::new().keeping(KEPT));
        vec![store; count]
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
async fn rows_whose_time_is_over_are_forgotten() {
    let store = MemoryActorStore::new().keeping(KEPT);
    store.learn(vec![link(1, 1)], NOW).await.unwrap();
    store.learn(vec![link(2, 1)], NOW + 3_600_000).await.unwrap();
    let known = store.known(&[temporary(1), temporary(2)].into()).await.unwrap();
    assert!(known.contains_key(&temporary(2)) && known.len() == 1, "{known:?}");
}
