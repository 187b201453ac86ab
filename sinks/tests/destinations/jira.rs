//! Jira: one issue a thread, whatever is lost on the way.

use std::time::Duration;

use dial_sinks::destinations::jira::{comment, issue, label};
use dial_sinks::message::Message;
use dial_sinks::samples::{SampleKind, sample};
use dial_sinks::sink::{Handle, SendError, Sink};
use serde_json::{Value, json};
use wiremock::matchers::{basic_auth, bearer_token, body_partial_json, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::server::{HUSH, jira};

const PATIENT: Duration = Duration::from_secs(30);
const SEARCH: &str = "POST search/jql";

/// One call that the server expects, and its answer.
async fn expect(server: &MockServer, call: &str, asked: Value, status: u16, answer: Value) {
    let (verb, place) = call.split_once(' ').unwrap();
    let mock = Mock::given(method(verb)).and(path(format!("/rest/api/3/{place}")));
    let mock = mock.and(basic_auth("soc@example.com", HUSH));
    let mock = if asked.is_null() { mock } else { mock.and(body_partial_json(asked)) };
    let answer = ResponseTemplate::new(status).set_body_json(answer);
    mock.respond_with(answer).up_to_n_times(1).expect(1).mount(server).await;
}

async fn started() -> (MockServer, Box<dyn Sink>) {
    let server = MockServer::start().await;
    let (sink, _) = jira(&server.uri(), Some("soc@example.com"), PATIENT);
    (server, sink)
}

fn handle(key: &str) -> Result<Option<Handle>, SendError> {
    Ok(Some(Handle(key.to_owned())))
}

fn grown() -> Message {
    sample(SampleKind::Incident)
}

fn found(keys: &[&str]) -> Value {
    json!({"issues": keys.iter().map(|key| json!({"key": key})).collect::<Vec<_>>(), "isLast": true})
}

fn gone() -> Value {
    json!({"errorMessages": ["Issue does not exist or you do not have permission to see it."], "errors": {}})
}

#[tokio::test]
async fn an_issue_is_looked_for_and_made() {
    let (server, sink) = started().await;
    let message = sample(SampleKind::Single);
    let jql = format!("project = \"SEC\" AND labels = \"{}\" ORDER BY created ASC", label(&message.thread));
    expect(&server, SEARCH, json!({"jql": jql, "maxResults": 1}), 200, found(&[])).await;
    let made = json!({"id": "10000", "key": "SEC-24"});
    expect(&server, "POST issue", issue(&message, "SEC", "Task"), 201, made).await;
    assert_eq!(sink.send(&message, None).await, handle("SEC-24"));
    // The answer was lost, and the next attempt finds it.
    expect(&server, SEARCH, Value::Null, 200, found(&["SEC-24"])).await;
    assert_eq!(sink.send(&message, None).await, handle("SEC-24"));
}

#[tokio::test]
async fn no_second_issue_is_made_while_the_search_may_not_know_the_first() {
    for answer in [ResponseTemplate::new(502), ResponseTemplate::new(201).set_body_string("<html>")] {
        let (server, sink) = started().await;
        let none = ResponseTemplate::new(200).set_body_json(found(&[]));
        Mock::given(path("/rest/api/3/search/jql")).respond_with(none).expect(3).mount(&server).await;
        Mock::given(path("/rest/api/3/issue")).respond_with(answer).expect(1).mount(&server).await;
        for _ in 0..3 {
            assert!(sink.send(&sample(SampleKind::Single), None).await.is_err());
        }
    }
    // One that was refused was not made.
    let (server, sink) = started().await;
    for (status, answer) in
        [(400, json!({"errorMessages": [], "errors": {"summary": "x"}})), (201, json!({"key": "SEC-1"}))]
    {
        expect(&server, SEARCH, Value::Null, 200, found(&[])).await;
        expect(&server, "POST issue", Value::Null, status, answer).await;
    }
    assert!(matches!(sink.send(&sample(SampleKind::Single), None).await, Err(SendError::Rejected(_))));
    assert_eq!(sink.send(&sample(SampleKind::Single), None).await, handle("SEC-1"));
}

#[tokio::test]
async fn what_comes_later_is_a_comment_once() {
    let (server, sink) = started().await;
    expect(&server, "GET issue/SEC-1/comment", Value::Null, 200, json!({"comments": []})).await;
    let asked = json!({"body": comment(&grown())});
    expect(&server, "POST issue/SEC-1/comment", asked.clone(), 201, json!({"id": "1"})).await;
    assert_eq!(sink.send(&grown(), Some(&Handle("SEC-1".to_owned()))).await, handle("SEC-1"));
    // The answer was lost: the next attempt says nothing.
    expect(&server, "GET issue/SEC-1/comment", Value::Null, 200, json!({"comments": [asked]})).await;
    assert_eq!(sink.send(&grown(), Some(&Handle("SEC-1".to_owned()))).await, handle("SEC-1"));
}

#[tokio::test]
async fn what_comes_later_finds_its_issue_without_a_handle() {
    let (server, sink) = started().await;
    expect(&server, SEARCH, Value::Null, 200, found(&["SEC-7"])).await;
    expect(&server, "GET issue/SEC-7/comment", Value::Null, 200, json!({"comments": []})).await;
    expect(&server, "POST issue/SEC-7/comment", Value::Null, 201, json!({"id": "1"})).await;
    assert_eq!(sink.send(&grown(), Some(&Handle("../../x".to_owned()))).await, handle("SEC-7"));
}

#[tokio::test]
async fn an_issue_that_was_deleted_is_made_anew() {
    let (server, sink) = started().await;
    expect(&server, "GET issue/SEC-1/comment", Value::Null, 404, gone()).await;
    // The search may know it still.
    expect(&server, SEARCH, Value::Null, 200, found(&["SEC-1"])).await;
    expect(&server, "POST issue", Value::Null, 201, json!({"key": "SEC-2"})).await;
    assert_eq!(sink.send(&grown(), Some(&Handle("SEC-1".to_owned()))).await, handle("SEC-2"));
}

#[tokio::test]
async fn what_comes_after_a_deleted_issue_is_said_in_the_one_that_is_found() {
    let known = Handle("SEC-1".to_owned());
    let (server, sink) = started().await;
    expect(&server, "GET issue/SEC-1/comment", Value::Null, 404, gone()).await;
    expect(&server, SEARCH, Value::Null, 200, found(&["SEC-2"])).await;
    expect(&server, "GET issue/SEC-2/comment", Value::Null, 200, json!({"comments": []})).await;
    expect(&server, "POST issue/SEC-2/comment", json!({"body": comment(&grown())}), 201, json!({"id": "1"})).await;
    assert_eq!(sink.send(&grown(), Some(&known)).await, handle("SEC-2"));
    // An attempt of the same delivery made it: it is said there already.
    let (server, sink) = started().await;
    expect(&server, "GET issue/SEC-1/comment", Value::Null, 404, gone()).await;
    let mut own = issue(&grown(), "SEC", "Task");
    own["key"] = "SEC-2".into();
    expect(&server, SEARCH, Value::Null, 200, json!({"issues": [own]})).await;
    assert_eq!(sink.send(&grown(), Some(&known)).await, handle("SEC-2"));
}

#[tokio::test]
async fn a_token_without_a_user_is_a_bearer() {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_json(found(&["SEC-1"]));
    Mock::given(bearer_token(HUSH)).respond_with(answer).expect(1).mount(&server).await;
    let (sink, _) = jira(&server.uri(), None, PATIENT);
    assert_eq!(sink.send(&sample(SampleKind::Single), None).await, handle("SEC-1"));
}

#[tokio::test]
async fn a_project_that_is_not_there_is_the_settings_fault() {
    let (server, sink) = started().await;
    expect(&server, SEARCH, Value::Null, 200, found(&[])).await;
    let wrong = json!({"errorMessages": [], "errors": {"project": "valid project is required"}});
    expect(&server, "POST issue", Value::Null, 400, wrong).await;
    assert!(matches!(sink.send(&sample(SampleKind::Single), None).await, Err(SendError::Refused(_))));
}
