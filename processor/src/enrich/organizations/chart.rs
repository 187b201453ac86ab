//! [`Chart`]: an organisation as AWS describes it → accounts as findings know them. Pure.

use std::collections::{BTreeMap, HashMap};

use dial_rules::accounts::{Account, Accounts};
use dial_rules::tables::is_account_id;

/// A deeper path is a circle: AWS allows five levels.
const DEEPEST: usize = 32;

/// An organisation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Chart {
    /// Ids of its roots; AWS gives one.
    pub(crate) roots: Vec<String>,
    pub(crate) units: Vec<Unit>,
    pub(crate) members: Vec<Member>,
}

/// An organizational unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) id: String,
    pub(crate) name: String,
    /// The id of the unit or root that it lies in.
    pub(crate) parent: String,
}

/// An account. Suspended and closed ones are members too: their events are still in the stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    /// The id of the unit or root that it lies in.
    pub(crate) parent: String,
    pub(crate) tags: BTreeMap<String, String>,
}

impl Chart {
    /// Accounts by id. The tag of this name, in whatever case, says what an account's environment is. What is no account id
    /// is left out.
    pub(crate) fn accounts(&self, environment_tag: &str) -> Accounts {
        let units: HashMap<&str, &Unit> = self.units.iter().map(|unit| (unit.id.as_str(), unit)).collect();
        let account = |member: &Member| Account {
            name: member.name.clone().filter(|name| !name.is_empty()),
            environment: environment(&member.tags, environment_tag),
            ou: self.path(&member.parent, &units),
            tags: member.tags.clone(),
        };
        let members = self.members.iter().filter(|member| is_account_id(&member.id));
        members.map(|member| (member.id.clone(), account(member))).collect()
    }

    /// `/A/B`; `/` of a root. `None` of what hangs on nothing.
    fn path(&self, parent: &str, units: &HashMap<&str, &Unit>) -> Option<String> {
        let (mut names, mut at) = (Vec::new(), parent);
        while let Some(unit) = units.get(at) {
            // A slash in a name would make two levels of one.
            names.push(unit.name.replace('/', "_"));
            at = &unit.parent;
            if names.len() > DEEPEST {
                return None;
            }
        }
        names.reverse();
        self.roots.iter().any(|root| root == at).then(|| format!("/{}", names.join("/")))
    }
}

fn environment(tags: &BTreeMap<String, String>, named: &str) -> Option<String> {
    let exact = tags.get(named);
    let value =
        exact.or_else(|| tags.iter().find(|(name, _)| name.eq_ignore_ascii_case(named)).map(|(_, value)| value));
    value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// Accounts of the settings and of AWS as one: field by field what the settings say, and AWS where they are silent.
pub(crate) fn merged(settings: &Accounts, found: &Accounts) -> Accounts {
    let mut all = settings.clone();
    for (id, found) in found {
        let account = all.entry(id.clone()).or_default();
        let fill = |field: &mut Option<String>, other: &Option<String>| {
            if field.is_none() {
                field.clone_from(other);
            }
        };
        fill(&mut account.name, &found.name);
        fill(&mut account.environment, &found.environment);
        fill(&mut account.ou, &found.ou);
        for (name, value) in &found.tags {
            account.tags.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(id: &str, name: &str, parent: &str) -> Unit {
        Unit { id: id.to_owned(), name: name.to_owned(), parent: parent.to_owned() }
    }

    fn member(id: &str, parent: &str, tags: &[(&str, &str)]) -> Member {
        let tags = tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Member { id: id.to_owned(), name: Some(format!("name of {id}")), parent: parent.to_owned(), tags }
    }

    #[test]
    fn paths_lead_from_the_root() {
        let chart = Chart {
            roots: vec!["r-1".to_owned()],
            units: vec![
                unit("ou-b", "Production", "ou-a"),
                unit("ou-a", "Work/loads", "r-1"),
                unit("ou-x", "X", "ou-y"),
                unit("ou-y", "Y", "ou-x"),
                unit("ou-z", "Z", "ou-gone"),
            ],
            members: vec![
                member("111111111111", "ou-b", &[("Environment", " production ")]),
                member("222222222222", "r-1", &[("environment", "test"), ("Environment", "other")]),
                member("333333333333", "ou-x", &[("Environment", "")]),
                member("444444444444", "ou-z", &[]),
                member("5555", "r-1", &[]),
                member("66666666666x", "r-1", &[]),
            ],
        };
        let accounts = chart.accounts("environment");
        let of = |id: &str| (accounts[id].ou.as_deref(), accounts[id].environment.as_deref());
        assert_eq!(of("111111111111"), (Some("/Work_loads/Production"), Some("production")));
        assert_eq!(of("222222222222"), (Some("/"), Some("test")), "the tag of this very name first");
        assert_eq!(of("333333333333"), (None, None), "a circle has no path");
        assert_eq!(of("444444444444"), (None, None));
        assert_eq!(accounts.len(), 4);
        assert_eq!(accounts["111111111111"].name.as_deref(), Some("name of 111111111111"));
    }

    #[test]
    fn settings_win_field_by_field() {
        let account = |name: Option<&str>, ou: Option<&str>, tags: &[(&str, &str)]| Account {
            name: name.map(str::to_owned),
            environment: None,
            ou: ou.map(str::to_owned),
            tags: tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        };
        let settings = Accounts::from([
            ("111111111111".to_owned(), account(Some("ours"), None, &[("a", "1")])),
            ("333333333333".to_owned(), account(Some("not in the organisation"), None, &[])),
        ]);
        let found = Accounts::from([
            ("111111111111".to_owned(), account(Some("theirs"), Some("/A"), &[("a", "2"), ("b", "3")])),
            ("222222222222".to_owned(), account(None, Some("/B"), &[])),
        ]);
        let all = merged(&settings, &found);
        assert_eq!(all["111111111111"], account(Some("ours"), Some("/A"), &[("a", "1"), ("b", "3")]));
        assert_eq!(all["222222222222"], found["222222222222"]);
        assert_eq!(all["333333333333"], settings["333333333333"]);
        assert_eq!(merged(&settings, &Accounts::new()), settings);
        assert_eq!(merged(&all, &found), all);
    }
}
