//! [`Family`]: the chains worth remembering out of very many, when a chain may not use an event twice.
//!
//! To continue a chain one needs its best end point and the events that it has used. Most events can stand in one place
//! of a chain only, and are not remembered at all; then a family is one chain. Of events that could be used again, a
//! family keeps *representatives*: for whatever `more` events the rest of the chain will use, if some chain avoids them,
//! one is kept that avoids them and is at least as good. This is the bounded search of Monien ("How to find long paths
//! efficiently", 1985); the number kept does not depend on the number of events.

use crate::event::Millis;

/// A chain's end point, and its events that could be used again: sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    /// The time that the rest is measured against; the greater, the better.
    pub(super) reach: Millis,
    pub(super) used: Vec<usize>,
}

impl Chain {
    /// With one more event; `None` if it has it already.
    pub(super) fn with(&self, event: Option<usize>) -> Option<Chain> {
        let mut used = self.used.clone();
        if let Some(event) = event {
            match used.binary_search(&event) {
                Ok(_) => return None,
                Err(at) => used.insert(at, event),
            }
        }
        Some(Chain { reach: self.reach, used })
    }

    pub(super) fn is_disjoint(&self, other: &Chain) -> bool {
        self.used.iter().all(|event| other.used.binary_search(event).is_err())
    }
}

/// Representatives of a set of chains, the best first.
#[derive(Debug, Clone, Default)]
pub(super) struct Family(pub(super) Vec<Chain>);

impl Family {
    /// Adds chains, and forgets those that no rest of `more` events could need.
    pub(super) fn add(&mut self, chains: impl IntoIterator<Item = Chain>, more: usize) {
        let before = self.0.len();
        self.0.extend(chains);
        if self.0.len() == before {
            return;
        }
        // Most often nothing can be used again: then the best is all there is to remember.
        let best = (0..self.0.len()).max_by_key(|at| (self.0[*at].reach, self.0[*at].used.is_empty()));
        if let Some(best) = best.filter(|best| self.0[*best].used.is_empty()) {
            self.0.swap(0, best);
            return self.0.truncate(1);
        }
        self.0.sort_by(|a, b| b.reach.cmp(&a.reach).then_with(|| a.used.cmp(&b.used)));
        self.0.dedup();
        let all: Vec<usize> = (0..self.0.len()).collect();
        let mut kept = vec![false; all.len()];
        self.represent(&all, more, &mut kept);
        let mut kept = kept.into_iter();
        self.0.retain(|_| kept.next().unwrap_or(false));
    }

    /// The best of these is kept; then, for each event it uses, the best of those that avoid the event, and so on.
    fn represent(&self, of: &[usize], more: usize, kept: &mut [bool]) {
        let Some(&best) = of.first() else {
            return;
        };
        kept[best] = true;
        if more == 0 {
            return;
        }
        for event in &self.0[best].used {
            let avoiding: Vec<usize> =
                of.iter().copied().filter(|chain| self.0[*chain].used.binary_search(event).is_err()).collect();
            self.represent(&avoiding, more - 1, kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn chain() -> impl Strategy<Value = Chain> {
        let used = prop::collection::btree_set(0usize..7, 0..4);
        (0i64..20, used).prop_map(|(reach, used)| Chain { reach, used: used.into_iter().collect() })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn whatever_is_to_follow_the_best_that_fits_is_kept(
            chains in prop::collection::vec(chain(), 0..20), at in 0usize..20, more in 0usize..4, rest in prop::collection::btree_set(0usize..7, 0..4),
        ) {
            // Added in two steps, as sweeps do.
            let mut family = Family::default();
            let (first, second) = chains.split_at(at.min(chains.len()));
            family.add(first.to_vec(), more);
            family.add(second.to_vec(), more);
            let rest: BTreeSet<usize> = rest.into_iter().take(more).collect();
            let best = |chains: &[Chain]| {
                let fitting = chains.iter().filter(|chain| chain.used.iter().all(|event| !rest.contains(event)));
                fitting.map(|chain| chain.reach).max()
            };
            prop_assert_eq!(best(&family.0), best(&chains));
            // At most three events each: 1 + 3 + 9 + 27.
            prop_assert!(family.0.len() <= 40);
        }
    }
}
