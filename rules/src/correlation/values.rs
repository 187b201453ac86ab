//! The texts that an event has at a field: what groups and distinct values are made of.

use std::collections::BTreeSet;

use rsigma_eval::EventValue;
use sha2::{Digest, Sha256};

/// Longest text in bytes that a match, a group or a value is kept with. A longer one keeps its beginning and a hash.
pub const LONGEST_VALUE: usize = 256;

/// How many distinct values one match counts for `value_count`; the smallest are taken.
pub const MOST_VALUES: usize = 100;

/// The texts of a value: a list's of its elements; none of null, an object, or an empty text.
pub(super) fn texts(value: Option<&EventValue<'_>>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if let Some(value) = value {
        collect(value, &mut found);
    }
    found
}

fn collect(value: &EventValue<'_>, found: &mut BTreeSet<String>) {
    let text = match value {
        EventValue::Array(elements) => return elements.iter().for_each(|element| collect(element, found)),
        EventValue::Null | EventValue::Map(_) => return,
        EventValue::Str(text) => bounded(text),
        EventValue::Int(number) => number.to_string(),
        EventValue::Float(number) => number.to_string(),
        EventValue::Bool(flag) => flag.to_string(),
    };
    if !text.is_empty() {
        found.insert(text);
    }
}

/// The text, at most [`LONGEST_VALUE`] bytes: a longer one is cut and ends in `…` and the first 16 bytes of its SHA-256
/// in hexadecimal, so that different texts stay different.
pub(super) fn bounded(text: &str) -> String {
    if text.len() <= LONGEST_VALUE {
        return text.to_owned();
    }
    let hash = Sha256::digest(text.as_bytes());
    let tail: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let room = LONGEST_VALUE - tail.len() - '…'.len_utf8();
    let end = (0..=room).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…{tail}", &text[..end])
}
