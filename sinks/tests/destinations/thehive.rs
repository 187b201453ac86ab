//! TheHive: one alert a thread, whatever is lost on the way.

use std::time::Duration;

use dial_sinks::destinations::thehive::{TheHiveLabels, TheHiveVersion, alert, update};
use dial_sinks::message::Message;
use dial_sinks::samples::{SampleKind, sample};
use dial_sinks::sink::{Handle, SendError, Sink};
use serde_json::{Value, json};
use wiremock::matchers::{body_partial_json, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::server::{HUSH, thehive};

const PATIENT: Duration = Duration::from_secs(30);

/// One call that the server expects, and its answer.
async fn expect(server: &MockServer, call: &str, asked: Value, status: u16, answer: Value) {
    let (verb, place) = call.split_once(' ').unwrap();
    let mock = Mock::given(method(verb))
        .and(path(format!("/hive/{place}")))
        .and(header("Authorization", format!("Bearer {HUSH}")))
        .and(header("X-Organisation", "soc"));
    let mock = if asked.is_null() { mock } else { mock.and(body_partial_json(asked)) };
    let answer = ResponseTemplate::new(status).set_body_json(answer);
    mock.respond_with(answer).up_to_n_times(1).expect(1).mount(server).await;
}

async fn hive(version: TheHiveVersion, as_case: bool) -> (MockServer, Box<dyn Sink>) {
    let server = MockServer::start().await;
    let (sink, _) = thehive(&server.uri(), version, as_case, PATIENT);
    (server, sink)
}

fn handle(text: &str) -> Result<Option<Handle>, SendError> {
    Ok(Some(Handle(text.to_owned())))
}

fn there() -> Value {
    json!({"type": "CreateError", "message": "Alert already exists"})
}

/// What comes later, worse than what there is.
fn grown() -> Message {
    sample(SampleKind::Incident)
}

#[tokio::test]
async fn an_alert_is_made_once_in_both_versions() {
    let first = sample(SampleKind::Single);
    for (version, api) in [(TheHiveVersion::Five, "api/v1"), (TheHiveVersion::Four, "api")] {
        let (server, sink) = hive(version, false).await;
        let asked = json!({"type": "dial", "source": "dial", "sourceRef": first.thread, "severity": 3});
        expect(&server, &format!("POST {api}/alert"), asked, 201, json!({"_id": "~1"})).await;
        assert_eq!(sink.send(&first, None).await, handle("alert/3/~1"));
    }
}

#[tokio::test]
async fn an_alert_that_is_there_already_is_success() {
    let (server, sink) = hive(TheHiveVersion::Five, false).await;
    expect(&server, "POST api/v1/alert", Value::Null, 400, there()).await;
    let asked = json!({"query": [{"_name": "listAlert"}]});
    expect(&server, "POST api/v1/query", asked, 200, json!([{"_id": "~7", "severity": 2}])).await;
    assert_eq!(sink.send(&sample(SampleKind::Single), None).await, handle("alert/2/~7"));

    let (server, sink) = hive(TheHiveVersion::Four, false).await;
    let conflict = json!({"type": "ConflictError", "message": "document already exists"});
    expect(&server, "POST api/alert", Value::Null, 400, conflict).await;
    expect(&server, "POST api/alert/_search", Value::Null, 200, json!([{"id": "a7", "severity": 3}])).await;
    assert_eq!(sink.send(&sample(SampleKind::Single), None).await, handle("alert/3/a7"));
}

#[tokio::test]
async fn an_alert_that_is_said_to_be_there_and_is_not_is_not_success() {
    let (server, sink) = hive(TheHiveVersion::Five, false).await;
    let other = json!({"type": "CreateError", "message": "Observable already exists"});
    expect(&server, "POST api/v1/alert", Value::Null, 400, other).await;
    expect(&server, "POST api/v1/query", Value::Null, 200, json!([])).await;
    assert!(matches!(sink.send(&sample(SampleKind::Single), None).await, Err(SendError::Rejected(_))));
}

#[tokio::test]
async fn what_comes_later_is_a_comment_and_a_worse_severity() {
    let (server, sink) = hive(TheHiveVersion::Five, false).await;
    expect(&server, "PATCH api/v1/alert/~1", json!({"severity": 4}), 204, Value::Null).await;
    let asked = json!({"message": update(&grown())});
    expect(&server, "POST api/v1/alert/~1/comment", asked, 201, json!({"_id": "~9"})).await;
    assert_eq!(sink.send(&grown(), Some(&Handle("alert/3/~1".to_owned()))).await, handle("alert/4/~1"));
    // No better one.
    expect(&server, "POST api/v1/alert/~1/comment", Value::Null, 201, json!({"_id": "~9"})).await;
    let mut milder = grown();
    milder.severity = dial_rules::severity::Severity::Low;
    assert_eq!(sink.send(&milder, Some(&Handle("alert/4/~1".to_owned()))).await, handle("alert/4/~1"));
}

#[tokio::test]
async fn an_alert_that_was_deleted_is_made_anew() {
    let gone = json!({"type": "NotFoundError", "message": "Alert not found"});
    let (server, sink) = hive(TheHiveVersion::Five, false).await;
    expect(&server, "POST api/v1/alert/~1/comment", Value::Null, 404, gone.clone()).await;
    expect(&server, "POST api/v1/alert", Value::Null, 201, json!({"_id": "~2"})).await;
    assert_eq!(sink.send(&grown(), Some(&Handle("alert/4/~1".to_owned()))).await, handle("alert/4/~2"));
    let (server, sink) = hive(TheHiveVersion::Four, false).await;
    expect(&server, "GET api/alert/~1", Value::Null, 404, gone).await;
    expect(&server, "POST api/alert", Value::Null, 201, json!({"_id": "~2"})).await;
    assert_eq!(sink.send(&grown(), Some(&Handle("alert/4/~1".to_owned()))).await, handle("alert/4/~2"));
}

#[tokio::test]
async fn what_comes_after_a_deleted_case_is_said_where_its_alert_is() {
    let gone = json!({"type": "NotFoundError", "message": "Case not found"});
    let place = Handle("case/4/~5".to_owned());
    // The alert is left without a case, with another one into which it was merged, or with the one that is gone.
    for (case, kept) in [(Value::Null, "~6"), (json!("~6"), "~6"), (json!("~5"), "~6")] {
        let (server, sink) = hive(TheHiveVersion::Five, true).await;
        expect(&server, "POST api/v1/case/~5/comment", Value::Null, 404, gone.clone()).await;
        expect(&server, "POST api/v1/alert", Value::Null, 400, there()).await;
        let found = json!([{"_id": "~1", "caseId": case, "severity": 3, "description": "before"}]);
        expect(&server, "POST api/v1/query", Value::Null, 200, found).await;
        if case != json!("~6") {
            expect(&server, "POST api/v1/alert/~1/case", Value::Null, 201, json!({"_id": "~6"})).await;
        }
        expect(&server, "PATCH api/v1/case/~6", json!({"severity": 4}), 204, Value::Null).await;
        let asked = json!({"message": update(&grown())});
        expect(&server, &format!("POST api/v1/case/{kept}/comment"), asked, 201, json!({"_id": "~9"})).await;
        assert_eq!(sink.send(&grown(), Some(&place)).await, handle("case/4/~6"));
    }
    let (server, sink) = hive(TheHiveVersion::Four, true).await;
    expect(&server, "GET api/case/~5", Value::Null, 404, gone).await;
    expect(&server, "POST api/alert", Value::Null, 400, there()).await;
    expect(&server, "POST api/alert/_search", Value::Null, 200, json!([{"id": "~1", "severity": 3}])).await;
    expect(&server, "POST api/alert/~1/createCase", Value::Null, 201, json!({"id": "~6"})).await;
    expect(&server, "GET api/case/~6", Value::Null, 200, json!({"_id": "~6", "description": "before"})).await;
    let after = format!("before\n\n---\n\n{}", update(&grown()));
    expect(&server, "PATCH api/case/~6", json!({"description": after}), 200, json!({"_id": "~6"})).await;
    assert_eq!(sink.send(&grown(), Some(&place)).await, handle("case/4/~6"));
}

#[tokio::test]
async fn what_an_attempt_before_made_anew_says_it_already() {
    let gone = json!({"type": "NotFoundError", "message": "Alert not found"});
    let (server, sink) = hive(TheHiveVersion::Five, false).await;
    let own = alert(&grown(), "r", &TheHiveLabels::default(), TheHiveVersion::Five);
    let found = json!([{"_id": "~2", "severity": 4, "description": own["description"]}]);
    expect(&server, "POST api/v1/alert/~1/comment", Value::Null, 404, gone).await;
    expect(&server, "POST api/v1/alert", Value::Null, 400, there()).await;
    expect(&server, "POST api/v1/query", Value::Null, 200, found).await;
    assert_eq!(sink.send(&grown(), Some(&Handle("alert/4/~1".to_owned()))).await, handle("alert/4/~2"));
}

#[tokio::test]
async fn what_can_be_said_nowhere_is_not_said() {
    let gone = json!({"type": "NotFoundError", "message": "Alert not found"});
    // What is found is the one that is gone, or another one that is gone as well.
    for found in ["~1", "~2"] {
        let (server, sink) = hive(TheHiveVersion::Five, false).await;
        expect(&server, "POST api/v1/alert/~1/comment", Value::Null, 404, gone.clone()).await;
        expect(&server, "POST api/v1/alert", Value::Null, 400, there()).await;
        expect(&server, "POST api/v1/query", Value::Null, 200, json!([{"_id": found, "severity": 4}])).await;
        if found == "~2" {
            expect(&server, "POST api/v1/alert/~2/comment", Value::Null, 404, gone.clone()).await;
        }
        let outcome = sink.send(&grown(), Some(&Handle("alert/4/~1".to_owned()))).await;
        assert!(matches!(&outcome, Err(SendError::Unavailable(why)) if why.contains(found)), "{outcome:?}");
    }
}

#[tokio::test]
async fn what_comes_later_finds_its_alert_without_a_handle() {
    let (server, sink) = hive(TheHiveVersion::Five, false).await;
    expect(&server, "POST api/v1/alert", Value::Null, 400, there()).await;
    expect(&server, "POST api/v1/query", Value::Null, 200, json!([{"_id": "~7", "severity": 2}])).await;
    expect(&server, "PATCH api/v1/alert/~7", json!({"severity": 4}), 200, json!({})).await;
    expect(&server, "POST api/v1/alert/~7/comment", Value::Null, 201, json!({"_id": "~9"})).await;
    assert_eq!(sink.send(&grown(), None).await, handle("alert/4/~7"));
}

#[tokio::test]
async fn a_case_is_made_of_the_alert_once() {
    for (version, api, what) in [(TheHiveVersion::Five, "api/v1", "case"), (TheHiveVersion::Four, "api", "createCase")]
    {
        let (server, sink) = hive(version, true).await;
        expect(&server, &format!("POST {api}/alert"), Value::Null, 201, json!({"_id": "~1"})).await;
        expect(&server, &format!("POST {api}/alert/~1/{what}"), Value::Null, 201, json!({"_id": "~5"})).await;
        assert_eq!(sink.send(&sample(SampleKind::Single), None).await, handle("case/3/~5"));
    }
    // An attempt that died between the two, and one that died after both.
    let (server, sink) = hive(TheHiveVersion::Five, true).await;
    expect(&server, "POST api/v1/alert", Value::Null, 400, there()).await;
    expect(&server, "POST api/v1/query", Value::Null, 200, json!([{"_id": "~1", "severity": 3}])).await;
    expect(&server, "POST api/v1/alert/~1/case", Value::Null, 201, json!({"_id": "~5"})).await;
    assert_eq!(sink.send(&sample(SampleKind::Single), None).await, handle("case/3/~5"));
    expect(&server, "POST api/v1/alert", Value::Null, 400, there()).await;
    expect(&server, "POST api/v1/query", Value::Null, 200, json!([{"_id": "~1", "caseId": "~5", "severity": 3}])).await;
    assert_eq!(sink.send(&sample(SampleKind::Single), None).await, handle("case/3/~5"));
    // And what comes later is said there.
    expect(&server, "PATCH api/v1/case/~5", json!({"severity": 4}), 204, Value::Null).await;
    expect(&server, "POST api/v1/case/~5/comment", Value::Null, 201, json!({"_id": "~9"})).await;
    assert_eq!(sink.send(&grown(), Some(&Handle("case/3/~5".to_owned()))).await, handle("case/4/~5"));
}

#[tokio::test]
async fn version_four_keeps_what_was_said_and_says_nothing_twice() {
    let (server, sink) = hive(TheHiveVersion::Four, false).await;
    let before = json!({"_id": "~1", "description": "before"});
    let after = format!("before\n\n---\n\n{}", update(&grown()));
    expect(&server, "GET api/alert/~1", Value::Null, 200, before).await;
    expect(&server, "PATCH api/alert/~1", json!({"description": after, "severity": 4}), 200, json!({"_id": "~1"}))
        .await;
    let place = Handle("alert/3/~1".to_owned());
    assert_eq!(sink.send(&grown(), Some(&place)).await, handle("alert/4/~1"));
    // The answer was lost: the next attempt changes nothing.
    expect(&server, "GET api/alert/~1", Value::Null, 200, json!({"_id": "~1", "description": after})).await;
    assert_eq!(sink.send(&grown(), Some(&place)).await, handle("alert/4/~1"));
    // One that is full gets another beside it.
    let full = json!({"_id": "~1", "description": "x".repeat(200_000)});
    expect(&server, "GET api/alert/~1", Value::Null, 200, full).await;
    let beside = json!({"sourceRef": format!("{}-1", grown().thread)});
    expect(&server, "POST api/alert", beside, 201, json!({"_id": "~2"})).await;
    assert_eq!(sink.send(&grown(), Some(&place)).await, handle("alert/4/~2"));
}
