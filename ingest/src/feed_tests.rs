#![allow(clippy::unwrap_used)]
use super::*;
use crate::budget::{PrefetchBudget, WorkerRoom};
use crate::memory::MemoryStream;
use crate::pace::PollPace;
use crate::stream::IteratorStart;

const SHARD: &str = "shardId-000000000000";

fn feed_of(stream: &Arc<MemoryStream>, budget: PrefetchBudget, fan_out: bool) -> Feed {
    let reader = ShardReader::new(stream.clone(), SHARD.into(), IteratorStart::TrimHorizon, PollPace::EAGER);
    let fan_out = fan_out.then(|| Arc::new(FanOut::new(stream.clone(), "dial".into())));
    Feed::start(stream.clone(), reader, WorkerRoom::new(budget).of_shard(), fan_out)
}

/// Puts records `range`, as text.
fn put(stream: &MemoryStream, range: std::ops::Range<usize>) {
    for n in range {
        stream.put("key", n.to_string()).unwrap();
    }
}

/// What comes within this time.
async fn heard(feed: &mut Feed, time: Duration) -> (Vec<usize>, Option<Answer>) {
    let mut numbers = Vec::new();
    let until = Instant::now() + time;
    while let Ok(Some(fed)) = tokio::time::timeout_at(until, feed.next()).await {
        match fed.answer {
            Answer::Records { records, .. } => {
                numbers.extend(records.iter().map(|r| std::str::from_utf8(&r.data).unwrap().parse::<usize>().unwrap()));
            }
            end @ (Answer::End(_) | Answer::Gone) => return (numbers, Some(end)),
            Answer::Nothing { .. } | Answer::Failed => {}
        }
    }
    (numbers, None)
}

fn all(range: std::ops::Range<usize>) -> Vec<usize> {
    range.collect()
}

#[tokio::test(start_paused = true)]
async fn reading_ahead_stops_where_the_room_ends() {
    let stream = Arc::new(MemoryStream::new(1));
    for _ in 0..40 {
        stream.put("key", vec![b'7'; 1 << 20]).unwrap();
    }
    let budget = PrefetchBudget { shard_bytes: 12 << 20, ..PrefetchBudget::default() };
    let mut feed = feed_of(&stream, budget, false);
    let mut held = Vec::new();
    tokio::time::sleep(Duration::from_secs(600)).await;
    while let Ok(fed) = feed.answers.try_recv() {
        held.push(fed);
    }
    let bytes: usize = held
        .iter()
        .map(|fed| if let Answer::Records { records, .. } = &fed.answer { Amount::of(records).bytes } else { 0 })
        .sum();
    assert!((1 << 20..=12 << 20).contains(&bytes), "{bytes}");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(feed.answers.try_recv().is_err(), "still held, so nothing more is read");
    drop(held);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(feed.answers.try_recv().is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_answers_end_with_the_shard() {
    for fan_out in [false, true] {
        let stream = Arc::new(MemoryStream::new(1));
        put(&stream, 0..3);
        let children = stream.split(SHARD).unwrap();
        let mut feed = feed_of(&stream, PrefetchBudget::default(), fan_out);
        let (numbers, end) = heard(&mut feed, Duration::from_secs(60)).await;
        assert_eq!(numbers, all(0..3));
        let Some(Answer::End(ended)) = end else { unreachable!("{end:?}") };
        assert_eq!(ended.into_iter().map(|child| child.shard_id).collect::<Vec<_>>(), children);
        assert!(feed.next().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_pushed_comes_at_once_and_once() {
    let stream = Arc::new(MemoryStream::new(1));
    put(&stream, 0..5);
    let mut feed = feed_of(&stream, PrefetchBudget::default(), true);
    assert_eq!(heard(&mut feed, Duration::from_secs(5)).await.0, all(0..5));
    put(&stream, 5..6);
    assert_eq!(heard(&mut feed, Duration::from_millis(1)).await.0, [5]);
    // A subscription ends after five minutes, and is renewed.
    let mut numbers = Vec::new();
    for n in 6..40 {
        put(&stream, n..n + 1);
        numbers.extend(heard(&mut feed, Duration::from_secs(30)).await.0);
    }
    assert_eq!(numbers, all(6..40));
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_breaks_goes_on_where_it_was() {
    let stream = Arc::new(MemoryStream::new(1));
    let mut feed = feed_of(&stream, PrefetchBudget::default(), true);
    let mut numbers = Vec::new();
    for n in 0..50 {
        put(&stream, n * 10..n * 10 + 10);
        numbers.extend(heard(&mut feed, Duration::from_secs(n as u64 % 7)).await.0);
        stream.cut_subscriptions();
    }
    numbers.extend(heard(&mut feed, Duration::from_secs(120)).await.0);
    assert_eq!(numbers, all(0..500));
}

#[tokio::test(start_paused = true)]
async fn where_subscriptions_are_refused_the_shard_is_polled() {
    let stream = Arc::new(MemoryStream::new(1).without_fan_out());
    let mut feed = feed_of(&stream, PrefetchBudget::default(), true);
    let mut numbers = Vec::new();
    for n in 0..100 {
        put(&stream, n..n + 1);
        numbers.extend(heard(&mut feed, Duration::from_secs(10)).await.0);
    }
    assert_eq!(numbers, all(0..100), "over several attempts to subscribe");
}

#[tokio::test(start_paused = true)]
async fn two_workers_of_one_consumer_take_turns() {
    let stream = Arc::new(MemoryStream::new(1));
    let mut first = feed_of(&stream, PrefetchBudget::default(), true);
    put(&stream, 0..1);
    assert_eq!(heard(&mut first, Duration::from_secs(10)).await.0, [0]);
    let mut second = feed_of(&stream, PrefetchBudget::default(), true);
    put(&stream, 1..2);
    assert_eq!(heard(&mut second, Duration::from_secs(10)).await.0, [0, 1]);
    drop(first);
    put(&stream, 2..3);
    assert_eq!(heard(&mut second, Duration::from_secs(30)).await.0, [2]);
}
