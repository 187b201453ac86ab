//! Dead letters as JSON lines: what could not be read, where it was, why, and the bytes themselves.

use bytes::Bytes;
use dial_rules::dead_letter::DeadLetter;
use dial_rules::event::{Millis, parse_rfc3339, rfc3339};
use serde::{Deserialize, Serialize};

use crate::base64;
use crate::layout::Day;
use crate::position::{Position, RowKey};
use crate::row::OVERHEAD;
use crate::shard::Shard;

/// So many bytes of one record's dead letters are kept whole: any record of a stream (10 MiB), and gzipped ones as
/// far as they are honest.
pub const KEPT_PER_RECORD: usize = 32 << 20;

/// Of what lies beyond [`KEPT_PER_RECORD`], each letter keeps so many bytes from its beginning.
pub const EXCERPT: usize = 4096;

/// So many dead letters of one record are kept one by one; the others become one that counts them.
pub const LETTERS_PER_RECORD: usize = 10_000;

/// A dead letter and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Where it lies in its shard.
    pub key: RowKey,
    /// When the stream took its record in; `None` of a file.
    pub arrival: Option<Millis>,
    /// Where it begins within the record, in bytes, after decompression.
    pub offset: u64,
    /// The byte at which the fault showed.
    pub fault: u64,
    /// What is wrong.
    pub reason: String,
    /// How many bytes it had.
    pub length: u64,
    /// Those of them that are kept: all, or the first [`EXCERPT`].
    pub bytes: Bytes,
}

impl Letter {
    /// The partition that it belongs to: the day of its arrival. Of a file, where nobody knows, the first.
    #[must_use]
    pub fn day(&self) -> Day {
        self.arrival.map_or(Day::FIRST, Day::of)
    }

    /// Roughly the bytes of memory that it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        OVERHEAD + self.bytes.len() + self.reason.len()
    }
}

/// Collects the dead letters of one record within the limits of this module.
#[derive(Debug)]
pub(crate) struct LettersOfRecord<'a> {
    position: &'a Position,
    arrival: Option<Millis>,
    letters: Vec<Letter>,
    kept: usize,
    /// Stands for all that came after [`LETTERS_PER_RECORD`], and how many those were.
    others: Option<(Letter, u64)>,
}

impl<'a> LettersOfRecord<'a> {
    pub(crate) fn new(position: &'a Position, arrival: Option<Millis>) -> Self {
        Self { position, arrival, letters: Vec::new(), kept: 0, others: None }
    }

    pub(crate) fn push(&mut self, index: u64, dead: DeadLetter) {
        let length = dead.bytes.len();
        if let Some((others, count)) = &mut self.others {
            *count += 1;
            others.length += length as u64;
            return;
        }
        let mut letter = Letter {
            key: RowKey { position: self.position.clone(), index },
            arrival: self.arrival,
            offset: dead.offset,
            fault: dead.fault,
            reason: dead.reason,
            length: length as u64,
            bytes: Bytes::new(),
        };
        if self.letters.len() + 1 >= LETTERS_PER_RECORD {
            self.others = Some((letter, 1));
            return;
        }
        letter.bytes = if self.kept + length <= KEPT_PER_RECORD {
            self.kept += length;
            dead.bytes
        } else {
            // A copy, so that the rest of the bytes can be freed.
            Bytes::copy_from_slice(dead.bytes.get(..EXCERPT).unwrap_or(&dead.bytes))
        };
        self.letters.push(letter);
    }

    pub(crate) fn finish(mut self) -> Vec<Letter> {
        if let Some((mut letter, count)) = self.others {
            letter.reason = format!("{count} more pieces of this record are not kept; of the first: {}", letter.reason);
            self.letters.push(letter);
        }
        self.letters
    }
}

/// One line of a file.
#[derive(Serialize, Deserialize)]
struct Line {
    version: u32,
    shard_id: String,
    sequence_number: String,
    sub_sequence_number: u64,
    index: u64,
    arrival_time: Option<String>,
    offset: u64,
    fault: u64,
    reason: String,
    length: u64,
    truncated: bool,
    /// The bytes, where they are text without control characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// The bytes otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

const VERSION: u32 = 1;

/// Writes letters as JSON lines, one each, in the order given.
///
/// Each has `version` (1), `shard_id`, `sequence_number`, `sub_sequence_number`, `index`, `arrival_time` (RFC 3339 or
/// null), `offset`, `fault`, `reason`, `length`, `truncated`, and its bytes as `text` if they are UTF-8 without
/// control characters (other than tab and line ends), else as `base64`.
pub(crate) fn write_letters<'a>(
    shard: &Shard,
    letters: impl IntoIterator<Item = &'a Letter>,
) -> Result<Bytes, serde_json::Error> {
    let mut file = Vec::new();
    for letter in letters {
        let text = std::str::from_utf8(&letter.bytes)
            .ok()
            .filter(|text| !text.contains(|c: char| c.is_control() && !"\t\r\n".contains(c)));
        let line = Line {
            version: VERSION,
            shard_id: shard.id().to_owned(),
            sequence_number: letter.key.position.sequence().to_owned(),
            sub_sequence_number: letter.key.position.sub_sequence(),
            index: letter.key.index,
            arrival_time: letter.arrival.map(rfc3339),
            offset: letter.offset,
            fault: letter.fault,
            reason: letter.reason.clone(),
            length: letter.length,
            truncated: letter.length != letter.bytes.len() as u64,
            text: text.map(str::to_owned),
            base64: text.is_none().then(|| base64::encode(&letter.bytes)),
        };
        serde_json::to_writer(&mut file, &line)?;
        file.push(b'\n');
    }
    Ok(file.into())
}

/// A line of a dead-letter file that this version cannot read.
#[derive(Debug, thiserror::Error)]
#[error("line {line} is no dead letter of version {VERSION}: {reason}")]
pub struct UnreadableLetter {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// Reads a file of dead letters back: each with the id of its shard.
///
/// # Errors
/// See [`UnreadableLetter`].
pub fn read_letters(file: &[u8]) -> Result<Vec<(String, Letter)>, UnreadableLetter> {
    let lines = file.split(|byte| *byte == b'\n').enumerate();
    lines
        .filter(|(_, line)| !line.is_empty())
        .map(|(n, line)| parse(line).map_err(|reason| UnreadableLetter { line: n + 1, reason }))
        .collect()
}

fn parse(line: &[u8]) -> Result<(String, Letter), String> {
    let line: Line = serde_json::from_slice(line).map_err(|e| e.to_string())?;
    if line.version != VERSION {
        return Err(format!("its version is {}", line.version));
    }
    let bytes = match (line.text, line.base64) {
        (Some(text), None) => text.into_bytes(),
        (None, Some(text)) => base64::decode(&text).ok_or("its base64 is broken")?,
        _ => return Err("it has not one of `text` and `base64`".to_owned()),
    };
    let position = Position::new(&line.sequence_number, line.sub_sequence_number);
    let arrival = line.arrival_time.as_deref();
    let letter = Letter {
        key: RowKey { position: position.map_err(|e| e.to_string())?, index: line.index },
        arrival: arrival.map(|text| parse_rfc3339(text).ok_or("its arrival_time is no time")).transpose()?,
        offset: line.offset,
        fault: line.fault,
        reason: line.reason,
        length: line.length,
        bytes: bytes.into(),
    };
    Ok((line.shard_id, letter))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn dead(bytes: Vec<u8>) -> DeadLetter {
        DeadLetter { offset: 1, fault: 2, reason: "why".to_owned(), bytes: bytes.into() }
    }

    #[test]
    fn a_record_of_millions_of_faults_stays_small() {
        let position = Position::ordinal(7);
        let mut letters = LettersOfRecord::new(&position, Some(0));
        for index in 0..1_000_000 {
            letters.push(index, dead(b"{}".to_vec()));
        }
        let letters = letters.finish();
        assert_eq!(letters.len(), LETTERS_PER_RECORD);
        let kept = LETTERS_PER_RECORD as u64 - 1;
        let last = letters.last().unwrap();
        assert_eq!((last.key.index, last.length), (kept, 2 * (1_000_000 - kept)));
        assert!(last.reason.starts_with("990001 more"), "{}", last.reason);
    }

    #[test]
    fn beyond_the_limit_only_excerpts_are_kept_and_say_so() {
        let position = Position::ordinal(7);
        let mut letters = LettersOfRecord::new(&position, Some(0));
        for index in 0..3 {
            letters.push(index, dead(vec![b'x'; KEPT_PER_RECORD / 2]));
        }
        letters.push(3, dead(b"short".to_vec()));
        let letters = letters.finish();
        let sizes: Vec<_> = letters.iter().map(|l| (l.bytes.len(), l.length)).collect();
        let half = KEPT_PER_RECORD / 2;
        assert_eq!(sizes, [(half, half as u64), (half, half as u64), (EXCERPT, half as u64), (5, 5)]);
        let file = write_letters(&Shard::new("s"), &letters[2..]).unwrap();
        let text = String::from_utf8(file.to_vec()).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].contains(r#""truncated":true"#));
        assert!(lines[1].contains(r#""truncated":false"#) && lines[1].contains(r#""text":"short""#));
    }

    proptest! {
        #[test]
        fn letters_come_back(
            bytes in proptest::collection::vec(any::<u8>(), 0..80), text in ".{0,40}", reason in "\\PC{0,40}",
            arrival in proptest::option::of(0i64..253_402_300_799_999), offset: u64, fault: u64, index: u64, shard in ".{0,40}",
        ) {
            let shard = Shard::new(&shard);
            let position = Position::new("123", 4).unwrap();
            let letter = |bytes: Vec<u8>| Letter {
                key: RowKey { position: position.clone(), index }, arrival, offset, fault, reason: reason.clone(),
                length: bytes.len() as u64, bytes: bytes.into(),
            };
            let letters = [letter(bytes), letter(text.into_bytes())];
            let file = write_letters(&shard, &letters).unwrap();
            let read = read_letters(&file).unwrap();
            prop_assert_eq!(read, letters.map(|letter| (shard.id().to_owned(), letter)).to_vec());
        }
    }
}
