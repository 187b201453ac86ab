//! What a case expects, and whether that was found.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Deserializer};

use super::timeline::Moment;
use crate::correlation::Evaluated;

/// What a case expects.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// Of a rule: the number of an event, from 1.
    Event(usize),
    /// Of a correlation: a finding.
    Story(Story),
}

/// What a finding of a correlation must be. Findings of one group in adjacent buckets, which are one alert, are one.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Story {
    /// Values of its group; names that are left out may have any.
    #[serde(default)]
    pub group: BTreeMap<String, String>,
    /// The numbers of all entries, from 1, of which an event contributes.
    pub events: Vec<usize>,
    /// How many distinct events contribute: for entries that repeat.
    #[serde(default)]
    pub count: Option<u64>,
    /// Whether events of equal time were put into the order that the rule asks for.
    #[serde(default)]
    pub order_ambiguous: bool,
}

impl<'de> Deserialize<'de> for Expected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Expected, D::Error> {
        use serde::de::Error;
        let value = yaml_serde::Value::deserialize(deserializer)?;
        if let Some(number) = value.as_u64().and_then(|number| usize::try_from(number).ok()) {
            return Ok(Expected::Event(number));
        }
        if !value.is_mapping() {
            return Err(D::Error::custom("`expect` lists numbers of events, or findings such as {events: [1, 2]}"));
        }
        yaml_serde::from_value(value).map(Expected::Story).map_err(D::Error::custom)
    }
}

/// A finding as `expect` tells it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    group: BTreeMap<String, String>,
    entries: BTreeSet<usize>,
    events: BTreeSet<String>,
    order_ambiguous: bool,
    bucket: i64,
}

/// Findings as `expect` tells them; those of adjacent buckets together.
pub(super) fn told(evaluated: Vec<Evaluated<'_>>, moments: &[Moment]) -> Vec<Told> {
    let mut entries: HashMap<&str, BTreeSet<usize>> = HashMap::new();
    for moment in moments {
        entries.entry(moment.event.id()).or_default().insert(moment.entry);
    }
    let mut all: Vec<Told> = Vec::new();
    for Evaluated { bucket, finding, contributing, .. } in evaluated {
        let of = |id: &str| entries.get(id).cloned().unwrap_or_default();
        let one = Told {
            group: finding.group,
            entries: contributing.iter().flat_map(|seen| of(&seen.event_id)).collect(),
            events: contributing.iter().map(|seen| seen.distinct_id().to_owned()).collect(),
            order_ambiguous: finding.order_ambiguous,
            bucket,
        };
        match all.last_mut() {
            Some(last) if last.group == one.group && last.bucket + 1 == bucket => {
                last.entries.extend(one.entries);
                last.events.extend(one.events);
                last.order_ambiguous |= one.order_ambiguous;
                last.bucket = bucket;
            }
            _ => all.push(one),
        }
    }
    all
}

/// # Errors
/// Says what was found instead of what.
pub(super) fn compare(expect: &[Expected], entries: usize, found: &[Told]) -> Result<(), String> {
    let mut stories = Vec::new();
    for expected in expect {
        let Expected::Story(story) = expected else {
            return Err(
                "of a correlation, `expect` lists findings such as {events: [1, 2]}: this is no rule".to_owned()
            );
        };
        if let Some(number) = story.events.iter().find(|number| **number == 0 || **number > entries) {
            return Err(format!("it expects event {number}, but has {entries}"));
        }
        stories.push(story);
    }
    if stories.len() == found.len() && is_paired(&stories, found) {
        return Ok(());
    }
    let list = |texts: Vec<String>| if texts.is_empty() { "nothing".to_owned() } else { texts.join("; ") };
    let expected = list(stories.iter().map(|story| story.to_string()).collect());
    Err(format!("expected {expected}, found {}", list(found.iter().map(Told::to_string).collect())))
}

/// Whether each expectation can have a finding of its own.
fn is_paired(stories: &[&Story], found: &[Told]) -> bool {
    let mut taken: Vec<Option<usize>> = vec![None; found.len()];
    (0..stories.len()).all(|story| pair(story, stories, found, &mut taken, &mut vec![false; found.len()]))
}

/// Finds a finding for the expectation, if need be by finding another one for who has it.
fn pair(story: usize, stories: &[&Story], found: &[Told], taken: &mut [Option<usize>], tried: &mut [bool]) -> bool {
    for at in 0..found.len() {
        if tried[at] || !stories[story].fits(&found[at]) {
            continue;
        }
        tried[at] = true;
        if taken[at].is_none_or(|other| pair(other, stories, found, taken, tried)) {
            taken[at] = Some(story);
            return true;
        }
    }
    false
}

impl Story {
    fn fits(&self, found: &Told) -> bool {
        self.group.iter().all(|(name, value)| found.group.get(name) == Some(value))
            && BTreeSet::from_iter(self.events.iter().copied()) == found.entries
            && self.count.is_none_or(|count| count == found.events.len() as u64)
            && self.order_ambiguous == found.order_ambiguous
    }
}

impl std::fmt::Display for Story {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let events: BTreeSet<usize> = self.events.iter().copied().collect();
        write(f, &events, self.count, self.order_ambiguous, &self.group)
    }
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write(f, &self.entries, Some(self.events.len() as u64), self.order_ambiguous, &self.group)
    }
}

fn write(
    f: &mut std::fmt::Formatter<'_>,
    events: &BTreeSet<usize>,
    count: Option<u64>,
    ambiguous: bool,
    group: &BTreeMap<String, String>,
) -> std::fmt::Result {
    write!(f, "a finding of events {:?}", Vec::from_iter(events))?;
    count.into_iter().try_for_each(|count| write!(f, " ({count} in all)"))?;
    group.iter().try_for_each(|(name, value)| write!(f, ", {name} {value:?}"))?;
    if ambiguous { f.write_str(", order ambiguous") } else { Ok(()) }
}
