//! Asking over HTTP, with bounds on everything that comes back.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};

use super::source::Fault;
use crate::roles::chain;

/// Who asks.
const USER_AGENT: &str = concat!("dial/", env!("CARGO_PKG_VERSION"));

/// A client that follows no redirects: a key must not go where an answer points. An answer that is not there after
/// `patience` is given up. Proxies of the environment are used, but never for what is asked without TLS: that is on this
/// machine, and a proxy would read the key.
///
/// # Errors
/// When the machine has no certificates to trust.
pub(crate) fn client(patience: Duration, url: &Url) -> Result<Client, String> {
    // A second call finds it installed, which is as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .user_agent(USER_AGENT)
        .redirect(Policy::none())
        .connect_timeout(patience)
        .timeout(patience)
        .pool_idle_timeout(Duration::from_secs(60));
    let builder = if url.scheme() == "https" { builder } else { builder.no_proxy() };
    builder.build().map_err(|error| format!("no HTTPS client can be made: {}", chain(&error)))
}

/// An address that may be asked: over TLS, or on this machine.
///
/// # Errors
/// What to write instead, to follow the key's name.
pub(crate) fn checked_url(text: &str) -> Result<Url, String> {
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

/// Why a question was not answered, by the error.
pub(crate) fn fault(error: reqwest::Error) -> Fault {
    // The address asked about is in the URL, and has no place in a log.
    let error = error.without_url();
    if error.is_timeout() { Fault::Slow } else { Fault::Unavailable(chain(&error)) }
}

/// Why a question was not answered, by the status; `None` when it was.
pub(crate) fn refusal(status: StatusCode, headers: &HeaderMap, now: DateTime<Utc>) -> Option<Fault> {
    let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(|text| after(text, now));
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

/// `Retry-After` (RFC 9110, § 10.2.3): seconds, or a date.
fn after(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(text.trim()).ok()?;
    Some((date.with_timezone(&Utc) - now).to_std().unwrap_or(Duration::ZERO))
}

/// The body, if it has at most `largest` bytes.
pub(crate) async fn body(mut response: Response, largest: usize) -> Result<Vec<u8>, Fault> {
    let too_large = || Fault::Nonsense(format!("more than {largest} bytes"));
    if response.content_length().is_some_and(|length| length > largest as u64) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(fault)? {
        if body.len() + piece.len() > largest {
            return Err(too_large());
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
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
    }

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
        assert_eq!(at(429, Some("Thu, 01 Jan 2026 00:01:40 GMT")), limited(Some(100)));
        assert_eq!(at(429, Some("Wed, 31 Dec 2025 00:00:00 GMT")), limited(Some(0)));
        assert_eq!(at(429, Some("soon")), limited(None));
        assert_eq!(at(429, Some("-5")), limited(None));
        assert_eq!(at(503, Some("5")), limited(Some(5)));
        assert!(matches!(at(503, None), Some(Fault::Unavailable(_))));
        assert!(matches!(at(500, None), Some(Fault::Unavailable(_))));
        assert!(matches!(at(401, None), Some(Fault::Refused(_))));
        assert!(matches!(at(403, None), Some(Fault::Refused(_))));
        assert!(matches!(at(302, None), Some(Fault::Nonsense(_))));
        assert!(matches!(at(404, None), Some(Fault::Nonsense(_))));
    }
}
