//! [`Routing`]: which findings go to which sinks. Pure: computed when a finding is alerted, never stored.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::check::words_of;
use super::condition::{Asked, Conditions};
use super::rule_names::RuleNames;
use super::words::{Patterns, Words, has_wildcards};
use crate::assessment::Assessment;
use crate::context::ACCOUNTS;
use crate::fault::Fault;
use crate::finding::FindingKind;
use crate::nearest::nearest;
use crate::severity::Severity;

/// `[[alerts.route]]`: findings that go to some sinks. All conditions must hold; of each one word must fit. What is asked of
/// a part of the context that is missing at that time holds: an alert too many is better than none. A finding goes to every
/// sink that any route names for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Route {
    /// Names of sinks, or patterns of them. Required.
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub sinks: Words,
    /// This severity or a worse one, as the policy has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_severity: Option<Severity>,
    /// Only these: `single` or `correlated`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<FindingKind>,
    /// Accounts: ids, or names.
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub account: Words,
    /// Regions.
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub region: Words,
    /// Organizational units, with all that is below them: `/Workloads`.
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub ou: Words,
    /// Environments of accounts.
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub environment: Words,
    /// Tags of accounts: `team=payments`, or `team` for any value.
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub tag: Words,
    /// Actors: as findings name them, ARNs, or persons behind them.
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub actor: Words,
    /// Rules: by id, title or file.
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub rule: Words,
    /// ATT&CK techniques, with those below them: `T1098`.
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub technique: Words,
}

/// Routes in force.
#[derive(Debug, Clone, Default)]
pub struct Routing {
    sinks: BTreeSet<String>,
    routes: Vec<Ready>,
}

/// A route, ready to be asked.
#[derive(Debug, Clone)]
struct Ready {
    sinks: BTreeSet<String>,
    min_severity: Option<Severity>,
    kind: Option<FindingKind>,
    conditions: Conditions,
    tags: Vec<(Patterns, Option<Patterns>)>,
    technique: Vec<String>,
}

impl Route {
    fn asked(&self) -> Asked<'_> {
        Asked {
            account: Some(&self.account),
            region: Some(&self.region),
            ou: Some(&self.ou),
            environment: Some(&self.environment),
            actor: Some(&self.actor),
            rule: Some(&self.rule),
            ..Asked::default()
        }
    }

    /// What cannot be meant, given the names of all sinks.
    pub fn faults(&self, sinks: &BTreeSet<String>) -> Vec<Fault> {
        let mut faults: Vec<Fault> = self.asked().all().flat_map(|(key, words)| words_of(key, words)).collect();
        if self.sinks.is_empty() {
            faults.push(Fault::new("sinks", "is missing: name sinks of [sinks.NAME], or \"*\" for all"));
        }
        for (at, word) in self.sinks.0.iter().enumerate().filter(|(_, word)| fitting(word, sinks).next().is_none()) {
            faults.push(Fault::new(format!("sinks[{at}]"), no_sink(word, sinks)));
        }
        for (key, words) in [("tag", &self.tag), ("technique", &self.technique)] {
            let empty = words.0.iter().enumerate().filter(|(_, word)| word.trim().is_empty());
            faults.extend(empty.map(|(at, _)| Fault::new(format!("{key}[{at}]"), "is empty: write something")));
        }
        let odd = self.technique.0.iter().enumerate().filter(|(_, word)| !word.is_empty() && !is_technique(word));
        faults.extend(odd.map(|(at, word)| {
            Fault::new(
                format!("technique[{at}]"),
                format!("has {word:?}: write a technique such as T1098 or T1098.001"),
            )
        }));
        faults
    }
}

/// The sinks that a word names.
fn fitting<'s>(word: &str, sinks: &'s BTreeSet<String>) -> impl Iterator<Item = &'s String> {
    let patterns = Patterns::new([word]);
    let word = word.to_owned();
    sinks.iter().filter(move |sink| **sink == word || (has_wildcards(&word) && patterns.fit(sink)))
}

fn no_sink(word: &str, sinks: &BTreeSet<String>) -> String {
    if sinks.is_empty() {
        let name = if has_wildcards(word) { "NAME" } else { word };
        return format!("names {word:?}, but there are no sinks: add a section [sinks.{name}]");
    }
    let meant = nearest(word, sinks.iter().map(String::as_str));
    let names = sinks.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let meant = meant.map_or_else(|| format!("there are: {names}"), |meant| format!("did you mean {meant:?}?"));
    format!("names {word:?}, which is no sink: {meant}")
}

/// `T1098`, `T1098.001`
fn is_technique(word: &str) -> bool {
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(rest) = word.strip_prefix(['T', 't']) else { return false };
    match rest.split_once('.') {
        Some((technique, sub)) => digits(technique, 4) && digits(sub, 3),
        None => digits(rest, 4),
    }
}

impl Routing {
    /// The routes that are written, over these sinks and rules. Without any, everything goes everywhere.
    ///
    /// # Errors
    /// All that cannot be meant, each at its place in the list, such as `[1].rule[0]`.
    pub fn new(written: &[Route], sinks: BTreeSet<String>, rules: &RuleNames) -> Result<Routing, Vec<Fault>> {
        let (mut routes, mut faults) = (Vec::new(), Vec::new());
        for (at, route) in written.iter().enumerate() {
            let mut wrong = route.faults(&sinks);
            let conditions = Conditions::of(route.asked(), rules).unwrap_or_else(|more| {
                wrong.extend(more);
                Conditions::default()
            });
            faults.extend(wrong.into_iter().map(|fault| fault.within(&format!("[{at}]"))));
            routes.push(Ready {
                sinks: route.sinks.0.iter().flat_map(|word| fitting(word, &sinks).cloned()).collect(),
                min_severity: route.min_severity,
                kind: route.kind,
                conditions,
                tags: route.tag.0.iter().map(|word| tag(word)).collect(),
                technique: route.technique.0.iter().map(|word| word.to_uppercase()).collect(),
            });
        }
        if faults.is_empty() { Ok(Routing { sinks, routes }) } else { Err(faults) }
    }

    /// Where a finding goes: nowhere unless it is open.
    pub fn sinks(&self, assessment: &Assessment) -> BTreeSet<String> {
        if !assessment.is_open() {
            return BTreeSet::new();
        }
        if self.routes.is_empty() {
            return self.sinks.clone();
        }
        self.routes.iter().filter(|route| route.holds(assessment)).flat_map(|route| route.sinks.clone()).collect()
    }

    /// Sinks that no route names.
    pub fn idle(&self) -> Vec<&str> {
        let named = |sink: &&String| !self.routes.iter().any(|route| route.sinks.contains(*sink));
        self.sinks.iter().filter(|_| !self.routes.is_empty()).filter(named).map(String::as_str).collect()
    }
}

/// `team=payments` → name and value.
fn tag(word: &str) -> (Patterns, Option<Patterns>) {
    match word.split_once('=') {
        Some((name, value)) => (Patterns::new([name.trim()]), Some(Patterns::new([value.trim()]))),
        None => (Patterns::new([word.trim()]), None),
    }
}

impl Ready {
    fn holds(&self, assessment: &Assessment) -> bool {
        let Assessment { finding, context, .. } = assessment;
        let tags = context.account.as_ref().map(|account| &account.tags);
        let tagged = |(name, value): &(Patterns, Option<Patterns>)| {
            let fits =
                |(key, of): (&String, &String)| name.fit(key) && value.as_ref().is_none_or(|value| value.fit(of));
            tags.is_some_and(|tags| tags.iter().any(fits))
        };
        let below = |asked: &String| {
            let covers = |technique: &String| {
                technique == asked || technique.strip_prefix(asked).is_some_and(|rest| rest.starts_with('.'))
            };
            finding.subject.techniques.iter().any(covers)
        };
        let untagged = || !self.tags.iter().any(tagged) && !context.lacks(ACCOUNTS);
        self.min_severity.is_none_or(|least| assessment.severity() >= least)
            && self.kind.is_none_or(|kind| finding.kind == kind)
            && (self.tags.is_empty() || !untagged())
            && (self.technique.is_empty() || self.technique.iter().any(below))
            && self.conditions.may_hold(finding, context)
    }
}

#[cfg(test)]
#[path = "routing_tests.rs"]
mod tests;
