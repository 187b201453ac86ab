//! PagerDuty, Teams and Google Chat: what they are asked.

use std::time::Duration;

use dial_sinks::samples::{SampleKind, sample};
use dial_sinks::sink::{Growth, Handle};
use serde_json::{Value, json};
use wiremock::matchers::{body_partial_json, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::server::{HUSH, google_chat, pagerduty, teams};

const PATIENT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn pagerduty_joins_what_has_one_thread() {
    let server = MockServer::start().await;
    let message = sample(SampleKind::Correlated);
    let asked = json!({"event_action": "trigger", "routing_key": HUSH, "dedup_key": message.thread});
    let answer = json!({"status": "success", "message": "Event processed", "dedup_key": message.thread});
    let mock = Mock::given(method("POST")).and(path("/v2/enqueue")).and(body_partial_json(asked));
    mock.respond_with(ResponseTemplate::new(202).set_body_json(answer)).expect(2).mount(&server).await;
    let (sink, _) = pagerduty(&server.uri(), PATIENT);
    assert_eq!((sink.growth(), sink.send(&message, None).await), (Growth::Updates, Ok(None)));
    // Later, and worse: the same alert.
    let mut grown = sample(SampleKind::Incident);
    grown.thread = message.thread;
    assert_eq!(sink.send(&grown, None).await, Ok(None));
}

#[tokio::test]
async fn pagerduty_says_when_it_does_not_know_the_key() {
    let server = MockServer::start().await;
    let answer = json!({"status": "invalid event", "errors": [format!("'routing_key' {HUSH} is incorrect")]});
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(400).set_body_json(answer)).mount(&server).await;
    let (sink, key) = pagerduty(&server.uri(), PATIENT);
    let error = sink.send(&sample(SampleKind::Single), None).await.unwrap_err().to_string();
    assert!(error.contains("integration key") && !error.contains(HUSH), "{error}");
    assert_eq!(key.refusals(), 1);
}

#[tokio::test]
async fn teams_gets_a_card_in_an_envelope() {
    let server = MockServer::start().await;
    let asked = json!({"type": "message", "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive"}]});
    let mock = Mock::given(path("/workflows/x")).and(query_param("sig", HUSH)).and(body_partial_json(asked));
    mock.respond_with(ResponseTemplate::new(202)).expect(1).mount(&server).await;
    let (sink, _) = teams(&server.uri(), PATIENT);
    assert_eq!((sink.growth(), sink.send(&sample(SampleKind::Storm), None).await), (Growth::Digests, Ok(None)));
}

#[tokio::test]
async fn google_chat_replies_in_the_thread_and_says_nothing_twice() {
    let server = MockServer::start().await;
    let (first, mut grown) = (sample(SampleKind::Single), sample(SampleKind::Incident));
    grown.thread.clone_from(&first.thread);
    for (message, name) in [(&first, "spaces/A/messages/B"), (&grown, "spaces/A/messages/C")] {
        let mock = Mock::given(path("/v1/spaces/A/messages"))
            .and(query_param("key", "k"))
            .and(query_param("token", HUSH))
            .and(query_param("messageReplyOption", "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"))
            .and(query_param("requestId", &message.key))
            .and(body_partial_json(json!({"thread": {"threadKey": first.thread}})));
        let answer: Value = json!({"name": name, "thread": {"name": "spaces/A/threads/T"}});
        mock.respond_with(ResponseTemplate::new(200).set_body_json(answer)).expect(1).mount(&server).await;
    }
    let (sink, _) = google_chat(&server.uri(), PATIENT);
    assert_eq!(sink.growth(), Growth::Updates);
    let handle = sink.send(&first, None).await.unwrap();
    assert_eq!(handle, Some(Handle("spaces/A/messages/B".to_owned())));
    assert_eq!(sink.send(&grown, handle.as_ref()).await, Ok(Some(Handle("spaces/A/messages/C".to_owned()))));
}
