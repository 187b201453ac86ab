//! What Slack answers. Pure.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::Place;
use crate::http::{Answer, retry_after};
use crate::sink::SendError;

/// What the Web API says (<https://docs.slack.dev/apis/web-api/#responses>).
#[derive(Debug, Deserialize)]
pub(super) struct Reply {
    ok: bool,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    ts: Option<String>,
    #[serde(default)]
    channel: Option<String>,
}

/// What came of a call that was understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It is done; the message is there.
    Done(Option<Place>),
    /// The message is not there to be changed.
    Gone,
    /// The id was used before, and its message cannot be had.
    Repeated,
}

impl Reply {
    pub(super) fn of(answer: &Answer, now: DateTime<Utc>) -> Result<Reply, SendError> {
        match answer.refusal(word(answer.said()).as_deref(), now) {
            Some(refusal) => Err(refusal),
            None => serde_json::from_slice(answer.whole()?)
                .map_err(|_| SendError::Nonsense("no JSON of the Web API".to_owned())),
        }
    }

    /// What the errors of `chat.postMessage` and `chat.update` mean.
    pub(super) fn said(self, answer: &Answer, now: DateTime<Utc>) -> Result<Said, SendError> {
        if self.ok {
            let place = self.channel.zip(self.ts).filter(|(channel, ts)| channel.len() + ts.len() < 200);
            return Ok(Said::Done(place.map(|(channel, ts)| Place { channel, ts })));
        }
        let code = self.error.and_then(|code| word(code.as_bytes())).unwrap_or_else(|| "no reason given".to_owned());
        Err(match code.as_str() {
            "message_not_found" | "cant_update_message" | "edit_window_closed" => return Ok(Said::Gone),
            "duplicate_message_not_found" | "duplicate_channel_not_found" => return Ok(Said::Repeated),
            "ratelimited" | "rate_limited" | "message_limit_exceeded" => {
                SendError::Limited { retry_after: retry_after(&answer.headers, now) }
            }
            "internal_error"
            | "fatal_error"
            | "service_unavailable"
            | "request_timeout"
            | "team_added_to_org"
            | "accesslimited"
            | "external_channel_migrating" => SendError::Unavailable(code),
            "invalid_auth"
            | "not_authed"
            | "account_inactive"
            | "token_revoked"
            | "token_expired"
            | "no_permission"
            | "missing_scope"
            | "not_allowed_token_type"
            | "org_login_required"
            | "ekm_access_denied"
            | "access_denied"
            | "team_access_not_granted"
            | "two_factor_setup_required"
            | "enterprise_is_restricted"
            | "team_not_found"
            | "channel_not_found"
            | "not_in_channel"
            | "is_archived"
            | "is_inactive"
            | "no_team" => SendError::Refused(code),
            code if code.starts_with("restricted_action") => SendError::Refused(code.to_owned()),
            _ => SendError::Rejected(code),
        })
    }
}

/// What a webhook says: `ok`, or a word for what is wrong with it or the payload.
pub(super) fn of_hook(answer: &Answer, now: DateTime<Utc>) -> Result<(), SendError> {
    let said = word(answer.said());
    match answer.refusal(said.as_deref(), now) {
        // The word tells more than the status, which was not always the same.
        Some(SendError::Rejected(why)) if said.as_deref().is_some_and(is_about_the_hook) => {
            Err(SendError::Refused(why))
        }
        Some(refusal) => Err(refusal),
        None if said.as_deref() == Some("ok") => Ok(()),
        None => Err(answer
            .whole()
            .err()
            .unwrap_or_else(|| SendError::Nonsense("it is not `ok`, which a webhook of Slack says".to_owned()))),
    }
}

fn is_about_the_hook(word: &str) -> bool {
    [
        "invalid_token",
        "no_active_hooks",
        "no_service",
        "no_service_id",
        "no_team",
        "team_disabled",
        "channel_is_archived",
    ]
    .contains(&word)
        || word == "action_prohibited"
        || word.starts_with("posting_to_general")
}

/// An answer that is one of Slack's words: nothing else of what came back goes into an error.
fn word(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?.trim();
    let is_word = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    is_word.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::StatusCode;
    use reqwest::header::{HeaderMap, RETRY_AFTER};

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        let headers: HeaderMap = [(RETRY_AFTER, "7".parse().unwrap())].into_iter().collect();
        Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: Ok(body.as_bytes().to_vec()) }
    }

    fn said(body: &str) -> Result<Said, SendError> {
        let answer = answer(200, body);
        Reply::of(&answer, Utc::now())?.said(&answer, Utc::now())
    }

    #[test]
    fn each_error_means_what_to_do() {
        let place = Place { channel: "C1".to_owned(), ts: "1.2".to_owned() };
        assert_eq!(said(r#"{"ok":true,"channel":"C1","ts":"1.2"}"#), Ok(Said::Done(Some(place))));
        let error = |code: &str| said(&format!(r#"{{"ok":false,"error":"{code}"}}"#));
        assert_eq!(error("ratelimited"), Err(SendError::Limited { retry_after: Some(Duration::from_secs(7)) }));
        assert_eq!(error("invalid_auth"), Err(SendError::Refused("invalid_auth".to_owned())));
        assert_eq!(
            error("restricted_action_read_only_channel").map_err(|error| matches!(error, SendError::Refused(_))),
            Err(true)
        );
        assert_eq!(error("msg_too_long"), Err(SendError::Rejected("msg_too_long".to_owned())));
        assert_eq!(error("internal_error"), Err(SendError::Unavailable("internal_error".to_owned())));
        assert_eq!(error("message_not_found"), Ok(Said::Gone));
        assert_eq!(error("duplicate_message_not_found"), Ok(Said::Repeated));
        // What is no word is not repeated.
        assert_eq!(error("xoxb-hush <b>"), Err(SendError::Rejected("no reason given".to_owned())));
        assert!(matches!(said("<html>"), Err(SendError::Nonsense(_))));
    }

    #[test]
    fn a_webhook_says_ok_or_why_not() {
        let hook = |status: u16, body: &str| of_hook(&answer(status, body), Utc::now());
        assert_eq!(hook(200, "ok"), Ok(()));
        assert!(matches!(hook(200, "<html>hush"), Err(SendError::Nonsense(why)) if !why.contains("hush")));
        assert!(
            matches!(hook(400, "invalid_payload"), Err(SendError::Rejected(why)) if why.contains("invalid_payload"))
        );
        assert!(matches!(hook(400, "invalid_token"), Err(SendError::Refused(_))));
        assert!(matches!(hook(403, "action_prohibited"), Err(SendError::Refused(_))));
        assert!(matches!(hook(404, "no_service"), Err(SendError::Refused(_))));
        assert!(matches!(hook(410, "channel_is_archived"), Err(SendError::Refused(_))));
        assert!(matches!(hook(500, "rollup_error"), Err(SendError::Unavailable(_))));
        assert_eq!(hook(429, ""), Err(SendError::Limited { retry_after: Some(Duration::from_secs(7)) }));
    }
}
