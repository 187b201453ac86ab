//! Google Chat: a space, through a webhook, as a card
//! (<https://developers.google.com/workspace/chat/quickstart/webhooks>).
//!
//! The alert's thread is the `threadKey`, so that what comes later replies to what came first, and the key is the
//! `requestId`, so that an attempt whose answer was lost is not said twice.

mod card;

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;

pub use self::card::payload;

use super::Address;
use super::reference::reference;
use crate::http::{Answer, Clients, with_json};
use crate::message::Message;
use crate::sink::{Growth, Handle, SendError, Sink};

/// Longest `requestId`.
const MOST_REQUEST_ID: usize = 128;

/// How alerts come to Google Chat.
#[derive(Debug, Clone)]
pub struct GoogleChatOptions {
    /// The webhook's address with `key` and `token` in it, which is a secret.
    pub url: Address,
    /// An answer that is not there by then is given up.
    pub patience: Duration,
}

/// Posts alerts to one space of Google Chat.
#[derive(Debug)]
pub struct GoogleChat {
    url: Address,
    clients: Clients,
}

impl GoogleChat {
    /// A sink for one space.
    ///
    /// # Errors
    /// When the machine has no certificates to trust.
    pub fn new(options: GoogleChatOptions) -> Result<GoogleChat, String> {
        Ok(GoogleChat { url: options.url, clients: Clients::new(options.patience)? })
    }
}

#[async_trait]
impl Sink for GoogleChat {
    fn kind(&self) -> &'static str {
        "google_chat"
    }

    fn growth(&self) -> Growth {
        Growth::Updates
    }

    async fn send(&self, message: &Message, _: Option<&Handle>) -> Result<Option<Handle>, SendError> {
        let mut url = self.url.get().await?;
        url.query_pairs_mut()
            // A space without threads takes it too.
            .append_pair("messageReplyOption", "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD")
            .append_pair("requestId", &reference(&message.key, MOST_REQUEST_ID));
        let answer = Answer::to(with_json(self.clients.of(&url).post(url), &payload(message))).await?;
        outcome(&answer, Utc::now()).map(Some).inspect_err(|error| {
            if matches!(error, SendError::Refused(_)) {
                self.url.refused();
            }
        })
    }
}

/// What an answer means: `{"name": "spaces/AAAA/messages/BBBB", …}`, or
/// `{"error": {"status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}}`.
fn outcome(answer: &Answer, now: DateTime<Utc>) -> Result<Handle, SendError> {
    let body: Option<Value> = serde_json::from_slice(answer.said()).ok();
    let error = body.as_ref().map(|body| &body["error"]);
    let reasons = error.and_then(|error| error["details"].as_array()).into_iter().flatten();
    let mut words =
        reasons.filter_map(|detail| word(&detail["reason"])).chain(error.and_then(|error| word(&error["status"])));
    let said = words.next();
    match answer.refusal(said, now) {
        Some(SendError::Rejected(why)) if said.is_some_and(|said| said.starts_with("API_KEY")) => {
            return Err(SendError::Refused(why));
        }
        Some(refusal) => return Err(refusal),
        None => answer.whole()?,
    };
    let name = body.as_ref().and_then(|body| body["name"].as_str()).filter(|name| name.starts_with("spaces/"));
    let name = name.filter(|name| name.len() <= 512 && name.bytes().all(|b| b.is_ascii_graphic()));
    name.map(|name| Handle(name.to_owned())).ok_or_else(|| SendError::Nonsense("it names no message".to_owned()))
}

/// One of Google's words: nothing else of what came back goes into an error.
fn word(value: &Value) -> Option<&str> {
    let is_word = |text: &&str| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    value.as_str().filter(is_word)
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    use super::*;

    #[test]
    fn an_answer_means_what_to_do() {
        let said = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            outcome(&Answer { status, headers: HeaderMap::new(), body: Ok(body.as_bytes().to_vec()) }, Utc::now())
        };
        assert_eq!(said(200, r#"{"name":"spaces/A/messages/B"}"#), Ok(Handle("spaces/A/messages/B".to_owned())));
        assert!(matches!(said(200, r#"{"name":"elsewhere"}"#), Err(SendError::Nonsense(_))));
        let invalid = r#"{"error":{"code":400,"message":"hush","status":"INVALID_ARGUMENT"}}"#;
        assert!(
            matches!(said(400, invalid), Err(SendError::Rejected(why)) if why.contains("INVALID_ARGUMENT") && !why.contains("hush"))
        );
        let key = r#"{"error":{"status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#;
        assert!(matches!(said(400, key), Err(SendError::Refused(why)) if why.contains("API_KEY_INVALID")));
        assert!(matches!(said(404, r#"{"error":{"status":"NOT_FOUND"}}"#), Err(SendError::Refused(_))));
        let limited = r#"{"error":{"status":"RESOURCE_EXHAUSTED"}}"#;
        assert_eq!(said(429, limited), Err(SendError::Limited { retry_after: None }));
    }
}
