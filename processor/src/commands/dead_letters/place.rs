//! [`Place`]: what names a record's dead letter on a command line.

use std::fmt;
use std::str::FromStr;

use dial_analytics::dead_letter_file::Letter;
use dial_analytics::layout;
use dial_analytics::position::Position;
use dial_analytics::shard::Shard;

/// `shardId-000000000000/4959…-3/1`: the shard, the sequence number with the sub-sequence number where that is not 0, and
/// the index within the record. Without an index it is all of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    shard: String,
    position: Position,
    index: Option<u64>,
}

impl Place {
    pub(super) fn of(shard: &Shard, letter: &Letter) -> Place {
        let index = Some(letter.key.index);
        Place { shard: shard.id().to_owned(), position: letter.key.position.clone(), index }
    }

    /// Whether it names this letter.
    pub(super) fn names(&self, shard: &Shard, letter: &Letter) -> bool {
        self.shard == shard.id()
            && self.position == letter.key.position
            && self.index.is_none_or(|index| index == letter.key.index)
    }

    /// Whether a file of this stem may have what it names.
    pub(super) fn may_be_in(&self, stem: &str) -> bool {
        layout::may_hold(stem, &Shard::new(&self.shard), &self.position)
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Place, String> {
        let position = |text: &str| {
            let (sequence, sub) = text.split_once('-').unwrap_or((text, "0"));
            Position::new(sequence, sub.parse().ok()?).ok()
        };
        let place = |shard: &str, at: &str, index: Option<u64>| {
            let position = position(at).filter(|_| !shard.is_empty())?;
            Some(Place { shard: shard.to_owned(), position, index })
        };
        let (before, last) = text.rsplit_once('/').ok_or_else(expected)?;
        let with_index = || {
            let (shard, at) = before.rsplit_once('/')?;
            place(shard, at, Some(last.parse().ok()?))
        };
        // A shard's last part that looks like a position is one with a mistake in it.
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let without = || match before.rsplit_once('/') {
            Some((_, at)) if is_number(at) => None,
            _ => place(before, last, None),
        };
        with_index().or_else(without).ok_or_else(expected)
    }
}

fn expected() -> String {
    "write SHARD/SEQUENCE/INDEX or SHARD/SEQUENCE-SUBSEQUENCE/INDEX, or an alert's key, as `dial dead-letters list` shows it"
        .to_owned()
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.shard, self.position)?;
        self.index.map_or(Ok(()), |index| write!(f, "/{index}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(shard: &str, sequence: &str, sub: u64, index: Option<u64>) -> Place {
        Place { shard: shard.to_owned(), position: Position::new(sequence, sub).unwrap(), index }
    }

    #[test]
    fn places_survive_their_texts() {
        for (text, expected) in [
            ("shardId-000000000000/17/0", place("shardId-000000000000", "17", 0, Some(0))),
            ("shardId-000000000000/17-3/12", place("shardId-000000000000", "17", 3, Some(12))),
            ("shardId-000000000000/17-3", place("shardId-000000000000", "17", 3, None)),
            ("12/17", place("12", "17", 0, None)),
            ("odd/name/17/0", place("odd/name", "17", 0, Some(0))),
        ] {
            assert_eq!(text.parse::<Place>().as_ref(), Ok(&expected), "{text}");
            assert_eq!(expected.to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "17", "/17", "shard/", "shard/x", "shard/17-/0", "shard/17/-1", "shard/17/0/"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
