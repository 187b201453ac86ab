//! The built-in packs: all load, all cases hold, nothing is remarked on, and out of the box none asks what nobody knows.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;

use dial_rules::accounts::Account;
use dial_rules::addresses::{Addresses, Entry};
use dial_rules::ruleset::{RuleFile, RuleSet};
use dial_rules::tables::Tables;
use dial_rules::{check, pack, rule_test};
use serde_json::json;
use support::event;

#[test]
fn every_case_of_the_packs_holds() {
    let rules = RuleSet::load(&pack::rules()).rules;
    let outcomes: Vec<_> = pack::tests().iter().flat_map(|file| rule_test::run(&rules, file)).collect();
    let failed: Vec<String> = outcomes
        .iter()
        .filter_map(|outcome| Some(format!("{}: {}: {}", outcome.file, outcome.case, outcome.failure.as_ref()?)))
        .collect();
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), outcomes.len(), failed.join("\n"));
    assert!(outcomes.len() > rules.rules().len(), "{}", outcomes.len());
}

/// `dial.caller.person` took the place of four items that many rules repeated: it must say the same of every caller.
#[test]
fn a_person_is_who_the_rules_took_for_one() {
    const ITEMS: &str = "[{dial.caller.kind: [account, federated, root, unknown, user]}, {dial.session.console: true}, \
                         {dial.caller.role|startswith: [AWSReservedSSO_, OrganizationAccountAccessRole]}, \
                         {dial.caller.session|contains: '@'}]";
    let rule = |selection: &str| {
        let text = format!("title: t\nid: r\nlogsource: {{product: aws}}\ndetection: {{s: {selection}, condition: s}}");
        let loaded = RuleSet::load(&[RuleFile { name: "r".to_owned(), text }]);
        assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
        loaded.rules
    };
    let (old, new) = (rule(ITEMS), rule("{dial.caller.person: true}"));
    let types =
        ["Root", "IAMUser", "AssumedRole", "Role", "FederatedUser", "SAMLUser", "AWSService", "AWSAccount", "Odd", ""];
    let roles =
        ["Admin", "AWSReservedSSO_A_1", "awsreservedsso_a", "MyAWSReservedSSO_", "OrganizationAccountAccessRole", ""];
    let sessions = ["build-17", "alice@example.com", "@", ""];
    let agents = ["aws-cli/2.15.0", "console.amazonaws.com"];
    let mut persons = 0;
    for (kind, role) in types.iter().flat_map(|kind| roles.map(|role| (kind, role))) {
        for (session, agent) in sessions.iter().flat_map(|session| agents.map(|agent| (session, agent))) {
            for by in [None, Some("cloudformation.amazonaws.com")] {
                let mut identity = json!({"arn": format!("arn:aws:sts::111122223333:assumed-role/{role}/{session}")});
                if !kind.is_empty() {
                    identity["type"] = json!(kind);
                }
                if let Some(by) = by {
                    identity["invokedBy"] = json!(by);
                }
                let event = event(&json!({"userIdentity": identity, "userAgent": agent}));
                let is_person = !new.evaluate(&event).is_empty();
                assert_eq!(is_person, !old.evaluate(&event).is_empty(), "{identity} {agent}");
                persons += usize::from(is_person);
            }
        }
    }
    assert!((100..900).contains(&persons), "{persons} of 960");
}

#[test]
fn nothing_is_remarked_on() {
    let files = pack::rules();
    let loaded = RuleSet::load(&files);
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    let checked = check::check(&loaded.rules, &files, &pack::tests(), true);
    let all: Vec<String> = checked.errors.iter().chain(&checked.remarks).map(ToString::to_string).collect();
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn out_of_the_box_rules_that_need_tables_are_silent_and_say_so() {
    let rules = RuleSet::load(&pack::rules()).rules;
    assert!(rules.unanswerable().is_empty(), "{:?}", rules.unanswerable());
    let wanting: BTreeMap<String, Vec<String>> = rules
        .wanting()
        .into_iter()
        .map(|(rule, wants)| (rule.title.clone(), wants.into_iter().map(|one| one.fact).collect()))
        .collect();
    let optional = rules.rules().iter().filter(|rule| !rule.optional.is_empty());
    for rule in optional {
        let mut facts = rule.optional.clone();
        facts.sort();
        assert_eq!(wanting.get(&rule.title), Some(&facts), "{}", rule.title);
    }
    assert!(wanting.len() >= 8, "{wanting:?}");
    // With all tables none wants anything.
    let tables = Tables {
        known_countries: ["DE".to_owned()].into(),
        critical_accounts: vec!["production".to_owned()],
        used_regions: ["eu-west-1".to_owned()].into(),
        ..everything()
    };
    let rules = RuleSet::load_with(&pack::rules(), tables).rules;
    assert!(rules.wanting().is_empty() && rules.unanswerable().is_empty(), "{:?}", rules.wanting());
}

/// Tables of addresses and accounts that have every part.
fn everything() -> Tables {
    let entry = Entry {
        network: "198.51.100.0/24".to_owned(),
        city: Some("Berlin".to_owned()),
        asn: Some(64496),
        aws_service: Some("EC2".to_owned()),
        tor_exit: Some(true),
        lists: ["offices".to_owned()].into(),
        ..Entry::default()
    };
    let account = Account {
        name: Some("payments".to_owned()),
        environment: Some("production".to_owned()),
        ou: Some("/Workloads".to_owned()),
        tags: [("team".to_owned(), "payments".to_owned())].into(),
    };
    Tables {
        addresses: Addresses::literal(vec![entry]).unwrap(),
        accounts: [("111122223333".to_owned(), account)].into(),
        ..Tables::default()
    }
}

fn problems(condition: &str, more: &str, tables: Tables) -> Vec<String> {
    let text = format!(
        "title: t\nid: r\nlogsource: {{product: aws}}\ndetection: {{s: {{{condition}}}, condition: s}}\nlevel: low\n{more}"
    );
    let loaded = RuleSet::load_with(&[RuleFile { name: "r.yml".to_owned(), text }], tables);
    let loading = loaded.problems.iter().map(ToString::to_string);
    loading.chain(loaded.rules.unanswerable().iter().map(ToString::to_string)).collect()
}

#[test]
fn what_no_table_can_answer_is_told_with_the_setting() {
    for (condition, setting) in [
        ("dial.ip.city: Berlin", "`addresses.city`"),
        ("dial.ip.asn: 64496", "`addresses.asn`"),
        ("dial.ip.network|contains: hosting", "`addresses.asn`"),
        ("dial.ip.aws: false", "`addresses.aws_ranges`"),
        ("dial.ip.aws_service|exists: false", "`addresses.aws_ranges`"),
        ("dial.ip.aws_region: eu-west-1", "`addresses.aws_ranges`"),
        ("dial.ip.tor: true", "`addresses.tor_exits`"),
        ("dial.ip.lists: offices", "`[[addresses.lists]]`"),
        ("dial.account.name: payments", "`[accounts]`"),
        ("dial.account.environment: production", "`[accounts]`"),
        ("dial.account.ou|startswith: /Workloads", "`[accounts]`"),
        ("dial.account.tags: team=payments", "`[accounts]`"),
    ] {
        let told = problems(condition, "", Tables::default());
        assert!(
            told.len() == 1 && told[0].starts_with("r.yml:1: ") && told[0].contains(setting),
            "{condition}: {told:?}"
        );
        assert_eq!(problems(condition, "", everything()), [""; 0], "{condition}");
        let fact = condition.split([':', '|']).next().unwrap();
        assert_eq!(problems(condition, &format!("dial: {{optional: [{fact}]}}"), Tables::default()), [""; 0]);
    }
    for (condition, setting) in [
        ("dial.ip.known_place: false", "`facts.known_countries`"),
        ("dial.account.critical: true", "`facts.critical_accounts`"),
        ("dial.region.unused: true", "`facts.used_regions`"),
    ] {
        let told = problems(condition, "", everything());
        assert!(told.len() == 1 && told[0].contains(setting), "{condition}: {told:?}");
    }
    // What the built-in table or the event itself says, anybody may ask.
    for condition in ["dial.ip.country: DE", "dial.ip.kind: public", "dial.actor: alice", "dial.caller.person: true"] {
        assert_eq!(problems(condition, "", Tables::default()), [""; 0], "{condition}");
    }
}

#[test]
fn lists_that_there_are_not_are_told() {
    let told = problems("dial.ip.lists: [offices, ofices]", "", everything());
    assert!(told.len() == 1 && told[0].contains("\"ofices\": did you mean \"offices\"?"), "{told:?}");
    for condition in
        ["dial.ip.lists: OFFICES", "dial.ip.lists|startswith: of", "dial.ip.lists: off*", "dial.ip.lists|exists: true"]
    {
        assert_eq!(problems(condition, "", everything()), [""; 0], "{condition}");
    }
}

#[test]
fn what_depends_on_when_it_is_asked_is_refused_with_the_reason() {
    for (condition, reason) in [
        ("dial.ip.reputation: 90", "depends on when it is asked"),
        ("dial.ip.reputation.abuse_confidence_score|gte: 90", "depends on when it is asked"),
        ("dial.lineage.persons|contains: alice", "may come later"),
        ("dial.person: alice", "may come later"),
        ("dial.ip.contry: DE", "did you mean `dial.ip.country`?"),
    ] {
        let told = problems(condition, "", everything());
        assert!(told.len() == 1 && told[0].contains(reason), "{condition}: {told:?}");
    }
}

#[test]
fn an_optional_fact_must_be_one_of_the_conditions() {
    let told = problems("dial.ip.tor: true", "dial: {optional: [dial.ip.aws]}", everything());
    assert!(told.len() == 1 && told[0].contains("`dial.ip.aws`"), "{told:?}");
}
