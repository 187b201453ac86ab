//! [`Policy`]: an IAM policy document in parts. Reading is lenient in the direction that finds more: keys in whatever
//! case, single values for lists, and of a key that is there twice both values.
//!
//! From the IAM User Guide, "Grammar of the IAM JSON policy language".

use crate::json;

use super::condition::Part;
use super::glob::{self, Pattern};
use super::node::Node;
use super::principal::{Principal, Principals};

/// How many actions, resources, principals and values of conditions are judged.
const MOST_PATTERNS: usize = 5_000;

/// How long one of them may be.
const LONGEST_PATTERN: usize = 2_048;

/// A document in parts.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    pub(crate) statements: Vec<Statement>,
    pub(crate) duplicate_keys: bool,
    /// Some part of it is not as the grammar has it, and was left out.
    pub(crate) unreadable: bool,
    /// Some part of it was left out for its size.
    pub(crate) too_large: bool,
    patterns: usize,
}

/// One statement.
#[derive(Debug, Default)]
pub(crate) struct Statement {
    pub(crate) allows: bool,
    /// In lower case: actions are the same in whatever case.
    pub(crate) actions: Patterns,
    pub(crate) resources: Patterns,
    /// `None` in the policy of an identity.
    pub(crate) principals: Option<Principals>,
    pub(crate) conditions: Vec<Part>,
    /// A key is there twice, or a part was left out: it may say less than all of its parts together.
    pub(crate) doubtful: bool,
}

/// `Action` and `NotAction`, or `Resource` and `NotResource`.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    pub(crate) named: Vec<Named>,
    /// One list for each `NotAction`: real documents have at most one.
    pub(crate) except: Vec<Vec<Named>>,
}

/// A pattern and how it is written.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) text: String,
    pub(crate) pattern: Pattern,
    /// Of an ARN with all its parts: those that say what it is about.
    pub(crate) arn: Option<Arn>,
}

/// The parts of a pattern for ARNs.
#[derive(Debug)]
pub(crate) struct Arn {
    pub(crate) service: Pattern,
    pub(crate) resource: Pattern,
    /// It fixes no region.
    pub(crate) everywhere: bool,
}

impl Named {
    pub(crate) fn new(text: String) -> Named {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let arn = match parts[..] {
            ["arn", _, service, region, _, resource] => Some(Arn {
                service: Pattern::new(service),
                resource: Pattern::new(resource),
                everywhere: region.is_empty() || glob::is_anything(region),
            }),
            _ => None,
        };
        Named { pattern: Pattern::new(&text), arn, text }
    }
}

impl Patterns {
    /// Whether one of those named passes `named`, or none of those excepted passes `excepted`.
    pub(crate) fn any(&self, named: impl Fn(&Named) -> bool, excepted: impl Fn(&Named) -> bool) -> bool {
        self.named.iter().any(named) || self.except.iter().any(|except| !except.iter().any(&excepted))
    }

    /// Whether all that `probe` matches is among them.
    pub(crate) fn contain(&self, probe: &Pattern) -> bool {
        self.any(|named| named.pattern.covers(probe), |excepted| excepted.pattern.overlaps(probe))
    }

    /// Whether the statement lacks the element.
    pub(crate) fn are_absent(&self) -> bool {
        self.named.is_empty() && self.except.is_empty()
    }
}

impl Policy {
    /// Reads the object `bytes`, which was scanned before.
    pub(crate) fn parse(bytes: &[u8]) -> Policy {
        let mut policy = Policy::default();
        let mut keys = Keys::default();
        let mut has_statement = false;
        for (key, value) in json::members(bytes) {
            let key = keys.next(key);
            if key == "statement" {
                has_statement = true;
                let nodes =
                    if value.starts_with(b"[") { json::elements(value).map(Node).collect() } else { vec![Node(value)] };
                nodes.into_iter().for_each(|node| policy.add(node));
            }
        }
        policy.duplicate_keys |= keys.repeated;
        policy.unreadable |= !has_statement;
        policy
    }

    /// A policy of this one statement.
    pub(crate) fn single(statement: Statement) -> Policy {
        Policy { statements: vec![statement], ..Policy::default() }
    }

    fn add(&mut self, node: Node<'_>) {
        if self.patterns >= MOST_PATTERNS || self.statements.len() >= MOST_PATTERNS {
            self.too_large = true;
            return;
        }
        if !node.is_object() {
            self.unreadable = true;
            return;
        }
        let mut statement = Statement::default();
        let (mut keys, mut effects, mut faulty) = (Keys::default(), Vec::new(), false);
        for (key, value) in json::members(node.0) {
            let value = Node(value);
            match keys.next(key).as_str() {
                "effect" => effects.push(value.text().map(|text| text.to_ascii_lowercase()).unwrap_or_default()),
                "action" => statement.actions.named.extend(self.patterns(value, &mut faulty, true)),
                "notaction" => statement.actions.except.push(self.patterns(value, &mut faulty, true)),
                "resource" => statement.resources.named.extend(self.patterns(value, &mut faulty, false)),
                "notresource" => statement.resources.except.push(self.patterns(value, &mut faulty, false)),
                "principal" => {
                    let named = self.principals(value, &mut statement.doubtful, &mut faulty);
                    statement.principals.get_or_insert_default().named.extend(named);
                }
                "notprincipal" => {
                    let except = self.principals(value, &mut statement.doubtful, &mut faulty);
                    statement.principals.get_or_insert_default().except = Some(except);
                }
                "condition" => {
                    let parts = self.conditions(value, &mut statement.doubtful, &mut faulty);
                    statement.conditions.extend(parts);
                }
                _ => {}
            }
        }
        statement.doubtful |= keys.repeated;
        statement.allows = effects.iter().any(|effect| effect == "allow");
        self.duplicate_keys |= statement.doubtful;
        self.unreadable |= faulty;
        // What was left out may have been an exception.
        statement.doubtful |= faulty || self.too_large;
        if statement.allows || effects.iter().any(|effect| effect == "deny") {
            self.statements.push(statement);
        } else {
            self.unreadable = true;
        }
    }

    /// The texts of a value that is one text or a list of them.
    fn texts(&mut self, value: Node<'_>, faulty: &mut bool) -> Vec<String> {
        let nodes: Box<dyn Iterator<Item = &[u8]>> =
            if value.0.starts_with(b"[") { Box::new(json::elements(value.0)) } else { Box::new([value.0].into_iter()) };
        let mut texts = Vec::new();
        for node in nodes {
            if self.patterns >= MOST_PATTERNS {
                self.too_large = true;
                break;
            }
            self.patterns += 1;
            match Node(node).scalar() {
                Some(text) if text.len() > LONGEST_PATTERN => self.too_large = true,
                Some(text) => texts.push(text.into_owned()),
                None => *faulty = true,
            }
        }
        texts
    }

    fn patterns(&mut self, value: Node<'_>, faulty: &mut bool, fold: bool) -> Vec<Named> {
        let texts = self.texts(value, faulty).into_iter();
        texts.map(|text| Named::new(if fold { text.to_ascii_lowercase() } else { text })).collect()
    }

    fn principals(&mut self, value: Node<'_>, doubtful: &mut bool, faulty: &mut bool) -> Vec<Principal> {
        if !value.is_object() {
            let texts = self.texts(value, faulty);
            return texts.iter().map(|text| Principal::parse("AWS", text)).collect();
        }
        let mut keys = Keys::default();
        let mut principals = Vec::new();
        for (key, value) in json::members(value.0) {
            let kind = keys.next(key);
            principals.extend(self.texts(Node(value), faulty).iter().map(|text| Principal::parse(&kind, text)));
        }
        *doubtful |= keys.repeated;
        principals
    }

    fn conditions(&mut self, value: Node<'_>, doubtful: &mut bool, faulty: &mut bool) -> Vec<Part> {
        let mut operators = Keys::default();
        let mut parts = Vec::new();
        *faulty |= !value.is_object();
        for (operator, block) in json::members(value.0) {
            let operator = operators.next(operator);
            *faulty |= !Node(block).is_object();
            let mut keys = Keys::default();
            for (key, values) in json::members(block) {
                let key = keys.next(key);
                let mut unusable = self.patterns >= MOST_PATTERNS;
                let part = Part::new(&operator, key, self.texts(Node(values), &mut unusable));
                *faulty |= unusable || part.is_none();
                // A condition is taken whole or not at all: with values missing it would seem stricter than it is.
                parts.extend(part.filter(|_| !unusable && !self.too_large));
                if self.too_large {
                    break;
                }
            }
            *doubtful |= keys.repeated;
        }
        *doubtful |= operators.repeated;
        parts
    }
}

/// Keys of an object in lower case, and whether one came twice.
#[derive(Default)]
struct Keys {
    seen: std::collections::HashSet<String>,
    repeated: bool,
}

impl Keys {
    fn next(&mut self, key: &[u8]) -> String {
        let key = json::unescape(key).to_ascii_lowercase();
        // Beyond this many, keys are not the grammar's.
        if self.seen.len() < MOST_PATTERNS {
            self.repeated |= !self.seen.insert(key.clone());
        }
        key
    }
}
