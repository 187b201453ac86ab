//! `log.filter`: what the filter's own parser takes without a word, although it says nothing that was meant.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What is wrong with a filter, to follow the key's name.
///
/// To the parser a bare word that is no level is the name of a part of the program; nearly always it is a level with a
/// mistake in it, and the log would be silent.
pub(crate) fn check(filter: &str) -> Result<(), String> {
    EnvFilter::try_new(filter).map_err(|error| format!("is no filter such as `info` or `warn,dial=debug`: {error}"))?;
    let words = filter.split(',').map(str::trim).filter(|word| !word.is_empty() && !word.contains(['=', '[']));
    for word in words {
        if word.parse::<LevelFilter>().is_ok() {
            continue;
        }
        let lower = word.to_ascii_lowercase();
        let meant = LEVELS.iter().find(|level| resembles(level, &lower));
        let meant = meant.map(|level| format!("did you mean `{level}`? ")).unwrap_or_default();
        return Err(format!(
            "has {word:?}, which is no level: {meant}The levels are {}; a part of the program has its own as in \
             `warn,dial=debug`",
            LEVELS.join(", ")
        ));
    }
    Ok(())
}

/// Whether one begins with the other (`inf`, `warning`), or both have the same letters (`debgu`).
fn resembles(level: &str, word: &str) -> bool {
    let letters = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    let begins = word.len() > 1 && (level.starts_with(word) || word.starts_with(level));
    begins || letters(level) == letters(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_parts_with_levels_are_taken() {
        for filter in
            ["info", "INFO", "off", "dial=debug", "warn,dial=debug", "3", "warn,dial::scan=trace", "", "[a{b}]=info"]
        {
            assert_eq!(check(filter), Ok(()), "{filter}");
        }
    }

    #[test]
    fn a_word_that_is_no_level_is_refused_with_what_was_meant() {
        for (filter, hint) in [
            ("inf", "did you mean `info`?"),
            ("warning", "did you mean `warn`?"),
            ("dial=info,debgu", "did you mean `debug`?"),
            ("verbose", "levels are off, error, warn, info, debug, trace"),
            ("dial", "`warn,dial=debug`"),
            ("warn,dial=loud", "no filter"),
        ] {
            let wrong = check(filter).unwrap_err();
            assert!(wrong.contains(hint), "{filter}: {wrong}");
        }
        assert!(!check("verbose").unwrap_err().contains("did you mean"));
    }
}
