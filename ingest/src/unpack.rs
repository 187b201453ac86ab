//! From what the stream answered to what a processor gets: user records, in batches of bounded size.

use std::sync::Arc;

use crate::kpl::deaggregate;
use crate::record::{Batch, Record};
use crate::sequence::Position;
use crate::stream::{HashRange, StreamRecord};

/// The most records in one batch: as many as one plain answer holds. An aggregate of 10 MiB may hold millions.
const MOST_RECORDS: usize = 10_000;

/// The user records after `checkpoint`, in batches, taken apart one batch at a time.
pub(crate) fn batches(
    shard_id: Arc<str>,
    range: Option<HashRange>,
    records: Vec<StreamRecord>,
    millis_behind_latest: Option<i64>,
    checkpoint: Position,
) -> impl Iterator<Item = Batch> + Send {
    let user_records = records.into_iter().flat_map(move |record| deaggregate(&shard_id, record, range));
    // As positions compare, without making one of every record.
    let done = move |record: &Record| {
        (&record.sequence_number, record.sub_sequence_number) <= (&checkpoint.sequence, checkpoint.sub_sequence)
    };
    let mut wanted = user_records.filter(move |record| !done(record));
    std::iter::from_fn(move || {
        let records: Vec<_> = wanted.by_ref().take(MOST_RECORDS).collect();
        (!records.is_empty()).then_some(Batch { records, millis_behind_latest })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::kpl::{UserRecord, aggregate};
    use bytes::Bytes;

    fn record(sequence: u32, data: Bytes) -> StreamRecord {
        let sequence_number = sequence.to_string().parse().unwrap();
        StreamRecord { sequence_number, partition_key: "key".into(), arrival: 0, data }
    }

    fn packed(count: usize) -> Bytes {
        let user =
            |n: usize| UserRecord { partition_key: "key".into(), explicit_hash_key: None, data: n.to_string().into() };
        aggregate(&(0..count).map(user).collect::<Vec<_>>())
    }

    fn positions(records: Vec<StreamRecord>, checkpoint: Position) -> Vec<(String, u64)> {
        let batches = batches("s".into(), None, records, Some(7), checkpoint);
        let all = batches.flat_map(|batch| batch.records);
        all.map(|record| (record.sequence_number.to_string(), record.sub_sequence_number)).collect()
    }

    #[test]
    fn what_the_checkpoint_covers_is_dropped() {
        let plain = |n| record(n, Bytes::new());
        let at = |sequence: u32, sub| Position::new(sequence.to_string().parse().unwrap(), sub);
        let after = |checkpoint| positions(vec![plain(9), plain(10), plain(11)], checkpoint);
        assert_eq!(after(Position::TRIM_HORIZON).len(), 3);
        assert_eq!(after(at(10, 0)), [("11".into(), 0)]);
        assert_eq!(after(at(10, 4)), [("11".into(), 0)]);
        assert_eq!(after(at(9, 1)), [("10".into(), 0), ("11".into(), 0)]);
        let inside = positions(vec![record(9, packed(3)), plain(10)], at(9, 0));
        assert_eq!(inside, [("9".into(), 1), ("9".into(), 2), ("10".into(), 0)]);
    }

    #[test]
    fn a_large_aggregate_comes_in_several_batches() {
        let data = packed(25_000);
        let batches = batches("s".into(), None, vec![record(1, data)], Some(7), Position::TRIM_HORIZON);
        let sizes: Vec<usize> =
            batches.inspect(|b| assert_eq!(b.millis_behind_latest, Some(7))).map(|b| b.records.len()).collect();
        assert_eq!(sizes, [10_000, 10_000, 5_000]);
        let nothing = super::batches("s".into(), None, vec![record(1, Bytes::new())], None, Position::SHARD_END);
        assert_eq!(nothing.count(), 0);
    }
}
