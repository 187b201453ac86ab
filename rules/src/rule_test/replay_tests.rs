#![allow(clippy::unwrap_used)]

use crate::rule_test::run;
use crate::ruleset::RuleFile;
use crate::ruleset::tests::rules;

const RULES: &str = "title: A\nid: a\nlogsource: {product: aws, service: cloudtrail}\ndetection: {s: {eventName: A}, condition: s}\n---\n\
    title: B\nid: b\nlogsource: {product: aws, service: cloudtrail}\ndetection: {s: {eventName: B}, condition: s}\n---\n";

/// How a case of a correlation ends.
fn ended(section: &str, case: &str) -> Option<String> {
    let rules = rules(&format!("{RULES}title: C\nid: c\ncorrelation: {section}\n"));
    let text = format!("rule: c\ncases:\n  - {{name: n, {case}}}\n");
    run(&rules, &RuleFile { name: "t.test.yml".into(), text }).remove(0).failure
}

const ORDERED: &str = "{type: temporal_ordered, rules: [a, b], group-by: [dial.actor], timespan: 10m}";
const COUNT: &str = "{type: event_count, rules: [a], group-by: [sourceIPAddress], timespan: 10m, condition: {gte: 5}}";

#[test]
fn a_case_passes_only_with_exactly_the_expected_findings() {
    let alice = "{group: {dial.actor: 'arn:aws:iam::111122223333:user/alice'}, events: [1, 3]}";
    let events = "events: [{at: 0, eventSource: i, eventName: A}, {at: 1m, eventSource: i, eventName: X}, {at: 10m, eventSource: i, eventName: B}]";
    assert_eq!(ended(ORDERED, &format!("{events}, expect: [{alice}]")), None);
    for wrong in [
        "[]",
        "[{events: [1, 2]}]",
        "[{events: [1, 3]}, {events: [1, 3]}]",
        "[{events: [1, 3], order_ambiguous: true}]",
        "[{events: [1, 3], count: 3}]",
        "[{events: [1, 3], group: {dial.actor: bob}}]",
        "[{events: [4]}]",
        "[1]",
    ] {
        assert!(ended(ORDERED, &format!("{events}, expect: {wrong}")).is_some(), "{wrong}");
    }
    let late = events.replace("10m", "601s");
    assert_eq!(ended(ORDERED, &format!("{late}, expect: []")), None);
    let failure = ended(ORDERED, &format!("{late}, expect: [{alice}]")).unwrap();
    assert!(failure.contains("expected a finding of events [1, 3]") && failure.ends_with("found nothing"), "{failure}");
}

#[test]
fn equal_times_are_told() {
    let events = "events: [{at: 5s, eventSource: i, eventName: B}, {at: 5s, eventSource: i, eventName: A}]";
    assert_eq!(ended(ORDERED, &format!("{events}, expect: [{{events: [1, 2], order_ambiguous: true}}]")), None);
}

#[test]
fn an_entry_repeats() {
    let case = |repeat: usize, expect: &str| {
        let events = format!(
            "[{{at: 1m, repeat: {repeat}, every: 30s, eventSource: i, eventName: A}}, {{eventSource: i, eventName: A, sourceIPAddress: 192.0.2.1}}]"
        );
        ended(COUNT, &format!("events: {events}, expect: {expect}"))
    };
    assert_eq!(case(4, "[]"), None);
    assert_eq!(case(5, "[{events: [1], count: 5}]"), None);
    // Over the edges of several buckets it is one story.
    assert_eq!(case(1200, "[{events: [1], count: 1200, group: {sourceIPAddress: 198.51.100.10}}]"), None);
    for (entry, words) in
        [("repeat: 0", "from 1 to"), ("at: soon", "no length of time"), ("every: 5", "no length of time")]
    {
        let failure =
            ended(COUNT, &format!("events: [{{{entry}, eventSource: i, eventName: A}}], expect: []")).unwrap();
        assert!(failure.contains(words), "{failure}");
    }
}

#[test]
fn somebody_is_followed_through_a_role() {
    let session = |key: &str, name: &str| {
        format!(
            "{{at: 2m, eventSource: i, eventName: {name}, recipientAccountId: '444455556666', userIdentity: {{type: AssumedRole, accessKeyId: {key}, arn: 'arn:aws:sts::444455556666:assumed-role/Admin/x', accountId: '444455556666'}}}}"
        )
    };
    let assume = "{at: 1m, eventSource: sts.amazonaws.com, eventName: AssumeRole, requestParameters: {roleArn: 'arn:aws:iam::444455556666:role/Admin'}, responseElements: {credentials: {accessKeyId: ASIAEXAMPLEAAAAAAAAA}, assumedRoleUser: {arn: 'arn:aws:sts::444455556666:assumed-role/Admin/x'}}}";
    let first = "{at: 0, eventSource: i, eventName: A}";
    let expected = "[{group: {dial.actor: 'arn:aws:iam::111122223333:user/alice'}, events: [1, 3]}]";
    let own = session("ASIAEXAMPLEAAAAAAAAA", "B");
    assert_eq!(ended(ORDERED, &format!("events: [{first}, {assume}, {own}], expect: {expected}")), None);
    // Somebody else's session of the same role is not mixed in.
    let other = session("ASIAEXAMPLEBBBBBBBBB", "B");
    assert_eq!(ended(ORDERED, &format!("events: [{first}, {assume}, {other}], expect: []")), None);
}

#[test]
fn events_that_are_not_forwarded_fail_it() {
    let rules = rules(
        "title: A\nid: a\nlogsource: {product: aws, service: cloudtrail}\ndetection: {s: {eventName|contains: AcCess}, condition: s}\n---\n\
        title: C\nid: c\ncorrelation: {type: event_count, rules: [a], timespan: 1m, condition: {gte: 1}}",
    );
    let text =
        "rule: c\ncases: [{name: n, events: [{eventSource: i, eventName: CreateAccessKey}], expect: [{events: [1]}]}]";
    let failure = run(&rules, &RuleFile { name: "t".into(), text: text.into() }).remove(0).failure.unwrap();
    assert!(failure.contains("EventBridge"), "{failure}");
}

#[test]
fn rules_and_correlations_expect_different_things() {
    let text = "rule: a\ncases: [{name: n, events: [{eventSource: i, eventName: A}], expect: [{events: [1]}]}]";
    let failure = run(&rules(RULES), &RuleFile { name: "t".into(), text: text.into() }).remove(0).failure.unwrap();
    assert!(failure.contains("numbers of events"), "{failure}");
    let failure = ended(COUNT, "events: [{eventSource: i, eventName: A}], expect: [{evnts: [1]}]").unwrap();
    assert!(failure.contains("evnts"), "{failure}");
}
