//! Where a call came from and where it went: what tables say of its address, of its account and of its region.

use crate::accounts::Account;
use crate::actor::source_ip;
use crate::addresses::{AddressContext, AddressKind, Part};
use crate::tables::Tables;

use super::Facts;

/// Of the address that the call came from.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) address: AddressContext,
    /// Whether it lies in one of AWS's ranges.
    pub(crate) aws: Option<bool>,
    /// Whether calls are expected from there.
    pub(crate) known: Option<bool>,
}

impl Place {
    /// `None` where the event has no address field.
    pub(crate) fn of(facts: &Facts<'_>) -> Option<Place> {
        let addresses = &facts.tables.addresses;
        let address = addresses.look_up(&source_ip(facts.event)?, facts.event.time());
        let is_public = address.kind == AddressKind::Public;
        let aws = (is_public && addresses.answers(Part::Aws)).then_some(address.aws_service.is_some());
        Some(Place { aws, known: is_known(facts.tables, &address), address })
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self.address.kind {
            AddressKind::Public => "public",
            AddressKind::Private => "private",
            AddressKind::Documentation => "documentation",
            AddressKind::Reserved => "reserved",
            AddressKind::Service => "service",
            AddressKind::Malformed => "malformed",
        }
    }
}

/// Whether the address is at one of the places that the tables name. Of one that is not public, only a list can tell.
fn is_known(tables: &Tables, address: &AddressContext) -> Option<bool> {
    let listed = address.lists.iter().any(|list| tables.known_lists.contains(list));
    let is_public = address.kind == AddressKind::Public;
    let country = || address.country.as_ref().is_some_and(|country| tables.known_countries.contains(country));
    let network = || address.asn.is_some_and(|asn| tables.known_networks.contains(&asn));
    (tables.knows_places() && (is_public || listed)).then(|| listed || country() || network())
}

/// Of the account that the event belongs to, and of its region.
#[derive(Debug, Default)]
pub(crate) struct Home {
    pub(crate) account: Account,
    /// The tags as `key=value`.
    pub(crate) tags: Vec<String>,
    pub(crate) critical: Option<bool>,
    pub(crate) unused_region: Option<bool>,
}

impl Home {
    pub(crate) fn of(facts: &Facts<'_>) -> Home {
        let tables = facts.tables;
        let id = facts.event.account_id();
        let account = id.as_deref().and_then(|id| tables.accounts.get(id)).cloned().unwrap_or_default();
        let is_critical = account.names(id.as_deref()).any(|name| Tables::lists(&tables.critical_accounts, name));
        let region = facts.event.region();
        // Events of global services are said to be of us-east-1, wherever people are.
        let is_regional =
            |region: &str| facts.event.kind() == crate::event::EventKind::CloudTrail && !is_global(facts, region);
        Home {
            tags: account.tags.iter().map(|(key, value)| format!("{key}={value}")).collect(),
            critical: (id.is_some() && !tables.critical_accounts.is_empty()).then_some(is_critical),
            unused_region: region
                .filter(|region| !tables.used_regions.is_empty() && is_regional(region))
                .map(|region| !tables.used_regions.contains(region.as_ref())),
            account,
        }
    }
}

/// Services without regions; CloudTrail records their events in the region of their control plane (CloudTrail User Guide,
/// "Global service events", and the services' own guides).
fn is_global(facts: &Facts<'_>, region: &str) -> bool {
    const GLOBAL: &[&str] = &[
        "account",
        "billing",
        "budgets",
        "ce",
        "cloudfront",
        "cur",
        "globalaccelerator",
        "health",
        "iam",
        "networkmanager",
        "organizations",
        "payments",
        "route53",
        "route53domains",
        "shield",
        "signin",
        "sso",
        "sts",
        "support",
        "tax",
        "trustedadvisor",
        "waf",
    ];
    region.is_empty() || GLOBAL.contains(&facts.service().as_str())
}
