//! Worlds: three accounts, their users, and sessions that come from users, from other sessions, from an identity provider, or
//! from a service; as CloudTrail would record them, and who is behind each by what was decided, not by what is recorded.

use std::collections::BTreeSet;

use dial_rules::decode::{Decoded, Decoder};
use dial_rules::event::Event;
use dial_rules::lineage::Lineage;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::suite::temporary;

const ACCOUNTS: [&str; 3] = ["111122223333", "444455556666", "777788889999"];

/// Who takes up a session.
#[derive(Debug, Clone, Copy)]
enum Taker {
    /// A user of the account with this number, who has its number.
    User(usize),
    /// Whoever holds another session; also a later one, so that there are cycles.
    Session(usize),
    /// Somebody whom an identity provider vouches for.
    Federated(usize),
    /// A service, for a program: nobody is behind it.
    Service,
}

/// A call that grants a session.
#[derive(Debug, Clone, Copy)]
struct Grant {
    /// The session's number, which is also the end of its key.
    session: usize,
    taker: Taker,
    /// The account of the session's role.
    account: usize,
    /// Whether the caller's account forwards its copy of the call, and whether the role's does.
    callers_copy: bool,
    roles_copy: bool,
    /// Refused: there is no session then.
    refused: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct World {
    grants: Vec<Grant>,
}

pub(crate) fn world() -> impl Strategy<Value = World> {
    let taker = prop_oneof![
        3 => (0..6usize).prop_map(Taker::User),
        5 => (0..8usize).prop_map(Taker::Session),
        1 => (0..3usize).prop_map(Taker::Federated),
        1 => Just(Taker::Service),
    ];
    let copies = prop_oneof![6 => Just((true, true)), 1 => Just((false, true)), 1 => Just((true, false))];
    let grant = (0..8usize, taker, 0..3usize, copies, prop::bool::weighted(0.1)).prop_map(
        |(session, taker, account, (callers_copy, roles_copy), refused)| Grant {
            session,
            taker,
            account,
            callers_copy,
            roles_copy,
            refused,
        },
    );
    prop::collection::vec(grant, 1..12).prop_map(|grants| World { grants })
}

impl Taker {
    fn account(self) -> usize {
        match self {
            Taker::User(n) | Taker::Session(n) => n % 3,
            Taker::Federated(_) | Taker::Service => 0,
        }
    }

    /// Who that is to the caller's own account.
    fn at_home(self) -> Lineage {
        match self {
            Taker::User(n) => lineage([long_lived(n)], [user_arn(n)]),
            Taker::Session(n) => lineage([temporary(n)], []),
            Taker::Federated(n) => lineage([], [format!("saml:Provider=:person{n}@example.com")]),
            Taker::Service => Lineage::default(),
        }
    }

    /// Who that is to another account.
    fn abroad(self) -> Lineage {
        match self {
            Taker::User(n) => lineage([], [unique_id(n)]),
            _ => Lineage::default(),
        }
    }

    fn identity(self) -> Value {
        let account = ACCOUNTS[self.account()];
        match self {
            Taker::User(n) => json!({ "type": "IAMUser", "arn": user_arn(n), "principalId": unique_id(n),
                "accountId": account, "accessKeyId": long_lived(n), "userName": format!("user{n}") }),
            Taker::Session(n) => session_identity(n, account),
            Taker::Federated(n) => {
                json!({ "type": "SAMLUser", "principalId": format!("Provider=:person{n}@example.com"),
                "userName": format!("person{n}@example.com"), "identityProvider": "Provider=" })
            }
            Taker::Service => json!({ "type": "AWSService", "invokedBy": "ec2.amazonaws.com" }),
        }
    }

    /// The identity as another account's copy has it.
    fn stranger(self) -> Value {
        let id = match self {
            Taker::User(n) => unique_id(n),
            _ => "AROACKCEVSQ6C2EXAMPLE:everybody".to_owned(),
        };
        json!({ "type": "AWSAccount", "accountId": ACCOUNTS[self.account()], "principalId": id })
    }
}

impl World {
    /// Everything that is recorded, the grants and a call by each session, and who is behind each.
    pub(crate) fn events(&self) -> Vec<(Event, Lineage)> {
        let mut events = Vec::new();
        for (n, grant) in self.grants.iter().enumerate() {
            let home = grant.taker.account();
            if grant.callers_copy || home == grant.account {
                let behind = match grant.taker {
                    Taker::Session(session) => self.behind(session),
                    taker => taker.at_home(),
                };
                events.push((grant.event(n, "a", grant.taker.identity(), home), behind));
            }
            if grant.roles_copy && home != grant.account {
                events.push((grant.event(n, "b", grant.taker.stranger(), grant.account), grant.taker.abroad()));
            }
        }
        for n in 0..8 {
            let record = json!({ "eventID": format!("call-{n}"), "eventTime": "2026-01-31T12:00:00Z",
                "eventSource": "s3.amazonaws.com", "eventName": "ListBuckets", "userIdentity": session_identity(n, ACCOUNTS[n % 3]) });
            events.push((decoded(&record), self.behind(n)));
        }
        events
    }

    /// Everybody behind a session: whoever took it up, and whoever is behind these, until nobody new is found. By what each
    /// recorded copy of the calls says.
    fn behind(&self, session: usize) -> Lineage {
        let mut all = lineage([temporary(session)], []);
        let mut looked = BTreeSet::new();
        let mut next = vec![session];
        while let Some(session) = next.pop() {
            if !looked.insert(session) {
                continue;
            }
            for grant in self.grants.iter().filter(|grant| grant.session == session && !grant.refused) {
                let across = grant.taker.account() != grant.account;
                if grant.callers_copy || !across {
                    all.extend(grant.taker.at_home());
                    if let Taker::Session(taker) = grant.taker {
                        next.push(taker);
                    }
                }
                if grant.roles_copy && across {
                    all.extend(grant.taker.abroad());
                }
            }
        }
        all
    }
}

impl Grant {
    fn event(&self, n: usize, copy: &str, identity: Value, account: usize) -> Event {
        let role = format!("arn:aws:iam::{}:role/Role{}", ACCOUNTS[self.account], self.session);
        let session = format!("arn:aws:sts::{}:assumed-role/Role{}/everybody", ACCOUNTS[self.account], self.session);
        let federated = matches!(self.taker, Taker::Federated(_));
        let mut record = json!({
            "eventID": format!("grant-{n}-{copy}"), "sharedEventID": format!("grant-{n}"), "eventTime": "2026-01-31T12:00:00Z",
            "eventSource": "sts.amazonaws.com", "eventName": if federated { "AssumeRoleWithSAML" } else { "AssumeRole" },
            "userIdentity": identity, "recipientAccountId": ACCOUNTS[account],
            "requestParameters": { "roleArn": role, "roleSessionName": "everybody" },
            "responseElements": { "credentials": { "accessKeyId": temporary(self.session) },
                "assumedRoleUser": { "arn": session } },
        });
        if self.refused {
            record["errorCode"] = json!("AccessDenied");
            record["responseElements"] = Value::Null;
        }
        decoded(&record)
    }
}

/// Sessions all have the same name, as careless ones do.
fn session_identity(n: usize, account: &str) -> Value {
    json!({ "type": "AssumedRole", "principalId": "AROACKCEVSQ6C2EXAMPLE:everybody", "accountId": account,
        "arn": format!("arn:aws:sts::{account}:assumed-role/Role{n}/everybody"), "accessKeyId": temporary(n),
        "sessionContext": { "sessionIssuer": { "type": "Role", "arn": format!("arn:aws:iam::{account}:role/Role{n}") } } })
}

fn lineage<const C: usize, const P: usize>(credentials: [String; C], persons: [String; P]) -> Lineage {
    Lineage { credentials: credentials.into(), persons: persons.into() }
}

fn long_lived(n: usize) -> String {
    format!("AKIA{n:016}")
}

fn unique_id(n: usize) -> String {
    format!("AIDA{n:016}")
}

fn user_arn(n: usize) -> String {
    format!("arn:aws:iam::{}:user/user{n}", ACCOUNTS[n % 3])
}

fn decoded(record: &Value) -> Event {
    match Decoder::record(record.to_string().as_bytes()).next() {
        Some(Decoded::Event(event)) => *event,
        other => panic!("{other:?}"),
    }
}
