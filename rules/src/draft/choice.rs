//! Which fields of an event a rule should ask for: what was called, and the parameters that make the call what it is.
//! Ids, names, addresses and times are of this one event and say nothing of the next.

use serde_json::{Value, json};

use super::scalar;
use crate::event::EventKind;

/// The most parameters that a draft asks for.
const MOST: usize = 3;
/// The longest text that may be one of a few that an API knows, in bytes.
const LONGEST: usize = 32;
/// Parameters, in lower case, whose values are chosen from a list of AWS's.
const CHOSEN_FROM_LIST: &[&str] = &[
    "accesscontrol",
    "acl",
    "attribute",
    "attributetype",
    "authtype",
    "effect",
    "engine",
    "granttype",
    "instancetype",
    "invocationtype",
    "ipprotocol",
    "mode",
    "operationtype",
    "permission",
    "permissions",
    "policytype",
    "protocol",
    "runtime",
    "status",
    "type",
    "x-amz-acl",
];
/// What names of parameters end with, in lower case, whose values are of one event.
const OF_ONE_EVENT: &[&str] = &[
    "address",
    "arn",
    "code",
    "comment",
    "data",
    "date",
    "description",
    "document",
    "email",
    "id",
    "ids",
    "key",
    "keys",
    "name",
    "names",
    "password",
    "path",
    "prefix",
    "secret",
    "time",
    "timestamp",
    "token",
    "uri",
    "url",
    "value",
];

/// A field and the value that the rule asks it for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Choice {
    /// Members on the way to it; lists on it are not counted.
    path: Vec<String>,
    value: Value,
    /// Of an ARN: what it ends with, without the account and the partition.
    ending: Option<String>,
}

/// What to ask for, the most telling last. Empty for a finding that has none of the usual members.
pub(super) fn of(raw: &Value, kind: EventKind) -> Vec<Choice> {
    let text = |path: &[&str]| {
        let value = path.iter().try_fold(raw, |value, name| value.get(name))?;
        let value = value.as_array().map_or(Some(value), |list| list.first())?;
        let is_usable = value.as_str().is_some_and(|text| !text.is_empty() && !text.starts_with("arn:"));
        is_usable.then(|| Choice::new(path.iter().map(|name| (*name).to_owned()).collect(), value.clone()))
    };
    match kind {
        EventKind::GuardDuty => text(&["type"]).into_iter().collect(),
        EventKind::SecurityHub => {
            text(&["GeneratorId"]).or_else(|| text(&["Types"])).or_else(|| text(&["Title"])).into_iter().collect()
        }
        EventKind::CloudTrail => {
            let mut choices: Vec<Choice> =
                [text(&["eventSource"]), text(&["eventName"])].into_iter().flatten().collect();
            choices.extend(text(&["errorCode"]));
            if raw["userIdentity"]["type"] == "Root" {
                choices.extend(text(&["userIdentity", "type"]));
            }
            if raw["eventName"] == "ConsoleLogin" {
                choices.extend(text(&["responseElements", "ConsoleLogin"]));
                choices.extend(text(&["additionalEventData", "MFAUsed"]));
            }
            choices.extend(parameters(&raw["requestParameters"]));
            choices
        }
    }
}

fn parameters(request: &Value) -> Vec<Choice> {
    let mut found = Vec::new();
    collect(request, &mut vec!["requestParameters".to_owned()], &mut found);
    // By how much they say, then as they stand.
    found.sort_by_key(|(rank, _)| *rank);
    let mut chosen: Vec<Choice> = Vec::new();
    for (_, choice) in found {
        if chosen.len() < MOST && !chosen.iter().any(|other| other.path == choice.path) {
            chosen.push(choice);
        }
    }
    chosen.reverse();
    chosen
}

fn collect(value: &Value, path: &mut Vec<String>, found: &mut Vec<(u8, Choice)>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter().filter(|(name, _)| is_plain(name)) {
                path.push(name.clone());
                collect(member, path, found);
                path.pop();
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| collect(element, path, found)),
        leaf => found.extend(rated(path, leaf)),
    }
}

/// Whether the name can stand in a Sigma field as it is, and is not about tags, which are the customer's own.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.eq_ignore_ascii_case("statement") // of a policy, which facts judge as a whole
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        && !name.to_ascii_lowercase().contains("tag")
}

/// How telling a parameter is, 0 the most; `None` if its value is of this one event.
fn rated(path: &[String], value: &Value) -> Option<(u8, Choice)> {
    let name = path.last()?.to_ascii_lowercase();
    let choice = Choice::new(path.to_vec(), value.clone());
    let rank = match value {
        Value::Bool(flag) => 2 + u8::from(!flag),
        Value::Number(number) => {
            (matches!(name.as_str(), "fromport" | "toport" | "port") && number.is_u64()).then_some(2)?
        }
        Value::String(text) => match text.as_str() {
            "0.0.0.0/0" | "::/0" => 0,
            "true" | "false" => 2,
            text if choice.ending.is_some() && text.contains(":iam::aws:policy/") => 0,
            text if text.len() > LONGEST || text.contains(['*', '?', '\\']) || text.chars().any(char::is_control) => {
                return None;
            }
            text if text.starts_with("public-") => 0,
            "" => return None,
            _ if CHOSEN_FROM_LIST.contains(&name.as_str()) => 1,
            _ if OF_ONE_EVENT.iter().any(|end| name.ends_with(end)) => return None,
            text if is_constant(text) => 2,
            _ => return None,
        },
        _ => return None,
    };
    Some((rank, choice))
}

/// `BUCKET_OWNER_FULL`, as APIs spell what is one of a few; not what CloudTrail writes over secrets.
fn is_constant(text: &str) -> bool {
    let spells = |c: char| c.is_ascii_uppercase() || c == '_' || (c.is_ascii_digit() && text.contains('_'));
    text.len() > 1
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.chars().all(spells)
        && !text.starts_with("HIDDEN_")
}

impl Choice {
    fn new(path: Vec<String>, value: Value) -> Choice {
        let ending = value.as_str().filter(|text| text.starts_with("arn:")).and_then(|text| {
            let (_, name) = text.split_once(":policy/")?;
            Some(format!(":policy/{name}"))
        });
        Choice { path, value, ending }
    }

    pub(super) fn field(&self) -> String {
        self.path.join(".")
    }

    /// The line of the rule's selection.
    pub(super) fn item(&self) -> String {
        let field = self.field();
        match (&self.ending, &self.value) {
            (Some(ending), _) => format!("{field}|endswith: {}", scalar(&escape(ending))),
            (None, Value::String(text)) => format!("{field}: {}", scalar(&escape(text))),
            (None, other) => format!("{field}: {other}"),
        }
    }

    /// The event with another value there, in every element of a list.
    pub(super) fn changed(&self, event: &Value) -> Value {
        let other = match &self.value {
            Value::Bool(flag) => json!(!flag),
            Value::Number(number) => json!(number.as_u64().unwrap_or_default() + 1),
            Value::String(text) => match text.as_str() {
                "0.0.0.0/0" => json!("10.0.0.0/8"),
                "::/0" => json!("fd00::/8"),
                "true" => json!("false"),
                "false" => json!("true"),
                text if self.ending.is_some() => json!(format!("{text}-another")),
                text => json!(format!("Another{text}")),
            },
            _ => Value::Null,
        };
        let mut event = event.clone();
        replace(&mut event, &self.path, &other);
        event
    }
}

fn replace(value: &mut Value, path: &[String], other: &Value) {
    match (value, path.split_first()) {
        (Value::Array(elements), _) => elements.iter_mut().for_each(|element| replace(element, path, other)),
        (Value::Object(members), Some((name, rest))) => {
            if let Some(member) = members.get_mut(name) {
                replace(member, rest, other);
            }
        }
        (leaf, None) => *leaf = other.clone(),
        _ => {}
    }
}

/// A text that Sigma takes as it is: `*`, `?` and `\` mean themselves.
fn escape(text: &str) -> String {
    text.chars().flat_map(|c| matches!(c, '*' | '?' | '\\').then_some('\\').into_iter().chain([c])).collect()
}
