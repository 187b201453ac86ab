//! What a rule needs of an event's texts, beside its name and source: at a path, one of some texts, or one of some pieces
//! of text. A prefilter: cheaper to check than the rule, and never stricter.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use memchr::memmem::Finder;
use rsigma_eval::matcher::ascii_lowercase_cow;
use rsigma_eval::{Event, EventValue};

use crate::requirement::{Op, Requirement, Test, fold};

/// A piece that is shorter is in too many texts.
const SHORTEST: usize = 3;

/// What the text at a path must be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Text {
    /// One of these, lower-cased.
    Is(BTreeSet<String>),
    /// Has one of these within, lower-cased ASCII.
    Has(BTreeSet<String>),
}

/// By path, what the text there must be for a rule to match. Without paths, anything will do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Texts(BTreeMap<String, Text>);

impl Texts {
    /// What all clauses, of which one must hold, need in common.
    pub(crate) fn of(requirement: &Requirement) -> Texts {
        let Some((first, others)) = requirement.clauses.split_first() else {
            return Texts::default();
        };
        let everywhere = first.tests.iter().filter_map(|(path, tests)| {
            let others = others.iter().map(|clause| clause.tests.get(path)).collect::<Option<Vec<_>>>()?;
            let tests: Vec<&Test> = tests.iter().chain(others.into_iter().flatten()).collect();
            Some((path.clone(), text_of(&tests)?))
        });
        Texts(everywhere.collect())
    }
}

/// What a text is that passes one of these tests.
fn text_of(tests: &[&Test]) -> Option<Text> {
    if tests.iter().all(|test| test.op == Op::Is) {
        return Some(Text::Is(tests.iter().map(|test| fold(&test.text)).collect()));
    }
    tests.iter().map(|test| piece_of(test)).collect::<Option<_>>().map(Text::Has)
}

/// The longest piece that whatever passes the test must have within.
fn piece_of(test: &Test) -> Option<String> {
    match test.op {
        Op::Is | Op::Starts | Op::Ends => longest([test.text.as_str()].into_iter()),
        Op::Like => {
            let mut plain = String::new();
            let mut chars = test.text.chars();
            while let Some(c) = chars.next() {
                match c {
                    '\\' => plain.extend(chars.next()),
                    '*' => plain.push('\0'),
                    c => plain.push(c),
                }
            }
            longest(plain.split('\0'))
        }
        Op::Cidr | Op::Exists => None,
    }
}

/// The longest run of ASCII without `k` and `s`, which have relatives beyond ASCII when case does not count.
fn longest<'a>(plain: impl Iterator<Item = &'a str>) -> Option<String> {
    let runs = plain.flat_map(|text| text.split(|c: char| !c.is_ascii() || matches!(c, 'k' | 'K' | 's' | 'S')));
    runs.filter(|run| run.len() >= SHORTEST).max_by_key(|run| run.len()).map(str::to_ascii_lowercase)
}

/// Rules by the texts that they need: indexes into the rule set's list.
#[derive(Debug, Default)]
pub(crate) struct TextIndex {
    paths: Vec<ByPath>,
}

#[derive(Debug, Default)]
struct ByPath {
    path: String,
    is: HashMap<String, Vec<usize>>,
    has: Vec<(Vec<Finder<'static>>, usize)>,
    /// All of these rules.
    all: Vec<usize>,
}

impl TextIndex {
    /// Files a rule under one of the texts that it needs; `false` if it needs none.
    pub(crate) fn insert(&mut self, rule: usize, texts: Texts) -> bool {
        let best = texts.0.into_iter().min_by_key(|(_, text)| match text {
            Text::Is(texts) => texts.len(),
            Text::Has(pieces) => 1_000 + pieces.len(),
        });
        let Some((path, text)) = best else {
            return false;
        };
        let at = self.paths.iter().position(|known| known.path == path).unwrap_or_else(|| {
            self.paths.push(ByPath { path, ..ByPath::default() });
            self.paths.len() - 1
        });
        let by_path = &mut self.paths[at];
        by_path.all.push(rule);
        match text {
            Text::Is(texts) => texts.into_iter().for_each(|text| by_path.is.entry(text).or_default().push(rule)),
            Text::Has(pieces) => {
                by_path.has.push((pieces.iter().map(|piece| Finder::new(piece).into_owned()).collect(), rule));
            }
        }
        true
    }

    /// Adds the rules that the event may match to `found`.
    pub(crate) fn candidates(&self, event: &impl Event, found: &mut Vec<usize>) {
        for by_path in &self.paths {
            match event.get_field(&by_path.path) {
                // No text is at a path that the event does not have.
                None | Some(EventValue::Null) => {}
                Some(EventValue::Str(text)) => by_path.of_text(&text, found),
                // Numbers are compared as text, and lists by their elements.
                Some(_) => found.extend(&by_path.all),
            }
        }
    }
}

impl ByPath {
    fn of_text(&self, text: &str, found: &mut Vec<usize>) {
        // Most events have none of the few texts that rules ask for: told without a copy in lower case.
        let few = self.has.is_empty() && self.is.len() <= 8 && text.is_ascii();
        if few && !self.is.keys().any(|known| known.eq_ignore_ascii_case(text)) {
            return;
        }
        let text = ascii_lowercase_cow(text);
        found.extend(self.is.get(text.as_ref()).into_iter().flatten());
        for (pieces, rule) in &self.has {
            if pieces.iter().any(|piece| piece.find(text.as_bytes()).is_some()) {
                found.push(*rule);
            }
        }
    }
}
