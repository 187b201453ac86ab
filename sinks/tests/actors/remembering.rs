//! What [`RememberingActorStore`] adds: nothing is written twice, nothing is forgotten on the way, and memory stays bounded.

use std::sync::Arc;

use dial_sinks::actors::failing::{FailingActorStore, Mood};
use dial_sinks::actors::memory::MemoryActorStore;
use dial_sinks::actors::remembering::RememberingActorStore;
use dial_sinks::actors::{ActorStore, Learned};

use crate::suite::{self, KEPT, NOW, Store, Subject, link};

fn counted() -> (Arc<FailingActorStore>, RememberingActorStore) {
    let inner = Arc::new(FailingActorStore::moody(Arc::new(MemoryActorStore::new())));
    (inner.clone(), RememberingActorStore::new(inner))
}

#[test]
fn any_order_with_repetitions_teaches_the_same() {
    suite::any_order_with_repetitions_teaches_the_same(&Subject::new(100, |_, count| {
        let inner: Store = Arc::new(MemoryActorStore::new().keeping(KEPT));
        (0..count).map(|_| -> Store { Arc::new(RememberingActorStore::new(inner.clone())) }).collect()
    }));
}

#[tokio::test]
async fn what_is_durable_is_not_written_again() {
    let (inner, store) = counted();
    assert_eq!(store.learn(vec![link(1, 1), link(1, 1)], NOW).await.unwrap(), Learned { written: 1, unchanged: 1 });
    assert_eq!(store.learn(vec![link(1, 1)], NOW).await.unwrap(), Learned { written: 0, unchanged: 1 });
    assert_eq!(inner.calls(), 1);
    store.learn(vec![link(1, 1), link(1, 2)], NOW).await.unwrap();
    assert_eq!((inner.calls(), store.hits_and_misses()), (2, (3, 2)));
}

#[tokio::test]
async fn what_failed_is_not_taken_for_durable() {
    let (inner, store) = counted();
    inner.set(Mood::Down);
    store.learn(vec![link(1, 1)], NOW).await.unwrap_err();
    inner.set(Mood::Fair);
    assert_eq!(store.learn(vec![link(1, 1)], NOW).await.unwrap().written, 1);
}

#[tokio::test]
async fn memory_stays_within_its_bound() {
    let room = 64 * 1024;
    let store = RememberingActorStore::with_room(Arc::new(MemoryActorStore::new()), room);
    for n in 0..50 {
        store.learn((0..100).map(|m| link(100 * n + m, m)).collect(), NOW).await.unwrap();
    }
    let weight = store.weight().await;
    assert!(weight > room / 2 && weight <= room, "{weight}");
}
