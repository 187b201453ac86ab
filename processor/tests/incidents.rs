//! `dial findings list` and `show` of correlated findings.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;

use dial_rules::correlation::Windows;
use dial_rules::decode::{Decoded, Decoder};
use dial_rules::finding::{Finding, MOST_EVENTS};
use dial_rules::lineage;
use dial_rules::pack;
use dial_rules::ruleset::RuleSet;
use dial_sinks::sqlite::SqliteFindingStore;
use dial_sinks::store::FindingStore;
use serde_json::{Value, json};
use support::Folder;

const TITLE: &str = "MFA device removed, then IAM changed by the same person";
const KEY: &str = "AKIAIOSFODNN7EXAMPLE";

/// A call of alice's, with her access key.
fn call(id: u32, time: &str, name: &str) -> Value {
    json!({
        "eventVersion": "1.11", "eventID": format!("00000000-0000-4000-8000-{id:012}"), "eventTime": time,
        "eventType": "AwsApiCall", "eventSource": "iam.amazonaws.com", "eventName": name, "awsRegion": "us-east-1",
        "sourceIPAddress": "8.8.8.8", "recipientAccountId": "111122223333", "userAgent": "aws-cli", "readOnly": false,
        "requestParameters": { "userName": "bob" },
        "userIdentity": { "type": "IAMUser", "userName": "alice", "accountId": "111122223333", "accessKeyId": KEY,
            "arn": "arn:aws:iam::111122223333:user/alice", "principalId": "AIDAIOSFODNN7EXAMPLE" },
    })
}

/// What the correlations that come with DIAL find in these records.
fn correlated(records: &[Value]) -> Vec<Finding> {
    let rules = RuleSet::load(&pack::rules()).rules;
    let mut filed = Vec::new();
    for record in records {
        for decoded in Decoder::record(record.to_string().as_bytes()) {
            let Decoded::Event(event) = decoded else { panic!("{decoded:?}") };
            for found in rules.evaluate(&event) {
                filed.extend(rules.correlations().file(&found, rules.tables(), &lineage::origin(&event)).filed);
            }
        }
    }
    Windows::default().file(rules.correlations(), filed)
}

/// A folder that keeps the findings of a second factor that was taken away: of alice, of her key, and of bob, whose it was.
fn saved() -> (Folder, Vec<Finding>) {
    let records = [
        call(1, "2026-03-03T10:00:00Z", "DeactivateMFADevice"),
        call(2, "2026-03-03T10:20:00Z", "UpdateLoginProfile"),
        call(3, "2026-03-03T10:40:00Z", "CreateAccessKey"),
    ];
    let findings = correlated(&records);
    assert_eq!(findings.len(), 3, "{findings:#?}");
    let folder = Folder::new();
    keep(&folder, findings.clone());
    (folder, findings)
}

fn keep(folder: &Folder, findings: Vec<Finding>) {
    std::fs::create_dir_all(folder.path("dial-data")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = SqliteFindingStore::open(folder.path("dial-data/findings.db")).await.unwrap();
        store.record(findings).await.unwrap();
    });
}

#[test]
fn findings_that_share_a_completing_event_are_one_line() {
    let (folder, findings) = saved();
    let listed = folder.run_on_terminal("findings list").expect(0, &[]).out;
    let lines: Vec<&str> = listed.lines().filter(|line| line.contains("2026-03-03")).collect();
    let [line] = lines[..] else { panic!("{listed}") };
    // The worst, and of these the person's rather than the key's.
    for part in [TITLE, "(and 2 more)", "alice (111122223333)", "critical"] {
        assert!(line.contains(part), "{part} in {line}");
    }
    let all = folder.run_on_terminal("findings list --all").expect(0, &[]).out;
    for finding in &findings {
        assert!(all.contains(&finding.finding_id), "{all}");
    }
    assert!(!all.contains("more)"), "{all}");
}

#[test]
fn json_has_a_line_for_each_with_its_incident() {
    let (folder, findings) = saved();
    let later: Vec<Value> = [
        call(11, "2026-03-04T10:00:00Z", "DeactivateMFADevice"),
        call(12, "2026-03-04T10:20:00Z", "CreatePolicyVersion"),
    ]
    .into();
    keep(&folder, correlated(&later));
    let listed = folder.run("findings list").expect(0, &[]).lines();
    assert_eq!(listed.len(), findings.len() + 2);
    let incidents: BTreeSet<&str> = listed.iter().map(|line| line["incident"].as_str().unwrap()).collect();
    assert_eq!(incidents.len(), 2);
    for line in &listed {
        let shown = folder.run(&format!("findings show {}", line["finding_id"].as_str().unwrap())).expect(0, &[]);
        assert_eq!(shown.lines()[0]["incident"], line["incident"]);
        assert!(!line["completed_by"].as_array().unwrap().is_empty());
    }
}

#[test]
fn a_limit_counts_incidents_on_a_terminal() {
    let (folder, findings) = saved();
    let later: Vec<Value> = [
        call(11, "2026-03-04T10:00:00Z", "DeactivateMFADevice"),
        call(12, "2026-03-04T10:20:00Z", "CreatePolicyVersion"),
    ]
    .into();
    keep(&folder, correlated(&later));
    let listed = folder.run_on_terminal("findings list --limit 2").expect(0, &[]).out;
    assert_eq!(listed.lines().filter(|line| line.contains("2026-03-0")).count(), 2, "{listed}");
    assert!(listed.contains("(and 2 more)") && listed.contains("(and 1 more)"), "{listed}");
    let listed = folder.run_on_terminal("findings list --limit 1").expect(0, &[]).out;
    assert!(listed.contains("there may be more") && !listed.contains("2026-03-03"), "{listed}");
    assert_eq!(folder.run("findings list --limit 2").json().len(), 2.min(findings.len()));
}

#[test]
fn one_is_shown_as_the_story_that_it_is() {
    let (folder, findings) = saved();
    let finding =
        findings.iter().find(|finding| finding.group.values().any(|value| value.ends_with("/alice"))).unwrap();
    let shown = folder.run_on_terminal(&format!("findings show {}", finding.finding_id)).expect(0, &[]).out;
    for part in [
        "alice (111122223333)",
        "2 of 2 rules in order within 1 h; 3 distinct events; first completed at 2026-03-03 10:20:00, last at \
         2026-03-03 10:40:00",
        "T1098",
        "T1556.006",
        "What happened",
        "8.8.8.8 US",
        "iam DeactivateMFADevice",
        "Rights, credentials or users of IAM changed",
        "One incident with",
        "What to do",
        "Harmless if",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let at = |text: &str| shown.find(text).unwrap_or_else(|| panic!("{text} in {shown}"));
    assert!(at("iam DeactivateMFADevice") < at("iam UpdateLoginProfile"));
    assert!(at("iam UpdateLoginProfile") < at("iam CreateAccessKey"));
    for other in findings.iter().filter(|other| other.finding_id != finding.finding_id) {
        assert!(shown.contains(&other.finding_id), "{shown}");
    }
}

#[test]
fn what_is_ambiguous_or_left_out_is_said() {
    let (folder, findings) = saved();
    let changed = Finding { order_ambiguous: true, event_count: MOST_EVENTS, ..findings[0].clone() };
    keep(&folder, vec![changed.clone()]);
    let shown = folder.run_on_terminal(&format!("findings show {}", changed.finding_id)).expect(0, &[]).out;
    for part in ["the order is ambiguous", "10,000+", "the 5 earliest and latest of each rule are kept"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let json = folder.run(&format!("findings show {}", changed.finding_id)).expect(0, &[]).lines();
    assert_eq!(json[0]["order_ambiguous"], true);
}

#[test]
fn nothing_of_a_hostile_event_steers_the_terminal() {
    let mut records =
        [call(1, "2026-03-03T10:00:00Z", "DeactivateMFADevice"), call(2, "2026-03-03T10:20:00Z", "CreateUser")];
    for record in &mut records {
        record["sourceIPAddress"] = json!("\u{1b}[2J\u{202e}evil");
        record["awsRegion"] = json!("us\u{1b}[31m");
        record["userIdentity"]["userName"] = json!("a\u{1b}]0;x\u{7}");
    }
    let folder = Folder::new();
    let findings = correlated(&records);
    assert!(!findings.is_empty());
    keep(&folder, findings.clone());
    for finding in findings {
        let shown = folder.run_on_terminal(&format!("findings show {}", finding.finding_id)).expect(0, &[]).out;
        for hostile in ["\u{1b}[2J", "\u{202e}", "\u{1b}[31m\u{1b}", "\u{1b}]0"] {
            assert!(!shown.contains(hostile), "{shown:?}");
        }
    }
}
