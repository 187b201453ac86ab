//! Cases of correlations: the findings of a timeline, and whether they are the same when the events are delivered in other
//! orders, twice, or to two workers that see a part each.

use std::collections::{BTreeMap, BTreeSet};

use super::story::{compare, told};
use super::timeline::{Moment, moments, resolve};
use super::{Case, all_forwarded};
use crate::correlation::{Correlation, Filed, Windows};
use crate::finding::Finding;
use crate::lineage::{self, Lineage};
use crate::patterns::{Forwarding, Patterns, envelope};
use crate::ruleset::RuleSet;
use crate::tables::Tables;

pub(super) fn run_case(rules: &RuleSet, tables: &Tables, tested: &Correlation, case: &Case) -> Result<(), String> {
    let mut moments = moments(&case.events)?;
    resolve(&mut moments);
    let reach = rules.correlations().rules_of(&tested.id);
    let forwarding =
        Patterns::of(rules.rules().iter().map(AsRef::as_ref).filter(|rule| reach.contains(&rule.id))).forwarding();
    let run = Run { rules, tables, tested, reach };
    run.forwarded(&moments, &forwarding)?;
    let filed: Vec<Vec<Filed>> = moments.iter().map(|moment| run.filed(moment, &moment.lineage)).collect();
    let mut windows = Windows::default();
    let updates = windows.file(rules.correlations(), filed.iter().flatten().cloned());
    compare(&case.expect, case.events.len(), &told(windows.evaluated(tested), &moments))?;
    run.replay(&moments, &filed, &(joined(updates), windows))
}

/// What stays the same while a case runs.
struct Run<'r> {
    rules: &'r RuleSet,
    tables: &'r Tables,
    tested: &'r Correlation,
    /// Ids of the rules that matter.
    reach: BTreeSet<String>,
}

impl Run<'_> {
    /// Where the event's matches go.
    fn filed(&self, moment: &Moment, lineage: &Lineage) -> Vec<Filed> {
        let found = self.rules.evaluate_with(&moment.event, self.tables);
        let own = found.iter().filter(|found| self.reach.contains(&found.rule.id));
        own.flat_map(|found| self.rules.correlations().file(found, self.tables, lineage).filed).collect()
    }

    /// # Errors
    /// Names matching events that EventBridge would not forward.
    fn forwarded(&self, moments: &[Moment], forwarding: &Forwarding) -> Result<(), String> {
        let matches = |moment: &Moment| {
            self.rules.evaluate_with(&moment.event, self.tables).iter().any(|found| self.reach.contains(&found.rule.id))
        };
        let unforwarded =
            moments.iter().filter(|moment| matches(moment) && !forwarding.forwards(&envelope(&moment.sent)));
        let entries: BTreeSet<usize> = unforwarded.map(|moment| moment.entry).collect();
        all_forwarded(&Vec::from_iter(entries))
    }

    /// # Errors
    /// Says in which way of delivering the events something else is found.
    fn replay(
        &self,
        moments: &[Moment],
        filed: &[Vec<Filed>],
        expected: &(BTreeMap<String, Finding>, Windows),
    ) -> Result<(), String> {
        let correlations = self.rules.correlations();
        let count = filed.len();
        let shuffled = |seed: u64| shuffled(count, seed);
        let ways = [
            ("backwards", (0..count).rev().collect::<Vec<_>>()),
            ("shuffled", shuffled(1)),
            ("shuffled again", shuffled(2)),
            ("shuffled, every event twice", shuffled(3).into_iter().chain(shuffled(4)).collect()),
        ];
        for (way, order) in ways {
            let mut windows = Windows::default();
            let mut updates = Vec::new();
            for batch in order.chunks(1 + count / 40) {
                updates.extend(windows.file(correlations, batch.iter().flat_map(|at| filed[*at].clone())));
            }
            self.same(way, expected, updates, &windows)?;
        }
        let halves: [(&str, &dyn Fn(usize) -> bool); 2] =
            [("every other event", &|at| at.is_multiple_of(2)), ("the first half", &|at| at < count / 2)];
        for (way, half) in halves {
            let part = |first: bool| (0..count).filter(move |at| half(*at) == first).flat_map(|at| filed[at].clone());
            let (mut one, mut other) = (Windows::default(), Windows::default());
            let mut updates = one.file(correlations, part(true));
            updates.extend(other.file(correlations, part(false)));
            updates.extend(one.join(correlations, other));
            self.same(&format!("split over two workers, one with {way}"), expected, updates, &one)?;
        }
        // Who is behind a credential is often learned after what it was used for.
        let mut windows = Windows::default();
        let own = moments.iter().flat_map(|moment| self.filed(moment, &lineage::origin(&moment.event)));
        let mut updates = windows.file(correlations, own);
        updates.extend(windows.file(correlations, filed.iter().flatten().cloned()));
        self.same("with the lineage known only afterwards", expected, updates, &windows)
    }

    fn same(
        &self,
        way: &str,
        (findings, windows): &(BTreeMap<String, Finding>, Windows),
        updates: Vec<Finding>,
        ended: &Windows,
    ) -> Result<(), String> {
        let contents = |windows: &Windows| {
            windows.evaluated(self.tested).into_iter().map(|evaluated| evaluated.finding).collect::<Vec<_>>()
        };
        if joined(updates) == *findings && contents(windows) == contents(ended) {
            return Ok(());
        }
        Err(format!("the same events delivered in another way ({way}) come to other findings: this is a bug of DIAL"))
    }
}

/// Findings by id, joined as a store joins them.
fn joined(updates: Vec<Finding>) -> BTreeMap<String, Finding> {
    let mut joined: BTreeMap<String, Finding> = BTreeMap::new();
    for update in updates {
        let whole = match joined.remove(&update.finding_id) {
            Some(known) => known.merge(update),
            None => update,
        };
        joined.insert(whole.finding_id.clone(), whole);
    }
    joined
}

/// The numbers below `count` in an order that the seed decides.
fn shuffled(count: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    // Knuth's linear congruential generator of 64 bits: any mixing order will do.
    let mut state = seed;
    order.sort_by_cached_key(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 16
    });
    order
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
