#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::event::tests::event;

/// The rules of one text, which must be without problems.
pub(crate) fn rules(text: &str) -> RuleSet {
    let loaded = RuleSet::load(&[file("test.yml", text)]);
    assert_eq!(loaded.problems, []);
    loaded.rules
}

fn file(name: &str, text: &str) -> RuleFile {
    RuleFile { name: name.into(), text: text.into() }
}

fn problems(text: &str) -> Vec<String> {
    RuleSet::load(&[file("a.yml", text)]).problems.iter().map(ToString::to_string).collect()
}

fn rule(id: &str, detection: &str) -> String {
    format!("title: {id}\nid: {id}\nlogsource: {{product: aws, service: cloudtrail}}\ndetection:\n{detection}\n---\n")
}

#[test]
fn problems_name_file_line_and_cause() {
    let good = rule("a", "    s: {eventName: X}\n    condition: s");
    for (text, line, words) in [
        ("title: [", 2, "YAML"),
        ("logsource: {product: aws}\ndetection:\n    s: {a: b}\n    condition: s", 1, "title"),
        ("title: t\nlogsource: {product: aws}\ndetection:\n    s:\n        a|nope: b\n    condition: s", 5, "nope"),
        ("title: t\nlogsource: {product: aws}\ndetection:\n    s: {a: b}\n    condition: s and", 5, "ondition"),
        ("title: t\nlogsource: {product: aws}\ndetection:\n    s:\n        a|re: '(['\n    condition: s", 5, "regex"),
        (
            "title: t\nlogsource: {product: aws}\ndetection:\n    s: {a: b}\n    condition: s\ndial: {remedy: x}",
            6,
            "remedy",
        ),
        (
            "title: t\ncorrelation:\n    type: event_count\n    rules: [x]\n    timespan: 5m\n    condition: {gte: 3}",
            4,
            "no rule has the id or name `x`",
        ),
        (
            "title: t\nlogsource: {product: aws}\ndetection:\n    s: {a: b}\n    t:\n        dial.polcy.admin: true\n    condition: s or t",
            6,
            "did you mean `dial.policy.admin`",
        ),
        (
            "title: t\nlogsource: {product: aws}\ndetection:\n    s:\n        a|fieldref: dial.actors\n    condition: s",
            5,
            "did you mean `dial.actor`",
        ),
        (
            "title: t\nlogsource: {product: aws}\ndetection:\n    s:\n        Dial.actor: x\n    condition: s",
            5,
            "did you mean `dial.actor`",
        ),
        (&good, 2, "already used in a.yml"),
        ("title: t\nlogsource: {product: aws}\ndetection:\n    s: {a: b}\n    condition: s and other", 5, "other"),
        (
            "title: other\nlogsource: {product: aws}\ndetection:\n    s: {a: b}\n    condition: s and not other",
            5,
            "other",
        ),
        (
            "title: t\nlogsource: {product: aws}\ndetection:\n    s: {a: b}\n    condition: s and not 1 of filter_*",
            5,
            "filter_*",
        ),
        (
            "title: t\nlogsource: {product: aws}\ndetection:\n    s: {a: b}\n    condition: s or (s and not (all of x* or s))",
            5,
            "x*",
        ),
        (
            "title: t\nlogsource: {product: aws}\ndescription: 10.0.0.0/33\ndetection:\n    s:\n        b|cidr: 10.0.0.0/8\n        \
             a|cidr:\n            - 10.1.0.0/16\n            - 10.0.0.0/33\n    condition: s",
            9,
            "10.0.0.0/33",
        ),
    ] {
        let found = problems(&format!("{good}{text}"));
        let offset = good.lines().count();
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].starts_with(&format!("a.yml:{}:", line + offset)), "{text}: {found:?}");
        assert!(found[0].to_lowercase().contains(&words.to_lowercase()), "{text}: {found:?}");
    }
}

#[test]
fn files_may_hold_several_documents_and_global_parts() {
    assert_eq!(
        rules(
            &(rule("a", "    s: {eventName: X}\n    condition: s")
                + &rule("b", "    s: {eventName: Y}\n    condition: s"))
        )
        .rules()
        .len(),
        2
    );
    let global = "action: global\nlogsource: {product: aws}\n---\ntitle: a\ndetection: {s: {eventName: X}, condition: s}\n---\ntitle: b\ndetection: {s: {eventName: Y}, condition: s}\n";
    assert_eq!(rules(global).rules().len(), 2);
}

#[test]
fn rules_of_other_products_are_named_and_left_out() {
    let loaded = RuleSet::load(&[file(
        "w.yml",
        "title: w\nlogsource: {product: windows}\ndetection: {s: {a: b}, condition: s}",
    )]);
    assert_eq!(loaded.foreign, [("w.yml".to_owned(), "w".to_owned())]);
    assert!(loaded.problems.is_empty() && loaded.rules.rules().is_empty());
}

#[test]
fn facts_are_fields() {
    let text = rule(
        "a",
        "    s: {eventName: CreateAccessKey, dial.iam.other_user: true, dial.actor|endswith: ice}\n    condition: s",
    );
    let found = |members| rules(&text).evaluate(&event(members)).len();
    let by = |user: &str, of: &str| {
        json!({"eventName": "CreateAccessKey", "userIdentity": {"type": "IAMUser", "userName": user},
            "requestParameters": {"userName": of}})
    };
    assert_eq!((found(by("alice", "bob")), found(by("alice", "Alice")), found(by("bob", "alice"))), (1, 0, 0));
}

#[test]
fn items_of_every_kind_work_on_facts() {
    let opened = event(json!({"eventSource": "ec2.amazonaws.com", "eventName": "AuthorizeSecurityGroupIngress",
        "requestParameters": {"ipPermissions": {"items": [{"ipProtocol": "tcp", "fromPort": 22, "toPort": 23,
            "ipRanges": {"items": [{"cidrIp": "0.0.0.0/1"}, {"cidrIp": "10.0.0.0/8"}]}}]}}}));
    for (item, matches) in [
        ("dial.sg.open_to_world: true", true),
        ("dial.sg.open_to_world: false", false),
        ("dial.sg.all_ports: false", true),
        ("dial.sg.sensitive_ports: 22", true),
        ("dial.sg.sensitive_ports: '23'", true),
        ("dial.sg.sensitive_ports: 2", false),
        ("dial.sg.sensitive_ports: [21, 22]", true),
        ("dial.sg.ipv4_share|gte: 0.5", true),
        ("dial.sg.ipv4_share|gt: 0.9", false),
        ("dial.sg.cidrs|contains: 10.0.", true),
        ("dial.sg.rules|startswith: tcp/22", true),
        ("dial.sg.prefix_lists|exists: false", true),
        ("dial.sg.world_ports|exists: true", true),
        ("dial.policy.admin: null", true),
        ("dial.policy.admin: false", false),
        ("dial.share.accounts|exists: true", false),
    ] {
        let text = rule("a", &format!("    s: {{'{}\n    condition: s", item.replacen(": ", "': ", 1) + "}"));
        assert_eq!(rules(&text).evaluate(&opened).len() == 1, matches, "{item}");
    }
}

#[test]
fn tables_are_part_of_the_rule_set() {
    let text = rule("a", "    s: {dial.share.outside: true}\n    condition: s");
    let tables = Tables { own_accounts: ["444455556666".to_owned()].into(), ..Tables::default() };
    let shared = event(json!({"eventSource": "rds.amazonaws.com", "eventName": "ModifyDBSnapshotAttribute",
        "requestParameters": {"attributeName": "restore", "valuesToAdd": ["444455556666"]}}));
    assert_eq!(rules(&text).evaluate(&shared).len(), 1);
    let loaded = RuleSet::load_with(&[file("a.yml", &text)], tables.clone());
    assert_eq!(loaded.rules.evaluate(&shared).len(), 0);
    assert_eq!(loaded.rules.evaluate_all(&shared).len(), 0);
    assert_eq!(rules(&text).evaluate_with(&shared, &tables).len(), 0);
}

#[test]
fn a_rule_looks_only_at_its_own_service() {
    let rules = rules(
        "title: g\nlogsource: {product: aws, service: guardduty}\ndetection: {s: {eventName: CreateUser}, condition: s}",
    );
    assert!(rules.evaluate(&event(json!({}))).is_empty());
}

/// Detections over the two members that the index knows, and one that it does not.
fn detection() -> impl Strategy<Value = String> {
    let field = prop::sample::select(vec![
        "eventName",
        "eventSource",
        "region",
        "eventName|startswith",
        "eventSource|cased",
        "region|contains",
        "region|endswith",
        "region|contains|all",
        "region|re",
        "region|re|i",
        "region|cased",
        "region|exists",
        "u.t",
        "u.t|contains",
        "u.t|contains|cased",
        "u.t|startswith",
        "region|neq",
        "u.t|windash|contains",
    ]);
    let value = prop::sample::select(vec![
        "'A'",
        "'b'",
        "['a', B]",
        "'a*'",
        "null",
        "['A', 'x?']",
        "''",
        "'bucket'",
        "['Bucket*', 'MASK']",
        "['buc', 'KET']",
        "'.+buc\\.et.*'",
        "'bu+cket'",
        "'Éclair'",
        "12",
        "'12'",
        "'*let*'",
        "['*Ket', 'no such']",
        "true",
        "'ſeſame'",
        "'buc.et'",
        "'*MASK*'",
        "'se?ame'",
    ]);
    let item = (field, value).prop_map(|(field, value)| format!("{field}: {value}"));
    let map = prop::collection::vec(item.clone(), 1..3).prop_map(|items| {
        let mut items: Vec<String> = items;
        items.sort_by_key(|item| item.split(':').next().map(str::to_owned));
        items.dedup_by_key(|item| item.split(':').next().map(str::to_owned));
        format!("{{{}}}", items.join(", "))
    });
    prop_oneof![3 => map.clone(), 1 => prop::collection::vec(map, 1..3).prop_map(|maps| format!("[{}]", maps.join(", "))), 1 => Just("['keyword']".to_owned())]
}

/// What an event may have at a path.
fn text() -> impl Strategy<Value = serde_json::Value> {
    prop::sample::select(vec![
        json!(null),
        json!("a"),
        json!("keyword"),
        json!("bucket"),
        json!("A Buc\u{212a}et"),
        json!("BUCKET let go"),
        json!("mask"),
        json!("maſk"),
        json!("xbuc.etx"),
        json!("buuucket"),
        json!("éclair"),
        json!("12"),
        json!(12),
        json!(["no", "bucket"]),
        json!({"a": "bucket"}),
        json!(true),
        json!("sesame"),
        json!([]),
        json!(""),
    ])
}

fn condition() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "s1",
        "s1 and s2",
        "s1 or s2",
        "not s1",
        "s1 and not s2",
        "1 of s*",
        "all of s*",
        "1 of them",
        "2 of s*",
        "(s1 or s2) and s3",
        "not (s1 and s2)",
        "all of them",
        "s1 or not s2",
    ])
    .prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn the_index_loses_no_match(
        detections in prop::collection::vec((detection(), detection(), detection(), condition()), 1..4),
        name in prop::sample::select(vec!["A", "a", "B", "ab", "x1", "", "ſ"]),
        source in prop::sample::select(vec!["A", "a", "b", "ab"]),
        region in text(),
        deep in text(),
    ) {
        let texts = detections.iter().enumerate().map(|(i, (s1, s2, s3, condition))| {
            rule(&format!("r{i}"), &format!("    s1: {s1}\n    s2: {s2}\n    s3: {s3}\n    condition: {condition}"))
        });
        // Not every value goes with every modifier.
        let text: String = texts.filter(|text| problems(text).is_empty()).collect();
        let rules = rules(&text);
        // Empty names and sources make no event; the strategy leaves one in to see the others alone.
        let name = if name.is_empty() { "B" } else { name };
        let event = event(json!({"eventName": name, "eventSource": source, "region": region, "u": {"t": deep}}));
        let ids = |found: Vec<Match<'_>>| { let mut ids: Vec<_> = found.iter().map(|m| m.rule.id.clone()).collect(); ids.sort(); ids };
        prop_assert_eq!(ids(rules.evaluate(&event)), ids(rules.evaluate_all(&event)), "{}", text);
    }
}

#[test]
fn rules_that_are_left_out_find_nothing_and_the_others_what_they_did() {
    let text = ["X", "X", "Y"].iter().zip(["a", "b", "c"]);
    let text: String =
        text.map(|(name, id)| rule(id, &format!("    s: {{eventName: {name}}}\n    condition: s"))).collect();
    let event = event(json!({ "eventName": "X" }));
    let ids = |rules: &RuleSet| -> Vec<String> {
        let found: Vec<String> = rules.evaluate(&event).iter().map(|found| found.rule.id.clone()).collect();
        let all: Vec<String> = rules.evaluate_all(&event).iter().map(|found| found.rule.id.clone()).collect();
        assert_eq!(found, all);
        found
    };
    assert_eq!(ids(&rules(&text)), ["a", "b"]);
    let left = rules(&text).without(&["a".to_owned(), "nobody".to_owned()].into());
    assert_eq!((ids(&left), left.rules().len()), (vec!["b".to_owned()], 2));
    assert_eq!(left.disabled().iter().map(|rule| rule.id.as_str()).collect::<Vec<_>>(), ["a"]);
    assert_eq!(ids(&left.without(&["b".to_owned()].into())), [""; 0]);
}
