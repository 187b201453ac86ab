//! Names of Kinesis streams, of their consumers and of DynamoDB tables.

/// What to say of a name that is none, to follow the key's name.
pub(super) const WRONG: &str = "is no name that AWS takes: letters, digits, `_`, `.` and `-`, at most 128";

/// Whether it is one: `[a-zA-Z0-9_.-]{1,128}`.
pub(super) fn is_valid(name: &str) -> bool {
    (1..=128).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}
