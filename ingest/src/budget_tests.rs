#![allow(clippy::unwrap_used)]
use std::time::Duration;

use tokio::time::timeout;

use super::*;

const MIB: usize = 1 << 20;

fn mib(n: usize) -> Amount {
    Amount { bytes: n * MIB, records: n }
}

/// The room, if there is some now.
async fn try_take(shard: &ShardRoom, amount: Amount) -> Option<Room> {
    timeout(Duration::from_millis(1), shard.take(amount)).await.ok()
}

fn room(shard: usize, worker: usize) -> WorkerRoom {
    WorkerRoom::new(PrefetchBudget {
        shard_bytes: shard * MIB,
        shard_records: 1_000,
        worker_bytes: worker * MIB,
        worker_records: 1_000,
    })
}

#[tokio::test(start_paused = true)]
async fn a_shard_is_bounded_and_gives_back_what_it_does_not_need() {
    let shard = room(16, 100).of_shard();
    let mut first = try_take(&shard, mib(10)).await.unwrap();
    assert!(try_take(&shard, mib(10)).await.is_none());
    first.shrink(mib(6));
    let second = try_take(&shard, mib(10)).await.unwrap();
    assert!(try_take(&shard, mib(1)).await.is_none());
    drop(first);
    assert!(try_take(&shard, mib(6)).await.is_some());
    drop(second);
    assert!(shard.shard.is_untouched());
}

#[tokio::test(start_paused = true)]
async fn records_count_as_bytes_do() {
    let shard = room(16, 100).of_shard();
    let many = Amount { bytes: 1, records: 1_000 };
    let first = try_take(&shard, many).await.unwrap();
    assert!(try_take(&shard, Amount { bytes: 1, records: 1 }).await.is_none());
    drop(first);
    assert!(try_take(&shard, many).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn all_shards_together_are_bounded() {
    let worker = room(16, 40);
    let shards: Vec<ShardRoom> = (0..5).map(|_| worker.of_shard()).collect();
    let mut held = Vec::new();
    for shard in &shards {
        held.extend(try_take(shard, mib(10)).await);
    }
    assert_eq!(held.len(), 4);
    held.pop();
    assert!(try_take(&shards[4], mib(10)).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn reading_ahead_leaves_half_of_the_room_to_others() {
    let worker = room(16, 40);
    let shards: Vec<ShardRoom> = (0..5).map(|_| worker.of_shard()).collect();
    let mut held = Vec::new();
    for shard in &shards[..4] {
        let mut first = try_take(shard, mib(10)).await.unwrap();
        first.shrink(mib(1));
        held.push(first);
    }
    // Ahead there are 20 MiB: two answers.
    let mut ahead = Vec::new();
    for shard in &shards[..4] {
        ahead.extend(try_take(shard, mib(10)).await);
    }
    assert_eq!(ahead.len(), 2);
    assert!(try_take(&shards[4], mib(10)).await.is_some(), "a shard that has nothing");
    let at_hand = ahead.remove(0).at_hand();
    assert!(try_take(&shards[3], mib(10)).await.is_some());
    drop(at_hand);
}

#[tokio::test(start_paused = true)]
async fn a_budget_below_one_answer_lets_one_in_at_a_time() {
    let shard = room(1, 2).of_shard();
    let first = try_take(&shard, Amount::of_a_read(10_000)).await.unwrap();
    assert!(try_take(&shard, Amount::of_a_read(1)).await.is_none());
    drop(first);
    assert!(try_take(&shard, Amount::of_a_read(1)).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_by_who_stops_waiting() {
    let worker = room(16, 20);
    let (one, two) = (worker.of_shard(), worker.of_shard());
    let held = try_take(&one, mib(15)).await.unwrap();
    for _ in 0..10 {
        assert!(try_take(&two, mib(10)).await.is_none());
    }
    drop(held);
    assert!(try_take(&two, mib(16)).await.is_some());
    assert!(worker.worker.is_untouched() && worker.ahead.is_untouched());
}

#[test]
fn a_record_weighs_more_than_its_data() {
    let record = StreamRecord {
        sequence_number: "7".parse().unwrap(),
        partition_key: "key".into(),
        arrival: 0,
        data: bytes::Bytes::from_static(b"0123456789"),
    };
    assert_eq!(Amount::of(&[record.clone(), record]), Amount { bytes: 2 * 269, records: 2 });
}
