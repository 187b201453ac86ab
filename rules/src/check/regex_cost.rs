//! What a regular expression costs. The engine is a finite automaton, so no expression takes exponential time; but each
//! counted repetition is written out in full, and a match takes time in proportion to the states it comes to.

use std::iter::Peekable;
use std::str::Chars;

/// States beyond which an expression is remarked on. A text is looked through in states × characters steps at worst.
const MANY: u64 = 4000;
/// About what a class of Unicode letters comes to in UTF-8.
const UNICODE_CLASS: u64 = 300;

/// What to say of an expression that has been compiled, if it is expensive or would be elsewhere.
pub(super) fn fault(regex: &str) -> Option<String> {
    let mut parser = Parser { chars: regex.chars().peekable(), nested: false, most_repeated: 0 };
    let states = parser.alternatives().states;
    if states > MANY {
        let classes = regex.contains("\\w") || regex.contains("\\d") || regex.contains("\\p");
        let advice = match (classes, parser.most_repeated > 1) {
            (true, _) => "write [A-Za-z0-9_] for \\w and [0-9] for \\d, and repeat less",
            (false, true) => "repeat less: {8,} instead of {8,500}, and no counts within counts",
            (false, false) => "write a list of values with |contains",
        };
        return Some(format!(
            "it comes to about {states} states, each of which every character may cost a step: {advice}"
        ));
    }
    let message = "a repetition is repeated again, as in (a+)+: one of them says the same, and engines that backtrack take \
                   exponential time for it";
    parser.nested.then(|| message.to_owned())
}

/// What a part of an expression comes to.
#[derive(Clone, Copy, Default)]
struct Part {
    states: u64,
    /// It is nothing but a repetition without a limit, or one of its alternatives is.
    is_repetition: bool,
}

/// Reads expressions that the engine has accepted; of others it only must come to an end.
struct Parser<'r> {
    chars: Peekable<Chars<'r>>,
    nested: bool,
    most_repeated: u64,
}

impl Parser<'_> {
    /// Up to the closing bracket, which it takes, or the end.
    fn alternatives(&mut self) -> Part {
        let mut whole = Part { states: 1, is_repetition: false };
        let (mut pieces, mut last) = (0, Part::default());
        loop {
            let next = self.chars.next();
            let Some(c) = next.filter(|c| !matches!(c, '|' | ')')) else {
                whole.is_repetition |= pieces == 1 && last.is_repetition;
                if next != Some('|') {
                    return whole;
                }
                (pieces, whole.states) = (0, whole.states.saturating_add(1));
                continue;
            };
            let atom = self.atom(c);
            last = self.repeated(atom);
            pieces += 1;
            whole.states = whole.states.saturating_add(last.states);
        }
    }

    fn atom(&mut self, c: char) -> Part {
        let states = match c {
            '(' => return self.group(),
            '[' => self.class(),
            '.' => 8,
            '\\' => self.escape(),
            other => other.len_utf8() as u64,
        };
        Part { states, is_repetition: false }
    }

    fn group(&mut self) -> Part {
        if self.chars.next_if_eq(&'?').is_none() {
            return self.alternatives();
        }
        // A name or flags: `(?<n>`, `(?P<n>`, `(?i:`, or flags alone, `(?i)`.
        match self.chars.find(|c| matches!(c, ')' | ':' | '>')) {
            Some(':' | '>') => self.alternatives(),
            _ => Part::default(),
        }
    }

    fn class(&mut self) -> u64 {
        let mut states = if self.chars.next_if_eq(&'^').is_some() { 8 } else { 1 };
        let mut first = true;
        while let Some(c) = self.chars.next() {
            match c {
                ']' if !first => break,
                '[' => states = self.class().max(states),
                '\\' => states = self.escape().max(states),
                other if !other.is_ascii() => states = states.max(8),
                _ => {}
            }
            first = false;
        }
        states
    }

    fn escape(&mut self) -> u64 {
        match self.chars.next() {
            Some('p' | 'P') => {
                if self.chars.next() == Some('{') {
                    self.chars.find(|c| *c == '}');
                }
                UNICODE_CLASS
            }
            Some('x' | 'u' | 'U') if self.chars.next_if_eq(&'{').is_some() => {
                self.chars.find(|c| *c == '}');
                4
            }
            Some('w' | 'W') => UNICODE_CLASS,
            Some('d' | 'D') => 60,
            Some('s' | 'S') => 12,
            _ => 1,
        }
    }

    /// What follows an atom: any number of repetition signs.
    fn repeated(&mut self, mut part: Part) -> Part {
        while let Some(c) = self.chars.next_if(|c| matches!(c, '*' | '+' | '?' | '{')) {
            let (times, unlimited) = match c {
                '?' => (1, false),
                '{' => self.count(),
                _ => (1, true),
            };
            self.chars.next_if_eq(&'?'); // as few as possible: matches the same texts
            self.nested |= unlimited && part.is_repetition;
            self.most_repeated = self.most_repeated.max(times);
            part = Part { states: part.states.saturating_mul(times), is_repetition: unlimited };
        }
        part
    }

    /// Of `3}`, `3,}` and `3,7}`: how often it is written out, and whether there is no limit.
    fn count(&mut self) -> (u64, bool) {
        let mut text = String::new();
        while let Some(c) = self.chars.next().filter(|c| *c != '}') {
            text.push(c);
        }
        let number = |text: &str| text.trim().parse::<u64>().unwrap_or(1);
        match text.split_once(',') {
            None => (number(&text), false),
            Some((least, most)) if most.trim().is_empty() => (number(least).max(1), true),
            Some((_, most)) => (number(most), false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_and_nested_repetitions_are_told() {
        for (regex, words) in [
            (r"\w{50}", "[A-Za-z0-9_]"),
            (r"(?i)^(\w+\.){20}$", "[A-Za-z0-9_]"),
            (r"[\w-]{1,64}@x", "[A-Za-z0-9_]"),
            ("(a{1,100}){1,100}", "repeat less"),
            ("((ab){30}c){2,100}", "repeat less"),
            ("(?:.{1,40}x){20}", "repeat less"),
            ("(a+)+", "repeated again"),
            ("^(?:x|[0-9]*)*$", "repeated again"),
            ("((?P<n>a{2,}))+", "repeated again"),
        ] {
            assert!(fault(regex).is_some_and(|fault| fault.contains(words)), "{regex}: {:?}", fault(regex));
        }
    }

    #[test]
    fn ordinary_expressions_are_fine() {
        for regex in [
            "",
            "^aws-cli/.*$",
            r"(?i)\bkali\b",
            r"^[0-9]{12}$",
            r"(a+b)*",
            r"\d{1,3}(\.\d{1,3}){3}",
            r"[]a]{3}[^]]+",
            r"\{(?:[^{}]*(?:x|y|z)){3}[^{}]*\}",
            r"\x{41}\p{L}+",
            "a{3",
            "(a|b)+?",
            r"\(a+\)+",
            "[(]a+[)]+",
            "((((",
        ] {
            assert_eq!(fault(regex), None, "{regex}");
        }
    }

    proptest::proptest! {
        /// Texts that are no expressions come to an end too.
        #[test]
        fn any_text_is_read_to_its_end(text in "[a(|)*+?{}0-9,\\[\\]\\\\pwx^:.-]{0,60}") {
            let _ = fault(&text);
        }
    }
}
