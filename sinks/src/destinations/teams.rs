//! Microsoft Teams: a channel, through a webhook of its Workflows app or a connector's, as an Adaptive Card
//! (<https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>).

mod card;

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

pub use self::card::payload;

use super::Address;
use crate::http::{Answer, Clients, with_json};
use crate::message::Message;
use crate::sink::{Growth, Handle, SendError, Sink};

/// How alerts come to Teams.
#[derive(Debug, Clone)]
pub struct TeamsOptions {
    /// The webhook's address, which is a secret.
    pub url: Address,
    /// An answer that is not there by then is given up.
    pub patience: Duration,
}

/// Posts alerts to one channel of Teams. What it said cannot be changed.
#[derive(Debug)]
pub struct Teams {
    url: Address,
    clients: Clients,
}

impl Teams {
    /// A sink for one channel.
    ///
    /// # Errors
    /// When the machine has no certificates to trust.
    pub fn new(options: TeamsOptions) -> Result<Teams, String> {
        Ok(Teams { url: options.url, clients: Clients::new(options.patience)? })
    }
}

#[async_trait]
impl Sink for Teams {
    fn kind(&self) -> &'static str {
        "teams"
    }

    fn growth(&self) -> Growth {
        Growth::Digests
    }

    async fn send(&self, message: &Message, _: Option<&Handle>) -> Result<Option<Handle>, SendError> {
        let url = self.url.get().await?;
        let answer = Answer::to(with_json(self.clients.of(&url).post(url), &payload(message))).await?;
        outcome(&answer, Utc::now()).inspect_err(|error| {
            if matches!(error, SendError::Refused(_)) {
                self.url.refused();
            }
        })?;
        Ok(None)
    }
}

/// What an answer means. A workflow says 202; a connector says 200 and `1`, also with 200 that it failed, and the status of
/// what failed behind it in a sentence.
fn outcome(answer: &Answer, now: DateTime<Utc>) -> Result<(), SendError> {
    if let Some(refusal) = answer.refusal(None, now) {
        return Err(refusal);
    }
    if answer.status.as_u16() == 202 {
        return Ok(());
    }
    let said = std::str::from_utf8(answer.whole()?).unwrap_or_default().trim();
    if said == "1" {
        return Ok(());
    }
    Err(match status_behind(said) {
        Some(429) => SendError::Limited { retry_after: None },
        Some(status @ 500..) => SendError::Unavailable(format!("Teams answers the webhook with HTTP {status}")),
        Some(status @ (401 | 403 | 404 | 410)) => {
            SendError::Refused(format!("Teams answers the webhook with HTTP {status}"))
        }
        Some(status) => SendError::Rejected(format!("Teams answers the webhook with HTTP {status}")),
        None => SendError::Nonsense("neither 202 nor `1`, which webhooks of Teams say".to_owned()),
    })
}

/// `429` of `… Microsoft Teams endpoint returned HTTP error 429 with ContextId …`.
fn status_behind(said: &str) -> Option<u16> {
    let digits = said.split_once("HTTP error ")?.1.get(..3)?;
    digits.parse().ok().filter(|status| (400..=599).contains(status))
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
        assert_eq!((said(202, ""), said(200, "1")), (Ok(()), Ok(())));
        let failed = |status: u16| {
            let text = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error";
            said(200, &format!("{text} {status} with ContextId tcid=0,server=hush"))
        };
        assert_eq!(failed(429), Err(SendError::Limited { retry_after: None }));
        assert!(matches!(failed(413), Err(SendError::Rejected(why)) if !why.contains("hush")));
        assert!(matches!(failed(404), Err(SendError::Refused(_))));
        assert!(matches!(failed(502), Err(SendError::Unavailable(_))));
        assert!(matches!(said(200, "<html>"), Err(SendError::Nonsense(_))));
        assert!(matches!(said(400, "Bad payload received by generic incoming webhook."), Err(SendError::Rejected(_))));
    }
}
