//! EventBridge patterns derived from rules lose nothing (I7): whatever event a rule matches passes them, whichever shape
//! and spelling it comes in; and each rule's own cases do.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod generate;

use std::collections::BTreeMap;

use dial_rules::decode::{Decoded, Decoder};
use dial_rules::event_pattern::EventPattern;
use dial_rules::pack;
use dial_rules::patterns::{MOST_CHARACTERS, Patterns, envelope};
use dial_rules::ruleset::{Loaded, RuleFile, RuleSet};
use generate::Chance;
use rsigma_parser::{SigmaRule, parse_sigma_yaml};
use serde_json::Value;

/// Detections in the shapes that public rules for CloudTrail have, and some that they might have.
const SHAPES: &[&str] = &[
    "{s: {eventName: DeleteGuardrail, eventSource: bedrock.amazonaws.com}, condition: s}",
    "{n: {eventName: DeleteBucket}, status_a: {errorCode: Success}, status_b: {errorCode: null}, condition: n and 1 of status_*}",
    "{s: {eventName: ConsoleLogin, errorMessage: Failed authentication}, condition: s}",
    "{e: {eventSource: guardduty.amazonaws.com}, a_1: {eventName: DeleteDetector}, a_2: {eventName: UpdateDetector, requestParameters.enable: 'false'}, condition: e and 1 of a_*}",
    "{s: {userIdentity.arn|re: '.+:assumed-role/aws:.+'}, f: [{eventSource: ssm.amazonaws.com}, {eventName: Register}], condition: s and not 1 of f*}",
    "{s: {userAgent: TruffleHog}, condition: s}",
    "{s: {eventSource: [sso.amazonaws.com, sso-directory.amazonaws.com], eventName: [AssociateDirectory, DisassociateDirectory]}, condition: s}",
    "{t: {userIdentity.type: Root}, f: {eventType: AwsServiceEvent}, condition: t and not f}",
    "{s: {userIdentity.type: AssumedRole, userIdentity.sessionContext.sessionIssuer.type: Role}, condition: s}",
    "{s: {eventSource: lambda.amazonaws.com, eventName|startswith: UpdateFunctionConfiguration, requestParameters.layers|contains: '*'}, condition: s}",
    "{s: {eventSource: s3.amazonaws.com, eventName: ListBuckets}, f: {userIdentity.type: AssumedRole}, condition: s and not f}",
    "{s: {eventSource: iam.amazonaws.com, eventName: [GetLoginProfile, CreateLoginProfile], userAgent|contains: 'S3 Browser'}, condition: s}",
    "{s: {eventSource: iam.amazonaws.com, requestParameters|contains|all: ['a', 'b'], eventName: PutUserPolicy}, condition: not s}",
    "{a: {eventSource: sts.amazonaws.com, eventName: AssumeRoleWithSAML}, b: {eventSource: iam.amazonaws.com, eventName: UpdateSAMLProvider}, condition: 1 of them}",
    "{s: {eventSource: iam.amazonaws.com, eventName: UpdateLoginProfile}, f: {userIdentity.arn|fieldref: requestParameters.userName}, condition: s and not f}",
    "{s: {errorCode|contains: [Denied, Unauthorized]}, condition: s}",
    "{s: {errorCode|startswith: Client, eventSource: ec2.amazonaws.com}, condition: s}",
    "{s: {eventName|endswith: Policy}, condition: s}",
    "{s: {eventName|contains: AccessKey}, condition: s}",
    "{s: {eventName|contains: policy}, condition: s}",
    "{s: {eventName: ['Put*Policy', 'De?ete*', '*Acl']}, condition: s}",
    "{s: {eventName|cased: GetSecretValue, eventSource|endswith: '.amazonaws.com'}, condition: s}",
    "{s: {sourceIPAddress|cidr: [203.0.113.0/24, 2001:db8::/32]}, condition: s}",
    "{s: {requestParameters.force: true}, condition: s}",
    "{s: {requestParameters.count|gt: 5}, condition: s}",
    "{s: {requestParameters.port: [22, '3389']}, condition: s}",
    "{s: {requestParameters.a.b: '5', requestParameters.a.c: 'x'}, condition: s}",
    "{s: {readOnly: false, userIdentity.userName|contains|cased: 'svc'}, condition: s}",
    "{s: {managementEvent: 'true', errorCode|exists: true, awsRegion: [me-south-1, af-south-1]}, condition: s}",
    "{s: ['special*word'], condition: s}",
    "{s: {requestParameters|exists: true}, condition: s}",
    "{s: {eventName: [A, B], eventSource: x.amazonaws.com}, t: {eventName: [B, C]}, condition: s and t}",
    "{s1: {eventName: X1, eventSource: a.amazonaws.com}, s2: {eventSource: a.amazonaws.com, errorCode: E}, condition: 1 of s*}",
    "{s: [{eventName: DescribeInstances}, {eventSource: ec2.amazonaws.com, eventName|startswith: Create}], condition: s}",
];

fn shapes() -> RuleFile {
    let rule = |(at, detection): (usize, &&str)| {
        format!(
            "title: t\nid: shape-{at}\nlogsource: {{product: aws, service: cloudtrail}}\ndetection: {detection}\n---\n"
        )
    };
    RuleFile { name: "shapes.yml".into(), text: SHAPES.iter().enumerate().map(rule).collect() }
}

fn load(files: &[RuleFile]) -> RuleSet {
    let Loaded { rules, problems, .. } = RuleSet::load(files);
    assert_eq!(problems, []);
    rules
}

fn parsed(files: &[RuleFile]) -> Vec<SigmaRule> {
    files.iter().flat_map(|file| parse_sigma_yaml(&file.text).expect("it has been loaded").rules).collect()
}

/// Ids of the rules that match an event.
fn matches(rules: &RuleSet, envelope: &Value) -> Vec<String> {
    let bytes = serde_json::to_vec(envelope).unwrap();
    let mut found = Vec::new();
    for decoded in Decoder::record(&bytes) {
        if let Decoded::Event(event) = decoded {
            found.extend(rules.evaluate_all(&event).into_iter().map(|found| found.rule.id.clone()));
        }
    }
    found
}

fn derive(rules: &RuleSet) -> Patterns {
    Patterns::of(rules.rules().iter().map(AsRef::as_ref))
}

/// 10,000 events, each matched by at least one of the rules, and how many each rule matches.
fn matched_events(files: &[RuleFile], rules: &RuleSet) -> (Vec<Value>, BTreeMap<String, usize>) {
    let sigma: Vec<SigmaRule> =
        parsed(files).into_iter().filter(|r| r.logsource.service.as_deref() == Some("cloudtrail")).collect();
    let mut chance = Chance(1);
    let (mut events, mut by_rule) = (Vec::new(), BTreeMap::new());
    for number in 0..60_000 {
        let event = envelope(&generate::record(&sigma[number % sigma.len()], number, &mut chance));
        let found = matches(rules, &event);
        if !found.is_empty() {
            found.into_iter().for_each(|id| *by_rule.entry(id).or_default() += 1);
            events.push(event);
        }
        if events.len() == 10_000 {
            break;
        }
    }
    (events, by_rule)
}

fn check(files: &[RuleFile]) -> (Patterns, BTreeMap<String, usize>) {
    let rules = load(files);
    let derived = derive(&rules);
    let (events, by_rule) = matched_events(files, &rules);
    assert_eq!(events.len(), 10_000);
    let forwarding = derived.forwarding();
    let lost: Vec<&Value> = events.iter().filter(|event| !forwarding.forwards(event)).collect();
    assert!(lost.is_empty(), "{} of {}, such as {}", lost.len(), events.len(), lost[0]);
    for pattern in &derived.patterns {
        assert!(pattern.characters() <= MOST_CHARACTERS, "{}", pattern.name);
        assert!(pattern.pattern.to_string().chars().count() <= pattern.characters());
        EventPattern::parse(&pattern.pattern).unwrap();
    }
    (derived, by_rule)
}

#[test]
fn no_event_that_a_rule_of_a_common_shape_matches_fails_the_patterns() {
    // Rules that match nearly everything would hide what the others' patterns lose.
    let hides = |id: &str| derive(&load(&[shapes()])).everything.contains(&id.to_owned());
    let texts = shapes().text;
    let narrow = texts.split_inclusive("---\n").enumerate().filter(|(at, _)| !hides(&format!("shape-{at}")));
    let narrow = RuleFile { name: "narrow.yml".into(), text: narrow.map(|(_, text)| text).collect() };
    let (derived, by_rule) = check(std::slice::from_ref(&narrow));
    let seldom = |id: &String| by_rule.get(id).copied().unwrap_or(0) < 20;
    let unseen: Vec<_> = load(&[narrow]).rules().iter().map(|rule| rule.id.clone()).filter(seldom).collect();
    assert!(unseen.is_empty(), "no events for {unseen:?}");
    assert!(by_rule.len() >= 30 && derived.everything.is_empty(), "{}", by_rule.len());
    let (derived, by_rule) = check(&[shapes()]);
    assert_eq!(derived.everything, ["shape-12", "shape-19", "shape-29", "shape-30"]);
    assert_eq!(by_rule.len(), SHAPES.len(), "{:?}", by_rule.keys());
}

#[test]
fn an_alternative_too_few_is_noticed() {
    let files = [shapes()];
    let mut rules = files.clone();
    let everything = derive(&load(&files)).everything;
    let texts = files[0].text.split_inclusive("---\n");
    rules[0].text = texts.filter(|text| !everything.iter().any(|id| text.contains(&format!("id: {id}\n")))).collect();
    let set = load(&rules);
    let derived = derive(&set);
    let mut events = matched_events(&rules, &set).0;
    events.truncate(3_000);
    let (mut noticed, mut all) = (0, 0);
    for at in 0..derived.patterns.len() {
        let alternatives = derived.patterns[at].pattern["detail"]["$or"].as_array().cloned().unwrap();
        for left_out in 0..alternatives.len() {
            let mut fewer = derived.clone();
            let mut left = alternatives.clone();
            left[left_out] = serde_json::json!({"nothing": ["at all"]});
            fewer.patterns[at].pattern["detail"]["$or"] = left.into();
            all += 1;
            let forwarding = fewer.forwarding();
            noticed += usize::from(events.iter().any(|event| !forwarding.forwards(event)));
        }
    }
    // What asks for reads and changes alike, such as every `*Policy`, stands in patterns of both kinds.
    assert!(noticed * 4 >= all * 3 && noticed < all, "{noticed} of {all}");
}

#[test]
fn each_rule_alone_is_forwarded_by_patterns_that_ask_for_something() {
    let rules = load(&[shapes()]);
    let sigma = parsed(&[shapes()]);
    let mut chance = Chance(2);
    for (rule, sigma) in rules.rules().iter().zip(&sigma) {
        let alone = Patterns::of([rule.as_ref()]);
        let forwarding = alone.forwarding();
        let events = (0..200).map(|number| envelope(&generate::record(sigma, number, &mut chance)));
        let matched: Vec<Value> = events.filter(|event| matches(&rules, event).contains(&rule.id)).collect();
        assert!(matched.iter().all(|event| forwarding.forwards(event)), "{} loses events", rule.id);
        let lost = |patterns: &Patterns| matched.iter().any(|event| !patterns.forwards(event));
        let mut wrong = alone.clone();
        wrong.patterns.iter_mut().for_each(|pattern| pattern.pattern["source"] = serde_json::json!(["aws.nothing"]));
        assert!(lost(&wrong), "{}", rule.id);
    }
}

#[test]
fn no_event_that_a_built_in_rule_matches_fails_the_patterns() {
    let (_, by_rule) = check(&pack::rules());
    assert!(by_rule.len() >= 10, "events for {by_rule:?} only");
}
