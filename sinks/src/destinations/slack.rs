//! Slack: a webhook, or a bot that can change what it said.

mod answer;
mod blocks;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use reqwest::Url;
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use self::blocks::payload;

use self::answer::{Reply, Said};
use super::Address;
use crate::http::{Answer, Clients, with_json};
use crate::message::Message;
use crate::secret::Secret;
use crate::sink::{Growth, Handle, SendError, Sink};

/// Where Slack's Web API is.
pub const API: &str = "https://slack.com/api/";

/// How alerts come to Slack.
#[derive(Debug, Clone)]
pub struct SlackOptions {
    /// The way in.
    pub way: SlackWay,
    /// An answer that is not there by then is given up.
    pub patience: Duration,
}

/// A way into Slack.
#[derive(Debug, Clone)]
pub enum SlackWay {
    /// An incoming webhook, whose address is a secret. What it said cannot be changed.
    Webhook {
        /// `https://hooks.slack.com/services/…`
        url: Address,
    },
    /// A bot with the scope `chat:write`, which is a member of the channel.
    Bot {
        /// Its token: `xoxb-…`.
        token: Arc<dyn Secret>,
        /// The channel's id, such as `C0123456789`, or its name.
        channel: String,
        /// [`API`]; another one in tests.
        api: Url,
        /// What it does with what comes later.
        growth: SlackGrowth,
    },
}

/// What a bot does with what comes after the first message of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlackGrowth {
    /// It replaces its message (`chat.update`): one message an alert, which says the latest. Nobody is notified again, and
    /// what the message said before is seen no longer.
    Update,
    /// It replies to its message, so that all that was said stays.
    Thread,
}

/// Sends alerts to one channel of Slack.
#[derive(Debug)]
pub struct Slack {
    way: SlackWay,
    clients: Clients,
}

impl Slack {
    /// A sink for one channel.
    ///
    /// # Errors
    /// When the machine has no certificates to trust.
    pub fn new(options: SlackOptions) -> Result<Slack, String> {
        Ok(Slack { way: options.way, clients: Clients::new(options.patience)? })
    }
}

#[async_trait]
impl Sink for Slack {
    fn kind(&self) -> &'static str {
        "slack"
    }

    fn growth(&self) -> Growth {
        match &self.way {
            SlackWay::Webhook { .. } => Growth::Digests,
            SlackWay::Bot { .. } => Growth::Updates,
        }
    }

    async fn send(&self, message: &Message, sent: Option<&Handle>) -> Result<Option<Handle>, SendError> {
        match &self.way {
            SlackWay::Webhook { url } => self.hook(url, message).await,
            SlackWay::Bot { token, channel, api, growth } => {
                let bot = Bot { clients: &self.clients, token, channel, api };
                bot.say(message, sent.and_then(Place::of), *growth).await.map(Some)
            }
        }
    }
}

impl Slack {
    async fn hook(&self, address: &Address, message: &Message) -> Result<Option<Handle>, SendError> {
        let url = address.get().await?;
        let request = with_json(self.clients.of(&url).post(url), &payload(message));
        let answer = Answer::to(request).await?;
        answer::of_hook(&answer, Utc::now()).inspect_err(|error| {
            if matches!(error, SendError::Refused(_)) {
                address.refused();
            }
        })?;
        Ok(None)
    }
}

/// Where a message of a bot is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    channel: String,
    ts: String,
}

impl Place {
    fn of(handle: &Handle) -> Option<Place> {
        let (channel, ts) = handle.0.split_once('/')?;
        Some(Place { channel: channel.to_owned(), ts: ts.to_owned() })
    }

    fn handle(&self) -> Handle {
        Handle(format!("{}/{}", self.channel, self.ts))
    }
}

/// One attempt of a bot.
struct Bot<'a> {
    clients: &'a Clients,
    token: &'a Arc<dyn Secret>,
    channel: &'a str,
    api: &'a Url,
}

impl Bot<'_> {
    async fn say(&self, message: &Message, sent: Option<Place>, growth: SlackGrowth) -> Result<Handle, SendError> {
        let Some(place) = sent else {
            return self.post(message, None).await;
        };
        if growth == SlackGrowth::Thread {
            self.post(message, Some(&place)).await?;
            return Ok(place.handle());
        }
        let mut body = payload(message);
        body["channel"] = place.channel.clone().into();
        body["ts"] = place.ts.clone().into();
        match self.call("chat.update", &body).await? {
            Said::Done(_) => Ok(place.handle()),
            // It was deleted, or is too old to be changed: what is new is said all the same.
            Said::Gone | Said::Repeated => self.post(message, None).await,
        }
    }

    async fn post(&self, message: &Message, below: Option<&Place>) -> Result<Handle, SendError> {
        let mut body = payload(message);
        body["channel"] = below.map_or(self.channel, |place| &place.channel).into();
        if let Some(place) = below {
            body["thread_ts"] = place.ts.clone().into();
        }
        let mut named = body.clone();
        named["client_msg_id"] = message_id(&message.key).into();
        let said = match self.call("chat.postMessage", &named).await? {
            // Slack knows the id, and no message that has it. Saying it twice is better than not at all.
            Said::Repeated => self.call("chat.postMessage", &body).await?,
            said => said,
        };
        match said {
            Said::Done(place) => {
                place.map(|place| place.handle()).ok_or_else(|| SendError::Nonsense("no ts".to_owned()))
            }
            Said::Gone | Said::Repeated => {
                Err(SendError::Nonsense("a message that was never there is gone".to_owned()))
            }
        }
    }

    async fn call(&self, method: &str, body: &Value) -> Result<Said, SendError> {
        let url = self.api.join(method).map_err(|error| SendError::Refused(format!("the API's address: {error}")))?;
        let token = self.token.get().await.map_err(SendError::Unavailable)?;
        let request = with_json(self.clients.of(&url).post(url).bearer_auth(token.trim()), body);
        let answer = Answer::to(request).await?;
        Reply::of(&answer, Utc::now()).and_then(|reply| reply.said(&answer, Utc::now())).inspect_err(|error| {
            if matches!(error, SendError::Refused(_)) {
                self.token.refused();
            }
        })
    }
}

/// The key as Slack wants a `client_msg_id`: a UUID (version 8, RFC 9562, § 5.8), of which it takes one message only.
fn message_id(key: &str) -> String {
    let mut bytes: [u8; 16] = [0; 16];
    for (byte, hashed) in bytes.iter_mut().zip(Sha256::digest(key)) {
        *byte = hashed;
    }
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_uuid() {
        let id = message_id("k");
        assert_eq!(id, message_id("k"));
        assert_ne!(id, message_id("l"));
        assert_eq!((id.len(), &id[14..15], id.matches('-').count()), (36, "8", 4));
        assert!(id.chars().all(|c| c == '-' || c.is_ascii_hexdigit()));
    }

    #[test]
    fn a_place_is_its_handle() {
        let place = Place { channel: "C1".to_owned(), ts: "1405894322.002768".to_owned() };
        assert_eq!(Place::of(&place.handle()), Some(place));
        assert_eq!(Place::of(&Handle("odd".to_owned())), None);
    }
}
