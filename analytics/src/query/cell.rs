//! What an answer is made of, wherever it comes from.

use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name, which no other column of the answer has: of several `n` the second is `n_2`.
    pub name: String,
    /// Whether it holds numbers.
    pub numeric: bool,
}

impl Column {
    /// Columns of these names, told apart: a JSON object has room for one of each.
    #[must_use]
    pub fn distinct(named: impl IntoIterator<Item = (String, bool)>) -> Vec<Column> {
        let mut columns: Vec<Column> = Vec::new();
        for (wanted, numeric) in named {
            let taken = |name: &str| columns.iter().any(|column| column.name == name);
            let mut name = wanted.clone();
            let mut number = 2;
            while taken(&name) {
                name = format!("{wanted}_{number}");
                number += 1;
            }
            columns.push(Column { name, numeric });
        }
        columns
    }
}

/// A value of an answer.
#[derive(Debug, Clone)]
pub enum Cell {
    /// NULL, which is not the empty text.
    Null,
    /// True or false.
    Flag(bool),
    /// A number, as JSON writes one: no digit of a decimal is lost.
    Number(Box<RawValue>),
    /// Text, and whatever has no form of its own in JSON: times, dates, binary data.
    Text(String),
    /// A list or a structure.
    Nested(Value),
}

impl Cell {
    /// The number that this text is; as text what JSON has no number for, such as `NaN`.
    #[must_use]
    pub fn number(text: String) -> Cell {
        let is_number = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        if !is_number {
            return Cell::Text(text);
        }
        match RawValue::from_string(text.clone()) {
            Ok(number) => Cell::Number(number),
            Err(_) => Cell::Text(text),
        }
    }

    /// As text without quotation marks; `None` of NULL.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Cell::Null => None,
            Cell::Flag(flag) => Some(flag.to_string()),
            Cell::Number(number) => Some(number.get().to_owned()),
            Cell::Text(text) => Some(text.clone()),
            Cell::Nested(value) => Some(value.to_string()),
        }
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Cell::Null => serializer.serialize_unit(),
            Cell::Flag(flag) => serializer.serialize_bool(*flag),
            Cell::Number(number) => number.serialize(serializer),
            Cell::Text(text) => serializer.serialize_str(text),
            Cell::Nested(value) => value.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_keep_their_digits_and_what_is_none_is_text() {
        for (text, json) in [
            ("12345678901234567890.123456789", "12345678901234567890.123456789"),
            ("-1", "-1"),
            ("1.5E10", "1.5E10"),
            ("NaN", "\"NaN\""),
            ("Infinity", "\"Infinity\""),
            ("-Infinity", "\"-Infinity\""),
            ("007", "\"007\""),
            ("1, \"x\": 2", "\"1, \\\"x\\\": 2\""),
            ("", "\"\""),
        ] {
            assert_eq!(serde_json::to_string(&Cell::number(text.to_owned())).unwrap(), json);
        }
    }

    #[test]
    fn columns_of_one_name_are_told_apart() {
        let names = ["a", "b", "a", "a_2", "a"].map(|name| (name.to_owned(), false));
        let columns = Column::distinct(names);
        let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "a_2", "a_2_2", "a_3"]);
    }
}
