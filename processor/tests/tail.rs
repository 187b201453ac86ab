//! `dial findings tail` beside scans that save.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use support::tail::{LONG, Tail};
use support::{Folder, handful, lines};

fn ids(findings: &[Value]) -> BTreeSet<String> {
    findings.iter().map(|finding| finding["finding_id"].as_str().unwrap().to_owned()).collect()
}

fn all() -> BTreeSet<String> {
    handful().findings.keys().cloned().collect()
}

#[test]
fn what_is_recorded_is_told_once_and_the_first_is_waited_for() {
    let folder = Folder::new();
    let tail = Tail::start(&folder, "");
    assert!(tail.err.recv_timeout(LONG).unwrap().contains("waiting for the first"));
    folder.write("a.json", lines(&handful().events));
    folder.run("scan --save a.json").expect(1, &[]);
    // A look may come between two writes of the scan: then some are told again as changed.
    let mut told = Vec::new();
    while ids(&told) != all() {
        told.extend(tail.next(1));
    }
    let new: Vec<&Value> = told.iter().filter(|finding| finding["change"] == "new").collect();
    assert_eq!(new.len(), all().len(), "each is new once");
    assert!(told.iter().all(|finding| finding["severity"].is_string() && finding["status"] == "open"));
    // Recording the same again is no news.
    folder.run("scan --save a.json").expect(1, &[]);
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(tail.interrupt(), (Some(0), Vec::new()));
}

#[test]
fn what_was_there_is_told_when_the_past_is_asked_for_and_growth_is_told_as_such() {
    let folder = Folder::new();
    let (one, two) = handful().halves();
    folder.write("a.json", lines(one));
    folder.run("scan --save a.json").expect(1, &[]);
    let before = folder.run("findings list --all --limit 1000").findings();
    let (quiet, past) = (Tail::start(&folder, ""), Tail::start(&folder, "--since 2000-01-01"));
    assert_eq!(ids(&past.next(before.len())), before.keys().cloned().collect());
    std::thread::sleep(Duration::from_secs(2));
    folder.write("b.json", lines(two));
    folder.run("scan --save b.json").expect(1, &[]);
    let after = folder.run("findings list --all --limit 1000").findings();
    let news: BTreeSet<String> =
        after.iter().filter(|(id, now)| before.get(*id) != Some(now)).map(|(id, _)| id.clone()).collect();
    let content = |finding: &Value| finding["evidence"].to_string() + &finding["last_seen"].to_string();
    for tail in [&quiet, &past] {
        let mut told = Vec::new();
        while !news
            .iter()
            .all(|id| told.iter().any(|one: &Value| one["finding_id"] == **id && content(one) == content(&after[id])))
        {
            told.extend(tail.next(1));
        }
        for finding in &told {
            let known = before.contains_key(finding["finding_id"].as_str().unwrap());
            assert!(!known || finding["change"] == "changed", "{finding}");
        }
    }
}

#[test]
fn filters_narrow_it_and_what_the_policy_hides_is_not_told() {
    let folder = Folder::new();
    let title = handful().findings.values().next().unwrap()["rule_title"].as_str().unwrap().to_owned();
    folder.write("dial.toml", format!("[policy]\nmuted = ['{title}']\n"));
    folder.write("a.json", lines(&handful().events));
    folder.run("scan --save a.json").expect(1, &[]);
    let told = |arguments: &str, passes: &dyn Fn(&Value) -> bool| {
        let open = |finding: &Value| finding["rule_title"] != title.as_str();
        let shown = arguments.contains("--suppressed");
        let expected: BTreeSet<String> = handful()
            .findings
            .values()
            .filter(|one| passes(one) && (shown || open(one)))
            .map(|one| one["finding_id"].as_str().unwrap().to_owned())
            .collect();
        let tail = Tail::start(&folder, &format!("--since 2000-01-01 {arguments}"));
        assert_eq!(ids(&tail.next(expected.len())), expected, "{arguments}");
        assert!(tail.out.recv_timeout(Duration::from_millis(300)).is_err(), "{arguments}: more than that");
        expected.len()
    };
    let total = told("--suppressed", &|_| true);
    assert_eq!(total, all().len());
    assert!(told("", &|_| true) < total);
    let high = |one: &Value| ["high", "critical"].contains(&one["severity"].as_str().unwrap());
    assert!(told("--min-severity high", &high) > 0);
    told("--severity high --kind single", &|one| high(one) && one["kind"] == "single");
    let text =
        |key: &str| handful().findings.values().filter_map(|one| one[key].as_str()).next_back().unwrap().to_owned();
    for (option, key) in [("account", "account_id"), ("region", "region"), ("rule", "rule_id")] {
        let text = text(key);
        for pattern in [text.clone(), text[..5].to_owned() + "*"] {
            let begins = if pattern.ends_with('*') { &text[..5] } else { &text };
            let passes = |one: &Value| one[key].as_str().is_some_and(|value| value.starts_with(begins));
            assert!(told(&format!("--suppressed --{option} {pattern}"), &passes) > 0);
        }
    }
    let actor = text("actor_arn");
    told(&format!("--suppressed --actor {actor}"), &|one| one["actor_arn"] == actor.as_str());
    folder.run("findings tail --since yesterday").expect(2, &["--since", "15m"]);
    folder.run("findings tail --kind both").expect(2, &["single", "correlated"]);
}

#[test]
fn a_store_that_goes_away_is_told_once_and_waited_for() {
    let folder = Folder::new();
    folder.write("a.json", lines(&handful().events));
    folder.run("scan --save a.json").expect(1, &[]);
    let tail = Tail::start(&folder, "--since 2000-01-01");
    tail.next(all().len());
    let database = rusqlite::Connection::open(folder.path("dial-data/findings.db")).unwrap();
    database.execute_batch("ALTER TABLE findings RENAME TO elsewhere").unwrap();
    assert!(tail.err.recv_timeout(LONG).unwrap().contains("findings.db"));
    assert!(tail.err.recv_timeout(Duration::from_secs(4)).is_err(), "it is said once");
    database.execute_batch("ALTER TABLE elsewhere RENAME TO findings").unwrap();
    assert!(tail.err.recv_timeout(LONG).unwrap().contains("can be read again"));
    assert_eq!(tail.interrupt(), (Some(0), Vec::new()));
}

#[test]
fn a_terminal_gets_lines_for_people_and_ctrl_c_ends_it() {
    let folder = Folder::new();
    folder.write("a.json", lines(&handful().events));
    folder.run("scan --save a.json").expect(1, &[]);
    // Ctrl-C, typed when lines have come.
    let ended = folder
        .dial_on_terminal_of(180, "findings tail --since 2000-01-01")
        .feed(move |stdin| {
            std::thread::sleep(Duration::from_secs(10));
            let _ = std::io::Write::write_all(stdin, b"\x03");
            std::thread::sleep(Duration::from_secs(3));
        })
        .run();
    for finding in handful().findings.values() {
        assert!(ended.out.contains(finding["rule_title"].as_str().unwrap()), "{}", ended.out);
    }
    assert!(ended.out.contains("HIGH") && ended.code == 0, "{}: {}", ended.code, ended.out);
}
