//! [`Tally`]: what a sliding window holds, added to at its end and taken from at its beginning.

use std::collections::HashMap;

use super::rows::Row;
use super::{Condition, Correlation, Formula, Seen};

/// The counts that decide whether a window is complete.
pub(super) enum Tally<'m> {
    /// By [`Row::event`], and how many are not zero.
    Events {
        counts: Vec<u32>,
        distinct: usize,
        at_least: usize,
    },
    Values {
        counts: HashMap<&'m str, u32>,
        at_least: usize,
    },
    /// By [`Row::part`].
    Parts {
        counts: Vec<u32>,
        formula: &'m Formula,
    },
}

impl<'m> Tally<'m> {
    /// An empty window, of rows with so many events; `None` for `temporal_ordered`, where counts do not decide.
    pub(super) fn new(correlation: &'m Correlation, events: usize) -> Option<Tally<'m>> {
        let least = |at_least: u64| usize::try_from(at_least).unwrap_or(usize::MAX);
        Some(match &correlation.condition {
            Condition::EventCount { at_least } => {
                Tally::Events { counts: vec![0; events], distinct: 0, at_least: least(*at_least) }
            }
            Condition::ValueCount { at_least, .. } => {
                Tally::Values { counts: HashMap::new(), at_least: least(*at_least) }
            }
            Condition::Temporal(formula) => Tally::Parts { counts: vec![0; correlation.parts.len()], formula },
            Condition::TemporalOrdered => return None,
        })
    }

    /// Whether the match counts at all: without a value to count it takes no part.
    pub(super) fn takes<M: Seen>(&self, row: &Row<'m, M>) -> bool {
        !matches!(self, Tally::Values { .. }) || row.seen.values().next().is_some()
    }

    pub(super) fn add<M: Seen>(&mut self, row: &Row<'m, M>) {
        match self {
            Tally::Events { counts, distinct, .. } => {
                *distinct += usize::from(counts[row.event] == 0);
                counts[row.event] += 1;
            }
            Tally::Values { counts, .. } => {
                row.seen.values().for_each(|value| *counts.entry(value).or_default() += 1);
            }
            Tally::Parts { counts, .. } => counts[row.part] += 1,
        }
    }

    pub(super) fn remove<M: Seen>(&mut self, row: &Row<'m, M>) {
        match self {
            Tally::Events { counts, distinct, .. } => {
                counts[row.event] -= 1;
                *distinct -= usize::from(counts[row.event] == 0);
            }
            Tally::Values { counts, .. } => row.seen.values().for_each(|value| less(counts, value)),
            Tally::Parts { counts, .. } => counts[row.part] -= 1,
        }
    }

    pub(super) fn holds(&self) -> bool {
        match self {
            Tally::Events { distinct, at_least, .. } => distinct >= at_least,
            Tally::Values { counts, at_least } => counts.len() >= *at_least,
            Tally::Parts { counts, formula } => formula.holds(&|part| counts[part] > 0),
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
