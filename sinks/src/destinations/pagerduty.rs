//! PagerDuty: an alert of a service, through the Events API v2
//! (<https://developer.pagerduty.com/docs/events-api-v2/trigger-events/>).
//!
//! The alert's thread is the `dedup_key`: what comes later, and an attempt whose answer was lost, is joined to the alert that
//! is open.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use dial_rules::event::rfc3339;
use dial_rules::severity::Severity;
use reqwest::{Client, Url};
use serde_json::{Map, Value, json};

use super::outline::{Bounds, Outline, fitting};
use super::reference::reference;
use crate::http::{Answer, client, with_json};
use crate::message::Message;
use crate::secret::Secret;
use crate::sink::{Growth, Handle, SendError, Sink};
use crate::telling::Telling;
use crate::text::{Medium, inert};

/// Where events are sent; accounts in the EU have `https://events.eu.pagerduty.com/v2/enqueue`.
pub const ENQUEUE: &str = "https://events.pagerduty.com/v2/enqueue";

/// Longest `dedup_key`.
const MOST_KEY: usize = 255;
/// Longest `summary`.
const MOST_SUMMARY: usize = 1_024;
/// Longest of the other texts.
const MOST_TEXT: usize = 200;
/// Most bytes of an event, well within the 512 KB that PagerDuty takes.
const MOST_BYTES: usize = 200_000;

/// How alerts come to PagerDuty.
#[derive(Debug, Clone)]
pub struct PagerDutyOptions {
    /// [`ENQUEUE`], or another one.
    pub url: Url,
    /// The integration key: 32 letters and digits.
    pub key: Arc<dyn Secret>,
    /// An answer that is not there by then is given up.
    pub patience: Duration,
}

/// Sends alerts to one service of PagerDuty.
#[derive(Debug)]
pub struct PagerDuty {
    options: PagerDutyOptions,
    client: Client,
}

impl PagerDuty {
    /// A sink for one service.
    ///
    /// # Errors
    /// When the machine has no certificates to trust.
    pub fn new(options: PagerDutyOptions) -> Result<PagerDuty, String> {
        let client = client(options.patience, &options.url)?;
        Ok(PagerDuty { options, client })
    }
}

#[async_trait]
impl Sink for PagerDuty {
    fn kind(&self) -> &'static str {
        "pagerduty"
    }

    fn growth(&self) -> Growth {
        Growth::Updates
    }

    async fn send(&self, message: &Message, _: Option<&Handle>) -> Result<Option<Handle>, SendError> {
        let PagerDutyOptions { url, key, .. } = &self.options;
        let secret = key.get().await.map_err(SendError::Unavailable)?;
        let mut event = event(message);
        event["routing_key"] = secret.trim().into();
        let answer = Answer::to(with_json(self.client.post(url.clone()), &event)).await?;
        outcome(&answer, Utc::now()).inspect_err(|error| {
            if matches!(error, SendError::Refused(_)) {
                key.refused();
            }
        })?;
        Ok(None)
    }
}

/// The event, but for its `routing_key`.
pub fn event(message: &Message) -> Value {
    fitting(MOST_BYTES, |bounds| of(message, bounds))
}

fn of(message: &Message, bounds: Bounds) -> Value {
    let outline = Outline::of(message, Medium::Linking, bounds);
    let subject = &message.lead.finding.subject;
    let text = |text: &str| Some(inert(text, Medium::Linking, MOST_TEXT)).filter(|text| !text.is_empty());
    let mut payload = json!({
        "summary": inert(&Telling::of(message).headline, Medium::Linking, MOST_SUMMARY),
        // What it happened to: required.
        "source": subject.account_id.as_deref().and_then(text).unwrap_or_else(|| "dial".to_owned()),
        "severity": severity(message.severity),
        "timestamp": rfc3339(message.lead.finding.first_seen),
        "custom_details": details(&outline),
    });
    let service = message.lead.finding.evidence.first().map(|evidence| evidence.event_source.as_str());
    let service = service.map(|service| service.strip_suffix(".amazonaws.com").unwrap_or(service));
    let rule = Some(message.lead.finding.rule_id.as_str());
    for (name, value) in [("component", service), ("group", subject.region.as_deref()), ("class", rule)] {
        if let Some(value) = value.and_then(text) {
            payload[name] = value.into();
        }
    }
    let links: Vec<Value> =
        outline.links.iter().map(|link| json!({"href": link.address, "text": link.label})).collect();
    json!({
        "event_action": "trigger",
        "dedup_key": reference(&message.thread, MOST_KEY),
        "client": "DIAL",
        "payload": payload,
        "links": links,
    })
}

/// What is known, by names of ours.
fn details(outline: &Outline) -> Map<String, Value> {
    let mut details = Map::new();
    let mut say = |name: &str, value: Value| drop(details.insert(name.to_owned(), value));
    for fact in outline.facts.iter().chain(&outline.codes) {
        say(fact.name, fact.text.as_str().into());
    }
    if let Some(count) = &outline.count {
        say("Findings", count.as_str().into());
    }
    for list in &outline.lists {
        say(list.title, list.lines.iter().chain(&list.more).cloned().collect());
    }
    for (title, text) in &outline.advice {
        say(title, text.as_str().into());
    }
    details
}

/// PagerDuty's word.
fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Informational => "info",
    }
}

/// What an answer means: `{"status": "success", …}` with 202, or `{"status": "invalid event", "errors": […]}` with 400.
fn outcome(answer: &Answer, now: DateTime<Utc>) -> Result<(), SendError> {
    let body: Option<Value> = serde_json::from_slice(answer.said()).ok();
    let status = body.as_ref().and_then(|body| body["status"].as_str());
    // The errors may repeat what they are about, the key too, and are told in words of ours.
    let errors = body.as_ref().map(|body| body["errors"].to_string()).unwrap_or_default();
    let is_key = answer.status.as_u16() == 400 && status == Some("invalid event") && errors.contains("routing_key");
    if is_key {
        return Err(SendError::Refused("HTTP 400: it knows no such integration key".to_owned()));
    }
    let said = (status == Some("invalid event")).then_some("invalid event");
    if let Some(refusal) = answer.refusal(said, now) {
        return Err(refusal);
    }
    answer.whole()?;
    match status {
        Some("success") => Ok(()),
        _ => Err(SendError::Nonsense("it does not say that it took the event".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    use super::*;

    fn said(status: u16, body: &str) -> Result<(), SendError> {
        let status = StatusCode::from_u16(status).unwrap();
        outcome(&Answer { status, headers: HeaderMap::new(), body: Ok(body.as_bytes().to_vec()) }, Utc::now())
    }

    #[test]
    fn an_answer_means_what_to_do() {
        assert_eq!(said(202, r#"{"status":"success","message":"Event processed","dedup_key":"k"}"#), Ok(()));
        assert!(matches!(said(202, "{}"), Err(SendError::Nonsense(_))));
        assert_eq!(said(429, ""), Err(SendError::Limited { retry_after: None }));
        let wrong = |error: &str| said(400, &format!(r#"{{"status":"invalid event","errors":["{error}"]}}"#));
        assert!(matches!(
            wrong("Length of 'routing_key' is incorrect (should be 32 characters)"),
            Err(SendError::Refused(_))
        ));
        assert!(matches!(wrong("'payload.summary' is missing or blank"), Err(SendError::Rejected(_))));
        assert!(matches!(said(500, "<html>"), Err(SendError::Unavailable(_))));
    }
}
