//! What helps who writes rules: `dial rules test --junit`, the remarks of `check`, and `new`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;

use serde_json::{Value, json};
use support::{Ended, Folder};

const CALL: &str = "{s: {eventSource: iam.amazonaws.com, eventName: CreateUser}, condition: s}";
const CASES: &str = "[{name: the <call>, events: [{eventSource: iam.amazonaws.com, eventName: CreateUser}], expect: [1]}, \
                     {name: another, events: [{eventSource: iam.amazonaws.com, eventName: X}], expect: []}]";

/// A rule with this id, detection and anything more.
fn rule(id: &str, detection: &str, more: &str) -> String {
    format!(
        "title: Rule {id}\nid: {id}\nlevel: low\nlogsource: {{product: aws, service: cloudtrail}}\ndetection: {detection}\n{more}\n"
    )
}

/// What `rules check` says, without files and lines.
fn said(ended: &Ended, kind: &str) -> Vec<String> {
    let lines = ended.json().into_iter().filter(|line| line["kind"] == kind);
    lines.map(|line| line["message"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn outcomes_are_written_as_junit_xml_in_the_order_of_the_files() {
    let folder = Folder::new();
    for at in 0..30 {
        folder.write(format!("r/{at:02}.yml"), rule(&format!("id-{at}"), CALL, ""));
        let cases = if at == 7 { CASES.replace("expect: [1]", "expect: []") } else { CASES.to_owned() };
        folder.write(format!("r/{at:02}.test.yml"), format!("rule: id-{at}\ncases: {cases}"));
    }
    let ended = folder.run("rules test r --junit out.xml").expect(1, &["59 cases of 30 files passed, 1 failed"]);
    let rules: Vec<String> = ended.json().iter().map(|case| case["rule"].as_str().unwrap().to_owned()).collect();
    let expected: Vec<String> = (0..60).map(|at| format!("id-{}", at / 2)).collect();
    assert_eq!(rules, expected);
    let xml = fs::read_to_string(folder.path("out.xml")).unwrap();
    assert!(xml.contains("<testsuites name=\"dial rules test\" tests=\"60\" failures=\"1\""), "{xml}");
    assert_eq!((xml.matches("<testsuite ").count(), xml.matches("<testcase ").count()), (30, 60));
    assert!(
        xml.contains("name=\"the &lt;call&gt;\" classname=\"id-7\" file=\"r/07.test.yml\">\n      <failure message=")
    );
    folder.run("rules test r --junit no/such/folder.xml").expect(3, &["no/such/folder.xml"]);
}

#[test]
fn remarks_name_what_to_look_at_again_with_its_line() {
    let folder = Folder::new();
    let text = "title: Rule a\nid: a\nlevel: low\ntags:\n  - attack.t1089\n  - attack.persistance\n  - attack.t1098\n\
                logsource: {product: aws, service: cloudtrail}\ndetection:\n  s:\n    eventName: CreateUser\n    \
                userName: x\n    userAgent|re: '(\\w{1,9}-){3}'\n  spare: {errorCode: x}\n  condition: s\n";
    folder.write("r/a.yml", text);
    folder.write("r/a.test.yml", "rule: a\ncases: [{name: n, events: [{eventSource: i, eventName: X}], expect: []}]");
    let ended = folder.run("rules check r").expect(0, &["1 rules in 1 files are fine; 0 errors, 6 remarks"]);
    let lines: Vec<Value> = ended.json();
    for (line, words) in [
        (1, "no test case that it must match"),
        (5, "revoked T1089: write attack.t1562.001"),
        (6, "did you mean `attack.persistence`"),
        (12, "no event has a field `userName`: did you mean `userIdentity.userName`?"),
        (13, "write [A-Za-z0-9_] for \\w"),
        (14, "of selection `spare`: no condition names it"),
    ] {
        let is = |found: &&Value| found["line"] == line && found["message"].as_str().unwrap().contains(words);
        assert!(lines.iter().any(|found| is(&found)), "no {words:?} in line {line}: {lines:?}");
    }
    folder.run("rules check r --strict").expect(1, &["0 errors, 6 remarks"]);
    folder.write("good/a.yml", rule("a", CALL, ""));
    folder.write("good/a.test.yml", format!("rule: a\ncases: {CASES}"));
    folder.run("rules check good --strict").expect(0, &["0 errors, 0 remarks"]);
    folder.write(
        "good/a.test.yml",
        format!("rule: a\ncases: {}]", CASES.split("}, {name: another").next().unwrap().to_owned() + "}"),
    );
    assert!(said(&folder.run("rules check good").expect(0, &[]), "remark")[0].contains("that it must not match"));
}

#[test]
fn what_can_never_match_or_never_run_is_an_error() {
    let folder = Folder::new();
    folder.write("a.yml", rule("a", "{a: {eventName: X}, b: {eventName: Y}, condition: a and b}", ""));
    folder.write("b.yml", rule("b", "{a: {eventName: X}, f: {eventName: [x, y]}, condition: a and not f}", ""));
    folder.write("c.yml", rule("c", CALL, ""));
    folder.write("c.test.yml", "rule: other\ncases: [{name: n, events: [], expect: []}]");
    folder.write("d.test.yml", "rule: [");
    let ended = folder.run("rules check .").expect(1, &["1 rules in 3 files are fine; 4 errors"]);
    let errors = said(&ended, "error");
    for (error, words) in
        errors.iter().zip(["for x and for y at once", "`not f` refuses every", "no rule has the id other", ""])
    {
        assert!(error.contains(words), "no {words:?} in {error}");
    }
    folder.write("e.yml", rule("e", "{s: {'userAgent|re': '(\\w{1,999}){99}'}, condition: s}", ""));
    let ended = folder.run("rules check e.yml").expect(1, &["1 errors"]);
    assert!(said(&ended, "error")[0].contains("written out in full"), "{}", ended.out);
}

#[test]
fn a_rule_is_drafted_from_an_event_and_passes_its_tests() {
    let folder = Folder::new();
    let event = |source: &str, name: &str, request: Value| {
        json!({"eventVersion": "1.11", "eventID": "e-1", "eventTime": "2024-05-01T00:00:00Z", "awsRegion": "us-east-1",
            "eventSource": source, "eventName": name, "requestParameters": request, "userAgent": "x",
            "userIdentity": {"type": "IAMUser", "userName": "alice"}, "eventType": "AwsApiCall"})
    };
    let events = [
        event("iam.amazonaws.com", "CreateUser", json!({"userName": "eve"})),
        event(
            "rds.amazonaws.com",
            "ModifyDBInstance",
            json!({"dBInstanceIdentifier": "a", "publiclyAccessible": true}),
        ),
    ];
    folder.write("events.json", json!({"Records": events}).to_string());
    let new = "rules new --event events.json --out made/here";
    let made = folder.run(&format!("{new} --service rds")).expect(0, &["rds.amazonaws.com ModifyDBInstance", "TODO"]);
    assert_eq!(made.json()[0]["rule"], "made/here/modify_dbinstance.yml");
    let text = fs::read_to_string(folder.path("made/here/modify_dbinstance.yml")).unwrap();
    for line in [
        "title: ModifyDBInstance called on rds.amazonaws.com",
        "status: experimental",
        "level: medium",
        "        requestParameters.publiclyAccessible: true",
        "    condition: selection and not filter_failed",
    ] {
        assert!(text.lines().any(|own| own == line), "no {line:?} in\n{text}");
    }
    let first =
        folder.dial(["rules", "new", "--event", "events.json", "--title", "Eve: made", "--out", "made/here"]).run();
    assert_ne!(first.expect(0, &["iam.amazonaws.com CreateUser"]).json()[0]["id"], made.json()[0]["id"]);
    folder.run("rules test made").expect(0, &["6 cases of 2 files passed, 0 failed"]);
    let remarks = said(&folder.run("rules check made").expect(0, &["2 rules in 2 files are fine; 0 errors"]), "remark");
    assert!(remarks.len() == 4 && remarks.iter().filter(|remark| remark.contains("TODO")).count() == 2, "{remarks:?}");
    folder.run(&format!("{new} --service rds")).expect(2, &["modify_dbinstance.yml", "there already"]);
    assert_eq!(fs::read_to_string(folder.path("made/here/modify_dbinstance.yml")).unwrap(), text);
    fs::remove_file(folder.path("made/here/modify_dbinstance.yml")).unwrap();
    folder.run(&format!("{new} --service rds")).expect(2, &["modify_dbinstance.test.yml", "there already"]);
    assert!(!folder.path("made/here/modify_dbinstance.yml").exists());
    folder.run(&format!("{new} --service s3")).expect(2, &["none of its 2 events is of s3"]);
    folder.run("rules new --event nowhere.json").expect(2, &["no such file"]);
    folder.write("empty.json", "{}");
    folder.run("rules new --event empty.json").expect(2, &["no event in it"]);
}
