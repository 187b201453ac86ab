//! Sinks that are asked over HTTP.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use dial_rules::fault::Fault;
use dial_sinks::destinations::Address;
use dial_sinks::destinations::slack::{API, Slack, SlackGrowth, SlackOptions, SlackWay};
use dial_sinks::destinations::thehive::{TheHive, TheHiveLabels, TheHiveOptions, TheHiveVersion};
use dial_sinks::destinations::webhook::{Template, Webhook, WebhookHeader, WebhookMethod, WebhookOptions};
use dial_sinks::http::checked_url;
use dial_sinks::sink::Sink;
use reqwest::Url;

use super::{Made, Maker, required};
use crate::settings;

/// An answer that is not there by then is given up, a little before the outbox gives the attempt up.
pub(super) const PATIENCE: Duration = Duration::from_secs(9);

impl Maker {
    pub(super) fn slack(&self, of: &settings::Sink) -> Made {
        let way = match (&of.webhook, &of.token) {
            (Some(_), Some(_)) => return Err(Fault::new("webhook", "stands beside `token`: keep one of them")),
            (Some(_), None) if of.growth.is_some() => {
                let message =
                    "is of bots: what a webhook said cannot be changed or replied to; write `token` and `channel`";
                return Err(Fault::new("growth", message));
            }
            (Some(_), None) => SlackWay::Webhook { url: self.address(of, "webhook")? },
            (None, Some(_)) => SlackWay::Bot {
                token: self.required_secret(&of.token, "token")?,
                channel: required(&of.channel, "channel")?.to_owned(),
                api: url(of.url.as_deref().unwrap_or(API))?,
                growth: slack_growth(of)?,
            },
            (None, None) => {
                let message = "is missing: write the place of a bot's token, or `webhook` with the place of an address";
                return Err(Fault::new("token", message));
            }
        };
        made(Slack::new(SlackOptions { way, patience: PATIENCE }), "kind")
    }

    pub(super) fn webhook(&self, of: &settings::Sink) -> Made {
        let method = match of.method.as_deref() {
            None | Some("POST") => WebhookMethod::Post,
            Some("PUT") => WebhookMethod::Put,
            Some(other) => return Err(Fault::new("method", format!("is {other:?}: write \"POST\" or \"PUT\""))),
        };
        let mut headers: Vec<WebhookHeader> = of
            .headers
            .iter()
            .map(|(name, text)| WebhookHeader { name: name.clone(), text: text.clone(), secret: None })
            .collect();
        if let Some(token) = self.secret(of.token.as_ref(), "token")? {
            headers.push(WebhookHeader {
                name: "Authorization".to_owned(),
                text: "Bearer ".to_owned(),
                secret: Some(token),
            });
        }
        let template = of.template.as_deref().map(|file| template(file, of)).transpose()?;
        let options = WebhookOptions {
            url: self.address(of, "url")?,
            method,
            headers,
            template,
            signing: self.secret(of.signing_key.as_ref(), "signing_key")?,
            patience: PATIENCE,
        };
        made(Webhook::new(options), "headers")
    }

    pub(super) fn thehive(&self, of: &settings::Sink) -> Made {
        let version = match of.version {
            None | Some(5) => TheHiveVersion::Five,
            Some(3 | 4) => TheHiveVersion::Four,
            Some(other) => return Err(Fault::new("version", format!("is {other}: write 5 or 4"))),
        };
        let options = TheHiveOptions {
            url: url(required(&of.url, "url")?)?,
            key: self.required_secret(&of.key, "key")?,
            organisation: of.organisation.clone(),
            version,
            as_case: of.cases.unwrap_or(false),
            labels: thehive_labels(of, version)?,
            patience: PATIENCE,
        };
        made(TheHive::new(options), "url")
    }

    /// Where to: an address that anybody may know, or the place of one that lets in whoever knows it.
    pub(super) fn address(&self, of: &settings::Sink, missing: &str) -> Result<Address, Fault> {
        match (&of.url, &of.webhook) {
            (Some(_), Some(_)) => Err(Fault::new("webhook", "stands beside `url`: keep one of them")),
            (Some(known), None) => Ok(Address::Known(url(known)?)),
            (None, place) => match self.secret(place.as_ref(), "webhook")? {
                Some(secret) => Ok(Address::Secret(secret)),
                None => Err(Fault::new(missing, "is missing: write the address, or its place in `webhook`")),
            },
        }
    }
}

fn slack_growth(of: &settings::Sink) -> Result<SlackGrowth, Fault> {
    match of.growth.as_deref() {
        None | Some("thread") => Ok(SlackGrowth::Thread),
        Some("update") => Ok(SlackGrowth::Update),
        Some(other) => Err(Fault::new("growth", format!("is {other:?}: write \"thread\" or \"update\""))),
    }
}

fn thehive_labels(of: &settings::Sink, version: TheHiveVersion) -> Result<TheHiveLabels, Fault> {
    // Version 4 has no amber+strict: its red is 3.
    let most_tlp = if version == TheHiveVersion::Five { 4 } else { 3 };
    let usual = TheHiveLabels::default();
    Ok(TheHiveLabels {
        tlp: level("tlp", of.tlp, most_tlp)?.unwrap_or(usual.tlp),
        pap: level("pap", of.pap, 3)?.unwrap_or(usual.pap),
        tags: of.tags.clone(),
    })
}

fn level(key: &str, given: Option<u8>, most: u8) -> Result<Option<u8>, Fault> {
    match given.filter(|level| *level > most) {
        Some(level) => Err(Fault::new(key, format!("is {level}: write a level from 0 to {most}"))),
        None => Ok(given),
    }
}

pub(super) fn url(text: &str) -> Result<Url, Fault> {
    checked_url(text).map_err(|wrong| Fault::new("url", wrong))
}

/// A sink that could be made.
pub(super) fn made<S: Sink + 'static>(sink: Result<S, String>, key: &str) -> Made {
    sink.map(|sink| Arc::new(sink) as Arc<dyn Sink>).map_err(|wrong| Fault::new(key, wrong))
}

fn template(file: &str, of: &settings::Sink) -> Result<Template, Fault> {
    let wrong = |error: String| Fault::new("template", error);
    let source =
        fs::read_to_string(file).map_err(|error| wrong(format!("names {file}, which cannot be read: {error}")))?;
    let is_type = |name: &String| name.eq_ignore_ascii_case("content-type");
    let content_type = of.headers.iter().find(|(name, _)| is_type(name)).map(|(_, value)| value.as_str());
    Template::new(file, &source, content_type).map_err(|error| wrong(format!("is no template: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bot_replies_unless_it_is_told_to_replace() {
        let told = |growth: Option<&str>| {
            slack_growth(&settings::Sink { growth: growth.map(str::to_owned), ..settings::Sink::default() })
        };
        assert_eq!(told(None).ok(), Some(SlackGrowth::Thread));
        assert_eq!(told(Some("thread")).ok(), Some(SlackGrowth::Thread));
        assert_eq!(told(Some("update")).ok(), Some(SlackGrowth::Update));
        assert!(told(Some("replace")).is_err());
    }
}
