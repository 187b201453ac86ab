//! The examples of docs/RULES.md load, and their tests hold.

#![allow(clippy::unwrap_used, clippy::panic)]

use dial_rules::rule_test::run;
use dial_rules::ruleset::{RuleFile, RuleSet};

const GUIDE: &str = include_str!("../../docs/RULES.md");

/// The examples in YAML that begin with this key.
fn examples(key: &str) -> Vec<RuleFile> {
    let examples = GUIDE.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let with_key = examples.filter(|example| example.starts_with(key)).enumerate();
    with_key.map(|(at, text)| RuleFile { name: format!("{key}{at}"), text: text.to_owned() }).collect()
}

#[test]
fn the_guides_rules_load_and_its_tests_hold() {
    let loaded = RuleSet::load(&examples("title:"));
    assert_eq!(loaded.problems, []);
    assert!(loaded.rules.rules().len() >= 4 && loaded.rules.correlations().len() >= 2);
    let tests = examples("rule:");
    assert!(tests.len() >= 3);
    for test in &tests {
        let outcomes = run(&loaded.rules, test);
        assert!(outcomes.len() >= 2, "{}", test.text);
        let failed: Vec<_> = outcomes.iter().filter(|outcome| outcome.failure.is_some()).collect();
        assert!(failed.is_empty(), "{failed:#?}");
    }
    for correlation in loaded.rules.correlations().iter() {
        let is_tested = tests.iter().any(|test| test.text.contains(&correlation.id));
        assert!(is_tested, "{} has no tests in the guide", correlation.title);
    }
}
