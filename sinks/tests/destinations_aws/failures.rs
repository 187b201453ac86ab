//! Servers that fail, and what each failure is called.

use dial_sinks::destinations::eventbridge::EventBridgeSink;
use dial_sinks::destinations::sns::SnsSink;
use dial_sinks::destinations::sqs::SqsSink;
use dial_sinks::samples::{SampleKind, sample};
use dial_sinks::sink::{SendError, Sink};
use tokio::net::TcpListener;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::cloud::Cloud;

const KINDS: [&str; 3] = ["sns", "sqs", "eventbridge"];

/// The three sinks, at one endpoint.
fn sinks(endpoint: &str) -> [Box<dyn Sink>; 3] {
    let cloud = Cloud::at(endpoint);
    [
        Box::new(SnsSink::new(&cloud.sns, "arn:aws:sns:us-east-1:111122223333:alerts").unwrap()),
        Box::new(SqsSink::new(&cloud.sqs, &format!("{endpoint}/111122223333/alerts")).unwrap()),
        Box::new(
            EventBridgeSink::new(&cloud.events, "arn:aws:events:us-east-1:111122223333:event-bus/alerts").unwrap(),
        ),
    ]
}

/// What each sink makes of an answer, and how often it asked.
async fn outcomes(answer: impl Fn(&str) -> ResponseTemplate) -> Vec<SendError> {
    let mut errors = Vec::new();
    for (kind, index) in KINDS.iter().zip(0_usize..) {
        let server = MockServer::start().await;
        Mock::given(method("POST")).respond_with(answer(kind)).mount(&server).await;
        let sink = &sinks(&server.uri())[index];
        assert_eq!(sink.kind(), *kind);
        errors.push(sink.send(&sample(SampleKind::Single), None).await.unwrap_err());
        let is_look = |target: &str| target.ends_with("DescribeEventBus");
        let requests = server.received_requests().await.unwrap();
        let sent = requests
            .iter()
            .filter(|one| !one.headers.get("x-amz-target").is_some_and(|target| is_look(target.to_str().unwrap())));
        assert!(sent.count() <= 1, "{kind} makes one attempt");
    }
    errors
}

/// An error as each service says it: SNS in XML, the others in JSON.
fn error(kind: &str, status: u16, code: &str, message: &str) -> ResponseTemplate {
    let answer = ResponseTemplate::new(status);
    if kind == "sns" {
        let text = format!(
            "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type>\
             <Code>{code}</Code><Message>{message}</Message></Error><RequestId>1</RequestId></ErrorResponse>"
        );
        answer.set_body_raw(text, "text/xml")
    } else {
        let body = serde_json::json!({ "__type": format!("com.amazonaws#{code}"), "message": message });
        answer.set_body_raw(body.to_string(), "application/x-amz-json-1.0")
    }
}

fn word(error: &SendError) -> &'static str {
    match error {
        SendError::Unavailable(_) => "unavailable",
        SendError::Slow => "slow",
        SendError::Limited { .. } => "limited",
        SendError::Refused(_) => "refused",
        SendError::Rejected(_) => "rejected",
        SendError::Nonsense(_) => "nonsense",
    }
}

#[tokio::test]
async fn the_codes_of_services_say_what_to_do() {
    for (status, code, meant) in [
        (400, "Throttling", "limited"),
        (400, "ThrottlingException", "limited"),
        (403, "AccessDenied", "refused"),
        (400, "AccessDeniedException", "refused"),
        (403, "InvalidClientTokenId", "refused"),
        (403, "SignatureDoesNotMatch", "refused"),
        (400, "InvalidParameter", "rejected"),
        (400, "InvalidMessageContents", "rejected"),
        (400, "ValidationException", "rejected"),
        (500, "InternalFailure", "unavailable"),
        (503, "ServiceUnavailable", "unavailable"),
        (400, "SomethingNew", "unavailable"),
    ] {
        let errors = outcomes(|kind| error(kind, status, code, "no\r\nreason")).await;
        for (error, kind) in errors.iter().zip(KINDS) {
            assert_eq!(word(error), meant, "{kind} {code}: {error}");
            assert!(!error.to_string().chars().any(char::is_control), "{error:?}");
        }
    }
}

#[tokio::test]
async fn statuses_without_a_code_say_what_to_do_too() {
    for (status, meant) in [
        (401, "refused"),
        (403, "refused"),
        (413, "rejected"),
        (429, "limited"),
        (500, "unavailable"),
        (502, "unavailable"),
    ] {
        for error in outcomes(|_| ResponseTemplate::new(status).set_body_string("<html>proxy")).await {
            assert_eq!(word(&error), meant, "{status}: {error}");
        }
    }
}

#[tokio::test]
async fn an_answer_without_sense_is_no_delivery() {
    for garbage in ["", "{}", "<xml/>", "\u{1f4a5}", "{\"FailedEntryCount\":\"many\"}", "null"] {
        for error in outcomes(|_| ResponseTemplate::new(200).set_body_string(garbage)).await {
            assert_eq!(word(&error), "nonsense", "{garbage}: {error}");
        }
    }
}

#[tokio::test]
async fn nobody_there_is_out_of_reach() {
    for sink in sinks("http://127.0.0.1:1") {
        let error = sink.send(&sample(SampleKind::Single), None).await.unwrap_err();
        assert_eq!(word(&error), "unavailable", "{} {error}", sink.kind());
    }
}

#[tokio::test]
async fn a_dropped_connection_is_out_of_reach() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            drop(connection);
        }
    });
    for sink in sinks(&endpoint) {
        let error = sink.send(&sample(SampleKind::Single), None).await.unwrap_err();
        assert_eq!(word(&error), "unavailable", "{} {error}", sink.kind());
    }
    server.abort();
}

/// In virtual time, which passes while everybody waits.
#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_too_slow() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            kept.push(connection);
        }
    });
    for sink in sinks(&endpoint) {
        let sent = sink.send(&sample(SampleKind::Single), None).await;
        assert_eq!(sent, Err(SendError::Slow), "{}", sink.kind());
    }
    server.abort();
}
