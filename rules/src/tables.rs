//! [`Tables`]: what an organisation knows about itself and no event says. Facts ask it; it is part of a rule set, so that
//! findings stay a function of events, rules and tables.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::accounts::Accounts;
use crate::addresses::{Addresses, Part, is_country, wrong_country};
use crate::fault::Fault;
use crate::policy::region;

/// Static knowledge that facts use. The default knows no accounts and no critical names, and carries lists that fit most
/// organisations for the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tables {
    /// The organisation's accounts, 12 digits each. An event's own account is always one of them.
    pub own_accounts: BTreeSet<String>,
    /// Accounts of others that are meant to have access: suppliers, partners.
    pub known_accounts: BTreeSet<String>,
    /// Names of secrets, roles, groups, users, buckets and the like whose use or change is never routine, with `*` and
    /// `?`, in whatever case.
    pub critical_names: Vec<String>,
    /// Names of IAM groups whose members administer the account, with wildcards, in whatever case.
    pub admin_groups: Vec<String>,
    /// EC2 instance types that nobody here has use for, with wildcards.
    pub unusual_instance_types: Vec<String>,
    /// EC2 instance types that are fine whatever `unusual_instance_types` says, with wildcards.
    pub allowed_instance_types: Vec<String>,
    /// Accounts in which nothing is routine: ids, names, environments or paths of organizational units, with wildcards, in
    /// whatever case.
    pub critical_accounts: Vec<String>,
    /// Countries from which people and machines are expected to call: ISO 3166-1 alpha-2.
    pub known_countries: BTreeSet<String>,
    /// Networks from which they are expected to call, by the numbers of their autonomous systems.
    pub known_networks: BTreeSet<u32>,
    /// Those of the organisation's lists of addresses from which they are expected to call, by name.
    pub known_lists: BTreeSet<String>,
    /// Regions that the organisation works in.
    pub used_regions: BTreeSet<String>,
    /// What the organisation's accounts are called, and where they belong. They are its own, as if `own_accounts` listed
    /// them. Not a part of the `[facts]` settings: they have sources of their own.
    #[serde(skip)]
    pub accounts: Accounts,
    /// The tables of addresses. Not a part of the `[facts]` settings either.
    #[serde(skip)]
    pub addresses: Addresses,
}

impl Default for Tables {
    fn default() -> Tables {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Tables {
            own_accounts: BTreeSet::new(),
            known_accounts: BTreeSet::new(),
            critical_names: Vec::new(),
            admin_groups: list(&["*admin*"]),
            // Graphics and learning accelerators (p, g, gr), and memory by the terabyte (x, u).
            unusual_instance_types: list(&["p?*.*", "g?*.*", "x?*.*", "u?*.*"]),
            allowed_instance_types: Vec::new(),
            critical_accounts: Vec::new(),
            known_countries: BTreeSet::new(),
            known_networks: BTreeSet::new(),
            known_lists: BTreeSet::new(),
            used_regions: BTreeSet::new(),
            accounts: Accounts::new(),
            addresses: Addresses::default(),
        }
    }
}

impl Tables {
    /// What cannot be meant in these tables; nothing when they are fine.
    pub fn faults(&self) -> Vec<Fault> {
        let accounts = [("own_accounts", &self.own_accounts), ("known_accounts", &self.known_accounts)];
        let wrong = accounts.into_iter().flat_map(|(name, ids)| {
            let odd = ids.iter().filter(|id| !is_account_id(id));
            odd.map(move |id| {
                Fault::new(name, format!("has {id:?}, which is no account id: write its 12 digits as a string"))
            })
        });
        let named = self.accounts.keys().filter(|id| !is_account_id(id));
        let named = named.map(|id| {
            Fault::new("accounts", format!("has {id:?}, which is no account id: write its 12 digits as a string"))
        });
        let countries = self.known_countries.iter().filter(|code| !is_country(code));
        let countries = countries.map(|code| Fault::new("known_countries", wrong_country(code)));
        let regions = self.used_regions.iter().filter_map(|region| wrong_region(region));
        let regions = regions.map(|wrong| Fault::new("used_regions", wrong));
        let wrong = wrong.chain(named).chain(countries).chain(regions);
        let lists = [
            ("critical_accounts", &self.critical_accounts),
            ("critical_names", &self.critical_names),
            ("admin_groups", &self.admin_groups),
            ("unusual_instance_types", &self.unusual_instance_types),
            ("allowed_instance_types", &self.allowed_instance_types),
        ];
        let empty = lists.into_iter().flat_map(|(name, names)| {
            let empty = names.iter().enumerate().filter(|(_, name)| name.is_empty());
            empty.map(move |(at, _)| {
                Fault::new(format!("{name}[{at}]"), "is an empty name, which matches nothing: leave it out")
            })
        });
        wrong.chain(empty).collect()
    }

    /// What is no mistake and yet to be looked at: critical accounts that none of these accounts is.
    pub fn remarks(&self, accounts: &Accounts) -> Vec<Fault> {
        let fits = |pattern: &String| {
            let pattern = std::slice::from_ref(pattern);
            accounts.iter().flat_map(|(id, account)| account.names(Some(id))).any(|name| Tables::lists(pattern, name))
        };
        let patterns = self.critical_accounts.iter().enumerate();
        let odd = patterns.filter(|(_, pattern)| !pattern.is_empty() && !is_account_id(pattern) && !fits(pattern));
        let remark = |(at, pattern): (usize, &String)| {
            let words = format!("has {pattern:?}, which no account that is known here fits: it makes none critical");
            Fault::new(format!("critical_accounts[{at}]"), words)
        };
        odd.map(remark).collect()
    }

    /// What these tables name and others do not have, with the name of the table: known places that no table of addresses
    /// in force can tell.
    pub fn unanswerable(&self) -> Vec<(&'static str, String)> {
        let names = self.addresses.list_names();
        let missing = self.known_lists.iter().filter(|list| !names.contains(list.as_str()));
        let mut faults: Vec<_> =
            missing.map(|list| ("known_lists", crate::facts::sources::no_list(list, &self.addresses))).collect();
        if !self.known_networks.is_empty() && !self.addresses.answers(Part::Asn) {
            let message =
                "no table tells the networks of addresses: set `addresses.asn` to a database of autonomous systems";
            faults.push(("known_networks", message.to_owned()));
        }
        faults
    }

    /// Whether any place is named from which calls are expected.
    pub(crate) fn knows_places(&self) -> bool {
        !(self.known_countries.is_empty() && self.known_networks.is_empty() && self.known_lists.is_empty())
    }

    /// Whether the account is the organisation's or known, given the account that the event belongs to.
    pub(crate) fn is_known(&self, account: &str, own: Option<&str>) -> bool {
        let listed = || self.own_accounts.contains(account) || self.known_accounts.contains(account);
        own == Some(account) || listed() || self.accounts.contains_key(account)
    }

    /// Whether one of the patterns matches the name, in whatever case.
    pub(crate) fn lists(patterns: &[String], name: &str) -> bool {
        let name = name.to_lowercase();
        patterns.iter().any(|pattern| crate::facts::glob::matches(&pattern.to_lowercase(), &name))
    }
}

/// Whether it is an id of an account: 12 digits.
pub fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What is wrong with a region's whole name.
fn wrong_region(text: &str) -> Option<String> {
    match text.contains(['*', '?']) {
        true => Some(format!("has {text:?}, but regions are told by their whole names: write such as eu-west-1")),
        false => region::fault(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_types_of_the_default() {
        let unusual = |name: &str| Tables::lists(&Tables::default().unusual_instance_types, name);
        for name in ["p4d.24xlarge", "g5.xlarge", "gr6.4xlarge", "x2gd.metal", "u-6tb1.metal", "P3.2XLARGE"] {
            assert!(unusual(name), "{name}");
        }
        for name in ["t3.micro", "m7i.large", "c7g.xlarge", "r6gd.large", "i4i.large", "mac2.metal", ""] {
            assert!(!unusual(name), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_said() {
        let tables = Tables {
            own_accounts: ["111122223333".to_owned(), "1234".to_owned()].into(),
            critical_names: vec![String::new()],
            ..Tables::default()
        };
        let faults = tables.faults();
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].path == "own_accounts" && faults[0].message.contains("1234"), "{faults:?}");
        assert_eq!(faults[1].path, "critical_names[0]");
        assert!(Tables::default().faults().is_empty());
        let tables = Tables {
            accounts: [("123".to_owned(), crate::accounts::Account::default())].into(),
            known_countries: ["DE".to_owned(), "de".to_owned(), "Germany".to_owned()].into(),
            used_regions: [
                "eu-west-1",
                "us-gov-east-1",
                "eu-west",
                "eu-west-1a",
                "EU-WEST-1",
                "-1",
                "eu-*",
                "eu-wst-1",
            ]
            .map(str::to_owned)
            .into(),
            ..Tables::default()
        };
        assert!(tables.faults().iter().any(|fault| fault.message.contains("did you mean `eu-west-1`?")));
        let faults: Vec<_> = tables.faults().into_iter().map(|fault| fault.path).collect();
        assert_eq!(faults.iter().filter(|table| **table == "used_regions").count(), 6, "{faults:?}");
        assert_eq!(faults.iter().filter(|table| **table == "known_countries").count(), 2);
        assert_eq!(faults.iter().filter(|table| **table == "accounts").count(), 1);
    }

    #[test]
    fn critical_accounts_that_there_are_not_are_remarked() {
        let account = crate::accounts::Account {
            name: Some("payments".to_owned()),
            environment: Some("production".to_owned()),
            ou: Some("/Workloads/Production".to_owned()),
            ..Default::default()
        };
        let accounts: Accounts = [("444455556666".to_owned(), account)].into();
        let named = ["Payments", "prod*", "/Workloads/*", "999999999999", "prodction", "/Workloads"];
        let tables = Tables { critical_accounts: named.map(str::to_owned).into(), ..Tables::default() };
        let paths: Vec<_> = tables.remarks(&accounts).into_iter().map(|remark| remark.path).collect();
        assert_eq!(paths, ["critical_accounts[4]", "critical_accounts[5]"]);
        assert_eq!(tables.remarks(&Accounts::default()).len(), 5, "an id needs no account of that id");
    }

    #[test]
    fn accounts_with_a_name_are_the_organisations_own() {
        let account = crate::accounts::Account { name: Some("payments".to_owned()), ..Default::default() };
        let tables = Tables { accounts: [("444455556666".to_owned(), account)].into(), ..Tables::default() };
        assert!(tables.is_known("444455556666", Some("111122223333")));
        assert!(!tables.is_known("777788889999", Some("111122223333")));
    }

    #[test]
    fn known_places_need_tables() {
        let named = Tables {
            known_lists: ["ofices".to_owned()].into(),
            known_networks: [64496].into(),
            known_countries: ["DE".to_owned()].into(),
            ..Tables::default()
        };
        let faults = named.unanswerable();
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].1.contains("ofices") && faults[1].1.contains("addresses.asn"), "{faults:?}");
        let entry = crate::addresses::Entry {
            network: "198.51.100.0/24".to_owned(),
            asn: Some(64496),
            lists: ["offices".to_owned()].into(),
            ..Default::default()
        };
        let addresses = Addresses::literal(vec![entry]).unwrap_or_default();
        let faults = Tables { addresses: addresses.clone(), ..named.clone() }.unanswerable();
        assert!(faults.len() == 1 && faults[0].1.contains("did you mean \"offices\""), "{faults:?}");
        let fine = Tables { addresses, known_lists: ["offices".to_owned()].into(), ..named };
        assert!(fine.unanswerable().is_empty());
    }
}
