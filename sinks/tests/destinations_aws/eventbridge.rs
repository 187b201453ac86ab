use aws_sdk_eventbridge::types::Target;
use dial_emulators::unique;
use dial_rules::severity::Severity;
use dial_sinks::destinations::eventbridge::EventBridgeSink;
use dial_sinks::samples::SampleKind;
use dial_sinks::sink::{SendError, Sink};
use dial_sinks::wire::wire;
use serde_json::{Value, json};
use wiremock::matchers::{body_json, header};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::cloud::{Cloud, body, message};

async fn bus(cloud: &Cloud) -> (String, String) {
    let name = unique("bus");
    let arn = cloud.events.create_event_bus().name(&name).send().await.unwrap().event_bus_arn.unwrap();
    (name, arn)
}

#[tokio::test]
async fn a_rule_sends_alerts_on_to_a_queue() {
    let cloud = Cloud::new();
    let (name, arn) = bus(&cloud).await;
    let queue = cloud.queue(false).await;
    let pattern = json!({
        "source": ["dial"],
        "detail-type": ["DIAL Alert"],
        "detail": { "severity": ["high", "critical"], "is_sample": [true], "finding": { "kind": ["correlated"] } },
    });
    let rule = cloud.events.put_rule().name("grave").event_bus_name(&name).event_pattern(pattern.to_string());
    rule.send().await.unwrap();
    let target = Target::builder().id("queue").arn(&queue.arn).build().unwrap();
    cloud.events.put_targets().rule("grave").event_bus_name(&name).targets(target).send().await.unwrap();
    let sink = EventBridgeSink::new(&cloud.events, &arn).unwrap();
    let grave = message("grave", SampleKind::Correlated, Severity::Critical);
    for message in [
        &message("single", SampleKind::Single, Severity::Critical),
        &message("mild", SampleKind::Correlated, Severity::Low),
        &grave,
    ] {
        assert_eq!(sink.send(message, None).await, Ok(None));
    }
    let received = cloud.received(&queue, 1).await;
    assert_eq!(received.len(), 1);
    let event = body(&received[0]);
    assert_eq!((event["source"].as_str(), event["detail-type"].as_str()), (Some("dial"), Some("DIAL Alert")));
    assert_eq!(event["detail"], wire(&grave));
    assert_eq!(event["detail"]["key"], "grave-0");
}

#[tokio::test]
async fn a_bus_that_is_not_there_is_named_and_worth_another_attempt() {
    let cloud = Cloud::new();
    let (_, arn) = bus(&cloud).await;
    let message = message("a", SampleKind::Single, Severity::High);
    for wrong in [format!("{arn}-gone"), arn.replace("us-east-1", "eu-central-1")] {
        let sent = EventBridgeSink::new(&cloud.events, &wrong).unwrap().send(&message, None).await;
        let Err(SendError::Unavailable(words)) = sent else { panic!("{sent:?}") };
        assert!(words.contains(&wrong), "{words}");
    }
}

/// A server that takes events, and says this of buses.
async fn taking(status: u16, of_bus: Value) -> MockServer {
    let server = MockServer::start().await;
    let json =
        |status: u16, body: Value| ResponseTemplate::new(status).set_body_raw(body.to_string(), "application/json");
    let target = |name: &str| header("x-amz-target", format!("AWSEvents.{name}").as_str());
    Mock::given(target("DescribeEventBus")).respond_with(json(status, of_bus)).mount(&server).await;
    let taken = json(200, json!({ "FailedEntryCount": 0, "Entries": [{ "EventId": "1" }] }));
    Mock::given(target("PutEvents")).respond_with(taken).mount(&server).await;
    server
}

#[tokio::test]
async fn a_bus_of_which_nothing_can_be_known_gets_its_alerts() {
    let denied = json!({ "__type": "AccessDeniedException", "message": "no" });
    let of_another = json!({ "Name": "default", "Arn": "arn:aws:events:us-east-1:444455556666:event-bus/default" });
    for (status, of_bus, looks) in [(400, denied, 1), (200, of_another, 2)] {
        let server = taking(status, of_bus).await;
        let bus = "arn:aws:events:us-east-1:111122223333:event-bus/alerts";
        let sink = EventBridgeSink::new(&Cloud::at(&server.uri()).events, bus).unwrap();
        for _ in 0..3 {
            assert_eq!(sink.send(&message("a", SampleKind::Single, Severity::High), None).await, Ok(None));
        }
        assert_eq!(server.received_requests().await.unwrap().len(), 3 + looks, "it is looked at once");
    }
}

#[tokio::test]
async fn a_bus_that_is_gone_gets_nothing() {
    // What EventBridge does: it takes the events all the same.
    let server = taking(400, json!({ "__type": "ResourceNotFoundException", "message": "no" })).await;
    let own = json!({ "Arn": "arn:aws:events:us-east-1:111122223333:event-bus/default" });
    let default = Mock::given(body_json(json!({ "Name": "default" })))
        .respond_with(ResponseTemplate::new(200).set_body_raw(own.to_string(), "application/json"));
    default.with_priority(1).mount(&server).await;
    let bus = "arn:aws:events:us-east-1:111122223333:event-bus/alerts";
    let sink = EventBridgeSink::new(&Cloud::at(&server.uri()).events, bus).unwrap();
    let sent = sink.send(&message("a", SampleKind::Single, Severity::High), None).await;
    assert!(matches!(&sent, Err(SendError::Unavailable(words)) if words.contains("there is no bus")), "{sent:?}");
}
