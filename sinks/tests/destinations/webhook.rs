//! The generic webhook: what a receiver can rely on.

use std::time::Duration;

use dial_sinks::destinations::Address;
use dial_sinks::destinations::webhook::{
    SIGNATURE, Template, Webhook, WebhookHeader, WebhookMethod, WebhookOptions, signature,
};
use dial_sinks::samples::{SampleKind, sample};
use dial_sinks::sink::{Growth, SendError, Sink};
use dial_sinks::wire::wire;
use reqwest::Url;
use serde_json::Value;
use wiremock::matchers::{header, method, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::server::{HUSH, webhook};

const PATIENT: Duration = Duration::from_secs(30);

fn options(url: &str) -> WebhookOptions {
    WebhookOptions {
        url: Address::Known(Url::parse(url).unwrap()),
        method: WebhookMethod::Post,
        headers: Vec::new(),
        template: None,
        signing: None,
        patience: PATIENT,
    }
}

async fn only(server: &MockServer) -> Request {
    server.received_requests().await.unwrap().remove(0)
}

fn text<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    request.headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_receiver_can_check_what_it_gets() {
    for (word, how) in [("POST", WebhookMethod::Post), ("PUT", WebhookMethod::Put)] {
        let server = MockServer::start().await;
        let mock = Mock::given(method(word)).and(query_param("token", HUSH)).and(header("X-Team", "cloud"));
        mock.and(header("Authorization", format!("Bearer {HUSH}")))
            .respond_with(ResponseTemplate::new(204))
            .expect(1)
            .mount(&server)
            .await;
        let (hook, _) = webhook(&server.uri(), how, PATIENT);
        let message = sample(SampleKind::Storm);
        assert_eq!((hook.send(&message, None).await, hook.growth()), (Ok(None), Growth::Digests));
        let request = only(&server).await;
        let body: Value = request.body_json().unwrap();
        assert_eq!(body, wire(&message));
        assert_eq!(text(&request, "Idempotency-Key"), Some(message.key.as_str()));
        assert_eq!(text(&request, "Content-Type"), Some("application/json"));
        let sent = text(&request, SIGNATURE).unwrap();
        let at = sent.strip_prefix("t=").and_then(|rest| rest.split(',').next()).unwrap().parse().unwrap();
        assert_eq!(sent, signature(HUSH, at, std::str::from_utf8(&request.body).unwrap()));
        assert!(at > 1_700_000_000, "{at}");
    }
}

#[tokio::test]
async fn a_template_makes_the_body() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let template = Template::new("a.j2", "{{ severity }}: {{ title }}", Some("text/plain; charset=utf-8")).unwrap();
    let hook = Webhook::new(WebhookOptions { template: Some(template), ..options(&server.uri()) }).unwrap();
    assert_eq!(hook.send(&sample(SampleKind::Single), None).await, Ok(None));
    let request = only(&server).await;
    assert_eq!(text(&request, "Content-Type"), Some("text/plain; charset=utf-8"));
    assert_eq!(text(&request, SIGNATURE), None);
    assert_eq!(request.body, b"high: Administrator rights granted to a user");
}

#[tokio::test]
async fn what_a_template_cannot_make_is_rejected_and_not_sent() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).expect(0).mount(&server).await;
    // Safe with the samples, not with everything.
    let template = Template::new("a.j2", r#"{"a": "{{ title | safe }}"}"#, None).unwrap();
    let hook = Webhook::new(WebhookOptions { template: Some(template), ..options(&server.uri()) }).unwrap();
    let mut message = sample(SampleKind::Single);
    message.title = r#"" breaks out"#.to_owned();
    assert!(matches!(hook.send(&message, None).await, Err(SendError::Rejected(why)) if why.contains("no JSON")));
}

#[test]
fn a_header_that_cannot_be_is_refused_at_the_start() {
    for (name, value, part) in [
        ("X Team", "a", "name"),
        ("Dial-Signature", "a", "itself"),
        ("Host", "a", "itself"),
        ("X-Team", "a\r\nX-Other: b", "line breaks"),
    ] {
        let header = WebhookHeader { name: name.to_owned(), text: value.to_owned(), secret: None };
        let made = Webhook::new(WebhookOptions { headers: vec![header], ..options("https://example.com/") });
        assert!(made.is_err_and(|error| error.contains(part)), "{name}");
    }
}
