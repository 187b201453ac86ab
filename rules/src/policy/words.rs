//! [`Words`]: one text or several, and texts with wildcards.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::facts::glob::{self, Pattern};

/// What a condition takes: `"a"` or `["a", "b"]`; one of them must fit. Empty when nothing is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Words(pub Vec<String>);

impl Words {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Words, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Words;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string in quotes, or a list of them")
            }

            fn visit_str<E>(self, text: &str) -> Result<Words, E> {
                Ok(Words(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Words, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = list.next_element::<String>()? {
                    words.push(word);
                }
                Ok(Words(words))
            }
        }
        deserializer.deserialize_any(OneOrMore)
    }
}

/// Texts from events beyond this are compared with nothing: comparing takes the product of both lengths.
const LONGEST: usize = 2_048;

/// Texts with `*` for any characters and `?` for one, compared in whatever case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns(Vec<Pattern>);

impl Patterns {
    /// The patterns that these words are.
    pub fn new<'w>(words: impl IntoIterator<Item = &'w str>) -> Patterns {
        Patterns(words.into_iter().map(|word| Pattern::new(&word.to_lowercase())).collect())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them matches.
    pub fn fit(&self, text: &str) -> bool {
        if text.len() > LONGEST {
            return false;
        }
        let text = Pattern::literal(&text.to_lowercase());
        self.0.iter().any(|pattern| pattern.covers(&text))
    }
}

/// Whether a word has wildcards.
pub(crate) fn has_wildcards(word: &str) -> bool {
    glob::is_pattern(word)
}
