//! Random events: calls by users and sessions, and the AssumeRole calls that the sessions' keys come from.

use dial_rules::event::rfc3339;
use serde_json::{Value, json};

use super::dice::Dice;
use super::spec::RULES;

/// When a case begins, in seconds since 1970: far from any bucket's edge of an hour, and on one of 3, 5 and 8 seconds'.
pub(super) const BEGIN: i64 = 1_769_860_800 + 1_800;
/// How long it lasts, in seconds.
pub(super) const LENGTH: usize = 26;
/// How many temporary keys there are.
pub(super) const KEYS: usize = 5;

/// Who makes a call.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Caller {
    /// An IAM user, with its key or, as in the console, without.
    User { person: usize, key: bool },
    /// A session with a temporary key, and its source identity.
    Session { key: usize, identity: Option<usize> },
    /// A role whose key the event does not name.
    Nameless,
}

/// What a call of AssumeRole hands out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Grant {
    pub(super) key: usize,
    pub(super) identity: Option<usize>,
    pub(super) failed: bool,
}

/// A field that may be missing, null, a text, a number or a list.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Field {
    Missing,
    Null,
    Number(usize),
    Texts(Vec<usize>),
}

/// An event, or a copy of one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Happening {
    /// In seconds since 1970.
    pub(super) time: i64,
    pub(super) id: usize,
    /// The id that it shares with copies in other accounts.
    pub(super) shared: Option<usize>,
    pub(super) account: usize,
    /// Which rules it satisfies.
    pub(super) rules: Vec<usize>,
    pub(super) user: Field,
    pub(super) value: Field,
    pub(super) address: Option<usize>,
    pub(super) caller: Caller,
    pub(super) grant: Option<Grant>,
}

impl Field {
    fn random(dice: &mut Dice, among: usize) -> Field {
        let all: Vec<usize> = (0..among).collect();
        match dice.below(20) {
            0 => Field::Missing,
            1 => Field::Null,
            2 => Field::Number(dice.below(2)),
            3..=6 => Field::Texts(dice.some(&all, 50)),
            _ => Field::Texts(vec![dice.below(among)]),
        }
    }

    /// The texts that it stands for.
    pub(super) fn texts(&self, prefix: &str) -> Vec<String> {
        match self {
            Field::Missing | Field::Null => vec![],
            Field::Number(number) => vec![number.to_string()],
            Field::Texts(list) => list.iter().map(|item| format!("{prefix}{item}")).collect(),
        }
    }

    fn json(&self, prefix: &str) -> Value {
        match self {
            Field::Missing | Field::Null => Value::Null,
            Field::Number(number) => (*number).into(),
            Field::Texts(list) if list.len() == 1 => format!("{prefix}{}", list[0]).into(),
            Field::Texts(_) => self.texts(prefix).into(),
        }
    }
}

impl Happening {
    /// Some events, copies among them.
    pub(super) fn several(dice: &mut Dice) -> Vec<Happening> {
        if dice.chance(8) {
            return Happening::burst(dice);
        }
        let mut events: Vec<Happening> = (0..dice.between(2, 12)).map(|id| Happening::random(id, dice)).collect();
        for at in 1..events.len() {
            if dice.chance(30) {
                events[at].time = events[at - 1].time;
            }
        }
        for id in 100..100 + dice.below(3) {
            let at = dice.below(events.len());
            if dice.chance(40) {
                events[at].shared = Some(dice.below(3));
            }
            events.push(events[at].clone().copy(id, dice));
        }
        events
    }

    fn random(id: usize, dice: &mut Dice) -> Happening {
        let all: Vec<usize> = (0..RULES).collect();
        let caller = match dice.below(10) {
            0..=3 => Caller::User { person: dice.below(2), key: dice.chance(50) },
            4..=8 => Caller::Session { key: dice.below(KEYS), identity: dice.chance(15).then(|| dice.below(2)) },
            _ => Caller::Nameless,
        };
        let grant = || Grant { key: 0, identity: None, failed: false };
        let grant = dice.chance(40).then(grant).map(|_| Grant {
            key: dice.below(KEYS),
            identity: dice.chance(15).then(|| dice.below(2)),
            failed: dice.chance(10),
        });
        Happening {
            time: BEGIN + i64::try_from(dice.below(LENGTH)).unwrap(),
            id,
            shared: dice.chance(10).then(|| dice.below(3)),
            account: dice.below(2),
            rules: if dice.chance(70) { vec![dice.below(RULES)] } else { dice.some(&all, 50) },
            user: Field::random(dice, 3),
            value: Field::random(dice, 4),
            address: dice.chance(90).then(|| dice.below(2)),
            caller,
            grant,
        }
    }

    /// Another record of it: that of another account, or one that came with the same id and differs.
    fn copy(&self, id: usize, dice: &mut Dice) -> Happening {
        let mut copy = self.clone();
        copy.account = 1 - self.account;
        match dice.below(3) {
            0 => copy.value = Field::random(dice, 4),
            1 => copy.caller = Caller::User { person: dice.below(2), key: true },
            _ => copy.id = id,
        }
        copy
    }

    /// Many events of one user: evidence has to be left out.
    fn burst(dice: &mut Dice) -> Vec<Happening> {
        let one = |id: usize, dice: &mut Dice| Happening {
            time: BEGIN + i64::try_from(dice.below(12)).unwrap(),
            id,
            shared: None,
            account: 0,
            rules: if dice.chance(80) { vec![0] } else { vec![0, 1] },
            user: Field::Texts(vec![0]),
            value: Field::Texts(vec![id % 3]),
            address: Some(0),
            caller: Caller::Session { key: 0, identity: None },
            grant: (id == 7).then_some(Grant { key: 0, identity: Some(1), failed: false }),
        };
        (0..dice.between(12, 40)).map(|id| one(id, dice)).collect()
    }

    pub(super) fn event_id(&self) -> String {
        format!("e{:03}", self.id)
    }

    /// What makes it one with its copies.
    pub(super) fn distinct(&self) -> String {
        self.shared.map_or_else(|| self.event_id(), |shared| format!("s{shared}"))
    }

    pub(super) fn source(&self) -> &'static str {
        if self.grant.is_some() { "sts.amazonaws.com" } else { "iam.amazonaws.com" }
    }

    pub(super) fn name(&self) -> String {
        if self.grant.is_some() { "AssumeRole".to_owned() } else { format!("Call{}", self.rules.len()) }
    }

    pub(super) fn account_id(&self) -> String {
        format!("11112222333{}", self.account)
    }

    pub(super) fn json(&self) -> Value {
        let rules: Vec<String> = self.rules.iter().map(|rule| format!("r{rule}")).collect();
        let mut parameters = json!({"rules": rules, "value": self.value.json("v")});
        if self.user != Field::Missing {
            parameters["user"] = self.user.json("u");
        }
        let mut event = json!({
            "eventID": self.event_id(), "eventTime": rfc3339(self.time * 1000), "eventSource": self.source(),
            "eventName": self.name(), "awsRegion": "us-east-1", "recipientAccountId": self.account_id(),
            "userIdentity": self.caller.json(), "requestParameters": parameters,
        });
        if let Some(address) = self.address {
            event["sourceIPAddress"] = format!("198.51.100.{address}").into();
        }
        if let Some(shared) = self.shared {
            event["sharedEventID"] = format!("s{shared}").into();
        }
        if let Some(grant) = &self.grant {
            if let Some(identity) = grant.identity {
                event["requestParameters"]["sourceIdentity"] = format!("i{identity}").into();
            }
            event["responseElements"] = json!({"credentials": {"accessKeyId": temporary(grant.key)}});
            if grant.failed {
                event["errorCode"] = "AccessDenied".into();
            }
        }
        event
    }
}

/// The id of a temporary key.
pub(super) fn temporary(key: usize) -> String {
    format!("ASIA{key:016}")
}

impl Caller {
    /// Who it is as a person would say it, and the ARN.
    pub(super) fn told(&self) -> (String, String) {
        match self {
            Caller::User { person, .. } => (format!("p{person}"), person_arn(*person)),
            Caller::Session { key, .. } => {
                let arn = format!("arn:aws:sts::111122223333:assumed-role/Role/s{key}");
                (format!("role Role as s{key}"), arn)
            }
            Caller::Nameless => ("role Role as who".into(), "arn:aws:sts::111122223333:assumed-role/Role/who".into()),
        }
    }

    fn json(&self) -> Value {
        let (name, arn) = self.told();
        match self {
            Caller::User { person, key } => {
                let mut identity = json!({"type": "IAMUser", "userName": name, "arn": arn});
                if *key {
                    identity["accessKeyId"] = lasting(*person).into();
                }
                identity
            }
            Caller::Session { key, identity } => {
                let mut caller = json!({"type": "AssumedRole", "arn": arn, "accessKeyId": temporary(*key)});
                if let Some(identity) = identity {
                    caller["sessionContext"] = json!({"sourceIdentity": format!("i{identity}")});
                }
                caller
            }
            Caller::Nameless => json!({"type": "AssumedRole", "arn": arn}),
        }
    }
}

pub(super) fn person_arn(person: usize) -> String {
    format!("arn:aws:iam::111122223333:user/p{person}")
}

/// The id of a user's own key.
pub(super) fn lasting(person: usize) -> String {
    format!("AKIA{person:016}")
}
