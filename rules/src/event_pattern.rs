//! [`EventPattern`]: which events an EventBridge event pattern accepts, exactly as EventBridge does, for its operators
//! on text, addresses and presence:
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html>. `numeric` is refused.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use serde_json::{Map, Value};

/// The most combinations that the `$or`s of a pattern may multiply to.
pub const MOST_COMBINATIONS: usize = 1000;

/// Words that an alternative of `$or` must not use as field names; with one of them `$or` is a field itself.
pub(crate) const OPERATORS: [&str; 9] =
    ["anything-but", "cidr", "equals-ignore-case", "exactly", "exists", "numeric", "prefix", "suffix", "wildcard"];

/// An event pattern, ready to be evaluated.
#[derive(Debug, Clone)]
pub struct EventPattern {
    /// One of these combinations must hold: what its `$or`s multiply to. In each, every field must pass a test.
    combinations: Vec<BTreeMap<String, Vec<Test>>>,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Text(TextTest),
    Number(f64),
    /// `true`, `false` or `null`.
    Literal(Value),
    Cidr(IpAddr, u8),
    Exists(bool),
    AnythingBut(Vec<Test>),
}

#[derive(Debug, Clone, PartialEq)]
enum TextTest {
    Is(String),
    IsIgnoringCase(String),
    Starts(String),
    StartsIgnoringCase(String),
    Ends(String),
    EndsIgnoringCase(String),
    Like(String),
}

/// A value in an event, with the element of each list that it lies in: the list's number, and the index.
struct Leaf<'e> {
    value: &'e Value,
    within: Vec<(usize, usize)>,
}

impl EventPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Says what EventBridge would refuse, or that an operator is not known here.
    pub fn parse(pattern: &Value) -> Result<EventPattern, String> {
        let members = pattern.as_object().filter(|members| !members.is_empty());
        let members = members.ok_or("a pattern is an object with members")?;
        let combinations = combinations(members, "")?;
        if combinations.len() > MOST_COMBINATIONS {
            return Err(format!("{} combinations: EventBridge takes {MOST_COMBINATIONS}", combinations.len()));
        }
        Ok(EventPattern { combinations })
    }

    /// Whether an event, envelope and all, passes.
    pub fn matches(&self, event: &Value) -> bool {
        let mut leaves = HashMap::new();
        flatten(event, String::new(), &mut Vec::new(), &mut 0, &mut leaves);
        self.combinations.iter().any(|tests| {
            let tests: Vec<_> = tests.iter().map(|(path, tests)| (path.as_str(), tests.as_slice())).collect();
            hold(&tests, &leaves, &mut Vec::new())
        })
    }
}

/// The combinations of an object's members, which lie below `path`.
fn combinations(members: &Map<String, Value>, path: &str) -> Result<Vec<BTreeMap<String, Vec<Test>>>, String> {
    let mut product = vec![BTreeMap::new()];
    for (name, value) in members {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let parts = match value {
            Value::Array(parts) if name == "$or" && is_or(parts) => {
                let above = path.strip_suffix(".$or").unwrap_or_default();
                let parts = parts.iter().filter_map(Value::as_object).map(|part| combinations(part, above));
                parts.collect::<Result<Vec<_>, _>>()?.concat()
            }
            Value::Array(values) => vec![BTreeMap::from([(path.clone(), tests(values, &path)?)])],
            Value::Object(inner) if !inner.is_empty() => combinations(inner, &path)?,
            _ => return Err(format!("{path}: a list or an object with members is expected")),
        };
        let each = product.iter().flat_map(|so_far| {
            parts.iter().map(move |part| so_far.iter().chain(part).map(|(k, v)| (k.clone(), v.clone())).collect())
        });
        product = each.take(MOST_COMBINATIONS + 1).collect();
    }
    Ok(product)
}

/// Whether the list of a member `$or` makes it the operator, and not a field of that name.
fn is_or(parts: &[Value]) -> bool {
    let names_fields = |part: &Value| {
        part.as_object()
            .is_some_and(|part| !part.is_empty() && !part.keys().any(|key| OPERATORS.contains(&key.as_str())))
    };
    parts.len() >= 2 && parts.iter().all(names_fields)
}

fn tests(values: &[Value], path: &str) -> Result<Vec<Test>, String> {
    if values.is_empty() {
        return Err(format!("{path}: an empty list matches nothing"));
    }
    values.iter().map(|value| test(value).map_err(|error| format!("{path}: {error}"))).collect()
}

fn test(value: &Value) -> Result<Test, String> {
    let members = match value {
        Value::Object(members) => members,
        Value::Array(_) => return Err("a list within a list".to_owned()),
        plain => return Ok(literal(plain)),
    };
    let mut members = members.iter();
    let (Some((operator, operand)), None) = (members.next(), members.next()) else {
        return Err("one operator is expected".to_owned());
    };
    match (operator.as_str(), operand) {
        ("exists", Value::Bool(wanted)) => Ok(Test::Exists(*wanted)),
        ("cidr", Value::String(text)) => {
            let (address, bits) = parse_cidr(text).ok_or_else(|| format!("{text:?} is no network"))?;
            Ok(Test::Cidr(address, bits))
        }
        ("anything-but", operand) => anything_but(operand).map(Test::AnythingBut),
        (operator, operand) => text_test(operator, operand).map(Test::Text),
    }
}

fn literal(value: &Value) -> Test {
    match value {
        Value::String(text) => Test::Text(TextTest::Is(text.clone())),
        Value::Number(number) => Test::Number(number.as_f64().unwrap_or(f64::NAN)),
        other => Test::Literal(other.clone()),
    }
}

fn text_test(operator: &str, operand: &Value) -> Result<TextTest, String> {
    let ignoring_case = |operand: &Value| {
        let members = operand.as_object().filter(|members| members.len() == 1)?;
        members.get("equals-ignore-case")?.as_str().map(fold)
    };
    let text = operand.as_str().map(str::to_owned);
    let folded = ignoring_case(operand);
    let test = match operator {
        "equals-ignore-case" => text.map(|text| TextTest::IsIgnoringCase(fold(&text))),
        "prefix" => text.map(TextTest::Starts).or(folded.map(TextTest::StartsIgnoringCase)),
        "suffix" => text.map(TextTest::Ends).or(folded.map(TextTest::EndsIgnoringCase)),
        "wildcard" => text.filter(|text| is_wildcard(text)).map(TextTest::Like),
        _ => return Err(format!("the operator {operator:?} is not known")),
    };
    test.ok_or_else(|| format!("{operand} is not what {operator:?} takes"))
}

fn anything_but(operand: &Value) -> Result<Vec<Test>, String> {
    let one_or_many = |value: &Value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    match operand {
        Value::Object(members) => {
            let each = members.iter().flat_map(|(operator, operand)| {
                one_or_many(operand).into_iter().map(move |operand| text_test(operator, &operand).map(Test::Text))
            });
            each.collect()
        }
        plain => {
            let values = one_or_many(plain);
            let uniform = values.iter().all(Value::is_string) || values.iter().all(Value::is_number);
            if values.is_empty() || !uniform {
                return Err("anything-but takes texts or numbers".to_owned());
            }
            Ok(values.iter().map(literal).collect())
        }
    }
}

fn flatten<'e>(
    value: &'e Value,
    path: String,
    within: &mut Vec<(usize, usize)>,
    lists: &mut usize,
    leaves: &mut HashMap<String, Vec<Leaf<'e>>>,
) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(value, path, within, lists, leaves);
            }
        }
        Value::Array(elements) => {
            let list = *lists;
            *lists += 1;
            for (index, element) in elements.iter().enumerate() {
                within.push((list, index));
                flatten(element, path.clone(), within, lists, leaves);
                within.pop();
            }
        }
        value => leaves.entry(path).or_default().push(Leaf { value, within: within.clone() }),
    }
}

/// Whether each field has a leaf that passes, such that leaves from one list are from one element of it.
fn hold(tests: &[(&str, &[Test])], leaves: &HashMap<String, Vec<Leaf<'_>>>, chosen: &mut Vec<(usize, usize)>) -> bool {
    let Some(((path, alternatives), rest)) = tests.split_first() else {
        return true;
    };
    let found = leaves.get(*path).map(Vec::as_slice).unwrap_or_default();
    if found.is_empty() && alternatives.contains(&Test::Exists(false)) {
        return hold(rest, leaves, chosen);
    }
    found.iter().any(|leaf| {
        let consistent =
            leaf.within.iter().all(|(list, index)| chosen.iter().all(|(other, at)| list != other || index == at));
        if !consistent || !alternatives.iter().any(|test| test.accepts(leaf.value)) {
            return false;
        }
        let before = chosen.len();
        chosen.extend(&leaf.within);
        let held = hold(rest, leaves, chosen);
        chosen.truncate(before);
        held
    })
}

impl Test {
    fn accepts(&self, value: &Value) -> bool {
        match self {
            Test::Text(test) => value.as_str().is_some_and(|text| test.accepts(text)),
            Test::Number(number) => value.as_f64() == Some(*number),
            Test::Literal(literal) => literal == value,
            Test::Cidr(network, bits) => {
                let address = value.as_str().and_then(|text| text.parse().ok());
                address.is_some_and(|address| masked(address, *bits) == masked(*network, *bits))
            }
            Test::Exists(wanted) => *wanted,
            Test::AnythingBut(tests) => !tests.iter().any(|test| test.accepts(value)),
        }
    }
}

impl TextTest {
    fn accepts(&self, text: &str) -> bool {
        match self {
            TextTest::Is(wanted) => text == wanted,
            TextTest::IsIgnoringCase(wanted) => fold(text) == *wanted,
            TextTest::Starts(wanted) => text.starts_with(wanted.as_str()),
            TextTest::StartsIgnoringCase(wanted) => fold(text).starts_with(wanted.as_str()),
            TextTest::Ends(wanted) => text.ends_with(wanted.as_str()),
            TextTest::EndsIgnoringCase(wanted) => fold(text).ends_with(wanted.as_str()),
            TextTest::Like(wildcard) => wildcard_matches(wildcard, text),
        }
    }
}

/// EventBridge compares letters without case one by one; so no letter is folded to several.
fn fold(text: &str) -> String {
    let one = |c: char| {
        let mut lower = c.to_lowercase();
        match (lower.next(), lower.next()) {
            (Some(lower), None) => lower,
            _ => c,
        }
    };
    text.chars().map(one).collect()
}

/// Whether a wildcard is one that EventBridge takes: no `**`, and `\` only before `*` or `\`.
fn is_wildcard(text: &str) -> bool {
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let fine = match c {
            '\\' => chars.next().is_some_and(|escaped| matches!(escaped, '*' | '\\')),
            '*' => chars.peek() != Some(&'*'),
            _ => true,
        };
        if !fine {
            return false;
        }
    }
    true
}

/// Whether `text` has the literals of a wildcard in their order: `*` stands for any text, `\` before `*` or `\` for
/// that character.
pub(crate) fn wildcard_matches(wildcard: &str, text: &str) -> bool {
    let mut parts = vec![String::new()];
    let mut chars = wildcard.chars();
    while let Some(c) = chars.next() {
        match (c, parts.last_mut()) {
            ('*', _) => parts.push(String::new()),
            ('\\', Some(part)) => part.extend(chars.next()),
            (c, Some(part)) => part.push(c),
            (_, None) => {}
        }
    }
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
        return false;
    };
    if parts.len() == 1 {
        return text == first;
    }
    let Some(mut rest) = text.strip_prefix(first.as_str()) else {
        return false;
    };
    // The earliest place of each literal leaves the most for the others.
    for part in &parts[1..parts.len() - 1] {
        match rest.find(part.as_str()) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

fn parse_cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let bits: u8 = bits.parse().ok()?;
    (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, bits))
}

/// The network part of an address, which is of another kind for IPv4 and IPv6.
fn masked(address: IpAddr, bits: u8) -> (bool, u128) {
    let (is_ipv4, width, number) = match address {
        IpAddr::V4(address) => (true, 32, u128::from(address.to_bits())),
        IpAddr::V6(address) => (false, 128, address.to_bits()),
    };
    let dropped = width - u32::from(bits).min(width);
    (is_ipv4, number.checked_shr(dropped).unwrap_or(0))
}

#[cfg(test)]
#[path = "event_pattern_tests.rs"]
mod tests;
