//! What a rule needs of an event's texts, beside its name and source: at a path, one of some texts, or one of some pieces
//! of text. A prefilter: cheaper to check than the rule, and never stricter.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use memchr::memmem::Finder;
use rsigma_eval::matcher::ascii_lowercase_cow;
use rsigma_eval::{Event, EventValue};
use rsigma_parser::value::StringPart;
use rsigma_parser::{DetectionItem, Modifier, SigmaString, SigmaValue};

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
    /// What one condition needs.
    pub(crate) fn of_item(item: &DetectionItem) -> Texts {
        let text = text_of(item);
        Texts(item.field.name.clone().zip(text).into_iter().collect())
    }

    /// What two conditions need that must both hold.
    pub(crate) fn both(mut self, other: Texts) -> Texts {
        for (path, text) in other.0 {
            let both = match (self.0.remove(&path), text) {
                (Some(Text::Is(a)), Text::Is(b)) => Text::Is(&a & &b),
                (Some(Text::Is(a)), _) => Text::Is(a),
                (_, text) => text,
            };
            self.0.insert(path, both);
        }
        self
    }

    /// What two conditions need in common of which one must hold.
    pub(crate) fn either(self, mut other: Texts) -> Texts {
        let common = self.0.into_iter().filter_map(|(path, text)| {
            let text = match (text, other.0.remove(&path)?) {
                (Text::Is(a), Text::Is(b)) => Text::Is(&a | &b),
                (Text::Has(a), Text::Has(b)) => Text::Has(&a | &b),
                _ => return None,
            };
            Some((path, text))
        });
        Texts(common.collect())
    }
}

fn text_of(item: &DetectionItem) -> Option<Text> {
    let is = |wanted: &[Modifier]| item.field.modifiers.iter().all(|modifier| wanted.contains(modifier));
    if item.values.is_empty() {
        return None;
    }
    if item.field.modifiers.as_slice() == [Modifier::Re] {
        return item.values.iter().map(|value| piece_of_regex(as_text(value)?)).collect::<Option<_>>().map(Text::Has);
    }
    let exact = |value: &SigmaValue| as_text(value).and_then(SigmaString::as_plain).map(|text| text.to_lowercase());
    if is(&[Modifier::Cased])
        && let Some(texts) = item.values.iter().map(exact).collect()
    {
        return Some(Text::Is(texts));
    }
    let piece = |value: &SigmaValue| piece_of(as_text(value)?);
    let within = [Modifier::Cased, Modifier::Contains, Modifier::StartsWith, Modifier::EndsWith];
    if is(&within) {
        return item.values.iter().map(piece).collect::<Option<_>>().map(Text::Has);
    }
    if is(&[&within[..], &[Modifier::All]].concat()) {
        let longest = item.values.iter().filter_map(piece).max_by_key(String::len)?;
        return Some(Text::Has([longest].into()));
    }
    None
}

fn as_text(value: &SigmaValue) -> Option<&SigmaString> {
    match value {
        SigmaValue::String(text) => Some(text),
        _ => None,
    }
}

/// The longest piece that whatever matches the pattern must have within.
fn piece_of(text: &SigmaString) -> Option<String> {
    let plain = text.parts.iter().filter_map(|part| match part {
        StringPart::Plain(text) => Some(text.as_str()),
        StringPart::Special(_) => None,
    });
    longest(plain)
}

/// The same of a regular expression that consists of plain characters and dots.
fn piece_of_regex(text: &SigmaString) -> Option<String> {
    let pattern = &text.original;
    let mut plain = String::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | ':' | '/' | '_' | '-' | '@' | ' ' | '=' => plain.push(c),
            '\\' if matches!(chars.peek(), Some('.' | '/' | '-')) => plain.extend(chars.next()),
            '^' | '$' => plain.push('\0'),
            '.' => {
                chars.next_if(|c| matches!(c, '*' | '+'));
                plain.push('\0');
            }
            _ => return None,
        }
    }
    longest(plain.split('\0'))
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
