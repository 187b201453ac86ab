//! Places in a shard: sequence numbers, the words that stand in for one, and their order.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A record's sequence number: decimal digits of any length.
///
/// Kinesis documents sequence numbers as opaque strings that grow; the Kinesis Client Library treats them as big
/// integers, and so does this type's order: leading zeros aside, the longer one is the larger, and of two of one
/// length the bytes decide. They have 56 digits today, which no machine integer holds.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Digits(Arc<str>);

impl Digits {
    /// The digits as they were given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn significant(&self) -> &str {
        self.0.trim_start_matches('0')
    }
}

impl Ord for Digits {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.significant(), other.significant());
        a.len()
            .cmp(&b.len())
            .then_with(|| a.cmp(b))
            // "07" and "7" are equal as numbers; telling them apart keeps the order consistent with `Eq`.
            .then_with(|| self.0.len().cmp(&other.0.len()))
    }
}

impl PartialOrd for Digits {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A sequence number, or one of the words that the lease table holds in its place.
///
/// The variants are declared in their order: `AT_TIMESTAMP < TRIM_HORIZON < LATEST < digits < SHARD_END`, as in the
/// Kinesis Client Library.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SequenceNumber {
    /// Not begun; to be begun at a time that the configuration names.
    AtTimestamp,
    /// Not begun; to be begun at the oldest record that the stream still has.
    TrimHorizon,
    /// Not begun; to be begun with the records that arrive from now on.
    Latest,
    /// The sequence number of a record.
    Number(Digits),
    /// The shard was split or merged, and read to its end.
    ShardEnd,
}

const AT_TIMESTAMP: &str = "AT_TIMESTAMP";
const TRIM_HORIZON: &str = "TRIM_HORIZON";
const LATEST: &str = "LATEST";
const SHARD_END: &str = "SHARD_END";

impl SequenceNumber {
    /// The form in the lease table.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::AtTimestamp => AT_TIMESTAMP,
            Self::TrimHorizon => TRIM_HORIZON,
            Self::Latest => LATEST,
            Self::Number(digits) => digits.as_str(),
            Self::ShardEnd => SHARD_END,
        }
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A string that is neither digits nor one of the words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no sequence number: expected decimal digits, AT_TIMESTAMP, TRIM_HORIZON, LATEST or SHARD_END")]
pub struct InvalidSequenceNumber(pub String);

impl FromStr for SequenceNumber {
    type Err = InvalidSequenceNumber;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s {
            AT_TIMESTAMP => Ok(Self::AtTimestamp),
            TRIM_HORIZON => Ok(Self::TrimHorizon),
            LATEST => Ok(Self::Latest),
            SHARD_END => Ok(Self::ShardEnd),
            _ if !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit()) => Ok(Self::Number(Digits(s.into()))),
            _ => Err(InvalidSequenceNumber(s.chars().take(80).collect())),
        }
    }
}

/// A place in a shard: a sequence number and, within an aggregated record, the user record's index.
///
/// As a checkpoint it means "everything up to and including this is done".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The sequence number, or a word in its place.
    pub sequence: SequenceNumber,
    /// The index of a user record inside an aggregated record; 0 otherwise.
    pub sub_sequence: u64,
}

impl Position {
    /// The oldest record of the shard.
    pub const TRIM_HORIZON: Self = Self { sequence: SequenceNumber::TrimHorizon, sub_sequence: 0 };
    /// The next record to arrive.
    pub const LATEST: Self = Self { sequence: SequenceNumber::Latest, sub_sequence: 0 };
    /// A time that the configuration names.
    pub const AT_TIMESTAMP: Self = Self { sequence: SequenceNumber::AtTimestamp, sub_sequence: 0 };
    /// The end of a closed shard.
    pub const SHARD_END: Self = Self { sequence: SequenceNumber::ShardEnd, sub_sequence: 0 };

    /// The place of one user record.
    #[must_use]
    pub fn new(sequence: SequenceNumber, sub_sequence: u64) -> Self {
        Self { sequence, sub_sequence }
    }

    /// Whether the shard was read to its end.
    #[must_use]
    pub fn is_shard_end(&self) -> bool {
        self.sequence == SequenceNumber::ShardEnd
    }

    /// Whether any record was processed: false for the words that say where to begin.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        matches!(self.sequence, SequenceNumber::Number(_) | SequenceNumber::ShardEnd)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.sequence)?;
        if self.sub_sequence > 0 { write!(f, "/{}", self.sub_sequence) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn number(s: &str) -> SequenceNumber {
        s.parse().unwrap()
    }

    #[test]
    fn words_stand_around_digits() {
        let order = [
            SequenceNumber::AtTimestamp,
            SequenceNumber::TrimHorizon,
            SequenceNumber::Latest,
            number("0"),
            number("9"),
            number("10"),
            number("49590338271490256608559692538361571095921575989136588898"),
            SequenceNumber::ShardEnd,
        ];
        assert!(order.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn nonsense_is_refused() {
        for s in ["", " 1", "1 ", "-1", "1.0", "LATEST ", "trim_horizon", "٣", "0x1"] {
            assert!(s.parse::<SequenceNumber>().is_err(), "{s:?}");
        }
    }

    proptest! {
        #[test]
        fn order_is_that_of_the_integers(a in any::<u128>(), b in any::<u128>(), shift in 0u32..128) {
            let (a, b) = (a >> shift, b >> (shift / 2));
            prop_assert_eq!(number(&a.to_string()).cmp(&number(&b.to_string())), a.cmp(&b));
        }

        #[test]
        fn order_is_total_and_agrees_with_equality(a in "[0-9]{1,4}", b in "[0-9]{1,4}", c in "[0-9]{1,4}") {
            let (a, b, c) = (number(&a), number(&b), number(&c));
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            prop_assert_eq!(a.cmp(&b) == Ordering::Equal, a == b);
            if a <= b && b <= c { prop_assert!(a <= c); }
        }

        #[test]
        fn text_round_trips(s in "[0-9]{1,80}|LATEST|TRIM_HORIZON|AT_TIMESTAMP|SHARD_END") {
            prop_assert_eq!(number(&s).to_string(), s);
        }

        #[test]
        fn sub_sequence_decides_last(s in 0u64..5, t in 0u64..5, i in 0u64..5, j in 0u64..5) {
            let (p, q) = (Position::new(number(&s.to_string()), i), Position::new(number(&t.to_string()), j));
            prop_assert_eq!(p.cmp(&q), (s, i).cmp(&(t, j)));
        }
    }
}
