//! What `docs/CORRELATION.md` says, word by word, with no thought of speed: every window and every chain is looked at.
//! It can be made wrong on purpose, to see whether anybody notices.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::scenario::{ACTOR, ADDRESS, Happening, Kind, Scenario, Spec, USER};

/// A way to be wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mutation {
    /// What is exactly a timespan apart is no longer together.
    Boundary,
    /// The first evidence to be had, instead of the earliest and the latest.
    EvidenceOrder,
    /// Buckets begin half a timespan later.
    Bucket,
    /// Copies of an event count as events.
    NotDistinct,
    /// Equal times stand in one order only.
    EqualTimes,
    /// A window's matches are told apart by the time of the completion: older ones do not contribute.
    OnlyCompletion,
}

/// A match as the naive reference keeps it; ordered as evidence is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    time: i64,
    id: String,
    name: String,
    rule: String,
    account: String,
    address: Option<String>,
    distinct: String,
    values: BTreeSet<String>,
    group: BTreeMap<String, String>,
}

/// Findings by id, as JSON.
pub(crate) type Findings = BTreeMap<String, Value>;

pub(crate) fn findings(scenario: &Scenario, mutation: Option<Mutation>) -> Findings {
    let mut found = Findings::new();
    // Completions of the correlations so far, with their groups.
    let mut completions: BTreeMap<&str, BTreeSet<Seen>> = BTreeMap::new();
    for spec in &scenario.specs {
        let mut groups: BTreeMap<BTreeMap<String, String>, BTreeSet<Seen>> = BTreeMap::new();
        for part in BTreeSet::from_iter(&spec.parts) {
            let matches: Vec<Seen> = match completions.get(part.as_str()) {
                Some(seen) => seen.iter().filter_map(|seen| regrouped(seen, spec, part)).collect(),
                None => scenario.events.iter().flat_map(|event| matches(event, spec, part)).collect(),
            };
            for seen in matches {
                groups.entry(seen.group.clone()).or_default().insert(seen);
            }
        }
        for (group, matches) in groups {
            let all: Vec<Seen> = matches.into_iter().collect();
            let mut buckets: BTreeMap<i64, (BTreeSet<Seen>, BTreeSet<Seen>, bool)> = BTreeMap::new();
            for (end, members, ambiguous) in satisfied(spec, &all, mutation) {
                let shift = if mutation == Some(Mutation::Bucket) { spec.timespan / 2 } else { 0 };
                let bucket = buckets.entry((end.time + shift).div_euclid(spec.timespan)).or_default();
                completions.entry(&spec.id).or_default().insert(end.clone());
                bucket.0.extend(members);
                bucket.1.insert(end);
                bucket.2 |= ambiguous;
            }
            for (bucket, content) in buckets {
                let finding = finding(spec, scenario, &group, bucket, content, mutation);
                found.insert(finding["finding_id"].as_str().unwrap().to_owned(), finding);
            }
        }
    }
    found
}

/// One match for each combination of the group's values.
fn matches(event: &Happening, spec: &Spec, part: &str) -> Vec<Seen> {
    if !event.rules.iter().any(|rule| format!("r{rule}") == part) {
        return vec![];
    }
    let mut groups = vec![BTreeMap::new()];
    for name in &spec.group_by {
        let values: Vec<String> = match *name {
            USER => event.users.iter().map(|user| format!("u{user}")).collect(),
            ADDRESS => event.address.iter().map(|address| format!("198.51.100.{address}")).collect(),
            ACTOR => event.persons.iter().map(|person| format!("arn:aws:iam::1:user/p{person}")).collect(),
            other => panic!("{other}"),
        };
        let with = |group: &BTreeMap<String, String>, value: String| {
            let mut group = group.clone();
            group.insert((*name).to_owned(), value);
            group
        };
        groups = groups.iter().flat_map(|group| values.iter().map(|value| with(group, value.clone()))).collect();
    }
    let counts = matches!(spec.kind, Kind::ValueCount(_));
    let seen = |group| Seen {
        time: event.time,
        id: event.event_id(),
        name: format!("Call{}", event.rules.len()),
        rule: part.to_owned(),
        account: format!("11112222333{}", event.account),
        address: event.address.map(|address| format!("198.51.100.{address}")),
        distinct: event.shared.map_or_else(|| event.event_id(), |shared| format!("s{shared}")),
        values: event.values.iter().filter(|_| counts).map(|value| format!("v{value}")).collect(),
        group,
    };
    groups.into_iter().map(seen).filter(|seen| !counts || !seen.values.is_empty()).collect()
}

/// A completion of an inner correlation as a match of an outer one.
fn regrouped(seen: &Seen, spec: &Spec, part: &str) -> Option<Seen> {
    let value = |name: &&str| Some(((*name).to_owned(), seen.group.get(*name)?.clone()));
    let group = spec.group_by.iter().map(value).collect::<Option<_>>()?;
    Some(Seen { rule: part.to_owned(), group, values: BTreeSet::new(), ..seen.clone() })
}

/// Every completion with one satisfying set of it, and whether equal times were put in order.
fn satisfied(spec: &Spec, all: &[Seen], mutation: Option<Mutation>) -> Vec<(Seen, Vec<Seen>, bool)> {
    if spec.kind == Kind::Ordered {
        let mut chains = Vec::new();
        chain(spec, all, &mut Vec::new(), mutation, &mut chains);
        let ambiguous = |chain: &[&Seen]| chain.windows(2).any(|pair| pair[0].time == pair[1].time);
        let owned = |chain: &[&Seen]| chain.iter().map(|seen| (*seen).clone()).collect();
        return chains.iter().map(|chain| ((*chain.last().unwrap()).clone(), owned(chain), ambiguous(chain))).collect();
    }
    let mut satisfied = Vec::new();
    for end in all {
        let window: Vec<Seen> =
            all.iter().filter(|seen| within(seen.time, end.time, spec, mutation)).cloned().collect();
        if holds(spec, &window, mutation) {
            let older = |seen: &Seen| mutation != Some(Mutation::OnlyCompletion) || seen.time == end.time;
            satisfied.push((end.clone(), window.into_iter().filter(older).collect(), false));
        }
    }
    satisfied
}

fn within(from: i64, to: i64, spec: &Spec, mutation: Option<Mutation>) -> bool {
    let most = if mutation == Some(Mutation::Boundary) { spec.timespan - 1 } else { spec.timespan };
    from <= to && to - from <= most
}

fn holds(spec: &Spec, window: &[Seen], mutation: Option<Mutation>) -> bool {
    let has = |part: &String| window.iter().any(|seen| seen.rule == *part);
    match &spec.kind {
        Kind::EventCount(most) if mutation == Some(Mutation::NotDistinct) => window.len() >= *most,
        Kind::EventCount(most) => BTreeSet::from_iter(window.iter().map(|seen| &seen.distinct)).len() >= *most,
        Kind::ValueCount(most) => BTreeSet::from_iter(window.iter().flat_map(|seen| &seen.values)).len() >= *most,
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
    mutation: Option<Mutation>,
    chains: &mut Vec<Vec<&'s Seen>>,
) {
    let Some(part) = spec.parts.get(begun.len()) else {
        return chains.push(begun.clone());
    };
    for seen in all.iter().filter(|seen| seen.rule == *part) {
        let distinct =
            mutation == Some(Mutation::NotDistinct) || begun.iter().all(|used| used.distinct != seen.distinct);
        let ordered = begun.last().is_none_or(|last| {
            last.time < seen.time
                || last.time == seen.time && (mutation != Some(Mutation::EqualTimes) || last.id < seen.id)
        });
        if distinct && ordered && begun.first().is_none_or(|first| within(first.time, seen.time, spec, mutation)) {
            begun.push(seen);
            chain(spec, all, begun, mutation, chains);
            begun.pop();
        }
    }
}

fn finding(
    spec: &Spec,
    scenario: &Scenario,
    group: &BTreeMap<String, String>,
    bucket: i64,
    (contributing, ends, ambiguous): (BTreeSet<Seen>, BTreeSet<Seen>, bool),
    mutation: Option<Mutation>,
) -> Value {
    let first = contributing.first().unwrap();
    let time = |seconds: i64| dial_rules::event::rfc3339(seconds * 1000);
    let mut finding = json!({
        "finding_id": id(spec, group, bucket), "kind": "correlated", "rule_id": spec.id,
        "rule_title": format!("C {}", spec.id), "severity": "high", "account_id": first.account,
        "region": "us-east-1", "actor": "alice", "source_ip": first.address, "techniques": techniques(spec, scenario),
        "actor_arn": "arn:aws:iam::111122223333:user/alice",
        "origin": {"persons": ["arn:aws:iam::111122223333:user/alice"]},
        "first_seen": time(first.time), "last_seen": time(contributing.last().unwrap().time),
        "event_count": BTreeSet::from_iter(contributing.iter().map(|seen| &seen.distinct)).len(),
        "evidence": evidence(&contributing, mutation).into_iter().map(shown).collect::<Vec<_>>(), "bucket": bucket,
    });
    if !group.is_empty() {
        finding["group"] = json!(group);
    }
    if ambiguous {
        finding["order_ambiguous"] = true.into();
    }
    let ends: Vec<(i64, &String)> =
        BTreeSet::from_iter(ends.iter().map(|seen| (seen.time, &seen.distinct))).into_iter().collect();
    let ends = few(&ends).into_iter().map(|(at, id)| json!({"event_time": time(at), "event_id": id}));
    finding["completed_by"] = ends.collect();
    finding
}

/// Of a list in order, five from each end.
fn few<T: Clone>(list: &[T]) -> Vec<T> {
    let near = |at: &usize| *at < 5 || *at + 5 >= list.len();
    (0..list.len()).filter(near).map(|at| list[at].clone()).collect()
}

fn evidence(contributing: &BTreeSet<Seen>, mutation: Option<Mutation>) -> BTreeSet<Seen> {
    // Evidence does not tell what is counted, or that an event is a copy.
    let bare = |seen: &Seen| Seen { distinct: String::new(), values: BTreeSet::new(), ..seen.clone() };
    let all: BTreeSet<Seen> = contributing.iter().map(bare).collect();
    let rules: BTreeSet<&String> = all.iter().map(|seen| &seen.rule).collect();
    let of = |rule: &String| {
        let list: Vec<Seen> = all.iter().filter(|seen| seen.rule == *rule).cloned().collect();
        if mutation == Some(Mutation::EvidenceOrder) { list.into_iter().take(10).collect() } else { few(&list) }
    };
    rules.into_iter().flat_map(of).collect()
}

fn shown(seen: Seen) -> Value {
    let mut shown = json!({
        "event_time": dial_rules::event::rfc3339(seen.time * 1000), "event_id": seen.id, "event_name": seen.name,
        "event_source": "iam.amazonaws.com", "rule_id": seen.rule, "account_id": seen.account, "region": "us-east-1",
        "actor": "alice",
    });
    if let Some(address) = seen.address {
        shown["source_ip"] = address.into();
    }
    shown
}

/// Those of all rules at the bottom.
fn techniques(spec: &Spec, scenario: &Scenario) -> BTreeSet<String> {
    let of = |part: &String| match part.strip_prefix('r') {
        Some(rule) => BTreeSet::from([format!("T100{rule}")]),
        None => techniques(scenario.specs.iter().find(|spec| spec.id == *part).unwrap(), scenario),
    };
    spec.parts.iter().flat_map(of).collect()
}

fn id(spec: &Spec, group: &BTreeMap<String, String>, bucket: i64) -> String {
    let mut parts = vec!["correlated".to_owned(), spec.id.clone()];
    parts.extend(group.iter().flat_map(|(name, value)| [name.clone(), value.clone()]));
    parts.push(bucket.to_string());
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// JSON without members that are null, and objects in the order of their keys: for comparing.
pub(crate) fn plain(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(members.map(|(key, value)| (key, plain(value))).collect::<Map<_, _>>())
        }
        Value::Array(list) => list.into_iter().map(plain).collect(),
        other => other,
    }
}
