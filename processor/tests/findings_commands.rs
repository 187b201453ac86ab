//! `dial findings list` and `show` on a data folder.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::Value;
use support::{Findings, Folder, Locked, handful, lines};

/// A folder in which a scan kept the handful's findings.
fn saved() -> Folder {
    let folder = Folder::new();
    folder.write("a.json", lines(&handful().events));
    folder.run("scan --save a.json").expect(1, &["dial-data"]);
    folder
}

/// The findings that pass, in the order in which they are listed: the latest first.
fn expected(passes: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut list: Vec<Value> = handful().findings.values().filter(|finding| passes(finding)).cloned().collect();
    let key = |finding: &Value| (finding["last_seen"].to_string(), finding["finding_id"].to_string());
    list.sort_by_key(|finding| std::cmp::Reverse(key(finding)));
    list
}

#[test]
fn without_findings_there_is_nothing_to_list_and_nothing_is_made() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("elsewhere")).unwrap();
    for arguments in ["findings list", "findings list --json", "findings list --data elsewhere"] {
        let ended = folder.run(arguments).expect(0, &[]);
        assert_eq!((ended.out.as_str(), ended.err.as_str()), ("", ""), "{arguments}");
    }
    folder.run("findings show 0123").expect(2, &["there is no finding 0123"]);
    std::fs::remove_dir(folder.path("elsewhere")).unwrap();
    // A folder that is named must be there.
    for arguments in ["findings list --data elsewhere", "findings show 0123 --data elsewhere"] {
        folder.run(arguments).expect(2, &["--data elsewhere: there is no such folder"]);
    }
    assert!(std::fs::read_dir(folder.path("")).unwrap().next().is_none());
    let shown = folder.run_on_terminal("findings list").expect(0, &[]);
    assert!(shown.out.contains("No findings.") && shown.out.contains("dial scan --save"), "{}", shown.out);
}

#[test]
fn everything_that_was_kept_is_listed_the_latest_first() {
    let folder = saved();
    for arguments in ["findings list", "findings list --json", "findings list --data dial-data --limit 1000"] {
        assert_eq!(folder.run(arguments).expect(0, &[]).json(), expected(|_| true), "{arguments}");
    }
    assert_eq!(folder.run("findings list").err, "");
}

#[test]
fn the_folder_is_the_one_that_is_named_or_set() {
    let folder = saved();
    std::fs::rename(folder.path("dial-data"), folder.path("kept")).unwrap();
    let all = expected(|_| true);
    assert_eq!(folder.run("findings list").out, "");
    assert_eq!(folder.run("findings list --data kept").json(), all);
    assert_eq!(folder.dial(["findings", "list"]).env("DIAL_DATA__FOLDER", "kept").run().json(), all);
    folder.write("dial.toml", "[data]\nfolder = 'kept'\n");
    assert_eq!(folder.run("findings list").json(), all);
    // What is named wins, over a stream as well, whose findings are in DynamoDB.
    folder.write("dial.toml", "[stream]\nname = 'trail'\n[data]\nfolder = 'nowhere'\n");
    assert_eq!(folder.run("findings list --data kept").json(), all);
    // Which is what a scan that saves says then.
    folder.run("scan --save a.json").expect(1, &["nowhere: see `dial findings list --data nowhere`"]);
    assert_eq!(folder.run("findings list --data nowhere").json(), all);
}

#[test]
fn severity_rule_and_time_narrow_the_list() {
    let folder = saved();
    let list = |arguments: &str| folder.run(&format!("findings list {arguments}")).expect(0, &[]).json();
    let high = |finding: &Value| ["high", "critical"].contains(&finding["severity"].as_str().unwrap());
    assert_eq!(list("--severity high"), expected(high));
    assert_eq!(list("--severity medium"), expected(|finding| high(finding) || finding["severity"] == "medium"));
    assert_eq!(list("--severity critical"), expected(|finding| finding["severity"] == "critical"));

    let all = expected(|_| true);
    let middle = all[all.len() / 2]["last_seen"].as_str().unwrap();
    let from = expected(|finding| finding["last_seen"].as_str().unwrap() >= middle);
    assert!(from.len() > 1 && from.len() < all.len());
    assert_eq!(list(&format!("--since {middle}")), from);
    assert_eq!(list(&format!("--since {}", &middle[..10])), all);
    assert_eq!(list("--since 2100-01-01"), [] as [Value; 0]);

    let id = all[0]["rule_id"].as_str().unwrap();
    let of_rule = expected(|finding| finding["rule_id"] == id);
    assert!(!of_rule.is_empty() && of_rule.len() < all.len());
    assert_eq!(list(&format!("--rule {id}")), of_rule);
    assert_eq!(list("--rule 00000000-0000-4000-8000-000000000000"), [] as [Value; 0]);
    let both = expected(|finding| finding["rule_id"] == id && finding["last_seen"].as_str().unwrap() >= middle);
    assert_eq!(list(&format!("--rule {id} --since {middle} --severity informational")), both);
}

#[test]
fn filters_that_match_nothing_are_told_from_having_nothing() {
    let folder = saved();
    let kept = format!("no finding matches; {} are kept", handful().findings.len());
    for filter in ["--since 2100-01-01", "--severity critical --since 2100-01-01", "--rule nothing-begins-so"] {
        let ended = folder.run(&format!("findings list {filter}")).expect(0, &[&kept]);
        assert_eq!(ended.out, "", "{filter}");
        let shown = folder.run_on_terminal(&format!("findings list {filter}")).expect(0, &[]).out;
        assert!(shown.contains(&kept) && !shown.contains("dial demo"), "{filter}: {shown}");
    }
}

#[test]
fn a_rule_is_named_by_what_only_its_id_begins_with() {
    let folder = Folder::new();
    let rule = |id: &str, call: &str| {
        let logsource = "logsource: {product: aws, service: cloudtrail}";
        let detection = format!("detection: {{a: {{eventName: {call}}}, condition: a}}");
        folder.write(format!("rules/{id}.yml"), format!("title: {call}\nid: {id}\n{logsource}\n{detection}\n"));
    };
    rule("2f0d3a52-5f41-4a80-8f0e-7f5f2c1f5a01", "DeactivateMFADevice");
    rule("2f0d7b52-5f41-4a80-8f0e-7f5f2c1f5a02", "ConsoleLogin");
    folder.write("a.json", lines(&handful().events));
    let all = folder.run("scan --save --rules rules a.json").expect(1, &[]).findings();
    let list = |id: &str| folder.run(&format!("findings list --rule {id}"));
    for (part, id) in
        [("2f0d3", "2f0d3a52-5f41-4a80-8f0e-7f5f2c1f5a01"), ("2f0d7b52-5", "2f0d7b52-5f41-4a80-8f0e-7f5f2c1f5a02")]
    {
        let whole = list(id).expect(0, &[]).findings();
        assert!(!whole.is_empty() && whole.len() < all.len(), "{id}");
        assert!(whole.values().all(|finding| finding["rule_id"] == id));
        assert_eq!(list(part).expect(0, &[]).findings(), whole, "{part}");
    }
    list("2f0d").expect(2, &["several rules' ids begin with 2f0d"]);
    list("3").expect(0, &["no finding matches"]);
}

#[test]
fn examples_in_the_help_name_rules_that_exist() {
    let folder = Folder::new();
    let rules = folder.run("rules list --json").expect(0, &[]).json();
    for command in ["findings list", "findings show", "rules explain"] {
        let help = folder.run(&format!("{command} --help")).expect(0, &[]).out;
        let words = help.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        let ids = words.filter(|word| word.len() > 7 && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-'));
        for id in ids.filter(|word| word.contains(|c: char| c.is_ascii_digit())) {
            let known = rules.iter().any(|rule| rule["id"].as_str().unwrap().starts_with(id));
            assert!(known || id.starts_with("2024-"), "{command} --help: {id}");
        }
    }
    let help = folder.run("findings list --help").out;
    assert!(help.contains("6b70f895") && help.contains("--data ./dial-demo"), "{help}");
}

#[test]
fn a_terminal_of_unknown_width_gets_a_table_of_readable_width() {
    let folder = saved();
    // The line below the titles is as wide as the table.
    let width = |columns: u16, variable: &str| {
        let shown = folder.dial_on_terminal_of(columns, "findings list").env("COLUMNS", variable).run().expect(0, &[]);
        let line = shown.out.lines().find(|line| line.contains('─')).unwrap_or_else(|| panic!("{}", shown.out));
        line.chars().filter(|c| *c == '─').count()
    };
    for odd in ["", "0", "wide"] {
        assert!((61..=80).contains(&width(0, odd)), "COLUMNS={odd}");
    }
    assert!((81..=170).contains(&width(0, "170")));
    assert!((61..=80).contains(&width(80, "170")), "a terminal that knows is believed");
}

#[test]
fn a_limit_takes_the_latest_and_says_that_there_is_more() {
    let folder = saved();
    let all = expected(|_| true);
    for limit in [1, 3, all.len() - 1] {
        let ended = folder.run(&format!("findings list --limit {limit}")).expect(0, &["raise --limit"]);
        assert_eq!(ended.json(), all[..limit]);
    }
    for limit in [all.len(), all.len() + 1] {
        let ended = folder.run(&format!("findings list --limit {limit}")).expect(0, &[]);
        assert_eq!((ended.json(), ended.err.as_str()), (all.clone(), ""));
    }
}

#[test]
fn wrong_filters_are_wrong_usage() {
    let folder = saved();
    folder.run("findings list --since yesterday").expect(2, &["--since", "2024-05-01T12:00:00Z"]);
    folder.run("findings list --since 2024-13-01").expect(2, &["--since"]);
    folder.run("findings list --severity loud").expect(2, &["--severity", "informational, low, medium"]);
    folder.run("findings list --limit many").expect(2, &["--limit"]);
    folder.run("findings show").expect(2, &["ID"]);
}

#[test]
fn a_finding_is_shown_by_its_id_or_by_what_only_its_id_begins_with() {
    let folder = saved();
    let all: &Findings = &handful().findings;
    let ids: Vec<&String> = all.keys().collect();
    for (id, finding) in all.iter().take(5) {
        let unique = |length: &usize| ids.iter().filter(|other| other.starts_with(&id[..*length])).count() == 1;
        let shortest = (1..=id.len()).find(unique).unwrap();
        for part in [&id[..], &id[..shortest], &id[..shortest + 3]] {
            let shown = folder.run(&format!("findings show {part}")).expect(0, &[]).json();
            assert_eq!(shown, std::slice::from_ref(finding), "{part}");
        }
    }
    // Twenty findings and sixteen digits: some two begin alike.
    let first = |id: &str| id[..1].to_owned();
    let twice = ids.windows(2).find(|pair| first(pair[0]) == first(pair[1])).map(|pair| first(pair[0])).unwrap();
    folder.run(&format!("findings show {twice}")).expect(2, &["several findings", "write more of it"]);
}

#[test]
fn an_unknown_id_is_wrong_usage() {
    let folder = saved();
    for id in ["nothing", "00000000000000000000000000000000", "%", "_", "' OR 1=1 --"] {
        let ended = folder.dial(["findings", "show", "--", id]).run();
        ended.expect(2, &[&format!("there is no finding {id}"), "dial findings list"]);
    }
}

#[test]
fn a_terminal_gets_a_table_and_one_finding_with_its_evidence() {
    let folder = saved();
    // Without `--all` findings that are one incident are one line.
    let listed = folder.run_on_terminal("findings list --all").expect(0, &[]);
    for (id, finding) in &handful().findings {
        assert!(listed.out.contains(id), "{id} in {}", listed.out);
        let shown = folder.run_on_terminal(&format!("findings show {id}")).expect(0, &[]);
        let evidence = &finding["evidence"][0];
        for (of, key) in [
            (finding, "finding_id"),
            (finding, "rule_id"),
            (finding, "rule_title"),
            (finding, "account_id"),
            (finding, "source_ip"),
            (evidence, "event_id"),
            (evidence, "event_name"),
            (evidence, "event_source"),
        ] {
            if finding["kind"] == "correlated" && ["event_id", "event_source"].contains(&key) {
                continue; // a story is told without, and in short
            }
            assert!(shown.out.contains(of[key].as_str().unwrap()), "{key} in {}", shown.out);
        }
    }
    assert!(listed.out.contains("last seen") && !listed.out.contains("finding_id"), "{}", listed.out);
}

#[test]
fn a_store_that_is_broken_or_out_of_reach_is_a_failure_of_the_environment() {
    let folder = Folder::new();
    folder.write("broken/findings.db", [7; 5_000]);
    std::fs::create_dir_all(folder.path("odd/findings.db")).unwrap();
    for arguments in ["findings list --data broken", "findings show 0123 --data broken", "findings list --data odd"] {
        folder.run(arguments).expect(3, &["findings.db"]);
    }
    folder.write("locked/findings.db", "");
    let _locked = Locked::file(folder.path("locked/findings.db"));
    let ended = folder.dial(["findings", "list", "--data", "locked"]).without_privileges(&folder).run();
    ended.expect(3, &["findings.db"]);
}

#[test]
fn findings_may_be_listed_while_a_scan_saves_others() {
    let folder = saved();
    folder.write("b.json", lines(support::attack()));
    std::thread::scope(|scope| {
        let scans = [0, 1].map(|_| scope.spawn(|| folder.run("scan --save b.json").expect(1, &[])));
        for _ in 0..5 {
            let listed = folder.run("findings list --limit 1000").expect(0, &[]).findings();
            assert!(handful().findings.iter().all(|(id, finding)| listed.get(id) == Some(finding)));
        }
        scans.into_iter().for_each(|scan| drop(scan.join().unwrap()));
    });
    let listed = folder.run("findings list --limit 1000").expect(0, &[]).findings();
    assert_eq!(&listed, support::attack_findings());
}
