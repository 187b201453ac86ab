//! `dial scan`: what it reads, what it reports, and how it ends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::{DIAL, Findings, Folder, attack, attack_findings, event_id, gzip, handful, lines, shape};

const SHAPES: [&str; 5] = ["envelopes", "lines", "array", "records", "records, indented"];

/// A rule of our own for calls with this name.
fn rule(id: &str, call: &str) -> String {
    format!(
        "title: {call} was called\nid: {id}\nlogsource:\n    product: aws\n    service: cloudtrail\n\
         detection:\n    call:\n        eventName: {call}\n    condition: call\nlevel: low\n"
    )
}

#[test]
fn findings_make_exit_code_1_and_nothing_found_makes_0() {
    let folder = Folder::new();
    folder.write("loud.json", lines(&handful().events));
    let quiet: Vec<_> = handful().events.iter().step_by(2).cloned().collect();
    folder.write("quiet.json", lines(&quiet));
    assert_eq!(folder.run("scan loud.json").expect(1, &[]).findings(), handful().findings);
    let nothing = folder.run("scan quiet.json").expect(0, &["1 file", "0 findings"]);
    assert_eq!(nothing.out, "");
    assert_eq!(folder.run("scan quiet.json loud.json").expect(1, &[]).findings(), handful().findings);
}

#[test]
fn the_event_that_does_something_is_the_one_that_is_found() {
    let removed: BTreeSet<&str> = attack()
        .iter()
        .filter(|event| event["detail"]["eventName"] == "DeactivateMFADevice")
        .filter(|event| event["detail"]["errorCode"].is_null())
        .map(event_id)
        .collect();
    assert!(!removed.is_empty());
    for id in removed {
        let rests_on_it =
            |finding: &&serde_json::Value| finding["kind"] == "single" && finding["evidence"][0]["event_id"] == id;
        let found: Vec<_> = attack_findings().values().filter(rests_on_it).collect();
        assert_eq!(found.len(), 1, "{id}");
        assert_eq!((&found[0]["rule_title"], &found[0]["severity"]), (&"MFA device removed".into(), &"high".into()));
        let event = attack().iter().find(|event| event_id(event) == id).unwrap();
        for (key, same) in
            [("account_id", "recipientAccountId"), ("region", "awsRegion"), ("source_ip", "sourceIPAddress")]
        {
            assert_eq!(found[0][key], event["detail"][same], "{key}");
        }
    }
}

#[test]
fn a_finding_is_one_line_with_every_key() {
    let folder = Folder::new();
    let ended = folder.dial(["scan", "--json", "-"]).input(lines(&handful().events)).run().expect(1, &[]);
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<String>>();
    let evidence_keys = ["event_id", "event_name", "event_source", "event_time", "rule_id"];
    for finding in ended.json() {
        let has = keys(&finding);
        for key in ["finding_id", "kind", "rule_id", "rule_title", "severity", "first_seen", "last_seen", "account_id"]
        {
            assert!(has.contains(key) && finding[key].is_string(), "{key} in {finding}");
        }
        for key in ["region", "actor", "source_ip"] {
            assert!(has.contains(key) && (finding[key].is_string() || finding[key].is_null()), "{key} in {finding}");
        }
        assert!(["single", "correlated"].contains(&finding["kind"].as_str().unwrap()));
        assert!(
            ["informational", "low", "medium", "high", "critical"].contains(&finding["severity"].as_str().unwrap())
        );
        assert!(finding["techniques"].as_array().unwrap().iter().all(|name| name.as_str().unwrap().starts_with('T')));
        let evidence = finding["evidence"].as_array().unwrap();
        if finding["kind"] == "correlated" {
            assert!(evidence.len() > 1 && finding["event_count"].as_u64() > Some(1) && finding["group"].is_object());
            continue;
        }
        assert_eq!((finding["event_count"].as_u64(), evidence.len()), (Some(1), 1));
        // And what the call is about, where it says so.
        let mut told = keys(&evidence[0]);
        told.remove("target");
        assert_eq!(told, BTreeSet::from(evidence_keys.map(str::to_owned)));
        assert!(evidence[0].as_object().unwrap().values().all(serde_json::Value::is_string));
        assert_eq!(evidence[0]["rule_id"], finding["rule_id"]);
        assert_eq!(evidence[0]["event_time"], finding["first_seen"]);
        assert!(finding["first_seen"].as_str().unwrap().ends_with('Z'));
    }
}

#[test]
fn every_shape_makes_the_same_findings_through_a_file_a_folder_and_standard_input() {
    let expected: Vec<&String> = attack_findings().keys().collect();
    assert!(expected.len() > 20);
    let same = |ended: support::Ended, how: &str| {
        let found = ended.expect(1, &["1 file", "1,900 events"]).findings();
        assert_eq!(found.keys().collect::<Vec<_>>(), expected, "{how}");
    };
    for name in SHAPES {
        let plain = shape(name, attack());
        for (ending, bytes) in [("", plain.clone()), (".gz", gzip(&plain))] {
            let folder = Folder::new();
            folder.write(format!("logs/AWSLogs/one.json{ending}"), &bytes);
            same(folder.run(&format!("scan logs/AWSLogs/one.json{ending}")), &format!("file: {name}{ending}"));
            same(folder.run("scan logs"), &format!("folder: {name}{ending}"));
            same(folder.dial(["scan", "-"]).input(bytes).run(), &format!("standard input: {name}{ending}"));
        }
    }
}

#[test]
fn a_finding_says_the_same_whatever_the_shape_was() {
    let folder = Folder::new();
    for name in SHAPES {
        let found = folder.dial(["scan", "-"]).input(shape(name, &handful().events)).run().findings();
        assert_eq!(found, handful().findings, "{name}");
    }
}

#[test]
fn shapes_may_be_mixed_in_one_folder_and_in_one_file() {
    let folder = Folder::new();
    let mut one_file = Vec::new();
    for (at, part) in handful().events.chunks(handful().events.len().div_ceil(SHAPES.len())).enumerate() {
        let bytes = shape(SHAPES[at], part);
        one_file.extend_from_slice(&bytes);
        let bytes = if at % 2 == 0 { gzip(&bytes) } else { bytes };
        // That a file is gzipped shows in its bytes, not in its name.
        folder.write(format!("logs/{at}.json"), bytes);
    }
    assert_eq!(folder.run("scan logs").expect(1, &["5 files"]).findings(), handful().findings);
    assert_eq!(folder.dial(["scan", "-"]).input(one_file).run().expect(1, &[]).findings(), handful().findings);
    let members: Vec<u8> = handful().events.chunks(7).flat_map(|part| gzip(&lines(part))).collect();
    assert_eq!(folder.dial(["scan", "-"]).input(members).run().expect(1, &[]).findings(), handful().findings);
}

#[test]
fn duplicates_of_events_files_and_paths_change_nothing() {
    let folder = Folder::new();
    let (first, second) = handful().halves();
    folder.write("logs/a.json", lines(&handful().events));
    folder.write("logs/b.json.gz", gzip(&shape("records", &handful().events)));
    folder.write("logs/c.json", [lines(second), lines(first), lines(second)].concat());
    for arguments in ["scan logs", "scan logs logs/a.json logs", "scan --threads 1 logs/c.json logs/a.json logs/a.json"]
    {
        assert_eq!(folder.run(arguments).expect(1, &[]).findings(), handful().findings, "{arguments}");
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let folder = Folder::new();
    for (at, part) in attack().chunks(130).enumerate() {
        folder.write(format!("logs/{at}.jsonl"), lines(part));
    }
    for threads in ["1", "2", "3", "64"] {
        let found = folder.run(&format!("scan --threads {threads} logs")).expect(1, &["15 files, 1,900 events"]);
        assert_eq!(&found.findings(), attack_findings(), "{threads} threads");
    }
    for wrong in ["0", "many", "1000"] {
        folder.run(&format!("scan --threads {wrong} logs")).expect(2, &["--threads"]);
    }
}

#[test]
fn the_last_line_counts_files_events_and_findings_and_tells_the_rate() {
    let folder = Folder::new();
    folder.write("logs/a.json", lines(attack()));
    folder.write("logs/b.json", "");
    folder.write("logs/notes.txt", "not a log");
    let ended = folder.run("scan logs").expect(1, &[]);
    let last = ended.err.lines().last().unwrap();
    let number = |after: &str| {
        let from = last.find(after).unwrap_or_else(|| panic!("{after:?} in {last}")) + after.len();
        let digits: String =
            last[from..].chars().take_while(|c| c.is_ascii_digit() || *c == ',').filter(|c| *c != ',').collect();
        digits.parse::<usize>().unwrap_or_else(|_| panic!("a number after {after:?} in {last}"))
    };
    assert!(last.starts_with("2 files, 1,900 events in "), "{last}");
    assert!(number(" s (") > 100 && last.contains(" events/s)"), "{last}");
    assert_eq!(number(" events/s): "), attack_findings().len(), "{last}");
    for level in ["high", "medium", "low"] {
        let count = attack_findings().values().filter(|finding| finding["severity"] == level).count();
        assert!(last.contains(&format!("{count} {level}")), "{last}");
    }
    assert!(last.ends_with("; 1 other file passed over"), "{last}");
}

#[test]
fn only_findings_of_the_severity_asked_for_and_above_are_reported() {
    let folder = Folder::new();
    folder.write("a.json", lines(&handful().events));
    let of = |levels: &[&str]| -> Findings {
        let wanted = |finding: &serde_json::Value| levels.contains(&finding["severity"].as_str().unwrap());
        handful().findings.iter().filter(|(_, f)| wanted(f)).map(|(id, f)| (id.clone(), f.clone())).collect()
    };
    for (least, levels) in [
        ("informational", &["informational", "low", "medium", "high", "critical"][..]),
        ("medium", &["medium", "high", "critical"]),
        ("high", &["high", "critical"]),
        ("critical", &["critical"]),
    ] {
        assert_eq!(
            folder.run(&format!("scan --severity {least} a.json")).expect(1, &[]).findings(),
            of(levels),
            "{least}"
        );
    }
    let quiet: Vec<_> = handful().events.iter().step_by(2).cloned().collect();
    folder.write("quiet.json", lines(&quiet));
    assert_eq!(folder.run("scan --severity critical quiet.json").expect(0, &["0 findings"]).out, "");
    folder.run("scan --severity loud a.json").expect(2, &["--severity", "loud", "informational, low, medium"]);
}

#[test]
fn rules_of_ones_own_replace_the_built_in_ones() {
    let folder = Folder::new();
    folder.write("a.json", lines(&handful().events));
    let named = |name: &str| handful().events.iter().filter(|event| event["detail"]["eventName"] == name).count();
    let (ours, other) = ("2f0d3a52-5f41-4a80-8f0e-7f5f2c1f5a01", "2f0d3a52-5f41-4a80-8f0e-7f5f2c1f5a02");
    folder.write("rules/deep/mfa.yml", rule(ours, "DeactivateMFADevice"));
    folder.write("rules/README.md", "no rule");
    let found = folder.run("scan --rules rules --json a.json").expect(1, &[]).findings();
    assert_eq!(found.len(), named("DeactivateMFADevice"));
    assert!(found.values().all(|finding| finding["rule_id"] == ours && finding["severity"] == "low"));
    // Two documents in one file, and two paths. Any other call of these events will do.
    let calls = handful().events.iter().filter_map(|event| event["detail"]["eventName"].as_str());
    let another = calls.into_iter().find(|call| *call != "DeactivateMFADevice").unwrap();
    let both = format!("{}---\n{}", rule(ours, "DeactivateMFADevice"), rule(other, another));
    folder.write("both.yaml", both);
    folder.write("other.yml", rule(other, another));
    let sum = named("DeactivateMFADevice") + named(another);
    assert_eq!(folder.run("scan --rules both.yaml --json a.json").expect(1, &[]).findings().len(), sum);
    // Each `--rules` takes one path, so that what is to be read may follow it.
    for several in ["a.json --rules other.yml --rules rules", "--rules other.yml --rules rules a.json"] {
        assert_eq!(folder.run(&format!("scan {several}")).expect(1, &[]).findings().len(), sum, "{several}");
    }
    assert_eq!(folder.run("scan --rules rules a.json").expect(1, &[]).findings(), found);
}

#[test]
fn rules_that_cannot_work_stop_the_scan_before_it_begins() {
    let folder = Folder::new();
    folder.write("a.json", lines(&handful().events));
    folder.write("rules/good.yml", rule("2f0d3a52-5f41-4a80-8f0e-7f5f2c1f5a01", "DeactivateMFADevice"));
    folder.write("rules/bad.yml", "title: broken\nlogsource:\n    product: aws\ndetection:\n    a: [\n");
    let ended = folder.run("scan --rules rules --json a.json").expect(2, &["rules/bad.yml:"]);
    assert_eq!(ended.out, "");
    folder.run("scan --rules none --json a.json").expect(2, &["none: there is no such file or folder"]);
    folder
        .write("foreign.yml", "title: t\nlogsource: {product: windows}\ndetection: {a: {EventID: 1}, condition: a}\n");
    folder.run("scan --rules foreign.yml --json a.json").expect(2, &["no rules for `product: aws`"]);
}

#[test]
fn what_is_saved_is_what_was_found_and_saving_twice_adds_nothing() {
    let folder = Folder::new();
    folder.write("a.json", lines(&handful().events));
    let (first, _) = handful().halves();
    folder.write("half.json", lines(first));
    let saved = |expected: &Findings| {
        let listed = folder.run("findings list --limit 1000").expect(0, &[]).findings();
        assert_eq!(&listed, expected);
    };
    folder.run("scan --save --severity high a.json").expect(1, &["dial findings list"]);
    let high = |finding: &serde_json::Value| ["high", "critical"].iter().any(|level| finding["severity"] == *level);
    let kept = handful().findings.iter().filter(|(_, f)| high(f)).map(|(id, f)| (id.clone(), f.clone())).collect();
    saved(&kept);
    for path in ["half.json", "a.json", "half.json", "a.json"] {
        folder.run(&format!("scan --save {path}")).expect(1, &[]);
    }
    saved(&handful().findings);
}

#[test]
fn without_save_nothing_is_left_behind() {
    let folder = Folder::new();
    folder.write("a.json", lines(&handful().events));
    folder.run("scan a.json").expect(1, &[]);
    let left: Vec<_> = std::fs::read_dir(folder.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["a.json"]);
    folder.run("findings list").expect(0, &[]);
}

#[test]
fn findings_that_cannot_be_saved_are_a_failure_of_the_environment() {
    let folder = Folder::new();
    folder.write("a.json", lines(&handful().events));
    folder.write("dial-data", "a file where the data folder should be");
    folder.run("scan --save a.json").expect(3, &["dial-data"]);
}

#[test]
fn folders_are_searched_for_logs_and_other_files_passed_over() {
    let folder = Folder::new();
    let (first, second) = handful().halves();
    folder.write("logs/AWSLogs/111122223333/CloudTrail/a.json.gz", gzip(&shape("records", first)));
    folder.write("logs/b.ndjson", lines(second));
    // None of these is a log by its name, whatever it holds.
    for name in ["README.md", "notes.txt", "a.gz", "b.parquet", "c.json.bak"] {
        folder.write(format!("logs/{name}"), lines(&[serde_json::json!({"eventName": "Other"})]));
    }
    folder.write("logs/AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/d.json", r#"{"awsAccountId": "111122223333"}"#);
    // A link to a log is read; a link to a folder may lead round in a circle.
    symlink(folder.path("logs"), folder.path("logs/AWSLogs/circle")).unwrap();
    symlink(folder.path("logs/b.ndjson"), folder.path("logs/link.json")).unwrap();
    // Nobody would ever write to it, and whoever opens it waits.
    let _socket = std::os::unix::net::UnixListener::bind(folder.path("logs/socket.json")).unwrap();
    let ended = folder.run("scan logs").expect(1, &["3 files", "8 other files passed over"]);
    assert_eq!(ended.findings(), handful().findings);
    assert!(!ended.err.contains("dead letter"), "{}", ended.err);
}

#[test]
fn a_file_that_is_named_is_read_whatever_its_name() {
    let folder = Folder::new();
    for name in ["notes.txt", "LICENSE", "a.gz"] {
        folder.write(name, lines(&handful().events));
        let ended = folder.run(&format!("scan {name}")).expect(1, &["1 file"]);
        assert_eq!(ended.findings(), handful().findings, "{name}");
    }
}

#[test]
fn files_and_folders_with_any_names_are_read() {
    use std::os::unix::ffi::OsStrExt;
    let folder = Folder::new();
    let halves = handful().halves();
    let not_utf8 = std::ffi::OsStr::from_bytes(b"logs/\xff\xfe.json");
    let written = std::fs::create_dir_all(folder.path("logs")).and_then(|()| {
        // Some file systems take UTF-8 names only.
        std::fs::write(folder.path(not_utf8), lines(halves.0))
    });
    if written.is_err() {
        folder.write("logs/other.json", lines(halves.0));
    }
    folder.write("logs/a b\n\u{1b}[31m\u{202e}/ü{} %s.json", lines(halves.1));
    let ended = folder.run("scan logs").expect(1, &["2 files"]);
    assert_eq!(ended.findings(), handful().findings);
}

#[test]
fn an_empty_folder_is_not_an_error() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("empty")).unwrap();
    let ended = folder.run("scan empty").expect(0, &["0 files, 0 events"]);
    assert_eq!(ended.out, "");
}

#[test]
fn a_terminal_gets_a_table_by_rule_and_the_worst_findings() {
    let folder = Folder::new();
    folder.write("a.json", lines(&handful().events));
    let shown = folder.run_on_terminal("scan a.json").expect(1, &[]);
    for finding in handful().findings.values() {
        // Long titles are broken into lines where the terminal is narrow.
        let title = finding["rule_title"].as_str().unwrap();
        assert!(shown.out.contains(title.split(' ').next().unwrap()), "{title} in {}", shown.out);
    }
    for words in ["severity", "The worst:", "HIGH", "events/s"] {
        assert!(shown.out.contains(words), "{words} in {}", shown.out);
    }
    assert!(!shown.out.contains("finding_id"), "{}", shown.out);
    let json = folder.run_on_terminal("scan --json a.json").expect(1, &[]);
    assert!(json.out.contains("\"finding_id\""), "{}", json.out);
}

#[test]
fn what_is_said_beside_a_terminal_has_no_colours() {
    let folder = Folder::new();
    folder.write("a.json", lines(&handful().events));
    let foreign = "title: t\nlogsource: {product: windows}\ndetection: {a: {EventID: 1}, condition: a}\n";
    let ours = rule("2f0d3a52-5f41-4a80-8f0e-7f5f2c1f5a01", "DeactivateMFADevice");
    folder.write("rules.yml", format!("{foreign}---\n{ours}"));
    let ended = folder.run("scan a.json --rules rules.yml").expect(1, &["other products than AWS"]);
    assert!(!ended.err.contains('\u{1b}') && !ended.out.contains('\u{1b}'), "{:?}", ended.err);
}

#[test]
fn nothing_to_scan_is_wrong_usage() {
    let folder = Folder::new();
    folder.run("scan").expect(2, &["PATH"]);
    folder.run("scan --unknown a.json").expect(2, &["--unknown"]);
    folder.run("scan none.json").expect(2, &["none.json", "no such file"]);
}

/// Waits until the program would survive SIGINT and SIGTERM, and sends it one.
fn interrupt(child: &Child, name: &str) {
    let caught = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim().to_owned();
        u64::from_str_radix(&mask, 16).unwrap() & 0x4002 == 0x4002
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while !caught() {
        assert!(Instant::now() < deadline, "it never listens to signals");
        std::thread::sleep(Duration::from_millis(10));
    }
    let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn the_first_signal_ends_a_scan_that_waits_for_input_with_what_it_has_found() {
    let folder = Folder::new();
    let fifo = folder.path("pipe");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for (path, name, bytes) in [("-", "INT", lines(attack())), ("-", "TERM", Vec::new()), ("pipe", "INT", Vec::new())] {
        let mut command = Command::new(DIAL);
        command.args(["scan", "--json", path]).current_dir(folder.path(""));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&bytes).unwrap();
        interrupt(&child, name);
        let asked = Instant::now();
        let ended = child.wait_with_output().unwrap(); // while standard input stays open
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(asked.elapsed() < Duration::from_secs(10), "{path} {name}: {:?}", asked.elapsed());
        assert_eq!(ended.status.code(), Some(130), "{path} {name}: {said}");
        assert!(said.contains("; stopped before the end") && !said.contains("dead letter"), "{path} {name}: {said}");
        // The pipe and what is read ahead hold a part of it; the rest was looked at.
        assert_eq!(ended.stdout.is_empty(), bytes.is_empty(), "{path} {name}: {said}");
        drop(stdin);
    }
}

/// A call, and what identifies who made it.
fn call(id: &str, second: u32, name: &str, identity: serde_json::Value) -> serde_json::Value {
    serde_json::json!({
        "eventVersion": "1.08", "eventID": id, "eventTime": format!("2026-01-31T12:00:{second:02}Z"),
        "eventSource": "iam.amazonaws.com", "eventName": name, "recipientAccountId": "111122223333",
        "awsRegion": "eu-west-1", "userIdentity": identity,
    })
}

#[test]
fn links_that_come_after_what_they_explain_are_followed_back() {
    let correlation = "\n---\ntitle: Both\nid: 00000000-0000-4000-8000-00000000000a\ncorrelation:\n    type: \
        temporal_ordered\n    rules: [00000000-0000-4000-8000-000000000001, 00000000-0000-4000-8000-000000000002]\n    \
        group-by: [dial.actor]\n    timespan: 10m\nlevel: high\n";
    let parts = [
        rule("00000000-0000-4000-8000-000000000001", "CreateUser"),
        rule("00000000-0000-4000-8000-000000000002", "DeleteUser"),
    ];
    let key = format!("ASIA{:016}", 7);
    let alice = || serde_json::json!({ "type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice" });
    let with_key = serde_json::json!({ "type": "AssumedRole", "accessKeyId": key });
    let (first, second) = (call("a", 1, "CreateUser", alice()), call("b", 2, "DeleteUser", with_key));
    let mut link = call("c", 0, "AssumeRole", alice());
    link["eventSource"] = "sts.amazonaws.com".into();
    link["responseElements"] = serde_json::json!({ "credentials": { "accessKeyId": key } });
    let correlated = |folder: &Folder| -> Vec<serde_json::Value> {
        let all = folder.run("findings list --all").expect(0, &[]).json();
        all.into_iter().filter(|finding| finding["kind"] == "correlated").collect()
    };
    // In one scan, whose link comes last; and in a later one, beside nothing else.
    for scans in [vec![vec![&first, &second, &link]], vec![vec![&second], vec![&first], vec![&link]]] {
        let folder = Folder::new();
        folder.write("rules/rules.yml", format!("{}\n---\n{}{correlation}", parts[0], parts[1]));
        for (n, events) in scans.iter().enumerate() {
            assert_eq!(correlated(&folder), [] as [serde_json::Value; 0], "before scan {n}");
            let events: Vec<serde_json::Value> = events.iter().map(|event| (*event).clone()).collect();
            folder.write("a.json", lines(&events));
            let ended = folder.run("scan --save --rules rules a.json");
            assert!(ended.code < 2, "{}", ended.err);
        }
        let found = correlated(&folder);
        assert_eq!(found.len(), 1, "{found:?}");
        let evidence: Vec<&str> =
            found[0]["evidence"].as_array().unwrap().iter().map(|one| one["event_id"].as_str().unwrap()).collect();
        assert_eq!(evidence, ["a", "b"]);
    }
}
