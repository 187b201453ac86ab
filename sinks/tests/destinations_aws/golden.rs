//! What each sink puts on the wire, as golden files. The requests are real; what differs from run to run is left out.

use std::collections::BTreeMap;

use dial_sinks::destinations::eventbridge::EventBridgeSink;
use dial_sinks::destinations::sns::SnsSink;
use dial_sinks::destinations::sqs::SqsSink;
use dial_sinks::samples::{SampleKind, sample};
use dial_sinks::sink::Sink;
use reqwest::Url;
use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::cloud::Cloud;

/// The body of the only request that `send` makes.
async fn request(server: &MockServer, sink: &dyn Sink, kind: SampleKind) -> String {
    // The answer is none that any sink takes; what it was sent counts.
    let _ = sink.send(&sample(kind), None).await;
    let request = server.received_requests().await.unwrap().pop().unwrap();
    String::from_utf8(request.body).unwrap()
}

async fn server() -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(
            ResponseTemplate::new(500).set_body_raw("{\"__type\":\"InternalFailure\"}", "application/x-amz-json-1.1"),
        )
        .mount(&server)
        .await;
    server
}

/// The alert's text as JSON; ids beyond the third as their number.
fn unfold(text: &Value) -> Value {
    let mut alert: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
    for list in ["findings", "finding_ids"] {
        let values = alert[list].as_array_mut().unwrap();
        if values.len() > 3 {
            let more = values.len() - 2;
            values.truncate(2);
            values.push(json!(format!("… {more} more")));
        }
    }
    alert
}

fn lower(kind: SampleKind) -> String {
    format!("{kind:?}").to_lowercase()
}

const TOLD: [SampleKind; 3] = [SampleKind::Single, SampleKind::Correlated, SampleKind::Storm];

#[tokio::test]
async fn sns() {
    let server = server().await;
    let sink = SnsSink::new(&Cloud::at(&server.uri()).sns, "arn:aws:sns:us-east-1:111122223333:alerts.fifo").unwrap();
    for kind in TOLD {
        let form = request(&server, &sink, kind).await;
        let form = Url::parse(&format!("http://form/?{form}")).unwrap();
        let mut fields: BTreeMap<String, Value> =
            form.query_pairs().map(|(name, value)| (name.into_owned(), Value::from(value.into_owned()))).collect();
        // Attributes are a map, and come in any order.
        let mut attributes = BTreeMap::new();
        for at in 1..=7 {
            let mut take = |part: &str| {
                let value = fields.remove(&format!("MessageAttributes.entry.{at}.{part}")).unwrap();
                value.as_str().unwrap().to_owned()
            };
            let value = format!("{} ({})", take("Value.StringValue"), take("Value.DataType"));
            attributes.insert(take("Name"), value);
        }
        fields.insert("MessageAttributes".to_owned(), json!(attributes));
        let alert = unfold(&fields["Message"]);
        fields.insert("Message".to_owned(), alert);
        insta::assert_json_snapshot!(format!("sns_{}", lower(kind)), fields);
    }
}

#[tokio::test]
async fn sqs() {
    let server = server().await;
    let url = format!("{}/111122223333/alerts.fifo", server.uri());
    let sink = SqsSink::new(&Cloud::at(&server.uri()).sqs, &url).unwrap();
    for kind in TOLD {
        let mut sent: Value = serde_json::from_str(&request(&server, &sink, kind).await).unwrap();
        sent["MessageBody"] = unfold(&sent["MessageBody"]);
        sent["QueueUrl"] = json!(sent["QueueUrl"].as_str().unwrap().replace(&server.uri(), "https://sqs"));
        insta::assert_json_snapshot!(format!("sqs_{}", lower(kind)), sent);
    }
}

#[tokio::test]
async fn eventbridge() {
    let server = server().await;
    let bus = "arn:aws:events:us-east-1:111122223333:event-bus/alerts";
    let sink = EventBridgeSink::new(&Cloud::at(&server.uri()).events, bus).unwrap();
    for kind in TOLD {
        let mut sent: Value = serde_json::from_str(&request(&server, &sink, kind).await).unwrap();
        sent["Entries"][0]["Detail"] = unfold(&sent["Entries"][0]["Detail"]);
        insta::assert_json_snapshot!(format!("eventbridge_{}", lower(kind)), sent);
    }
}
