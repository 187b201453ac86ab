//! Security Hub: what is imported, how it is signed, and what comes of findings that are not taken.

use std::time::Duration;

use chrono::{DateTime, Utc};
use dial_sinks::destinations::security_hub::{Hub, findings};
use dial_sinks::message::Message;
use dial_sinks::samples::{SampleKind, sample};
use dial_sinks::sink::{Growth, SendError};
use dial_sinks::text::units;
use hmac::{Hmac, Mac};
use insta::assert_json_snapshot;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::golden::TOLD;
use crate::hostile::{self, render};
use crate::server::{HUSH, security_hub};

const PATIENT: Duration = Duration::from_secs(30);

fn hub() -> Hub {
    Hub::new("999988887777", "eu-west-1").unwrap()
}

fn now() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2026-03-03T10:05:00Z").unwrap().with_timezone(&Utc)
}

fn of(message: &Message) -> Vec<Value> {
    findings(message, &hub(), now())
}

#[test]
fn golden() {
    for (kind, name) in TOLD {
        let mut findings = of(&sample(kind));
        if kind == SampleKind::Storm {
            // Of twenty-one that are alike, two.
            assert_eq!(findings.len(), 21);
            findings.truncate(2);
        }
        assert_json_snapshot!(format!("security_hub_{name}"), findings);
    }
}

#[test]
fn every_finding_of_a_storm_is_named() {
    let storm = sample(SampleKind::Storm);
    let said = Value::from(of(&storm)).to_string();
    assert_eq!(storm.finding_ids.iter().filter(|id| said.contains(id.as_str())).count(), 1_000);
}

#[test]
fn security_hub_takes_it_and_shows_text() {
    let texts = hostile::texts().into_iter().chain(["字".repeat(5_000), "\"".repeat(5_000), String::new()]);
    for message in texts.flat_map(|text| hostile::messages(&text)) {
        for finding in of(&message) {
            assert!(finding.to_string().len() < 240 * 1_024);
            let text = |name: &str| finding[name].as_str().unwrap();
            for (name, most) in [("Title", 256), ("Description", 1_024), ("GeneratorId", 512)] {
                assert!((1..=most).contains(&units(text(name))), "{name}");
                render::no_links(text(name)).unwrap();
            }
            assert!((1..=32).contains(&finding["Resources"].as_array().unwrap().len()));
            assert_eq!(finding["Resources"][0]["Id"].as_str().unwrap().len(), "AWS::::Account:".len() + 12);
            assert!((1..=50).contains(&finding["Types"].as_array().unwrap().len()));
            for resource in finding["Resources"].as_array().unwrap() {
                assert!(!resource["Id"].as_str().unwrap().is_empty());
                let other = resource["Details"]["Other"].as_object().into_iter().flatten();
                other.for_each(|(name, value)| assert!(!value.as_str().unwrap().is_empty(), "{name}"));
            }
            let fields = finding["ProductFields"].as_object().unwrap();
            assert!(fields.values().all(|value| !value.as_str().unwrap().is_empty()));
            assert!(fields.len() <= 50 && fields.values().all(|value| units(value.as_str().unwrap()) <= 2_048));
            assert!(finding["Network"]["SourceIpV4"].is_null(), "an address that is none");
            if let Some(url) = finding["SourceUrl"].as_str() {
                assert!(render::HOSTS.iter().any(|host| url.starts_with(host)), "{url}");
            }
            for line in [text("Title"), text("Description")] {
                render::visible(line).unwrap();
            }
        }
    }
}

/// The signature that a request should have: AWS Signature Version 4, written down anew.
fn signature(request: &Request, secret: &str) -> String {
    let header = |name: &str| request.headers.get(name).unwrap().to_str().unwrap();
    let authorization = header("authorization");
    let part = |name: &str| authorization.split_once(&format!("{name}=")).unwrap().1.split(',').next().unwrap().trim();
    let names = part("SignedHeaders");
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let headers: String = names.split(';').map(|name| format!("{name}:{}\n", header(name).trim())).collect();
    let body = hex(&Sha256::digest(&request.body));
    let canonical = format!("POST\n{}\n\n{headers}\n{names}\n{body}", request.url.path());
    let scope = part("Credential").split_once('/').unwrap().1;
    let text =
        format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{}", header("x-amz-date"), hex(&Sha256::digest(canonical.as_bytes())));
    let mac = |key: &[u8], text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, part| mac(&key, part));
    hex(&mac(&key, &text))
}

#[tokio::test]
async fn findings_are_imported_in_one_signed_call() {
    let server = MockServer::start().await;
    let taken = json!({"FailedCount": 0, "SuccessCount": 21, "FailedFindings": []});
    let mock = Mock::given(method("POST")).and(path("/findings/import"));
    mock.respond_with(ResponseTemplate::new(200).set_body_json(taken)).expect(1).mount(&server).await;
    let sink = security_hub(&server.uri(), PATIENT);
    assert_eq!((sink.growth(), sink.send(&sample(SampleKind::Storm), None).await), (Growth::Updates, Ok(None)));
    let request = server.received_requests().await.unwrap().remove(0);
    let authorization = request.headers.get("authorization").unwrap().to_str().unwrap();
    assert!(authorization.contains("/eu-west-1/securityhub/aws4_request"), "{authorization}");
    assert!(authorization.ends_with(&format!("Signature={}", signature(&request, HUSH))), "{authorization}");
    assert!(authorization.contains("content-type;host;x-amz-date;x-amz-security-token"), "{authorization}");
    let sent: Value = request.body_json().unwrap();
    assert_eq!(sent["Findings"].as_array().unwrap().len(), 21);
    assert_eq!(sent["Findings"][0]["AwsAccountId"], "999988887777");
}

#[tokio::test]
async fn findings_that_are_not_taken_are_not_sent() {
    for (code, is_right) in [
        ("InvalidInput", (|error| matches!(error, SendError::Rejected(_))) as fn(&SendError) -> bool),
        ("InternalException", |error| matches!(error, SendError::Unavailable(_))),
        ("LimitExceededException", |error| matches!(error, SendError::Limited { .. })),
    ] {
        let server = MockServer::start().await;
        let failed = json!([{"Id": "x", "ErrorCode": code, "ErrorMessage": "words"}]);
        let told = json!({"FailedCount": 1, "SuccessCount": 2, "FailedFindings": failed});
        Mock::given(method("POST")).respond_with(ResponseTemplate::new(200).set_body_json(told)).mount(&server).await;
        let error = security_hub(&server.uri(), PATIENT).send(&sample(SampleKind::Incident), None).await.unwrap_err();
        assert!(is_right(&error), "{error:?}");
    }
}
