//! What rules require, put together: by service the calls, and apart from them the fields of rules that name no call;
//! each once for calls that read and once for the others.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::EventKind;
use crate::event_pattern::OPERATORS;
use crate::requirement::{Clause, NAME, Op, SOURCE, Test, fold, is_scalar};
use crate::rule::Rule;

/// What the names of calls begin with that EventBridge takes for read-only ones.
pub(super) const READS: [&str; 3] = ["Describe", "Get", "List"];

/// Calls of AWS STS that it delivers like those that change something, for all that their names say.
const NO_READS: [&str; 2] = ["GetFederationToken", "GetSessionToken"];

/// Fields that every event has: that they exist asks for nothing.
const ALWAYS: [&str; 10] = [
    "awsRegion",
    "eventID",
    NAME,
    SOURCE,
    "eventTime",
    "eventType",
    "eventVersion",
    "sourceIPAddress",
    "userAgent",
    "userIdentity.type",
];

/// Indexes of rules.
pub(super) type Rules = BTreeSet<usize>;

/// Tests by what makes them the same, each with the rules that want it.
type Names = BTreeMap<(Op, String, bool), (Test, Rules)>;

/// All that a set of rules wants of CloudTrail, and which rules want it.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Calls of services; no services stand for any.
    pub(super) calls: BTreeMap<Services, Names>,
    /// Clauses of fields other than the call's name.
    pub(super) fields: Vec<(bool, Clause, Rules)>,
    /// Rules that may match anything.
    pub(super) everything: Vec<usize>,
}

/// What calls are filed under: whether they are read-only, and the tests of their service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Services {
    pub(super) read_only: bool,
    keys: Vec<(Op, String, bool)>,
}

impl Services {
    pub(super) fn tests(&self) -> Vec<Test> {
        self.keys.iter().map(|(op, text, cased)| Test { op: *op, text: text.clone(), cased: *cased }).collect()
    }
}

impl Wanted {
    pub(super) fn of(rules: &[&Rule]) -> Wanted {
        let mut wanted = Wanted::default();
        for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.looks_at(EventKind::CloudTrail)) {
            let clauses: Vec<Clause> = rule.requirement.clauses.iter().map(expressible).collect();
            if clauses.iter().any(asks_for_nothing) {
                wanted.everything.push(index);
                continue;
            }
            clauses.into_iter().for_each(|clause| wanted.add(clause, index));
        }
        wanted.drop_covered();
        wanted
    }

    fn add(&mut self, mut clause: Clause, rule: usize) {
        match clause.tests.remove(NAME) {
            Some(names) => {
                let services = clause.tests.remove(SOURCE).unwrap_or_default();
                names.into_iter().for_each(|name| self.add_call(&services, name, rule));
            }
            None => {
                let verbs = READS.map(|verb| Test { op: Op::Starts, text: verb.to_owned(), cased: true });
                let mut reads = clause.clone();
                reads.tests.insert(NAME.to_owned(), verbs.to_vec());
                self.add_fields(false, clause, rule);
                self.add_fields(true, reads, rule);
            }
        }
    }

    fn add_call(&mut self, services: &[Test], name: Test, rule: usize) {
        let mut keys: Vec<_> = services.iter().map(Test::key).collect();
        keys.sort();
        let (reads, changes) = reach(&name);
        for read_only in
            [(reads, true), (changes, false)].into_iter().filter(|(reaches, _)| *reaches).map(|pair| pair.1)
        {
            let names = self.calls.entry(Services { read_only, keys: keys.clone() }).or_default();
            names.entry(name.key()).or_insert_with(|| (name.clone(), Rules::new())).1.insert(rule);
        }
    }

    fn add_fields(&mut self, read_only: bool, clause: Clause, rule: usize) {
        let same = self.fields.iter_mut().find(|(reads, other, _)| *reads == read_only && *other == clause);
        match same {
            Some((_, _, rules)) => drop(rules.insert(rule)),
            None => self.fields.push((read_only, clause, Rules::from([rule]))),
        }
    }

    /// Drops names that another test covers, of the same services or of any.
    fn drop_covered(&mut self) {
        let groups: Vec<Services> = self.calls.keys().cloned().collect();
        for group in groups {
            let anywhere = Services { read_only: group.read_only, keys: Vec::new() };
            for wider in [group.clone(), anywhere] {
                let Some(mut names) = self.calls.remove(&group) else { break };
                let mut left = Names::new();
                while let Some((key, (test, rules))) = names.pop_first() {
                    let is_self = wider == group;
                    let elsewhere = self.calls.get_mut(&wider);
                    let covering = if is_self {
                        names.values_mut().find(|(other, _)| covers(other, &test))
                    } else {
                        elsewhere.and_then(|names| names.values_mut().find(|(other, _)| covers(other, &test)))
                    };
                    match covering {
                        Some((_, covering)) => covering.extend(rules),
                        None => drop(left.insert(key, (test, rules))),
                    }
                }
                if !left.is_empty() {
                    self.calls.insert(group.clone(), left);
                }
            }
        }
    }
}

/// Whether whatever passes `narrow` passes `wide` too.
fn covers(wide: &Test, narrow: &Test) -> bool {
    let is_text = matches!(wide.op, Op::Is | Op::Starts | Op::Ends);
    is_text && !wide.cased && narrow.op == Op::Is && wide.may_accept(&narrow.text)
}

/// Whether a clause asks neither for a call nor for a service.
pub(super) fn is_nameless(clause: &Clause) -> bool {
    ![NAME, SOURCE].iter().any(|field| clause.tests.get(*field).is_some_and(|tests| is_narrow(field, tests)))
}

/// What of a clause a pattern can say: the call with its service; else the service and fields with one value each; else
/// one other field.
fn expressible(clause: &Clause) -> Clause {
    let mut tests = clause.tests.clone();
    tests.retain(|field, tests| is_narrow(field, tests) && !OPERATORS.iter().any(|word| is_under(field, word)));
    if tests.contains_key(NAME) {
        tests.retain(|field, _| field == NAME || field == SOURCE);
    } else if tests.keys().any(|field| is_scalar(field)) {
        tests.retain(|field, _| is_scalar(field));
    } else {
        let vagueness = |tests: &[Test]| (tests.iter().any(|test| test.op == Op::Exists), tests.len());
        let strictest = tests.into_iter().min_by_key(|(_, tests)| vagueness(tests));
        tests = strictest.into_iter().collect();
    }
    Clause { tests }
}

fn is_under(field: &str, first: &str) -> bool {
    field.split('.').next() == Some(first)
}

fn is_narrow(field: &str, tests: &[Test]) -> bool {
    !(ALWAYS.contains(&field) && tests.iter().any(|test| test.op == Op::Exists))
}

fn asks_for_nothing(clause: &Clause) -> bool {
    clause.tests.is_empty()
}

/// Whether EventBridge takes a call of this name for a read-only one.
pub(super) fn is_read(name: &str) -> bool {
    let name = fold(name);
    let is = |words: &[&str], test: fn(&str, &str) -> bool| words.iter().any(|word| test(&name, &fold(word)));
    is(&READS, |name, verb| name.starts_with(verb)) && !is(&NO_READS, |name, other| name == other)
}

/// Whether names that read pass, and names that do not.
fn reach(name: &Test) -> (bool, bool) {
    let begin = match name.op {
        Op::Is => return (is_read(&name.text), !is_read(&name.text)),
        Op::Starts => fold(&name.text),
        Op::Like => fold(name.text.split(['*', '\\']).next().unwrap_or_default()),
        Op::Ends | Op::Cidr | Op::Exists => String::new(),
    };
    let verbs = || READS.iter().map(|verb| fold(verb));
    let only_reads = verbs().any(|verb| begin.starts_with(&verb));
    (only_reads || verbs().any(|verb| verb.starts_with(&begin)), !only_reads)
}
