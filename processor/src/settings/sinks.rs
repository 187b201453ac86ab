//! `[sinks.NAME]`: where alerts go. Each kind of sink has its own keys, all in one struct: told apart by `kind`, a mistake
//! keeps its line.

use std::collections::BTreeMap;

use dial_rules::fault::{Fault, segment};
use dial_rules::nearest::nearest;
use dial_sinks::archive::ARCHIVE;
use serde::{Deserialize, Serialize};

use super::secret_place::{SecretPlace, variable};

/// Sinks by their names.
pub(crate) type Sinks = BTreeMap<String, Sink>;

/// Longest name of a sink: it is part of keys.
const LONGEST_NAME: usize = 64;

/// `[sinks.NAME]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Sink {
    /// What it is. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<Kind>,
    /// The place of a secret: an address that posts as whoever knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) webhook: Option<String>,
    /// The place of a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    /// The place of a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    /// The place of a secret: what requests are signed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) signing_key: Option<String>,
    /// An address without secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// Of Slack: the channel's id, or its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) channel: Option<String>,
    /// Of Slack's bot, what comes later: `thread` (it replies to its message) or `update` (it replaces it).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) growth: Option<String>,
    /// Of SNS: the topic's ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) topic: Option<String>,
    /// Of SQS: the queue's URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) queue: Option<String>,
    /// Of EventBridge: the bus, by name or ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bus: Option<String>,
    /// Of Jira: the project's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) project: Option<String>,
    /// Of Jira: what kind of issue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) issue_type: Option<String>,
    /// Of Jira: who the token belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    /// Of a webhook: `POST` or `PUT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) method: Option<String>,
    /// Of a webhook: the file of the body's template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) template: Option<String>,
    /// Of a webhook: more headers. No secrets.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) headers: BTreeMap<String, String>,
    /// Of TheHive: 4 or 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<u8>,
    /// Of TheHive: which organisation, where the key is of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) organisation: Option<String>,
    /// Of TheHive: open cases instead of alerts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cases: Option<bool>,
    /// Of TheHive: the Traffic Light Protocol's level, 0 to 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tlp: Option<u8>,
    /// Of TheHive: the Permissible Actions Protocol's level, 0 to 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pap: Option<u8>,
    /// Of TheHive: tags beside DIAL's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<String>,
    /// Of Security Hub: the region of its findings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
    /// Of Security Hub: the account of its findings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<String>,
    /// Of syslog: host and port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<String>,
    /// Of syslog: whether the connection is encrypted. It is, unless this says not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<bool>,
    /// Of syslog: the file of certificates to trust besides the machine's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<String>,
    /// Of syslog: `rfc5424` or `json`; of standard output: `json` or `text`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) format: Option<String>,
}

/// What a sink is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Slack,
    Webhook,
    Thehive,
    Sns,
    Sqs,
    Eventbridge,
    Stdout,
    GoogleChat,
    Teams,
    Jira,
    Pagerduty,
    SecurityHub,
    Syslog,
}

impl Kind {
    /// As settings spell it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Slack => "slack",
            Kind::Webhook => "webhook",
            Kind::Thehive => "thehive",
            Kind::Sns => "sns",
            Kind::Sqs => "sqs",
            Kind::Eventbridge => "eventbridge",
            Kind::Stdout => "stdout",
            Kind::GoogleChat => "google_chat",
            Kind::Teams => "teams",
            Kind::Jira => "jira",
            Kind::Pagerduty => "pagerduty",
            Kind::SecurityHub => "security_hub",
            Kind::Syslog => "syslog",
        }
    }

    /// What must be there, with what to write, and what may be.
    fn keys(self) -> (&'static [(&'static str, &'static str)], &'static [&'static str]) {
        const KEY: &str = "its API key's place: `env:NAME`, `file:PATH` or `secretsmanager:NAME`";
        const HOOK: &str = "the place of its address: `env:NAME`, `file:PATH` or `secretsmanager:NAME`";
        match self {
            Kind::Slack => (&[], &["webhook", "token", "channel", "growth", "url"]),
            Kind::Webhook => (&[], &["url", "webhook", "method", "template", "headers", "signing_key", "token"]),
            Kind::Thehive => {
                (&[("url", "its address"), ("key", KEY)], &["version", "organisation", "cases", "tlp", "pap", "tags"])
            }
            Kind::Sns => (&[("topic", "the topic's ARN")], &["url"]),
            Kind::Sqs => (&[("queue", "the queue's URL")], &[]),
            Kind::Eventbridge => (&[("bus", "the bus's name or ARN")], &["url"]),
            Kind::Stdout => (&[], &["format"]),
            Kind::GoogleChat | Kind::Teams => (&[("webhook", HOOK)], &[]),
            Kind::Jira => (
                &[
                    ("url", "its address, such as https://acme.atlassian.net"),
                    ("token", KEY),
                    ("project", "the project's key, such as SEC"),
                ],
                &["user", "issue_type"],
            ),
            Kind::Pagerduty => (
                &[("key", "the place of the integration's key: `env:NAME`, `file:PATH` or `secretsmanager:NAME`")],
                &["url"],
            ),
            Kind::SecurityHub => (&[("account", "whose findings they are: 12 digits")], &["region", "url"]),
            Kind::Syslog => (&[("address", "HOST:PORT")], &["tls", "ca", "format"]),
        }
    }
}

/// What is wrong with sinks, whatever lies at the places they name.
pub(super) fn faults(sinks: &Sinks) -> Vec<Fault> {
    let of_one = |(name, sink): (&String, &Sink)| {
        let mut faults = sink.faults();
        let fine = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(fine) {
            let message = format!("is no name of a sink: write letters, digits, `-` and `_`, at most {LONGEST_NAME}");
            faults.push(Fault::new("", message));
        }
        if name == ARCHIVE {
            let message = "is what DIAL calls its archive, which every finding goes to already: choose another name";
            faults.push(Fault::new("", message));
        }
        let name = segment(name);
        faults.into_iter().map(move |fault| fault.within(&name)).collect::<Vec<_>>()
    };
    sinks.iter().flat_map(of_one).collect()
}

impl Sink {
    /// Whether it is in AWS, or its secrets are.
    pub(crate) fn needs_aws(&self) -> bool {
        matches!(self.kind, Some(Kind::Sns | Kind::Sqs | Kind::Eventbridge | Kind::SecurityHub))
            || self.places().any(|(_, place)| place.starts_with("secretsmanager:"))
    }

    /// The places of its secrets, by key.
    fn places(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let places = [
            ("webhook", &self.webhook),
            ("token", &self.token),
            ("key", &self.key),
            ("signing_key", &self.signing_key),
        ];
        places.into_iter().filter_map(|(key, place)| Some((key, place.as_ref()?)))
    }

    /// Secrets whose environment variable is not set, or is empty.
    pub(crate) fn unset_variables(&self) -> Vec<Fault> {
        let unset = |(key, place): (&'static str, &String)| {
            let place = SecretPlace::parse(place, key).ok().filter(|_| place.starts_with("env:"))?;
            place.read(variable).err().map(|wrong| Fault::new(key, wrong))
        };
        self.places().filter_map(unset).collect()
    }

    fn faults(&self) -> Vec<Fault> {
        let Some(kind) = self.kind else {
            return vec![Fault::new("kind", "is missing: write what it is, such as \"slack\", \"sns\" or \"webhook\"")];
        };
        let (required, optional) = kind.keys();
        let given = self.given();
        let mut faults = Vec::new();
        for (key, what) in required.iter().filter(|(key, _)| !given.iter().any(|given| given == key)) {
            faults.push(Fault::new(*key, format!("is missing: write {what}")));
        }
        let known = || ["kind"].into_iter().chain(required.iter().map(|(key, _)| *key)).chain(optional.iter().copied());
        for key in given.iter().filter(|key| !known().any(|known| known == key.as_str())) {
            let meant = nearest(key, known()).map(|meant| format!("did you mean `{meant}`? ")).unwrap_or_default();
            let names = known().collect::<Vec<_>>().join("`, `");
            faults.push(Fault::new(key, format!("is no key of kind {:?}: {meant}it has `{names}`", kind.as_str())));
        }
        faults.extend(self.empty());
        faults
    }

    /// Texts that are there and say nothing.
    fn empty(&self) -> Vec<Fault> {
        let table = toml::Table::try_from(self).unwrap_or_default();
        let empty = table.iter().filter(|(_, value)| value.as_str().is_some_and(|text| text.trim().is_empty()));
        empty.map(|(key, _)| Fault::new(key, "is empty: write something, or leave it out")).collect()
    }

    /// The keys that are set.
    fn given(&self) -> Vec<String> {
        toml::Table::try_from(self).map(|table| table.keys().cloned().collect()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        let sinks: Sinks = toml::from_str(text).unwrap();
        let faults = faults(&sinks);
        faults.iter().map(|fault| format!("{} {}", fault.path, fault.message)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_sink_says_what_it_lacks_and_what_it_has_too_much() {
        assert_eq!(told("[soc]\nkind = \"sns\"\ntopic = \"arn:aws:sns:eu-west-1:111122223333:soc\""), "");
        assert!(told("[soc]\ntopic = \"x\"").starts_with("soc.kind is missing"));
        assert!(told("[soc]\nkind = \"sns\"").starts_with("soc.topic is missing: write the topic's ARN"));
        let wrong = told("[soc]\nkind = \"sns\"\ntopic = \"x\"\ntoken = \"env:A\"");
        assert!(wrong.starts_with("soc.token is no key of kind \"sns\"") && wrong.contains("`topic`"), "{wrong}");
        assert!(told("[soc]\nkind = \"sqs\"\nqueue = \" \"").starts_with("soc.queue is empty"));
        assert!(told("[\"a b\"]\nkind = \"stdout\"").starts_with("\"a b\" is no name of a sink"));
        assert!(told("[archive]\nkind = \"stdout\"").starts_with("archive is what DIAL calls its archive"));
    }
}
