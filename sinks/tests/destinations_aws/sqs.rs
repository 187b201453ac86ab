use dial_rules::severity::Severity;
use dial_sinks::destinations::sqs::SqsSink;
use dial_sinks::samples::SampleKind;
use dial_sinks::sink::{SendError, Sink};
use dial_sinks::wire::wire;

use crate::cloud::{Cloud, attributes, body, message};

#[tokio::test]
async fn the_message_arrives_whole_with_its_attributes() {
    let cloud = Cloud::new();
    let queue = cloud.queue(false).await;
    let sink = SqsSink::new(&cloud.sqs, &queue.url).unwrap();
    for kind in SampleKind::ALL {
        let message = message("a", kind, Severity::High);
        assert_eq!(sink.send(&message, None).await, Ok(None));
        let received = cloud.received(&queue, 1).await;
        assert_eq!(body(&received[0]), wire(&message));
        assert_eq!(attributes(&received[0])["account"], r#"["111122223333"]"#);
        assert_eq!(attributes(&received[0]).len(), 7);
    }
}

#[tokio::test]
async fn a_fifo_queue_drops_repeats() {
    let cloud = Cloud::new();
    let queue = cloud.queue(true).await;
    let sink = SqsSink::new(&cloud.sqs, &queue.url).unwrap();
    let message = message("a", SampleKind::Single, Severity::High);
    for _ in 0..3 {
        sink.send(&message, None).await.unwrap();
    }
    assert_eq!(cloud.threads(&queue, 1).await, ["a"]);
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_named_and_worth_another_attempt() {
    let cloud = Cloud::new();
    let url = format!("{}-gone", cloud.queue(false).await.url);
    let sink = SqsSink::new(&cloud.sqs, &url).unwrap();
    let sent = sink.send(&message("a", SampleKind::Single, Severity::High), None).await;
    let Err(SendError::Unavailable(words)) = sent else { panic!("{sent:?}") };
    assert!(words.contains(&url), "{words}");
}
