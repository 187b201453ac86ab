#![allow(clippy::unwrap_used)]

use super::*;
use crate::ruleset::tests::rules;
use packing::characters;

/// The patterns of rules `r0`, `r1`, … with these detections.
fn patterns(detections: &[&str]) -> Patterns {
    let text: String = detections
        .iter()
        .enumerate()
        .map(|(at, detection)| {
            format!(
                "title: t\nid: r{at}\nlogsource: {{product: aws, service: cloudtrail}}\ndetection: {detection}\n---\n"
            )
        })
        .collect();
    Patterns::of(rules(&text).rules().iter().map(AsRef::as_ref))
}

/// `detail` of each pattern, with its kind and rules.
fn details(detections: &[&str]) -> Vec<(bool, Value, String)> {
    let derived = patterns(detections);
    derived.patterns.iter().map(|p| (p.read_only, p.pattern["detail"].clone(), p.rules.join(" "))).collect()
}

fn is(text: &str) -> Value {
    json!({"equals-ignore-case": text})
}

#[test]
fn calls_are_gathered_by_service_and_reads_stand_apart() {
    let found = details(&[
        "{s: {eventSource: iam.amazonaws.com, eventName: [CreateUser, ListUsers]}, condition: s}",
        "{s: {eventSource: iam.amazonaws.com, eventName: createuser}, f: {errorCode: x}, condition: s and not f}",
        "{a: {eventSource: sts.amazonaws.com}, b: {eventName: GetSessionToken}, condition: all of them}",
    ]);
    let sts = json!({"eventSource": [is("sts.amazonaws.com")], "eventName": [is("GetSessionToken")]});
    let iam = json!({"eventSource": [is("iam.amazonaws.com")], "eventName": [is("CreateUser")]});
    let reads = json!({"eventSource": [is("iam.amazonaws.com")], "eventName": [is("ListUsers")]});
    assert_eq!(found, [(false, json!({"$or": [iam, sts]}), "r0 r1 r2".into()), (true, reads, "r0".into())]);
}

#[test]
fn operators_are_kept() {
    let name = |detection: &str| {
        let found = details(&[&format!("{{s: {{eventSource: s, {detection}}}, condition: s}}")]);
        found.iter().map(|(_, detail, _)| detail["eventName"].clone()).next().unwrap()
    };
    for (detection, expected) in [
        ("eventName: 'Put*'", json!([{"prefix": is("Put")}])),
        ("eventName|startswith: Put", json!([{"prefix": is("Put")}])),
        ("eventName|startswith|cased: Put", json!([{"prefix": "Put"}])),
        ("eventName|endswith: [Policy, '*Acl']", json!([{"suffix": is("Acl")}, {"suffix": is("Policy")}])),
        ("eventName: 'Put*Policy'", json!([{"wildcard": "Put*Policy"}])),
        ("eventName|contains: 'AccessKey'", json!([{"wildcard": "*AccessKey*"}])),
        ("eventName: 'Put?ucket*'", json!([{"prefix": is("Put")}])),
        ("eventName|re: '^Put.+Policy$'", json!([{"wildcard": "Put*Policy"}])),
        ("eventName|cased: PutX", json!(["PutX"])),
        ("eventName: [PutA, 'Put*', PutB]", json!([{"prefix": is("Put")}])),
        // Not AWS's spelling: `*policy*` would miss PutBucketPolicy.
        ("eventName|contains: policy", Value::Null),
        ("eventName|re: '(Put|Delete)Policy'", Value::Null),
    ] {
        assert_eq!(name(detection), expected, "{detection}");
    }
}

#[test]
fn rules_that_name_no_call_ask_for_fields_or_for_everything() {
    let verbs = json!([{"prefix": "Describe"}, {"prefix": "Get"}, {"prefix": "List"}]);
    let root = json!({"type": [is("Root")]});
    assert_eq!(
        details(&["{s: {userIdentity.type: Root, requestParameters.x: y}, condition: s}"]),
        [
            (false, json!({"userIdentity": root}), "r0".into()),
            (true, json!({"userIdentity": root, "eventName": verbs}), "r0".into()),
        ]
    );
    let detail = |detection: &str| details(&[detection])[0].1.clone();
    for (detection, expected) in [
        ("{s: {errorCode|contains: Denied}, condition: s}", json!({"errorCode": [{"exists": true}]})),
        ("{s: {errorCode|contains|cased: Den}, condition: s}", json!({"errorCode": [{"wildcard": "*Den*"}]})),
        ("{s: {sourceIPAddress|cidr: 10.0.0.0/8}, condition: s}", json!({"sourceIPAddress": [{"cidr": "10.0.0.0/8"}]})),
        ("{s: {requestParameters.a.b: '5'}, condition: s}", json!({"requestParameters": {"a": {"b": ["5", 5]}}})),
        ("{s: {readOnly: false}, condition: s}", json!({"readOnly": [is("false"), false, "0", is("no")]})),
        (
            "{s: {userIdentity.arn|re: '.+:assumed-role/aws:.+'}, condition: s}",
            json!({"userIdentity": {"arn": [{"wildcard": "*:assumed-role/aws:*"}]}}),
        ),
    ] {
        assert_eq!(detail(detection), expected, "{detection}");
    }
    for detection in [
        "{s: {userAgent|contains: kali}, condition: s}",
        "{s: {dial.actor: x}, condition: s}",
        "{s: {errorCode: null}, condition: s}",
        "{s: {requestParameters|exists: true}, condition: s}",
        "{s: ['keyword'], condition: s}",
        "{a: {eventName: X}, b: {'requestParameters.l[0]': x}, condition: a or b}",
        "{s: {eventName: X}, condition: not s}",
        "{s: {userAgent|fieldref: errorCode}, condition: s}",
    ] {
        let derived = patterns(&[detection, "{s: {eventName: CreateUser}, condition: s}"]);
        let names: Vec<_> =
            derived.patterns.iter().map(|p| (p.name.as_str(), p.read_only, p.rules.join(" "))).collect();
        let (all, reads) = ("everything", "everything-read-only");
        let expected = [("cloudtrail-1", false, "r1"), (all, false, "r0"), (reads, true, "r0")];
        assert_eq!(names, expected.map(|(name, reads, rule)| (name, reads, rule.to_owned())), "{detection}");
        assert_eq!(derived.everything, ["r0"]);
    }
}

#[test]
fn a_contradiction_needs_no_pattern() {
    let derived = patterns(&["{a: {eventName: X}, b: {eventName: Y}, condition: a and b}"]);
    assert_eq!(derived, Patterns { patterns: vec![], everything: vec![], never: vec!["r0".into()] });
}

#[test]
fn findings_of_other_services_are_forwarded_whole() {
    let text = |service: &str| {
        format!(
            "title: t\nid: {service}\nlogsource: {{product: aws, service: {service}}}\ndetection: {{s: {{type: x}}, condition: s}}\n---\n"
        )
    };
    let derived = |text: &str| Patterns::of(rules(text).rules().iter().map(AsRef::as_ref));
    let guardduty = json!({"source": ["aws.guardduty"], "detail-type": ["GuardDuty Finding"]});
    assert_eq!(derived(&text("guardduty")).patterns[0].pattern, guardduty);
    let both = derived(&(text("guardduty") + &text("securityhub")));
    assert_eq!((both.patterns.len(), both.patterns[0].rules.len()), (1, 2));
    let event = |source: &str, kind: &str| json!({"source": source, "detail-type": kind, "detail": {}});
    assert!(both.forwards(&event("aws.securityhub", "Security Hub Findings - Imported")));
    assert!(both.forwards(&event("aws.guardduty", "GuardDuty Finding")));
    assert!(!both.forwards(&event("aws.guardduty", "Security Hub Findings - Imported")));
}

#[test]
fn reads_are_forwarded_by_patterns_for_reads_only() {
    let derived = patterns(&["{s: {eventName|endswith: Users}, condition: s}"]);
    let record = |name: &str| envelope(&json!({"eventSource": "iam.amazonaws.com", "eventName": name}));
    assert!(derived.forwards(&record("ListUsers")) && derived.forwards(&record("DeleteUsers")));
    let changes = Patterns { patterns: vec![derived.patterns[0].clone()], ..derived };
    assert!(!changes.patterns[0].read_only);
    assert!(!changes.forwards(&record("ListUsers")) && changes.forwards(&record("DeleteUsers")));
}

#[test]
fn many_and_long_conditions_fill_their_patterns() {
    let calls: Vec<String> = (0..2000).map(|i| format!("Call{i}")).collect();
    let services: Vec<String> = (0..200).map(|i| format!("service-{i}.amazonaws.com")).collect();
    let long = "\\u0001".repeat(3000);
    let derived = patterns(&[
        &format!("{{s: {{eventSource: iam.amazonaws.com, eventName: [{}]}}, condition: s}}", calls.join(", ")),
        &format!("{{s: {{eventSource: [{}], eventName: CreateUser}}, condition: s}}", services.join(", ")),
        &format!("{{s: {{userIdentity.arn: [{}]}}, condition: s}}", services.join(", ")),
        &format!(
            "{{s: {{userIdentity.arn: \"{long}\", userAgent: \"{long}\", errorCode: \"{long}\", eventName: \"{long}\"}}, condition: s}}"
        ),
        &format!("{{s: {{userIdentity.arn: \"{long}\", userAgent: \"{long}\", errorCode: \"{long}\"}}, condition: s}}"),
    ]);
    assert_eq!((derived.everything.len(), derived.never.len()), (0, 0));
    let sizes: Vec<usize> = derived.patterns.iter().map(|pattern| characters(&pattern.pattern)).collect();
    assert!(sizes.iter().all(|&size| size <= MOST_CHARACTERS), "{sizes:?}");
    let record = json!({"eventSource": "iam.amazonaws.com", "eventName": "Call1999"});
    assert!(derived.forwards(&envelope(&record)));
    // Nearly full: what is left over in each is less than one more call takes.
    let full = sizes.iter().filter(|&&size| size > MOST_CHARACTERS - 60).count();
    assert!(full + 12 >= sizes.len(), "{sizes:?}");
    for pattern in &derived.patterns {
        let text = pattern.pattern.to_string();
        assert!(text.len() <= characters(&pattern.pattern) && EventPattern::parse(&pattern.pattern).is_ok(), "{text}");
    }
}

#[test]
fn the_widest_way_of_writing_is_counted() {
    for (value, written) in [
        (json!({"a": [1, "x,:"], "b": {}}), r#"{"a": [1, "x,:"], "b": {}}"#),
        (json!([[], {}, {"é": "\n"}]), r#"[[], {}, {"é": "\n"}]"#),
    ] {
        assert_eq!(characters(&value), written.chars().count());
    }
}
