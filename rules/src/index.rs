//! Which rules can match an event at all. A rule's conditions are reduced to what they need of `eventName`,
//! `eventSource` and, for rules that need neither, of other texts; only rules whose need an event meets are evaluated on it. The index may pass too much, never too
//! little: whatever it does not understand needs nothing.

use std::collections::{BTreeSet, HashMap};

use rsigma_eval::Event;
use rsigma_eval::matcher::ascii_lowercase_cow;
use rsigma_parser::{ConditionExpr, Detection, DetectionItem, Modifier, Quantifier, SigmaRule, SigmaValue};

use crate::texts::{TextIndex, Texts};

/// Lower-cased values, one of which a member must have; `None` when any will do.
type OneOf = Option<BTreeSet<String>>;

/// What a rule needs of an event before it can match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Need {
    pub(crate) names: OneOf,
    pub(crate) sources: OneOf,
    pub(crate) texts: Texts,
}

impl Need {
    /// What all conditions of a rule, of which one must hold, need in common.
    pub(crate) fn of(rule: &SigmaRule) -> Need {
        let named = &rule.detection.named;
        any(rule.detection.conditions.iter().map(|condition| of_condition(condition, named)))
    }
}

fn of_condition(condition: &ConditionExpr, named: &HashMap<String, Detection>) -> Need {
    match condition {
        ConditionExpr::And(parts) => all(parts.iter().map(|part| of_condition(part, named))),
        ConditionExpr::Or(parts) => any(parts.iter().map(|part| of_condition(part, named))),
        ConditionExpr::Not(_) => Need::default(),
        ConditionExpr::Identifier(name) => named.get(name).map(of_detection).unwrap_or_default(),
        ConditionExpr::Selector { quantifier, pattern } => {
            let chosen: Vec<Need> = named
                .iter()
                .filter(|(name, _)| pattern.matches_detection_name(name))
                .map(|(_, detection)| of_detection(detection))
                .collect();
            match quantifier {
                _ if chosen.is_empty() => Need::default(),
                Quantifier::All => all(chosen.into_iter()),
                Quantifier::Any => any(chosen.into_iter()),
                Quantifier::Count(0) => Need::default(),
                Quantifier::Count(_) => any(chosen.into_iter()),
            }
        }
    }
}

fn of_detection(detection: &Detection) -> Need {
    match detection {
        Detection::AllOf(items) => all(items.iter().map(of_item)),
        Detection::And(parts) => all(parts.iter().map(of_detection)),
        Detection::AnyOf(parts) => any(parts.iter().map(of_detection)),
        Detection::Keywords(_) | Detection::ArrayMatch { .. } | Detection::Conditional { .. } => Need::default(),
    }
}

fn of_item(item: &DetectionItem) -> Need {
    let plain = item.field.modifiers.iter().all(|modifier| matches!(modifier, Modifier::Cased));
    let values: Option<BTreeSet<String>> = item.values.iter().map(exact).collect();
    match (item.field.name.as_deref(), values) {
        (Some("eventName"), Some(values)) if plain && !values.is_empty() => {
            Need { names: Some(values), ..Need::default() }
        }
        (Some("eventSource"), Some(values)) if plain && !values.is_empty() => {
            Need { sources: Some(values), ..Need::default() }
        }
        _ => Need { texts: Texts::of_item(item), ..Need::default() },
    }
}

/// The only text that a value matches, lower-cased; `None` when it has wildcards or is no text.
fn exact(value: &SigmaValue) -> Option<String> {
    match value {
        SigmaValue::String(text) if text.is_plain() => text.as_plain().map(|text| fold(&text)),
        _ => None,
    }
}

/// Both sides of a comparison are folded as rsigma folds them: simple Unicode lower case.
fn fold(text: &str) -> String {
    text.to_lowercase()
}

fn all(needs: impl Iterator<Item = Need>) -> Need {
    needs.fold(Need::default(), |a, b| Need {
        names: both(a.names, b.names),
        sources: both(a.sources, b.sources),
        texts: a.texts.both(b.texts),
    })
}

fn any(mut needs: impl Iterator<Item = Need>) -> Need {
    let Some(first) = needs.next() else {
        return Need::default();
    };
    needs.fold(first, |a, b| Need {
        names: either(a.names, b.names),
        sources: either(a.sources, b.sources),
        texts: a.texts.either(b.texts),
    })
}

fn both(a: OneOf, b: OneOf) -> OneOf {
    match (a, b) {
        (Some(a), Some(b)) => Some(&a & &b),
        (a, b) => a.or(b),
    }
}

fn either(a: OneOf, b: OneOf) -> OneOf {
    a.zip(b).map(|(a, b)| &a | &b)
}

/// Rules by what they need: indexes into the rule set's list.
#[derive(Debug, Default)]
pub(crate) struct Index {
    by_name: HashMap<String, Vec<usize>>,
    by_source: HashMap<String, Vec<usize>>,
    by_text: TextIndex,
    always: Vec<usize>,
}

impl Index {
    /// Files the rule `rule` under what it needs. One that needs what no event has is filed nowhere.
    pub(crate) fn insert(&mut self, rule: usize, need: Need) {
        match need {
            Need { names: Some(names), .. } => file(&mut self.by_name, names, rule),
            Need { sources: Some(sources), .. } => file(&mut self.by_source, sources, rule),
            Need { texts, .. } => {
                if !self.by_text.insert(rule, texts) {
                    self.always.push(rule);
                }
            }
        }
    }

    /// The rules that an event with this name and source may match.
    pub(crate) fn candidates(&self, name: &str, source: &str, event: &impl Event) -> Vec<usize> {
        let mut found = Vec::with_capacity(8);
        found.extend_from_slice(find(&self.by_name, name));
        found.extend_from_slice(find(&self.by_source, source));
        self.by_text.candidates(event, &mut found);
        found.extend_from_slice(&self.always);
        found
    }
}

fn find<'i>(map: &'i HashMap<String, Vec<usize>>, text: &str) -> &'i [usize] {
    map.get(ascii_lowercase_cow(text).as_ref()).map(Vec::as_slice).unwrap_or_default()
}

fn file(map: &mut HashMap<String, Vec<usize>>, keys: BTreeSet<String>, rule: usize) {
    for key in keys {
        map.entry(key).or_default().push(rule);
    }
}
