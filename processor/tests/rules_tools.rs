//! `dial rules patterns`, `explain`, `coverage` and the filters of `list`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use support::{Ended, Folder};

/// A rule for CloudTrail with this id, detection and anything more.
fn rule(id: &str, detection: &str, more: &str) -> String {
    format!(
        "title: Rule {id}\nid: {id}\nlogsource: {{product: aws, service: cloudtrail}}\ndetection: {detection}\n{more}\n"
    )
}

fn ids(ended: &Ended) -> Vec<String> {
    ended.json().iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn patterns_are_one_document_that_names_rules_and_keeps_reads_apart() {
    let folder = Folder::new();
    folder.write(
        "r/a.yml",
        rule("a", "{s: {eventSource: iam.amazonaws.com, eventName: [CreateUser, ListUsers]}, condition: s}", ""),
    );
    folder.write("r/b.yml", rule("b", "{s: {userAgent|contains: kali}, condition: s}", ""));
    folder.write("r/c.yml", rule("c", "{a: {eventName: X}, b: {eventName: Y}, condition: a and b}", ""));
    let words = ["\"Rule b\" (b) may match any event", "\"Rule c\" (c) matches no event"];
    let derived = folder.run("rules patterns --rules r --json").expect(0, &words).json().remove(0);
    let of = |key: &str| derived["patterns"].as_array().unwrap().iter().map(|p| p[key].clone()).collect::<Vec<Value>>();
    assert_eq!(of("name"), ["cloudtrail-1", "cloudtrail-read-only-1", "everything", "everything-read-only"]);
    assert_eq!(of("read_only"), [false, true, false, true]);
    assert_eq!(of("rules"), [json!(["a"]), json!(["a"]), json!(["b"]), json!(["b"])]);
    let source = json!([{"equals-ignore-case": "iam.amazonaws.com"}]);
    assert_eq!(of("pattern")[1]["detail"]["eventSource"], source);
    assert_eq!((&derived["everything"], &derived["never"]), (&json!(["b"]), &json!(["c"])));
    let shown = folder.run_on_terminal("rules patterns --rules r").expect(0, &[]);
    assert!(shown.out.contains("cloudtrail-read-only-1") && shown.out.contains("read-only calls too"), "{}", shown.out);
    folder.write("bad.yml", "title: [");
    folder.run("rules patterns --rules bad.yml").expect(2, &["bad.yml:"]);
}

#[test]
fn the_built_in_packs_have_patterns() {
    let derived = Folder::new().run("rules patterns").expect(0, &[]).json().remove(0);
    let patterns = derived["patterns"].as_array().unwrap();
    assert!(patterns.iter().all(|p| p["pattern"].to_string().chars().count() <= 2048 && p["rules"][0].is_string()));
    assert!(patterns.iter().any(|p| p["read_only"] == false) && derived["never"] == json!([]));
}

#[test]
fn a_rule_whose_events_would_not_be_forwarded_fails_its_test() {
    let folder = Folder::new();
    folder.write("a.yml", rule("a", "{s: {eventName|contains: AcCess}, condition: s}", ""));
    folder.write(
        "a.test.yml",
        "rule: a\ncases: [{name: n, events: [{eventSource: iam.amazonaws.com, eventName: CreateAccessKey}], expect: [1]}]",
    );
    let ended = folder.run("rules test .").expect(1, &["1 failed"]);
    assert!(ended.json()[0]["failure"].as_str().unwrap().contains("EventBridge would not forward the events [1]"));
}

#[test]
fn a_rule_is_explained_on_each_event_of_a_file() {
    let folder = Folder::new();
    let detection = "{s: {eventName|startswith: Create}, f: {userIdentity.type: Root}, condition: s and not f}";
    folder.write("r/a.yml", rule("abc-1", detection, "") + "---\n" + &rule("abd-1", "{s: {x: y}, condition: s}", ""));
    let event = |id: &str, user: &str| {
        json!({"eventID": id, "eventTime": "2024-05-01T00:00:00Z", "eventSource": "iam.amazonaws.com",
            "eventName": "CreateUser", "userIdentity": {"type": user}})
    };
    folder.write("events.json", json!({"Records": [event("e1", "IAMUser"), event("e2", "Root")]}).to_string() + "\n{}");
    let ended =
        folder.run("rules explain abc --rules r --event events.json").expect(0, &["matches 1 of 2", "no event"]);
    let lines = ended.json();
    let verdicts: Vec<_> = lines.iter().map(|line| (line["event_id"].as_str().unwrap(), &line["matched"])).collect();
    assert_eq!(verdicts, [("e1", &json!(true)), ("e2", &json!(false))]);
    let not = &lines[1]["conditions"][1]["parts"][1];
    assert_eq!((&not["condition"], &not["matched"]), (&json!("not"), &json!(false)));
    assert_eq!(not["parts"][0]["parts"][0]["value"], "Root");
    let shown = folder.run_on_terminal("rules explain abc-1 --rules r --event events.json").expect(0, &[]).out;
    for words in
        ["iam.amazonaws.com CreateUser (e1)", "userIdentity.type: Root  ← \"IAMUser\"  (the value is another)", "└─"]
    {
        assert!(shown.contains(words), "{words} in {shown}");
    }
    for (arguments, words) in [
        ("ab --rules r --event events.json", "2 rules have ids that begin with ab"),
        ("zz --rules r --event events.json", "no rule has the id zz"),
        ("abc --rules r --event nowhere", "no such file"),
        ("abc --rules r --event r/a.yml", "no event in it"),
    ] {
        folder.run(&format!("rules explain {arguments}")).expect(2, &[words]);
    }
}

#[test]
fn coverage_counts_rules_by_technique_and_makes_a_layer() {
    let folder = Folder::new();
    let tagged = |id: &str, tags: &str| rule(id, "{s: {eventName: X}, condition: s}", &format!("tags: [{tags}]"));
    let text =
        [tagged("a", "attack.impact, attack.t1485"), tagged("b", "attack.impact, attack.t1485"), tagged("c", "x.y")];
    folder.write("r/all.yml", text.join("---\n"));
    let ended = folder.run("rules coverage r").expect(0, &["1 techniques in 1 tactics from 3 rules; 1 rules without"]);
    let expected = json!({"technique": "T1485", "tactics": ["impact"], "severity": "medium", "rules": ["a", "b"]});
    assert_eq!(ended.json(), [expected]);
    let layer: Value = serde_json::from_str(&folder.run("rules coverage r --navigator").expect(0, &[]).out).unwrap();
    assert_eq!((&layer["versions"]["layer"], &layer["techniques"][0]["score"]), (&json!("4.5"), &json!(2)));
    let shown = folder.run_on_terminal("rules coverage r").expect(0, &[]).out;
    assert!(shown.contains("impact") && shown.contains("T1485 ×2"), "{shown}");
}

#[test]
fn lists_are_narrowed_by_level_tag_technique_service_and_status() {
    let folder = Folder::new();
    let detection = "{s: {eventName: X}, condition: s}";
    let more = |level: &str, status: &str, tags: &str| format!("level: {level}\nstatus: {status}\ntags: [{tags}]");
    let text = [
        rule("a", detection, &more("low", "stable", "attack.persistence, attack.t1098")),
        rule("b", detection, &more("high", "experimental", "attack.persistence, attack.t1098.001")),
        rule("c", detection, &more("critical", "stable", "attack.impact, attack.t10980"))
            .replace("cloudtrail", "guardduty"),
    ];
    folder.write("r.yml", text.join("---\n"));
    for (filters, expected) in [
        ("", vec!["a", "b", "c"]),
        ("--level high", vec!["b", "c"]),
        ("--tag persistence", vec!["a", "b"]),
        ("--tag attack.impact", vec!["c"]),
        ("--technique t1098", vec!["a", "b"]),
        ("--technique T1098.001", vec!["b"]),
        ("--service guardduty", vec!["c"]),
        ("--status Stable --level medium", vec!["c"]),
        ("--tag impact --technique T1098", vec![]),
    ] {
        assert_eq!(ids(&folder.run(&format!("rules list r.yml {filters}")).expect(0, &[])), expected, "{filters}");
    }
    folder.run("rules list --level worst").expect(2, &["informational"]);
}
