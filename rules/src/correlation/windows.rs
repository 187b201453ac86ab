//! [`Windows`]: windows in memory.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Correlation, CorrelationMatch, Correlations, Evaluated, Filed, GroupKey, affected, bucket_of, evaluate, range_of,
};
use crate::event::Millis;
use crate::finding::Finding;

/// The matches of each correlation and group. It grows with what is filed: for tests of rules and for files that end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Windows {
    matches: BTreeMap<String, BTreeMap<GroupKey, BTreeSet<CorrelationMatch>>>,
}

/// The buckets to evaluate, by correlation and group.
type Touched = BTreeMap<String, BTreeMap<GroupKey, BTreeSet<i64>>>;

impl Windows {
    /// Takes in matches, and says what the buckets come to that they concern, whatever was known before: findings to be
    /// merged into those that there are. The time it takes grows with the matches in these buckets, so what belongs
    /// together is best filed together.
    pub fn file(&mut self, correlations: &Correlations, filed: impl IntoIterator<Item = Filed>) -> Vec<Finding> {
        let mut touched = Touched::new();
        for one in filed {
            self.insert(correlations, one, &mut touched);
        }
        self.evaluate(correlations, touched)
    }

    /// Takes in what other windows hold, and says what all the buckets come to.
    pub fn join(&mut self, correlations: &Correlations, other: Windows) -> Vec<Finding> {
        let mut touched = Touched::new();
        for (correlation, groups) in other.matches {
            for (group, matches) in groups {
                for matched in matches {
                    let (correlation, group) = (correlation.clone(), group.clone());
                    self.insert(correlations, Filed { correlation, group, matched }, &mut touched);
                }
            }
        }
        self.evaluate(correlations, touched)
    }

    /// What all matches of a correlation come to, with those that contribute.
    pub fn evaluated<'w>(&'w self, correlation: &'w Correlation) -> Vec<Evaluated<'w>> {
        let groups = self.matches.get(&correlation.id).into_iter().flatten();
        let all = groups.flat_map(|(group, matches)| {
            let buckets: BTreeSet<i64> =
                matches.iter().map(|seen| bucket_of(seen.event_time, correlation.timespan)).collect();
            evaluate(correlation, group, matches, buckets)
        });
        all.collect()
    }

    /// How many matches there are, each counted in every window that it is in.
    pub fn len(&self) -> usize {
        self.matches.values().flat_map(BTreeMap::values).map(BTreeSet::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn insert(&mut self, correlations: &Correlations, filed: Filed, touched: &mut Touched) {
        let Filed { correlation, group, matched } = filed;
        let Some(known) = correlations.get(&correlation) else {
            return;
        };
        let buckets = affected(matched.event_time, known.timespan);
        let groups = self.matches.entry(correlation.clone()).or_default();
        if groups.entry(group.clone()).or_default().insert(matched) {
            touched.entry(correlation).or_default().entry(group).or_default().extend(buckets);
        }
    }

    /// Inner correlations first: their completions are filed before their outer ones have their turn.
    fn evaluate(&mut self, correlations: &Correlations, mut touched: Touched) -> Vec<Finding> {
        let mut findings = Vec::new();
        for correlation in correlations.inner_first() {
            let mut completions = Vec::new();
            for (group, buckets) in touched.remove(&correlation.id).unwrap_or_default() {
                let matches = self.within(correlation, &group, &buckets);
                for evaluated in evaluate(correlation, &group, matches, buckets) {
                    for completing in evaluated.completing {
                        completions.extend(correlations.file_completion(correlation, &group, completing).filed);
                    }
                    if correlations.makes_findings(&correlation.id) {
                        findings.push(evaluated.finding);
                    }
                }
            }
            for completion in completions {
                self.insert(correlations, completion, &mut touched);
            }
        }
        findings
    }

    /// The matches that these buckets rest on, in order.
    fn within<'w>(
        &'w self,
        correlation: &Correlation,
        group: &GroupKey,
        buckets: &BTreeSet<i64>,
    ) -> Vec<&'w CorrelationMatch> {
        let matches = self.matches.get(&correlation.id).and_then(|groups| groups.get(group));
        let at = |event_time: Millis| CorrelationMatch { event_time, ..CorrelationMatch::default() };
        let mut within = Vec::new();
        let mut from = Millis::MIN;
        for range in buckets.iter().map(|bucket| range_of(*bucket, correlation.timespan)) {
            let begin = range.start.max(from);
            if begin < range.end {
                within.extend(matches.into_iter().flat_map(|all| all.range(at(begin)..at(range.end))));
            }
            from = range.end;
        }
        within
    }
}
