//! [`Explanation`]: why a rule matches an event, or why not, down to each condition and the value that it met.

use rsigma_eval::{
    ConditionTrace, DetectionTrace, ItemTrace, MatchReason, RuleExplanation, SelectionBranch, explain_rule,
};
use rsigma_parser::{ConditionExpr, Detection, DetectionItem, SigmaValue};
use serde::Serialize;
use serde_json::Value;

use crate::event::Event;
use crate::fields::Fields;
use crate::rule::Rule;
use crate::tables::Tables;

/// A condition of a rule, and whether an event meets it. The root stands for the whole rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// Whether it is met.
    pub matched: bool,
    /// The condition: a part of the rule's `condition`, the name of a selection, or a field with what the rule asks of
    /// it, in Sigma's words.
    pub condition: String,
    /// Of a field: the event's value, if it has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Of a field whose condition is not met: what is the matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The conditions it consists of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Explanation>,
}

/// Evaluates a rule on an event, all of its conditions, those too that could be spared. Facts know what the tables say.
pub fn explain(rule: &Rule, event: &Event, tables: &Tables) -> Explanation {
    let looks = rule.looks_at(event.kind());
    let RuleExplanation { matched, conditions, .. } = explain_rule(&rule.compiled(), &Fields::new(event, tables));
    let traced = conditions.iter().zip(&rule.conditions);
    let mut parts: Vec<_> = traced.map(|(trace, written)| of_condition(trace, written, rule)).collect();
    if let Some(service) = &rule.service {
        let (condition, value) = (format!("logsource.service: {service}"), Some(event.kind().service().into()));
        let reason = (!looks).then_some("the event is of another kind");
        parts.insert(0, Explanation { matched: looks, condition, value, reason, parts: Vec::new() });
    }
    Explanation { matched: matched && looks, ..group(false, rule.title.clone(), parts) }
}

fn group(matched: bool, condition: String, parts: Vec<Explanation>) -> Explanation {
    Explanation { matched, condition, value: None, reason: None, parts }
}

fn of_condition(trace: &ConditionTrace, written: &ConditionExpr, rule: &Rule) -> Explanation {
    let each = |traces: &[ConditionTrace], written: &[ConditionExpr]| {
        traces.iter().zip(written).map(|(trace, written)| of_condition(trace, written, rule)).collect()
    };
    match (trace, written) {
        (ConditionTrace::Selection { name, matched, detection }, _) => of_selection(name, *matched, detection, rule),
        (ConditionTrace::And { matched, children }, ConditionExpr::And(written)) => {
            group(*matched, "all of these".to_owned(), each(children, written))
        }
        (ConditionTrace::Or { matched, children }, ConditionExpr::Or(written)) => {
            group(*matched, "one of these".to_owned(), each(children, written))
        }
        (ConditionTrace::Not { matched, child }, ConditionExpr::Not(written)) => {
            group(*matched, "not".to_owned(), vec![of_condition(child, written, rule)])
        }
        (ConditionTrace::Quantified { matched, got, branches, .. }, written) => {
            let part = |branch: &SelectionBranch| of_selection(&branch.name, branch.matched, &branch.detection, rule);
            let condition = format!("{written} ({got} of {} do)", branches.len());
            group(*matched, condition, branches.iter().map(part).collect())
        }
        (trace, written) => group(trace.matched(), written.to_string(), Vec::new()),
    }
}

fn of_selection(name: &str, matched: bool, trace: &DetectionTrace, rule: &Rule) -> Explanation {
    let explained = of_detection(trace, rule.written.get(name));
    // A selection's own line stands for that of its fields taken together.
    let parts = if explained.condition == ALL { explained.parts } else { vec![explained] };
    group(matched, name.to_owned(), parts)
}

const ALL: &str = "all of these";

fn of_detection(trace: &DetectionTrace, written: Option<&Detection>) -> Explanation {
    let each = |traces: &[DetectionTrace]| -> Vec<Explanation> {
        let written = |at: usize| match written {
            Some(Detection::AnyOf(parts) | Detection::And(parts)) => parts.get(at),
            _ => None,
        };
        traces.iter().enumerate().map(|(at, trace)| of_detection(trace, written(at))).collect()
    };
    match trace {
        DetectionTrace::AllOf { matched, items } => {
            let written = |at: usize| match written {
                Some(Detection::AllOf(items)) => items.get(at),
                _ => None,
            };
            let parts = items.iter().enumerate().map(|(at, item)| of_item(item, written(at)));
            group(*matched, ALL.to_owned(), parts.collect())
        }
        DetectionTrace::AnyOf { matched, branches } => group(*matched, "one of these".to_owned(), each(branches)),
        DetectionTrace::And { matched, branches } => group(*matched, ALL.to_owned(), each(branches)),
        DetectionTrace::Keywords { item, .. } => {
            let words = match written {
                Some(Detection::Keywords(values)) => list(values),
                _ => item.pattern.clone().unwrap_or_default(),
            };
            Explanation { condition: format!("anywhere: {words}"), ..of_item(item, None) }
        }
        DetectionTrace::ArrayMatch { field, quantifier, matched, member_count, matched_count, members, .. } => {
            let body = match written {
                Some(Detection::ArrayMatch { body, .. }) => Some(body.as_ref()),
                _ => None,
            };
            let part = |member: &rsigma_eval::ArrayMemberTrace| {
                let inner = of_detection(&member.detection, body);
                group(member.matched, format!("{field}[{}]", member.index), vec![inner])
            };
            let condition = format!("{field}[{quantifier}] ({matched_count} of {member_count} do)");
            group(*matched, condition, members.iter().map(part).collect())
        }
        DetectionTrace::Conditional { matched, .. } => group(*matched, "a condition of its own".to_owned(), Vec::new()),
        DetectionTrace::Other { kind, matched } => group(*matched, kind.clone(), Vec::new()),
    }
}

fn of_item(trace: &ItemTrace, written: Option<&DetectionItem>) -> Explanation {
    let condition = written.map_or_else(
        || format!("{}: {}", trace.field.as_deref().unwrap_or("value"), trace.pattern.as_deref().unwrap_or_default()),
        item_text,
    );
    let reason = match trace.reason {
        MatchReason::Matched => None,
        MatchReason::FieldAbsent => Some("the event does not have it"),
        MatchReason::CaseMismatch => Some("only upper and lower case differ"),
        MatchReason::Existence if trace.actual.is_some() => Some("the event has it"),
        MatchReason::Existence => Some("the event does not have it"),
        MatchReason::ValueMismatch => Some("the value is another"),
        MatchReason::NoKeywordMatch => Some("no text of the event has it"),
    };
    Explanation { matched: trace.matched, condition, value: trace.actual.clone(), reason, parts: Vec::new() }
}

/// `field|modifier: a, b` as in the rule's file.
fn item_text(item: &DetectionItem) -> String {
    let mut text = item.field.name.clone().unwrap_or_else(|| "value".to_owned());
    for modifier in &item.field.modifiers {
        text.push('|');
        text.push_str(&format!("{modifier:?}").to_lowercase());
    }
    text + ": " + &list(&item.values)
}

fn list(values: &[SigmaValue]) -> String {
    let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::event::tests::event;
    use crate::ruleset::tests::rules;
    use serde_json::json;

    fn explained(detection: &str, members: Value) -> Explanation {
        let rules = rules(&format!(
            "title: t\nid: r\nlogsource: {{product: aws, service: cloudtrail}}\ndetection: {detection}\n"
        ));
        let event = event(members);
        let explained = explain(&rules.rules()[0], &event, rules.tables());
        assert_eq!(explained.matched, !rules.evaluate_all(&event).is_empty());
        explained
    }

    /// Each condition on a line: indented, with `+` or `-`, its value, and what is the matter.
    fn lines(explanation: &Explanation) -> Vec<String> {
        let mut lines = Vec::new();
        fn add(node: &Explanation, depth: usize, lines: &mut Vec<String>) {
            let value = node.value.as_ref().map(|value| format!(" = {value}")).unwrap_or_default();
            let reason = node.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            let sign = if node.matched { '+' } else { '-' };
            lines.push(format!("{}{sign} {}{value}{reason}", "  ".repeat(depth), node.condition));
            node.parts.iter().for_each(|part| add(part, depth + 1, lines));
        }
        add(explanation, 0, &mut lines);
        lines
    }

    #[test]
    fn a_tree_says_what_matched_and_what_did_not_and_with_which_values() {
        let detection = "{s_a: {eventName|startswith: [create, delete], eventSource: 'x.*'}, s_b: [{userAgent|cased: Abc}, {readOnly: true}], f: {errorCode|exists: true}, condition: all of s_* and not f}";
        let explained = explained(detection, json!({"userAgent": "abc", "readOnly": true, "errorCode": "E"}));
        assert_eq!(
            lines(&explained),
            [
                "- t",
                r#"  + logsource.service: cloudtrail = "cloudtrail""#,
                "  - all of these",
                "    - all of s_* (1 of 2 do)",
                "      - s_a",
                r#"        + eventName|startswith: create, delete = "CreateUser""#,
                r#"        - eventSource: x.* = "iam.amazonaws.com" (the value is another)"#,
                "      + s_b",
                "        + one of these",
                "          - all of these",
                r#"            - userAgent|cased: Abc = "abc" (only upper and lower case differ)"#,
                "          + all of these",
                "            + readOnly: true = true",
                "    - not",
                "      + f",
                r#"        + errorCode|exists: true = "E""#,
            ]
        );
    }

    #[test]
    fn what_is_not_there_is_said() {
        let text = lines(&explained(
            "{a: {errorCode: X}, b: ['word'], c: {errorCode|exists: true}, condition: a or b or c}",
            json!({}),
        ))
        .join("\n");
        for words in [
            "- errorCode: X (the event does not have it)",
            "- anywhere: word (no text of the event has it)",
            "- errorCode|exists: true (the event does not have it)",
        ] {
            assert!(text.contains(words), "{words} in {text}");
        }
    }

    #[test]
    fn a_rule_for_another_service_says_so() {
        let rules = rules(
            "title: t\nid: r\nlogsource: {product: aws, service: guardduty}\ndetection: {s: {eventName: CreateUser}, condition: s}",
        );
        let explained = explain(&rules.rules()[0], &event(json!({})), rules.tables());
        assert!(!explained.matched && !explained.parts[0].matched && explained.parts[1].matched);
    }
}
