//! `temporal_ordered`: chains of distinct events, one of each part in their order, the last of them in a bucket.
//!
//! A chain's times never fall; equal times may stand in either order. Two sweeps over the matches by time, forwards and
//! backwards, find for each place of each match how late a chain up to it can begin and how early one from it can end:
//! it is a member of a chain if these two are no further apart than the timespan.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::family::{Chain, Family};
use super::rows::Row;
use super::{Correlation, Seen};
use crate::event::Millis;

/// What the chains that end in one bucket come to.
#[derive(Debug, Default)]
pub(super) struct Chains {
    /// Which matches are members of a chain.
    pub(super) members: Vec<bool>,
    /// Matches that end a chain: indexes, ascending.
    pub(super) ends: Vec<usize>,
    /// Whether some chain has two neighbours of equal time.
    pub(super) ambiguous: bool,
}

/// A match's places: the parts that it can be.
struct Places<'p, 'm, M> {
    matches: &'p [Row<'m, M>],
    of: Vec<&'p [usize]>,
    /// The event, if it could be used in another place, too.
    events: Vec<Option<usize>>,
    parts: usize,
    timespan: Millis,
}

/// The chains that end within `bucket`, of matches sorted by time that begin a timespan before it.
pub(super) fn chains<M: Seen>(correlation: &Correlation, matches: &[Row<'_, M>], bucket: Range<Millis>) -> Chains {
    let mut by_rule: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, part) in correlation.parts.iter().enumerate() {
        by_rule.entry(&part.id).or_default().push(place);
    }
    let of = matches.iter().map(|row| by_rule.get(row.seen.rule_id()).map_or(&[][..], Vec::as_slice)).collect();
    let mut places =
        Places { matches, of, events: Vec::new(), parts: correlation.parts.len(), timespan: correlation.timespan };
    places.events = places.reusable();
    let (begun, ambiguous) = places.forwards(&bucket);
    let mut chains = Chains { ambiguous, ..places.backwards(&begun, &bucket) };
    chains.ends.sort_unstable();
    chains
}

impl<M: Seen> Places<'_, '_, M> {
    /// Events that have more than one place, numbered.
    fn reusable(&self) -> Vec<Option<usize>> {
        let ids = || self.matches.iter().map(|row| row.seen.distinct_id());
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for (id, places) in ids().zip(&self.of) {
            *counts.entry(id).or_default() += places.len();
        }
        let several: HashSet<&str> = counts.into_iter().filter(|(_, count)| *count > 1).map(|(id, _)| id).collect();
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let number = |id| {
            let next = numbers.len();
            several.contains(id).then(|| *numbers.entry(id).or_insert(next))
        };
        ids().map(number).collect()
    }

    /// Runs of matches of equal time.
    fn moments(&self) -> Vec<Range<usize>> {
        let mut moments = Vec::new();
        let mut begin = 0;
        for run in self.matches.chunk_by(|a, b| a.seen.time() == b.seen.time()) {
            moments.push(begin..begin + run.len());
            begin += run.len();
        }
        moments
    }

    /// For each place of each match, the chains that lead to it, itself left out; and whether one that ends in the
    /// bucket has equal times.
    fn forwards(&self, bucket: &Range<Millis>) -> (Vec<Vec<Vec<Chain>>>, bool) {
        let last = self.parts - 1;
        let mut before: Vec<Vec<Vec<Chain>>> = self.of.iter().map(|places| vec![Vec::new(); places.len()]).collect();
        // Chains that end before this moment, and those of them that have neighbours of equal time.
        let (mut ended, mut equal) = (vec![Family::default(); self.parts], vec![Family::default(); self.parts]);
        let mut ambiguous = false;
        for moment in self.moments() {
            let (mut now, mut now_equal) = (vec![Family::default(); self.parts], vec![Family::default(); self.parts]);
            for place in 0..self.parts {
                let more = self.parts - 1 - place;
                for at in moment.clone() {
                    let Some(nth) = self.of[at].iter().position(|own| *own == place) else { continue };
                    let (time, event) = (self.matches[at].seen.time(), self.events[at]);
                    if place == 0 {
                        before[at][nth] = vec![Chain { reach: time, used: Vec::new() }];
                    } else {
                        let avoiding = |chain: &&Chain| chain.with(event).is_some();
                        let leading = ended[place - 1].0.iter().chain(&now[place - 1].0);
                        before[at][nth] = leading.filter(avoiding).cloned().collect();
                        let same = equal[place - 1].0.iter().chain(&now[place - 1].0);
                        now_equal[place].add(same.filter_map(|chain| chain.with(event)).collect::<Vec<_>>(), more);
                    }
                    let reached = before[at][nth].iter().filter_map(|chain| chain.with(event));
                    now[place].add(reached.collect::<Vec<_>>(), more);
                }
            }
            let time = self.matches[moment.start].seen.time();
            let in_time = |chain: &Chain| time.saturating_sub(chain.reach) <= self.timespan;
            ambiguous |= bucket.contains(&time) && now_equal[last].0.iter().any(in_time);
            for place in 0..self.parts {
                let more = self.parts - 1 - place;
                ended[place].add(std::mem::take(&mut now[place].0), more);
                equal[place].add(std::mem::take(&mut now_equal[place].0), more);
            }
        }
        (before, ambiguous)
    }

    /// Which matches have, in one of their places, a chain before them and a chain after them that fit together. Chains
    /// that lead away are measured by their end, negated: the earlier, the better.
    fn backwards(&self, before: &[Vec<Vec<Chain>>], bucket: &Range<Millis>) -> Chains {
        let last = self.parts - 1;
        let mut found = Chains { members: vec![false; self.matches.len()], ..Chains::default() };
        let mut begun = vec![Family::default(); self.parts];
        for moment in self.moments().into_iter().rev() {
            let mut now = vec![Family::default(); self.parts];
            for place in (0..self.parts).rev() {
                for at in moment.clone() {
                    let Some(nth) = self.of[at].iter().position(|own| *own == place) else { continue };
                    let (time, event) = (self.matches[at].seen.time(), self.events[at]);
                    let after: Vec<Chain> = if place == last {
                        let ends = bucket.contains(&time);
                        ends.then(|| Chain { reach: -time, used: Vec::new() }).into_iter().collect()
                    } else {
                        let leading = begun[place + 1].0.iter().chain(&now[place + 1].0);
                        leading.filter(|chain| chain.with(event).is_some()).cloned().collect()
                    };
                    let fits = before[at][nth].iter().any(|head| {
                        let fits = |tail: &Chain| {
                            (-tail.reach).saturating_sub(head.reach) <= self.timespan && head.is_disjoint(tail)
                        };
                        after.iter().any(fits)
                    });
                    found.members[at] |= fits;
                    if fits && place == last {
                        found.ends.push(at);
                    }
                    now[place].add(after.iter().filter_map(|chain| chain.with(event)).collect::<Vec<_>>(), place);
                }
            }
            for (place, family) in now.into_iter().enumerate() {
                begun[place].add(family.0, place);
            }
        }
        found
    }
}
