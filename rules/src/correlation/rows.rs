//! [`Rows`]: the matches of one group, sorted, with numbers for what is compared again and again.

use std::collections::HashMap;

use super::{Correlation, Seen};

/// A match.
#[derive(Debug)]
pub(super) struct Row<'m, M> {
    pub(super) seen: &'m M,
    /// Which of the correlation's parts it is of; of one that is listed several times, the first.
    pub(super) part: usize,
    /// The number of its event: the same for all its matches.
    pub(super) event: usize,
}

impl<M> Clone for Row<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Row<'_, M> {}

/// The matches of a correlation, by time.
#[derive(Debug)]
pub(super) struct Rows<'m, M> {
    pub(super) list: Vec<Row<'m, M>>,
    /// How many events there are, numbered from 0.
    pub(super) events: usize,
}

impl<'m, M: Seen> Rows<'m, M> {
    /// Those of the correlation's parts, each once.
    pub(super) fn of(correlation: &Correlation, matches: impl IntoIterator<Item = &'m M>) -> Rows<'m, M> {
        let mut matches: Vec<&M> = matches.into_iter().collect();
        if !matches.is_sorted() {
            matches.sort_unstable();
        }
        matches.dedup();
        let mut numbers: HashMap<&str, usize> = HashMap::with_capacity(matches.len());
        let mut list = Vec::with_capacity(matches.len());
        for seen in matches {
            let Some(part) = correlation.parts.iter().position(|part| part.id == seen.rule_id()) else { continue };
            let next = numbers.len();
            let event = *numbers.entry(seen.distinct_id()).or_insert(next);
            list.push(Row { seen, part, event });
        }
        Rows { list, events: numbers.len() }
    }
}
