//! The test vectors of correlation: `golden/correlation.json`, which `docs/CORRELATION.md` describes for implementations
//! in any language.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use dial_rules::correlation::{CorrelationMatch, Filed, Windows};
use dial_rules::finding::Finding;
use dial_rules::ruleset::{RuleFile, RuleSet};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    name: String,
    /// Ids and names of the rules, of which nothing else matters.
    rules: BTreeMap<String, String>,
    /// Sigma correlations, as JSON.
    correlations: Vec<Value>,
    matches: Vec<Written>,
    /// In which batches the matches become known: numbers from 0. All orders come to the same.
    batches: Vec<Vec<usize>>,
    findings: Vec<Finding>,
}

#[derive(Deserialize, Serialize)]
struct Written {
    #[serde(flatten)]
    seen: CorrelationMatch,
    /// The values of the event's fields.
    fields: BTreeMap<String, BTreeSet<String>>,
}

impl Vector {
    fn rule_set(&self) -> RuleSet {
        let rule = |(id, name): (&String, &String)| {
            json!({"title": name, "id": id, "name": name, "logsource": {"product": "aws"},
                "detection": {"s": {"eventName": "x"}, "condition": "s"}})
        };
        let documents = self.rules.iter().map(rule).chain(self.correlations.iter().cloned());
        let file = |(at, document): (usize, Value)| RuleFile { name: format!("{at}.yml"), text: document.to_string() };
        let loaded = RuleSet::load(&documents.enumerate().map(file).collect::<Vec<_>>());
        assert_eq!(loaded.problems, [], "{}", self.name);
        loaded.rules
    }

    fn filed(&self, rules: &RuleSet, at: usize) -> Vec<Filed> {
        let Written { seen, fields } = &self.matches[at];
        rules.correlations().file_values(seen.clone(), |field| fields.get(field).cloned().unwrap_or_default()).filed
    }

    /// What these batches come to, joined, in order of rule, group and bucket.
    fn found(&self, batches: &[Vec<usize>]) -> Vec<Finding> {
        let rules = self.rule_set();
        let mut windows = Windows::default();
        let mut joined: BTreeMap<String, Finding> = BTreeMap::new();
        for batch in batches {
            let filed = batch.iter().flat_map(|at| self.filed(&rules, *at));
            for update in windows.file(rules.correlations(), filed.collect::<Vec<_>>()) {
                let known = joined.remove(&update.finding_id);
                joined.insert(update.finding_id.clone(), known.map_or(update.clone(), |known| known.merge(update)));
            }
        }
        let mut found: Vec<Finding> = joined.into_values().collect();
        found.sort_by(|a, b| (&a.rule_id, &a.group, a.bucket).cmp(&(&b.rule_id, &b.group, b.bucket)));
        found
    }
}

#[test]
fn the_vectors_hold() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/correlation.json")).unwrap();
    let mut vectors: Vec<Vector> = serde_json::from_str(&text).unwrap();
    assert!(vectors.len() >= 20);
    let mut wrong = Vec::new();
    for vector in &mut vectors {
        let found = vector.found(&vector.batches);
        let all: BTreeSet<usize> = vector.batches.iter().flatten().copied().collect();
        assert_eq!(all.len(), vector.matches.len(), "{}: a match is in no batch", vector.name);
        for order in [vec![(0..all.len()).collect()], (0..all.len()).rev().map(|at| vec![at]).collect::<Vec<_>>()] {
            assert_eq!(vector.found(&order), found, "{}", vector.name);
        }
        if found != vector.findings {
            wrong.push(vector.name.clone());
            vector.findings = found;
        }
    }
    let ours = Path::new(env!("CARGO_TARGET_TMPDIR")).join("correlation.json");
    fs::write(&ours, serde_json::to_string_pretty(&vectors).unwrap() + "\n").unwrap();
    assert!(wrong.is_empty(), "other findings for {wrong:?}; what was found is in {}", ours.display());
}
