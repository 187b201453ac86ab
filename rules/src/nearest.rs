//! The valid word that was probably meant.

use crate::facts::distance;

/// The candidate that looks most like `word`, if one does: letter case aside, at most every third character differs, or both
/// have the same letters, or one begins with the other. Of equals the first.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Longer words are not typing mistakes, and comparing takes the product of both lengths.
    const LONGEST: usize = 200;
    if word.len() > LONGEST {
        return None;
    }
    let letters = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    let word = word.to_lowercase();
    let likeness = |candidate: &'a str| {
        let lower = candidate.to_lowercase();
        let apart = distance(&lower, &word);
        let most = (word.chars().count().max(lower.chars().count()) / 3).max(1);
        let begins = word.len() > 2 && lower.len() > 2 && (lower.starts_with(&word) || word.starts_with(&lower));
        let near = apart <= most || begins || letters(&word) == letters(&lower);
        near.then_some((apart, candidate))
    };
    let near = candidates.into_iter().filter(|candidate| candidate.len() <= LONGEST).filter_map(likeness);
    near.min_by_key(|(apart, _)| *apart).map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_understood_and_other_words_are_not() {
        let words = ["stream", "worker", "archive", "rules", "log"];
        for (word, meant) in [
            ("straem", Some("stream")),
            ("STREAM", Some("stream")),
            ("streams", Some("stream")),
            ("rule", Some("rules")),
            ("workers_of_mine", Some("worker")),
            ("lgo", Some("log")),
            ("logs", Some("log")),
            ("policy", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, words), meant, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(100_000), words), None);
    }
}
