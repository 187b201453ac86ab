//! Tables of addresses that are written out, entry by entry: what tests of rules say under `tables:`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::Deserialize;

use super::Part;
use super::context::{AddressContext, AddressKind};
use super::network::Network;
use super::ranges::Ranges;

/// What is known of one network. Its addresses count as public ones whatever they are, so that tests can use those for
/// documentation, unless it says `kind`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Entry {
    /// The network, or one address.
    pub network: String,
    /// What its addresses are.
    pub kind: Option<AddressKind>,
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// The city.
    pub city: Option<String>,
    /// The number of the autonomous system.
    pub asn: Option<u32>,
    /// Whose network it is.
    pub organization: Option<String>,
    /// The AWS service that it belongs to.
    pub aws_service: Option<String>,
    /// The region of that.
    pub aws_region: Option<String>,
    /// Whether it is an exit of Tor.
    pub tor_exit: Option<bool>,
    /// The lists that it is on.
    pub lists: BTreeSet<String>,
}

/// Entries by network, the longest prefix first. A part is in force when an entry has it.
#[derive(Debug)]
pub(super) struct Literal {
    entries: Vec<Entry>,
    ranges: Ranges<usize>,
}

impl Literal {
    pub(super) fn new(entries: Vec<Entry>) -> Result<Literal, String> {
        let networks = entries.iter().enumerate().map(|(at, entry)| {
            let network = Network::parse(&entry.network)?;
            match &entry.country {
                Some(code) if !is_country(code) => Err(wrong_country(code)),
                _ => Ok((network, at)),
            }
        });
        let ranges = Ranges::new(networks.collect::<Result<Vec<_>, String>>()?);
        Ok(Literal { entries, ranges })
    }

    pub(super) fn look_up(&self, kind: AddressKind, address: IpAddr) -> AddressContext {
        let entry = self.ranges.find(address).and_then(|at| self.entries.get(*at));
        let kind = entry.map_or(kind, |entry| entry.kind.unwrap_or(AddressKind::Public));
        let mut context = AddressContext::new(kind);
        context.lists = entry.map(|entry| entry.lists.iter().cloned().collect()).unwrap_or_default();
        if kind != AddressKind::Public {
            return context;
        }
        context.tor_exit = self.answers(Part::Tor).then(|| entry.and_then(|entry| entry.tor_exit).unwrap_or(false));
        if let Some(entry) = entry {
            context.country.clone_from(&entry.country);
            context.city.clone_from(&entry.city);
            context.asn = entry.asn;
            context.network.clone_from(&entry.organization);
            context.aws_service.clone_from(&entry.aws_service);
            context.aws_region.clone_from(&entry.aws_region);
        }
        context
    }

    pub(super) fn answers(&self, part: Part) -> bool {
        self.entries.iter().any(|entry| match part {
            Part::City => entry.city.is_some(),
            Part::Asn => entry.asn.is_some() || entry.organization.is_some(),
            Part::Aws => entry.aws_service.is_some(),
            Part::Tor => entry.tor_exit.is_some(),
        })
    }

    pub(super) fn list_names(&self) -> BTreeSet<&str> {
        self.entries.iter().flat_map(|entry| &entry.lists).map(String::as_str).collect()
    }
}

/// Whether it has the form of an ISO 3166-1 alpha-2 code.
pub(crate) fn is_country(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

pub(crate) fn wrong_country(code: &str) -> String {
    format!("{code:?} is no country: write its two capital letters of ISO 3166-1, such as DE")
}
