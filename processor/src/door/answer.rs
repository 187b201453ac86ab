//! What the door answers.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::intake::Refusal;
use super::keep::KeepError;

/// See the module's description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// 202: what was sent is durable.
    Kept { events: u64, dead_letters: u64 },
    /// 200: the program lives.
    Alive,
    /// 401, and nothing else is told.
    NoKey,
    /// 405; only this method works here.
    Method(&'static str),
    /// Sending the same again will not help.
    Refused(StatusCode, String),
    /// Sending the same again after a while will.
    Later(StatusCode, Duration, String),
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Answer::Kept { .. } => StatusCode::ACCEPTED,
            Answer::Alive => StatusCode::OK,
            Answer::NoKey => StatusCode::UNAUTHORIZED,
            Answer::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Answer::Refused(status, _) | Answer::Later(status, ..) => *status,
        }
    }

    /// 413.
    pub(super) fn too_large(most: u64) -> Answer {
        let text = format!("the body is larger than {most} bytes: send fewer events at a time, or gzip them");
        Answer::Refused(StatusCode::PAYLOAD_TOO_LARGE, text)
    }

    /// 503.
    pub(super) fn busy(why: impl Into<String>) -> Answer {
        Answer::Later(StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(2), why.into())
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Answer {
        let status = match refusal {
            Refusal::NoEvent(_) => StatusCode::BAD_REQUEST,
            Refusal::Expands(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Encoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        };
        Answer::Refused(status, refusal.to_string())
    }
}

impl From<KeepError> for Answer {
    fn from(error: KeepError) -> Answer {
        match error {
            KeepError::TooLarge(why) => Answer::Refused(StatusCode::PAYLOAD_TOO_LARGE, why),
            KeepError::Full(why) | KeepError::Outside(why) => Answer::busy(why),
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let status = self.status();
        match self {
            Answer::Kept { events, dead_letters } => {
                (status, Json(json!({ "events": events, "dead_letters": dead_letters }))).into_response()
            }
            Answer::Alive => (status, "alive\n").into_response(),
            // Whoever has no key has no use of the connection, which others are waiting for.
            Answer::NoKey => {
                (status, [(header::WWW_AUTHENTICATE, "Bearer"), (header::CONNECTION, "close")]).into_response()
            }
            Answer::Method(only) => (status, [(header::ALLOW, only)]).into_response(),
            Answer::Refused(_, error) => (status, Json(json!({ "error": error }))).into_response(),
            Answer::Later(_, wait, error) => {
                // Whole seconds (RFC 9110, § 10.2.3), and never 0.
                let seconds = HeaderValue::from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
                (status, [(header::RETRY_AFTER, seconds)], Json(json!({ "error": error }))).into_response()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_says_when_in_whole_seconds() {
        for (millis, seconds) in [(1, "1"), (1_000, "1"), (1_001, "2"), (60_000, "60")] {
            let answer = Answer::Later(StatusCode::TOO_MANY_REQUESTS, Duration::from_millis(millis), String::new());
            assert_eq!(answer.into_response().headers()[header::RETRY_AFTER], seconds, "{millis}");
        }
    }

    #[test]
    fn what_can_be_tried_again_is_no_4xx() {
        assert_eq!(Answer::from(KeepError::Full(String::new())).status(), 503);
        assert_eq!(Answer::from(KeepError::Outside(String::new())).status(), 503);
        assert_eq!(Answer::from(KeepError::TooLarge(String::new())).status(), 413);
    }
}
