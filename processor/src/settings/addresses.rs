//! `[addresses]`: what tables on this machine say of addresses, and the organisation's own lists of them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dial_rules::addresses::Network;
use dial_rules::event::Millis;
use dial_rules::fault::Fault;
use dial_rules::policy::moment;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::enrich::http::checked_url;

/// `[addresses]`. Databases are MaxMind DB files; without any, a table of countries that is built in is used.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Addresses {
    /// A database of countries.
    pub(crate) country: Option<PathBuf>,
    /// A database of cities.
    pub(crate) city: Option<PathBuf>,
    /// A database of autonomous systems: whose network an address is in.
    pub(crate) asn: Option<PathBuf>,
    /// AWS's own ranges, `ip-ranges.json`: a file, or where to fetch it.
    pub(crate) aws_ranges: Option<String>,
    /// Exits of the Tor network, one a line: a file, or where to fetch it.
    pub(crate) tor_exits: Option<String>,
    /// `[[addresses.lists]]`
    pub(crate) lists: Vec<AddressList>,
}

/// `[[addresses.lists]]`: networks under a name that rules ask for, as `dial.ip.lists: NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AddressList {
    /// Its name.
    pub(crate) name: String,
    /// Why it is kept.
    pub(crate) reason: String,
    /// Its networks and addresses …
    pub(crate) networks: Vec<String>,
    /// … or a file of them, one a line.
    pub(crate) file: Option<PathBuf>,
    /// The day on which, or the time at which, it ends: it is not in force for events from then on.
    pub(crate) expires: Option<String>,
}

/// Where a table comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A file, read again when it is replaced.
    File(PathBuf),
    /// It is fetched every day.
    Url(Url),
}

impl Origin {
    /// A URL by its scheme, else a path.
    ///
    /// # Errors
    /// What to write instead, to follow the key's name.
    pub(crate) fn parse(text: &str) -> Result<Origin, String> {
        match text {
            "" => Err("is empty: write a path or a URL, or leave it out".to_owned()),
            text if text.contains("://") => checked_url(text).map(Origin::Url),
            text => Ok(Origin::File(PathBuf::from(text))),
        }
    }
}

impl Addresses {
    pub(super) fn faults(&self) -> Vec<Fault> {
        let origins = [("aws_ranges", &self.aws_ranges), ("tor_exits", &self.tor_exits)];
        let origins = origins
            .into_iter()
            .filter_map(|(key, text)| Origin::parse(text.as_deref()?).err().map(|wrong| Fault::new(key, wrong)));
        let empty = [("country", &self.country), ("city", &self.city), ("asn", &self.asn)];
        let empty = empty.into_iter().filter(|(_, path)| path.as_ref().is_some_and(|path| path.as_os_str().is_empty()));
        let mut faults: Vec<Fault> = origins.collect();
        faults
            .extend(empty.map(|(key, _)| Fault::new(key, "is empty: write the path of a .mmdb file, or leave it out")));
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, list) in self.lists.iter().enumerate() {
            let within = format!("lists[{at}]");
            faults.extend(list.faults().into_iter().map(|fault| fault.within(&within)));
            if !list.name.trim().is_empty()
                && let Some(first) = names.insert(&list.name, at)
            {
                let message = format!("is {:?}, as of list {}: give each list a name of its own", list.name, first + 1);
                faults.push(Fault::new("name", message).within(&within));
            }
        }
        faults
    }

    /// Lists that end before `now`, told for people.
    pub(crate) fn expired(&self, now: Millis) -> Vec<String> {
        let ended = self.lists.iter().filter(|list| list.end().is_some_and(|end| end <= now));
        ended
            .map(|list| {
                let expires = list.expires.as_deref().unwrap_or_default();
                format!("the list {:?} has expired ({expires}) and holds no longer: renew it or take it out", list.name)
            })
            .collect()
    }
}

impl AddressList {
    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |key: &str, message: &str| faults.push(Fault::new(key, message));
        if self.name.trim().is_empty() {
            fault("name", "is missing: write one, rules ask for lists by name");
        }
        if self.reason.trim().is_empty() {
            fault("reason", "is missing: write what the list is for, so that somebody can take it out later");
        }
        match (self.networks.is_empty(), &self.file) {
            (true, None) => fault("networks", "is missing: write networks such as [\"198.51.100.0/24\"], or `file`"),
            (false, Some(_)) => fault("file", "is there beside `networks`: write the one or the other"),
            _ => {}
        }
        if let Some(wrong) = self.expires.as_deref().and_then(moment::fault) {
            fault("expires", &wrong);
        }
        for (at, text) in self.networks.iter().enumerate() {
            if let Err(wrong) = Network::parse(text) {
                faults.push(Fault::new(format!("networks[{at}]"), format!("is no network: {wrong}")));
            }
        }
        faults
    }

    /// When it ends.
    pub(crate) fn end(&self) -> Option<Millis> {
        self.expires.as_deref().and_then(moment::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_of_a_list_is_told() {
        let good = AddressList {
            name: "offices".to_owned(),
            reason: "where we sit".to_owned(),
            networks: vec!["198.51.100.0/24".to_owned(), "2001:db8::1".to_owned()],
            file: None,
            expires: Some("2026-12-31".to_owned()),
        };
        let odd = AddressList {
            networks: vec!["198.51.100.0/99".to_owned(), "office".to_owned()],
            expires: Some("next year".to_owned()),
            ..AddressList::default()
        };
        let both = AddressList { file: Some("x".into()), ..good.clone() };
        let none = AddressList { name: "n".to_owned(), networks: Vec::new(), ..good.clone() };
        let addresses = Addresses {
            aws_ranges: Some("http://example.com/ip-ranges.json".to_owned()),
            tor_exits: Some(String::new()),
            city: Some(PathBuf::new()),
            lists: vec![good, odd, both, none],
            ..Addresses::default()
        };
        let paths: Vec<String> = addresses.faults().into_iter().map(|fault| fault.path).collect();
        let expected = [
            "aws_ranges",
            "tor_exits",
            "city",
            "lists[1].name",
            "lists[1].reason",
            "lists[1].expires",
            "lists[1].networks[0]",
            "lists[1].networks[1]",
            "lists[2].file",
            "lists[2].name",
            "lists[3].networks",
        ];
        assert_eq!(paths, expected);
        assert!(Addresses::default().faults().is_empty());
    }

    #[test]
    fn a_list_ends_at_the_beginning_of_its_day() {
        let list = |expires: &str| AddressList { expires: Some(expires.to_owned()), ..AddressList::default() };
        assert_eq!(list("2026-01-01").end(), Some(1_767_225_600_000));
        assert_eq!(list("2026-01-01T01:00:00+01:00").end(), Some(1_767_225_600_000));
        for text in ["", "2026-13-01", "2026-02-30", "tomorrow", "2026-01-01 10:00"] {
            assert_eq!(list(text).end(), None, "{text}");
        }
        let addresses = Addresses { lists: vec![list("2026-01-01")], ..Addresses::default() };
        assert_eq!(addresses.expired(1_767_225_600_000).len(), 1);
        assert_eq!(addresses.expired(1_767_225_599_999).len(), 0);
    }
}
