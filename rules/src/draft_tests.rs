#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Draft, file_name};
use crate::check;
use crate::decode::{Decoded, Decoder};
use crate::event::Event;
use crate::ruleset::{RuleFile, RuleSet};

const ID: &str = "7b7e6c39-6c6d-4d37-a2b1-0a5f4b8b3c01";

fn event(value: &Value) -> Event {
    match Decoder::record(value.to_string().as_bytes()).next() {
        Some(Decoded::Event(event)) => *event,
        other => panic!("no event: {other:?}"),
    }
}

fn call(name: &str, request: Value) -> Value {
    json!({"eventVersion": "1.11", "eventID": "e-1", "eventTime": "2024-05-01T00:00:00Z", "awsRegion": "us-east-1",
        "eventSource": "ec2.amazonaws.com", "eventName": name, "requestParameters": request,
        "userIdentity": {"type": "IAMUser", "userName": "alice"}})
}

/// The lines of the selection, without what every draft begins with.
fn selection(value: &Value) -> Vec<String> {
    let draft = Draft::of(&event(value), ID, None).unwrap();
    let lines = draft.rule.lines().skip_while(|line| line.trim() != "selection:").skip(1);
    let items = lines.take_while(|line| line.starts_with("        ")).map(|line| line.trim().to_owned());
    items.filter(|line| !line.starts_with("eventSource") && !line.starts_with("eventName")).collect()
}

#[test]
fn parameters_that_make_the_call_what_it_is_are_chosen_and_ids_are_not() {
    let cases: [(Value, &[&str]); 12] = [
        (
            json!({"groupId": "sg-0123456789abcdef0", "ipPermissions": {"items": [{"ipProtocol": "tcp", "fromPort": 22,
                "toPort": 22, "ipRanges": {"items": [{"cidrIp": "10.0.0.0/8"}, {"cidrIp": "0.0.0.0/0", "description": "all"}]}}]}}),
            &[
                "requestParameters.ipPermissions.items.fromPort: 22",
                "requestParameters.ipPermissions.items.ipProtocol: tcp",
                "requestParameters.ipPermissions.items.ipRanges.items.cidrIp: 0.0.0.0/0",
            ],
        ),
        (
            json!({"userName": "eve", "policyArn": "arn:aws-cn:iam::aws:policy/AdministratorAccess"}),
            &["requestParameters.policyArn|endswith: :policy/AdministratorAccess"],
        ),
        (json!({"userName": "eve", "policyArn": "arn:aws:iam::111122223333:policy/own"}), &[]),
        (json!({"bucketName": "b", "x-amz-acl": ["public-read"]}), &["requestParameters.x-amz-acl: public-read"]),
        (
            json!({"publiclyAccessible": true, "dBInstanceIdentifier": "prod-1"}),
            &["requestParameters.publiclyAccessible: true"],
        ),
        (
            json!({"flag": "true", "clientToken": "ABC", "a": 5, "b": null, "c": 1.5}),
            &["requestParameters.flag: 'true'"],
        ),
        (json!({"masterUserPassword": "HIDDEN_DUE_TO_SECURITY_REASONS", "k": "HIDDEN_DUE_TO_SECURITY_REASONS"}), &[]),
        (
            json!({"resourceType": "EC2_INSTANCE", "createdTime": "NOW", "tagSet": {"items": [{"key": "ENV"}]}}),
            &["requestParameters.resourceType: EC2_INSTANCE"],
        ),
        (json!({"a.b": true, "c|re": true, "d[0]": true, "": true}), &[]),
        (json!({"type": "a*b", "mode": "x\ny"}), &[]),
        (
            json!({"type": "yes: no", "mode": "'"}),
            &["requestParameters.type: 'yes: no'", "requestParameters.mode: ''''"],
        ),
        (Value::Null, &[]),
    ];
    for (request, expected) in cases {
        assert_eq!(selection(&call("Call", request.clone())), expected, "{request}");
    }
}

#[test]
fn who_signed_in_how_and_what_failed_are_chosen_too() {
    let mut login = call("ConsoleLogin", Value::Null);
    login["userIdentity"] = json!({"type": "Root"});
    login["responseElements"] = json!({"ConsoleLogin": "Success"});
    login["additionalEventData"] = json!({"MFAUsed": "No", "LoginTo": "https://example.com"});
    let expected =
        ["userIdentity.type: Root", "responseElements.ConsoleLogin: Success", "additionalEventData.MFAUsed: No"];
    assert_eq!(selection(&login).iter().map(|line| line.replace('\'', "")).collect::<Vec<_>>(), expected);
    let mut refused = call("CreateUser", Value::Null);
    refused["errorCode"] = json!("AccessDenied");
    let draft = Draft::of(&event(&refused), ID, None).unwrap();
    assert!(draft.rule.contains("errorCode: AccessDenied\n") && !draft.rule.contains("filter_failed"));
}

#[test]
fn findings_are_told_by_their_type() {
    let guardduty = json!({"schemaVersion": "2.0", "accountId": "111122223333", "region": "us-east-1", "id": "f",
        "type": "Recon:EC2/Port?", "severity": 5, "service": {}, "resource": {}, "createdAt": "2024-05-01T00:00:00Z",
        "updatedAt": "2024-05-01T00:00:00Z"});
    assert_eq!(selection(&guardduty), [r"type: Recon:EC2/Port\?"]);
    let hub = json!({"Id": "f", "UpdatedAt": "2024-05-01T00:00:00Z", "ProductArn": "arn:x", "AwsAccountId": "111122223333",
        "Types": ["TTPs/Discovery"], "GeneratorId": "arn:aws:x", "SchemaVersion": "2018-10-08", "Title": "t"});
    assert_eq!(selection(&hub), ["Types: TTPs/Discovery"]);
}

#[test]
fn a_draft_checks_without_errors_and_says_what_is_left_to_write() {
    let draft = Draft::of(&event(&call("CreateUser", Value::Null)), ID, Some("A  user:\nmade")).unwrap();
    assert_eq!(draft.name, "a_user_made");
    let file = |name: &str, text: &str| vec![RuleFile { name: name.into(), text: text.into() }];
    let (files, tests) = (file("a.yml", &draft.rule), file("a.test.yml", &draft.tests));
    let loaded = RuleSet::load(&files);
    let rule = &loaded.rules.rules()[0];
    assert_eq!(
        (rule.title.as_str(), rule.id.as_str(), rule.status.as_deref()),
        ("A user: made", ID, Some("experimental"))
    );
    let checked = check::check(&loaded.rules, &files, &tests, true);
    let remarks: Vec<&str> = checked.remarks.iter().map(|remark| remark.message.as_str()).collect();
    assert!(checked.errors.is_empty() && remarks.len() == 2, "{checked:?}");
    assert!(remarks[0].contains("no tactic `todo`") && remarks[1].contains("left to write"), "{remarks:?}");
}

#[test]
fn names_of_files_are_plain() {
    for (title, name) in [
        ("CreateUser", "create_user"),
        ("DeleteDBInstance", "delete_dbinstance"),
        ("MFA device removed", "mfa_device_removed"),
        ("../../etc/passwd", "etc_passwd"),
        ("Größe!", "gr_e"),
        ("…", "rule"),
        ("CreateFunction20150331", "create_function20150331"),
    ] {
        assert_eq!(file_name(title), name);
    }
    assert!(file_name(&"x".repeat(500)).len() <= 60);
}

fn parameters() -> impl Strategy<Value = Value> {
    let name = prop_oneof!["[a-zA-Z]{1,8}", Just("cidrIp".to_owned()), Just("type".to_owned()), ".{0,6}"];
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(Value::Null),
        prop_oneof!["[A-Z_]{0,12}", ".{0,20}", "[ \\t:#'\"*?|>&%@`{},-]{1,4}", "0\\.0\\.0\\.0/0", "true", "[0-9]{1,4}"]
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..4).prop_map(|members| json!(members)),
        ]
    })
}

proptest! {
    /// Whatever the event: its draft loads, finds it, and passes its own tests.
    #[test]
    fn every_call_can_be_drafted_from(request in parameters(), name in "[A-Za-z*?\\\\0-9:. ']{1,20}", title in ".{1,30}") {
        let drafted = Draft::of(&event(&call(&name, request.clone())), ID, Some(&title));
        prop_assert!(drafted.is_ok(), "{drafted:?}");
    }
}
