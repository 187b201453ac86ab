//! Every sink against a server that fails in every way.

use std::time::Duration;

use dial_sinks::destinations::webhook::WebhookMethod;
use dial_sinks::samples::{SampleKind, sample};
use dial_sinks::sink::SendError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::server::{Case, HUSH, cases, slack_webhook, webhook};

/// Far longer than anything takes here.
const PATIENT: Duration = Duration::from_secs(30);

/// Says all that it was told, secrets included.
struct Echo(u16);

impl Respond for Echo {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let told = format!("{:?} {} {}", request.headers, request.url, String::from_utf8_lossy(&request.body));
        let body = serde_json::json!({"type": "Echo", "message": told, "ok": false, "error": told});
        ResponseTemplate::new(self.0).insert_header("Retry-After", "7").set_body_json(body)
    }
}

async fn outcome(case: &Case) -> Result<(), SendError> {
    let outcome = case.sink.send(&sample(SampleKind::Single), None).await.map(drop);
    let said = format!("{outcome:?} {:?}", case.sink);
    let text = outcome.as_ref().err().map(ToString::to_string).unwrap_or_default();
    assert!(!said.contains(HUSH) && !text.contains(HUSH), "{}: {said}", case.name);
    outcome
}

async fn over(respond: impl Respond + 'static, patience: Duration) -> Vec<(Case, Result<(), SendError>)> {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(respond).mount(&server).await;
    of_all(&server.uri(), patience).await
}

async fn of_all(address: &str, patience: Duration) -> Vec<(Case, Result<(), SendError>)> {
    let mut outcomes = Vec::new();
    for case in cases(address, patience) {
        let outcome = outcome(&case).await;
        outcomes.push((case, outcome));
    }
    outcomes
}

#[tokio::test]
async fn what_is_taken_is_sent() {
    let server = MockServer::start().await;
    for case in cases(&server.uri(), PATIENT) {
        server.reset().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_string(case.fine)).mount(&server).await;
        assert_eq!((outcome(&case).await, case.refusals().unwrap_or(0)), (Ok(()), 0), "{}", case.name);
    }
}

#[tokio::test]
async fn each_status_is_the_right_error() {
    let limited = Err(SendError::Limited { retry_after: Some(Duration::from_secs(7)) });
    for (case, outcome) in over(Echo(429), PATIENT).await {
        assert_eq!(outcome, limited, "{}", case.name);
    }
    for (case, outcome) in over(Echo(503), PATIENT).await {
        assert_eq!(outcome, limited, "{}", case.name);
    }
    for (status, is_right) in [
        (500, (|error| matches!(error, SendError::Unavailable(_))) as fn(&SendError) -> bool),
        (502, |error| matches!(error, SendError::Unavailable(_))),
        (413, |error| matches!(error, SendError::Rejected(_))),
        (400, |error| matches!(error, SendError::Rejected(_))),
        (401, |error| matches!(error, SendError::Refused(_))),
        (403, |error| matches!(error, SendError::Refused(_))),
    ] {
        for (case, outcome) in over(Echo(status), PATIENT).await {
            let error = outcome.expect_err(case.name);
            assert!(is_right(&error), "{} of {status}: {error:?}", case.name);
            let is_refused = matches!(error, SendError::Refused(_));
            assert!(case.refusals().is_none_or(|refusals| (refusals > 0) == is_refused), "{}: {error:?}", case.name);
        }
    }
}

#[tokio::test]
async fn garbage_makes_no_sense_where_an_answer_matters() {
    let huge = "x".repeat(2 * 1024 * 1024);
    for body in ["<html>garbage</html>", "", "[]", "null", "{\"ok\":", huge.as_str()] {
        for (case, outcome) in over(ResponseTemplate::new(200).set_body_string(body), PATIENT).await {
            if case.reads {
                assert!(
                    matches!(outcome, Err(SendError::Nonsense(_))),
                    "{} of {:?}: {outcome:?}",
                    case.name,
                    &body[..body.len().min(30)]
                );
            } else {
                assert_eq!(outcome, Ok(()), "{}", case.name);
            }
        }
    }
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let elsewhere = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200)).expect(0).mount(&elsewhere).await;
    let away = ResponseTemplate::new(307).insert_header("Location", elsewhere.uri().as_str());
    for (case, outcome) in over(away, PATIENT).await {
        assert!(matches!(outcome, Err(SendError::Nonsense(_))), "{}: {outcome:?}", case.name);
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_slow() {
    let hangs = ResponseTemplate::new(200).set_delay(Duration::from_secs(600));
    for (case, outcome) in over(hangs, Duration::from_millis(200)).await {
        assert_eq!(outcome, Err(SendError::Slow), "{}", case.name);
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_no_answer() {
    for (said, is_answer) in
        [("", false), ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok", true), ("SSH-2.0-x\r\n", false)]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(said.as_bytes()).await;
            }
        });
        for (case, outcome) in of_all(&address, PATIENT).await {
            if is_answer && !case.reads {
                assert_eq!(outcome, Ok(()), "{}", case.name);
            } else {
                assert!(matches!(outcome, Err(SendError::Unavailable(_))), "{} of {said:?}: {outcome:?}", case.name);
            }
        }
        server.abort();
        // And nobody there at all.
        let _ = server.await;
        for (case, outcome) in of_all(&address, PATIENT).await {
            assert!(matches!(outcome, Err(SendError::Unavailable(_))), "{}: {outcome:?}", case.name);
        }
    }
}

#[tokio::test]
async fn a_secret_address_that_is_none_is_not_told() {
    for address in ["http://hooks.example.com", "not an address", "ftp://127.0.0.1"] {
        for (case, outcome) in of_all_with_secret_address(address).await {
            assert!(matches!(outcome, Err(SendError::Refused(_))), "{}: {outcome:?}", case.name);
        }
    }
}

async fn of_all_with_secret_address(address: &str) -> Vec<(Case, Result<(), SendError>)> {
    let made = [slack_webhook(address, PATIENT), webhook(address, WebhookMethod::Post, PATIENT)];
    let mut outcomes = Vec::new();
    for (sink, secret) in made {
        let case = Case { name: sink.kind(), sink, fine: "", reads: true, secret: Some(secret) };
        let outcome = outcome(&case).await;
        outcomes.push((case, outcome));
    }
    outcomes
}
