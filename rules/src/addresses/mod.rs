//! What tables on this machine say of the address that a call came from.

mod aws;
mod context;
pub mod country;
mod database;
pub mod kind;
pub mod lists;
mod literal;
#[cfg(test)]
#[allow(clippy::expect_used, clippy::panic)]
pub(crate) mod mmdb;
mod network;
mod ranges;
mod tor;

pub use aws::{AwsRange, AwsRanges};
pub use context::{AddressContext, AddressKind};
pub use database::{Database, Holds};
pub use lists::List;
pub use network::Network;
pub use ranges::Ranges;
pub use tor::TorExits;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use crate::event::Millis;

pub use literal::Entry;
pub(crate) use literal::{is_country, wrong_country};

/// The tables of addresses in force. Cloning is cheap, and clones are equal.
#[derive(Clone)]
pub struct Addresses(Arc<Inner>);

/// What [`Addresses`] are made of. Every part may be missing; cloning is cheap, so that one part can be exchanged.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    /// The user's database of countries, instead of the built-in table.
    pub country: Option<Database>,
    /// The user's database of cities. It says the country too, unless `country` is there.
    pub city: Option<Database>,
    /// The user's database of autonomous systems.
    pub asn: Option<Database>,
    /// AWS's own ranges.
    pub aws: Option<AwsRanges>,
    /// Exits of the Tor network.
    pub tor: Option<TorExits>,
    /// The organisation's own lists.
    pub lists: Vec<List>,
}

#[derive(Debug)]
enum Inner {
    Parts(Parts),
    Literal(literal::Literal),
}

/// What tables can say of an address, and not all of them do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The city.
    City,
    /// The autonomous system, its number and its organisation.
    Asn,
    /// AWS's ranges.
    Aws,
    /// Tor's exits.
    Tor,
}

static DEFAULT: LazyLock<Addresses> = LazyLock::new(|| Addresses(Arc::new(Inner::Parts(Parts::default()))));

impl Default for Addresses {
    /// The built-in table of countries and nothing else.
    fn default() -> Addresses {
        DEFAULT.clone()
    }
}

impl PartialEq for Addresses {
    fn eq(&self, other: &Addresses) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Addresses {}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_ref() {
            Inner::Parts(parts) => {
                let name = |database: &Option<Database>| database.as_ref().map(|database| database.kind.clone());
                f.debug_struct("Addresses")
                    .field("country", &name(&parts.country))
                    .field("city", &name(&parts.city))
                    .field("asn", &name(&parts.asn))
                    .field("aws", &parts.aws.as_ref().map(|aws| &aws.created))
                    .field("tor", &parts.tor.is_some())
                    .field("lists", &self.list_names())
                    .finish()
            }
            Inner::Literal(literal) => literal.fmt(f),
        }
    }
}

impl Addresses {
    /// Tables of these parts.
    ///
    /// # Errors
    /// Each part that cannot do what it is there for, by the name of its setting: a database without what it is named for,
    /// lists without a name or with the same, without a reason, without networks.
    pub fn new(parts: Parts) -> Result<Addresses, Vec<(&'static str, String)>> {
        let faults = faults(&parts);
        if faults.is_empty() { Ok(Addresses(Arc::new(Inner::Parts(parts)))) } else { Err(faults) }
    }

    /// Tables that are written out, as tests of rules do.
    ///
    /// # Errors
    /// Says which entry cannot be meant.
    pub fn literal(entries: Vec<Entry>) -> Result<Addresses, String> {
        Ok(Addresses(Arc::new(Inner::Literal(literal::Literal::new(entries)?))))
    }

    /// What the tables say of an event's address field; `at` is the event's time, before which a list must not have
    /// expired.
    pub fn look_up(&self, field: &str, at: Millis) -> AddressContext {
        let (kind, address) = kind::classify(field);
        match (self.0.as_ref(), address) {
            (Inner::Parts(parts), Some(address)) => parts.look_up(kind, address, at),
            (Inner::Literal(literal), Some(address)) => literal.look_up(kind, address),
            (_, None) => AddressContext::new(kind),
        }
    }

    /// Whether some table in force can answer for this part.
    pub fn answers(&self, part: Part) -> bool {
        match self.0.as_ref() {
            Inner::Parts(parts) => match part {
                Part::City => parts.city.is_some(),
                Part::Asn => parts.asn.is_some(),
                Part::Aws => parts.aws.is_some(),
                Part::Tor => parts.tor.is_some(),
            },
            Inner::Literal(literal) => literal.answers(part),
        }
    }

    /// The names of the organisation's own lists, expired ones among them, sorted.
    pub fn list_names(&self) -> BTreeSet<&str> {
        match self.0.as_ref() {
            Inner::Parts(parts) => parts.lists.iter().map(|list| list.name.as_str()).collect(),
            Inner::Literal(literal) => literal.list_names(),
        }
    }
}

impl AddressContext {
    /// Of an address, or of what is none, nothing but its kind.
    pub fn new(kind: AddressKind) -> AddressContext {
        AddressContext {
            kind,
            country: None,
            city: None,
            asn: None,
            network: None,
            aws_service: None,
            aws_region: None,
            tor_exit: None,
            lists: Vec::new(),
        }
    }
}

impl Parts {
    fn look_up(&self, kind: AddressKind, address: IpAddr, at: Millis) -> AddressContext {
        let mut context = AddressContext::new(kind);
        context.lists =
            self.lists.iter().filter(|list| list.holds(address, at)).map(|list| list.name.clone()).collect();
        context.lists.sort_unstable();
        if kind != AddressKind::Public {
            return context;
        }
        self.place(address, &mut context);
        if let Some(record) = self.asn.as_ref().map(|database| database.find(address)) {
            (context.asn, context.network) = (record.asn, record.network.map(str::to_owned));
        }
        if let Some(range) = self.aws.as_ref().and_then(|aws| aws.find(address)) {
            context.aws_service = Some(range.service.as_ref().to_owned());
            context.aws_region = Some(range.region.as_ref().to_owned());
        }
        context.tor_exit = self.tor.as_ref().map(|tor| tor.holds(address));
        context
    }

    /// The built-in table is not asked beside a database of the user's: that one knows better what it does not know.
    fn place(&self, address: IpAddr, context: &mut AddressContext) {
        let city = self.city.as_ref().map(|database| database.find(address)).unwrap_or_default();
        context.city = city.city.map(str::to_owned);
        context.country = match (&self.country, &self.city) {
            (Some(database), _) => database.find(address).country.or(city.country),
            (None, Some(_)) => city.country,
            (None, None) => country::find(address),
        }
        .map(str::to_owned);
    }
}

fn faults(parts: &Parts) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    let databases = [
        ("addresses.country", &parts.country, "countries", (|holds| holds.country) as fn(Holds) -> bool),
        ("addresses.city", &parts.city, "cities", |holds| holds.city),
        ("addresses.asn", &parts.asn, "autonomous systems", |holds| holds.asn),
    ];
    for (setting, database, what, is_there) in databases {
        if let Some(database) = database.as_ref().filter(|database| !is_there(database.holds)) {
            faults
                .push((setting, format!("{} ({}) has no {what}: {}", database.name, database.kind, instead(database))));
        }
    }
    let mut names = BTreeSet::new();
    for list in &parts.lists {
        let name: Cow<'_, str> = if list.name.is_empty() { "a list".into() } else { format!("{:?}", list.name).into() };
        let mut fault = |what: &str| faults.push(("addresses.lists", format!("{name} {what}")));
        if list.name.trim().is_empty() {
            fault("has no name: rules ask for lists by name");
        } else if !names.insert(&list.name) {
            fault("is there twice: give each list a name of its own");
        }
        if list.reason.trim().is_empty() {
            fault("has no reason: write what it is for, so that somebody can take it out later");
        }
        if list.is_empty() {
            fault("has no networks: write some, or leave the list out");
        }
    }
    faults
}

fn instead(database: &Database) -> String {
    let Holds { country, city, asn } = database.holds;
    let settings = [(city, "addresses.city"), (country, "addresses.country"), (asn, "addresses.asn")];
    let fitting: Vec<&str> =
        settings.into_iter().filter(|(is_there, _)| *is_there).map(|(_, setting)| setting).collect();
    format!("it is one for {}", fitting.join(" or "))
}

#[cfg(test)]
#[path = "addresses_tests.rs"]
mod tests;
