//! Events to feed the program with: the hours of the attack in the simulated day that `dial demo --print` prints.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::OnceLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use super::Folder;

/// Findings by their ids.
pub(crate) type Findings = BTreeMap<String, Value>;

/// Around the first event of this name the attack is at its height.
const HEIGHT: &str = "DeactivateMFADevice";
const BEFORE: usize = 420;
const AFTER: usize = 1_480;

/// Some 1,900 EventBridge events around the attack: CloudTrail's calls and sign-ins, and a GuardDuty finding. Printed
/// once for each file of tests.
pub(crate) fn attack() -> &'static [Value] {
    static EVENTS: OnceLock<Vec<Value>> = OnceLock::new();
    EVENTS.get_or_init(|| {
        let printed = Folder::new().run("demo --print --seed 1").expect(0, &[]).out;
        let lines: Vec<&str> = printed.lines().collect();
        let height = lines.iter().position(|line| line.contains(HEIGHT)).expect("the demo's story has such an event");
        let part = &lines[height - BEFORE..lines.len().min(height + AFTER)];
        part.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    })
}

/// What the built-in rules find in [`attack`].
pub(crate) fn attack_findings() -> &'static Findings {
    static FINDINGS: OnceLock<Findings> = OnceLock::new();
    FINDINGS.get_or_init(|| Folder::new().dial(["scan", "-"]).input(lines(attack())).run().findings())
}

/// A few events of [`attack`].
pub(crate) struct Handful {
    /// EventBridge events of CloudTrail records. Every second one makes a finding of its own; the first and the last
    /// but one do not.
    pub(crate) events: Vec<Value>,
    /// What is found in them.
    pub(crate) findings: Findings,
}

/// For each rule at most two events that it finds, each after one that no rule finds.
pub(crate) fn handful() -> &'static Handful {
    static HANDFUL: OnceLock<Handful> = OnceLock::new();
    HANDFUL.get_or_init(|| {
        let found: BTreeMap<&str, &Value> = attack_findings()
            .values()
            .filter(|finding| finding["kind"] == "single")
            .map(|finding| (finding["evidence"][0]["event_id"].as_str().unwrap(), finding))
            .collect();
        let is_quiet = |event: &&Value| !found.contains_key(event_id(event));
        let mut quiet = attack().iter().filter(|event| event["detail"]["eventID"].is_string()).filter(is_quiet);
        let mut by_rule: BTreeMap<&str, usize> = BTreeMap::new();
        let mut handful = Handful { events: Vec::new(), findings: Findings::new() };
        for event in attack() {
            let Some(finding) = found.get(event_id(event)) else { continue };
            let of_rule = by_rule.entry(finding["rule_id"].as_str().unwrap()).or_default();
            *of_rule += 1;
            if *of_rule <= 2 {
                handful.events.extend([quiet.next().unwrap().clone(), event.clone()]);
            }
        }
        // What they come to without the others: who is behind them, and what belongs together.
        handful.findings = Folder::new().dial(["scan", "-"]).input(lines(&handful.events)).run().findings();
        let singles = handful.findings.values().filter(|finding| finding["kind"] == "single").count();
        assert_eq!(2 * singles, handful.events.len());
        let severities: BTreeSet<&str> = handful.findings.values().filter_map(|f| f["severity"].as_str()).collect();
        assert!(handful.findings.len() > 12 && severities.len() > 2, "the demo's story has become too thin");
        handful
    })
}

impl Handful {
    /// The CloudTrail records, without their envelopes.
    pub(crate) fn records(&self) -> Vec<Value> {
        self.events.iter().map(|event| event["detail"].clone()).collect()
    }

    /// The events' first half and their second.
    pub(crate) fn halves(&self) -> (&[Value], &[Value]) {
        self.events.split_at(self.events.len() / 2)
    }
}

/// The id of a CloudTrail record in an EventBridge event; empty for a finding of another service, which may change.
pub(crate) fn event_id(event: &Value) -> &str {
    event["detail"]["eventID"].as_str().unwrap_or_default()
}

/// JSON lines.
pub(crate) fn lines(values: &[Value]) -> Vec<u8> {
    values.iter().map(|value| format!("{value}\n")).collect::<String>().into_bytes()
}

/// EventBridge events as they look in one of the shapes in which CloudTrail reaches people.
pub(crate) fn shape(name: &str, events: &[Value]) -> Vec<u8> {
    let details: Vec<Value> = events.iter().map(|event| event["detail"].clone()).collect();
    match name {
        "envelopes" => lines(events),
        "lines" => lines(&details),
        "array" => serde_json::to_vec(&details).unwrap(),
        "records" => serde_json::to_vec(&serde_json::json!({ "Records": details })).unwrap(),
        "records, indented" => serde_json::to_vec_pretty(&serde_json::json!({ "Records": details })).unwrap(),
        other => panic!("no shape is called {other}"),
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
