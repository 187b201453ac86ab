//! The bot of Slack: posting, changing, replying.

use std::time::Duration;

use dial_sinks::destinations::slack::SlackGrowth;
use dial_sinks::message::Message;
use dial_sinks::samples::{SampleKind, sample};
use dial_sinks::sink::{Growth, Handle, SendError};
use serde_json::{Value, json};
use wiremock::matchers::{header, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::server::{HUSH, slack_bot, slack_webhook};

const PATIENT: Duration = Duration::from_secs(30);

async fn answering(server: &MockServer, method: &str, body: Value, times: u64) {
    let answer = ResponseTemplate::new(200).set_body_json(body);
    let mock = Mock::given(path(format!("/api/{method}"))).and(header("Authorization", format!("Bearer xoxb-{HUSH}")));
    mock.respond_with(answer).up_to_n_times(times).expect(times).mount(server).await;
}

async fn bodies(server: &MockServer) -> Vec<(String, Value)> {
    let requests = server.received_requests().await.unwrap();
    requests.iter().map(|request| (request.url.path().to_owned(), request.body_json().unwrap())).collect()
}

fn posted() -> Value {
    json!({"ok": true, "channel": "C024BE91L", "ts": "1503435956.000247"})
}

fn handle() -> Handle {
    Handle("C024BE91L/1503435956.000247".to_owned())
}

fn grown() -> Message {
    sample(SampleKind::Incident)
}

#[tokio::test]
async fn every_attempt_of_a_message_has_one_id() {
    let server = MockServer::start().await;
    answering(&server, "chat.postMessage", posted(), 2).await;
    let (bot, _) = slack_bot(&server.uri(), SlackGrowth::Update, PATIENT);
    assert_eq!(bot.growth(), Growth::Updates);
    for _ in 0..2 {
        assert_eq!(bot.send(&sample(SampleKind::Single), None).await, Ok(Some(handle())));
    }
    let bodies = bodies(&server).await;
    assert_eq!(bodies[0], bodies[1]);
    assert!(bodies[0].1["channel"] == "alerts" && bodies[0].1["client_msg_id"].is_string());
}

#[tokio::test]
async fn what_comes_later_changes_the_message() {
    let server = MockServer::start().await;
    answering(&server, "chat.update", posted(), 1).await;
    let (bot, _) = slack_bot(&server.uri(), SlackGrowth::Update, PATIENT);
    assert_eq!(bot.send(&grown(), Some(&handle())).await, Ok(Some(handle())));
    let (_, body) = bodies(&server).await.remove(0);
    assert_eq!((&body["channel"], &body["ts"]), (&"C024BE91L".into(), &"1503435956.000247".into()));
}

#[tokio::test]
async fn or_replies_to_it() {
    let server = MockServer::start().await;
    let reply = json!({"ok": true, "channel": "C024BE91L", "ts": "1503435999.000001"});
    answering(&server, "chat.postMessage", reply, 1).await;
    let (bot, _) = slack_bot(&server.uri(), SlackGrowth::Thread, PATIENT);
    assert_eq!(bot.send(&grown(), Some(&handle())).await, Ok(Some(handle())));
    let (_, body) = bodies(&server).await.remove(0);
    assert_eq!((&body["channel"], &body["thread_ts"]), (&"C024BE91L".into(), &"1503435956.000247".into()));
    assert!(body["client_msg_id"].is_string());
}

#[tokio::test]
async fn a_message_that_is_gone_is_said_anew() {
    for error in ["message_not_found", "cant_update_message", "edit_window_closed"] {
        let server = MockServer::start().await;
        answering(&server, "chat.update", json!({"ok": false, "error": error}), 1).await;
        answering(&server, "chat.postMessage", posted(), 1).await;
        let (bot, _) = slack_bot(&server.uri(), SlackGrowth::Update, PATIENT);
        assert_eq!(bot.send(&grown(), Some(&Handle("C1/1.2".to_owned()))).await, Ok(Some(handle())));
    }
}

#[tokio::test]
async fn an_id_whose_message_is_lost_is_left_out() {
    let server = MockServer::start().await;
    answering(&server, "chat.postMessage", json!({"ok": false, "error": "duplicate_message_not_found"}), 1).await;
    answering(&server, "chat.postMessage", posted(), 1).await;
    let (bot, _) = slack_bot(&server.uri(), SlackGrowth::Update, PATIENT);
    assert_eq!(bot.send(&sample(SampleKind::Single), None).await, Ok(Some(handle())));
    let bodies = bodies(&server).await;
    assert!(bodies[0].1.get("client_msg_id").is_some() && bodies[1].1.get("client_msg_id").is_none());
}

#[tokio::test]
async fn an_odd_handle_is_none() {
    let server = MockServer::start().await;
    answering(&server, "chat.postMessage", posted(), 1).await;
    let (bot, _) = slack_bot(&server.uri(), SlackGrowth::Update, PATIENT);
    assert_eq!(bot.send(&grown(), Some(&Handle("odd".to_owned()))).await, Ok(Some(handle())));
}

#[tokio::test]
async fn a_token_that_is_refused_is_fetched_anew() {
    let server = MockServer::start().await;
    answering(&server, "chat.postMessage", json!({"ok": false, "error": "token_revoked"}), 1).await;
    let (bot, token) = slack_bot(&server.uri(), SlackGrowth::Update, PATIENT);
    let error = bot.send(&sample(SampleKind::Single), None).await;
    assert_eq!((error, token.refusals()), (Err(SendError::Refused("token_revoked".to_owned())), 1));
}

#[tokio::test]
async fn a_webhook_only_posts() {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_string("ok");
    Mock::given(path(format!("/services/{HUSH}"))).respond_with(answer).expect(1).mount(&server).await;
    let (hook, _) = slack_webhook(&server.uri(), PATIENT);
    assert_eq!(hook.growth(), Growth::Digests);
    assert_eq!(hook.send(&grown(), None).await, Ok(None));
    let (_, body) = bodies(&server).await.remove(0);
    assert!(body["blocks"].is_array() && body.get("channel").is_none());
}
