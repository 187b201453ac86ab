//! The fields that a rule names, and those among them that do not exist.

use rsigma_parser::{Detection, DetectionItem, Modifier, SigmaRule, SigmaValue};

use crate::facts;

/// Every field that the rule's detections name, in no order.
pub(crate) fn of(rule: &SigmaRule) -> Vec<String> {
    let mut names = Vec::new();
    for detection in rule.detection.named.values() {
        collect(detection, &mut names);
    }
    names
}

fn collect(detection: &Detection, names: &mut Vec<String>) {
    match detection {
        Detection::AllOf(items) => items.iter().for_each(|item| collect_item(item, names)),
        Detection::AnyOf(parts) | Detection::And(parts) => parts.iter().for_each(|part| collect(part, names)),
        Detection::Keywords(_) => {}
        Detection::ArrayMatch { field, body, .. } => {
            names.push(field.clone());
            collect(body, names);
        }
        Detection::Conditional { named, .. } => named.values().for_each(|part| collect(part, names)),
    }
}

fn collect_item(item: &DetectionItem, names: &mut Vec<String>) {
    names.extend(item.field.name.clone());
    if item.field.has_modifier(Modifier::FieldRef) {
        let plain = item.values.iter().filter_map(|value| match value {
            SigmaValue::String(text) => text.as_plain(),
            _ => None,
        });
        names.extend(plain);
    }
}

/// What to say of the first field under `dial.` that no fact is called.
pub(crate) fn fault(rule: &SigmaRule) -> Option<String> {
    // `Dial.actor` would be taken for a member of the record, which no record has.
    let is_fact = |name: &String| {
        let prefix = name.get(..facts::PREFIX.len());
        prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(facts::PREFIX))
    };
    let mut unknown: Vec<String> =
        of(rule).into_iter().filter(|name| is_fact(name) && facts::find(name).is_none()).collect();
    unknown.sort();
    let name = unknown.first()?;
    if let Some(why) = facts::sources::refused(&name.to_ascii_lowercase()) {
        return Some(format!("`{name}` cannot stand in a condition: {why}"));
    }
    Some(format!("there is no field `{name}`: did you mean `{}`? See `dial rules fields`", facts::nearest(name)))
}
