//! Asking over HTTP, with bounds on everything that comes back.

use std::error::Error;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use thiserror::Error as ThisError;

use crate::sink::SendError;

/// Who asks.
const USER_AGENT: &str = concat!("dial/", env!("CARGO_PKG_VERSION"));

/// Most bytes of a sink's answer that are read.
const MOST_ANSWERED: usize = 1024 * 1024;

/// A client that follows no redirects: a key must not go where an answer points. An answer that is not there after
/// `patience` is given up. Proxies of the environment are used, but never for what is asked without TLS: that is on this
/// machine, and a proxy would read the key.
///
/// # Errors
/// When the machine has no certificates to trust.
pub fn client(patience: Duration, url: &Url) -> Result<Client, String> {
    build(patience, url.scheme() == "https")
}

fn build(patience: Duration, is_tls: bool) -> Result<Client, String> {
    // A second call finds it installed, which is as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .user_agent(USER_AGENT)
        .redirect(Policy::none())
        .connect_timeout(patience)
        .timeout(patience)
        .pool_idle_timeout(Duration::from_secs(60));
    let builder = if is_tls { builder } else { builder.no_proxy() };
    builder.build().map_err(|error| format!("no HTTPS client can be made: {}", chain(&error)))
}

/// Clients for an address that is known only when it is asked.
#[derive(Debug, Clone)]
pub struct Clients {
    tls: Client,
    here: Client,
}

impl Clients {
    /// Those of [`client`], with and without TLS.
    ///
    /// # Errors
    /// When the machine has no certificates to trust.
    pub fn new(patience: Duration) -> Result<Clients, String> {
        Ok(Clients { tls: build(patience, true)?, here: build(patience, false)? })
    }

    /// The one for this address.
    pub fn of(&self, url: &Url) -> &Client {
        if url.scheme() == "https" { &self.tls } else { &self.here }
    }
}

/// An address that may be asked: over TLS, or on this machine.
///
/// # Errors
/// What to write instead, to follow the key's name.
pub fn checked_url(text: &str) -> Result<Url, String> {
    // A query may hold a secret, and is not repeated.
    let shown = text.split_once(['?', '#']).map_or_else(|| text.to_owned(), |(before, _)| format!("{before}…"));
    let url = Url::parse(text).map_err(|error| format!("is {shown:?}, no URL ({error}): write https://HOST/PATH"))?;
    if !url.username().is_empty() || url.password().is_some() {
        // Not repeated: it holds a secret.
        return Err("has a user or password in it: take them out".to_owned());
    }
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    let is_loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback => Ok(url),
        "http" => Err(format!("is {shown:?}, which anybody on the way can read and change: write https://…")),
        _ => Err(format!("is {shown:?}: write https://HOST/PATH")),
    }
}

/// The same of an address that is a secret itself.
///
/// # Errors
/// What is wrong, without the address.
pub fn checked_secret_url(text: &str) -> Result<Url, String> {
    checked_url(text.trim()).map_err(|_| "the address is not of the form https://HOST/PATH".to_owned())
}

/// When to come back, if the answer says: `Retry-After` (RFC 9110, § 10.2.3), in seconds or as a date.
pub fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    Some((date.with_timezone(&Utc) - now).to_std().unwrap_or(Duration::ZERO))
}

/// Why there is no whole answer.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum Broken {
    /// It took too long.
    #[error("it did not answer in time")]
    Slow,
    /// It could not be reached, or went away.
    #[error("it is out of reach: {0}")]
    Unavailable(String),
    /// The body is larger than anybody reads.
    #[error("more than {0} bytes")]
    TooLarge(usize),
}

impl From<reqwest::Error> for Broken {
    fn from(error: reqwest::Error) -> Broken {
        // What is asked about may be in the URL, as may be a secret, and has no place in a log.
        let error = error.without_url();
        if error.is_timeout() { Broken::Slow } else { Broken::Unavailable(chain(&error)) }
    }
}

impl From<Broken> for SendError {
    fn from(broken: Broken) -> SendError {
        match broken {
            Broken::Slow => SendError::Slow,
            Broken::Unavailable(why) => SendError::Unavailable(why),
            Broken::TooLarge(_) => SendError::Nonsense(broken.to_string()),
        }
    }
}

/// The body, if it has at most `largest` bytes.
///
/// # Errors
/// When it has more, or does not come.
pub async fn body(mut response: Response, largest: usize) -> Result<Vec<u8>, Broken> {
    if response.content_length().is_some_and(|length| length > largest as u64) {
        return Err(Broken::TooLarge(largest));
    }
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        if body.len() + piece.len() > largest {
            return Err(Broken::TooLarge(largest));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// A request with a body of JSON.
pub(crate) fn with_json(request: RequestBuilder, body: &serde_json::Value) -> RequestBuilder {
    request.header(CONTENT_TYPE, "application/json; charset=utf-8").body(body.to_string())
}

/// A sink's answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// At most 1 MiB, or why there is no body.
    pub(crate) body: Result<Vec<u8>, Broken>,
}

impl Answer {
    /// What a sink made of one request.
    ///
    /// # Errors
    /// When there is no answer. A body that is too large, or breaks off, counts only where somebody needs it.
    pub(crate) async fn to(request: RequestBuilder) -> Result<Answer, SendError> {
        let response = request.send().await.map_err(Broken::from)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = body(response, MOST_ANSWERED).await;
        Ok(Answer { status, headers, body })
    }

    /// The body as far as it is there.
    pub(crate) fn said(&self) -> &[u8] {
        self.body.as_deref().unwrap_or_default()
    }

    /// The body, where nothing can be concluded without it.
    ///
    /// # Errors
    /// Why it is not there.
    pub(crate) fn whole(&self) -> Result<&[u8], SendError> {
        self.body.as_deref().map_err(|broken| broken.clone().into())
    }

    /// Why it was not taken, by the status; `None` when it was. `said` is what the body says of it, in words that are known
    /// to be harmless.
    pub(crate) fn refusal(&self, said: Option<&str>, now: DateTime<Utc>) -> Option<SendError> {
        let why = || match said {
            Some(said) => format!("HTTP {}: {said}", self.status),
            None => format!("HTTP {}", self.status),
        };
        let retry_after = retry_after(&self.headers, now);
        Some(match self.status.as_u16() {
            200..=299 => return None,
            429 => SendError::Limited { retry_after },
            503 if retry_after.is_some() => SendError::Limited { retry_after },
            // It is the address that is wrong, or no longer there: the message is not at fault.
            401..=404 | 407 | 410 => SendError::Refused(why()),
            408 | 425 => SendError::Unavailable(why()),
            400..=499 => SendError::Rejected(why()),
            500..=599 => SendError::Unavailable(why()),
            300..=399 => SendError::Nonsense(format!("{}, and redirects are not followed", why())),
            _ => SendError::Nonsense(why()),
        })
    }
}

/// An error with what caused it, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tls_or_this_machine_is_asked() {
        for (url, fine) in [
            ("https://api.abuseipdb.com/api/v2/check", true),
            ("http://127.0.0.1:8080/check", true),
            ("http://[::1]:8080/check", true),
            ("http://localhost/check", true),
            ("http://api.abuseipdb.com/api/v2/check", false),
            ("http://127.0.0.1.example.com/check", false),
            ("http://localhost.example.com/check", false),
            ("ftp://127.0.0.1/check", false),
            ("file:///etc/passwd", false),
            ("api.abuseipdb.com", false),
            ("", false),
            ("https://user@example.com/", false),
            ("https://user:hush@example.com/", false),
            ("http://example.com/check?token=hush", false),
            ("ftp://example.com/check#hush", false),
            ("https://?token=hush", false),
            ("https://example.com/check?token=hush", true),
        ] {
            let checked = checked_url(url);
            assert_eq!(checked.is_ok(), fine, "{url}: {checked:?}");
            assert!(checked.err().is_none_or(|error| !error.contains("hush")));
        }
        assert!(checked_secret_url("http://hooks.example.com/hush").is_err_and(|error| !error.contains("hush")));
    }

    fn answered(status: u16, retry: Option<&str>) -> Option<SendError> {
        let headers = retry.map(|text| (RETRY_AFTER, text.parse().unwrap())).into_iter().collect();
        let answer = Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: Ok(Vec::new()) };
        let now = DateTime::parse_from_rfc3339("2026-01-01T00:00:00Z").unwrap().with_timezone(&Utc);
        answer.refusal(Some("no_service"), now)
    }

    #[test]
    fn a_status_says_what_is_wrong() {
        let limited = |seconds: Option<u64>| Some(SendError::Limited { retry_after: seconds.map(Duration::from_secs) });
        assert_eq!((answered(200, None), answered(204, None)), (None, None));
        assert_eq!(answered(429, None), limited(None));
        assert_eq!(answered(429, Some("30")), limited(Some(30)));
        assert_eq!(answered(429, Some("Thu, 01 Jan 2026 00:01:40 GMT")), limited(Some(100)));
        assert_eq!(answered(429, Some("Wed, 31 Dec 2025 00:00:00 GMT")), limited(Some(0)));
        assert_eq!(answered(429, Some("soon")), limited(None));
        assert_eq!(answered(429, Some("-5")), limited(None));
        assert_eq!(answered(503, Some("5")), limited(Some(5)));
        for (status, is_right) in [
            (503, (|error| matches!(error, SendError::Unavailable(_))) as fn(SendError) -> bool),
            (500, |error| matches!(error, SendError::Unavailable(_))),
            (408, |error| matches!(error, SendError::Unavailable(_))),
            (401, |error| matches!(error, SendError::Refused(_))),
            (403, |error| matches!(error, SendError::Refused(_))),
            (
                404,
                |error| matches!(error, SendError::Refused(why) if why.contains("404") && why.contains("no_service")),
            ),
            (302, |error| matches!(error, SendError::Nonsense(_))),
            (400, |error| matches!(error, SendError::Rejected(_))),
            (413, |error| matches!(error, SendError::Rejected(_))),
        ] {
            assert!(answered(status, None).is_some_and(is_right), "{status}");
        }
    }
}
