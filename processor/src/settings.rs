//! `dial.toml`: read once, checked, and handed out in typed parts. Every key can be overridden by an environment
//! variable: `stream.name` by `DIAL_STREAM__NAME`.
//!
//! A section is a struct in a file of its own, with `#[serde(deny_unknown_fields, default)]` and a `faults` that says what its
//! values cannot be. All mistakes are told at once, each with its line; so what is required is checked by `faults` too:
//! were it required by the struct, its absence would hide the section's other mistakes. Enums that are told apart by
//! their content (`untagged`, `flatten`) lose their places: avoid them.

mod addresses;
mod alerts;
mod archive;
mod athena;
mod aws_name;
mod correlation;
mod data;
mod document;
mod door;
mod environment;
mod log;
mod log_filter;
mod metrics;
mod mistake;
mod organizations;
mod reader;
mod reputation;
mod rules;
mod secret_place;
mod sinks;
mod source;
mod stream;
mod syntax;
mod tables;
mod worker;

use std::path::Path;
use std::sync::Arc;

use dial_rules::accounts::{self, Accounts};
use dial_rules::event::Millis;
use dial_rules::fault::Fault;
use dial_rules::policy::routing::Routing;
use dial_rules::policy::rule_names::RuleNames;
use dial_rules::policy::{Policy, Written};
use dial_rules::tables::Tables as FactTables;
use serde::{Deserialize, Serialize};

use self::reader::Reader;
use crate::rule_files;

pub(crate) use self::addresses::{AddressList, Addresses, Origin};
pub(crate) use self::alerts::Alerts;
pub(crate) use self::archive::Archive;
pub(crate) use self::athena::Athena;
pub(crate) use self::correlation::Correlation;
pub(crate) use self::data::Data;
pub(crate) use self::door::{Door, read_key};
pub(crate) use self::log::Log;
pub(crate) use self::metrics::{Listen, Metrics};
pub(crate) use self::organizations::Organizations;
pub(crate) use self::reputation::Reputation;
pub(crate) use self::rules::Rules;
pub(crate) use self::secret_place::{SecretPlace, variable};
pub(crate) use self::sinks::{Kind as SinkKind, Sink, Sinks};
pub(crate) use self::stream::{Initial, ReadBy, Stream};
pub(crate) use self::tables::Tables;
pub(crate) use self::worker::Worker;

/// The file that is read when none is named.
const DEFAULT_FILE: &str = "dial.toml";

/// The settings in force.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    pub(crate) stream: Stream,
    pub(crate) worker: Worker,
    pub(crate) tables: Tables,
    pub(crate) archive: Archive,
    pub(crate) athena: Athena,
    pub(crate) data: Data,
    pub(crate) rules: Rules,
    pub(crate) correlation: Correlation,
    /// `[facts]`: what the organisation knows about itself and no event says.
    pub(crate) facts: FactTables,
    pub(crate) addresses: Addresses,
    pub(crate) organizations: Organizations,
    pub(crate) reputation: Reputation,
    /// `[accounts.111122223333]`: what the organisation's accounts are called and where they belong.
    pub(crate) accounts: Accounts,
    /// `[policy]`: what to think of findings.
    pub(crate) policy: Written,
    /// `[sinks.NAME]`: where alerts go.
    pub(crate) sinks: Sinks,
    pub(crate) alerts: Alerts,
    pub(crate) metrics: Metrics,
    pub(crate) door: Door,
    pub(crate) log: Log,
    /// Where each key was set.
    #[serde(skip)]
    origin: Option<Arc<Reader>>,
}

impl Settings {
    /// Reads the file and the environment. Without `file`, `dial.toml` of the working directory is read if it exists.
    ///
    /// # Errors
    /// Every mistake, each with the file and line, or the variable, and what to write instead.
    pub(crate) fn read(file: Option<&Path>) -> Result<Settings, String> {
        let path = file.unwrap_or(Path::new(DEFAULT_FILE));
        let text = source::read(path, file.is_some())?.unwrap_or_default();
        let mut reader = Reader::read::<Settings>(path.display().to_string(), text, std::env::vars_os());
        let mut settings: Settings = reader.value();
        reader.add(settings.faults());
        if reader.told().is_some()
            && let Some(names) = rule_files::names(&settings.rules.paths)
        {
            // Otherwise told once the rules are loaded; now, so that all is told at once.
            reader.add(settings.policy_over(&names).err().unwrap_or_default());
            reader.add(settings.routing_over(&names).err().unwrap_or_default());
        }
        match reader.told() {
            Some(mistakes) => Err(mistakes),
            None => {
                settings.origin = Some(Arc::new(reader));
                Ok(settings)
            }
        }
    }

    /// The policy over these rules.
    ///
    /// # Errors
    /// Every name that is no rule's, each with its place.
    pub(crate) fn policy(&self, rules: &RuleNames) -> Result<Policy, String> {
        self.policy_over(rules).map_err(|faults| self.tell(faults))
    }

    fn policy_over(&self, rules: &RuleNames) -> Result<Policy, Vec<Fault>> {
        let within = |faults: Vec<Fault>| faults.into_iter().map(|fault| fault.within("policy")).collect();
        Policy::new(&self.policy, rules).map_err(within)
    }

    /// The routes over these rules.
    ///
    /// # Errors
    /// Every name that is no rule's or no sink's, each with its place.
    pub(crate) fn routing(&self, rules: &RuleNames) -> Result<Routing, String> {
        self.routing_over(rules).map_err(|faults| self.tell(faults))
    }

    fn routing_over(&self, rules: &RuleNames) -> Result<Routing, Vec<Fault>> {
        let within = |faults: Vec<Fault>| faults.into_iter().map(|fault| fault.within("alerts.route")).collect();
        Routing::new(&self.alerts.route, self.sinks.keys().cloned().collect(), rules).map_err(within)
    }

    /// Mistakes with their places, where they are known.
    pub(crate) fn tell(&self, faults: Vec<Fault>) -> String {
        match &self.origin {
            Some(origin) => origin.tell(faults),
            None => {
                let told = faults.iter().map(|fault| format!("`{}` {}", fault.path, fault.message));
                told.collect::<Vec<_>>().join("\n")
            }
        }
    }

    /// What is no mistake in policy and facts and yet to be looked at, given the accounts in force: a line each with its
    /// place.
    pub(crate) fn remarks(&self, accounts: &Accounts, now: Millis) -> Vec<String> {
        let policy = self.policy.remarks(accounts, now).into_iter().map(|remark| remark.within("policy"));
        let facts = self.facts.remarks(accounts).into_iter().map(|remark| remark.within("facts"));
        let remarks = policy.chain(facts);
        let tell = |remark: Fault| match &self.origin {
            Some(origin) => origin.tell(vec![remark]),
            None => remark.message,
        };
        remarks.map(tell).collect()
    }

    /// What is wrong with the values, key by key.
    fn faults(&self) -> Vec<Fault> {
        reader::gather([
            ("stream", self.stream.faults()),
            ("worker", self.worker.faults()),
            ("tables", self.tables.faults()),
            ("archive", self.archive.faults()),
            ("athena", self.athena.faults()),
            ("correlation", self.correlation.faults()),
            ("facts", self.facts.faults()),
            ("addresses", self.addresses.faults()),
            ("organizations", self.organizations.faults()),
            ("reputation", self.reputation.faults()),
            ("accounts", accounts::faults(&self.accounts)),
            ("policy", self.policy.faults()),
            ("sinks", sinks::faults(&self.sinks)),
            ("alerts", self.alerts.faults()),
            ("metrics", self.metrics.faults()),
            ("door", self.door.faults()),
            ("log", self.log.faults()),
        ])
    }

    /// Where a key was set, for people: `dial.toml: line 7`, or the variable.
    pub(crate) fn place(&self, path: &str) -> String {
        self.origin.as_ref().map_or_else(|| DEFAULT_FILE.to_owned(), |origin| origin.place(path))
    }

    /// What is no mistake but hardly meant: a worker's archive of a stream on its own disk.
    pub(crate) fn archive_remark(&self) -> Option<String> {
        self.stream.name.as_ref()?;
        let folder = match self.archive.location.as_deref() {
            Some(location) if location.starts_with("s3://") => return None,
            Some(location) => Path::new(location),
            None => &self.data.folder,
        };
        Some(format!(
            "the archive goes to the folder {} of each worker's own disk, where other workers and a machine that follows \
             do not find it: set `archive.location` to s3://BUCKET/PREFIX",
            folder.display()
        ))
    }

    /// The settings in force, as TOML. They hold no secrets: those come from the environment or AWS.
    ///
    /// # Errors
    /// When they cannot be written as TOML, which none can be that was read from it.
    pub(crate) fn to_toml(&self) -> Result<String, String> {
        toml::to_string(self).map_err(|error| error.to_string())
    }
}

/// That none of these numbers is 0.
fn positive(numbers: &[(&str, u64)]) -> Vec<Fault> {
    let zero = numbers.iter().filter(|(_, number)| *number == 0);
    zero.map(|(key, _)| Fault::new(*key, "is 0: write at least 1")).collect()
}

#[cfg(test)]
mod tests;
