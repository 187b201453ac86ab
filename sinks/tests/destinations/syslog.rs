//! Syslog: frames and lines as a receiver reads them, over TCP and TLS, and receivers that go away.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dial_sinks::destinations::syslog::{Syslog, SyslogFormat, SyslogOptions, SyslogTransport, framed, rfc5424};
use dial_sinks::samples::{SampleKind, sample};
use dial_sinks::sink::{Growth, SendError, Sink};
use dial_sinks::text::is_blank;
use dial_sinks::wire::wire;
use insta::assert_snapshot;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::golden::TOLD;
use crate::hostile::{self, render};

const PATIENT: Duration = Duration::from_secs(30);

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/destinations/certificates").join(name)
}

fn trusting_ours() -> SyslogTransport {
    SyslogTransport::Tls { ca: Some(certificate("ca.pem")) }
}

fn acceptor() -> TlsAcceptor {
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate("server.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(certificate("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap()))
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn syslog(address: String, transport: SyslogTransport, format: SyslogFormat, patience: Duration) -> Syslog {
    Syslog::new(SyslogOptions { address, transport, format, patience }).unwrap()
}

/// One frame, as RFC 5425 has it: digits, a space, so many octets.
async fn frame(from: &mut (impl AsyncRead + Unpin)) -> String {
    let mut length = 0;
    loop {
        match from.read_u8().await.unwrap() {
            b' ' => break,
            digit if digit.is_ascii_digit() => length = length * 10 + usize::from(digit - b'0'),
            other => panic!("{other} in a length"),
        }
    }
    let mut message = vec![0; length];
    from.read_exact(&mut message).await.unwrap();
    String::from_utf8(message).unwrap()
}

/// What a reader of RFC 5424 makes of a message: its header, its parameters, its text.
fn read(message: &str) -> (String, Vec<(String, String)>, String) {
    let (header, rest) = message.split_once('[').unwrap();
    let mut rest = rest.strip_prefix("dial@32473").unwrap();
    let mut parameters = Vec::new();
    while let Some(after) = rest.strip_prefix(' ') {
        let (name, after) = after.split_once("=\"").unwrap();
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric()) && name.len() <= 32, "{name:?}");
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().unwrap() {
                (at, '"') => break at,
                (_, ']') => panic!("a bare bracket in {message:?}"),
                (_, '\\') => value.push(chars.next().unwrap().1),
                (_, c) => value.push(c),
            }
        };
        parameters.push((name.to_owned(), value));
        rest = &after[end + 1..];
    }
    (header.to_owned(), parameters, rest.strip_prefix("] \u{feff}").unwrap().to_owned())
}

#[test]
fn golden() {
    for (kind, name) in TOLD {
        assert_snapshot!(format!("syslog_{name}"), rfc5424(&sample(kind)));
    }
}

#[test]
fn a_message_is_one_line_whatever_the_texts() {
    let keys = |message: &str| read(message).1.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    for text in hostile::texts() {
        for (message, harmless) in hostile::messages(&text).iter().zip(hostile::messages("harmless")) {
            let line = rfc5424(message);
            assert!(line.len() <= 8_192 && framed(&line).starts_with(&format!("{} <", line.len())));
            let (header, parameters, shown) = read(&line);
            let plain = rfc5424(&harmless);
            assert_eq!(header, read(&plain).0, "{text:?}");
            // What is blank has no parameter.
            let are_same =
                if is_blank(&text) { keys(&line).len() < keys(&plain).len() } else { keys(&line) == keys(&plain) };
            assert!(are_same && parameters.iter().all(|(_, value)| !value.is_empty()), "{text:?}: {line}");
            for text in parameters.iter().map(|(_, value)| value).chain([&shown]) {
                render::visible(text).unwrap();
                assert!(!text.contains('\n'), "{text:?}");
            }
        }
    }
}

#[tokio::test]
async fn frames_come_over_tls_on_one_connection() {
    let (listener, port) = listener().await;
    let receiver = tokio::spawn(async move {
        let mut stream = acceptor().accept(listener.accept().await.unwrap().0).await.unwrap();
        let frames = [frame(&mut stream).await, frame(&mut stream).await];
        // It stays connected for as long as anybody is there.
        let _ = stream.read_u8().await;
        frames
    });
    let sink = syslog(format!("localhost:{port}"), trusting_ours(), SyslogFormat::Rfc5424, PATIENT);
    assert_eq!(sink.growth(), Growth::Digests);
    let messages = [sample(SampleKind::Single), sample(SampleKind::Storm)];
    for message in &messages {
        assert_eq!(sink.send(message, None).await, Ok(None));
    }
    drop(sink);
    assert_eq!(receiver.await.unwrap(), messages.map(|message| rfc5424(&message)));
}

#[tokio::test]
async fn lines_of_json_come_over_tcp_when_asked() {
    let (listener, port) = listener().await;
    let receiver = tokio::spawn(async move {
        let mut lines = BufReader::new(listener.accept().await.unwrap().0).lines();
        let mut all = Vec::new();
        for _ in 0..2 {
            all.push(lines.next_line().await.unwrap().unwrap());
        }
        let _ = lines.next_line().await;
        all
    });
    let sink = syslog(format!("127.0.0.1:{port}"), SyslogTransport::Tcp, SyslogFormat::Json, PATIENT);
    let messages = [hostile::messages("a\nb\u{2028}\u{1b}").remove(1), sample(SampleKind::Correlated)];
    for message in &messages {
        assert_eq!(sink.send(message, None).await, Ok(None));
    }
    drop(sink);
    for (line, message) in receiver.await.unwrap().iter().zip(&messages) {
        assert_eq!(serde_json::from_str::<Value>(line).unwrap(), wire(message));
        render::visible(line).unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_is_opened_again() {
    let (listener, port) = listener().await;
    let receiver = tokio::spawn(async move {
        let mut all = Vec::new();
        // One message a connection.
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().await.unwrap();
            all.push(frame(&mut stream).await);
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
        all
    });
    let sink = syslog(format!("127.0.0.1:{port}"), SyslogTransport::Tcp, SyslogFormat::Rfc5424, PATIENT);
    for _ in 0..3 {
        assert_eq!(sink.send(&sample(SampleKind::Single), None).await, Ok(None));
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    assert_eq!(receiver.await.unwrap(), vec![rfc5424(&sample(SampleKind::Single)); 3]);
}

#[tokio::test]
async fn what_is_hung_up_on_is_not_sent() {
    let (listener, port) = listener().await;
    let receiver = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut some = [0; 16];
            let _ = stream.read(&mut some).await;
        }
    });
    let sink = syslog(format!("127.0.0.1:{port}"), SyslogTransport::Tcp, SyslogFormat::Rfc5424, PATIENT);
    for _ in 0..3 {
        let outcome = sink.send(&sample(SampleKind::Storm), None).await;
        assert!(matches!(outcome, Err(SendError::Unavailable(_))), "{outcome:?}");
    }
    receiver.abort();
    let _ = receiver.await;
    // And nobody there at all.
    assert!(matches!(sink.send(&sample(SampleKind::Single), None).await, Err(SendError::Unavailable(_))));
}

#[tokio::test]
async fn nobody_but_the_receiver_gets_a_message() {
    // On every address of this machine: 127.0.0.2 is not in the certificate.
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let receiver = tokio::spawn(async move {
        let mut taken = 0;
        for _ in 0..2 {
            taken += usize::from(acceptor().accept(listener.accept().await.unwrap().0).await.is_ok());
        }
        // One that speaks no TLS.
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"220 smtp.example.com\r\n").await;
        taken
    });
    // A certificate of a CA that nobody named, one of another host, and none at all.
    for (host, transport) in [
        ("localhost", SyslogTransport::Tls { ca: Some(certificate("server.pem")) }),
        ("127.0.0.2", trusting_ours()),
        ("localhost", trusting_ours()),
    ] {
        let sink = Syslog::new(SyslogOptions {
            address: format!("{host}:{port}"),
            transport,
            format: SyslogFormat::Json,
            patience: PATIENT,
        });
        let outcome = sink.unwrap().send(&sample(SampleKind::Single), None).await;
        assert!(matches!(outcome, Err(SendError::Refused(_))), "{outcome:?}");
    }
    assert_eq!(receiver.await.unwrap(), 0);
}

#[tokio::test]
async fn a_receiver_that_does_not_greet_is_slow() {
    let (listener, port) = listener().await;
    let sink = syslog(format!("localhost:{port}"), trusting_ours(), SyslogFormat::Json, Duration::from_millis(200));
    assert_eq!(sink.send(&sample(SampleKind::Single), None).await, Err(SendError::Slow));
    drop(listener);
}
