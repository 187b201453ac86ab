//! What is told of a record's dead letter, whatever the command.

use dial_analytics::dead_letter_file::Letter;
use dial_analytics::dead_letters::LetterFile;
use dial_analytics::shard::Shard;
use dial_rules::event::rfc3339;
use serde::Serialize;

use super::Place;

/// A dead letter without its bytes, as JSON.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Entry {
    kind: &'static str,
    pub(super) position: String,
    shard_id: String,
    sequence_number: String,
    sub_sequence_number: u64,
    index: u64,
    /// When the stream took the record in; of a file nobody knows.
    pub(super) arrival_time: Option<String>,
    /// Where it begins in its record, and where the fault showed, in bytes, after decompression.
    pub(super) offset: u64,
    pub(super) fault: u64,
    pub(super) reason: String,
    /// How many bytes it had, and how many of them are kept.
    pub(super) length: u64,
    pub(super) kept: u64,
    pub(super) file: String,
    /// A redrive of its file was broken off; the next one finishes that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) redrive_begun: bool,
}

impl Entry {
    pub(super) fn of(file: &LetterFile, shard: &Shard, letter: &Letter) -> Entry {
        Entry {
            kind: "record",
            position: Place::of(shard, letter).to_string(),
            shard_id: shard.id().to_owned(),
            sequence_number: letter.key.position.sequence().to_owned(),
            sub_sequence_number: letter.key.position.sub_sequence(),
            index: letter.key.index,
            arrival_time: letter.arrival.map(rfc3339),
            offset: letter.offset,
            fault: letter.fault,
            reason: letter.reason.clone(),
            length: letter.length,
            kept: letter.bytes.len() as u64,
            file: file.key.clone(),
            redrive_begun: file.begun,
        }
    }
}
