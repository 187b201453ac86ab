//! What is wrong with rules that load, and what could be better about them.

mod attack;
mod contradiction;
mod correlations;
mod known_fields;
mod regex_cost;

use std::collections::BTreeMap;

use rsigma_parser::{Detection, DetectionItem, Modifier, SigmaValue};

use crate::event::EventKind;
use crate::rule::Rule;
use crate::rule_test::RuleTest;
use crate::ruleset::{Problem, RuleFile, RuleSet};

/// What stands where its author still has to write something.
pub const PLACEHOLDER: &str = "TODO";

/// What checking came to, in the order of the rules.
#[derive(Debug, Default)]
pub struct Checked {
    /// Rules that can find nothing, tests that cannot be run.
    pub errors: Vec<Problem>,
    /// What its author should look at once more.
    pub remarks: Vec<Problem>,
}

/// Which cases a rule has.
#[derive(Default)]
struct Tested {
    matching: bool,
    other: bool,
}

impl Tested {
    /// Which cases are missing.
    fn lacking(tested: Option<&Tested>) -> Option<&'static str> {
        match tested {
            None => Some("no tests: put cases into a file NAME.test.yml beside it"),
            Some(Tested { matching: false, .. }) => {
                Some("no test case that it must match: a rule that finds nothing would pass")
            }
            Some(Tested { other: false, .. }) => {
                Some("no test case that it must not match: a rule that matches all would pass")
            }
            Some(_) => None,
        }
    }
}

/// Looks through loaded rules. `files` are those that they were loaded from, so that remarks have their lines; `whole` says
/// whether all of them loaded, without which nothing is said of tests for rules that are missing.
pub fn check(rules: &RuleSet, files: &[RuleFile], tests: &[RuleFile], whole: bool) -> Checked {
    let mut checked = Checked::default();
    let tested = tested(rules, tests, whole, &mut checked.errors);
    let texts: BTreeMap<&str, &str> = files.iter().map(|file| (file.name.as_str(), file.text.as_str())).collect();
    let place = |file: &str, begin: usize, needle: &str, message: String| {
        let text = texts.get(file).copied().unwrap_or_default();
        Problem { file: file.to_owned(), line: line_of(text, begin, needle), message }
    };
    for rule in rules.rules() {
        let at = |needle: &str, message: String| place(&rule.file, rule.line, needle, message);
        if let Some(why) = contradiction::never(rule) {
            checked.errors.push(at("condition:", format!("{:?} can never match: {why}", rule.title)));
        }
        let own = rules.correlations().makes_findings(&rule.id);
        checked.remarks.extend(remarks(rule, tested.get(rule.id.as_str()), own, &at));
    }
    for correlation in rules.correlations().iter() {
        let at = |needle: &str, message: String| place(&correlation.file, correlation.line, needle, message);
        let tested = tested.get(correlation.id.as_str());
        checked.remarks.extend(correlations::remarks(correlation, rules, tested, &at));
    }
    checked
}

/// What the tests have for each rule. A file of tests that cannot be run is an error.
fn tested(rules: &RuleSet, tests: &[RuleFile], whole: bool, errors: &mut Vec<Problem>) -> BTreeMap<String, Tested> {
    let mut tested: BTreeMap<String, Tested> = BTreeMap::new();
    for file in tests {
        let mut error = |line, message| errors.push(Problem { file: file.name.clone(), line, message });
        match RuleTest::parse(&file.text) {
            Err(message) => error(number_after(&message, "line ").unwrap_or(1), message),
            Ok(test) if whole && rules.rule(&test.rule).is_none() && rules.correlations().get(&test.rule).is_none() => {
                let message = format!("no rule has the id {}: correct it, or remove the tests", test.rule);
                error(line_of(&file.text, 1, "rule:"), message);
            }
            Ok(test) => {
                let of_rule = tested.entry(test.rule).or_default();
                of_rule.matching |= test.cases.iter().any(|case| !case.expect.is_empty());
                of_rule.other |=
                    test.cases.iter().any(|case| (1..=case.events.len()).any(|number| !case.expects(number)));
            }
        }
    }
    tested
}

/// `own` says whether the rule makes findings of its own; what is only a part of correlations is tested with them.
fn remarks(rule: &Rule, tested: Option<&Tested>, own: bool, at: &dyn Fn(&str, String) -> Problem) -> Vec<Problem> {
    let has = |message: &str| format!("{:?} has {message}", rule.title);
    let mut remarks = Vec::new();
    if !rule.has_own_id {
        remarks.push(at("", has("no id: its findings are lost sight of once its title changes; give it a UUID")));
    }
    if !rule.has_own_level {
        remarks.push(at("", has("no level: medium is assumed")));
    }
    remarks.extend(Tested::lacking(tested).filter(|_| own).map(|message| at("", has(message))));
    if !EventKind::ALL.iter().any(|kind| rule.looks_at(*kind)) {
        let service = rule.service.as_deref().unwrap_or_default();
        let message =
            format!("there are no events of `service: {service}`: write cloudtrail, guardduty or securityhub");
        remarks.push(at("service:", message));
    }
    for (field, nearest) in known_fields::unknown(rule) {
        let message = match nearest {
            Some(nearest) => format!("no event has a field `{field}`: did you mean `{nearest}`?"),
            None => format!("no event has a field `{field}`: write its whole path, such as requestParameters.name"),
        };
        remarks.push(at(&field, message));
    }
    for field in known_fields::bracketed(rule) {
        let message = format!(
            "the brackets of `{field}` are read as a part of its name: only rules that say \
                               `sigma-version: 3` pick elements with them"
        );
        remarks.push(at(&field, message));
    }
    for (name, fault) in contradiction::idle(rule) {
        remarks.push(at(&format!("{name}:"), format!("of selection `{name}`: {fault}")));
    }
    for tag in &rule.tags {
        remarks.extend(attack::fault(tag).map(|fault| at(tag, fault)));
    }
    for regex in regexes(rule) {
        let shown: String = regex.chars().take(80).collect();
        remarks
            .extend(regex_cost::fault(regex).map(|fault| at(regex, format!("regular expression `{shown}`: {fault}"))));
    }
    if texts(rule).any(|text| text.contains(PLACEHOLDER)) {
        remarks.push(at(PLACEHOLDER, has(&format!("something left to write: look for {PLACEHOLDER}"))));
    }
    remarks
}

/// All that people read of a rule.
fn texts(rule: &Rule) -> impl Iterator<Item = &String> {
    let lists = [&rule.false_positives, &rule.references, &rule.tags];
    [&rule.title, &rule.description].into_iter().chain(&rule.remediation).chain(lists.into_iter().flatten())
}

fn regexes(rule: &Rule) -> Vec<&str> {
    let mut found = Vec::new();
    rule.written.values().for_each(|detection| collect_regexes(detection, &mut found));
    found.sort_unstable();
    found.dedup();
    found
}

fn collect_regexes<'r>(detection: &'r Detection, found: &mut Vec<&'r str>) {
    match detection {
        Detection::AllOf(items) => {
            let regexes = |item: &&DetectionItem| item.field.modifiers.contains(&Modifier::Re);
            found.extend(items.iter().filter(regexes).flat_map(|item| &item.values).filter_map(|value| match value {
                SigmaValue::String(text) => Some(text.original.as_str()),
                _ => None,
            }));
        }
        Detection::And(parts) | Detection::AnyOf(parts) => {
            parts.iter().for_each(|part| collect_regexes(part, found));
        }
        Detection::ArrayMatch { body, .. } => collect_regexes(body, found),
        Detection::Conditional { named, .. } => named.values().for_each(|part| collect_regexes(part, found)),
        Detection::Keywords(_) => {}
    }
}

/// The first line from `begin` on, within its document, that has the words; `begin` itself without one.
fn line_of(text: &str, begin: usize, needle: &str) -> usize {
    let lines = text.lines().enumerate().skip(begin.saturating_sub(1));
    let mut own = lines.take_while(|(at, line)| at + 1 == begin || line.trim_end() != "---");
    own.find(|(_, line)| !needle.is_empty() && line.contains(needle)).map_or(begin, |(at, _)| at + 1)
}

fn number_after(message: &str, words: &str) -> Option<usize> {
    let rest = &message[message.find(words)? + words.len()..];
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}
