//! Random rules, correlations and events.

use dial_rules::correlation::Filed;
use dial_rules::decode::{Decoded, Decoder};
use dial_rules::event::{Event, rfc3339};
use dial_rules::lineage::Lineage;
use dial_rules::ruleset::{RuleFile, RuleSet};
use dial_rules::tables::Tables;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

/// What kind of correlation, with its number.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    EventCount(usize),
    ValueCount(usize),
    All,
    /// The first, and one of the others.
    FirstAndAny,
    Ordered,
}

/// A correlation.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    /// Ids of rules or of earlier correlations.
    pub(crate) parts: Vec<String>,
    pub(crate) group_by: Vec<&'static str>,
    /// In seconds.
    pub(crate) timespan: i64,
}

/// An event, or a copy of one.
#[derive(Debug, Clone)]
pub(crate) struct Happening {
    /// In seconds.
    pub(crate) time: i64,
    pub(crate) id: usize,
    /// The id that it shares with copies in other accounts.
    pub(crate) shared: Option<usize>,
    pub(crate) account: usize,
    /// Which of four rules it satisfies.
    pub(crate) rules: Vec<usize>,
    pub(crate) users: Vec<usize>,
    pub(crate) address: Option<usize>,
    pub(crate) values: Vec<usize>,
    pub(crate) persons: Vec<usize>,
}

/// All of it.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) specs: Vec<Spec>,
    pub(crate) events: Vec<Happening>,
}

pub(crate) const USER: &str = "requestParameters.user";
pub(crate) const ADDRESS: &str = "who";
pub(crate) const VALUE: &str = "requestParameters.value";
pub(crate) const ACTOR: &str = "dial.actor";

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        1 => (1usize..5).prop_map(Kind::EventCount),
        1 => (1usize..4).prop_map(Kind::ValueCount),
        1 => Just(Kind::All),
        1 => Just(Kind::FirstAndAny),
        2 => Just(Kind::Ordered),
    ]
}

fn spec(at: usize) -> impl Strategy<Value = Spec> {
    let parts = prop::collection::vec(select(vec!["r0", "r1", "r2", "r3"]), 1..4);
    let group_by = subsequence(vec![USER, ADDRESS, ACTOR], 0..3);
    (kind(), parts, group_by, select(vec![3i64, 5, 8])).prop_map(move |(kind, parts, group_by, timespan)| {
        let parts = parts.into_iter().map(str::to_owned).collect();
        Spec { id: format!("c{at}"), kind, parts, group_by, timespan }
    })
}

/// One over the first correlation, which may itself be over others.
fn outer(at: usize) -> impl Strategy<Value = (Spec, usize, bool)> {
    (spec(at), 0usize..4, any::<bool>())
}

fn happening() -> impl Strategy<Value = Happening> {
    let some = |most: usize, size: std::ops::Range<usize>| subsequence((0..most).collect::<Vec<_>>(), size);
    let of = (0i64..26, 0usize..14, prop::option::weighted(0.3, 0usize..3), 0usize..2);
    let rules = prop_oneof![3 => some(4, 1..2), 1 => some(4, 0..4)];
    (of, rules, prop_oneof![4 => some(2, 1..2), 1 => some(3, 0..3)], prop::option::weighted(0.9, 0usize..2))
        .prop_flat_map(move |(of, rules, users, address)| {
            (Just(of), Just(rules), Just(users), Just(address), some(4, 0..3), some(3, 0..3))
        })
        .prop_map(|((time, id, shared, account), rules, users, address, values, persons)| Happening {
            time,
            id,
            shared,
            account,
            rules,
            users,
            address,
            values,
            persons,
        })
}

pub(crate) fn scenario() -> impl Strategy<Value = Scenario> {
    let events = prop_oneof![3 => prop::collection::vec(happening(), 1..14), 1 => busy()];
    (spec(0), spec(1), outer(2), outer(3), events).prop_map(|(first, second, third, fourth, events)| {
        let mut specs = vec![first, second];
        for (mut outer, inner, replaces) in [third, fourth] {
            let inner = specs[inner % specs.len()].clone();
            // Of a completion nothing but its group is known.
            outer.group_by.retain(|name| inner.group_by.contains(name));
            if matches!(outer.kind, Kind::ValueCount(_)) {
                outer.kind = Kind::EventCount(2);
            }
            if replaces {
                outer.parts = vec![inner.id.clone()];
            } else {
                outer.parts.insert(0, inner.id.clone());
            }
            specs.push(outer);
        }
        Scenario { specs, events }
    })
}

/// Many events of one rule, user and address: evidence has to be left out.
fn busy() -> impl Strategy<Value = Vec<Happening>> {
    prop::collection::vec((0i64..12, 0usize..60, subsequence(vec![0usize, 1], 1..3)), 12..40).prop_map(|list| {
        let one = |(time, id, rules)| Happening {
            time,
            id,
            shared: None,
            account: 0,
            rules,
            users: vec![0],
            address: Some(0),
            values: vec![id % 3],
            persons: vec![0],
        };
        list.into_iter().map(one).collect()
    })
}

impl Scenario {
    /// The rules, and the correlations.
    pub(crate) fn texts(&self) -> Vec<String> {
        let rule = |at: usize| {
            format!(
                "title: R{at}\nid: r{at}\ntags: [attack.t100{at}]\nlogsource: {{product: aws, service: cloudtrail}}\n\
                 detection: {{s: {{requestParameters.rules: r{at}}}, condition: s}}\n"
            )
        };
        (0..4).map(rule).chain(self.specs.iter().map(Spec::yaml)).collect()
    }

    /// A file each, so that none is silenced by another.
    pub(crate) fn rules(&self) -> RuleSet {
        let file = |(at, text)| RuleFile { name: format!("{at}.yml"), text };
        let files: Vec<RuleFile> = self.texts().into_iter().enumerate().map(file).collect();
        let loaded = RuleSet::load(&files);
        assert_eq!(loaded.problems, [], "{files:#?}");
        loaded.rules
    }

    pub(crate) fn happened(&self) -> Vec<(Event, Lineage)> {
        self.events.iter().map(|happening| (happening.event(), happening.lineage(3))).collect()
    }
}

impl Spec {
    fn yaml(&self) -> String {
        let rules: Vec<&String> = self.parts.iter().filter(|part| part.starts_with('r')).collect();
        let (kind, condition) = match &self.kind {
            Kind::EventCount(most) => ("event_count", format!("{{gte: {most}}}")),
            Kind::ValueCount(most) => ("value_count", format!("{{gt: {}, field: {VALUE}}}", most - 1)),
            Kind::All => ("temporal", String::new()),
            Kind::FirstAndAny => ("temporal", self.formula()),
            Kind::Ordered => ("temporal_ordered", String::new()),
        };
        let mut section = json!({"type": kind, "rules": self.parts, "group-by": self.group_by,
            "timespan": format!("{}s", self.timespan)});
        let alias: serde_json::Map<String, Value> =
            rules.iter().map(|rule| ((*rule).clone(), "sourceIPAddress".into())).collect();
        section["aliases"] = json!({ (ADDRESS): alias });
        let condition = if condition.is_empty() { condition } else { format!("\n    condition: {condition}") };
        let mut text = format!("title: C {}\nid: {}\nname: {}\nlevel: high\ncorrelation:", self.id, self.id, self.id);
        for (key, value) in section.as_object().into_iter().flatten() {
            text += &format!("\n    {key}: {value}");
        }
        text + &condition + "\n"
    }

    fn formula(&self) -> String {
        match self.parts.split_first() {
            Some((first, rest)) if !rest.is_empty() => format!("{first} and ({})", rest.join(" or ")),
            _ => "1 of them".to_owned(),
        }
    }
}

impl Happening {
    pub(crate) fn event_id(&self) -> String {
        format!("e{:02}", self.id)
    }

    pub(crate) fn json(&self) -> Value {
        let texts = |list: &[usize], prefix: &str| -> Value {
            match list {
                [] => Value::Null,
                [one] => format!("{prefix}{one}").into(),
                list => list.iter().map(|item| format!("{prefix}{item}")).collect(),
            }
        };
        let mut event = json!({
            "eventID": self.event_id(), "eventTime": rfc3339(self.time * 1000), "eventSource": "iam.amazonaws.com",
            "eventName": format!("Call{}", self.rules.len()), "awsRegion": "us-east-1",
            "recipientAccountId": format!("11112222333{}", self.account),
            "userIdentity": {"type": "IAMUser", "userName": "alice", "arn": "arn:aws:iam::111122223333:user/alice"},
            "requestParameters": {
                "rules": self.rules.iter().map(|rule| format!("r{rule}")).collect::<Vec<_>>(),
                "user": texts(&self.users, "u"), "value": texts(&self.values, "v"),
            },
        });
        if let Some(address) = self.address {
            event["sourceIPAddress"] = format!("198.51.100.{address}").into();
        }
        if let Some(shared) = self.shared {
            event["sharedEventID"] = format!("s{shared}").into();
        }
        event
    }

    pub(crate) fn event(&self) -> Event {
        let bytes = serde_json::to_vec(&self.json()).unwrap();
        match Decoder::record(&bytes).next() {
            Some(Decoded::Event(event)) => *event,
            other => panic!("{other:?}"),
        }
    }

    /// The first so many persons behind it.
    pub(crate) fn lineage(&self, most: usize) -> Lineage {
        let persons = self.persons.iter().take(most).map(|person| format!("arn:aws:iam::1:user/p{person}")).collect();
        Lineage { persons, ..Lineage::default() }
    }
}

/// Where an event's matches go.
pub(crate) fn filed(rules: &RuleSet, event: &Event, lineage: &Lineage) -> Vec<Filed> {
    let file = |found| rules.correlations().file(&found, &Tables::default(), lineage).filed;
    rules.evaluate(event).into_iter().flat_map(file).collect()
}
