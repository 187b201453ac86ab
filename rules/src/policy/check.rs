//! What is wrong, or hardly meant, in a policy as it is written.

use super::condition::Asked;
use super::words::{Words, has_wildcards};
use super::written::{Allowance, SeverityChange, Staged, Suppression, Written};
use super::{moment, region, sessions};
use crate::accounts::{self, Account, Accounts};
use crate::addresses::Network;
use crate::event::Millis;
use crate::fault::Fault;
use crate::nearest::nearest;
use crate::tables::is_account_id;

impl Written {
    /// What cannot be meant, whatever the rules are.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = [("disabled", &self.disabled), ("muted", &self.muted)]
            .into_iter()
            .flat_map(|(key, words)| empty_words(key, words))
            .collect::<Vec<_>>();
        each("staged", &self.staged, Staged::faults, &mut faults);
        each("severity", &self.severity, SeverityChange::faults, &mut faults);
        each("suppress", &self.suppress, Suppression::faults, &mut faults);
        each("allow", &self.allow, Allowance::faults, &mut faults);
        faults
    }

    /// What is no mistake and yet to be looked at, as of `now`: what has expired, accounts, environments and
    /// organizational units that none of the accounts has, and principals that anybody may call himself.
    pub fn remarks(&self, accounts: &Accounts, now: Millis) -> Vec<Fault> {
        let mut remarks = Vec::new();
        each("staged", &self.staged, |staged| staged.remarks(now), &mut remarks);
        let of = |asked: Asked<'_>| [unknown(asked, accounts), sessions::remarks(asked)].concat();
        each("severity", &self.severity, |entry| of(entry.asked()), &mut remarks);
        let suppression = |entry: &Suppression| [entry.remarks(now), of(entry.asked())].concat();
        each("suppress", &self.suppress, suppression, &mut remarks);
        each("allow", &self.allow, |entry| of(entry.asked()), &mut remarks);
        remarks
    }
}

/// The faults of each entry of a list, under its place.
fn each<T>(key: &str, entries: &[T], faults: impl Fn(&T) -> Vec<Fault>, into: &mut Vec<Fault>) {
    for (at, entry) in entries.iter().enumerate() {
        into.extend(faults(entry).into_iter().map(|fault| fault.within(&format!("{key}[{at}]"))));
    }
}

impl Staged {
    fn faults(&self) -> Vec<Fault> {
        let mut faults = empty_words("rule", &self.rule);
        if self.rule.is_empty() {
            faults.push(Fault::new("rule", "is missing: name the rules that are on trial"));
        }
        faults.extend(time(
            "until",
            self.until.as_deref(),
            "is missing: write the date of the promotion, such as 2030-12-31",
        ));
        faults
    }

    fn remarks(&self, now: Millis) -> Vec<Fault> {
        let over = self.until.as_deref().and_then(moment::parse).is_some_and(|until| until <= now);
        let say = || {
            Fault::new(
                "until",
                format!("has passed: {} alerts now; see `dial rules staged`, and delete the entry", self.rule),
            )
        };
        over.then(say).into_iter().collect()
    }
}

impl SeverityChange {
    pub(super) fn asked(&self) -> Asked<'_> {
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

    fn faults(&self) -> Vec<Fault> {
        let mut faults = conditions(self.asked(), "account, region, ou, environment, actor or rule");
        match [self.set.is_some(), self.raise.is_some(), self.lower.is_some()].into_iter().filter(|has| *has).count() {
            1 => {}
            0 => faults.push(Fault::new("", "says no severity: write one of set = \"high\", raise = 1, lower = 1")),
            _ => faults.push(Fault::new(
                "",
                "says more than one of `set`, `raise` and `lower`: keep one, or write two entries",
            )),
        }
        for (key, levels) in [("raise", self.raise), ("lower", self.lower)] {
            if let Some(levels) = levels.filter(|levels| !(1..=4).contains(levels)) {
                faults.push(Fault::new(key, format!("is {levels}: write 1 to 4, there are five severities")));
            }
        }
        faults.extend(given("reason", self.reason.as_deref()));
        faults
    }
}

impl Suppression {
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked {
            account: Some(&self.account),
            region: Some(&self.region),
            ou: Some(&self.ou),
            environment: Some(&self.environment),
            actor: Some(&self.actor),
            rule: Some(&self.rule),
            address: Some(&self.address),
            ..Asked::default()
        }
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = conditions(self.asked(), "account, region, ou, environment, actor, rule or address");
        faults.extend(required("owner", self.owner.as_deref(), "who answers for what is hidden"));
        faults.extend(required("reason", self.reason.as_deref(), "why it is hidden"));
        let missing = "is missing: write the date from which on it shows again, such as 2030-12-31";
        faults.extend(time("expires", self.expires.as_deref(), missing));
        if let Some(from) = &self.from {
            faults.extend(time("from", Some(from), ""));
            let ends = self.expires.as_deref().and_then(moment::parse);
            if let (Some(begins), Some(ends)) = (moment::parse(from), ends)
                && begins >= ends
            {
                faults.push(Fault::new("from", "is not before `expires`, so that nothing is ever hidden"));
            }
        }
        faults
    }

    fn remarks(&self, now: Millis) -> Vec<Fault> {
        let Some(expires) = &self.expires else { return Vec::new() };
        let over = moment::parse(expires).is_some_and(|expires| expires <= now);
        let owner = self.owner.as_deref().unwrap_or("its owner");
        let say = || {
            format!(
                "was {expires}: what was active since then shows again; ask {owner} whether to renew or to delete it"
            )
        };
        over.then(|| Fault::new("expires", say())).into_iter().collect()
    }
}

impl Allowance {
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked {
            principal: Some(&self.principal),
            address: Some(&self.address),
            account: Some(&self.account),
            rule: Some(&self.rule),
            ..Asked::default()
        }
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults: Vec<Fault> = self.asked().all().flat_map(|(key, words)| words_of(key, words)).collect();
        if self.principal.is_empty() && self.address.is_empty() {
            faults.push(Fault::new("", "allows nobody: write `principal` or `address`"));
        }
        faults.extend(required("owner", self.owner.as_deref(), "who answers for it"));
        faults.extend(required("reason", self.reason.as_deref(), "why it is expected"));
        faults
    }
}

/// What is wrong with conditions, of which there must be one.
fn conditions(asked: Asked<'_>, choice: &str) -> Vec<Fault> {
    if asked.all().next().is_none() {
        let message =
            format!("has no condition and would be about every finding: write {choice}; for all, rule = \"*\"");
        return vec![Fault::new("", message)];
    }
    asked.all().flat_map(|(key, words)| words_of(key, words)).collect()
}

/// What is wrong with the words of one condition.
pub(super) fn words_of(key: &str, words: &Words) -> Vec<Fault> {
    let wrong = words.0.iter().enumerate().filter_map(|(at, word)| {
        let wrong = match key {
            _ if word.trim().is_empty() => Some("is empty: write something, or leave it out".to_owned()),
            "account" => account_fault(word),
            "region" => region::fault(word),
            "ou" if word.contains(['*', '?']) && word.starts_with(['/', '*']) => None,
            "ou" => accounts::ou_fault(word),
            "actor" | "principal" => principal_fault(word),
            "address" => address_fault(word),
            _ => None,
        };
        Some(Fault::new(format!("{key}[{at}]"), wrong?))
    });
    wrong.collect()
}

fn empty_words(key: &str, words: &Words) -> Vec<Fault> {
    let empty = words.0.iter().enumerate().filter(|(_, word)| word.trim().is_empty());
    empty.map(|(at, _)| Fault::new(format!("{key}[{at}]"), "is empty: name a rule, or leave it out")).collect()
}

fn account_fault(word: &str) -> Option<String> {
    let digits = word.len() > 3 && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    (digits && !is_account_id(word)).then(|| format!("has {word:?}, which is no account: an id has 12 digits"))
}

fn principal_fault(word: &str) -> Option<String> {
    const PARTS: [&str; 6] = [":user/", ":role/", ":assumed-role/", ":federated-user/", ":iam::", ":sts::"];
    let is_part = PARTS.iter().any(|part| format!(":{word}").contains(part));
    if is_part && !word.starts_with("arn:") && !word.starts_with('*') {
        return Some(format!("has {word:?}, which is part of an ARN: begin with `arn:aws:`, or with `*`"));
    }
    let account = word.strip_prefix("arn:").and_then(|_| word.split(':').nth(4));
    let odd = account.filter(|account| !account.is_empty() && !account.contains(['*', '?']) && !is_account_id(account));
    odd.map(|account| format!("has {word:?}, in which {account:?} is no account: an id has 12 digits"))
}

fn address_fault(word: &str) -> Option<String> {
    let wrong = Network::parse(word).err()?;
    if word.to_lowercase().ends_with(".amazonaws.com") || word == "AWS Internal" {
        return None;
    }
    if word.contains('/') {
        return Some(format!("has {word:?}, which is no address and no network: {wrong}"));
    }
    Some(format!(
        "has {word:?}, which is no address: write one such as 203.0.113.7, a network such as 198.51.100.0/24, or the name of an \
         AWS service such as cloudformation.amazonaws.com"
    ))
}

fn required(key: &str, text: Option<&str>, what: &str) -> Option<Fault> {
    let missing = text.is_none_or(|text| text.trim().is_empty());
    missing.then(|| Fault::new(key, format!("is missing: say {what}")))
}

fn given(key: &str, text: Option<&str>) -> Option<Fault> {
    let empty = text.is_some_and(|text| text.trim().is_empty());
    empty.then(|| Fault::new(key, "is empty: write something, or leave it out"))
}

fn time(key: &str, text: Option<&str>, missing: &str) -> Option<Fault> {
    match text {
        None => Some(Fault::new(key, missing)),
        Some(text) => moment::fault(text).map(|wrong| Fault::new(key, wrong)),
    }
}

/// Words that none of the accounts fits; nothing is known when none is listed.
fn unknown(asked: Asked<'_>, accounts: &Accounts) -> Vec<Fault> {
    if accounts.is_empty() {
        return Vec::new();
    }
    let of = |field: fn(&Account) -> Option<&String>| accounts.values().filter_map(field).map(String::as_str);
    let (ids, names) = (accounts.keys().map(String::as_str), of(|account| account.name.as_ref()));
    let known: [(&str, Vec<&str>, Option<&Words>); 3] = [
        ("account", ids.chain(names).collect(), asked.account),
        ("environment", of(|account| account.environment.as_ref()).collect(), asked.environment),
        ("ou", of(|account| account.ou.as_ref()).flat_map(above).collect(), asked.ou),
    ];
    let mut remarks = Vec::new();
    for (key, known, words) in known {
        for (at, word) in words.into_iter().flat_map(|words| words.0.iter().enumerate()) {
            if has_wildcards(word) || known.iter().any(|known| known.eq_ignore_ascii_case(word)) {
                continue;
            }
            let near = nearest(word, known.iter().copied()).map(|near| format!(": did you mean {near:?}?"));
            let message = format!("has {word:?}, which no known account has{}", near.unwrap_or_default());
            remarks.push(Fault::new(format!("{key}[{at}]"), message));
        }
    }
    remarks
}

/// The path and those above it.
fn above(ou: &str) -> impl Iterator<Item = &str> {
    ou.match_indices('/').map(|(at, _)| &ou[..at]).filter(|path| !path.is_empty()).chain([ou, "/"])
}
