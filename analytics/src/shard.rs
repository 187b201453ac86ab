//! [`Shard`]: the name of what a record came from, fit for a file's name.

use std::fmt::Write as _;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// The longest shard name that goes into file names as it is.
const LONGEST: usize = 80;

/// A shard of a stream, or a file that stands for one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shard {
    id: Arc<str>,
    file_name: Arc<str>,
}

impl Shard {
    /// The shard of this id. Kinesis' ids (`shardId-000000000000`) go into file names as they are. Of any other name,
    /// what could be taken for a path, a hidden file or a separator is replaced and a hash of the whole appended, so
    /// that no two shards share file names.
    #[must_use]
    pub fn new(id: &str) -> Self {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        let fits = (1..=LONGEST).contains(&id.len())
            && id.chars().all(plain)
            && id.starts_with(|c: char| c.is_ascii_alphanumeric());
        let file_name = if fits {
            id.to_owned()
        } else {
            let tame: String = id.chars().take(40).map(|c| if plain(c) { c } else { '-' }).collect();
            format!("x{tame}-{}", &sha256_hex(id.as_bytes())[..32])
        };
        Self { id: id.into(), file_name: file_name.into() }
    }

    /// What stands for a shard where a file was read: `file-` and the SHA-256 of its bytes as they lie on disk. One
    /// content has one name, wherever it lies.
    #[must_use]
    pub fn of_file(sha256: [u8; 32]) -> Self {
        Self::new(&format!("file-{}", hex(&sha256)))
    }

    /// The id as it was given.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The id as it appears in file names.
    #[must_use]
    pub fn file_name(&self) -> &str {
        &self.file_name
    }
}

/// The SHA-256 of some bytes in hexadecimal.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::check_key;
    use proptest::prelude::*;

    #[test]
    fn kinesis_ids_and_files_keep_their_names() {
        assert_eq!(Shard::new("shardId-000000000042").file_name(), "shardId-000000000042");
        let file = Shard::of_file([0xab; 32]);
        assert_eq!(file.file_name(), format!("file-{}", "ab".repeat(32)));
        assert_eq!(file.file_name(), file.id());
    }

    #[test]
    fn hostile_names_stay_in_their_folder_and_apart() {
        let names = ["", ".", "..", "../../etc", "a/b", "a_b", "a b", "_hidden", ".hidden", "a\0b", "é", "C:\\x"];
        let mut seen = std::collections::HashSet::new();
        for name in names {
            let shard = Shard::new(name);
            assert!(check_key("put", shard.file_name()).is_ok(), "{name:?}");
            assert!(!shard.file_name().contains(['_', '/']), "{name:?}");
            assert!(seen.insert(shard.file_name().to_owned()), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn any_name_is_a_file_name(id in ".{0,200}") {
            let shard = Shard::new(&id);
            prop_assert!(check_key("put", shard.file_name()).is_ok());
            prop_assert!(shard.file_name().len() <= 128 && !shard.file_name().contains('_'));
        }
    }
}
