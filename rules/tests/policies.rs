//! Verdicts on policies, table by table: `policies/*.yml`.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use dial_rules::event::Event;
use dial_rules::facts::{Facts, Value};
use dial_rules::tables::Tables;
use serde::Deserialize;
use serde_json::json;

const TABLES: &[(&str, &str)] = &[
    ("identity", include_str!("policies/identity.yml")),
    ("escalation", include_str!("policies/escalation.yml")),
    ("resource", include_str!("policies/resource.yml")),
    ("conditions", include_str!("policies/conditions.yml")),
    ("trust", include_str!("policies/trust.yml")),
    ("malformed", include_str!("policies/malformed.yml")),
];

const FLAGS: &[&str] = &["admin", "public", "outside", "open_federation", "unreadable", "too_large", "duplicate_keys"];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    why: String,
    kind: String,
    document: String,
    #[serde(default, rename = "true")]
    holds: BTreeSet<String>,
    #[serde(default)]
    full_access: Vec<String>,
    #[serde(default)]
    escalation: Option<Paths>,
    #[serde(default)]
    public_actions: Vec<String>,
    #[serde(default)]
    accounts: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Paths {
    Named(Vec<String>),
    /// `all`.
    Word(All),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum All {
    All,
}

fn tables() -> Tables {
    Tables {
        own_accounts: ["777788889999".to_owned()].into(),
        known_accounts: ["222233334444".to_owned()].into(),
        ..Tables::default()
    }
}

/// The call that carries a document of this kind.
fn event(kind: &str, document: &serde_json::Value) -> Event {
    let (source, name, member) = match kind {
        "identity" => ("iam.amazonaws.com", "PutRolePolicy", "policyDocument"),
        "trust" => ("iam.amazonaws.com", "UpdateAssumeRolePolicy", "policyDocument"),
        "resource" => ("secretsmanager.amazonaws.com", "PutResourcePolicy", "resourcePolicy"),
        other => panic!("no kind {other}"),
    };
    support::event(&json!({"eventSource": source, "eventName": name, "requestParameters": { member: document }}))
}

fn texts(facts: &Facts<'_>, name: &str) -> Vec<String> {
    match facts.get(name) {
        Some(Value::Texts(texts)) => texts.to_vec(),
        None => Vec::new(),
        other => panic!("{name}: {other:?}"),
    }
}

/// What the facts say, as a case would have it.
fn verdict(facts: &Facts<'_>) -> (BTreeSet<String>, BTreeMap<&'static str, Vec<String>>) {
    let holds = |flag: &&&str| facts.get(&format!("dial.policy.{flag}")) == Some(Value::Flag(true));
    let lists = ["full_access", "escalation", "public_actions", "accounts"];
    (
        FLAGS.iter().filter(holds).map(|flag| (*flag).to_owned()).collect(),
        lists.into_iter().map(|list| (list, texts(facts, &format!("dial.policy.{list}")))).collect(),
    )
}

#[test]
fn every_document_gets_its_verdict() {
    let all = json!({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}).to_string();
    let (tables, all) = (tables(), event("identity", &all.into()));
    let every_path = texts(&Facts::new(&all, &tables), "dial.policy.escalation");
    assert!(every_path.len() > 40, "{every_path:?}");
    let (mut failures, mut count) = (Vec::new(), 0);
    for (table, text) in TABLES {
        let cases: Vec<Case> = yaml_serde::from_str(text).unwrap_or_else(|error| panic!("{table}: {error}"));
        for case in cases {
            count += 1;
            assert!(
                !case.why.is_empty() && case.holds.iter().all(|flag| FLAGS.contains(&flag.as_str())),
                "{}",
                case.name
            );
            let escalation = match case.escalation {
                Some(Paths::Named(paths)) => paths,
                Some(Paths::Word(All::All)) => every_path.clone(),
                None => Vec::new(),
            };
            let expected = BTreeMap::from([
                ("full_access", case.full_access),
                ("escalation", escalation),
                ("public_actions", case.public_actions),
                ("accounts", case.accounts),
            ]);
            let event = event(&case.kind, &case.document.into());
            let (holds, lists) = verdict(&Facts::new(&event, &tables));
            if (&holds, &lists) != (&case.holds, &expected) {
                failures.push(format!(
                    "{table}: {} ({})\n  expected {:?} {expected:?}\n  found    {holds:?} {lists:?}",
                    case.name, case.why, case.holds
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));
    assert!(count >= 200, "{count} cases");
}
