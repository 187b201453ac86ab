//! `[sinks.NAME]` → the sinks themselves.

mod http;
mod siem;
mod tickets;

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_config::{BehaviorVersion, SdkConfig};
use dial_rules::fault::{Fault, segment};
use dial_sinks::destinations::eventbridge::EventBridgeSink;
use dial_sinks::destinations::sns::SnsSink;
use dial_sinks::destinations::sqs::SqsSink;
use dial_sinks::destinations::stdout::{LineFormat, StdoutSink};
use dial_sinks::secret::{self, Secret, SecretPlace};
use dial_sinks::sink::Sink;

use crate::aws;
use crate::failure::{Failure, Result};
use crate::settings::{self, Settings, SinkKind, variable};

/// The sinks of the settings, by name. Nobody is asked yet: a destination that is away now may be back later.
///
/// # Errors
/// Every mistake that the settings' own checks do not see, each with its place.
pub(crate) async fn open(settings: &Settings) -> Result<BTreeMap<String, Arc<dyn Sink>>> {
    let (sinks, faults) = make_all(settings).await;
    if faults.is_empty() { Ok(sinks) } else { Err(Failure::Usage(settings.tell(faults))) }
}

/// That sinks could be opened, and that the environment variables with their secrets are set. Files may be there only where
/// workers run, and AWS is not asked.
///
/// # Errors
/// As [`open`], and every variable that is not set.
pub(crate) async fn check(settings: &Settings) -> Result<()> {
    let (_, mut faults) = make_all(settings).await;
    for (name, of) in &settings.sinks {
        let within = format!("sinks.{}", segment(name));
        faults.extend(of.unset_variables().into_iter().map(|fault| fault.within(&within)));
    }
    if faults.is_empty() { Ok(()) } else { Err(Failure::Usage(settings.tell(faults))) }
}

/// The sinks that can be made, and what is wrong with the others.
async fn make_all(settings: &Settings) -> (BTreeMap<String, Arc<dyn Sink>>, Vec<Fault>) {
    let maker = Maker::over(settings.sinks.values()).await;
    let (mut sinks, mut faults) = (BTreeMap::new(), Vec::new());
    for (name, of) in &settings.sinks {
        match maker.make(of) {
            Ok(sink) => drop(sinks.insert(name.clone(), sink)),
            Err(fault) => faults.push(fault.within(&format!("sinks.{}", segment(name)))),
        }
    }
    (sinks, faults)
}

/// One of them; there must be one of that name.
///
/// # Errors
/// As [`open`], of this one.
pub(crate) async fn open_one(settings: &Settings, name: &str) -> Result<Arc<dyn Sink>> {
    let maker = Maker::over(settings.sinks.get(name)).await;
    let made = settings.sinks.get(name).map(|of| maker.make(of));
    let made = made.unwrap_or_else(|| Err(Fault::new("", "is missing")));
    made.map_err(|fault| Failure::Usage(settings.tell(vec![fault.within(&format!("sinks.{}", segment(name)))])))
}

/// A sink, or the key that keeps it from being one.
type Made = std::result::Result<Arc<dyn Sink>, Fault>;

/// Makes sinks.
struct Maker {
    config: SdkConfig,
}

impl Maker {
    /// AWS is looked for only where one of these sinks needs it: on a laptop that takes seconds.
    async fn over(sinks: impl IntoIterator<Item = &settings::Sink>) -> Maker {
        let config = match sinks.into_iter().any(settings::Sink::needs_aws) {
            true => aws::config().await,
            false => SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build(),
        };
        Maker { config }
    }

    fn make(&self, of: &settings::Sink) -> Made {
        let Some(kind) = of.kind else { return Err(Fault::new("kind", "is missing")) };
        Ok(match kind {
            SinkKind::Slack => self.slack(of)?,
            SinkKind::Webhook => self.webhook(of)?,
            SinkKind::Thehive => self.thehive(of)?,
            SinkKind::Sns => {
                let topic = required(&of.topic, "topic")?;
                let client = aws_sdk_sns::Client::new(&self.config);
                Arc::new(SnsSink::new(&client, topic).map_err(|wrong| Fault::new("topic", wrong))?)
            }
            SinkKind::Sqs => {
                let queue = required(&of.queue, "queue")?;
                let client = aws_sdk_sqs::Client::new(&self.config);
                Arc::new(SqsSink::new(&client, queue).map_err(|wrong| Fault::new("queue", wrong))?)
            }
            SinkKind::Eventbridge => {
                let bus = required(&of.bus, "bus")?;
                let client = aws_sdk_eventbridge::Client::new(&self.config);
                Arc::new(EventBridgeSink::new(&client, bus).map_err(|wrong| Fault::new("bus", wrong))?)
            }
            SinkKind::Stdout => Arc::new(StdoutSink::new(match of.format.as_deref() {
                None | Some("text") => LineFormat::Human,
                Some("json") => LineFormat::Json,
                Some(other) => return Err(Fault::new("format", format!("is {other:?}: write \"text\" or \"json\""))),
            })),
            SinkKind::Pagerduty => self.pagerduty(of)?,
            SinkKind::Teams => self.teams(of)?,
            SinkKind::GoogleChat => self.google_chat(of)?,
            SinkKind::Jira => self.jira(of)?,
            SinkKind::Syslog => self.syslog(of)?,
            SinkKind::SecurityHub => self.security_hub(of)?,
        })
    }

    /// As [`Maker::secret`], of one that must be there.
    fn required_secret(&self, place: &Option<String>, key: &str) -> std::result::Result<Arc<dyn Secret>, Fault> {
        required(place, key)?;
        self.secret(place.as_ref(), key)?.ok_or_else(|| Fault::new(key, "is missing"))
    }

    /// The secret that lies at the place under `key`.
    fn secret(&self, place: Option<&String>, key: &str) -> std::result::Result<Option<Arc<dyn Secret>>, Fault> {
        let Some(place) = place else { return Ok(None) };
        let place = SecretPlace::parse(place, key).map_err(|wrong| Fault::new(key, wrong))?;
        Ok(Some(secret::open(place, &aws_sdk_secretsmanager::Client::new(&self.config), variable)))
    }
}

fn required<'s>(value: &'s Option<String>, key: &str) -> std::result::Result<&'s str, Fault> {
    value.as_deref().ok_or_else(|| Fault::new(key, "is missing"))
}

#[cfg(test)]
mod tests {
    use aws_config::Region;
    use aws_sdk_sns::config::{Credentials, SharedCredentialsProvider};

    use super::*;

    fn make(text: &str) -> Made {
        let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "none", None, None, "tests");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        Maker { config }.make(&toml::from_str(text).unwrap())
    }

    #[test]
    fn each_kind_of_the_settings_is_made() {
        for text in [
            "kind = 'pagerduty'\nkey = 'env:PD'",
            "kind = 'pagerduty'\nkey = 'env:PD'\nurl = 'https://events.eu.pagerduty.com/v2/enqueue'",
            "kind = 'teams'\nwebhook = 'env:TEAMS'",
            "kind = 'google_chat'\nwebhook = 'env:CHAT'",
            "kind = 'jira'\nurl = 'https://acme.atlassian.net'\ntoken = 'env:JIRA'\nproject = 'SEC'\nuser = 'a@example.com'",
            "kind = 'syslog'\naddress = 'siem.example.com:514'\ntls = false\nformat = 'json'",
            "kind = 'security_hub'\naccount = '111122223333'",
        ] {
            let sink = make(text).unwrap();
            assert!(text.starts_with(&format!("kind = '{}'", sink.kind())), "{text}: {sink:?}");
        }
    }

    #[test]
    fn a_mistake_has_its_key() {
        for (text, key, word) in [
            ("kind = 'pagerduty'\nkey = 'env:PD'\nurl = 'http://example.com/'", "url", "https"),
            ("kind = 'teams'", "webhook", "missing"),
            ("kind = 'jira'\nurl = 'https://a.example'\ntoken = 'env:J'\nproject = 'a b'", "project", "SEC"),
            ("kind = 'syslog'\naddress = 'siem'\ntls = false", "address", "HOST:PORT"),
            ("kind = 'syslog'\naddress = 'a.example:1'\nca = 'x'\ntls = false", "ca", "keep one"),
            ("kind = 'syslog'\naddress = 'a.example:1'\nca = 'no-such-file.pem'", "ca", "cannot be read"),
            ("kind = 'syslog'\naddress = 'a.example:1'\nformat = 'cef'", "format", "rfc5424"),
            ("kind = 'security_hub'\naccount = '1'", "account", "12 digits"),
        ] {
            let fault = make(text).unwrap_err();
            assert!(fault.path == key && fault.message.contains(word), "{text}: {} {}", fault.path, fault.message);
        }
    }
}
