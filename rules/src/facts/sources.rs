//! Which facts need a table that not everybody has, and the setting that brings it.

use rsigma_parser::{Detection, DetectionItem, SigmaValue};

use crate::accounts::Account;
use crate::addresses::{Addresses, Part};
use crate::rule::Rule;
use crate::tables::Tables;

use super::distance;

/// A question of a rule that no table in force can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    /// The fact, such as `dial.ip.tor`.
    pub fact: String,
    /// What is missing, and which setting to write.
    pub message: String,
}

/// What of a rule's conditions no table in force can answer, each fact once.
pub(crate) fn unanswered(rule: &Rule, tables: &Tables) -> Vec<Unanswered> {
    let mut items = Vec::new();
    rule.written.values().for_each(|detection| collect(detection, &mut items));
    let mut found: Vec<Unanswered> = Vec::new();
    for item in items {
        let Some(fact) = item.field.name.as_deref() else {
            continue;
        };
        let message = missing(fact, tables).or_else(|| missing_list(fact, item, tables));
        if let Some(message) = message.filter(|_| found.iter().all(|other| other.fact != fact)) {
            found.push(Unanswered { fact: fact.to_owned(), message });
        }
    }
    found.sort_by(|a, b| a.fact.cmp(&b.fact));
    found
}

fn collect<'r>(detection: &'r Detection, items: &mut Vec<&'r DetectionItem>) {
    match detection {
        Detection::AllOf(of) => items.extend(of),
        Detection::AnyOf(parts) | Detection::And(parts) => parts.iter().for_each(|part| collect(part, items)),
        Detection::ArrayMatch { body, .. } => collect(body, items),
        Detection::Conditional { named, .. } => named.values().for_each(|part| collect(part, items)),
        Detection::Keywords(_) => {}
    }
}

/// The setting without which nobody knows the fact, if it is not there.
fn missing(fact: &str, tables: &Tables) -> Option<String> {
    let answers = |part| tables.addresses.answers(part);
    let accounts = |has: fn(&Account) -> bool| tables.accounts.values().any(has);
    let (is_there, setting) = match fact {
        "dial.ip.city" => (answers(Part::City), "set `addresses.city` to a database of cities (GeoLite2-City, DB-IP)"),
        "dial.ip.asn" | "dial.ip.network" => {
            (answers(Part::Asn), "set `addresses.asn` to a database of autonomous systems (GeoLite2-ASN, DB-IP)")
        }
        "dial.ip.aws" | "dial.ip.aws_service" | "dial.ip.aws_region" => {
            (answers(Part::Aws), "set `addresses.aws_ranges` to AWS's ip-ranges.json or its address")
        }
        "dial.ip.tor" => (answers(Part::Tor), "set `addresses.tor_exits` to a list of Tor's exits or its address"),
        "dial.ip.lists" => {
            (!tables.addresses.list_names().is_empty(), "write lists of addresses under `[[addresses.lists]]`")
        }
        "dial.ip.known_place" => {
            (tables.knows_places(), "set `facts.known_countries`, `facts.known_networks` or `facts.known_lists`")
        }
        "dial.region.unused" => (!tables.used_regions.is_empty(), "set `facts.used_regions`"),
        "dial.account.critical" => (!tables.critical_accounts.is_empty(), "set `facts.critical_accounts`"),
        "dial.account.name" => (accounts(|account| account.name.is_some()), ACCOUNTS[0]),
        "dial.account.environment" => (accounts(|account| account.environment.is_some()), ACCOUNTS[1]),
        "dial.account.ou" => (accounts(|account| account.ou.is_some()), ACCOUNTS[2]),
        "dial.account.tags" => (accounts(|account| !account.tags.is_empty()), ACCOUNTS[3]),
        _ => return None,
    };
    (!is_there).then(|| format!("no table in force has `{fact}`: {setting}"))
}

const ACCOUNTS: [&str; 4] = [
    "write `name` of accounts under `[accounts]`, or have AWS Organizations asked",
    "write `environment` of accounts under `[accounts]`, or have AWS Organizations asked",
    "write `ou` of accounts under `[accounts]`, or have AWS Organizations asked",
    "write `tags` of accounts under `[accounts]`, or have AWS Organizations asked",
];

/// A list that the rule asks for by its whole name, and that there is not.
fn missing_list(fact: &str, item: &DetectionItem, tables: &Tables) -> Option<String> {
    if fact != "dial.ip.lists" || !item.field.modifiers.is_empty() {
        return None;
    }
    let names = tables.addresses.list_names();
    let asked = item.values.iter().filter_map(|value| match value {
        SigmaValue::String(text) => text.as_plain(),
        _ => None,
    });
    // Sigma compares text in whatever case.
    let is_there = |asked: &String| names.iter().any(|name| name.to_lowercase() == asked.to_lowercase());
    asked.into_iter().find(|asked| !is_there(asked)).map(|asked| no_list(&asked, &tables.addresses))
}

/// What to say of a list of this name.
pub(crate) fn no_list(asked: &str, addresses: &Addresses) -> String {
    let nearest = addresses.list_names().into_iter().min_by_key(|name| distance(name, asked));
    match nearest {
        Some(nearest) => format!("no list of addresses is called {asked:?}: did you mean {nearest:?}?"),
        None => format!("no list of addresses is called {asked:?}: write it under `[[addresses.lists]]`"),
    }
}

/// Why a name under `dial.` may not stand in a condition although it is a word of DIAL's; `None` for other names.
pub(crate) fn refused(name: &str) -> Option<&'static str> {
    let is = |prefix: &str| name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    if is("dial.ip.reputation") || is("dial.reputation") {
        return Some(
            "what a service reports of an address depends on when it is asked, so the same events would come to other \
             findings: route and rank findings by it in the policy, and ask here for `dial.ip.lists` or `dial.ip.tor`",
        );
    }
    if is("dial.lineage") || is("dial.person") || is("dial.actor.lineage") || is("dial.actor.person") {
        return Some(
            "who is behind a credential is learned from other events, which may come later: group correlations by \
             `dial.actor`, and ask here for `dial.actor` or `dial.caller.…`, which are the event's own words",
        );
    }
    None
}
