//! Reading a worker's metrics.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::monitor::exposition::{Sample, parse};

/// A worker that has not answered by then does not.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most that is read of an answer.
const LARGEST: u64 = 64 << 20;

/// The samples at `url`.
///
/// It speaks HTTP/1.0, in which an answer ends with the connection: that is all that reading metrics takes, and it is without TLS.
///
/// # Errors
/// What is wrong, with the address.
pub(crate) async fn samples(url: &str, token: Option<&str>) -> Result<Vec<Sample>, String> {
    let address = Address::parse(url)?;
    let answer = timeout(PATIENCE, get(&address, token)).await;
    let answer = answer.map_err(|_| format!("{url}: no answer within {} s", PATIENCE.as_secs()))?;
    body(&answer.map_err(|error| format!("{url}: {error}"))?).map(parse).map_err(|wrong| format!("{url}: {wrong}"))
}

#[derive(Debug, PartialEq, Eq)]
struct Address {
    host_and_port: String,
    path: String,
}

impl Address {
    fn parse(url: &str) -> Result<Address, String> {
        let wrong = || format!("{url:?} is no address of metrics: write http://HOST:PORT/metrics");
        let rest = url.strip_prefix("http://").ok_or_else(wrong)?;
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let has_port =
            host.rsplit_once(':').is_some_and(|(name, port)| !name.is_empty() && port.parse::<u16>().is_ok());
        let clean = |text: &str| text.chars().all(|c| c.is_ascii_graphic());
        if host.contains('@') || !clean(host) || !clean(path) {
            return Err(wrong());
        }
        let host_and_port = if has_port { host.to_owned() } else { format!("{host}:80") };
        let path = if path.is_empty() { "/metrics" } else { path }.to_owned();
        if host.is_empty() { Err(wrong()) } else { Ok(Address { host_and_port, path }) }
    }
}

async fn get(address: &Address, token: Option<&str>) -> std::io::Result<String> {
    let mut socket = TcpStream::connect(&address.host_and_port).await?;
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let Address { host_and_port, path } = address;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host_and_port}\r\nAccept: text/plain\r\n{authorization}\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    socket.take(LARGEST).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The body of an answer that is a success.
fn body(answer: &str) -> Result<&str, String> {
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer is not HTTP")?;
    let status = head.lines().next().unwrap_or_default();
    match status.split(' ').nth(1) {
        Some("200") => Ok(body),
        Some("401") => Err("a token is required: set `metrics.token` as the worker has it".to_owned()),
        _ => Err(format!("the answer is {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        for (url, expected) in [
            ("http://127.0.0.1:9464/metrics", Some(("127.0.0.1:9464", "/metrics"))),
            ("http://worker-1", Some(("worker-1:80", "/metrics"))),
            ("http://[::1]:9464/m?x=1", Some(("[::1]:9464", "/m?x=1"))),
            ("https://worker-1/metrics", None),
            ("worker-1:9464", None),
            ("http:///metrics", None),
            ("http://user@host/metrics", None),
            ("http://host/a\r\nEvil: 1", None),
        ] {
            let parsed = Address::parse(url).ok();
            let parsed = parsed.as_ref().map(|address| (address.host_and_port.as_str(), address.path.as_str()));
            assert_eq!(parsed, expected, "{url}");
        }
    }

    #[test]
    fn only_a_success_has_a_body() {
        assert_eq!(body("HTTP/1.0 200 OK\r\nA: b\r\n\r\nup 1\n"), Ok("up 1\n"));
        assert!(body("HTTP/1.1 401 Unauthorized\r\n\r\n").unwrap_err().contains("metrics.token"));
        assert!(body("HTTP/1.1 503 Service Unavailable\r\n\r\nup 1").unwrap_err().contains("503"));
        assert!(body("SSH-2.0-x").is_err());
    }
}
