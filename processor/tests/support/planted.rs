//! A corpus with known sequences in it: one person's step to another, in time and too late, in order and reversed, whole and
//! over a role's session, in ordinary traffic that does each step often but never both.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Seconds within which the second step must follow.
pub(crate) const TIMESPAN: i64 = 3_600;

/// A step, another step, and both of them in that order by one person.
pub(crate) const RULES: &str = "title: The guard is off
id: 0d5a1a52-7d39-4d0e-8c55-6a0f3c1b7a01
name: guard_off
logsource: {product: aws, service: cloudtrail}
detection: {call: {eventName: DeactivateMFADevice}, condition: call}
---
title: Rights are changed
id: 0d5a1a52-7d39-4d0e-8c55-6a0f3c1b7a02
name: rights_changed
logsource: {product: aws, service: cloudtrail}
detection: {call: {eventName: AttachUserPolicy}, condition: call}
---
title: The guard is off, then rights are changed
id: 0d5a1a52-7d39-4d0e-8c55-6a0f3c1b7a03
level: high
correlation:
    type: temporal_ordered
    rules: [guard_off, rights_changed]
    group-by: [dial.actor]
    timespan: 1h
";

/// How much of what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Events in all, repetitions aside.
    pub(crate) events: usize,
    /// Sequences that are to be found.
    pub(crate) in_window: usize,
    /// The second step comes later than it may.
    pub(crate) too_late: usize,
    /// The second step comes before the first.
    pub(crate) reversed: usize,
    /// To be found although one of the steps arrives hours after it happened.
    pub(crate) arriving_late: usize,
    /// When the first event happened, in seconds since 1970; all lie within six hours from there.
    pub(crate) begin: i64,
}

/// What was planted.
#[derive(Debug, Default)]
pub(crate) struct Corpus {
    /// CloudTrail records in the order of their arrival, repetitions among them.
    pub(crate) arriving: Vec<Value>,
    /// By person, what must be found: the ids of both steps and their times.
    pub(crate) expected: BTreeMap<String, [(String, String); 2]>,
}

/// Numbers that a seed decides (SplitMix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) >> 11).unwrap() % sides.max(1)
    }

    fn seconds(&mut self, most: i64) -> i64 {
        i64::try_from(self.below(usize::try_from(most).unwrap() + 1)).unwrap()
    }
}

/// The length of the corpus, in seconds.
const LENGTH: i64 = 6 * 3_600;

struct Planting {
    dice: Dice,
    begin: i64,
    number: usize,
    /// With the second at which each arrives.
    events: Vec<(i64, Value)>,
    expected: BTreeMap<String, [(String, String); 2]>,
}

/// Plants a corpus.
pub(crate) fn plant(plan: Plan, seed: u64) -> Corpus {
    let mut planting =
        Planting { dice: Dice(seed), begin: plan.begin, number: 0, events: Vec::new(), expected: BTreeMap::new() };
    for n in 0..plan.in_window {
        // The first ones lie exactly on both ends of what is allowed.
        let gap = [0, TIMESPAN].get(n).copied().unwrap_or_else(|| planting.dice.seconds(TIMESPAN));
        planting.pair("in-window", n, gap, [0, 0]);
    }
    for n in 0..plan.too_late {
        let gap = TIMESPAN + 1 + if n == 0 { 0 } else { planting.dice.seconds(TIMESPAN) };
        planting.pair("too-late", n, gap, [0, 0]);
    }
    for n in 0..plan.reversed {
        let gap = -1 - if n == 0 { 0 } else { planting.dice.seconds(TIMESPAN) };
        planting.pair("reversed", n, gap, [0, 0]);
    }
    for n in 0..plan.arriving_late {
        let gap = planting.dice.seconds(TIMESPAN);
        let late = 2 * 3_600 + planting.dice.seconds(8 * 3_600);
        planting.pair("arriving-late", n, gap, if n % 2 == 0 { [late, 0] } else { [0, late] });
    }
    while planting.events.len() < plan.events {
        planting.ordinary();
    }
    let Planting { mut dice, mut events, expected, .. } = planting;
    // One event in two comes again, one in four a third time, at any time later.
    for n in 0..events.len() {
        for _ in 0..[0, 0, 1, 2][dice.below(4)] {
            let again = (events[n].0 + dice.seconds(LENGTH), events[n].1.clone());
            events.push(again);
        }
    }
    events.sort_by_key(|(arrival, _)| *arrival);
    Corpus { arriving: events.into_iter().map(|(_, event)| event).collect(), expected }
}

impl Planting {
    /// One person's two steps, the second `gap` seconds after the first, each arriving so many seconds late. Every second
    /// person takes one of the steps as a session of a role, whose key may become known at any time.
    fn pair(&mut self, kind: &str, n: usize, gap: i64, late: [i64; 2]) {
        let person = format!("arn:aws:iam::111122223333:user/{kind}-{n}");
        let room = LENGTH - gap.abs();
        let first = self.begin + self.dice.seconds(room) - gap.min(0);
        let as_session = (n % 2 == 1).then(|| self.dice.below(2));
        let user = json!({"type": "IAMUser", "arn": person, "userName": format!("{kind}-{n}")});
        let key = format!("ASIA{:012}{n:04}", seed_of(kind));
        let mut steps = Vec::new();
        for (step, name, time, late) in
            [(0, "DeactivateMFADevice", first, late[0]), (1, "AttachUserPolicy", first + gap, late[1])]
        {
            let caller = if as_session == Some(step) { session(&key) } else { user.clone() };
            steps.push(self.event(name, caller, time, late, Value::Null));
        }
        if as_session.is_some() {
            let (time, late) = (self.begin + self.dice.seconds(LENGTH), self.dice.seconds(LENGTH));
            self.event("AssumeRole", user, time, late, json!({"credentials": {"accessKeyId": key}}));
        }
        if (0..=TIMESPAN).contains(&gap) {
            self.expected.insert(person, steps.try_into().unwrap());
        }
    }

    /// An event that is nobody's second step.
    fn ordinary(&mut self) {
        let who = self.dice.below(400);
        let caller = |who: String| json!({"type": "IAMUser", "arn": format!("arn:aws:iam::111122223333:user/{who}"), "userName": who});
        let (name, caller) = match self.dice.below(200) {
            0 => ("DeactivateMFADevice", caller(format!("careless-{who}"))),
            1 => ("AttachUserPolicy", caller(format!("administrator-{who}"))),
            2 => ("AssumeRole", caller(format!("operator-{who}"))),
            _ => ("ListUsers", caller(format!("reader-{who}"))),
        };
        let (time, late) = (self.begin + self.dice.seconds(LENGTH), self.dice.seconds(60));
        let granted = match name {
            "AssumeRole" => json!({"credentials": {"accessKeyId": format!("ASIA{:016}", self.number)}}),
            _ => Value::Null,
        };
        self.event(name, caller, time, late, granted);
    }

    fn event(&mut self, name: &str, caller: Value, time: i64, late: i64, granted: Value) -> (String, String) {
        self.number += 1;
        let source = if name == "AssumeRole" { "sts.amazonaws.com" } else { "iam.amazonaws.com" };
        let (id, text) = (format!("event-{}", self.number), rfc3339(time));
        let event = json!({
            "eventVersion": "1.08", "eventID": id, "eventTime": text, "eventSource": source, "eventName": name,
            "awsRegion": "us-east-1", "recipientAccountId": "111122223333", "sourceIPAddress": "198.51.100.7",
            "userIdentity": caller, "responseElements": granted,
        });
        self.events.push((time + late, event));
        (id, text)
    }
}

fn session(key: &str) -> Value {
    let arn = "arn:aws:sts::111122223333:assumed-role/Shared/work";
    json!({"type": "AssumedRole", "arn": arn, "accessKeyId": key})
}

/// A number for a kind of pairs, so that their keys differ.
fn seed_of(kind: &str) -> usize {
    kind.bytes().map(usize::from).sum()
}

fn rfc3339(seconds: i64) -> String {
    dial_rules::event::rfc3339(seconds * 1_000)
}

/// Checks that these findings are the planted ones, no more and no less.
#[track_caller]
pub(crate) fn assert_planted<'f>(findings: impl IntoIterator<Item = &'f Value>, corpus: &Corpus) {
    let mut found = BTreeMap::new();
    for finding in findings {
        assert_eq!(finding["kind"], "correlated", "{finding:#}");
        let pieces = finding["evidence"].as_array().unwrap();
        let evidence: Vec<(String, String)> = pieces
            .iter()
            .map(|piece| {
                (piece["event_id"].as_str().unwrap().to_owned(), piece["event_time"].as_str().unwrap().to_owned())
            })
            .collect();
        let person = finding["group"]["dial.actor"].as_str().unwrap().to_owned();
        assert_eq!(finding["event_count"], 2, "{finding:#}");
        assert_eq!(finding["order_ambiguous"] == true, evidence[0].1 == evidence[1].1, "{finding:#}");
        assert!(found.insert(person.clone(), evidence).is_none(), "{person} has two findings");
    }
    let expected: BTreeMap<_, Vec<_>> = corpus
        .expected
        .iter()
        .map(|(person, steps)| {
            let mut steps = steps.to_vec();
            steps.sort_by(|a, b| (&a.1, &a.0).cmp(&(&b.1, &b.0)));
            (person.clone(), steps)
        })
        .collect();
    let differ: Vec<_> =
        expected.keys().chain(found.keys()).filter(|person| expected.get(*person) != found.get(*person)).collect();
    assert!(differ.is_empty(), "{} of {} differ: {differ:?}", differ.len(), expected.len());
}
