//! Correlations among rules: how `dial rules list` and `dial rules explain` show them.

use comfy_table::Cell;
use dial_rules::correlation::{Condition, Correlation};
use dial_rules::event::Event;
use dial_rules::lineage;
use dial_rules::ruleset::RuleSet;
use serde_json::json;

use crate::cli::RuleList;
use crate::failure::Result;
use crate::output::{Output, plain, severity_cell};
use crate::story::span;

/// Whether the list is to have it. A correlation has no log source of its own, so no `--service` picks it.
pub(super) fn is_listed(correlation: &Correlation, args: &RuleList) -> bool {
    let traits = super::rules::Traits {
        severity: correlation.severity,
        tags: &correlation.tags,
        techniques: &correlation.techniques,
        service: None,
        status: correlation.status.as_deref(),
    };
    traits.fit(args)
}

/// A table of its own below that of the rules; nothing where there are none.
pub(super) fn table<'c>(correlations: impl Iterator<Item = &'c Correlation>, output: &Output) -> Result<()> {
    let mut sorted: Vec<_> = correlations.collect();
    if sorted.is_empty() {
        return Ok(());
    }
    sorted.sort_by_key(|correlation| (std::cmp::Reverse(correlation.severity), correlation.title.clone()));
    let rows = sorted.into_iter().map(|correlation| {
        vec![
            severity_cell(correlation.severity),
            Cell::new(plain(&correlation.title)),
            Cell::new(correlation.techniques.join(" ")),
            Cell::new(plain(&asks(correlation))),
            Cell::new(&correlation.id),
        ]
    });
    output.table(&["severity", "correlation", "techniques", "asks for", "id"], rows)
}

/// What it asks for in a few words: `3 rules in order within 1 h by dial.actor`.
fn asks(correlation: &Correlation) -> String {
    let rules = match correlation.parts.len() {
        1 => "1 rule".to_owned(),
        count => format!("{count} rules"),
    };
    let what = match &correlation.condition {
        Condition::EventCount { at_least } => format!("{at_least} events of {rules}"),
        Condition::ValueCount { fields, at_least } => format!("{at_least} values of {} in {rules}", fields.join(", ")),
        Condition::Temporal(_) => rules,
        Condition::TemporalOrdered => format!("{rules} in order"),
    };
    let by = if correlation.group_by.is_empty() { "everybody".to_owned() } else { correlation.group_by.join(", ") };
    format!("{what} within {} by {by}", span(correlation.timespan))
}

pub(super) fn as_json(correlation: &Correlation) -> serde_json::Value {
    let fields = match &correlation.condition {
        Condition::ValueCount { fields, .. } => Some(fields),
        _ => None,
    };
    let at_least = match &correlation.condition {
        Condition::EventCount { at_least } | Condition::ValueCount { at_least, .. } => Some(at_least),
        _ => None,
    };
    json!({
        "id": correlation.id, "title": correlation.title, "severity": correlation.severity, "service": null,
        "status": correlation.status, "tags": correlation.tags,
        "techniques": correlation.techniques, "tactics": correlation.tactics, "description": correlation.description,
        "remediation": correlation.remediation, "false_positives": correlation.false_positives,
        "references": correlation.references, "file": correlation.file, "line": correlation.line,
        "correlation": {
            "type": correlation.kind(), "rules": correlation.parts.iter().map(|part| &part.id).collect::<Vec<_>>(),
            "group_by": correlation.group_by, "timespan_seconds": correlation.timespan / 1000, "at_least": at_least,
            "field": fields, "generate": correlation.generate,
        },
    })
}

/// The groups that the event's matches would be in, as far as the event itself says who acts.
pub(super) fn groups(correlation: &Correlation, rules: &RuleSet, event: &Event) -> Vec<String> {
    let origin = lineage::origin(event);
    let mut groups = Vec::new();
    for found in rules.evaluate(event) {
        for filed in rules.correlations().file(&found, rules.tables(), &origin).filed {
            if filed.correlation == correlation.id {
                let values = filed.group.0.iter().map(|(name, value)| format!("{name} {value}"));
                groups.push(values.collect::<Vec<_>>().join(", "));
            }
        }
    }
    groups.sort();
    groups.dedup();
    groups
}
