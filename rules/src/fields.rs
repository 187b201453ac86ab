//! What Sigma conditions see of an event: rsigma's event trait over the record's bytes, without a document tree. It
//! answers as `rsigma_eval::JsonEvent` does over the parsed record; the tests compare the two.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeMap;

use rsigma_eval::EventValue;

use crate::event::{Event, Key};
use crate::facts::{self, Facts};
use crate::json;
use crate::tables::Tables;

/// How deep keyword searches look, as in rsigma.
const KEYWORD_DEPTH: usize = 64;

/// An event as rsigma evaluates it, with the facts that are derived from it.
pub(crate) struct Fields<'a> {
    event: &'a Event,
    tables: &'a Tables,
    /// Made when a rule first asks for one: most events never need them.
    facts: OnceCell<Facts<'a>>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(event: &'a Event, tables: &'a Tables) -> Fields<'a> {
        Fields { event, tables, facts: OnceCell::new() }
    }

    /// The value of a path of names alone, as most are.
    fn plain_path(&self, first: &str, mut rest: &str) -> Option<EventValue<'_>> {
        let mut value = self.top_level(first)?;
        if first == "userIdentity" && value.starts_with(b"{") {
            let (name, more) = rest.split_once('.').unzip();
            value = self.event.identity(name.unwrap_or(rest))?;
            match more {
                None => return Some(to_value(value)),
                Some(more) => rest = more,
            }
        }
        while value.starts_with(b"{") {
            let Some((name, more)) = rest.split_once('.') else {
                return json::member(value, rest).map(to_value);
            };
            value = json::member(value, name)?;
            rest = more;
        }
        let steps: Vec<Step<'_>> = rest.split('.').map(|name| Step::Key(Cow::Borrowed(name))).collect();
        let mut found = Vec::new();
        collect(value, &steps, &mut found);
        match found.len() {
            0 | 1 => found.pop(),
            _ => Some(EventValue::Array(found)),
        }
    }

    fn top_level(&self, name: &str) -> Option<&[u8]> {
        match Key::from_name(name) {
            Some(key) => self.event.member(key),
            None => json::member(self.event.raw(), name),
        }
    }
}

impl rsigma_eval::Event for Fields<'_> {
    fn get_field(&self, path: &str) -> Option<EventValue<'_>> {
        if path.starts_with(facts::PREFIX) {
            let facts = self.facts.get_or_init(|| Facts::new(self.event, self.tables));
            return facts.get(path).map(facts::Value::into_event_value);
        }
        let is_path = path.bytes().any(|byte| matches!(byte, b'.' | b'[' | b'\\'));
        if !is_path || self.event.has_dots() {
            // A member whose name has dots comes before members of members.
            match self.top_level(path) {
                None if is_path => {}
                value => return value.map(to_value),
            }
        }
        if let Some((first, rest)) = path.split_once('.')
            && !path.bytes().any(|byte| matches!(byte, b'[' | b'\\'))
        {
            return self.plain_path(first, rest);
        }
        let steps = parse_path(path);
        let (Some(Step::Key(first)), rest) = (steps.first(), steps.get(1..)?) else {
            return None; // the root is an object, so an index finds nothing in it
        };
        let mut found = Vec::new();
        collect(self.top_level(first)?, rest, &mut found);
        match found.len() {
            0 => None,
            1 => found.pop(),
            _ => Some(EventValue::Array(found)),
        }
    }

    fn any_string_value(&self, pred: &dyn Fn(&str) -> bool) -> bool {
        any_string(self.event.raw(), &mut |text| pred(text), KEYWORD_DEPTH)
    }

    fn all_string_values(&self) -> Vec<Cow<'_, str>> {
        let mut all = Vec::new();
        any_string(
            self.event.raw(),
            &mut |text| {
                all.push(Cow::Owned(text.to_owned()));
                false
            },
            KEYWORD_DEPTH,
        );
        all
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::from_slice(self.event.raw()).unwrap_or_default()
    }
}

/// A step of a field path.
enum Step<'p> {
    /// A member; in an array, that member of each element.
    Key(Cow<'p, str>),
    /// An element of an array, from its end when negative.
    Index(i64),
}

/// `a.b[0].c` in steps. A bracket that holds no number belongs to the key; `\[` and `\]` always do.
fn parse_path(path: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    for segment in path.split('.') {
        let indices = rsigma_parser::fieldpath::first_unescaped(segment, b'[')
            .and_then(|at| Some((at, parse_indices(&segment[at..])?)));
        let name = match &indices {
            Some((at, _)) => &segment[..*at],
            None => segment,
        };
        if indices.is_none() || !name.is_empty() {
            steps.push(Step::Key(rsigma_parser::fieldpath::unescape_brackets(name)));
        }
        steps.extend(indices.into_iter().flat_map(|(_, indices)| indices).map(Step::Index));
    }
    steps
}

fn parse_indices(groups: &str) -> Option<Vec<i64>> {
    groups.strip_prefix('[')?.strip_suffix(']')?.split("][").map(|index| index.parse().ok()).collect()
}

fn collect<'a>(value: &'a [u8], steps: &[Step<'_>], found: &mut Vec<EventValue<'a>>) {
    let Some((step, rest)) = steps.split_first() else {
        return found.push(to_value(value));
    };
    match step {
        Step::Key(name) if value.starts_with(b"{") => {
            if let Some(next) = json::member(value, name) {
                collect(next, rest, found);
            }
        }
        Step::Key(_) => json::elements(value).for_each(|element| collect(element, steps, found)),
        Step::Index(index) => {
            let nth = match usize::try_from(*index) {
                Ok(from_start) => json::elements(value).nth(from_start),
                Err(_) => {
                    let all: Vec<_> = json::elements(value).collect();
                    let back = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
                    all.len().checked_sub(back).map(|at| all[at])
                }
            };
            if let Some(next) = nth {
                collect(next, rest, found);
            }
        }
    }
}

/// A scanned value as rsigma's; recursion is bounded by the scanner's depth.
fn to_value(value: &[u8]) -> EventValue<'_> {
    match value.first() {
        Some(b'"') => EventValue::Str(json::as_str(value).unwrap_or_default()),
        Some(b't') => EventValue::Bool(true),
        Some(b'f') => EventValue::Bool(false),
        Some(b'n') | None => EventValue::Null,
        Some(b'[') => EventValue::Array(json::elements(value).map(to_value).collect()),
        Some(b'{') => {
            let members: BTreeMap<_, _> =
                json::members(value).map(|(key, value)| (json::unescape(key), to_value(value))).collect();
            EventValue::Map(members.into_iter().collect())
        }
        Some(_) => number(value),
    }
}

fn number(value: &[u8]) -> EventValue<'static> {
    let text = std::str::from_utf8(value).unwrap_or_default();
    match text.parse::<i64>() {
        // `-0` is a floating-point number to serde_json.
        Ok(integer) if text != "-0" => EventValue::Int(integer),
        _ => EventValue::Float(text.parse().unwrap_or(f64::NAN)),
    }
}

fn any_string(value: &[u8], pred: &mut dyn FnMut(&str) -> bool, depth: usize) -> bool {
    if depth == 0 {
        return false;
    }
    match value.first() {
        Some(b'"') => json::as_str(value).is_some_and(|text| pred(&text)),
        Some(b'[') => json::elements(value).any(|element| any_string(element, pred, depth - 1)),
        Some(b'{') => json::members(value).any(|(_, value)| any_string(value, pred, depth - 1)),
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::event::tests::event;
    use proptest::prelude::*;
    use rsigma_eval::{Event as _, JsonEvent};
    use serde_json::{Value, json};

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            any::<i32>().prop_map(|n| (f64::from(n) / 8.0).into()), // serde_json reads others only nearly
            "[ab\"\\\\é\n]{0,4}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 30, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::vec(("[abc]|a\\.b|a\\[0\\]", inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn identity() -> impl Strategy<Value = Value> {
        let members = prop::collection::vec(("type|other|sessionContext", value()), 0..4)
            .prop_map(|members| Value::Object(members.into_iter().collect()))
            .boxed();
        prop_oneof![3 => members.clone(), 1 => prop::collection::vec(members, 0..3).prop_map(Value::Array), 1 => value()]
    }

    const PATHS: &[&str] = &[
        "x",
        "x.a",
        "x.a.b",
        "x.b",
        "x.a[0]",
        "x[0]",
        "x[-1]",
        "x[1].a",
        "x[0][0]",
        "x.a.a.a",
        "a.b",
        "x.a[b]",
        "x.a\\[0\\]",
        ".x",
        "x.",
        "[0]",
        "eventName",
        "eventName.x",
        "userIdentity.type",
        "userIdentity.type.a",
        "userIdentity.other",
        "userIdentity.sessionContext.a.b",
        "y",
        "x..a",
        "x[0]x",
        "x[",
        "x[]",
        "x.a.b.c",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn answers_as_a_parsed_tree_does(x in value(), dotted in prop::option::of(value()), identity in identity()) {
            let mut members = json!({ "x": x, "userIdentity": identity });
            if let Some(dotted) = dotted {
                members["a.b"] = dotted;
            }
            let event = event(members);
            let tree: Value = serde_json::from_slice(event.raw()).unwrap();
            let tables = Tables::default();
            let (ours, theirs) = (Fields::new(&event, &tables), JsonEvent::borrow(&tree));
            for path in PATHS {
                prop_assert_eq!(ours.get_field(path), theirs.get_field(path), "{}", path);
            }
            let sorted = |mut all: Vec<Cow<'_, str>>| { all.sort(); all.iter().map(|s| s.to_string()).collect::<Vec<_>>() };
            prop_assert_eq!(sorted(ours.all_string_values()), sorted(theirs.all_string_values()));
            let found = ours.any_string_value(&|text| text.contains('a'));
            prop_assert_eq!(found, theirs.any_string_value(&|text| text.contains('a')));
            prop_assert_eq!(ours.to_json(), tree);
        }
    }
}
