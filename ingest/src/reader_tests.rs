#![allow(clippy::unwrap_used)]
use super::*;
use crate::memory::MemoryStream;

const MOST: u32 = 10_000;

fn number(n: u32) -> SequenceNumber {
    n.to_string().parse().unwrap()
}

#[test]
fn a_checkpoint_says_where_to_begin() {
    let initial = InitialPosition::AtTimestamp(5);
    let start = |checkpoint: &Position| start_at(checkpoint, initial, false);
    assert_eq!(start(&Position::TRIM_HORIZON), Some(IteratorStart::TrimHorizon));
    assert_eq!(start(&Position::LATEST), Some(IteratorStart::Latest));
    assert_eq!(start(&Position::AT_TIMESTAMP), Some(IteratorStart::AtTimestamp(5)));
    assert_eq!(start(&Position::new(number(7), 3)), Some(IteratorStart::At(number(7))));
    assert_eq!(start(&Position::SHARD_END), None);
    let without_time = start_at(&Position::AT_TIMESTAMP, InitialPosition::Latest, false);
    assert_eq!(without_time, Some(IteratorStart::TrimHorizon));
    let declared = |checkpoint: &Position| start_at(checkpoint, InitialPosition::Latest, true);
    assert_eq!(declared(&Position::LATEST), Some(IteratorStart::TrimHorizon), "what was declared lies before now");
    assert_eq!(declared(&Position::new(number(7), 3)), Some(IteratorStart::At(number(7))));
}

async fn drain(reader: &mut ShardReader, polls: usize) -> Vec<bytes::Bytes> {
    let mut data = Vec::new();
    for _ in 0..polls {
        if let Answer::Records { records, .. } = reader.poll(MOST).await {
            data.extend(records.into_iter().map(|record| record.data));
        }
    }
    data
}

#[tokio::test(start_paused = true)]
async fn an_iterator_that_grew_too_old_is_replaced_where_reading_stopped() {
    let stream = Arc::new(MemoryStream::new(1));
    let pace = PollPace { max_records: 2, ..PollPace::EAGER };
    let mut reader = ShardReader::new(stream.clone(), "shardId-000000000000".into(), IteratorStart::TrimHorizon, pace);
    for n in 0..5 {
        stream.put("key", format!("{n}")).unwrap();
    }
    assert_eq!(drain(&mut reader, 1).await, ["0", "1"]);
    tokio::time::advance(Duration::from_secs(301)).await;
    assert!(matches!(reader.poll(MOST).await, Answer::Failed));
    assert_eq!(drain(&mut reader, 2).await, ["2", "3", "4"]);
}

#[tokio::test(start_paused = true)]
async fn latest_means_the_first_time() {
    let stream = Arc::new(MemoryStream::new(1));
    let shard_id = "shardId-000000000000";
    let mut reader = ShardReader::new(stream.clone(), shard_id.into(), IteratorStart::Latest, PollPace::EAGER);
    assert!(matches!(reader.poll(MOST).await, Answer::Nothing { .. }));
    stream.put("key", "0").unwrap();
    stream.expire_iterators();
    assert_eq!(drain(&mut reader, 3).await, ["0"]);
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_is_dropped_loses_nothing() {
    let stream = Arc::new(MemoryStream::new(1));
    let mut reader =
        ShardReader::new(stream.clone(), "shardId-000000000000".into(), IteratorStart::TrimHorizon, PollPace::EAGER);
    let mut seen = Vec::new();
    for n in 0..40 {
        stream.put("key", format!("{n}")).unwrap();
        if let Ok(Answer::Records { records, .. }) = timeout(Duration::from_millis(100), reader.poll(MOST)).await {
            seen.extend(records.into_iter().map(|record| record.data));
        }
    }
    seen.extend(drain(&mut reader, 2).await);
    assert_eq!(seen, (0..40).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn the_last_records_come_before_the_end() {
    let stream = Arc::new(MemoryStream::new(1));
    let shard_id = "shardId-000000000000";
    stream.put("key", "0").unwrap();
    let children = stream.split(shard_id).unwrap();
    let mut reader = ShardReader::new(stream.clone(), shard_id.into(), IteratorStart::TrimHorizon, PollPace::EAGER);
    assert!(matches!(reader.poll(MOST).await, Answer::Records { records, .. } if records.len() == 1));
    for _ in 0..2 {
        let Answer::End(ended) = reader.poll(MOST).await else { unreachable!() };
        assert_eq!(ended.into_iter().map(|child| child.shard_id).collect::<Vec<_>>(), children);
    }
}
