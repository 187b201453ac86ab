//! [`Tally`]: what a sliding window holds, added to at its end and taken from at its beginning.

use std::collections::HashMap;

use super::{Condition, Correlation, CorrelationMatch, Formula};

/// The counts that decide whether a window is complete.
pub(super) enum Tally<'m> {
    Distinct { counts: HashMap<&'m str, u32>, at_least: usize, values: bool },
    Parts { counts: Vec<u32>, by_rule: HashMap<&'m str, usize>, formula: &'m Formula },
}

impl<'m> Tally<'m> {
    /// An empty window with room for so many events; `None` for `temporal_ordered`, where counts do not decide.
    pub(super) fn new(correlation: &'m Correlation, room: usize) -> Option<Tally<'m>> {
        let distinct = |at_least: u64, values| {
            let at_least = usize::try_from(at_least).unwrap_or(usize::MAX);
            Tally::Distinct { counts: HashMap::with_capacity(room), at_least, values }
        };
        Some(match &correlation.condition {
            Condition::EventCount { at_least } => distinct(*at_least, false),
            Condition::ValueCount { at_least, .. } => distinct(*at_least, true),
            Condition::Temporal(formula) => {
                let by_rule = correlation.parts.iter().enumerate().map(|(at, part)| (part.id.as_str(), at)).collect();
                Tally::Parts { counts: vec![0; correlation.parts.len()], by_rule, formula }
            }
            Condition::TemporalOrdered => return None,
        })
    }

    /// Whether the match counts at all: without a value to count it takes no part.
    pub(super) fn takes(&self, matched: &CorrelationMatch) -> bool {
        !matches!(self, Tally::Distinct { values: true, .. }) || !matched.values.is_empty()
    }

    pub(super) fn add(&mut self, matched: &'m CorrelationMatch) {
        match self {
            Tally::Distinct { counts, values: true, .. } => {
                matched.values.iter().for_each(|value| *counts.entry(value).or_default() += 1);
            }
            Tally::Distinct { counts, .. } => *counts.entry(matched.distinct_id()).or_default() += 1,
            Tally::Parts { counts, by_rule, .. } => {
                by_rule.get(matched.rule_id.as_str()).into_iter().for_each(|part| counts[*part] += 1);
            }
        }
    }

    pub(super) fn remove(&mut self, matched: &'m CorrelationMatch) {
        match self {
            Tally::Distinct { counts, values: true, .. } => {
                matched.values.iter().for_each(|value| less(counts, value));
            }
            Tally::Distinct { counts, .. } => less(counts, matched.distinct_id()),
            Tally::Parts { counts, by_rule, .. } => {
                by_rule.get(matched.rule_id.as_str()).into_iter().for_each(|part| counts[*part] -= 1);
            }
        }
    }

    pub(super) fn holds(&self) -> bool {
        match self {
            Tally::Distinct { counts, at_least, .. } => counts.len() >= *at_least,
            Tally::Parts { counts, formula, .. } => formula.holds(&|part| counts[part] > 0),
        }
    }
}

fn less<'m>(counts: &mut HashMap<&'m str, u32>, key: &'m str) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
