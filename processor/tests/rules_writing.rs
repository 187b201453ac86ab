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
        folder.write(&format!("r/{at:02}.yml"), rule(&format!("id-{at}"), CALL, ""));
        let cases = if at == 7 { CASES.replace("expect: [1]", "expect: []") } else { CASES.to_owned() };
        folder.write(&format!("r/{at:02}.test.yml"), format!("rule: id-{at}\ncases: {cases}"));
    }
    let ended = folder.run("rules test r --junit out.xml").expect(1, &["59 cases of 30 files passed, 1 failed"]);
    let rules: Vec<String> = ended.json().iter().map(|case| case["rule"].as_str().unwrap().to_owned()).collect();
    let expected: Vec<String> = (0..60).map(|at| format!("id-{}", at / 2)).collect();
    assert_eq!(rules, expected);
    let xml = fs::read_to_string(folder.path("out.xml")).unwrap();
    assert!(xml.contains("<testsuites name=\"dial rules test\" tests=\"60\" failures=\"1\""), "{xml}");
    assert_eq!((xml.matches("<testsuite ").count(), xml.matches("<testcase ").count()), (30, 60));
    assert!(xml.contains("name=\"the &lt;call&gt;\" classname=\"id-7\" file=\"r/07.test.yml\">\n      <failure message="));
    folder.run("rules test r --junit no/such/folder.xml").expect(3, &["no/such/folder.xml"]);
}
