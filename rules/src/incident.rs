//! Incidents: findings that tell one thing that happened. Pure.
//!
//! One event may complete several findings: those of each member of a lineage, and those of several correlations. And what
//! goes on for longer than a correlation's timespan is a finding in each of its buckets. So correlated findings are one
//! incident when they share a completing event, or when they are of one correlation and group, in adjacent buckets; and so
//! are those that are connected by others. Findings of single events belong to none.
//!
//! An incident is named after the smallest event, by time and id, that completes one of its findings: a function of the set
//! of findings looked at, in whatever order. Where findings are looked at page by page, an incident that lies on two pages
//! has a name on each.

use std::collections::HashMap;

use crate::finding::{Completion, Finding, FindingKind, finding_id};

/// The incident of each finding, in their order: 32 hexadecimal digits; `None` where there is none.
pub fn incidents<'f>(findings: impl IntoIterator<Item = &'f Finding>) -> Vec<Option<String>> {
    let findings: Vec<&Finding> = findings.into_iter().collect();
    let mut sets = Sets::new(findings.len());
    let mut completed: HashMap<&str, usize> = HashMap::new();
    let mut buckets: HashMap<_, usize> = HashMap::new();
    for (at, finding) in findings.iter().enumerate().filter(|(_, finding)| is_correlated(finding)) {
        for completion in &finding.completed_by {
            let first = *completed.entry(&completion.event_id).or_insert(at);
            sets.join(first, at);
        }
        if let Some(bucket) = finding.bucket {
            let first = *buckets.entry((&finding.rule_id, &finding.group, bucket)).or_insert(at);
            sets.join(first, at);
        }
    }
    for ((rule, group, bucket), at) in &buckets {
        if let Some(next) = bucket.checked_add(1).and_then(|next| buckets.get(&(*rule, *group, next))) {
            sets.join(*at, *next);
        }
    }
    names(&findings, &mut sets)
}

fn is_correlated(finding: &Finding) -> bool {
    finding.kind == FindingKind::Correlated
}

/// The name of each finding's set.
fn names(findings: &[&Finding], sets: &mut Sets) -> Vec<Option<String>> {
    let mut smallest: HashMap<usize, Name<'_>> = HashMap::new();
    for (at, finding) in findings.iter().enumerate() {
        let name = Name::of(finding);
        smallest.entry(sets.root(at)).and_modify(|known| *known = (*known).min(name)).or_insert(name);
    }
    let mut told: HashMap<usize, String> = HashMap::new();
    let mut name = |at: usize| {
        let root = sets.root(at);
        told.entry(root).or_insert_with(|| smallest[&root].hash()).clone()
    };
    findings.iter().enumerate().map(|(at, finding)| is_correlated(finding).then(|| name(at))).collect()
}

/// What an incident may be named after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Name<'f> {
    Completion(&'f Completion),
    /// Of a finding that does not say what completed it.
    Finding(&'f str),
}

impl Name<'_> {
    fn of(finding: &Finding) -> Name<'_> {
        finding.completed_by.first().map_or(Name::Finding(&finding.finding_id), Name::Completion)
    }

    fn hash(&self) -> String {
        match self {
            Name::Completion(completion) => finding_id(&["incident", &completion.event_id]),
            Name::Finding(id) => finding_id(&["incident of finding", id]),
        }
    }
}

/// Disjoint sets of the numbers below a count (Tarjan's union-find, with path halving).
struct Sets(Vec<usize>);

impl Sets {
    fn new(count: usize) -> Sets {
        Sets((0..count).collect())
    }

    fn root(&mut self, mut at: usize) -> usize {
        while self.0[at] != at {
            self.0[at] = self.0[self.0[at]];
            at = self.0[at];
        }
        at
    }

    /// The smaller root stays one.
    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        self.0[one.max(other)] = one.min(other);
    }
}

#[cfg(test)]
#[path = "incident_tests.rs"]
mod tests;
