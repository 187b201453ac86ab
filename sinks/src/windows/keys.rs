//! How windows are named where a name's length is bounded. Pure.

use sha2::{Digest, Sha256};

use super::store::WindowKey;

/// SHA-256 of the window's key: no two windows share it, and groups are chosen by whoever makes the events, so it has to
/// withstand those who look for collisions. Both parts are preceded by their length, so that no part can pose as another.
pub(crate) fn window_hash(window: &WindowKey) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [&window.correlation, &window.group] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(correlation: &str, group: &str) -> String {
        hexadecimal(&window_hash(&WindowKey { correlation: correlation.to_owned(), group: group.to_owned() }))
    }

    /// What is stored must be found by every later version.
    #[test]
    fn a_window_has_the_same_name_in_every_version() {
        assert_eq!(named("", ""), "374708fff7719dd5979ec875d56cd2286f6d3cf7ec317a3b25632aab28ec37bb");
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(named("ab", "c"), named("a", "bc"));
        assert_ne!(named("", "ab"), named("ab", ""));
    }
}
