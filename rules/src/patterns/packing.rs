//! Clauses → patterns: as many of them in each as EventBridge's limits allow.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::clauses::{Rules, Wanted};
use super::{MOST_CHARACTERS, Pattern, cloudtrail};
use crate::event_pattern::MOST_COMBINATIONS;
use crate::requirement::{NAME, Op, SOURCE, Test, is_scalar};

/// The most wildcards in a pattern. EventBridge refuses patterns that are too complex without saying where that begins;
/// a few wildcards in a field are what its guide calls simple.
const MOST_WILDCARDS: usize = 10;

/// Fields and the values of a pattern that each may have.
type Fields = BTreeMap<String, Vec<Value>>;

/// The smallest thing that goes into a pattern as a whole: a clause, or one more value of the field it grows by.
struct Piece {
    clause: Clause,
    rules: Rules,
}

/// An alternative: fields, and apart from the others the one by which it grows.
#[derive(Clone)]
struct Clause {
    fields: Fields,
    grows_by: Option<String>,
    values: Vec<Value>,
}

/// A pattern in the making.
#[derive(Default)]
struct Bin {
    clauses: Vec<Clause>,
    rules: Rules,
    characters: usize,
}

/// Packs all of `wanted`; `ids` names rules by their indexes.
pub(super) fn pack(wanted: &Wanted, ids: &impl Fn(&[usize]) -> Vec<String>) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for (read_only, name) in [(false, "cloudtrail"), (true, "cloudtrail-read-only")] {
        let mut bins: Vec<Bin> = Vec::new();
        for piece in pieces(wanted, read_only) {
            match bins.iter_mut().find_map(|bin| bin.with(&piece).map(|fuller| (bin, fuller))) {
                Some((bin, fuller)) => *bin = fuller,
                None => bins.extend(Bin::default().with(&piece)),
            }
        }
        patterns.extend(bins.iter().enumerate().map(|(at, bin)| Pattern {
            name: format!("{name}-{}", at + 1),
            pattern: bin.pattern(),
            read_only,
            rules: ids(&bin.rules.iter().copied().collect::<Vec<_>>()),
        }));
    }
    patterns
}

fn pieces(wanted: &Wanted, read_only: bool) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (services, names) in wanted.calls.iter().filter(|(services, _)| services.read_only == read_only) {
        let services = services.tests();
        let calls: Vec<Test> = names.values().map(|(name, _)| name.clone()).collect();
        let by_service = services.len() > calls.len();
        let (fixed, field) = if by_service { ((NAME, calls), SOURCE) } else { ((SOURCE, services.clone()), NAME) };
        for fields in fitting(fields(&BTreeMap::from([(fixed.0.to_owned(), fixed.1)]))) {
            let piece = |test: &Test, rules: &Rules| {
                let (fields, values) = (fields.clone(), values(field, test));
                Piece { clause: Clause { fields, grows_by: Some(field.to_owned()), values }, rules: rules.clone() }
            };
            if by_service {
                let rules = names.values().flat_map(|(_, rules)| rules).copied().collect();
                pieces.extend(services.iter().map(|service| piece(service, &rules)));
            } else {
                pieces.extend(names.values().map(|(name, rules)| piece(name, rules)));
            }
        }
    }
    for (_, clause, rules) in wanted.fields.iter().filter(|(reads, ..)| *reads == read_only) {
        pieces.extend(clauses(&clause.tests).map(|clause| Piece { clause, rules: rules.clone() }));
    }
    pieces
}

/// The parts of a clause of fields: one for each value of the field that has most.
fn clauses(tests: &BTreeMap<String, Vec<Test>>) -> impl Iterator<Item = Clause> {
    let mut tests = tests.clone();
    let longest = tests.iter().max_by_key(|(_, tests)| tests.len()).filter(|(_, tests)| tests.len() > 1);
    let longest = longest.map(|(field, _)| field.clone()).and_then(|field| tests.remove_entry(&field));
    fitting(fields(&tests)).into_iter().flat_map(move |fields| match &longest {
        None => vec![Clause { fields, grows_by: None, values: Vec::new() }],
        Some((field, tests)) => {
            let clause =
                |test| Clause { fields: fields.clone(), grows_by: Some(field.clone()), values: values(field, test) };
            tests.iter().map(clause).collect()
        }
    })
}

fn fields(tests: &BTreeMap<String, Vec<Test>>) -> Fields {
    let fields = tests.iter().filter(|(_, tests)| !tests.is_empty());
    fields.map(|(field, tests)| (field.clone(), tests.iter().flat_map(|test| values(field, test)).collect())).collect()
}

/// The values of a pattern that accept whatever passes the test.
fn values(field: &str, test: &Test) -> Vec<Value> {
    let text = &test.text;
    let has_no_case = text.chars().all(|c| !c.is_alphabetic());
    let operand = if test.cased || has_no_case { json!(text) } else { json!({"equals-ignore-case": text}) };
    let value = match test.op {
        Op::Is => operand,
        Op::Starts => json!({"prefix": operand}),
        Op::Ends => json!({"suffix": operand}),
        Op::Like => json!({"wildcard": text}),
        Op::Cidr => json!({"cidr": text}),
        Op::Exists => json!({"exists": true}),
    };
    // Sigma compares flags and numbers as text too.
    let plain = match (test.op, serde_json::from_str(&crate::requirement::fold(text))) {
        (Op::Is, Ok(flag @ Value::Bool(_))) if field != NAME && field != SOURCE => Some(flag),
        (Op::Is, Ok(number @ Value::Number(_))) if !is_scalar(field) => Some(number),
        _ => None,
    };
    std::iter::once(value).chain(plain).collect()
}

/// The same clause, in several where it is too long for half a pattern: each with a part of a field's values, or, where
/// a field has only one, without it.
fn fitting(mut fields: Fields) -> Vec<Fields> {
    if characters(&object(&fields)) <= MOST_CHARACTERS / 2 {
        return vec![fields];
    }
    let longest = fields.iter().max_by_key(|(_, values)| (values.len() > 1, characters(&json!(values))));
    let Some((field, values)) = longest.map(|(field, values)| (field.clone(), values.clone())) else {
        return vec![fields];
    };
    if values.len() == 1 {
        fields.remove(&field);
        return fitting(fields);
    }
    let halves = values.chunks(values.len().div_ceil(2));
    halves
        .flat_map(|half| {
            let mut part = fields.clone();
            part.insert(field.clone(), half.to_vec());
            fitting(part)
        })
        .collect()
}

impl Bin {
    /// The pattern with a piece more, if that fits.
    fn with(&self, piece: &Piece) -> Option<Bin> {
        let more = piece.clause.values.iter().map(characters).sum::<usize>();
        if self.characters + more > MOST_CHARACTERS {
            return None;
        }
        let mut clauses = self.clauses.clone();
        match clauses.iter_mut().find(|clause| clause.grows_with(&piece.clause)) {
            Some(clause) => clause.values.extend(piece.clause.values.iter().cloned()),
            None => clauses.push(piece.clause.clone()),
        }
        let mut bin = Bin { clauses, rules: &self.rules | &piece.rules, characters: 0 };
        let pattern = bin.pattern();
        bin.characters = characters(&pattern);
        let fits = bin.characters <= MOST_CHARACTERS
            && bin.clauses.len() <= MOST_COMBINATIONS
            && wildcards(&pattern) <= MOST_WILDCARDS;
        (fits || self.clauses.is_empty()).then_some(bin)
    }

    fn pattern(&self) -> Value {
        let mut clauses: Vec<Value> = self.clauses.iter().map(Clause::object).collect();
        // EventBridge takes `$or` with a single alternative for a field of that name.
        let detail = if clauses.len() == 1 { clauses.pop() } else { Some(json!({"$or": clauses})) };
        cloudtrail(detail)
    }
}

impl Clause {
    fn grows_with(&self, other: &Clause) -> bool {
        self.grows_by.is_some() && self.grows_by == other.grows_by && self.fields == other.fields
    }

    fn object(&self) -> Value {
        let own = self.grows_by.iter().map(|field| (field, &self.values));
        object(self.fields.iter().chain(own))
    }
}

/// Paths as nested objects.
fn object<'f>(fields: impl IntoIterator<Item = (&'f String, &'f Vec<Value>)>) -> Value {
    let mut root = Map::new();
    for (path, values) in fields {
        insert(&mut root, path, values);
    }
    Value::Object(root)
}

fn insert(object: &mut Map<String, Value>, path: &str, values: &[Value]) {
    match path.split_once('.') {
        None => drop(object.insert(path.to_owned(), json!(values))),
        Some((first, rest)) => {
            let inner = object.entry(first).or_insert_with(|| json!({}));
            if let Value::Object(inner) = inner {
                insert(inner, rest, values);
            }
        }
    }
}

/// Characters on one line with a blank after each comma and colon, the widest way in which a pattern is written.
pub(super) fn characters(value: &Value) -> usize {
    let gaps = |value: &Value| -> usize {
        match value {
            Value::Array(values) => values.len().saturating_sub(1),
            Value::Object(members) => members.len() + members.len().saturating_sub(1),
            _ => 0,
        }
    };
    let mut open = vec![value];
    let mut blanks = 0;
    while let Some(value) = open.pop() {
        blanks += gaps(value);
        match value {
            Value::Array(values) => open.extend(values),
            Value::Object(members) => open.extend(members.values()),
            _ => {}
        }
    }
    value.to_string().chars().count() + blanks
}

fn wildcards(value: &Value) -> usize {
    match value {
        Value::Array(values) => values.iter().map(wildcards).sum(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| usize::from(name == "wildcard") + wildcards(value)).sum()
        }
        _ => 0,
    }
}
