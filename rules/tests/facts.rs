//! Facts of events, table by table: `facts/*.yml`. Of the prefixes that a table names, an event must have exactly the facts
//! that its case expects.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;

use dial_rules::facts::Facts;
use dial_rules::tables::Tables;
use serde::Deserialize;
use serde_json::Value;
use support::event;

const FILES: &[(&str, &str)] = &[
    ("acl", include_str!("facts/acl.yml")),
    ("security_groups", include_str!("facts/security_groups.yml")),
    ("sharing", include_str!("facts/sharing.yml")),
    ("callers", include_str!("facts/callers.yml")),
    ("iam", include_str!("facts/iam.yml")),
    ("instances", include_str!("facts/instances.yml")),
    ("places", include_str!("facts/places.yml")),
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    prefixes: Vec<String>,
    #[serde(default, deserialize_with = "dial_rules::rule_test::written_out")]
    tables: Tables,
    /// The caller of events that name none.
    caller: Option<Value>,
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    event: Value,
    expect: BTreeMap<String, Value>,
}

/// Whether a value is what a case expects: itself, `any`, or nearly a number with a tilde before it.
fn is_expected(expected: &Value, found: &Value) -> bool {
    match (expected.as_str(), found.as_f64()) {
        (Some("any"), _) => true,
        (Some(text), Some(found)) => text
            .strip_prefix('~')
            .and_then(|number| number.parse::<f64>().ok())
            .is_some_and(|number| (found - number).abs() < 0.01),
        _ => expected == found,
    }
}

#[test]
fn every_event_has_its_facts() {
    let mut failures = Vec::new();
    for (name, text) in FILES {
        let file: File = yaml_serde::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        for case in &file.cases {
            let mut members = case.event.clone();
            if let (Some(caller), true) = (&file.caller, members["userIdentity"].is_null()) {
                members["userIdentity"] = caller.clone();
            }
            let event = event(&members);
            let facts = Facts::new(&event, &file.tables);
            let concerned = |name: &str| file.prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()));
            let found: BTreeMap<String, Value> = facts
                .present()
                .into_iter()
                .filter(|(name, _)| concerned(name))
                .map(|(name, value)| (name.to_owned(), serde_json::to_value(value).unwrap()))
                .collect();
            let same = found.len() == case.expect.len()
                && case
                    .expect
                    .iter()
                    .all(|(name, value)| found.get(name).is_some_and(|found| is_expected(value, found)));
            if !same {
                failures.push(format!("{name}: {}\n  expected {:?}\n  found    {found:?}", case.name, case.expect));
            }
        }
    }
    assert!(failures.is_empty(), "{} cases:\n{}", failures.len(), failures.join("\n"));
}
