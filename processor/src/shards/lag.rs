//! How far a role is behind on a shard, told by the stream and the checkpoint.

use dial_ingest::lease::Lease;
use dial_ingest::stream::{GetRecords, IteratorStart};
use dial_ingest::{PortError, SequenceNumber, StreamClient};

use super::patiently;

/// How far behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lag {
    /// The first record after the checkpoint arrived so many milliseconds ago; 0 when there is none.
    Millis(u64),
    /// The shard was read to its end.
    Ended,
    /// Not known, and why.
    Unknown(String),
}

/// Where to read the first record that is not done; `None` where the checkpoint does not say.
fn start(checkpoint: &SequenceNumber) -> Option<IteratorStart> {
    match checkpoint {
        SequenceNumber::TrimHorizon => Some(IteratorStart::TrimHorizon),
        SequenceNumber::Number(_) => Some(IteratorStart::After(checkpoint.clone())),
        SequenceNumber::Latest | SequenceNumber::AtTimestamp | SequenceNumber::ShardEnd => None,
    }
}

/// Measures it by reading one record.
pub(crate) async fn measure(stream: &dyn StreamClient, lease: &Lease, now: impl Fn() -> i64) -> Lag {
    if lease.is_ended() {
        return Lag::Ended;
    }
    let Some(start) = start(&lease.checkpoint.sequence) else {
        return Lag::Unknown(format!("the checkpoint is {}: nothing was read yet", lease.checkpoint));
    };
    match first(stream, &lease.lease_key, &start).await {
        Ok(answer) => judge(&answer, now()),
        Err(error) => Lag::Unknown(error.to_string()),
    }
}

async fn first(stream: &dyn StreamClient, shard_id: &str, start: &IteratorStart) -> Result<GetRecords, PortError> {
    let iterator = patiently(|| stream.get_iterator(shard_id, start)).await?;
    patiently(|| stream.get_records(&iterator, 1)).await
}

/// What the answer says, read at `now`. An empty one may come although records wait; then it is the stream that says
/// how far behind it is.
fn judge(answer: &GetRecords, now: i64) -> Lag {
    match (answer.records.first(), answer.millis_behind_latest) {
        (Some(record), _) => Lag::Millis(u64::try_from(now.saturating_sub(record.arrival)).unwrap_or(0)),
        (None, Some(millis)) => Lag::Millis(u64::try_from(millis).unwrap_or(0)),
        (None, None) if answer.next_iterator.is_none() => Lag::Millis(0),
        (None, None) => Lag::Unknown("the stream did not say how far behind it is".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use dial_ingest::Position;
    use dial_ingest::failing::{Failing, Faults};
    use dial_ingest::memory::MemoryStream;

    use super::*;

    fn lease(shard: &str, checkpoint: Position) -> Lease {
        let shard =
            dial_ingest::stream::Shard { shard_id: shard.to_owned(), parent_ids: vec![], hash_range: None, open: true };
        Lease::of_shard(&shard, checkpoint)
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_the_age_of_the_first_record_that_is_not_done() {
        let stream = MemoryStream::new(1);
        let begun = now();
        let (shard, first) = stream.put("a", "1").unwrap();
        tokio::time::advance(std::time::Duration::from_secs(60)).await;
        let (_, second) = stream.put("b", "2").unwrap();
        let at = |checkpoint| lease(&shard, checkpoint);
        // Paused time does not move the wall clock: what is measured here is measured by the stream's.
        let later = || begun + 90_000;
        let near = |lag: Lag, millis: u64| matches!(lag, Lag::Millis(lag) if lag.abs_diff(millis) < 5_000);
        assert!(near(measure(&stream, &at(Position::TRIM_HORIZON), later).await, 90_000));
        assert!(near(measure(&stream, &at(Position::new(first, 0)), later).await, 30_000));
        assert_eq!(measure(&stream, &at(Position::new(second, 0)), later).await, Lag::Millis(0));
        assert_eq!(measure(&stream, &at(Position::SHARD_END), later).await, Lag::Ended);
        assert!(
            matches!(measure(&stream, &at(Position::LATEST), later).await, Lag::Unknown(why) if why.contains("LATEST"))
        );
        let gone = lease("shardId-000000000009", Position::TRIM_HORIZON);
        assert!(matches!(measure(&stream, &gone, later).await, Lag::Unknown(why) if why.contains("not found")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_fails_leaves_it_unknown_and_one_that_stumbles_does_not() {
        let stream = MemoryStream::new(1);
        let (shard, _) = stream.put("a", "1").unwrap();
        let lease = lease(&shard, Position::TRIM_HORIZON);
        let faults = |percent| Faults { seed: 7, percent, delay: std::time::Duration::ZERO };
        let stumbling = Failing::new(stream, faults(30));
        let known = measure(&stumbling, &lease, now).await;
        assert!(matches!(known, Lag::Millis(_)), "{known:?}");
        stumbling.set_down(true);
        let unknown = measure(&stumbling, &lease, now).await;
        assert!(matches!(unknown, Lag::Unknown(ref why) if why.contains("injected")), "{unknown:?}");
    }

    fn now() -> i64 {
        let epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        i64::try_from(epoch.as_millis()).unwrap()
    }

    #[test]
    fn an_empty_answer_says_how_far_behind_it_is() {
        let empty = |millis, next: Option<&str>| GetRecords {
            millis_behind_latest: millis,
            next_iterator: next.map(str::to_owned),
            ..GetRecords::default()
        };
        assert_eq!(judge(&empty(Some(5_000), Some("i")), 0), Lag::Millis(5_000));
        assert_eq!(judge(&empty(None, None), 0), Lag::Millis(0));
        assert!(matches!(judge(&empty(None, Some("i")), 0), Lag::Unknown(_)));
    }
}
