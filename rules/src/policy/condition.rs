//! [`Conditions`]: which findings an entry of the policy is about.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::rule_names::RuleNames;
use super::words::{Patterns, Words};
use crate::addresses::{AddressKind, Network, kind};
use crate::context::{ACCOUNTS, Context, LINEAGE};
use crate::fault::Fault;
use crate::finding::Finding;

/// What is asked of a finding. All that is asked must hold; nothing asked holds always.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Conditions {
    account: Patterns,
    region: Patterns,
    ou: Patterns,
    environment: Patterns,
    actor: Patterns,
    /// As `actor`, or ids of access keys.
    principal: Patterns,
    address: Addresses,
    /// Ids; `None` when nothing is asked.
    rule: Option<BTreeSet<String>>,
}

/// Where calls come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Addresses {
    networks: Vec<Network>,
    /// Of AWS services.
    names: Patterns,
    asked: bool,
}

/// The conditions as an entry has them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked<'w> {
    pub(super) account: Option<&'w Words>,
    pub(super) region: Option<&'w Words>,
    pub(super) ou: Option<&'w Words>,
    pub(super) environment: Option<&'w Words>,
    pub(super) actor: Option<&'w Words>,
    pub(super) principal: Option<&'w Words>,
    pub(super) address: Option<&'w Words>,
    pub(super) rule: Option<&'w Words>,
}

impl<'w> Asked<'w> {
    /// The conditions that are there, with their keys.
    pub(super) fn all(self) -> impl Iterator<Item = (&'static str, &'w Words)> {
        let all = [
            ("account", self.account),
            ("region", self.region),
            ("ou", self.ou),
            ("environment", self.environment),
            ("actor", self.actor),
            ("principal", self.principal),
            ("address", self.address),
            ("rule", self.rule),
        ];
        all.into_iter().filter_map(|(key, words)| Some((key, words.filter(|words| !words.is_empty())?)))
    }

    /// `account payments, rule iam/*`
    pub(super) fn words(self) -> String {
        self.all().map(|(key, words)| format!("{key} {words}")).collect::<Vec<_>>().join(", ")
    }
}

impl Conditions {
    /// Ready to be asked.
    ///
    /// # Errors
    /// Which rules are none.
    pub(super) fn of(asked: Asked<'_>, rules: &RuleNames) -> Result<Conditions, Vec<Fault>> {
        let patterns = |words: Option<&Words>| {
            Patterns::new(words.into_iter().flat_map(|words| words.0.iter().map(String::as_str)))
        };
        let principals = |words: Option<&Words>| {
            let words: Vec<String> =
                words.into_iter().flat_map(|words| words.0.iter().map(|word| bare_role(word))).collect();
            Patterns::new(words.iter().map(String::as_str))
        };
        let rule =
            asked.rule.filter(|words| !words.is_empty()).map(|words| resolve(words, "rule", rules)).transpose()?;
        Ok(Conditions {
            account: patterns(asked.account),
            region: patterns(asked.region),
            ou: patterns(asked.ou),
            environment: patterns(asked.environment),
            actor: principals(asked.actor),
            principal: principals(asked.principal),
            address: Addresses::of(asked.address),
            rule,
        })
    }

    /// Whether the finding is one of those, as far as is known.
    pub(super) fn hold(&self, finding: &Finding, context: &Context) -> bool {
        self.holds(finding, context, |_| false)
    }

    /// Whether the finding is one of those, or may be: what is asked of a part of the context that is missing holds.
    pub(super) fn may_hold(&self, finding: &Finding, context: &Context) -> bool {
        self.holds(finding, context, |part| context.lacks(part))
    }

    /// `granted` are the parts of the context of which whatever is asked holds.
    fn holds(&self, finding: &Finding, context: &Context, granted: impl Fn(&str) -> bool) -> bool {
        let subject = &finding.subject;
        let account = context.account.as_ref();
        let known = |asked: &Patterns, texts: &[Option<&str>]| {
            asked.is_empty() || texts.iter().flatten().any(|text| asked.fit(text))
        };
        let in_unit = || account.and_then(|of| of.ou.as_deref()).is_some_and(|ou| covers(&self.ou, ou));
        let by_actor = || actors(finding, context).any(|text| self.actor.fit(&text));
        let by_principal = || principals(finding, context).any(|text| self.principal.fit(&text));
        let of_account =
            known(&self.account, &[subject.account_id.as_deref(), account.and_then(|of| of.name.as_deref())])
                && known(&self.environment, &[account.and_then(|of| of.environment.as_deref())])
                && (self.ou.is_empty() || in_unit());
        let of_caller = (self.actor.is_empty() || by_actor()) && (self.principal.is_empty() || by_principal());
        self.rule.as_ref().is_none_or(|ids| ids.contains(&finding.rule_id))
            && known(&self.region, &[subject.region.as_deref()])
            && (of_account || granted(ACCOUNTS))
            && (of_caller || granted(LINEAGE))
            && self.address.hold(subject.source_ip.as_deref())
    }
}

/// The ids of rules that are named under `key`.
pub(super) fn resolve(words: &Words, key: &str, rules: &RuleNames) -> Result<BTreeSet<String>, Vec<Fault>> {
    let (mut ids, mut faults) = (BTreeSet::new(), Vec::new());
    // That one is empty is told without knowing any rules.
    for (at, name) in words.0.iter().enumerate().filter(|(_, name)| !name.trim().is_empty()) {
        match rules.resolve(name) {
            Ok(found) => ids.extend(found),
            Err(wrong) => faults.push(Fault::new(format!("{key}[{at}]"), wrong)),
        }
    }
    if faults.is_empty() { Ok(ids) } else { Err(faults) }
}

impl Addresses {
    fn of(words: Option<&Words>) -> Addresses {
        let words: Vec<&str> = words.into_iter().flat_map(|words| words.0.iter().map(String::as_str)).collect();
        Addresses {
            networks: words.iter().filter_map(|word| Network::parse(word).ok()).collect(),
            names: Patterns::new(words.iter().copied().filter(|word| Network::parse(word).is_err())),
            asked: !words.is_empty(),
        }
    }

    fn hold(&self, source: Option<&str>) -> bool {
        if !self.asked {
            return true;
        }
        // As everywhere else, so that nobody passes for a service by a name among addresses.
        match source.map(kind::classify) {
            Some((_, Some(address))) => self.networks.iter().any(|network| network.contains(address)),
            Some((AddressKind::Service, None)) => source.is_some_and(|source| self.names.fit(source.trim())),
            _ => false,
        }
    }
}

/// Whether one of the paths is this one or one above it.
fn covers(paths: &Patterns, ou: &str) -> bool {
    let above = ou.match_indices('/').map(|(at, _)| &ou[..at]).filter(|path| !path.is_empty());
    above.chain([ou, "/"]).any(|path| paths.fit(path))
}

/// Every name of who acted.
fn actors<'f>(finding: &'f Finding, context: &'f Context) -> impl Iterator<Item = Cow<'f, str>> {
    let subject = &finding.subject;
    let persons = subject.origin.persons.iter().chain(&context.lineage.persons);
    let role = subject.actor_arn.as_deref().and_then(role_of_session).map(Cow::Owned);
    let named = subject.actor.iter().chain(&subject.actor_arn).chain(persons);
    named.map(|name| Cow::Borrowed(name.as_str())).chain(role)
}

/// The same, with the credentials.
fn principals<'f>(finding: &'f Finding, context: &'f Context) -> impl Iterator<Item = Cow<'f, str>> {
    let keys = finding.subject.origin.credentials.iter().chain(&context.lineage.credentials);
    actors(finding, context).chain(keys.map(|key| Cow::Borrowed(key.as_str())))
}

/// The role whose session acts: of `arn:aws:sts::111122223333:assumed-role/Admin/alice` the role's ARN, without the path
/// that the session's does not have.
fn role_of_session(arn: &str) -> Option<String> {
    let (begin, rest) = arn.split_once(":assumed-role/")?;
    let role = rest.split('/').next()?;
    let [_, partition, "sts", _, account] = begin.split(':').collect::<Vec<_>>()[..] else { return None };
    Some(format!("arn:{partition}:iam::{account}:role/{role}"))
}

/// The ARN of a role without its path, which a session's ARN does not have; another word as it is.
fn bare_role(word: &str) -> String {
    match word.split_once(":role/") {
        Some((begin, path)) => format!("{begin}:role/{}", path.rsplit('/').next().unwrap_or(path)),
        None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_lead_to_their_role_whatever_its_path() {
        let role = role_of_session("arn:aws-cn:sts::111122223333:assumed-role/Admin/alice").unwrap();
        assert_eq!(role, "arn:aws-cn:iam::111122223333:role/Admin");
        assert_eq!(bare_role("arn:aws-cn:iam::111122223333:role/teams/a/Admin"), role);
        assert_eq!(role_of_session("arn:aws:iam::111122223333:user/alice"), None);
        assert_eq!(bare_role("arn:aws:iam::111122223333:user/a/alice"), "arn:aws:iam::111122223333:user/a/alice");
    }

    #[test]
    fn a_unit_covers_what_is_below_it() {
        for (paths, ou, held) in [
            ("/Workloads", "/Workloads/Production", true),
            ("/Workloads", "/Workloads", true),
            ("/workloads/prod*", "/Workloads/Production/Cards", true),
            ("/Workloads", "/WorkloadsOld", false),
            ("/Workloads/Production", "/Workloads", false),
            ("/*/Production", "/Workloads/Production/Cards", true),
            ("/", "/Workloads", true),
        ] {
            assert_eq!(covers(&Patterns::new([paths]), ou), held, "{paths} {ou}");
        }
    }
}
