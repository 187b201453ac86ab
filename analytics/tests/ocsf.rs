//! Findings as OCSF's Detection Findings, held to facts of OCSF's schema: ocsf-1.6.0.json, whose head says what it is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use dial_analytics::ocsf::{VERSION, detection_finding};
use dial_rules::policy::Status;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::findings::{correlated, guardduty_finding, single, with_context, with_status};
use support::ocsf_facts::Facts;

const WRITTEN: i64 = 1_714_608_000_000;

fn faults(document: &Value) -> Vec<String> {
    Facts::read().faults(document)
}

#[test]
fn the_facts_are_of_the_version_that_is_stated() {
    assert_eq!(Facts::read().version(), VERSION);
}

#[test]
fn every_kind_of_finding_is_a_detection_finding() {
    let mut documents = vec![];
    for finding in [single(), correlated(), guardduty_finding(), with_context(single()), with_context(correlated())] {
        for status in Status::ALL {
            for version in [0, 1, 2, u64::MAX >> 1] {
                documents.push(detection_finding(&with_status(finding.clone(), status), version, WRITTEN));
            }
        }
    }
    let mut bare = single();
    let subject = &mut bare.finding.subject;
    (subject.account_id, subject.region, subject.actor, subject.source_ip) = (None, None, None, None);
    (subject.actor_arn, subject.origin) = (None, Default::default());
    subject.techniques = vec!["T9999".to_owned(), "nonsense".to_owned()];
    documents.push(detection_finding(&bare, 1, WRITTEN));
    bare.finding.evidence.clear();
    documents.push(detection_finding(&bare, 1, WRITTEN));
    for document in documents {
        assert_eq!(faults(&document), Vec::<String>::new(), "{document:#}");
    }
}

#[test]
fn a_document_says_what_the_finding_says() {
    let assessment = with_status(with_context(single()), Status::Suppressed);
    let document = detection_finding(&assessment, 3, WRITTEN);
    let is = |pointer: &str, expected: Value| {
        assert_eq!(document.pointer(pointer), Some(&expected), "{pointer}\n{document:#}")
    };
    is("/class_uid", json!(2004));
    is("/category_uid", json!(2));
    is("/type_uid", json!(200_402));
    is("/activity_id", json!(2));
    is("/severity_id", json!(4));
    is("/status_id", json!(3));
    is("/status_detail", json!("a test (alice, until 2030-12-31)"));
    is("/is_alert", json!(false));
    is("/time", json!(assessment.finding.first_seen));
    is("/metadata/version", json!("1.6.0"));
    is("/metadata/uid", json!(format!("{}:3", assessment.finding.finding_id)));
    is("/metadata/profiles", json!(["cloud", "host"]));
    is("/finding_info/uid", json!(assessment.finding.finding_id));
    is("/finding_info/analytic/uid", json!(assessment.finding.rule_id));
    is("/finding_info/attacks/0/technique/uid", json!("T1098"));
    is("/finding_info/attacks/0/sub_technique/uid", json!("T1098.001"));
    is(
        "/finding_info/attacks/0/tactic",
        json!({"uid": "TA0003", "name": "Persistence", "src_url": "https://attack.mitre.org/tactics/TA0003/"}),
    );
    is("/finding_info/attacks/1/tactic/name", json!("Privilege Escalation"));
    is("/finding_info/related_events/0/uid", json!("event-1"));
    is("/cloud/provider", json!("AWS"));
    is("/cloud/account/uid", json!("111122223333"));
    is("/cloud/account/name", json!("payments"));
    is("/cloud/account/labels", json!(["environment:production", "ou:/Workloads"]));
    is("/cloud/region", json!("eu-west-1"));
    is("/actor/user/uid", json!("arn:aws:iam::111122223333:user/alice"));
    is("/actor/user/type_id", json!(1));
    is("/actor/user/programmatic_credentials", json!([{"uid": "AKIAIOSFODNN7EXAMPLE"}]));
    is("/evidences/0/api/operation", json!("CreateAccessKey"));
    is("/evidences/0/api/service/name", json!("iam.amazonaws.com"));
    is("/evidences/0/src_endpoint/ip", json!("192.0.2.1"));
    is("/evidences/0/src_endpoint/location/country", json!("DE"));
    is("/resources/0/name", json!("bob"));
    let values: Vec<&Value> = document["observables"].as_array().unwrap().iter().map(|o| &o["value"]).collect();
    for value in
        ["192.0.2.1", "alice", "AKIAIOSFODNN7EXAMPLE", "arn:aws:iam::111122223333:user/alice", "111122223333", "bob"]
    {
        assert!(values.contains(&&json!(value)), "{value}: {values:?}");
    }
    assert_eq!(document["unmapped"]["status_by"]["owner"], "alice");
    let first = detection_finding(&with_status(single(), Status::Open), 1, WRITTEN);
    let of = |name: &str| &first[name];
    assert_eq!(
        [of("activity_id"), of("type_uid"), of("status_id"), of("is_alert")],
        [&json!(1), &json!(200_401), &json!(1), &json!(true)]
    );
    assert_eq!(first["finding_info"]["created_time"], WRITTEN);
}

#[test]
fn a_correlation_shows_all_its_events_and_its_group() {
    let assessment = correlated();
    let document = detection_finding(&assessment, 1, WRITTEN);
    assert_eq!(document["evidences"].as_array().unwrap().len(), assessment.finding.evidence.len());
    assert_eq!(document["finding_info"]["related_events_count"], assessment.finding.event_count);
    assert_eq!(document["unmapped"]["group"], json!({"dial.actor": "alice"}));
    assert_eq!(document["evidences"][1]["actor"]["user"]["name"], "bob");
    assert_eq!(document["evidences"][1]["src_endpoint"], json!({"svc_name": "cloudformation.amazonaws.com"}));
    let guardduty = detection_finding(&guardduty_finding(), 1, WRITTEN);
    assert_eq!(
        guardduty["finding_info"]["types"],
        json!(["Single event", "UnauthorizedAccess:IAMUser/MaliciousIPCaller"])
    );
}

/// Every attribute that is required, taken away, and every enumeration, with a number that it does not have: the checker
/// has to say so, or it proves nothing.
#[test]
fn the_checker_catches_what_is_missing_and_what_is_wrong() {
    let facts = Facts::read();
    let document = detection_finding(&with_status(with_context(correlated()), Status::Muted), 2, WRITTEN);
    let places = facts.places(&document);
    assert!(
        places.required.len() > 30 && places.enumerated.len() > 15,
        "{} {}",
        places.required.len(),
        places.enumerated.len()
    );
    for pointer in &places.required {
        let mut broken = document.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        broken.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name).unwrap();
        assert!(!faults(&broken).is_empty(), "without {pointer}");
    }
    for pointer in &places.enumerated {
        let mut broken = document.clone();
        *broken.pointer_mut(pointer).unwrap() = json!(4711);
        assert!(!faults(&broken).is_empty(), "{pointer} is 4711");
    }
    for (pointer, wrong) in [
        ("/time", json!("2024-05-01T12:00:00Z")),
        ("/severity", json!("Grave")),
        ("/status", json!(null)),
        ("/unheard_of", json!(1)),
        ("/finding_info/title", json!(1)),
        ("/finding_info/types", json!("one")),
        ("/finding_info/attacks/0", json!({})),
        ("/cloud/account", json!({"type_id": 10, "type": "AWS Account"})),
        ("/metadata/profiles", json!(["cloud"])),
        ("/type_uid", json!(200_401)),
        ("/evidences/0/src_endpoint", json!({"ip": "localhost"})),
        ("/actor/user/credential_uid", json!("AKIA")),
    ] {
        let mut broken = document.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        match broken.pointer_mut(parent).unwrap() {
            Value::Array(items) => items[name.parse::<usize>().unwrap()] = wrong,
            object => object[name] = wrong,
        }
        assert!(!faults(&broken).is_empty(), "{pointer}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever events and rules say.
    #[test]
    fn no_text_makes_a_document_wrong(
        texts in proptest::collection::vec(proptest::option::of(".{0,12}"), 8), count in 0u64..20_000, version in 0u64..9,
    ) {
        let mut assessment = with_context(correlated());
        let text = |n: usize| texts[n].clone();
        let subject = &mut assessment.finding.subject;
        (subject.account_id, subject.region, subject.actor) = (text(0), text(1), text(2));
        (subject.source_ip, subject.actor_arn) = (text(3), text(4));
        subject.techniques = texts[5..8].iter().flatten().cloned().collect();
        subject.rule_title = text(7).unwrap_or_default();
        assessment.finding.event_count = count;
        let document = detection_finding(&assessment, version, WRITTEN);
        prop_assert_eq!(faults(&document), Vec::<String>::new());
    }
}
