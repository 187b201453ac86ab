//! Cases of correlations: events on a timeline, and the findings that they come to. Each is replayed in other orders,
//! with everything delivered twice, and by two workers that see a part each: the findings must stay the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rsigma_parser::Timespan;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::{Case, START, all_forwarded, complete};
use crate::correlation::{Correlation, Evaluated, Filed, Windows};
use crate::decode::{Decoded, Decoder};
use crate::event::{Event, Millis};
use crate::finding::Finding;
use crate::lineage::{self, Lineage};
use crate::patterns::{Forwarding, Patterns, envelope};
use crate::ruleset::RuleSet;
use crate::tables::Tables;

/// How many events one entry may stand for.
const MOST_REPEATS: u64 = 20_000;

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

/// An event of the timeline.
struct Moment {
    /// The number of its entry, from 1.
    entry: usize,
    sent: Value,
    event: Event,
    lineage: Lineage,
}

/// A finding as `expect` tells it.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    group: BTreeMap<String, String>,
    entries: BTreeSet<usize>,
    events: BTreeSet<String>,
    order_ambiguous: bool,
    bucket: i64,
}

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
        for (way, split) in [("every other event", 2), ("the first half", count.max(2))] {
            let half = |at: usize| if split == 2 { at % 2 == 0 } else { at < count / 2 };
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

/// The entries as events: each has `at`, or comes a second after the one before.
fn moments(entries: &[Map<String, Value>]) -> Result<Vec<Moment>, String> {
    let mut moments = Vec::new();
    let mut time = START;
    for (at, entry) in entries.iter().enumerate() {
        let entry_number = at + 1;
        let mut entry = entry.clone();
        let fault = |message: String| format!("event {entry_number}: {message}");
        time = match entry.remove("at") {
            None => time + 1000,
            Some(offset) => START + span("at", &offset).map_err(fault)?,
        };
        let every = entry.remove("every").map_or(Ok(1000), |every| span("every", &every)).map_err(fault)?;
        let repeats = match entry.remove("repeat") {
            None => 1,
            Some(number) => number
                .as_u64()
                .filter(|number| (1..=MOST_REPEATS).contains(number))
                .ok_or_else(|| fault(format!("`repeat` is a number from 1 to {MOST_REPEATS}")))?,
        };
        for nth in 0..repeats {
            time += if nth == 0 { 0 } else { every };
            let id = format!("00000000-0000-4000-{entry_number:04}-{nth:012}");
            let sent = complete(entry.clone(), &id, time);
            moments.extend(decoded(entry_number, sent).map_err(fault)?);
        }
    }
    Ok(moments)
}

fn decoded(entry: usize, sent: Value) -> Result<Vec<Moment>, String> {
    let bytes = serde_json::to_vec(&sent).map_err(|error| error.to_string())?;
    let one = |decoded| match decoded {
        Decoded::DeadLetter(letter) => Err(format!("it cannot be decoded: {}", letter.reason)),
        Decoded::Event(event) => Ok(Moment { entry, sent: sent.clone(), event: *event, lineage: Lineage::default() }),
    };
    Decoder::record(&bytes).map(one).collect()
}

/// A length of time: `90s`, `10m`, `2h`, `1d`; `0` for none.
fn span(key: &str, written: &Value) -> Result<Millis, String> {
    let text = written.as_str().map_or_else(|| written.to_string(), str::to_owned);
    let seconds = if text == "0" { Some(0) } else { Timespan::parse(&text).ok().map(|span| span.seconds) };
    let span = seconds.and_then(|seconds| i64::try_from(seconds).ok()?.checked_mul(1000));
    span.filter(|span| *span <= START)
        .ok_or_else(|| format!("`{key}: {text}` is no length of time such as 90s, 10m or 2h"))
}

/// Everybody behind each event's credential, by all events of the case.
fn resolve(moments: &mut [Moment]) {
    let links = moments
        .iter()
        .filter(|moment| lineage::teaches(&moment.event))
        .flat_map(|moment| lineage::links(&moment.event));
    let known = lineage::ancestries(links);
    for moment in moments {
        let origin = lineage::origin(&moment.event);
        moment.lineage = lineage::resolve(origin, |credential| known.get(credential).cloned()).lineage;
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

/// Findings as `expect` tells them; those of adjacent buckets together.
fn told(evaluated: Vec<Evaluated<'_>>, moments: &[Moment]) -> Vec<Told> {
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
fn compare(expect: &[Expected], entries: usize, found: &[Told]) -> Result<(), String> {
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
#[path = "timeline_tests.rs"]
mod tests;
