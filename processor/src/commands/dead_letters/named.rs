//! [`Named`]: what names a dead letter on a command line.

use std::str::FromStr;

use super::Place;
use crate::cli::LetterKind;

/// Digits of an alert's key.
const WHOLE: usize = 32;
/// Fewest of them that name it.
const FEWEST: usize = 8;

/// What names a dead letter: its form says of which kind it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    /// A record's, by where it lies in the stream.
    Record(Place),
    /// An alert's, by its key or what that begins with: 8 to 32 digits in hexadecimal.
    Alert(String),
}

impl Named {
    /// Of which kind what it names is.
    pub(super) fn kind(&self) -> LetterKind {
        match self {
            Named::Record(_) => LetterKind::Record,
            Named::Alert(_) => LetterKind::Alert,
        }
    }
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Named, String> {
        if !text.contains('/') && text.len() <= WHOLE && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let key = text.to_ascii_lowercase();
            return match key.len() >= FEWEST {
                true => Ok(Named::Alert(key)),
                false => Err(format!(
                    "write at least the first {FEWEST} digits of an alert's key, or a record's place as \
                     SHARD/SEQUENCE/INDEX, as `dial dead-letters list` shows them"
                )),
            };
        }
        text.parse().map(Named::Record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_says_what_is_named() {
        let alert = |text: &str| Ok(Named::Alert(text.to_owned()));
        assert_eq!("0123456789abcdef0123456789abcdef".parse(), alert("0123456789abcdef0123456789abcdef"));
        assert_eq!("49590338".parse(), alert("49590338"));
        assert_eq!("ABCDEF01".parse(), alert("abcdef01"));
        let place = "shardId-000000000000/4959/3";
        assert_eq!(place.parse(), place.parse().map(Named::Record));
        // A shard may be called so.
        assert_eq!("abcdef01/2".parse::<Named>().unwrap().kind(), LetterKind::Record);
        for wrong in ["", "abc", "17", "0123456789abcdef0123456789abcdef0", "no key"] {
            let told = wrong.parse::<Named>().unwrap_err();
            assert!(told.contains("SHARD/SEQUENCE/INDEX"), "{wrong}: {told}");
        }
    }
}
