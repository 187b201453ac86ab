//! `dial subscribe` as a child process, on ministack, with alerts published afterwards.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use dial_emulators::{Ministack, sdk_config, unique};
use dial_rules::severity::Severity;
use dial_sinks::destinations::sns::SnsSink;
use dial_sinks::samples::{SampleKind, sample};
use dial_sinks::sink::Sink;
use serde_json::{Value, json};
use support::{Ended, Folder};

struct World {
    folder: Folder,
    sns: aws_sdk_sns::Client,
    sqs: aws_sdk_sqs::Client,
    topic: String,
    queue: String,
}

impl World {
    async fn new() -> World {
        let config = sdk_config(&Ministack::shared().endpoint());
        let sns = aws_sdk_sns::Client::new(&config);
        let topic = sns.create_topic().name(unique("alerts")).send().await.unwrap().topic_arn.unwrap();
        let sqs = aws_sdk_sqs::Client::new(&config);
        World { folder: Folder::new(), sns, sqs, topic, queue: unique("triage") }
    }

    fn dial(&self, arguments: &str) -> Ended {
        let mut dial = self.folder.dial(arguments.split_whitespace());
        for (name, value) in Ministack::shared().env() {
            dial = dial.env(name, value);
        }
        dial.env("AWS_ENDPOINT_URL", Ministack::shared().endpoint()).run()
    }

    /// The command with these filters, and its report.
    fn subscribe(&self, filters: &str) -> Value {
        let ended = self.dial(&format!("subscribe --topic {} --queue {} {filters}", self.topic, self.queue));
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{}", ended.out);
        serde_json::from_str(&ended.out).unwrap()
    }

    async fn subscriptions(&self) -> usize {
        let listed = self.sns.list_subscriptions_by_topic().topic_arn(&self.topic).send().await.unwrap();
        listed.subscriptions().len()
    }

    /// Publishes the samples with different severities, and says the threads that arrived.
    async fn threads(&self, url: &str) -> Vec<String> {
        let sink = SnsSink::new(&self.sns, &self.topic).unwrap();
        for (thread, kind, severity) in [
            ("single", SampleKind::Single, Severity::Critical),
            ("mild", SampleKind::Correlated, Severity::Medium),
            ("grave", SampleKind::Correlated, Severity::High),
        ] {
            let mut message = sample(kind);
            (message.thread, message.severity) = (thread.to_owned(), severity);
            sink.send(&message, None).await.unwrap();
        }
        let mut threads = Vec::new();
        loop {
            let call = self.sqs.receive_message().queue_url(url).max_number_of_messages(10);
            let some = call.send().await.unwrap().messages.unwrap_or_default();
            if some.is_empty() {
                return threads;
            }
            for message in some {
                // As it was published, without SNS's envelope.
                let alert: Value = serde_json::from_str(message.body().unwrap()).unwrap();
                threads.push(alert["thread"].as_str().unwrap().to_owned());
                let receipt = message.receipt_handle().unwrap();
                self.sqs.delete_message().queue_url(url).receipt_handle(receipt).send().await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_queue_gets_the_alerts_that_pass() {
    let world = World::new().await;
    let report = world.subscribe("--min-severity high --kind correlated");
    assert_eq!(report["steps"].as_array().unwrap().len(), 3);
    assert_eq!(report["filter_policy"], json!({ "severity_rank": [{ "numeric": [">=", 4] }], "kind": ["correlated"] }));
    let url = report["queue_url"].as_str().unwrap();
    assert_eq!(world.threads(url).await, ["grave"]);

    let attributes = world.sqs.get_queue_attributes().queue_url(url).attribute_names("All".into()).send().await;
    let attributes = attributes.unwrap().attributes.unwrap();
    assert_eq!(attributes[&"SqsManagedSseEnabled".into()], "true");
    let policy: Value = serde_json::from_str(&attributes[&"Policy".into()]).unwrap();
    assert_eq!(policy["Statement"].as_array().unwrap().len(), 1);
    assert_eq!(policy["Statement"][0]["Condition"]["ArnEquals"]["aws:SourceArn"], json!(world.topic));
    assert_eq!(policy["Statement"][0]["Resource"], report["queue_arn"]);
}

#[tokio::test]
async fn doing_it_again_changes_nothing_and_other_options_change_the_filter() {
    let world = World::new().await;
    let first = world.subscribe("--kind single");
    let again = world.subscribe("--kind single");
    assert_eq!((&again["steps"], &again["subscription_arn"]), (&json!([]), &first["subscription_arn"]));
    let url = first["queue_url"].as_str().unwrap();
    assert_eq!(world.threads(url).await, ["single"]);
    let changed = world.subscribe("--technique T1098 --account 111122223333 --min-severity high");
    assert_eq!(changed["steps"], json!(["replace the subscription's filter policy"]));
    assert_eq!(world.threads(url).await, ["single", "grave"]);
    let everything = world.subscribe("");
    assert_eq!(everything["filter_policy"], json!({}));
    assert_eq!(world.threads(url).await, ["single", "mild", "grave"]);
    assert_eq!(world.subscribe("")["steps"], json!([]));
    assert_eq!(world.subscriptions().await, 1);
}

#[tokio::test]
async fn a_dry_run_does_nothing() {
    let world = World::new().await;
    let report = world.subscribe("--dry-run --kind single");
    assert_eq!((report["steps"].as_array().unwrap().len(), &report["applied"]), (3, &json!(false)));
    assert_eq!(world.subscriptions().await, 0);
    assert!(world.sqs.get_queue_url().queue_name(&world.queue).send().await.is_err());
    world.subscribe("--kind single");
    let report = world.subscribe("--dry-run");
    assert_eq!(report["steps"], json!(["replace the subscription's filter policy"]));
    assert_eq!(world.subscribe("--kind single")["steps"], json!([]));
}

#[tokio::test]
async fn people_are_told_how_to_read_it() {
    let world = World::new().await;
    let ended =
        world.folder.dial_on_terminal_of(180, &format!("subscribe --topic {} --queue {}", world.topic, world.queue));
    let mut ended = ended.env("AWS_ENDPOINT_URL", Ministack::shared().endpoint());
    for (name, value) in Ministack::shared().env() {
        ended = ended.env(name, value);
    }
    let ended = ended.run();
    assert_eq!(ended.code, 0, "{}", ended.out);
    for words in
        ["aws sqs receive-message --region us-east-1", "every alert passes", "aws sns unsubscribe", "create the queue"]
    {
        assert!(ended.out.contains(words), "{words}: {}", ended.out);
    }
}

#[tokio::test]
async fn mistakes_say_what_to_do() {
    let world = World::new().await;
    let topic = &world.topic;
    for (arguments, code, words) in [
        ("subscribe --queue q".to_owned(), 2, "--topic"),
        ("subscribe --queue q --topic alerts".to_owned(), 2, "arn:aws:sns:eu-west-1"),
        (format!("subscribe --queue q.fifo --topic {topic}"), 2, "FIFO topic only"),
        (format!("subscribe --queue q --topic {topic} --account 1"), 2, "twelve digits"),
        (format!("subscribe --queue q --topic {topic} --technique x"), 2, "T1098"),
        (format!("subscribe --queue q --topic {topic} --rule zzz"), 2, "dial rules list"),
        (format!("subscribe --queue q --topic {topic}-gone"), 3, "aws sns create-topic"),
        (format!("subscribe --queue q --topic {}", topic.replace("us-east-1", "eu-west-3")), 3, "--region eu-west-3"),
    ] {
        let ended = world.dial(&arguments);
        assert_eq!(ended.code, code, "{arguments}: {}", ended.err);
        assert!(ended.err.contains(words), "{arguments}: {}", ended.err);
        assert_eq!(ended.out, "");
    }
}

#[tokio::test]
async fn a_shortened_rule_id_is_completed() {
    let world = World::new().await;
    let listed = world.dial("rules list --json");
    let first: Value = serde_json::from_str(listed.out.lines().next().unwrap()).unwrap();
    let id = first["id"].as_str().or(first["rule_id"].as_str()).unwrap();
    let report = world.subscribe(&format!("--dry-run --rule {}", &id[..13]));
    assert_eq!(report["filter_policy"], json!({ "rule_id": [id] }));
}

#[tokio::test]
async fn without_a_topic_it_is_that_of_the_only_sink_that_has_one() {
    let world = World::new().await;
    let sink = |name: &str| format!("[sinks.{name}]\nkind = \"sns\"\ntopic = \"{}\"\n", world.topic);
    let dry_run = || world.dial(&format!("subscribe --queue {} --dry-run", world.queue));
    world.folder.write("dial.toml", sink("siem"));
    let ended = dry_run();
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{}", ended.out);
    world.folder.write("dial.toml", sink("siem") + &sink("other"));
    let ended = dry_run();
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("several topics") && ended.err.contains(&world.topic), "{}", ended.err);
}
