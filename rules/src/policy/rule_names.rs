//! [`RuleNames`]: how people name rules.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::words::{Patterns, has_wildcards};
use crate::correlation::Correlation;
use crate::nearest::nearest;
use crate::rule::Rule;

/// So much of an id tells which rule is meant.
const LEAST_OF_ID: usize = 8;

/// Names of rules: a rule's id, what only its id begins with (at least 8 characters), its title, or its file without the
/// ending, with its folder if need be (`iam/administrator_rights_granted`). With wildcards (`iam/*`) all that fit.
#[derive(Debug, Default)]
pub struct RuleNames {
    rules: Vec<Named>,
    lenient: bool,
}

#[derive(Debug)]
struct Named {
    id: String,
    title: String,
    /// `iam/administrator_rights_granted`
    path: String,
}

impl Named {
    fn stem(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

impl RuleNames {
    /// The names of these rules.
    pub fn of<'r>(rules: impl IntoIterator<Item = &'r Arc<Rule>>) -> RuleNames {
        let named =
            |rule: &'r Arc<Rule>| Named { id: rule.id.clone(), title: rule.title.clone(), path: path(&rule.file) };
        RuleNames { rules: rules.into_iter().map(named).collect(), lenient: false }
    }

    /// And those of these correlations.
    #[must_use]
    pub fn and<'c>(mut self, correlations: impl IntoIterator<Item = &'c Arc<Correlation>>) -> RuleNames {
        let named =
            |one: &'c Arc<Correlation>| Named { id: one.id.clone(), title: one.title.clone(), path: path(&one.file) };
        self.rules.extend(correlations.into_iter().map(named));
        self
    }

    /// The same where the policy was written for other rules: a name that is none of these is about none of them.
    #[must_use]
    pub fn lenient(self) -> RuleNames {
        RuleNames { lenient: true, ..self }
    }

    /// The ids of the rules that are meant.
    ///
    /// # Errors
    /// What is wrong with the name, to follow the key's name.
    pub fn resolve(&self, name: &str) -> Result<BTreeSet<String>, String> {
        match self.meant(name) {
            Err(_) if self.lenient => Ok(BTreeSet::new()),
            found => found,
        }
    }

    fn meant(&self, name: &str) -> Result<BTreeSet<String>, String> {
        let ids = |fits: &dyn Fn(&Named) -> bool| -> BTreeSet<String> {
            self.rules.iter().filter(|rule| fits(rule)).map(|rule| rule.id.clone()).collect()
        };
        if has_wildcards(name) {
            let pattern = Patterns::new([name]);
            let found = ids(&|rule| [&rule.id, &rule.title, &rule.path].iter().any(|text| pattern.fit(text)));
            return if found.is_empty() { Err(self.unknown(name)) } else { Ok(found) };
        }
        let lower = name.to_lowercase();
        let exact = ids(&|rule| rule.id.to_lowercase() == lower || rule.path.to_lowercase() == lower);
        if !exact.is_empty() {
            return Ok(exact);
        }
        let begun = ids(&|rule| lower.len() >= LEAST_OF_ID && rule.id.to_lowercase().starts_with(&lower));
        let titled = ids(&|rule| rule.title.to_lowercase() == lower);
        let filed: BTreeSet<&str> = self
            .rules
            .iter()
            .filter(|rule| rule.stem().to_lowercase() == lower)
            .map(|rule| rule.path.as_str())
            .collect();
        match (begun.len(), titled.len(), filed.len()) {
            (0, 0, 0) => Err(self.unknown(name)),
            (1, _, _) => Ok(begun),
            (2.., _, _) => Err(format!("has {name:?}, with which the ids of several rules begin: write more of it")),
            (_, 1, _) => Ok(titled),
            (_, 2.., _) => Err(format!("has {name:?}, the title of several rules: write the id")),
            (_, _, 1) => Ok(ids(&|rule| rule.stem().to_lowercase() == lower)),
            _ => {
                let paths: Vec<&str> = filed.into_iter().collect();
                Err(format!("has {name:?}, a file of several folders: write one of {}", paths.join(", ")))
            }
        }
    }

    /// Says that no rule is called so, and which nearly is.
    fn unknown(&self, name: &str) -> String {
        let all = self.rules.iter().flat_map(|rule| [rule.path.as_str(), rule.stem(), &rule.title, &rule.id]);
        let near = nearest(name, all).map(|near| format!("did you mean {near:?}? ")).unwrap_or_default();
        format!(
            "has {name:?}, which is no rule: {near}`dial rules list` shows ids and titles; a file is named as in \"iam/*\""
        )
    }
}

/// The file's last folder and its name without the ending.
fn path(file: &str) -> String {
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let parts: Vec<&str> = stem.split(['/', '\\']).filter(|part| !part.is_empty()).collect();
    parts[parts.len().saturating_sub(2)..].join("/")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn names() -> RuleNames {
        let named = |id: &str, title: &str, file: &str| Named { id: id.into(), title: title.into(), path: path(file) };
        let rules = vec![
            named("aaaaaaaa-0000-0000-0000-000000000001", "Key made", "rules/packs/iam/key_made.yml"),
            named("aaaaaaaa-0000-0000-0000-000000000002", "Key used", "rules/packs/iam/key_used.yml"),
            named("bbbbbbbb-0000-0000-0000-000000000003", "Bucket opened", "rules/packs/s3/opened.yml"),
            named("cccccccc-0000-0000-0000-000000000004", "Topic opened", "rules/packs/sns/opened.yml"),
        ];
        RuleNames { rules, lenient: false }
    }

    #[test]
    fn rules_are_named_in_many_ways() {
        let names = names();
        let last = |name: &str| -> Result<Vec<String>, String> {
            names.resolve(name).map(|ids| ids.iter().map(|id| id[id.len() - 1..].to_owned()).collect())
        };
        for (name, ids) in [
            ("aaaaaaaa-0000-0000-0000-000000000001", &["1"][..]),
            ("BBBBBBBB", &["3"]),
            ("key MADE", &["1"]),
            ("iam/key_used", &["2"]),
            ("key_used", &["2"]),
            ("iam/*", &["1", "2"]),
            ("*opened", &["3", "4"]),
            ("*", &["1", "2", "3", "4"]),
        ] {
            assert_eq!(last(name).unwrap(), ids, "{name}");
        }
        for (name, words) in [
            ("aaaaaaaa", "several rules begin"),
            ("bbbb", "is no rule"),
            ("opened", "s3/opened, sns/opened"),
            ("Key maed", "did you mean \"Key made\"?"),
            ("iam/key_usd", "did you mean \"iam/key_used\"?"),
            ("ec2/*", "is no rule"),
            ("", "is no rule"),
        ] {
            let wrong = last(name).unwrap_err();
            assert!(wrong.contains(words), "{name}: {wrong}");
            assert_eq!(super::tests::names().lenient().resolve(name), Ok(BTreeSet::new()));
        }
    }
}
