//! Facts: what an event says between its lines, as fields under `dial.`.
//!
//! A policy is a string of JSON in a string of JSON; whether it opens a bucket depends on effect, principals, conditions
//! and denials together. No Sigma item can say that, so it is judged here, and rules ask for the verdict:
//! `dial.policy.public: true`. Facts are pure functions of the event and of [`Tables`]. Each group of them is computed when a
//! rule first asks for one of it, and kept for the event's other rules; an event of which no rule asks a fact costs
//! nothing.
//!
//! A flag is `true` or `false` where the event has something to judge, and absent where it has nothing. A list without
//! elements is absent. A call that was refused is judged like one that succeeded: `dial.outcome` tells them apart.

mod acl;
mod caller;
mod cidr;
mod condition;
mod database;
mod document;
mod escalation;
mod exposure;
pub(crate) mod glob;
mod grants;
mod iam;
mod instance;
mod judgement;
mod log_delivery;
mod node;
mod page;
mod paths;
mod place;
mod policy;
mod principal;
mod route;
mod security_group;
mod sharing;
pub(crate) mod sources;
mod table;
pub(crate) mod target;
mod value;

use std::cell::OnceCell;

use crate::addresses::Part;
use crate::event::{Event, EventKind, Key};
use crate::tables::Tables;

use self::acl::Acl;
use self::caller::Caller;
use self::iam::Iam;
use self::instance::Instance;
use self::judgement::Judgement;
use self::node::Node;
use self::place::{Home, Place};
use self::security_group::SecurityGroup;
use self::sharing::Share;
use self::target::Target;

pub use self::page::markdown;
pub use self::sources::Unanswered;
pub(crate) use self::table::distance;
pub use self::table::{Fact, FactType, all, find, nearest};
pub use self::value::Value;

/// What the names of all facts begin with.
pub const PREFIX: &str = "dial.";

/// The facts of one event, each computed when it is first asked for.
#[derive(Debug)]
pub struct Facts<'e> {
    event: &'e Event,
    tables: &'e Tables,
    caller: OnceCell<Box<Caller>>,
    place: OnceCell<Option<Box<Place>>>,
    home: OnceCell<Box<Home>>,
    policy: OnceCell<Option<Box<Judgement>>>,
    acl: OnceCell<Option<Box<Acl>>>,
    security_group: OnceCell<Option<Box<SecurityGroup>>>,
    share: OnceCell<Option<Box<Share>>>,
    peer: OnceCell<Box<sharing::Peer>>,
    iam: OnceCell<Box<Iam>>,
    instance: OnceCell<Box<Instance>>,
    target: OnceCell<Box<Target>>,
    passed_roles: OnceCell<Vec<String>>,
    escalation: OnceCell<Vec<String>>,
}

impl<'e> Facts<'e> {
    /// The facts of an event; nothing is computed yet.
    pub fn new(event: &'e Event, tables: &'e Tables) -> Facts<'e> {
        Facts {
            event,
            tables,
            caller: OnceCell::new(),
            place: OnceCell::new(),
            home: OnceCell::new(),
            policy: OnceCell::new(),
            acl: OnceCell::new(),
            security_group: OnceCell::new(),
            share: OnceCell::new(),
            peer: OnceCell::new(),
            iam: OnceCell::new(),
            instance: OnceCell::new(),
            target: OnceCell::new(),
            passed_roles: OnceCell::new(),
            escalation: OnceCell::new(),
        }
    }

    /// The value of the fact of this name; `None` where the event has none, and for names that no fact has.
    pub fn get(&self, name: &str) -> Option<Value<'_>> {
        (find(name)?.read)(self)
    }

    /// Every fact that the event has, by name.
    pub fn present(&self) -> Vec<(&'static str, Value<'_>)> {
        all().iter().filter_map(|fact| Some((fact.name, (fact.read)(self)?))).collect()
    }

    /// What the caller asked for: `requestParameters`.
    fn request(&self) -> Option<Node<'e>> {
        self.event.value(Key::RequestParameters).map(Node)
    }

    /// What AWS answered: `responseElements`.
    fn response(&self) -> Option<Node<'e>> {
        self.event.value(Key::ResponseElements).map(Node)
    }

    /// The API call's name without the version that Lambda and CloudFront write behind it; empty for findings.
    fn call(&self) -> String {
        match self.event.kind() {
            EventKind::CloudTrail => call_name(&self.event.name()).to_owned(),
            EventKind::GuardDuty | EventKind::SecurityHub => String::new(),
        }
    }

    /// The service's name without `.amazonaws.com`; empty for findings.
    fn service(&self) -> String {
        match self.event.kind() {
            EventKind::CloudTrail => {
                let source = self.event.source();
                source.split('.').next().unwrap_or_default().to_ascii_lowercase()
            }
            EventKind::GuardDuty | EventKind::SecurityHub => String::new(),
        }
    }

    /// Whether the account is neither the event's own nor one that the tables know.
    fn is_outside(&self, account: &str) -> bool {
        !self.tables.is_known(account, self.event.account_id().as_deref())
    }

    fn caller(&self) -> &Caller {
        self.caller.get_or_init(|| Box::new(Caller::of(self)))
    }

    fn place(&self) -> Option<&Place> {
        self.place.get_or_init(|| Place::of(self).map(Box::new)).as_deref()
    }

    /// Of the address, where tables answer for this part: without them nothing is looked up.
    fn place_with(&self, part: Part) -> Option<&Place> {
        self.tables.addresses.answers(part).then(|| self.place()).flatten()
    }

    /// Whether calls are expected from the address; nothing is looked up where no places are known.
    fn known_place(&self) -> Option<bool> {
        self.tables.knows_places().then(|| self.place()).flatten()?.known
    }

    fn home(&self) -> &Home {
        self.home.get_or_init(|| Box::new(Home::of(self)))
    }

    fn policy(&self) -> Option<&Judgement> {
        self.policy.get_or_init(|| Judgement::of(self).map(Box::new)).as_deref()
    }

    fn acl(&self) -> Option<&Acl> {
        self.acl.get_or_init(|| Acl::of(self).map(Box::new)).as_deref()
    }

    fn security_group(&self) -> Option<&SecurityGroup> {
        self.security_group.get_or_init(|| SecurityGroup::of(self).map(Box::new)).as_deref()
    }

    fn share(&self) -> Option<&Share> {
        self.share.get_or_init(|| Share::of(self).map(Box::new)).as_deref()
    }

    fn peer(&self) -> &sharing::Peer {
        self.peer.get_or_init(|| Box::new(sharing::Peer::of(self)))
    }

    fn iam(&self) -> &Iam {
        self.iam.get_or_init(|| Box::new(Iam::of(self)))
    }

    fn instance(&self) -> &Instance {
        self.instance.get_or_init(|| Box::new(Instance::of(self)))
    }

    fn target(&self) -> &Target {
        self.target.get_or_init(|| Box::new(Target::of(self)))
    }

    fn passed_roles(&self) -> &[String] {
        self.passed_roles.get_or_init(|| target::passed_roles(self))
    }

    fn escalation(&self) -> &[String] {
        self.escalation.get_or_init(|| escalation::of(self))
    }

    fn database_public(&self) -> Option<bool> {
        database::public(self)
    }

    fn public_block_lifted(&self) -> Option<bool> {
        acl::public_block_lifted(self)
    }

    fn route_to_internet(&self) -> Option<bool> {
        route::to_internet(self)
    }

    fn outcome(&self) -> Option<&'static str> {
        caller::outcome(self)
    }
}

/// `AddPermission20150331v2` → `AddPermission`: a date, with underscores or without, and perhaps a version behind it.
fn call_name(name: &str) -> &str {
    let undated = |text: &str| text.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_').len();
    let dated = match name.rsplit_once('v') {
        Some((stem, version)) if !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit()) => stem,
        _ => name,
    };
    let end = undated(dated);
    if dated.len() - end >= 8 { &name[..end] } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_cut_from_names_of_calls() {
        for (name, expected) in [
            ("AddPermission20150331v2", "AddPermission"),
            ("CreateFunction20150331", "CreateFunction"),
            ("UpdateFunctionCode20150331v2", "UpdateFunctionCode"),
            ("CreateDistribution2020_05_31", "CreateDistribution"),
            ("ListBucketsV2", "ListBucketsV2"),
            ("GetEC2", "GetEC2"),
            ("Scan", "Scan"),
            ("", ""),
            ("20150331", ""),
        ] {
            assert_eq!(call_name(name), expected, "{name}");
        }
    }

    #[test]
    fn the_table_is_sorted_and_its_examples_fit_their_types() {
        for pair in all().windows(2) {
            assert!(pair[0].name < pair[1].name, "{} is out of order", pair[1].name);
        }
        for fact in all() {
            assert!(fact.name.starts_with(PREFIX), "{}", fact.name);
            let example: serde_json::Value = serde_json::from_str(fact.example).unwrap_or_default();
            let fits = match fact.kind {
                FactType::Flag => example.is_boolean(),
                FactType::Text => example.is_string(),
                FactType::Integer => example.is_i64(),
                FactType::Number => example.is_f64(),
                FactType::Texts => example.as_array().is_some_and(|texts| texts.iter().all(|text| text.is_string())),
            };
            assert!(fits, "{}: {}", fact.name, fact.example);
        }
    }
}
