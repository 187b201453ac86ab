use aws_sdk_sns::config::Region;
use dial_rules::severity::Severity;
use dial_sinks::destinations::sns::SnsSink;
use dial_sinks::samples::SampleKind;
use dial_sinks::sink::{SendError, Sink};
use dial_sinks::wire::wire;
use serde_json::{Value, json};

use crate::cloud::{Cloud, attributes, body, message};

#[tokio::test]
async fn subscribers_get_what_their_filter_policy_lets_through() {
    let cloud = Cloud::new();
    let topic = cloud.topic(false).await;
    let grave = json!({ "severity_rank": [{ "numeric": [">=", 4] }], "kind": ["correlated"] });
    let of_account = json!({ "account": ["444455556666"], "sample": ["false"] });
    let of_technique = json!({ "technique": [{ "prefix": "T1078" }] });
    let of_rule = json!({ "rule_id": [{ "anything-but": ["noise"] }] });
    let all = cloud.subscribed(&topic, None).await;
    let mut filtered = Vec::new();
    for policy in [grave, of_account, of_technique, of_rule] {
        filtered.push(cloud.subscribed(&topic, Some(&policy)).await);
    }
    let sink = SnsSink::new(&cloud.sns, &topic).unwrap();
    let mut messages = vec![
        message("a", SampleKind::Single, Severity::Critical),
        message("b", SampleKind::Correlated, Severity::High),
        message("c", SampleKind::Correlated, Severity::Medium),
        message("d", SampleKind::Incident, Severity::Critical),
    ];
    // Of an incident one finding may be elsewhere, and that is a reason to hear of it.
    messages[3].others[1].finding.subject.account_id = Some("444455556666".to_owned());
    messages[3].others[1].finding.subject.techniques = vec!["T1078.004".to_owned()];
    messages[3].is_sample = false;
    messages[0].lead.finding.rule_id = "noise".to_owned();
    for message in &mut messages {
        message.of = [&message.lead].into_iter().chain(&message.others).map(|one| &one.finding).collect();
    }
    for message in &messages {
        assert_eq!(sink.send(message, None).await, Ok(None));
    }
    assert_eq!(cloud.threads(&all, 4).await, ["a", "b", "c", "d"]);
    let expected: [&[&str]; 4] = [&["b", "d"], &["d"], &["d"], &["b", "c", "d"]];
    for (queue, expected) in filtered.iter().zip(expected) {
        assert_eq!(cloud.threads(queue, expected.len()).await, expected);
    }
}

#[tokio::test]
async fn the_message_arrives_whole_with_its_attributes() {
    let cloud = Cloud::new();
    let topic = cloud.topic(false).await;
    let queue = cloud.subscribed(&topic, None).await;
    let sink = SnsSink::new(&cloud.sns, &topic).unwrap();
    let storm = message("storm", SampleKind::Storm, Severity::Medium);
    sink.send(&storm, None).await.unwrap();
    let received = cloud.received(&queue, 1).await;
    assert_eq!(body(&received[0]), wire(&storm));
    let attributes = attributes(&received[0]);
    let names: Vec<&str> = attributes.keys().map(String::as_str).collect();
    assert_eq!(names, ["account", "kind", "rule_id", "sample", "severity", "severity_rank", "technique"]);
    assert_eq!((attributes["severity"].as_str(), attributes["severity_rank"].as_str()), ("medium", "3"));
}

#[tokio::test]
async fn what_is_too_large_is_cut_and_arrives() {
    let cloud = Cloud::new();
    let topic = cloud.topic(false).await;
    let queue = cloud.subscribed(&topic, None).await;
    let sink = SnsSink::new(&cloud.sns, &topic).unwrap();
    let mut large = message("large", SampleKind::Storm, Severity::Medium);
    large.finding_ids = (0..20_000).map(|n| format!("{n:032x}")).collect();
    large.count = 20_000;
    sink.send(&large, None).await.unwrap();
    let received = cloud.received(&queue, 1).await;
    assert!(received[0].body().unwrap().len() <= 262_144);
    let alert = body(&received[0]);
    assert_eq!(alert["truncated"], json!(["findings", "finding_ids"]));
    assert!(alert["finding_ids"].as_array().unwrap().len() > 6_000);
    assert_eq!(alert["count"], Value::from(20_000));
}

#[tokio::test]
async fn a_fifo_topic_drops_repeats_and_keeps_the_order_of_an_alert() {
    let cloud = Cloud::new();
    let topic = cloud.topic(true).await;
    let queue = cloud.subscribed(&topic, None).await;
    let sink = SnsSink::new(&cloud.sns, &topic).unwrap();
    let first = message("alert", SampleKind::Single, Severity::High);
    let mut second = first.clone();
    (second.key, second.sequence) = ("alert-1".to_owned(), 1);
    for message in [&first, &first, &second, &first, &second] {
        sink.send(message, None).await.unwrap();
    }
    let received = cloud.received(&queue, 2).await;
    let keys: Vec<Value> = received.iter().map(|one| body(one)["key"].clone()).collect();
    assert_eq!(keys, ["alert-0", "alert-1"]);
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_named_and_worth_another_attempt() {
    let cloud = Cloud::new();
    let topic = cloud.topic(false).await;
    let message = message("a", SampleKind::Single, Severity::High);
    for wrong in [format!("{topic}-gone"), topic.replace("us-east-1", "eu-central-1")] {
        let sent = SnsSink::new(&cloud.sns, &wrong).unwrap().send(&message, None).await;
        let Err(SendError::Unavailable(words)) = sent else { panic!("{sent:?}") };
        assert!(words.contains(&wrong), "{words}");
    }
    // The region is the topic's, whatever the client's own is.
    let config = cloud.sns.config().to_builder().region(Region::new("ap-south-1")).build();
    let sink = SnsSink::new(&aws_sdk_sns::Client::from_conf(config), &topic).unwrap();
    assert_eq!(sink.send(&message, None).await, Ok(None));
}
