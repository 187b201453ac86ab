//! What must be found, by `docs/CORRELATION.md` word by word and with no thought of speed: all events are there at once,
//! everybody behind them is known, and every window and every chain is looked at. It shares nothing with the code under test
//! but the spelling of times, and can be made wrong on purpose, to see whether anybody notices.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::happening::{Caller, Happening, lasting, person_arn, temporary};
use super::spec::{ACCOUNT, ACTOR, ADDRESS, Kind, RULES, Spec, USER, VALUE, WHOM, file_of, whom};
use super::told::{correlated, few, hash, of_single, subject, time};

/// A way in which the arithmetic can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mistake {
    /// What is exactly a timespan apart is no longer together.
    Boundary,
    /// The first evidence to be had, instead of the earliest and the latest.
    EvidenceOrder,
    /// Buckets begin a second later.
    Bucket,
    /// Copies of an event count as events.
    NotDistinct,
    /// A match is only in the group of the last credential that is behind it.
    LastLineageOnly,
    /// A match is only in the groups of those whom its event itself names.
    OwnWordsOnly,
}

impl Mistake {
    pub(super) const ALL: [Mistake; 6] = [
        Mistake::Boundary,
        Mistake::EvidenceOrder,
        Mistake::Bucket,
        Mistake::NotDistinct,
        Mistake::LastLineageOnly,
        Mistake::OwnWordsOnly,
    ];
}

/// An event that arrived, once or several times.
#[derive(Debug, Clone)]
pub(super) struct Arrived {
    pub(super) event: Happening,
    /// Whether all its arrivals were too late for correlation.
    pub(super) late: bool,
}

/// Findings by id, as JSON.
pub(super) type Findings = BTreeMap<String, Value>;

/// Credentials and persons.
pub(super) type Who = (BTreeSet<String>, BTreeSet<String>);

/// A match; ordered as evidence is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seen {
    pub(super) time: i64,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) source: String,
    pub(super) rule: String,
    pub(super) account: String,
    pub(super) actor: String,
    pub(super) address: Option<String>,
    pub(super) arn: String,
    pub(super) origin: Who,
    pub(super) distinct: String,
    pub(super) values: BTreeSet<Vec<String>>,
}

pub(super) type Group = BTreeMap<String, String>;

/// What must be found.
pub(super) fn findings(specs: &[Spec], arrived: &[Arrived], mistake: Option<Mistake>) -> Findings {
    let mut found = singles(specs, arrived);
    // What each correlation is complete with, by group.
    let mut completions: BTreeMap<&str, BTreeSet<(Group, Seen)>> = BTreeMap::new();
    for spec in specs {
        let mut groups: BTreeMap<Group, BTreeSet<Seen>> = BTreeMap::new();
        for part in BTreeSet::from_iter(&spec.parts) {
            for (group, seen) in matches(spec, part, arrived, &completions, mistake) {
                groups.entry(group).or_default().insert(seen);
            }
        }
        for (group, matches) in groups {
            let all: Vec<Seen> = matches.into_iter().collect();
            let mut buckets: BTreeMap<i64, Content> = BTreeMap::new();
            for (end, members, ambiguous) in satisfied(spec, &all, mistake) {
                let shift = i64::from(mistake == Some(Mistake::Bucket));
                let bucket = buckets.entry((end.time - shift).div_euclid(spec.timespan)).or_default();
                completions.entry(&spec.id).or_default().insert((group.clone(), end.clone()));
                bucket.members.extend(members);
                bucket.ends.insert(end);
                bucket.ambiguous |= ambiguous;
            }
            for (bucket, content) in buckets.iter().filter(|_| !is_silent(specs, &spec.id)) {
                let finding = correlated(spec, specs, &group, *bucket, content, mistake);
                found.insert(finding["finding_id"].as_str().unwrap().to_owned(), finding);
            }
        }
    }
    found
}

/// What a bucket comes to.
#[derive(Default)]
pub(super) struct Content {
    pub(super) members: BTreeSet<Seen>,
    pub(super) ends: BTreeSet<Seen>,
    pub(super) ambiguous: bool,
}

/// Whether a rule or correlation makes no findings of its own.
fn is_silent(specs: &[Spec], id: &str) -> bool {
    let listing: Vec<&Spec> = specs.iter().filter(|spec| spec.parts.iter().any(|part| part == id)).collect();
    let beside = listing.iter().any(|outer| file_of(specs, &outer.id) == file_of(specs, id));
    beside && listing.iter().all(|outer| !outer.generate)
}

/// The matches of one part of a correlation, with their groups.
fn matches(
    spec: &Spec,
    part: &str,
    arrived: &[Arrived],
    completions: &BTreeMap<&str, BTreeSet<(Group, Seen)>>,
    mistake: Option<Mistake>,
) -> Vec<(Group, Seen)> {
    if !part.starts_with('r') {
        let inner = completions.get(part).into_iter().flatten();
        return inner.filter_map(|(group, seen)| regrouped(spec, part, group, seen)).collect();
    }
    let mut all = Vec::new();
    for Arrived { event, .. } in arrived.iter().filter(|arrived| !arrived.late && satisfies(&arrived.event, part)) {
        let everybody = behind(event, arrived, mistake);
        let read = |field: &str| field_values(event, if field == WHOM { whom(part) } else { field }, &everybody);
        let mut seen = seen(event, part);
        if let Kind::ValueCount(_, fields) = &spec.kind {
            seen.values = combinations(fields.iter().map(|field| read(field)));
            if seen.values.is_empty() {
                continue;
            }
        }
        for values in combinations(spec.group_by.iter().map(|name| read(name))) {
            let group = spec.group_by.iter().map(|name| (*name).to_owned()).zip(values).collect();
            all.push((group, seen.clone()));
        }
    }
    all
}

fn satisfies(event: &Happening, rule: &str) -> bool {
    event.rules.iter().any(|at| format!("r{at}") == rule)
}

/// A completion of an inner correlation as a match of an outer one.
fn regrouped(spec: &Spec, part: &str, group: &Group, seen: &Seen) -> Option<(Group, Seen)> {
    let value = |name: &&str| Some(((*name).to_owned(), group.get(*name)?.clone()));
    let group = spec.group_by.iter().map(value).collect::<Option<_>>()?;
    Some((group, Seen { rule: part.to_owned(), values: BTreeSet::new(), ..seen.clone() }))
}

fn seen(event: &Happening, rule: &str) -> Seen {
    let (actor, arn) = event.caller.told();
    Seen {
        time: event.time,
        id: event.event_id(),
        name: event.name(),
        source: event.source().to_owned(),
        rule: rule.to_owned(),
        account: event.account_id(),
        actor,
        address: address(event),
        arn,
        origin: own_words(event),
        distinct: event.distinct(),
        values: BTreeSet::new(),
    }
}

fn address(event: &Happening) -> Option<String> {
    event.address.map(|address| format!("198.51.100.{address}"))
}

fn field_values(event: &Happening, field: &str, everybody: &Who) -> BTreeSet<String> {
    match field {
        USER => event.user.texts("u").into_iter().collect(),
        VALUE => event.value.texts("v").into_iter().collect(),
        ADDRESS => address(event).into_iter().collect(),
        ACCOUNT => [event.account_id()].into(),
        ACTOR => everybody.0.union(&everybody.1).cloned().collect(),
        other => panic!("{other}"),
    }
}

/// Every combination of one of each.
fn combinations(sets: impl Iterator<Item = BTreeSet<String>>) -> BTreeSet<Vec<String>> {
    sets.fold(BTreeSet::from([vec![]]), |lists, set| {
        let with = |list: &Vec<String>, value: &String| list.iter().chain([value]).cloned().collect();
        lists.iter().flat_map(|list| set.iter().map(move |value| with(list, value))).collect()
    })
}

/// Whom an event itself names.
fn own_words(event: &Happening) -> Who {
    let mut who = Who::default();
    match &event.caller {
        Caller::User { person, key } => {
            who.0.extend(key.then(|| lasting(*person)));
            who.1.insert(person_arn(*person));
        }
        Caller::Session { key, identity } => {
            who.0.insert(temporary(*key));
            who.1.extend(identity.map(|identity| format!("source-identity:i{identity}")));
        }
        Caller::Nameless => {}
    }
    who
}

/// Everybody behind an event: takes in who asked for a credential until nobody is new. Links are believed however late.
fn behind(event: &Happening, arrived: &[Arrived], mistake: Option<Mistake>) -> Who {
    let mut who = own_words(event);
    let hands_out = |event: &Happening, keys: &BTreeSet<String>| {
        event.grant.as_ref().is_some_and(|grant| !grant.failed && keys.contains(&temporary(grant.key)))
    };
    while mistake != Some(Mistake::OwnWordsOnly) {
        let before = who.clone();
        for Arrived { event, .. } in arrived.iter().filter(|arrived| hands_out(&arrived.event, &before.0)) {
            let more = own_words(event);
            who.0.extend(more.0);
            who.1.extend(more.1);
            let identity = event.grant.as_ref().and_then(|grant| grant.identity);
            who.1.extend(identity.map(|identity| format!("source-identity:i{identity}")));
        }
        if who == before {
            break;
        }
    }
    if mistake == Some(Mistake::LastLineageOnly) {
        return (who.0.into_iter().next_back().into_iter().collect(), BTreeSet::new());
    }
    who
}

/// Every completion with a satisfying set of it, and whether equal times were put in order.
fn satisfied(spec: &Spec, all: &[Seen], mistake: Option<Mistake>) -> Vec<(Seen, Vec<Seen>, bool)> {
    if spec.kind == Kind::Ordered {
        let mut chains = Vec::new();
        chain(spec, all, &mut Vec::new(), mistake, &mut chains);
        let ambiguous = |chain: &[&Seen]| chain.windows(2).any(|pair| pair[0].time == pair[1].time);
        let owned = |chain: &[&Seen]| chain.iter().map(|seen| (*seen).clone()).collect();
        return chains.iter().map(|chain| ((*chain.last().unwrap()).clone(), owned(chain), ambiguous(chain))).collect();
    }
    let mut satisfied = Vec::new();
    for end in all {
        let window: Vec<Seen> = all.iter().filter(|seen| within(seen.time, end.time, spec, mistake)).cloned().collect();
        if holds(spec, &window, mistake) {
            satisfied.push((end.clone(), window, false));
        }
    }
    satisfied
}

fn within(from: i64, to: i64, spec: &Spec, mistake: Option<Mistake>) -> bool {
    let most = spec.timespan - i64::from(mistake == Some(Mistake::Boundary));
    from <= to && to - from <= most
}

fn holds(spec: &Spec, window: &[Seen], mistake: Option<Mistake>) -> bool {
    let has = |part: &String| window.iter().any(|seen| seen.rule == *part);
    match &spec.kind {
        Kind::EventCount(least) if mistake == Some(Mistake::NotDistinct) => window.len() >= *least,
        Kind::EventCount(least) => BTreeSet::from_iter(window.iter().map(|seen| &seen.distinct)).len() >= *least,
        Kind::ValueCount(least, _) => BTreeSet::from_iter(window.iter().flat_map(|seen| &seen.values)).len() >= *least,
        Kind::All => spec.parts.iter().all(has),
        Kind::FirstAndAny if spec.parts.len() == 1 => spec.parts.iter().any(has),
        Kind::FirstAndAny => has(&spec.parts[0]) && spec.parts[1..].iter().any(has),
        Kind::Ordered => panic!("chains are found one by one"),
    }
}

/// Every chain that continues this beginning.
fn chain<'s>(
    spec: &Spec,
    all: &'s [Seen],
    begun: &mut Vec<&'s Seen>,
    mistake: Option<Mistake>,
    chains: &mut Vec<Vec<&'s Seen>>,
) {
    let Some(part) = spec.parts.get(begun.len()) else {
        return chains.push(begun.clone());
    };
    for seen in all.iter().filter(|seen| seen.rule == *part) {
        let distinct = mistake == Some(Mistake::NotDistinct) || begun.iter().all(|used| used.distinct != seen.distinct);
        let ordered = begun.last().is_none_or(|last| last.time <= seen.time);
        if distinct && ordered && begun.first().is_none_or(|first| within(first.time, seen.time, spec, mistake)) {
            begun.push(seen);
            chain(spec, all, begun, mistake, chains);
            begun.pop();
        }
    }
}

/// The findings of single events, which lateness does not concern.
fn singles(specs: &[Spec], arrived: &[Arrived]) -> Findings {
    let mut found = Findings::new();
    for rule in (0..RULES).map(|at| format!("r{at}")).filter(|rule| !is_silent(specs, rule)) {
        let mut by_event: BTreeMap<String, BTreeSet<Seen>> = BTreeMap::new();
        for Arrived { event, .. } in arrived.iter().filter(|arrived| satisfies(&arrived.event, &rule)) {
            by_event.entry(event.event_id()).or_default().insert(seen(event, &rule));
        }
        for (event_id, copies) in by_event {
            let pieces: BTreeMap<_, _> =
                copies.iter().map(|seen| ((seen.time, &seen.name, &seen.source), seen)).collect();
            let pieces: Vec<Value> = pieces.values().map(|seen| of_single(seen)).collect();
            let first = copies.first().unwrap();
            let mut finding = json!({
                "finding_id": hash(&["single".to_owned(), rule.clone(), event_id]), "kind": "single", "rule_id": rule,
                "rule_title": rule.to_uppercase(), "severity": "medium",
                "techniques": [format!("T100{}", &rule[1..])], "first_seen": time(first.time),
                "last_seen": time(copies.last().unwrap().time), "event_count": 1, "evidence": few(&pieces),
            });
            subject(&mut finding, first);
            found.insert(finding["finding_id"].as_str().unwrap().to_owned(), finding);
        }
    }
    found
}
