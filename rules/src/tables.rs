//! [`Tables`]: what an organisation knows about itself and no event says. Facts ask it; it is part of a rule set, so that
//! findings stay a function of events, rules and tables.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::fault::Fault;

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
        let lists = [
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

    /// Whether the account is the organisation's or known, given the account that the event belongs to.
    pub(crate) fn is_known(&self, account: &str, own: Option<&str>) -> bool {
        own == Some(account) || self.own_accounts.contains(account) || self.known_accounts.contains(account)
    }

    /// Whether one of the patterns matches the name, in whatever case.
    pub(crate) fn lists(patterns: &[String], name: &str) -> bool {
        let name = name.to_lowercase();
        patterns.iter().any(|pattern| crate::facts::glob::matches(&pattern.to_lowercase(), &name))
    }
}

/// Whether it is 12 digits.
pub(crate) fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
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
    }
}
