//! Conditions that can never hold, and selections that decide nothing.

use std::collections::BTreeMap;

use rsigma_parser::{ConditionExpr, Detection, DetectionItem, Quantifier, SigmaValue};

use crate::facts::{self, FactType};
use crate::requirement::{fold, is_scalar, of_detection};
use crate::rule::Rule;

/// Why no event can satisfy the rule; `None` if none of this is known.
pub(super) fn never(rule: &Rule) -> Option<String> {
    let reasons: Vec<Option<String>> = rule.conditions.iter().map(|condition| of_condition(condition, rule)).collect();
    if let Some(reasons) = reasons.into_iter().collect::<Option<Vec<_>>>() {
        return reasons.into_iter().next();
    }
    let contradicts = "its conditions ask `eventName` or `eventSource` for different values at once".to_owned();
    rule.requirement.clauses.is_empty().then_some(contradicts)
}

/// Selections that no condition names, or that no event can meet, with what to say of them.
pub(super) fn idle(rule: &Rule) -> Vec<(&str, &'static str)> {
    let mut idle: Vec<(&str, &'static str)> = Vec::new();
    for (name, detection) in &rule.written {
        let impossible = of_detection(detection).clauses.is_empty() || {
            let items = Vec::from_iter(required_of(detection));
            contradiction(&items).is_some()
        };
        if !rule.conditions.iter().any(|condition| names(condition, name)) {
            idle.push((name, "no condition names it: it decides nothing"));
        } else if impossible {
            idle.push((name, "no event can meet it: it asks one field for different values at once"));
        }
    }
    idle.sort_unstable();
    idle
}

fn names(condition: &ConditionExpr, name: &str) -> bool {
    match condition {
        ConditionExpr::And(parts) | ConditionExpr::Or(parts) => parts.iter().any(|part| names(part, name)),
        ConditionExpr::Not(part) => names(part, name),
        ConditionExpr::Identifier(own) => own == name,
        ConditionExpr::Selector { pattern, .. } => pattern.matches_detection_name(name),
    }
}

fn of_condition(condition: &ConditionExpr, rule: &Rule) -> Option<String> {
    match condition {
        ConditionExpr::Or(parts) => {
            let reasons: Option<Vec<String>> = parts.iter().map(|part| of_condition(part, rule)).collect();
            reasons?.into_iter().next()
        }
        ConditionExpr::And(parts) => {
            let required: Vec<&DetectionItem> = parts.iter().flat_map(|part| required(part, rule)).collect();
            let refused: Vec<&ConditionExpr> = parts.iter().filter_map(negated).collect();
            parts
                .iter()
                .find_map(|part| of_condition(part, rule))
                .or_else(|| contradiction(&required))
                .or_else(|| refused.iter().find_map(|refused| left_over(&required, parts, refused, rule)))
        }
        ConditionExpr::Not(_) => None,
        _ => contradiction(&required(condition, rule)),
    }
}

fn negated(part: &ConditionExpr) -> Option<&ConditionExpr> {
    match part {
        ConditionExpr::Not(inner) => Some(inner),
        _ => None,
    }
}

/// Items that every event must satisfy for the condition to hold.
fn required<'r>(condition: &ConditionExpr, rule: &'r Rule) -> Vec<&'r DetectionItem> {
    match condition {
        ConditionExpr::And(parts) => parts.iter().flat_map(|part| required(part, rule)).collect(),
        ConditionExpr::Identifier(name) => rule.written.get(name).map(required_of).unwrap_or_default(),
        ConditionExpr::Selector { quantifier, .. } => {
            let chosen = selected(condition, rule);
            let all = matches!(quantifier, Quantifier::All) || chosen.len() == 1;
            if all { chosen.into_iter().flat_map(required_of).collect() } else { Vec::new() }
        }
        ConditionExpr::Or(_) | ConditionExpr::Not(_) => Vec::new(),
    }
}

fn required_of(detection: &Detection) -> Vec<&DetectionItem> {
    match detection {
        Detection::AllOf(items) => items.iter().collect(),
        Detection::And(parts) => parts.iter().flat_map(required_of).collect(),
        _ => Vec::new(),
    }
}

/// The selections that `NAME` or `all of NAME*` is about.
fn selected<'r>(condition: &ConditionExpr, rule: &'r Rule) -> Vec<&'r Detection> {
    match condition {
        ConditionExpr::Identifier(name) => rule.written.get(name).into_iter().collect(),
        ConditionExpr::Selector { pattern, .. } => {
            let named = rule.written.iter().filter(|(name, _)| pattern.matches_detection_name(name));
            named.map(|(_, detection)| detection).collect()
        }
        _ => Vec::new(),
    }
}

/// A field that has one value, and the values, without case, of which an item wants one. Of other items nothing is known.
fn values(item: &DetectionItem) -> Option<(&str, Vec<String>)> {
    let field = item.field.name.as_deref().filter(|field| is_one_value(field))?;
    let plain = |value: &SigmaValue| match value {
        SigmaValue::String(text) => text.as_plain().map(|text| fold(&text)),
        SigmaValue::Bool(flag) => Some(flag.to_string()),
        _ => None,
    };
    let values: Option<Vec<String>> = item.values.iter().map(plain).collect();
    values.filter(|values| item.field.modifiers.is_empty() && !values.is_empty()).map(|values| (field, values))
}

fn is_one_value(field: &str) -> bool {
    is_scalar(field) || facts::find(field).is_some_and(|fact| matches!(fact.kind, FactType::Flag | FactType::Text))
}

fn contradiction(items: &[&DetectionItem]) -> Option<String> {
    let mut asked: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (field, values) in items.iter().filter_map(|item| values(item)) {
        let Some(before) = asked.get_mut(field) else {
            asked.insert(field, values);
            continue;
        };
        let both: Vec<String> = before.iter().filter(|value| values.contains(value)).cloned().collect();
        if both.is_empty() {
            return Some(format!("it asks `{field}` for {} and for {} at once", listed(before), listed(&values)));
        }
        *before = both;
    }
    None
}

fn listed(values: &[String]) -> String {
    const SHOWN: usize = 3;
    let more = if values.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", values[..values.len().min(SHOWN)].join(", "))
}

/// Whether a `not` refuses whatever the rest lets through: the very condition that is asked for, or a selection on one
/// field that takes in all the values that are.
fn left_over(
    required: &[&DetectionItem],
    parts: &[ConditionExpr],
    refused: &ConditionExpr,
    rule: &Rule,
) -> Option<String> {
    if parts.contains(refused) {
        return Some(format!("it asks for `{refused}` and refuses it"));
    }
    let chosen = selected(refused, rule);
    let one_is_enough = match refused {
        ConditionExpr::Selector { quantifier: Quantifier::Any, .. } | ConditionExpr::Identifier(_) => true,
        ConditionExpr::Selector { quantifier: Quantifier::All, .. } => chosen.len() == 1,
        _ => false,
    };
    if !one_is_enough {
        return None;
    }
    let swallowed = chosen.into_iter().flat_map(alternatives).find_map(|items| {
        let [item] = items else { return None };
        let (field, refused) = values(item)?;
        let asked = required.iter().filter_map(|item| values(item)).filter(|(own, _)| *own == field);
        asked.map(|(_, asked)| asked).find(|asked| asked.iter().all(|value| refused.contains(value)))?;
        Some(field)
    });
    swallowed.map(|field| format!("its `not {refused}` refuses every value of `{field}` that it asks for"))
}

/// Lists of items, of which one must hold as a whole.
fn alternatives(detection: &Detection) -> Vec<&[DetectionItem]> {
    match detection {
        Detection::AllOf(items) => vec![items],
        Detection::AnyOf(parts) => parts.iter().flat_map(alternatives).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::tests::rules;

    fn rule(detection: &str) -> std::sync::Arc<Rule> {
        let text = format!("title: t\nid: r\nlogsource: {{product: aws, service: cloudtrail}}\ndetection: {detection}");
        std::sync::Arc::clone(&rules(&text).rules()[0])
    }

    #[test]
    fn what_can_never_hold_is_told_with_the_reason() {
        for (detection, words) in [
            ("{a: {eventName: X}, b: {eventName: [Y, Z]}, condition: a and b}", "`eventName` for x and for y, z"),
            ("{s_a: {eventName: X}, s_b: {eventName: Y}, condition: all of s_*}", "`eventName`"),
            ("{a: {eventName: X}, b: {eventName|startswith: Y}, condition: a and b}", "`eventName` or `eventSource`"),
            (
                "{a: {userIdentity.type: Root}, b: {userIdentity.type: IAMUser}, condition: a and b}",
                "userIdentity.type",
            ),
            (
                "{a: {dial.policy.public: true}, b: {dial.policy.public: false}, condition: a and b}",
                "true and for false",
            ),
            ("{a: {eventName: X}, condition: a and not a}", "asks for `a` and refuses it"),
            ("{a: {eventName: [X, Y]}, f: {eventName: [x, y, z]}, condition: a and not f}", "`not f` refuses every"),
            (
                "{a: {eventName: X, x: y}, f_1: {q: r}, f_2: [{eventName: X}, {q: r}], condition: a and not 1 of f_*}",
                "every",
            ),
            (
                "{a: {eventName: X}, b: {eventName: Y}, c: {eventName: Z}, condition: (a and b) or (a and c)}",
                "`eventName`",
            ),
        ] {
            let reason = never(&rule(detection));
            assert!(reason.as_ref().is_some_and(|reason| reason.contains(words)), "{detection}: {reason:?}");
        }
    }

    #[test]
    fn what_may_hold_is_left_alone() {
        for detection in [
            "{a: {eventName: [X, Y]}, b: {eventName: [Y, Z]}, condition: a and b}",
            "{a: {eventName: X}, b: {eventName: Y}, condition: a or b}",
            "{s_a: {eventName: X}, s_b: {eventName: Y}, condition: 1 of s_*}",
            "{a: {eventName: [X, Y]}, f: {eventName: X}, condition: a and not f}",
            "{a: {eventName: X}, f: {eventName: X, errorCode: y}, condition: a and not f}",
            "{a: {eventName: X}, f_1: {eventName: X}, f_2: {q: r}, condition: a and not all of f_*}",
            "{a: {eventName: X}, f_1: {eventName: X}, condition: a and not 2 of f_*}",
            "{a: {eventName|cased: X}, f: {eventName|cased: x}, condition: a and f}",
            // Lists: each may be met by another element.
            "{a: {requestParameters.x: X}, b: {requestParameters.x: Y}, condition: a and b}",
            "{a: {dial.sg.cidrs: X}, b: {dial.sg.cidrs: Y}, condition: a and b}",
            "{a: {eventName: 'X*'}, f: {eventName: 'Xy'}, condition: a and not f}",
            "{a: {readOnly: true}, b: {readOnly: 'True'}, condition: a and b}",
        ] {
            assert_eq!(never(&rule(detection)), None, "{detection}");
            assert_eq!(idle(&rule(detection)), [], "{detection}");
        }
    }

    #[test]
    fn selections_that_decide_nothing_are_named() {
        let found =
            rule("{a: {eventName: X}, unused: {q: r}, s_1: {q: r}, s_2: [{eventName: A}], condition: a and 1 of s_*}");
        assert_eq!(idle(&found).into_iter().map(|(name, _)| name).collect::<Vec<_>>(), ["unused"]);
        let found = rule("{a: {eventName: X}, b: {errorCode: A, 'errorCode|re': B}, condition: a or b}");
        assert_eq!(idle(&found), []);
    }
}
