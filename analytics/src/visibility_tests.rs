#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;
use crate::events_schema::EVENTS;
use crate::memory::MemoryStore;
use bytes::Bytes;

fn day() -> Day {
    Day::parse("2024-05-01").unwrap()
}

fn written(n: u32) -> String {
    format!("events/v1/dt=2024-05-01/shard_{n}_{n}.parquet")
}

async fn put(store: &MemoryStore, key: &str) {
    store.put_if_absent(key, Bytes::from_static(b"x")).await.unwrap();
}

async fn put_switch(store: &MemoryStore, generation: u64, at: Millis, hide: &[String], show: &[String]) {
    let switch = Switch { day: day(), generation, effective_from: at, hide: hide.to_vec(), show: show.to_vec() };
    let key = Folders::of(&EVENTS).switch_key(day(), generation);
    store.put_if_absent(&key, switch.encode().unwrap()).await.unwrap();
}

async fn keys(store: &MemoryStore, now: Millis) -> Vec<String> {
    visible(store, &EVENTS, now).await.unwrap().into_iter().map(|file| file.key).collect()
}

#[tokio::test]
async fn what_any_switch_hides_is_replaced_from_when_it_is_put() {
    let store = MemoryStore::new();
    assert!(replaced(&store, &EVENTS).await.unwrap().is_empty());
    let made = Folders::of(&EVENTS).target_key(day(), 1, "a");
    put(&store, &written(0)).await;
    put_switch(&store, 1, 1_000, &[written(0), written(1)], std::slice::from_ref(&made)).await;
    put_switch(&store, 2, 2_000, std::slice::from_ref(&made), &[]).await;
    let expected = HashSet::from([written(0), written(1), made]);
    assert_eq!(replaced(&store, &EVENTS).await.unwrap(), expected);
}

#[tokio::test]
async fn a_file_counts_as_the_switches_say() {
    let store = MemoryStore::new();
    assert!(keys(&store, 0).await.is_empty());
    let name = |generation, name: &str| Folders::of(&EVENTS).target_key(day(), generation, name);
    let (first, orphan, second) = (name(1, "a"), name(1, "b"), name(2, "c"));
    for key in (0..4).map(written).chain([first.clone(), orphan, second.clone()]) {
        put(&store, &key).await;
    }
    put(&store, "events/v1/dt=2024-05-01/notes.txt").await;
    put(&store, "events/v1/dt=2024-05-02/shard_9_9.parquet").await;
    let other = "events/v1/dt=2024-05-02/shard_9_9.parquet".to_owned();
    put_switch(&store, 1, 100, &[written(0), written(1)], std::slice::from_ref(&first)).await;
    put_switch(&store, 2, 200, &[first.clone(), written(2)], std::slice::from_ref(&second)).await;

    assert_eq!(keys(&store, 99).await, [written(0), written(1), written(2), written(3), other.clone()]);
    assert_eq!(keys(&store, 100).await, [first.clone(), written(2), written(3), other.clone()]);
    assert_eq!(keys(&store, 199).await, [first, written(2), written(3), other.clone()]);
    assert_eq!(keys(&store, 200).await, [second.clone(), written(3), other.clone()]);
    assert_eq!(keys(&store, Millis::MAX).await, [second.clone(), written(3), other.clone()]);
    store.delete(&written(0)).await.unwrap();
    put(&store, &written(0)).await;
    assert_eq!(keys(&store, 300).await, [second, written(3), other.clone()], "what is hidden stays so");

    let of = |from: &str, to: &str| (Day::parse(from).unwrap(), Day::parse(to).unwrap());
    let within = |days| visible_within(&store, &EVENTS, days, 300);
    assert_eq!(within(of("2024-05-02", "2024-05-02")).await.unwrap()[0].key, other);
    assert_eq!(within(of("2024-05-02", "2025-01-01")).await.unwrap().len(), 1);
    assert_eq!(within(of("2023-12-31", "2024-05-01")).await.unwrap().len(), 2);
    assert!(within(of("2024-05-03", "2024-05-02")).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_switch_that_is_missing_or_broken_is_no_guess() {
    let store = MemoryStore::new();
    let target = Folders::of(&EVENTS).target_key(day(), 2, "c");
    put_switch(&store, 2, 200, &[written(0)], &[target]).await;
    let error = visible(&store, &EVENTS, 300).await.unwrap_err().to_string();
    assert!(error.contains("switches-v1/dt=2024-05-01/00000001.parquet is missing"), "{error}");
    put(&store, "events/switches-v1/dt=2024-05-01/00000001.parquet").await;
    let error = visible(&store, &EVENTS, 300).await.unwrap_err().to_string();
    assert!(error.contains("00000001.parquet: not a switch"), "{error}");
}
