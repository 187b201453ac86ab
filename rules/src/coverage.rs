//! [`Coverage`]: which ATT&CK tactics and techniques rules are tagged with, and the layer that ATT&CK Navigator shows of
//! it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use crate::rule::Rule;
use crate::severity::Severity;

/// ATT&CK's tactics in the order of its matrix. Its newer versions have `stealth` and `defense-impairment` in the place
/// of `defense-evasion`.
pub(crate) const TACTICS: [&str; 16] = [
    "reconnaissance",
    "resource-development",
    "initial-access",
    "execution",
    "persistence",
    "privilege-escalation",
    "defense-evasion",
    "stealth",
    "defense-impairment",
    "credential-access",
    "discovery",
    "lateral-movement",
    "collection",
    "command-and-control",
    "exfiltration",
    "impact",
];

/// A technique, or sub-technique, and the rules tagged with it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Covered {
    /// Such as `T1098.001`.
    pub technique: String,
    /// The tactics that these rules are tagged with.
    pub tactics: Vec<String>,
    /// The highest severity among the rules.
    pub severity: Severity,
    /// Ids of the rules.
    pub rules: Vec<String>,
}

/// What a set of rules covers.
#[derive(Debug, Clone, PartialEq)]
pub struct Coverage {
    /// By technique, in its order.
    pub techniques: Vec<Covered>,
    /// Each tactic with the techniques that its rules are tagged with, and how many rules each; in ATT&CK's order, others
    /// at the end. A rule of several tactics counts under each.
    pub tactics: Vec<(String, BTreeMap<String, usize>)>,
    /// Ids of rules without a technique.
    pub untagged: Vec<String>,
}

impl Coverage {
    /// The coverage of these rules.
    pub fn of(rules: &[Arc<Rule>]) -> Coverage {
        let mut techniques: BTreeMap<&str, Vec<&Rule>> = BTreeMap::new();
        let mut tactics: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        for rule in rules {
            for technique in &rule.techniques {
                techniques.entry(technique).or_default().push(rule);
                for tactic in &rule.tactics {
                    *tactics.entry(tactic.clone()).or_default().entry(technique.clone()).or_default() += 1;
                }
            }
        }
        let mut tactics: Vec<_> = tactics.into_iter().collect();
        tactics.sort_by_key(|(name, _)| TACTICS.iter().position(|tactic| tactic == name).unwrap_or(TACTICS.len()));
        let untagged = rules.iter().filter(|rule| rule.techniques.is_empty()).map(|rule| rule.id.clone());
        Coverage {
            techniques: techniques.into_iter().map(|(technique, rules)| covered(technique, &rules)).collect(),
            tactics,
            untagged: untagged.collect(),
        }
    }

    /// A layer for ATT&CK Navigator, format 4.5:
    /// <https://github.com/mitre-attack/attack-navigator/blob/master/layers/spec/v4.5/layerformat.md>. A technique's
    /// score is the number of its rules. It is shown under each tactic that ATT&CK has it in.
    pub fn navigator(&self, rules: &[Arc<Rule>]) -> Value {
        let title = |id: &String| rules.iter().find(|rule| rule.id == *id).map(|rule| rule.title.as_str());
        let techniques = self.techniques.iter().map(|covered| {
            let titles: Vec<&str> = covered.rules.iter().filter_map(title).collect();
            let links = covered.rules.iter().map(|id| json!({"name": "rule", "value": id}));
            json!({
                "techniqueID": covered.technique, "score": covered.rules.len(), "comment": titles.join("; "),
                "enabled": true, "metadata": links.collect::<Vec<_>>(), "showSubtechniques": true,
            })
        });
        let most = self.techniques.iter().map(|covered| covered.rules.len()).max().unwrap_or(1);
        json!({
            "name": "DIAL", "versions": {"layer": "4.5", "navigator": "5.1.0"}, "domain": "enterprise-attack",
            "description": format!("{} rules for AWS CloudTrail", rules.len()),
            "techniques": techniques.collect::<Vec<_>>(),
            "gradient": {"colors": ["#cfe8ff", "#1f6fb2"], "minValue": 0, "maxValue": most},
        })
    }
}

fn covered(technique: &str, rules: &[&Rule]) -> Covered {
    let tactics: BTreeSet<&String> = rules.iter().flat_map(|rule| &rule.tactics).collect();
    Covered {
        technique: technique.to_owned(),
        tactics: tactics.into_iter().cloned().collect(),
        severity: rules.iter().map(|rule| rule.severity).max().unwrap_or(Severity::Informational),
        rules: rules.iter().map(|rule| rule.id.clone()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::tests::rules;

    #[test]
    fn techniques_are_counted_by_tactic_in_the_order_of_the_matrix() {
        let rule = |id: &str, level: &str, tags: &str| {
            format!(
                "title: {id}\nid: {id}\nlevel: {level}\ntags: [{tags}]\nlogsource: {{product: aws}}\ndetection: {{s: {{eventName: X}}, condition: s}}\n---\n"
            )
        };
        let text = rule("a", "low", "attack.impact, attack.initial-access, attack.t1485, attack.t1078.004")
            + &rule("b", "high", "attack.privilege_escalation, attack.new-one, attack.t1078.004, cve.2024-1")
            + &rule("c", "high", "attack.impact");
        let rules = rules(&text);
        let coverage = Coverage::of(rules.rules());
        let counts: Vec<String> = coverage.tactics.iter().map(|(tactic, of)| format!("{tactic} {of:?}")).collect();
        assert_eq!(
            counts,
            [
                r#"initial-access {"T1078.004": 1, "T1485": 1}"#,
                r#"privilege-escalation {"T1078.004": 1}"#,
                r#"impact {"T1078.004": 1, "T1485": 1}"#,
                r#"new-one {"T1078.004": 1}"#,
            ]
        );
        let shared = &coverage.techniques[0];
        assert_eq!((shared.technique.as_str(), shared.severity, shared.rules.len()), ("T1078.004", Severity::High, 2));
        assert_eq!(coverage.untagged, ["c"]);
        let layer = coverage.navigator(rules.rules());
        assert_eq!((&layer["domain"], &layer["gradient"]["maxValue"]), (&json!("enterprise-attack"), &json!(2)));
        assert_eq!((&layer["techniques"][0]["score"], &layer["techniques"][0]["comment"]), (&json!(2), &json!("a; b")));
    }
}
