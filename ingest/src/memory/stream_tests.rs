#![allow(clippy::unwrap_used)]
use super::*;

async fn iterator(stream: &MemoryStream) -> String {
    stream.get_iterator("shardId-000000000000", &IteratorStart::TrimHorizon).await.unwrap()
}

async fn kind(stream: &MemoryStream, iterator: &str) -> Option<ErrorKind> {
    stream.get_records(iterator, 10_000).await.err().map(|error| error.kind)
}

#[tokio::test(start_paused = true)]
async fn five_reads_a_second_and_silence_after_ten_megabytes() {
    let stream = MemoryStream::new(1);
    let first = iterator(&stream).await;
    for _ in 0..5 {
        assert_eq!(kind(&stream, &first).await, None);
    }
    assert_eq!(kind(&stream, &first).await, Some(ErrorKind::Throttled));
    tokio::time::advance(Duration::from_secs(1)).await;
    for _ in 0..12 {
        stream.put("key", vec![0; 1 << 20]).unwrap();
    }
    let large = stream.get_records(&first, 10_000).await.unwrap();
    assert_eq!(large.records.len(), 10);
    tokio::time::advance(Duration::from_millis(4_900)).await;
    assert_eq!(kind(&stream, &first).await, Some(ErrorKind::Throttled));
    tokio::time::advance(Duration::from_millis(200)).await;
    assert_eq!(stream.get_records(&large.next_iterator.unwrap(), 10_000).await.unwrap().records.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn iterators_expire_after_five_minutes_or_when_told() {
    let stream = MemoryStream::new(1);
    let old = iterator(&stream).await;
    tokio::time::advance(Duration::from_secs(299)).await;
    assert_eq!(kind(&stream, &old).await, None);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(kind(&stream, &old).await, Some(ErrorKind::ExpiredIterator));
    let told = iterator(&stream).await;
    stream.expire_iterators();
    assert_eq!(kind(&stream, &told).await, Some(ErrorKind::ExpiredIterator));
    assert_eq!(kind(&stream, "nonsense").await, Some(ErrorKind::Denied));
}

#[tokio::test(start_paused = true)]
async fn every_key_falls_into_one_open_shard_whatever_is_split_and_merged() {
    let stream = MemoryStream::new(3);
    let [left, right] = stream.split("shardId-000000000001").unwrap();
    let merged = stream.merge("shardId-000000000000", &left).unwrap();
    assert!(stream.split("shardId-000000000001").is_err(), "closed");
    assert!(stream.merge(&merged, "shardId-000000000002").is_err(), "not adjacent");
    let mut used = std::collections::BTreeSet::new();
    for n in 0..1_000 {
        used.insert(stream.put(&format!("key-{n}"), "").unwrap().0);
    }
    let open = [merged, right, "shardId-000000000002".into()];
    assert_eq!(used, std::collections::BTreeSet::from(open));
}

#[tokio::test(start_paused = true)]
async fn it_says_how_far_behind_an_answer_is() {
    let stream = MemoryStream::new(1);
    stream.put("key", "0").unwrap();
    stream.put("key", "1").unwrap();
    tokio::time::advance(Duration::from_secs(7)).await;
    let answer = stream.get_records(&iterator(&stream).await, 1).await.unwrap();
    assert_eq!(answer.millis_behind_latest, Some(7_000));
    let answer = stream.get_records(&answer.next_iterator.unwrap(), 1).await.unwrap();
    assert_eq!(answer.millis_behind_latest, Some(0));
}
