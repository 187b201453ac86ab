//! [`Enricher`]: what findings want to know is fetched for all of them at once; what was fetched is then applied purely.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dial_rules::addresses::{AddressKind, kind};
use dial_rules::context::{ACCOUNTS, Context, LINEAGE, Missing, Reputation};
use dial_rules::event::Millis;
use dial_rules::finding::Finding;
use dial_rules::lineage::{Lineage, Resolved};
use dial_rules::tables::Tables;
use dial_sinks::actors::ActorStore;
use futures::future::{BoxFuture, OptionFuture};

use super::cached::{Answers, Cached, Policy};
use super::lineage::Actors;
use super::live::Live;
use super::meter::Reading;
use super::reputation::AbuseIpdb;
use super::source::AnySource;
use crate::settings::Settings;

/// The most memory that reputations take, in bytes.
const REPUTATIONS: u64 = 16 << 20;
/// The most memory that lineages take, in bytes.
const LINEAGES: u64 = 16 << 20;
/// How long a lineage holds: it may grow at any time.
const LINEAGE_TTL: Duration = Duration::from_secs(30);
/// What is said of a lineage that a bound has cut.
const LINEAGE_CUT: &str = "there may be more persons: the chain is too long to be followed, too many are said to be behind it, or a row is damaged";

type Reputations = AnySource<IpAddr, Reputation>;
type Lineages = AnySource<Lineage, Resolved>;

/// Where the context of findings comes from. It is asked beside the stream: when findings are shown, alerted or archived.
#[derive(Debug, Clone)]
pub(crate) struct Enricher {
    live: Arc<Live>,
    reputations: Option<Cached<Reputations>>,
    lineages: Option<Cached<Lineages>>,
    /// Why nothing is known of who is behind credentials.
    unlinked: Option<String>,
}

/// What was fetched for some findings.
#[derive(Debug, Default)]
pub(crate) struct Known {
    reputations: Option<Answers<Reputations>>,
    lineages: Option<Answers<Lineages>>,
    /// Why accounts that have no name here are unknown.
    unnamed: Option<String>,
    /// Why nothing is known of addresses.
    unread: Option<String>,
    /// Why nothing is known of who is behind credentials.
    unlinked: Option<String>,
}

impl Enricher {
    /// An enricher with the sources that the settings want.
    ///
    /// # Errors
    /// When the reputation service cannot be asked: its key is not where the settings say, or this machine trusts nobody.
    pub(crate) fn new(
        settings: &Settings,
        live: Arc<Live>,
        actors: Option<Arc<dyn ActorStore>>,
    ) -> Result<Enricher, String> {
        let service = settings.reputation.service();
        let service = service.map_err(|wrong| format!("{}: {wrong}", settings.place("reputation.key")))?;
        let ttl = settings.reputation.ttl();
        let source = service.map(AbuseIpdb::new).transpose()?;
        let reputations = source.map(|source| reputations_of(AnySource::new(source), ttl));
        Ok(Enricher { reputations, ..Enricher::without_services(live, actors) })
    }

    /// An enricher that asks no services of others and needs no keys of theirs: for findings that are looked through by the
    /// thousand.
    pub(crate) fn without_services(live: Arc<Live>, actors: Option<Arc<dyn ActorStore>>) -> Enricher {
        let lineages = actors.map(|actors| lineages_of(AnySource::new(Actors(actors))));
        Enricher { live, reputations: None, lineages, unlinked: None }
    }

    /// The same where the store of who is behind credentials cannot be opened: findings say so.
    pub(crate) fn without_actors(self, reason: String) -> Enricher {
        Enricher { lineages: None, unlinked: Some(reason), ..self }
    }

    /// Fetches what these findings want to know by these tables, each thing once. It takes half a second at most: what is not there by
    /// then is missing this time.
    pub(crate) fn prefetch(&self, findings: &[Finding], tables: &Tables) -> BoxFuture<'_, Known> {
        let addresses: HashSet<IpAddr> = findings.iter().filter_map(|finding| asked_about(finding, tables)).collect();
        let origins: HashSet<Lineage> = findings.iter().filter_map(walks_from).cloned().collect();
        // In a box, so that the compiler sees that tasks may hold it.
        Box::pin(async move {
            let reputations = OptionFuture::from(self.reputations.as_ref().map(|cached| cached.get(addresses)));
            let lineages = OptionFuture::from(self.lineages.as_ref().map(|cached| cached.get(origins)));
            let (reputations, lineages) = tokio::join!(reputations, lineages);
            let (unnamed, unread) = (self.live.accounts_missing(), self.live.tables_missing());
            Known { reputations, lineages, unnamed, unread, unlinked: self.unlinked.clone() }
        })
    }

    /// An enricher with these tables and nothing else.
    pub(crate) fn of_tables(tables: Tables) -> Enricher {
        Enricher::without_services(Live::fixed(tables), None)
    }

    /// The same with this store to say who is behind credentials.
    pub(crate) fn with_actors(self, actors: Arc<dyn ActorStore>) -> Enricher {
        Enricher { lineages: Some(lineages_of(AnySource::new(Actors(actors)))), ..self }
    }

    /// The tables in force.
    pub(crate) fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// What the caches have done, source by source.
    pub(crate) fn readings(&self) -> Vec<Reading> {
        let reputations = self.reputations.as_ref().map(Cached::read);
        reputations.into_iter().chain(self.lineages.as_ref().map(Cached::read)).collect()
    }
}

impl Known {
    /// The context of a finding that was prefetched for, by these tables. What its sources did not give is named.
    pub(crate) fn context(&self, finding: &Finding, tables: &Tables) -> Context {
        let subject = &finding.subject;
        let mut missing = Vec::new();
        let mut miss = |part, reason: String| missing.push(Missing { part, reason });
        let account = subject.account_id.as_ref().and_then(|id| tables.accounts.get(id)).cloned();
        if let (None, Some(_), Some(reason)) = (&account, &subject.account_id, &self.unnamed) {
            miss(ACCOUNTS, reason.clone());
        }
        if let (Some(_), Some(reason)) = (&subject.source_ip, &self.unread) {
            miss("addresses", reason.clone());
        }
        let address = subject.source_ip.as_deref().map(|field| tables.addresses.look_up(field, finding.last_seen));
        let reputation = match (&self.reputations, asked_about(finding, tables)) {
            (Some(answers), Some(address)) => answers.get(&address).map(Option::<&Reputation>::cloned),
            _ => Ok(None),
        };
        let reputation = reputation.unwrap_or_else(|fault| {
            miss("reputation", fault.to_string());
            None
        });
        if let (Some(reason), Some(_)) = (&self.unlinked, walks_from(finding)) {
            miss(LINEAGE, reason.clone());
        }
        let resolved = match (&self.lineages, walks_from(finding)) {
            (Some(answers), Some(origin)) => answers.get(origin).map(Option::<&Resolved>::cloned),
            _ => Ok(None),
        };
        let resolved = resolved.unwrap_or_else(|fault| {
            miss(LINEAGE, fault.to_string());
            None
        });
        let Resolved { mut lineage, chain, cut } = resolved.unwrap_or_default();
        if cut {
            miss(LINEAGE, LINEAGE_CUT.to_owned());
        }
        // What the event says itself is known whatever the store says.
        lineage.extend(subject.origin.clone());
        Context { account, address, reputation, lineage, chain, missing }
    }
}

/// The address that others are asked about: a public one that is on none of the organisation's lists, expired ones among
/// them. Where its people and machines are is nobody else's business.
fn asked_about(finding: &Finding, tables: &Tables) -> Option<IpAddr> {
    let field = finding.subject.source_ip.as_deref()?;
    let (AddressKind::Public, Some(address)) = kind::classify(field) else { return None };
    // No list has expired by the beginning of time.
    tables.addresses.look_up(field, Millis::MIN).lists.is_empty().then_some(address)
}

/// What the event says itself, if the store may know more.
fn walks_from(finding: &Finding) -> Option<&Lineage> {
    Some(&finding.subject.origin).filter(|origin| !origin.credentials.is_empty())
}

fn reputations_of(source: Reputations, ttl: Duration) -> Cached<Reputations> {
    Cached::new(source, Policy { capacity: REPUTATIONS, ttl, nothing_ttl: ttl / 4, ..Policy::default() })
}

fn lineages_of(source: Lineages) -> Cached<Lineages> {
    let policy = Policy { capacity: LINEAGES, ttl: LINEAGE_TTL, nothing_ttl: LINEAGE_TTL, ..Policy::default() };
    Cached::new(source, policy)
}

#[cfg(test)]
#[path = "enricher_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "stream_tests.rs"]
mod stream_tests;
