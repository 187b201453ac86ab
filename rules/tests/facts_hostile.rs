//! Hostile events: facts never panic, end soon, and say what they could not judge.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::time::{Duration, Instant};

use dial_rules::decode::{Decoded, Decoder};
use dial_rules::event::Event;
use dial_rules::facts::{Facts, Value, all};
use dial_rules::tables::Tables;
use proptest::prelude::*;
use serde_json::json;
use support::event;

fn written(document: &str) -> Event {
    event(&json!({"eventName": "PutRolePolicy", "requestParameters": {"policyDocument": document}}))
}

fn on_resource(document: &str) -> Event {
    event(&json!({"eventSource": "sqs.amazonaws.com", "eventName": "SetQueueAttributes",
        "requestParameters": {"attributes": {"Policy": document}}}))
}

fn holds(event: &Event, fact: &str) -> bool {
    Facts::new(event, &Tables::default()).get(fact) == Some(Value::Flag(true))
}

/// Reads every fact and says how long that took.
#[allow(clippy::disallowed_methods)] // a test may look at the clock
fn read_all(event: &Event) -> Duration {
    let begin = Instant::now();
    let tables = Tables { critical_names: vec!["*a*b*c*".to_owned()], ..Tables::default() };
    let facts = Facts::new(event, &tables);
    assert!(!facts.present().is_empty());
    begin.elapsed()
}

/// Far more than it takes (a debug build on a busy machine), far less than a blow-up would.
const SOON: Duration = Duration::from_secs(20);

fn repeated(piece: &str, bytes: usize) -> String {
    piece.repeat(bytes / piece.len())
}

const MEGABYTE: usize = 1_000_000;

#[test]
fn large_documents_take_bounded_time_and_are_said_to_be_large() {
    let statement = r#"{"Effect":"Allow","Action":["s3:Get*","s3:*a*b*c*"],"Resource":["arn:aws:s3:::*a*/*b*"]},"#;
    let public = r#"{"Effect":"Allow","Principal":{"AWS":"*"},"Action":["s3:*a*b","s3:x"],"Resource":"*x*"},{"Effect":"Deny","Principal":"*","Action":"s3:*z*y","Resource":"*y*"},"#;
    let wild = format!("\"{}b\",", "a*".repeat(900));
    let documents = [
        format!(r#"{{"Statement":[{}{{}}]}}"#, repeated(statement, MEGABYTE)),
        format!(r#"{{"Statement":[{}{{}}]}}"#, repeated(public, MEGABYTE)),
        format!(r#"{{"Statement":{{"Effect":"Allow","Resource":"*","Action":[{}"x"]}}}}"#, repeated(&wild, MEGABYTE)),
        format!(r#"{{"Statement":{{"Effect":"Allow","Action":"*","Resource":[{}"x"]}}}}"#, repeated(&wild, MEGABYTE)),
        format!(r#"{{"Statement":{{"Effect":"Allow","Action":"{}","Resource":"*"}}}}"#, repeated("*a", MEGABYTE)),
        format!(
            r#"{{"Statement":{{"Effect":"Allow","Principal":{{"AWS":[{}"*"]}},"Action":"*"}}}}"#,
            repeated("\"111122223333\",", MEGABYTE)
        ),
        format!(
            r#"{{"Statement":{{"Effect":"Allow","Principal":"*","Action":"*","Condition":{{"IpAddress":{{"aws:SourceIp":[{}"10.0.0.0/8"]}}}}}}}}"#,
            repeated("\"3.0.0.0/9\",", MEGABYTE)
        ),
        // Few statements with many patterns each, allowing and denying: what is compared pair by pair.
        format!(
            r#"{{"Statement":[{}{}{{}}]}}"#,
            format!(
                r#"{{"Effect":"Allow","Principal":"*","Action":[{0}"x"],"Resource":[{0}"x"]}},"#,
                repeated("\"*a*b*c\",", 1_000)
            )
            .repeat(10),
            repeated(r#"{"Effect":"Deny","Principal":"*","Action":"*a*b*c","Resource":"*a*b*d"},"#, MEGABYTE / 2)
        ),
        format!(
            r#"{{"Statement":{{"Effect":"Allow","Principal":{{"Federated":[{}"x"]}},"Action":"*","Condition":{{"StringLike":{{{}"x":"y"}}}}}}}}"#,
            repeated("\"app.terraform.io\",", MEGABYTE / 20),
            (0..60_000).map(|n| format!("\"app.terraform.io:sub{n}\":\"*\",")).collect::<String>()
        ),
        format!(r#"{{{}"Statement":[]}}"#, (0..60_000).map(|n| format!("\"key{n}\":1,")).collect::<String>()),
    ];
    for (at, document) in documents.iter().enumerate() {
        for event in [written(document), on_resource(document)] {
            let took = read_all(&event);
            assert!(took < SOON, "document {at}: {took:?}");
            let within_bounds = matches!(at, 2 | 3 | 9); // few patterns, or none
            assert_eq!(holds(&event, "dial.policy.too_large"), !within_bounds, "document {at}");
        }
    }
    let beyond = written(&format!(r#"{{"Id":"{}","Statement":[]}}"#, "x".repeat(1 << 20)));
    assert!(holds(&beyond, "dial.policy.too_large"));
}

#[test]
fn what_is_large_still_counts_as_far_as_it_is_judged() {
    let filler = repeated(r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"},"#, MEGABYTE);
    let first = r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#;
    let event = written(&format!(r#"{{"Statement":[{first},{filler}{{}}]}}"#));
    assert!(holds(&event, "dial.policy.admin") && holds(&event, "dial.policy.too_large"));
    // A condition whose values were left out must not seem stricter than it is.
    let long = "x".repeat(3_000);
    let condition = format!(r#"{{"StringLike":{{"aws:PrincipalOrgID":["{long}","o-exampleorg1"]}}}}"#);
    let event = on_resource(&format!(
        r#"{{"Statement":{{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{condition}}}}}"#
    ));
    assert!(holds(&event, "dial.policy.public") && holds(&event, "dial.policy.too_large"));
}

#[test]
fn deep_documents_are_unreadable() {
    for depth in [50, 127, 128, 5_000, 400_000] {
        let document = format!(r#"{{"Statement":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        let event = written(&document);
        assert!(holds(&event, "dial.policy.unreadable"), "{depth}");
        assert!(read_all(&event) < SOON);
    }
    let quoted = (0..6).fold("{}".to_owned(), |text, _| serde_json::to_string(&text).unwrap());
    assert!(holds(&written(&quoted), "dial.policy.unreadable"));
}

#[test]
fn huge_lists_of_other_kinds_take_bounded_time() {
    let many = |n: usize, item: &dyn Fn(usize) -> serde_json::Value| (0..n).map(item).collect::<Vec<_>>();
    let permission = |n: usize| {
        json!({"ipProtocol": "tcp", "fromPort": n % 60_000, "toPort": n % 60_000 + 1,
            "ipRanges": {"items": [{"cidrIp": format!("{}.{}.0.0/16", n % 223, n / 223 % 256)}]}})
    };
    let grant = json!({"Grantee": {"URI": "http://acs.amazonaws.com/groups/global/AllUsers"}, "Permission": "READ"});
    let events = [
        json!({"eventSource": "ec2.amazonaws.com", "eventName": "AuthorizeSecurityGroupIngress",
            "requestParameters": {"ipPermissions": {"items": many(8_000, &permission)}}}),
        json!({"eventSource": "s3.amazonaws.com", "eventName": "PutBucketAcl",
            "requestParameters": {"AccessControlPolicy": {"AccessControlList": {"Grant": many(10_000, &|_| grant.clone())}}}}),
        json!({"eventSource": "s3.amazonaws.com", "eventName": "PutBucketAcl",
            "requestParameters": {"x-amz-grant-read": repeated("uri=\"x/AllUsers\",", MEGABYTE)}}),
        json!({"eventSource": "rds.amazonaws.com", "eventName": "ModifyDBSnapshotAttribute",
            "requestParameters": {"valuesToAdd": many(60_000, &|n| json!(format!("{n:012}")))}}),
        json!({"eventSource": "ec2.amazonaws.com", "eventName": "RunInstances", "requestParameters":
            {"x": many(20_000, &|n| json!({"InstanceType": format!("t{n}.micro"), "roleArn": format!("a:role/{n}")}))}}),
        json!({"eventSource": "secretsmanager.amazonaws.com", "eventName": "BatchGetSecretValue",
            "requestParameters": {"secretIdList": many(60_000, &|n| json!(format!("aabbcc{n}")))}}),
        json!({"eventName": "CreateUser", "requestParameters": (0..40_000).map(|n| (format!("k{n}"), json!(n))).collect::<serde_json::Map<_, _>>()}),
    ];
    for (at, members) in events.iter().enumerate() {
        let took = read_all(&event(members));
        assert!(took < SOON, "event {at}: {took:?}");
    }
}

/// Fragments that policies are made of, so that random texts get far into the reader.
fn fragments() -> impl Strategy<Value = String> {
    let fragment = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\"Statement\":",
        "\"Effect\":",
        "\"Allow\"",
        "\"Deny\"",
        "\"Action\":",
        "\"NotAction\":",
        "\"Resource\":",
        "\"Principal\":",
        "\"NotPrincipal\":",
        "\"AWS\":",
        "\"*\"",
        "\"iam:*\"",
        "\"Condition\":",
        "\"StringLike\":",
        "\"ForAllValues:\"",
        "\"aws:SourceIp\":",
        "\"0.0.0.0/0\"",
        "null",
        "1",
        "%7B",
        "%",
        "\u{feff}",
        "é",
        "${*}",
    ]);
    prop::collection::vec(fragment, 0..40).prop_map(|parts| parts.concat())
}

/// Whole statements with odd parts.
fn statements() -> impl Strategy<Value = String> {
    let text = prop::sample::select(vec![
        "\"*\"",
        "[\"*\"]",
        "[]",
        "{}",
        "null",
        "7",
        "\"iam:*\"",
        "\"s3:?et*\"",
        "{\"AWS\":[\"*\",1]}",
        "{\"Service\":\"x\"}",
        "{\"StringLike\":{\"aws:PrincipalOrgID\":\"o-*\"}}",
        "{\"IpAddress\":{\"aws:SourceIp\":[\"x\",\"::/0\"]}}",
        "\"arn:aws:iam::1:role/é*\"",
        "\"arn:::::\"",
        "\"${*}${aws:username}\"",
        "\"::::::::\"",
        "{\"Null\":{\"\":[]}}",
    ]);
    let key = prop::sample::select(vec![
        "Effect",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Principal",
        "NotPrincipal",
        "Condition",
        "Sid",
    ]);
    let member = (key, text).prop_map(|(key, text)| format!("\"{key}\":{text}"));
    let statement = prop::collection::vec(member, 0..7).prop_map(|members| {
        format!("{{\"Effect\":\"Allow\"{}}}", members.iter().map(|m| format!(",{m}")).collect::<String>())
    });
    prop::collection::vec(statement, 0..4).prop_map(|all| format!("{{\"Statement\":[{}]}}", all.join(",")))
}

/// Any JSON under the names that facts look at.
fn parameters() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        prop::sample::select(vec![
            "all",
            "*",
            "0.0.0.0/0",
            "::/0",
            "444455556666",
            "arn:aws:iam::1:role/x",
            "",
            "p4d.x",
            "é",
            "-"
        ])
        .prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
    ];
    let names = prop::sample::select(vec![
        "items",
        "add",
        "userId",
        "group",
        "ipPermissions",
        "ipRanges",
        "cidrIp",
        "fromPort",
        "toPort",
        "ipProtocol",
        "policy",
        "policyDocument",
        "Statement",
        "attributes",
        "Policy",
        "instanceType",
        "instancesSet",
        "maxCount",
        "valuesToAdd",
        "principal",
        "AccessControlPolicy",
        "AccessControlList",
        "Grant",
        "Grantee",
        "URI",
        "Permission",
        "x-amz-acl",
        "x-amz-grant-read",
        "roleArn",
        "iamInstanceProfile",
        "name",
        "secretId",
        "userName",
        "SecurityGroupRule",
        "ModifySecurityGroupRulesRequest",
        "createVolumePermission",
        "PublicAccessBlockConfiguration",
        "patchOperations",
        "condition",
        "destinationCidrBlock",
        "gatewayId",
    ]);
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::Array),
            prop::collection::vec((names.clone(), inner), 0..6).prop_map(|members| {
                serde_json::Value::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
            }),
        ]
    })
}

const CALLS: &[(&str, &str)] = &[
    ("ec2", "AuthorizeSecurityGroupIngress"),
    ("ec2", "ModifySecurityGroupRules"),
    ("ec2", "ModifySnapshotAttribute"),
    ("ec2", "RunInstances"),
    ("ec2", "CreateRoute"),
    ("ec2", "CreateVpcPeeringConnection"),
    ("s3", "PutBucketAcl"),
    ("s3", "PutBucketPublicAccessBlock"),
    ("iam", "PutUserPolicy"),
    ("iam", "UpdateAssumeRolePolicy"),
    ("lambda", "AddPermission20150331v2"),
    ("events", "PutPermission"),
    ("rds", "ModifyDBSnapshotAttribute"),
    ("apigateway", "UpdateRestApi"),
    ("sqs", "SetQueueAttributes"),
];

/// Reads every fact; each must be of its type, and say the same when it is read again.
fn check_all(event: &Event) {
    let tables = Tables::default();
    let (facts, again) = (Facts::new(event, &tables), Facts::new(event, &tables));
    for fact in all().iter().rev() {
        let value = facts.get(fact.name);
        assert_eq!(value, again.get(fact.name), "{}", fact.name);
        let fits = match (fact.kind.as_str(), &value) {
            (_, None) => true,
            ("flag", Some(value)) => matches!(value, Value::Flag(_)),
            ("text", Some(value)) => matches!(value, Value::Text(_)),
            ("integer", Some(value)) => matches!(value, Value::Integer(_)),
            ("number", Some(value)) => matches!(value, Value::Number(number) if (0.0..=1.0).contains(number)),
            (_, Some(value)) => matches!(value, Value::Texts(texts) if !texts.is_empty()),
        };
        assert!(fits, "{}: {value:?}", fact.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn no_document_panics(document in prop_oneof![fragments(), statements(), ".{0,60}"]) {
        check_all(&written(&document));
        check_all(&on_resource(&document));
    }

    #[test]
    fn no_parameters_panic(
        call in prop::sample::select(CALLS), request in parameters(), response in parameters(), identity in parameters(),
    ) {
        check_all(&event(&json!({
            "eventSource": format!("{}.amazonaws.com", call.0), "eventName": call.1, "requestParameters": request,
            "responseElements": response, "userIdentity": identity, "additionalEventData": identity,
        })));
    }

    #[test]
    fn no_bytes_panic(request in prop::collection::vec(any::<u8>(), 0..60), name in "[A-Za-z0-9_v]{1,24}") {
        let mut record = br#"{"eventID":"e","eventTime":"2026-01-01T00:00:00Z","eventSource":"iam.amazonaws.com","#.to_vec();
        record.extend(format!("\"eventName\":\"{name}\",\"requestParameters\":").bytes());
        record.extend(request);
        record.push(b'}');
        for decoded in Decoder::record(&record) {
            if let Decoded::Event(event) = decoded {
                check_all(&event);
            }
        }
    }
}
