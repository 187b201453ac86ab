//! Records of the stream, and what of them must be in the archive.

use std::collections::BTreeMap;
use std::io::Write;

use bytes::Bytes;
use dial_ingest::kpl::{UserRecord, aggregate};
use dial_rules::event::rfc3339;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::super::dice::Dice;

/// I4's key: shard, sequence number, sub-sequence number, index.
pub(super) type Key = (String, String, u64, u64);

/// What is kept under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kept {
    /// The event of this id.
    Event(String),
    DeadLetter,
}

/// The days that events are of, in milliseconds since 1970: two neighbours, one long ago, one that no archive has.
const DAYS: [i64; 4] = [1_769_990_400_000, 1_770_076_800_000, 1_500_000_000_000, 253_402_300_799_000];

/// What is in a user record.
#[derive(Debug, Clone)]
enum Content {
    /// These pieces, as JSON lines or under `Records`, gzipped or not. `None` is an object that is no event.
    Pieces { pieces: Vec<Option<i64>>, lines: bool, gzipped: bool },
    /// Not JSON.
    Garbage,
    /// Not a byte.
    Nothing,
}

/// A record of the stream: one user record, or an aggregate of several.
#[derive(Debug, Clone)]
pub(super) struct Put {
    name: String,
    /// Decides about the shard.
    pub(super) key: String,
    user_records: Vec<Content>,
}

impl Put {
    /// Of a hundred user records, so many are none of events.
    pub(super) fn random(number: usize, garbage: usize, dice: &mut Dice) -> Put {
        let together = if dice.chance(25) { dice.between(2, 4) } else { 0 };
        let user_records = (0..together.max(1)).map(|_| Content::random(garbage, dice)).collect();
        Put { name: format!("e{number}"), key: dice.below(1_000).to_string(), user_records }
    }

    /// The bytes that are put.
    pub(super) fn data(&self) -> Bytes {
        let name = |sub: usize| format!("{}-{sub}", self.name);
        if let [one] = &self.user_records[..] {
            return one.data(&name(0)).into();
        }
        let packed = self.user_records.iter().enumerate().map(|(sub, content)| UserRecord {
            partition_key: self.key.clone(),
            explicit_hash_key: None,
            data: content.data(&name(sub)).into(),
        });
        aggregate(&packed.collect::<Vec<_>>())
    }

    /// The sub-sequence number of the last user record.
    pub(super) fn last(&self) -> u64 {
        self.user_records.len() as u64 - 1
    }

    /// What must be kept of it, once it lies there.
    pub(super) fn kept(&self, shard: &str, sequence: &str) -> BTreeMap<Key, Kept> {
        let mut kept = BTreeMap::new();
        for (sub, content) in self.user_records.iter().enumerate() {
            for (index, piece) in content.kept(&format!("{}-{sub}", self.name)).into_iter().enumerate() {
                kept.insert((shard.to_owned(), sequence.to_owned(), sub as u64, index as u64), piece);
            }
        }
        kept
    }
}

impl Content {
    fn random(garbage: usize, dice: &mut Dice) -> Content {
        if dice.chance(garbage) {
            return if dice.chance(30) { Content::Nothing } else { Content::Garbage };
        }
        let several = if dice.chance(25) { dice.between(2, 4) } else { 1 };
        let day = |dice: &mut Dice| if dice.chance(70) { DAYS[0] } else { dice.pick(&DAYS) };
        let piece = |dice: &mut Dice| (!dice.chance(15)).then(|| day(dice));
        let pieces = (0..several).map(|_| piece(dice)).collect();
        Content::Pieces { pieces, lines: dice.chance(50), gzipped: dice.chance(10) }
    }

    fn data(&self, name: &str) -> Vec<u8> {
        match self {
            Content::Nothing => Vec::new(),
            Content::Garbage => b"{\"eventID\": \"cut off".to_vec(),
            Content::Pieces { pieces, lines, gzipped } => {
                let json = |(n, day): (usize, &Option<i64>)| match day {
                    None => "{\"no\":\"event\"}".to_owned(),
                    Some(day) => format!(
                        "{{\"eventID\":\"{name}-{n}\",\"eventTime\":\"{}\",\"eventSource\":\"s\",\"eventName\":\"n\"}}",
                        rfc3339(*day)
                    ),
                };
                let pieces: Vec<String> = pieces.iter().enumerate().map(json).collect();
                let text = match lines {
                    true => pieces.join("\n"),
                    false => format!("{{\"Records\":[{}]}}", pieces.join(",")),
                };
                if *gzipped { gzip(text.as_bytes()) } else { text.into_bytes() }
            }
        }
    }

    fn kept(&self, name: &str) -> Vec<Kept> {
        match self {
            Content::Nothing | Content::Garbage => vec![Kept::DeadLetter],
            Content::Pieces { pieces, .. } => {
                let kept = |(n, day): (usize, &Option<i64>)| match day {
                    None => Kept::DeadLetter,
                    Some(_) => Kept::Event(format!("{name}-{n}")),
                };
                pieces.iter().enumerate().map(kept).collect()
            }
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
