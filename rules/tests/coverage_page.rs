//! docs/COVERAGE.md is what rules/coverage.json and the packs say: what DIAL has to see, and the rules that see it.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use dial_rules::pack;
use dial_rules::ruleset::RuleSet;
use dial_rules::severity::Severity;
use serde::Deserialize;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/COVERAGE.md");
const HEAD: &str = "# What is watched, and by which rules

Generated from `rules/coverage.json` and the packs: a test fails, and writes this page anew, when it is not what they say.

- The first table is a summary, row by row. A rule's severity is what it starts with. Files under `correlations/` find several
  events that belong together; their techniques are those of all parts.
- *What is easily missed* names a case in the rule's tests for each.
- *Owed* is what no rule of this version claims. It needs what an account or a person did before, for weeks (baseline), or
  knowledge of the account that neither events nor a table on this machine carry (context).
- What tables on this machine say of addresses and accounts, rules may ask. Built-in rules that need a table which is not
  there are silent until it is; RULES.md says which settings bring it.

";

/// A row of coverage.json.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    row: String,
    /// Whether it goes beyond the rows that DIAL set out with.
    #[serde(default)]
    beyond: bool,
    asks: String,
    calls: Vec<String>,
    /// Files in the packs without `.yml`; a `*` at the end stands for the rest of the name.
    rules: Vec<String>,
    #[serde(default)]
    pitfalls: Vec<Pitfall>,
    #[serde(default)]
    owed: Vec<String>,
}

/// What is easily missed, and the case that proves it is not.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pitfall {
    what: String,
    rule: String,
    case: String,
}

/// A rule, or a correlation, by its file.
type Pack = BTreeMap<String, Listed>;

/// What the page says of it.
struct Listed {
    title: String,
    severity: Severity,
    techniques: Vec<String>,
}

fn rows() -> Vec<Row> {
    serde_json::from_str(include_str!("../coverage.json")).unwrap()
}

/// All that makes findings: the rules, and of the files of correlations the correlations.
fn pack_rules() -> Pack {
    let loaded = RuleSet::load(&pack::rules());
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    let correlations = loaded.rules.correlations();
    let mut pack = Pack::new();
    let mut add = |file: &str, title: &String, severity: Severity, techniques: &[String]| {
        let name = file.strip_prefix("rules/packs/").unwrap().strip_suffix(".yml").unwrap().to_owned();
        let listed = Listed { title: title.clone(), severity, techniques: techniques.to_vec() };
        assert!(pack.insert(name, listed).is_none(), "{file} makes findings of two kinds");
    };
    for rule in loaded.rules.rules().iter().filter(|rule| correlations.makes_findings(&rule.id)) {
        add(&rule.file, &rule.title, rule.severity, &rule.techniques);
    }
    for correlation in correlations.iter().filter(|correlation| correlations.makes_findings(&correlation.id)) {
        add(&correlation.file, &correlation.title, correlation.severity, &correlation.techniques);
    }
    pack
}

/// The files that one of a row's entries names.
fn named<'p>(entry: &str, pack: &'p Pack) -> Vec<&'p str> {
    let fits = |file: &&str| match entry.strip_suffix('*') {
        Some(start) => file.starts_with(start),
        None => *file == entry,
    };
    pack.keys().map(String::as_str).filter(fits).collect()
}

fn rules_of<'p>(row: &Row, pack: &'p Pack) -> BTreeSet<&'p str> {
    row.rules.iter().flat_map(|entry| named(entry, pack)).collect()
}

fn severity(rule: &Listed) -> &'static str {
    rule.severity.as_str()
}

fn page(rows: &[Row], pack: &Pack) -> String {
    let mut page = String::from(HEAD);
    page.push_str("| row | calls | rules | highest |\n| --- | --- | --- | --- |\n");
    for row in rows {
        let files = rules_of(row, pack);
        let highest = files.iter().map(|file| &pack[*file]).max_by_key(|rule| rule.severity).unwrap();
        let beyond = if row.beyond { " (beyond)" } else { "" };
        let (calls, rules) = (row.calls.join(", "), files.len());
        writeln!(page, "| {}{beyond} | {calls} | {rules} | {} |", row.row, severity(highest)).unwrap();
    }
    for row in rows {
        write!(page, "\n## {}\n\n{}\n\n", row.row, row.asks).unwrap();
        page.push_str("| rule | file | severity | techniques |\n| --- | --- | --- | --- |\n");
        for file in rules_of(row, pack) {
            let rule = &pack[file];
            let (title, techniques) = (rule.title.replace('|', "\\|"), rule.techniques.join(", "));
            writeln!(page, "| {title} | `{file}` | {} | {techniques} |", severity(rule)).unwrap();
        }
        if !row.pitfalls.is_empty() {
            page.push_str("\nWhat is easily missed:\n\n");
        }
        for pitfall in &row.pitfalls {
            writeln!(page, "- {}: `{}`, \"{}\"", pitfall.what, pitfall.rule, pitfall.case).unwrap();
        }
        if !row.owed.is_empty() {
            page.push_str("\nOwed:\n\n");
        }
        row.owed.iter().for_each(|owed| writeln!(page, "- {owed}").unwrap());
    }
    page
}

#[test]
fn every_row_has_rules_and_every_rule_a_row() {
    let (rows, pack) = (rows(), pack_rules());
    for row in &rows {
        assert!(!row.rules.is_empty() && !row.calls.is_empty(), "{}", row.row);
        for entry in &row.rules {
            assert!(!named(entry, &pack).is_empty(), "{}: no rule is called {entry}", row.row);
        }
    }
    let covered: BTreeSet<&str> = rows.iter().flat_map(|row| rules_of(row, &pack)).collect();
    let left: Vec<&String> = pack.keys().filter(|file| !covered.contains(file.as_str())).collect();
    assert!(left.is_empty(), "rules/coverage.json names no row for {left:?}");
}

#[test]
fn every_call_of_a_row_is_named_by_one_of_its_rules() {
    let texts: BTreeMap<String, String> = pack::rules().into_iter().map(|file| (file.name, file.text)).collect();
    let pack = pack_rules();
    for row in rows() {
        let texts: Vec<&String> =
            rules_of(&row, &pack).iter().map(|file| &texts[&format!("rules/packs/{file}.yml")]).collect();
        for call in row.calls.iter().filter(|call| *call != "GuardDuty Finding") {
            // As a whole word: CreateDomain is no part of CreateDomainName.
            let named = |text: &&String| text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == call);
            assert!(texts.iter().any(named), "{}: no rule names {call}", row.row);
        }
    }
}

#[test]
fn what_is_easily_missed_has_its_case() {
    let tests: BTreeMap<String, String> = pack::tests().into_iter().map(|file| (file.name, file.text)).collect();
    let pack = pack_rules();
    for row in rows() {
        for pitfall in &row.pitfalls {
            assert!(rules_of(&row, &pack).contains(pitfall.rule.as_str()), "{}: {}", row.row, pitfall.rule);
            let text = &tests[&format!("rules/packs/{}{}", pitfall.rule, pack::TEST_SUFFIX)];
            let has = text
                .lines()
                .any(|line| line.trim().trim_start_matches("- name:").trim().trim_matches(['\'', '"']) == pitfall.case);
            assert!(has, "{} has no case {:?}", pitfall.rule, pitfall.case);
        }
    }
}

#[test]
fn the_page_is_what_the_packs_say() {
    let written = std::fs::read_to_string(PAGE).unwrap_or_default();
    let generated = page(&rows(), &pack_rules());
    if written != generated {
        // So that the next run passes and the change shows in the diff.
        std::fs::write(PAGE, &generated).unwrap();
        panic!("docs/COVERAGE.md was out of date and has been written anew: look at it and commit it");
    }
}
