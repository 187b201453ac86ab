//! [`Account`]: what an organisation calls one of its AWS accounts, and where it belongs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, segment};
use crate::tables::is_account_id;

/// What is known of an account. From the settings or from AWS Organizations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Account {
    /// Its name, such as `payments`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is for, such as `production`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The path of organizational units that it lies in, from the root, such as `/Workloads/Production`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ou: Option<String>,
    /// Its tags.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Accounts by id, 12 digits each.
pub type Accounts = BTreeMap<String, Account>;

/// What cannot be meant in them.
pub fn faults(accounts: &Accounts) -> Vec<Fault> {
    let of_one = |(id, account): (&String, &Account)| {
        let mut faults = account.faults();
        if !is_account_id(id) {
            faults.push(Fault::new("", "is no account: write its 12 digits, as in [accounts.111122223333]"));
        }
        let id = segment(id);
        faults.into_iter().map(move |fault| fault.within(&id)).collect::<Vec<_>>()
    };
    accounts.iter().flat_map(of_one).collect()
}

impl Account {
    /// What lists of accounts may call it: its id, if there is one, name, environment and organizational unit.
    pub(crate) fn names<'a>(&'a self, id: Option<&'a str>) -> impl Iterator<Item = &'a str> {
        let of_account = [&self.name, &self.environment, &self.ou].into_iter().filter_map(|name| name.as_deref());
        id.into_iter().chain(of_account)
    }

    fn faults(&self) -> Vec<Fault> {
        let texts = [("name", &self.name), ("environment", &self.environment)];
        let empty = texts.into_iter().filter(|(_, text)| text.as_deref().is_some_and(|text| text.trim().is_empty()));
        let mut faults: Vec<Fault> =
            empty.map(|(key, _)| Fault::new(key, "is empty: write something, or leave the key out")).collect();
        if let Some(wrong) = self.ou.as_deref().and_then(ou_fault) {
            faults.push(Fault::new("ou", wrong));
        }
        faults
    }
}

/// What is wrong with the path of an organizational unit, if something is.
pub(crate) fn ou_fault(path: &str) -> Option<String> {
    let steps = path.strip_prefix('/').map(|rest| rest.split('/').all(|name| !name.trim().is_empty()));
    match steps {
        Some(true) => None,
        _ if path == "/" => None,
        _ => {
            let names: Vec<&str> = path.split('/').map(str::trim).filter(|name| !name.is_empty()).collect();
            Some(format!("is {path:?}, no path from the root: write \"/{}\"", names.join("/")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_meant_is_said() {
        let account = |ou: &str| Account { ou: Some(ou.to_owned()), ..Account::default() };
        let fine = Account { name: Some("payments".to_owned()), ..account("/Workloads/Production") };
        let accounts = Accounts::from([
            ("111122223333".to_owned(), fine),
            ("444455556666".to_owned(), Account { environment: Some(" ".to_owned()), ..account("/") }),
            ("777788889999".to_owned(), account("Workloads/Production/")),
            ("payments".to_owned(), Account::default()),
        ]);
        let told: Vec<(String, String)> =
            faults(&accounts).into_iter().map(|fault| (fault.path, fault.message)).collect();
        let paths: Vec<&str> = told.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["444455556666.environment", "777788889999.ou", "payments"]);
        assert!(told[1].1.ends_with("write \"/Workloads/Production\""), "{told:?}");
    }
}
