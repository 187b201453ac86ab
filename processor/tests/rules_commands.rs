//! `dial rules check`, `test` and `list`: on the built-in packs, and on rules that somebody is just writing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;

use serde_json::Value;
use support::{Ended, Folder, Locked};

const ID: &str = "7b7e6c39-6c6d-4d37-a2b1-0a5f4b8b3c01";
const OTHER_ID: &str = "7b7e6c39-6c6d-4d37-a2b1-0a5f4b8b3c02";

/// A rule that is fine, of ten lines.
fn rule(id: &str, call: &str) -> String {
    format!(
        "title: {call} was called\nid: {id}\nlogsource:\n    product: aws\n    service: cloudtrail\n\
         detection:\n    call:\n        eventName: {call}\n    condition: call\nlevel: low\n"
    )
}

/// Its tests, of which there are two.
fn tests(id: &str, call: &str) -> String {
    format!(
        "rule: {id}\ncases:\n  - name: the call\n    events: [{{eventSource: iam.amazonaws.com, eventName: {call}}}]\n    \
         expect: [1]\n  - name: another call\n    events: [{{eventSource: iam.amazonaws.com, eventName: Other}}]\n    \
         expect: []\n"
    )
}

/// The lines of a kind that `rules check` reports: file, line, and message.
fn reported(ended: &Ended, kind: &str) -> Vec<(String, u64, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of_kind = ended.json().into_iter().filter(|line| line["kind"] == kind);
    of_kind.map(|line| (text(&line["file"]), line["line"].as_u64().unwrap(), text(&line["message"]))).collect()
}

#[test]
fn the_built_in_packs_have_neither_errors_nor_remarks() {
    let checked = Folder::new().run("rules check").expect(0, &[" rules in ", "0 errors, 0 remarks, 0 left out"]);
    assert_eq!(checked.out, "");
}

#[test]
fn the_built_in_packs_pass_their_own_tests() {
    let folder = Folder::new();
    let tested = folder.run("rules test").expect(0, &[" passed, 0 failed"]).json();
    let passed = |case: &Value| case["passed"] == true && case["failure"].is_null() && case["case"].is_string();
    assert!(tested.iter().all(passed));
    let rules = folder.run("rules list").expect(0, &[]).json();
    let ids = |list: &[Value], key: &str| list.iter().map(|line| line[key].as_str().unwrap().into()).collect();
    // What is only a part of correlations is tested with them.
    let own: Vec<Value> = rules.iter().filter(|rule| rule["makes_findings"] == true).cloned().collect();
    let (tested, listed): (BTreeSet<String>, BTreeSet<String>) = (ids(&tested, "rule"), ids(&own, "id"));
    assert_eq!(tested, listed, "a rule has no tests, or an id is used twice");
    assert!(listed.len() == own.len() && listed.len() >= 20 && own.len() < rules.len());
}

#[test]
fn a_listed_rule_says_what_it_is() {
    let levels = ["informational", "low", "medium", "high", "critical"];
    for rule in Folder::new().run("rules list --json").expect(0, &[]).json() {
        for key in ["id", "title", "description", "file"] {
            assert!(rule[key].as_str().is_some_and(|text| !text.is_empty()), "{key} in {rule}");
        }
        assert!(levels.contains(&rule["severity"].as_str().unwrap()), "{rule}");
        assert!(rule["techniques"].is_array() && rule["line"].is_u64(), "{rule}");
        let service = rule["service"].as_str();
        let known = service.is_some_and(|service| ["cloudtrail", "guardduty", "securityhub"].contains(&service));
        assert_eq!(known, rule.get("correlation").is_none(), "{rule}");
    }
}

#[test]
fn facts_are_listed_and_unknown_ones_refused_with_the_nearest() {
    let folder = Folder::new();
    let all = folder.run("rules fields --json").expect(0, &[]).json();
    assert!(all.len() >= 50, "{}", all.len());
    for field in &all {
        for key in ["name", "type", "about", "present"] {
            assert!(field[key].as_str().is_some_and(|text| !text.is_empty()), "{key} in {field}");
        }
        assert!(!field["example"].is_null(), "{field}");
    }
    let some = folder.run("rules fields dial.acl --json").expect(0, &[]).json();
    assert!(!some.is_empty() && some.len() < all.len());
    folder.run("rules fields nonsense").expect(2, &["nonsense", "nearest"]);
    folder.write(
        "a.yml",
        rule(ID, "CreateUser").replace("eventName: ", "dial.sg.open_to_word: true\n        eventName: "),
    );
    let found = folder.run("rules check a.yml --json").expect(1, &[]);
    assert!(found.out.contains("dial.sg.open_to_world"), "{}", found.out);
}

#[test]
fn a_broken_rule_is_named_with_file_and_line() {
    let with = |line: usize, text: &str| {
        let good = rule(ID, "CreateUser");
        let mut lines: Vec<&str> = good.lines().collect();
        lines[line - 1] = text;
        lines.join("\n")
    };
    for (text, line, words) in [
        (with(8, "        eventName: [CreateUser"), 8..=10, "YAML"),
        (with(2, "\tid: x"), 2..=2, "YAML"),
        (with(1, "name: without a title"), 1..=1, "title"),
        (with(6, "detections:"), 1..=1, "detection"),
        (with(3, "logsources:"), 1..=1, "logsource"),
        (with(8, "        eventName|re: '('"), 8..=8, "regex"),
        (with(8, "        eventName|nonsense: x"), 8..=8, "nonsense"),
        (with(8, "        sourceIPAddress|cidr: everywhere"), 8..=8, "everywhere"),
        (with(10, "dial: {remedy: none}"), 10..=10, "remedy"),
        (with(9, "    condition: call and other"), 9..=9, "other"),
        (with(9, "    condition: not other"), 9..=9, "other"),
        (with(9, "    condition: call and not 1 of filter_*"), 9..=9, "filter_*"),
        (with(9, "    condition: all of filter_*"), 9..=9, "filter_*"),
        (with(9, "    condition: call and ("), 9..=9, "ondition"),
        (with(9, "    timeframe: 5m"), 1..=9, "ondition"),
    ] {
        let folder = Folder::new();
        folder.write("rules/bad.yml", &text);
        folder.write("rules/good.yml", rule(OTHER_ID, "DeleteUser"));
        let checked = folder.run("rules check rules").expect(1, &["1 rules in 2 files are fine; 1 errors"]);
        let errors = reported(&checked, "error");
        assert_eq!(errors.len(), 1, "{text}\n{}", checked.out);
        let (file, at, message) = &errors[0];
        assert_eq!(file, "rules/bad.yml");
        assert!(line.contains(&(*at as usize)), "line {at} is not in {line:?}: {message}\n{text}");
        assert!(message.to_lowercase().contains(&words.to_lowercase()), "no {words:?} in {message:?}\n{text}");
        // Whoever works with rules refuses the set, and says why as well.
        let place = format!("rules/bad.yml:{at}: ");
        folder.run("rules test rules").expect(2, &[&place]);
        folder.dial(["scan", "-", "--rules", "rules"]).run().expect(2, &[&place]);
    }
}

#[test]
fn every_broken_rule_is_reported_at_once() {
    let folder = Folder::new();
    folder.write("a.yml", "title: [\n");
    folder.write("b.yml", rule(ID, "CreateUser").replace("condition: call", "condition: nothing"));
    folder.write("c.yml", rule(ID, "CreateUser"));
    folder.write("d.yml", rule(ID, "DeleteUser"));
    let checked = folder.run("rules check .").expect(1, &["1 rules in 4 files are fine; 3 errors"]);
    let errors = reported(&checked, "error");
    let files: Vec<&str> = errors.iter().map(|(file, ..)| file.as_str()).collect();
    assert_eq!(files, ["./a.yml", "./b.yml", "./d.yml"]);
    assert!(errors[2].1 == 2 && errors[2].2.contains("./c.yml") && errors[2].2.contains(ID), "{errors:?}");
}

#[test]
fn a_file_that_is_not_text_is_one_problem_among_others() {
    let folder = Folder::new();
    folder.write("a.yml", rule(ID, "CreateUser"));
    folder.write("b.yml", [b"title: a\nid: \xff\xfe".as_slice(), rule(OTHER_ID, "DeleteUser").as_bytes()].concat());
    folder.write("c.yml", "title: [\n");
    folder.write("d.test.yml", b"\xff");
    let checked = folder.run("rules check .").expect(1, &["1 rules in 3 files are fine; 3 errors"]);
    let errors = reported(&checked, "error");
    let places: Vec<(&str, u64)> = errors.iter().map(|(file, line, _)| (file.as_str(), *line)).collect();
    assert_eq!((places[0], places[2]), (("./b.yml", 2), ("./d.test.yml", 1)), "{errors:?}");
    assert!(errors[0].2.contains("byte 13") && errors[0].2.contains("UTF-8"), "{errors:?}");
    folder.run("rules list .").expect(1, &["./b.yml:2: "]);
    folder.run("rules test .").expect(2, &["./b.yml:2: "]);
    folder.dial(["scan", "-", "--rules", "."]).run().expect(2, &["./b.yml:2: ", "./c.yml:"]);
}

#[test]
fn filters_are_refused_by_name_and_not_left_out() {
    let filter = "title: Not ours\nlogsource: {product: aws}\nfilter:\n    rules: [made]\n    \
                  selection: {eventName: x}\n    condition: not selection\n";
    let folder = Folder::new();
    folder.write("rules.yml", format!("{}---\n{filter}", rule(ID, "CreateUser")));
    let checked = folder.run("rules check rules.yml").expect(1, &["1 rules", "1 errors"]);
    let errors = reported(&checked, "error");
    assert!(errors[0].2.contains("Not ours") && errors[0].1 > 10, "{errors:?}");
}

/// Two rules and a correlation of both, with a test.
fn correlated(folder: &Folder) {
    let correlation = "title: Made and deleted\nid: 7b7e6c39-6c6d-4d37-a2b1-0a5f4b8b3c03\nlevel: high\ncorrelation:\n    \
                       type: temporal_ordered\n    rules: [ID, OTHER]\n    group-by: [dial.actor]\n    timespan: 10m\n";
    let correlation = correlation.replace("ID", ID).replace("OTHER", OTHER_ID);
    folder.write("rules/parts.yml", format!("{}---\n{}", rule(ID, "CreateUser"), rule(OTHER_ID, "DeleteUser")));
    folder.write("rules/a.test.yml", tests(ID, "CreateUser"));
    folder.write("rules/b.test.yml", tests(OTHER_ID, "DeleteUser"));
    folder.write("rules/both.yml", correlation);
    let call = |name: &str, at: &str| format!("{{eventSource: iam.amazonaws.com, eventName: {name}, at: {at}}}");
    let case = |name: &str, at: &str, expect: &str| {
        format!(
            "  - name: {name}\n    events: [{}, {}]\n    expect: {expect}\n",
            call("CreateUser", "0"),
            call("DeleteUser", at)
        )
    };
    let cases = case("in time", "10m", "[{events: [1, 2]}]") + &case("too late", "601s", "[]");
    folder.write("rules/both.test.yml", format!("rule: 7b7e6c39-6c6d-4d37-a2b1-0a5f4b8b3c03\ncases:\n{cases}"));
}

#[test]
fn correlations_are_checked_listed_tested_and_explained() {
    let folder = Folder::new();
    correlated(&folder);
    folder.run("rules check --strict rules").expect(0, &["3 rules in 2 files are fine; 0 errors, 0 remarks"]);
    folder.run("rules test rules").expect(0, &["6 cases of 3 files passed, 0 failed"]);
    let listed = folder.run("rules list rules --level high").expect(0, &[]).json();
    assert_eq!(listed.len(), 1);
    let listed = folder.run("rules list rules").expect(0, &[]).json();
    let correlation = listed.iter().find(|line| line.get("correlation").is_some()).unwrap();
    assert_eq!((listed.len(), &correlation["title"]), (3, &Value::from("Made and deleted")));
    assert_eq!(correlation["correlation"]["timespan_seconds"], 600);
    let event = "{\"eventID\": \"e\", \"eventTime\": \"2026-01-01T00:00:00Z\", \"eventSource\": \"iam.amazonaws.com\", \
        \"eventName\": \"CreateUser\", \"userIdentity\": {\"type\": \"IAMUser\", \"arn\": \"arn:aws:iam::111122223333:user/alice\"}}";
    folder.write("event.json", event);
    let ended = folder.run("rules explain 7b7e6c39-6c6d-4d37-a2b1-0a5f4b8b3c03 --event event.json --rules rules");
    let words = [
        "1 of 1 events take part in \"Made and deleted\"",
        "in the group: dial.actor arn:aws:iam::111122223333:user/alice",
    ];
    ended.expect(0, &words);
    folder.run("rules explain 7b7e6c39 --event event.json --rules rules").expect(2, &["3 rules have ids that begin"]);
    let scanned = folder.run("scan event.json --rules rules").expect(1, &[]);
    assert_eq!(scanned.json().len(), 1, "the rule of another file goes on making findings");
    let second = event.replace("\"e\"", "\"f\"").replace("CreateUser", "DeleteUser").replace("00:00:00", "00:01:00");
    folder.write("second.json", second);
    let found = folder.run("scan second.json event.json --rules rules").expect(1, &[]).json();
    let correlated: Vec<_> = found.iter().filter(|line| line["kind"] == "correlated").collect();
    assert_eq!((found.len(), correlated.len()), (3, 1), "{found:?}");
    assert_eq!(correlated[0]["rule_title"], "Made and deleted");
    let disabled = "[policy]\ndisabled = [\"Made and deleted\"]\n[rules]\npaths = [\"rules\"]\n";
    folder.write("dial.toml", disabled);
    let found = folder.run("scan second.json event.json").expect(1, &[]).json();
    assert!(found.iter().all(|line| line["kind"] == "single") && found.len() == 2, "{found:?}");
}

#[test]
fn a_correlation_without_tests_or_with_a_misspelt_field_is_remarked_on() {
    let folder = Folder::new();
    correlated(&folder);
    std::fs::remove_file(folder.path("rules/both.test.yml")).unwrap();
    let text = std::fs::read_to_string(folder.path("rules/both.yml")).unwrap();
    folder.write("rules/both.yml", text.replace("dial.actor", "userIdentity.Arn"));
    let remarks = reported(&folder.run("rules check rules").expect(0, &["0 errors, 2 remarks"]), "remark");
    assert!(remarks[0].2.contains("no tests"), "{remarks:?}");
    assert_eq!(remarks[1].1, 7, "{remarks:?}");
    assert!(remarks[1].2.contains("did you mean `userIdentity.arn`"), "{remarks:?}");
}

#[test]
fn a_rule_without_tests_is_remarked_on_and_fine() {
    let folder = Folder::new();
    folder.write("rules/tested.yml", rule(ID, "CreateUser"));
    folder.write("rules/tested.test.yml", tests(ID, "CreateUser"));
    folder.write("rules/bare.yml", rule(OTHER_ID, "DeleteUser"));
    let checked = folder.run("rules check rules").expect(0, &["2 rules", "0 errors, 1 remarks"]);
    let remarks = reported(&checked, "remark");
    assert_eq!((remarks[0].0.as_str(), remarks[0].1), ("rules/bare.yml", 1));
    assert!(remarks[0].2.contains("no tests") && remarks[0].2.contains("DeleteUser"), "{remarks:?}");
    // So are rules without an id or a level.
    let lacking = rule(ID, "CreateUser").replace(&format!("id: {ID}\n"), "").replace("level: low\n", "");
    let folder = Folder::new();
    folder.write("lacking.yml", lacking);
    let remarks = reported(&folder.run("rules check lacking.yml").expect(0, &["0 errors, 3 remarks"]), "remark");
    for words in ["no id", "no level", "no tests"] {
        assert!(remarks.iter().any(|remark| remark.2.contains(words)), "{words}: {remarks:?}");
    }
}

#[test]
fn a_case_that_fails_is_named() {
    let folder = Folder::new();
    folder.write("rules/a.yml", rule(ID, "CreateUser"));
    folder.write("rules/a.test.yml", tests(ID, "CreateUser"));
    folder.write("rules/b.yml", rule(OTHER_ID, "DeleteUser"));
    folder.write("rules/b.test.yml", tests(OTHER_ID, "RemoveUser"));
    let ended = folder.run("rules test --json rules").expect(1, &["3 cases of 2 files passed, 1 failed"]);
    let failed: Vec<Value> = ended.json().into_iter().filter(|case| case["passed"] == false).collect();
    assert_eq!((ended.json().len(), failed.len()), (4, 1));
    assert_eq!((&failed[0]["file"], &failed[0]["case"]), (&"rules/b.test.yml".into(), &"the call".into()));
    assert_eq!(failed[0]["rule"], OTHER_ID);
    let why = failed[0]["failure"].as_str().unwrap();
    assert!(why.contains("[1]") && why.contains("[]"), "{why}");
}

#[test]
fn tests_that_cannot_be_run_fail_instead_of_passing_in_silence() {
    for (text, words) in [
        ("rule: [", "line 1"),
        (&format!("rule: {ID}\ncases: []\n"), "no cases"),
        (&tests(OTHER_ID, "CreateUser"), OTHER_ID),
        (&tests(ID, "CreateUser").replace("expect: []", "expcet: []"), "expcet"),
        (&tests(ID, "CreateUser").replace("expect: [1]", "expect: [1, 2]"), "expects event 2"),
        (&tests(ID, "CreateUser").replace("eventSource: iam.amazonaws.com, ", ""), "eventSource"),
    ] {
        let folder = Folder::new();
        folder.write("rules/a.yml", rule(ID, "CreateUser"));
        folder.write("rules/a.test.yml", text);
        let ended = folder.run("rules test rules").expect(1, &[" failed"]);
        let failures: Vec<String> = ended.json().iter().map(|case| case["failure"].to_string()).collect();
        assert!(failures.iter().any(|failure| failure.contains(words)), "no {words:?} in {failures:?}");
    }
    let folder = Folder::new();
    folder.write("a.yml", rule(ID, "CreateUser"));
    folder.run("rules test .").expect(2, &["no .test.yml files"]);
}

#[test]
fn a_file_may_hold_several_documents() {
    let folder = Folder::new();
    let (first, second) = (rule(ID, "CreateUser"), rule(OTHER_ID, "DeleteUser"));
    folder.write("rules/both.yaml", format!("---\n# two rules\n{first}---\n{second}---\n"));
    folder.write("rules/both.test.yml", tests(ID, "CreateUser"));
    folder.write("rules/more.test.yml", tests(OTHER_ID, "DeleteUser"));
    folder.run("rules check rules").expect(0, &["2 rules in 1 files are fine; 0 errors, 0 remarks"]);
    folder.run("rules test rules").expect(0, &["4 cases of 2 files passed"]);
    let listed = folder.run("rules list rules").expect(0, &[]).json();
    let lines: Vec<(&Value, u64)> = listed.iter().map(|rule| (&rule["id"], rule["line"].as_u64().unwrap())).collect();
    assert_eq!(lines, [(&ID.into(), 2), (&OTHER_ID.into(), 14)]);
    // A fault in the second is told with its line in the file, and the first is still there.
    let broken = second.replace("condition: call", "condition: call and other");
    folder.write("rules/both.yaml", format!("{first}---\n{broken}"));
    let checked = folder.run("rules check rules").expect(1, &["1 rules in 1 files are fine; 1 errors"]);
    let errors = reported(&checked, "error");
    assert!((17..=20).contains(&errors[0].1), "{errors:?}");
    let listed = folder.run("rules list rules").expect(1, &["rules/both.yaml:"]).json();
    assert_eq!(listed.len(), 1);
}

#[test]
fn rules_for_other_products_are_left_out_with_a_note() {
    let folder = Folder::new();
    let foreign = rule(OTHER_ID, "Process").replace("product: aws", "product: windows");
    let nowhere = rule(OTHER_ID, "Anything").replace("    product: aws\n", "");
    folder.write("rules/a.yml", rule(ID, "CreateUser"));
    folder.write("rules/windows.yml", foreign);
    folder.write("rules/any.yml", nowhere);
    let words =
        ["left out: rules/windows.yml", "Process was called", "left out: rules/any.yml", "1 rules", "2 left out"];
    folder.run("rules check rules").expect(0, &words);
    assert_eq!(folder.run("rules list rules").expect(0, &[]).json().len(), 1);
}

#[test]
fn what_public_rules_are_made_of_loads_and_matches() {
    let text = format!(
        r#"title: The words of Sigma
id: {ID}
status: experimental
description: Uses what public rules for CloudTrail use.
author: somebody
date: 2024/05/01
modified: 2024-06-01
references:
    - https://example.com
tags:
    - attack.persistence
    - attack.t1098
logsource:
    product: aws
    service: cloudtrail
detection:
    selection_source:
        eventSource: 'iam.amazonaws.com'
    selection_name:
        - eventName|startswith: 'Create'
        - eventName|endswith:
            - 'User'
            - 'Role'
    selection_deep:
        requestParameters.tags.key|contains|all:
            - 'a'
            - 'b'
        userAgent|re: '^aws-cli/\d'
        sourceIPAddress|cidr: '198.51.100.0/24'
    keywords:
        - 'special*word'
    filter_main_service:
        userIdentity.type: AWSService
    filter_optional_error:
        errorCode|exists: true
    condition: selection_source and (all of selection_* or keywords) and not 1 of filter_*
fields:
    - eventName
falsepositives:
    - Unknown
level: critical
"#
    );
    let event = |more: &str| format!("{{eventSource: iam.amazonaws.com, eventName: CreateUser, {more}}}");
    let deep = "requestParameters: {tags: {key: xaxbx}}";
    let cases = [
        (event(deep), "[1]"),
        (event("requestParameters: {tags: {key: a}}"), "[]"),
        (event("requestParameters: {any: a specialised word}"), "[1]"),
        (event(&format!("{deep}, userIdentity: {{type: AWSService}}")), "[]"),
        (event(&format!("{deep}, errorCode: AccessDenied")), "[]"),
        (event(&format!("{deep}, sourceIPAddress: 203.0.113.1")), "[]"),
        (event(&format!("{deep}, eventName: DeleteRole")).replace("eventName: CreateUser, ", ""), "[1]"),
    ];
    let folder = Folder::new();
    folder.write("rule.yml", text);
    let list = cases
        .iter()
        .enumerate()
        .map(|(at, (event, expect))| format!("  - name: case {at}\n    events: [{event}]\n    expect: {expect}\n"));
    folder.write("rule.test.yml", format!("rule: {ID}\ncases:\n{}", list.collect::<String>()));
    folder.run("rules check .").expect(0, &["0 errors, 0 remarks"]);
    let ended = folder.run("rules test .");
    assert!(ended.code == 0 && ended.json().len() == cases.len(), "{}", ended.out);
    let listed = &folder.run("rules list .").expect(0, &[]).json()[0];
    assert_eq!((&listed["severity"], &listed["techniques"][0]), (&"critical".into(), &"T1098".into()));
}

#[test]
fn paths_without_rules_are_wrong_usage() {
    let folder = Folder::new();
    folder.write("empty/README.md", "no rules");
    for command in ["check", "test", "list"] {
        folder.run(&format!("rules {command} nowhere")).expect(2, &["nowhere", "no such file or folder"]);
        folder.run(&format!("rules {command} empty")).expect(2, &["no .yml files"]);
    }
    folder.run("rules").expect(2, &["check"]);
}

#[test]
fn a_folder_of_rules_that_cannot_be_read_is_a_failure_of_the_environment() {
    let folder = Folder::new();
    folder.write("rules/a.yml", rule(ID, "CreateUser"));
    let _locked = Locked::folder(folder.path("rules"));
    let ended = folder.dial(["rules", "check", "rules"]).without_privileges(&folder).run();
    ended.expect(3, &["rules: Permission denied"]);
}

#[test]
fn a_link_that_leads_round_in_a_circle_is_not_followed() {
    let folder = Folder::new();
    folder.write("rules/deep/a.yml", rule(ID, "CreateUser"));
    symlink(folder.path("rules"), folder.path("rules/deep/round")).unwrap();
    assert_eq!(folder.run("rules list rules rules/deep rules/deep/a.yml").expect(0, &[]).json().len(), 1);
}

#[test]
fn on_a_terminal_problems_read_as_lines_and_rules_as_a_table() {
    let folder = Folder::new();
    folder.write("bad.yml", rule(ID, "CreateUser").replace("condition: call", "condition: call and other"));
    folder.write("good.yml", rule(OTHER_ID, "DeleteUser"));
    folder.write("good.test.yml", tests(OTHER_ID, "Wrong"));
    let shown = folder.run_on_terminal("rules check bad.yml good.yml").expect(1, &[]);
    assert!(shown.out.contains("error: bad.yml:") && shown.out.contains("remark: good.yml:1: "), "{}", shown.out);
    let shown = folder.run_on_terminal("rules test good.yml good.test.yml").expect(1, &[]);
    assert!(shown.out.contains("FAILED good.test.yml: the call: "), "{}", shown.out);
    let shown = folder.run_on_terminal("rules list").expect(0, &[]);
    for words in ["severity", "techniques", "MFA device removed", "T1556.006", "cloudtrail"] {
        assert!(shown.out.contains(words), "{words} in {}", shown.out);
    }
}
