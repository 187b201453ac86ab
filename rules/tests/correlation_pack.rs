//! The correlations that come with DIAL: their tests hold, with every replay, and each says why it is there.

#![allow(clippy::unwrap_used, clippy::panic)]

use dial_rules::pack;
use dial_rules::patterns::Patterns;
use dial_rules::rule_test::run;
use dial_rules::ruleset::RuleSet;

#[test]
fn all_are_tested_and_hold() {
    let loaded = RuleSet::load(&pack::rules());
    assert_eq!(loaded.problems, []);
    let correlations = loaded.rules.correlations();
    assert!(correlations.len() >= 15);
    let mut tested = Vec::new();
    for file in pack::tests().iter().filter(|file| file.name.contains("/correlations/")) {
        let outcomes = run(&loaded.rules, file);
        let failed: Vec<_> = outcomes.iter().filter(|outcome| outcome.failure.is_some()).collect();
        assert!(failed.is_empty(), "{failed:#?}");
        tested.push(outcomes[0].rule.clone());
    }
    for correlation in correlations.iter().filter(|one| correlations.makes_findings(&one.id)) {
        assert!(tested.contains(&correlation.id), "{} has no tests", correlation.title);
        assert!(correlation.description.len() > 100, "{} does not say why it is there", correlation.title);
        let told = correlation.remediation.is_some() && !correlation.false_positives.is_empty();
        assert!(told, "{} names no first steps, or no false positives", correlation.title);
    }
}

#[test]
fn parts_make_no_findings_and_what_was_there_goes_on_making_them() {
    let rules = RuleSet::load(&pack::rules()).rules;
    for rule in rules.rules() {
        let is_part = rule.file.contains("/correlations/");
        assert_eq!(rules.correlations().makes_findings(&rule.id), !is_part, "{}", rule.title);
    }
    let everything = Patterns::of(rules.rules().iter().map(AsRef::as_ref)).everything;
    assert!(everything.is_empty(), "{everything:?}");
}
