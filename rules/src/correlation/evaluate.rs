//! [`evaluate()`]: the matches of one group → what each bucket's completions come to.
//!
//! Time is cut into *buckets* of one timespan each. A bucket's finding rests on the completions within it, and these on
//! matches at most a timespan older: so a match concerns its own bucket and the next, and a bucket is evaluated on the
//! matches of its own and of the one before. Sweeps over sorted matches: linear in their number, beside the sorting.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::rows::{Row, Rows};
use super::tally::Tally;
use super::{Correlation, CorrelationMatch, GroupKey, Seen, ordered};
use crate::event::Millis;
use crate::finding::{Completion, EVIDENCE_EACH, Evidence, Finding, FindingKind, MOST_EVENTS, finding_id};

/// What the matches of one group come to in one bucket: a finding, unless nothing is complete.
#[derive(Debug, Clone)]
pub struct Evaluated<'m, M = CorrelationMatch> {
    /// The bucket: [`bucket_of`] its completions.
    pub bucket: i64,
    /// The finding.
    pub finding: Finding,
    /// Every match that contributes, by time; the finding keeps the ends of it.
    pub contributing: Vec<&'m M>,
    /// The matches at which the condition holds, by time: matches of an outer correlation.
    pub completing: Vec<&'m M>,
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
pub fn evaluate<'m, M: Seen>(
    correlation: &'m Correlation,
    group: &GroupKey,
    matches: impl IntoIterator<Item = &'m M>,
    buckets: impl IntoIterator<Item = i64>,
) -> Vec<Evaluated<'m, M>> {
    let rows = Rows::of(correlation, matches);
    let mut tally = Tally::new(correlation, rows.events);
    // By event, in how many buckets it has been counted.
    let mut counted = Counted { last: vec![0; rows.events], round: 0 };
    let buckets: BTreeSet<i64> = buckets.into_iter().collect();
    let one = |bucket| one(correlation, group, &rows.list, bucket, tally.as_mut(), &mut counted);
    buckets.into_iter().filter_map(one).collect()
}

fn one<'m, M: Seen>(
    correlation: &'m Correlation,
    group: &GroupKey,
    rows: &[Row<'m, M>],
    bucket: i64,
    tally: Option<&mut Tally<'m>>,
    counted: &mut Counted,
) -> Option<Evaluated<'m, M>> {
    let range = range_of(bucket, correlation.timespan);
    let begin = rows.partition_point(|row| row.seen.time() < range.start);
    let end = rows.partition_point(|row| row.seen.time() < range.end);
    let own = range.start.saturating_add(correlation.timespan)..range.end;
    let complete = complete(correlation, rows.get(begin..end)?, own, tally);
    let finding = finding(correlation, group, bucket, &complete, counted)?;
    let Complete { contributing, completing, .. } = complete;
    let contributing = contributing.iter().map(|row| row.seen).collect();
    Some(Evaluated { bucket, finding, contributing, completing })
}

/// What is complete in a bucket, sorted.
struct Complete<'m, M> {
    contributing: Vec<Row<'m, M>>,
    completing: Vec<&'m M>,
    ambiguous: bool,
}

fn complete<'m, M: Seen>(
    correlation: &'m Correlation,
    rows: &[Row<'m, M>],
    bucket: Range<Millis>,
    tally: Option<&mut Tally<'m>>,
) -> Complete<'m, M> {
    let Some(tally) = tally else {
        let chains = ordered::chains(correlation, rows, bucket);
        let members = rows.iter().zip(chains.members).filter(|(_, member)| *member).map(|(row, _)| *row);
        let completing = chains.ends.into_iter().map(|at| rows[at].seen).collect();
        return Complete { contributing: members.collect(), completing, ambiguous: chains.ambiguous };
    };
    let mut taken = Vec::with_capacity(rows.len());
    taken.extend(rows.iter().copied().filter(|row| tally.takes(row)));
    slide(tally, &taken, correlation.timespan, &bucket)
}

/// Slides a window over the matches. Wherever it is complete within the bucket, all that it holds contributes. The tally
/// is empty before and after.
fn slide<'m, M: Seen>(
    tally: &mut Tally<'m>,
    rows: &[Row<'m, M>],
    timespan: Millis,
    bucket: &Range<Millis>,
) -> Complete<'m, M> {
    let mut complete = Complete { contributing: Vec::new(), completing: Vec::new(), ambiguous: false };
    let (mut left, mut right, mut told) = (0, 0, 0);
    for moment in rows.chunk_by(|a, b| a.seen.time() == b.seen.time()) {
        let time = moment[0].seen.time();
        moment.iter().for_each(|row| tally.add(row));
        right += moment.len();
        while rows[left].seen.time() < time.saturating_sub(timespan) {
            tally.remove(&rows[left]);
            left += 1;
        }
        if bucket.contains(&time) && tally.holds() {
            complete.contributing.extend(&rows[told.max(left)..right]);
            complete.completing.extend(moment.iter().map(|row| row.seen));
            told = right;
        }
    }
    rows[left..].iter().for_each(|row| tally.remove(row));
    complete
}

/// Which events were counted last.
struct Counted {
    /// By event, in which round.
    last: Vec<usize>,
    round: usize,
}

impl Counted {
    /// How many events these matches are of.
    fn events<M>(&mut self, rows: &[Row<'_, M>]) -> usize {
        self.round += 1;
        let new = |row: &&Row<'_, M>| std::mem::replace(&mut self.last[row.event], self.round) != self.round;
        rows.iter().filter(new).count()
    }
}

fn finding<M: Seen>(
    correlation: &Correlation,
    group: &GroupKey,
    bucket: i64,
    complete: &Complete<'_, M>,
    counted: &mut Counted,
) -> Option<Finding> {
    let (first, last) = (complete.contributing.first()?, complete.contributing.last()?);
    Some(Finding {
        finding_id: id(correlation, group, bucket),
        kind: FindingKind::Correlated,
        rule_id: correlation.id.clone(),
        subject: first.seen.subject(correlation),
        first_seen: first.seen.time(),
        last_seen: last.seen.time(),
        group: group.0.clone(),
        event_count: (counted.events(&complete.contributing) as u64).min(MOST_EVENTS),
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
fn evidence<M: Seen>(contributing: &[Row<'_, M>]) -> BTreeSet<Evidence> {
    let mut by_part: BTreeMap<usize, Vec<&M>> = BTreeMap::new();
    for row in contributing {
        by_part.entry(row.part).or_default().push(row.seen);
    }
    let mut kept = BTreeSet::new();
    for list in by_part.values() {
        kept.extend(ends(list.iter().map(|seen| seen.evidence())));
        kept.extend(ends(list.iter().rev().map(|seen| seen.evidence())));
    }
    kept
}

fn completions<M: Seen>(completing: &[&M]) -> BTreeSet<Completion> {
    let all = || completing.iter().map(|seen| (seen.time(), seen.distinct_id()));
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
