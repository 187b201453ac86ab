//! Conditions on text → tests that EventBridge knows: what a text is, begins or ends with, or a wildcard.

use rsigma_parser::value::{SpecialChar, StringPart};
use rsigma_parser::{Modifier, SigmaString};

use super::{LONGEST, NAME, Op, SOURCE, Test, fold};

/// The test that every value passes which matches a rule's text with these modifiers.
pub(super) fn of_text(field: &str, modifiers: &[Modifier], text: &SigmaString) -> Test {
    let has = |modifier| modifiers.contains(&modifier);
    let mut glob = Glob::default();
    if has(Modifier::Contains) || has(Modifier::EndsWith) {
        glob.anything();
    }
    for part in &text.parts {
        match part {
            StringPart::Plain(text) => glob.literal(text),
            // EventBridge has no wildcard for a single character; one for many passes more.
            StringPart::Special(SpecialChar::WildcardMulti | SpecialChar::WildcardSingle) => glob.anything(),
        }
    }
    if has(Modifier::Contains) || has(Modifier::StartsWith) {
        glob.anything();
    }
    glob.test(field, has(Modifier::Cased))
}

/// A regular expression of literals, `.*`, `.+` and anchors is a wildcard; of others only a value is asked for. Sigma's
/// regular expressions tell upper and lower case apart.
pub(super) fn of_regex(field: &str, regex: &str) -> Test {
    let mut glob = Glob::default();
    let (regex, open_start) = regex.strip_prefix('^').map_or((regex, true), |rest| (rest, false));
    let (regex, open_end) = match regex.strip_suffix('$') {
        Some(rest) if !rest.ends_with('\\') => (rest, false),
        _ => (regex, true),
    };
    if open_start {
        glob.anything();
    }
    let mut chars = regex.chars().peekable();
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.next_if(char::is_ascii_punctuation) } else { None };
        match (c, escaped) {
            ('.', _) => {
                chars.next_if(|c| matches!(c, '*' | '+' | '?'));
                glob.anything();
            }
            (_, Some(literal)) => glob.literal(literal.encode_utf8(&mut [0; 4])),
            ('\\' | '[' | ']' | '(' | ')' | '{' | '}' | '|' | '^' | '$' | '*' | '+' | '?', None) => {
                return Test::exists();
            }
            (literal, None) => glob.literal(literal.encode_utf8(&mut [0; 4])),
        }
        if chars.peek().is_some_and(|c| matches!(c, '*' | '+' | '?' | '{')) {
            return Test::exists(); // the last one may be repeated, or be missing
        }
    }
    if open_end {
        glob.anything();
    }
    glob.test(field, true)
}

/// A text with gaps: literals, and `None` for anything between them.
#[derive(Default)]
struct Glob(Vec<Option<String>>);

impl Glob {
    fn anything(&mut self) {
        if !matches!(self.0.last(), Some(None)) {
            self.0.push(None);
        }
    }

    fn literal(&mut self, text: &str) {
        match self.0.last_mut() {
            Some(Some(last)) => last.push_str(text),
            _ => self.0.push(Some(text.to_owned())),
        }
    }

    /// The strictest test that EventBridge knows and that every value with these parts passes.
    fn test(self, field: &str, cased: bool) -> Test {
        let literals = || self.0.iter().flatten();
        // Text conditions are met by numbers and flags too, as text, which EventBridge's text operators are not.
        let is_text = field == NAME || field == SOURCE;
        if self.0.contains(&None) && literals().all(|text| !is_text && is_plain_value(text)) {
            return Test::exists();
        }
        match self.0.as_slice() {
            [] => Test::new(Op::Is, String::new(), cased),
            [None] => Test::exists(),
            [Some(text)] if text.len() > LONGEST => starts(text, cased),
            [Some(text)] => Test::new(Op::Is, text.clone(), cased),
            [Some(text), None] => starts(text, cased),
            [None, Some(text)] => ends(text, cased),
            _ if literals().map(String::len).sum::<usize>() <= LONGEST
                && (cased || literals().all(|text| has_its_own_spelling(field, text))) =>
            {
                Test::new(Op::Like, self.wildcard(field == SOURCE && !cased), true)
            }
            [Some(first), .., Some(last)] if last.len() > first.len() => ends(last, cased),
            [Some(first), ..] => starts(first, cased),
            [.., Some(last)] => ends(last, cased),
            [None, ..] => Test::exists(),
        }
    }

    fn wildcard(&self, lower: bool) -> String {
        let escape = |text: &String| text.replace('\\', "\\\\").replace('*', "\\*");
        let parts = self.0.iter().map(|part| part.as_ref().map_or_else(|| "*".to_owned(), escape));
        let text: String = parts.collect();
        if lower { fold(&text) } else { text }
    }
}

fn starts(text: &str, cased: bool) -> Test {
    let end = text.floor_char_boundary(LONGEST);
    Test::new(Op::Starts, text[..end].to_owned(), cased)
}

fn ends(text: &str, cased: bool) -> Test {
    let begin = text.ceil_char_boundary(text.len().saturating_sub(LONGEST));
    Test::new(Op::Ends, text[begin..].to_owned(), cased)
}

/// Whether a number or a flag could hold this text.
fn is_plain_value(text: &str) -> bool {
    let text = fold(text);
    text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e'))
        || ["true", "false", "inf", "nan"].iter().any(|word| word.contains(&text))
}

/// EventBridge's wildcards tell upper and lower case apart, Sigma's do not. That makes no difference where CloudTrail
/// has one spelling and the rule follows it: sources are in lower case; a name's words begin with a capital, which a rule
/// that does not care about case leaves out.
fn has_its_own_spelling(field: &str, literal: &str) -> bool {
    field == SOURCE || (field == NAME && literal.contains(|c: char| c.is_ascii_uppercase()))
}
