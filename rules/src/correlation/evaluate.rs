//! [`evaluate()`]: the matches of one group → what each bucket's completions come to.
//!
//! Time is cut into *buckets* of one timespan each. A bucket's finding rests on the completions within it, and these on
//! matches at most a timespan older: so a match concerns its own bucket and the next, and a bucket is evaluated on the
//! matches of its own and of the one before. Sweeps over sorted matches: linear in their number, beside the sorting.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;

use super::tally::Tally;
use super::{Correlation, CorrelationMatch, GroupKey, ordered};
use crate::event::Millis;
use crate::finding::{Completion, EVIDENCE_EACH, Evidence, Finding, FindingKind, MOST_EVENTS, finding_id};

/// What the matches of one group come to in one bucket: a finding, unless nothing is complete.
#[derive(Debug, Clone)]
pub struct Evaluated<'m> {
    /// The bucket: [`bucket_of`] its completions.
    pub bucket: i64,
    /// The finding.
    pub finding: Finding,
    /// Every match that contributes, by time; the finding keeps the ends of it.
    pub contributing: Vec<&'m CorrelationMatch>,
    /// The matches at which the condition holds, by time: matches of an outer correlation.
    pub completing: Vec<&'m CorrelationMatch>,
}

/// The bucket of a time: `floor(time / timespan)`.
pub fn bucket_of(time: Millis, timespan: Millis) -> i64 {
    time.div_euclid(timespan.max(1))
}

/// The buckets whose findings a match at this time can change.
pub fn affected(time: Millis, timespan: Millis) -> [i64; 2] {
    let bucket = bucket_of(time, timespan);
    [bucket, bucket.saturating_add(1)]
}

/// The times of the matches that a bucket's findings rest on.
pub fn range_of(bucket: i64, timespan: Millis) -> Range<Millis> {
    let begin = bucket.saturating_mul(timespan);
    begin.saturating_sub(timespan)..begin.saturating_add(timespan)
}

/// Evaluates some buckets of one group. `matches` are all those known in the buckets' ranges ([`range_of`]), in any
/// order; others do no harm. What comes out is the whole content of these buckets: the same however often and in
/// however many steps the matches became known.
pub fn evaluate<'m>(
    correlation: &'m Correlation,
    group: &GroupKey,
    matches: impl IntoIterator<Item = &'m CorrelationMatch>,
    buckets: impl IntoIterator<Item = i64>,
) -> Vec<Evaluated<'m>> {
    let mut matches: Vec<&CorrelationMatch> = matches.into_iter().collect();
    matches.retain(|seen| correlation.part(&seen.rule_id).is_some());
    if !matches.is_sorted() {
        matches.sort_unstable();
    }
    matches.dedup();
    let buckets: BTreeSet<i64> = buckets.into_iter().collect();
    buckets.into_iter().filter_map(|bucket| one(correlation, group, &matches, bucket)).collect()
}

fn one<'m>(
    correlation: &'m Correlation,
    group: &GroupKey,
    matches: &[&'m CorrelationMatch],
    bucket: i64,
) -> Option<Evaluated<'m>> {
    let range = range_of(bucket, correlation.timespan);
    let begin = matches.partition_point(|seen| seen.event_time < range.start);
    let end = matches.partition_point(|seen| seen.event_time < range.end);
    let own = range.start.saturating_add(correlation.timespan)..range.end;
    let complete = complete(correlation, matches.get(begin..end)?, own);
    let finding = finding(correlation, group, bucket, &complete)?;
    let Complete { contributing, completing, .. } = complete;
    Some(Evaluated { bucket, finding, contributing, completing })
}

/// What is complete in a bucket, sorted.
#[derive(Default)]
struct Complete<'m> {
    contributing: Vec<&'m CorrelationMatch>,
    completing: Vec<&'m CorrelationMatch>,
    ambiguous: bool,
}

fn complete<'m>(correlation: &'m Correlation, matches: &[&'m CorrelationMatch], bucket: Range<Millis>) -> Complete<'m> {
    let Some(tally) = Tally::new(correlation, matches.len()) else {
        let chains = ordered::chains(correlation, matches, bucket);
        let members = matches.iter().zip(chains.members).filter(|(_, member)| *member).map(|(seen, _)| *seen);
        let completing = chains.ends.into_iter().map(|at| matches[at]).collect();
        return Complete { contributing: members.collect(), completing, ambiguous: chains.ambiguous };
    };
    let mut taken = Vec::with_capacity(matches.len());
    taken.extend(matches.iter().copied().filter(|seen| tally.takes(seen)));
    slide(tally, &taken, correlation.timespan, &bucket)
}

/// Slides a window over the matches. Wherever it is complete within the bucket, all that it holds contributes.
fn slide<'m>(
    mut tally: Tally<'m>,
    matches: &[&'m CorrelationMatch],
    timespan: Millis,
    bucket: &Range<Millis>,
) -> Complete<'m> {
    let mut complete = Complete::default();
    let (mut left, mut right, mut told) = (0, 0, 0);
    for moment in matches.chunk_by(|a, b| a.event_time == b.event_time) {
        let time = moment[0].event_time;
        moment.iter().for_each(|seen| tally.add(seen));
        right += moment.len();
        while matches[left].event_time < time.saturating_sub(timespan) {
            tally.remove(matches[left]);
            left += 1;
        }
        if bucket.contains(&time) && tally.holds() {
            complete.contributing.extend(&matches[told.max(left)..right]);
            complete.completing.extend(moment);
            told = right;
        }
    }
    complete
}

fn finding(correlation: &Correlation, group: &GroupKey, bucket: i64, complete: &Complete<'_>) -> Option<Finding> {
    let (first, last) = (complete.contributing.first()?, complete.contributing.last()?);
    let mut events: HashSet<&str> = HashSet::with_capacity(complete.contributing.len());
    events.extend(complete.contributing.iter().map(|seen| seen.distinct_id()));
    Some(Finding {
        finding_id: id(correlation, group, bucket),
        kind: FindingKind::Correlated,
        rule_id: correlation.id.clone(),
        subject: first.subject(correlation),
        first_seen: first.event_time,
        last_seen: last.event_time,
        group: group.0.clone(),
        event_count: (events.len() as u64).min(MOST_EVENTS),
        evidence: evidence(&complete.contributing),
        bucket: Some(bucket),
        order_ambiguous: complete.ambiguous,
        completed_by: completions(&complete.completing),
    })
}

/// A hash of the correlation, the values of the group in the order of their names, and the bucket.
fn id(correlation: &Correlation, group: &GroupKey, bucket: i64) -> String {
    let bucket = bucket.to_string();
    let mut parts = vec!["correlated", correlation.id.as_str()];
    parts.extend(group.0.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]));
    parts.push(&bucket);
    finding_id(&parts)
}

/// Of each rule the earliest and the latest pieces, of matches in order.
fn evidence(contributing: &[&CorrelationMatch]) -> BTreeSet<Evidence> {
    let mut by_rule: BTreeMap<&str, Vec<&CorrelationMatch>> = BTreeMap::new();
    for seen in contributing {
        by_rule.entry(&seen.rule_id).or_default().push(seen);
    }
    let mut kept = BTreeSet::new();
    for list in by_rule.values() {
        kept.extend(ends(list.iter().map(|seen| seen.evidence())));
        kept.extend(ends(list.iter().rev().map(|seen| seen.evidence())));
    }
    kept
}

fn completions(completing: &[&CorrelationMatch]) -> BTreeSet<Completion> {
    let all = || completing.iter().map(|seen| (seen.event_time, seen.distinct_id()));
    let latest =
        least(all().rev().map(|(time, id)| (time, Reverse(id)))).into_iter().map(|(time, Reverse(id))| (time, id));
    let kept: BTreeSet<_> = least(all()).into_iter().chain(latest).collect();
    kept.into_iter().map(|(time, id)| Completion { event_time: time, event_id: id.to_owned() }).collect()
}

/// The first few that differ by (time, id), of a list by time alone, whichever way it goes. It is read no further than it
/// takes.
fn least<T: Ord + Copy>(by_time: impl Iterator<Item = (Millis, T)>) -> Vec<(Millis, T)> {
    let mut kept: Vec<(Millis, T)> = Vec::new();
    for (time, id) in by_time {
        if kept.len() >= EVIDENCE_EACH && kept[kept.len() - 1].0 != time {
            break;
        }
        // Among equal times, ids come in any order.
        let begin = kept.iter().position(|(other, _)| *other == time).unwrap_or(kept.len());
        if let Err(place) = kept[begin..].binary_search_by(|(_, other)| other.cmp(&id)) {
            kept.insert(begin + place, (time, id));
            kept.truncate(EVIDENCE_EACH);
        }
    }
    kept
}

/// The first few that differ.
fn ends<T: Ord>(list: impl Iterator<Item = T>) -> BTreeSet<T> {
    let mut kept = BTreeSet::new();
    for item in list {
        kept.insert(item);
        if kept.len() == EVIDENCE_EACH {
            break;
        }
    }
    kept
}
