//! Names that a destination keeps of our alerts. Pure.

use sha2::{Digest, Sha256};

/// A thread as a name of at most `most` characters, which are at least 64: itself, or a hash of one that is too long or
/// holds what no name does.
pub(crate) fn reference(thread: &str, most: usize) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    if (1..=most).contains(&thread.len()) && thread.chars().all(is_plain) {
        return thread.to_owned();
    }
    Sha256::digest(thread).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_the_thread_or_its_hash() {
        assert_eq!(reference("ab-1_2", 128), "ab-1_2");
        assert_eq!(reference(&"x".repeat(129), 128).len(), 64);
        assert_eq!(reference("a b", 128).len(), 64);
        assert_ne!(reference("a b", 128), reference("a c", 128));
    }
}
