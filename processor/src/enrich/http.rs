//! What an answer over HTTP means for a source of context.

use chrono::{DateTime, Utc};
use dial_sinks::http::{self, Broken};
use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};

use super::source::Fault;

pub(crate) use dial_sinks::http::{checked_url, client};

impl From<Broken> for Fault {
    fn from(broken: Broken) -> Fault {
        match broken {
            Broken::Slow => Fault::Slow,
            Broken::Unavailable(why) => Fault::Unavailable(why),
            Broken::TooLarge(_) => Fault::Nonsense(broken.to_string()),
        }
    }
}

/// Why a question was not answered, by the error.
pub(crate) fn fault(error: reqwest::Error) -> Fault {
    Broken::from(error).into()
}

/// Why a question was not answered, by the status; `None` when it was.
pub(crate) fn refusal(status: StatusCode, headers: &HeaderMap, now: DateTime<Utc>) -> Option<Fault> {
    let retry_after = http::retry_after(headers, now);
    match status.as_u16() {
        200..=299 => None,
        429 => Some(Fault::Limited { retry_after }),
        503 if retry_after.is_some() => Some(Fault::Limited { retry_after }),
        401..=403 => Some(Fault::Refused(format!("HTTP {status}"))),
        300..=399 => Some(Fault::Nonsense(format!("HTTP {status}, and redirects are not followed"))),
        400..=499 => Some(Fault::Nonsense(format!("HTTP {status}"))),
        _ => Some(Fault::Unavailable(format!("HTTP {status}"))),
    }
}

/// The body, if it has at most `largest` bytes.
pub(crate) async fn body(response: Response, largest: usize) -> Result<Vec<u8>, Fault> {
    Ok(http::body(response, largest).await?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::header::RETRY_AFTER;

    use super::*;

    #[test]
    fn a_status_says_what_is_wrong() {
        let now = DateTime::parse_from_rfc3339("2026-01-01T00:00:00Z").unwrap().with_timezone(&Utc);
        let at = |status: u16, retry: Option<&str>| {
            let headers = retry.map(|text| (RETRY_AFTER, text.parse().unwrap())).into_iter().collect();
            refusal(StatusCode::from_u16(status).unwrap(), &headers, now)
        };
        let limited = |seconds: Option<u64>| Some(Fault::Limited { retry_after: seconds.map(Duration::from_secs) });
        assert_eq!(at(200, None), None);
        assert_eq!(at(429, None), limited(None));
        assert_eq!(at(429, Some("30")), limited(Some(30)));
        assert_eq!(at(503, Some("5")), limited(Some(5)));
        assert!(matches!(at(503, None), Some(Fault::Unavailable(_))));
        assert!(matches!(at(500, None), Some(Fault::Unavailable(_))));
        assert!(matches!(at(401, None), Some(Fault::Refused(_))));
        assert!(matches!(at(403, None), Some(Fault::Refused(_))));
        assert!(matches!(at(302, None), Some(Fault::Nonsense(_))));
        assert!(matches!(at(404, None), Some(Fault::Nonsense(_))));
    }
}
