//! Where a record lies in its shard, and a row in its record.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The most digits of a sequence number: what the Kinesis API's pattern `0|([1-9]\d{0,128})` admits.
const MOST_DIGITS: usize = 129;

/// A record's place in its shard: its sequence number and, in an aggregated record, the user record's index.
///
/// Ordered as the shard is: sequence numbers as the integers they spell, then the index.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Words", into = "Words")]
pub struct Position {
    sequence: Arc<str>,
    sub_sequence: u64,
}

/// A sequence number that is none, or an index that no column holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no position: expected 1 to {MOST_DIGITS} decimal digits and an index below 2^63")]
pub struct InvalidPosition(String);

impl Position {
    /// The position of the record with this sequence number (decimal digits) and index (0 where records are not
    /// aggregated).
    ///
    /// # Errors
    /// Anything but digits, and an index of 2^63 or more.
    pub fn new(sequence: &str, sub_sequence: u64) -> Result<Self, InvalidPosition> {
        let digits = (1..=MOST_DIGITS).contains(&sequence.len()) && sequence.bytes().all(|b| b.is_ascii_digit());
        if !digits || i64::try_from(sub_sequence).is_err() {
            let text: String = sequence.chars().take(80).collect();
            return Err(InvalidPosition(format!("{text}/{sub_sequence}")));
        }
        Ok(Self { sequence: sequence.into(), sub_sequence })
    }

    /// The position of the `n`th event of a file, for inputs that are no stream.
    #[must_use]
    pub fn ordinal(n: u64) -> Self {
        Self { sequence: n.to_string().into(), sub_sequence: 0 }
    }

    /// The sequence number, as it was given.
    #[must_use]
    pub fn sequence(&self) -> &str {
        &self.sequence
    }

    /// The index within an aggregated record.
    #[must_use]
    pub fn sub_sequence(&self) -> u64 {
        self.sub_sequence
    }
}

impl Ord for Position {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.sequence.trim_start_matches('0'), other.sequence.trim_start_matches('0'));
        a.len()
            .cmp(&b.len())
            .then_with(|| a.cmp(b))
            // "07" and "7" are one number; telling them apart keeps the order consistent with `Eq`.
            .then_with(|| self.sequence.len().cmp(&other.sequence.len()))
            .then_with(|| self.sub_sequence.cmp(&other.sub_sequence))
    }
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// `17` or, of an aggregated record's fourth user record, `17-3`: what file names are made of.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sequence)?;
        if self.sub_sequence > 0 { write!(f, "-{}", self.sub_sequence) } else { Ok(()) }
    }
}

#[derive(Serialize, Deserialize)]
struct Words {
    sequence_number: Arc<str>,
    sub_sequence_number: u64,
}

impl From<Position> for Words {
    fn from(position: Position) -> Self {
        Self { sequence_number: position.sequence, sub_sequence_number: position.sub_sequence }
    }
}

impl TryFrom<Words> for Position {
    type Error = InvalidPosition;

    fn try_from(words: Words) -> Result<Self, InvalidPosition> {
        Self::new(&words.sequence_number, words.sub_sequence_number)
    }
}

/// What names a row or a dead letter within its shard, once and for all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// The record.
    pub position: Position,
    /// Which of the things that the record held it is, counted from 0: events and dead letters in one count.
    pub index: u64,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn at(sequence: &str, sub_sequence: u64) -> Position {
        Position::new(sequence, sub_sequence).unwrap()
    }

    #[test]
    fn nonsense_is_refused() {
        let long = "1".repeat(MOST_DIGITS + 1);
        for sequence in ["", "-1", " 1", "1/2", "..", "TRIM_HORIZON", "٣", &long] {
            assert!(Position::new(sequence, 0).is_err(), "{sequence:?}");
        }
        assert!(Position::new("1", u64::MAX).is_err());
        assert!(serde_json::from_str::<Position>(r#"{"sequence_number":"../1","sub_sequence_number":0}"#).is_err());
    }

    proptest! {
        #[test]
        fn order_is_that_of_the_integers(a in any::<u128>(), b in any::<u128>(), shift in 0u32..128, i in 0u64..3, j in 0u64..3) {
            let (a, b) = (a >> shift, b >> (shift / 2));
            prop_assert_eq!(at(&a.to_string(), i).cmp(&at(&b.to_string(), j)), (a, i).cmp(&(b, j)));
        }

        #[test]
        fn json_round_trips(sequence in "[0-9]{1,129}", sub in 0..i64::MAX as u64) {
            let position = at(&sequence, sub);
            let text = serde_json::to_string(&position).unwrap();
            prop_assert_eq!(serde_json::from_str::<Position>(&text).unwrap(), position);
        }
    }
}
