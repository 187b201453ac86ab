//! Bad input is daily bread: whatever a file holds, its neighbours' findings are all there, what is wrong is said with
//! file and byte, and the program ends in order. (That it never panics is checked on every run.)

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use support::{Ended, Folder, Locked, event_id, gzip, handful, lines, shape};

/// Scans a folder in which `bytes`, as a file `bad.json`, lie between two good files; all their findings must be there.
#[track_caller]
fn beside_good_files(bytes: &[u8], words: &[&str]) -> Ended {
    let folder = Folder::new();
    let (first, second) = handful().halves();
    folder.write("logs/a.json", lines(first));
    folder.write("logs/bad.json", bytes);
    folder.write("logs/c.json.gz", gzip(&shape("records", second)));
    let ended = folder.run("scan logs").expect(1, words).neighbours();
    assert!(ended.err.contains("3 files"), "{}", ended.err);
    ended
}

/// Scans a file in which `bytes` stand on a line of their own between events; all findings must be there.
#[track_caller]
fn between_good_lines(bytes: &[u8], words: &[&str]) -> Ended {
    let folder = Folder::new();
    let (first, second) = handful().halves();
    folder.write("bad.json", [&lines(first), bytes, b"\n", &lines(second)].concat());
    folder.run("scan bad.json").expect(1, words).neighbours()
}

/// Scans a CloudTrail file in which `bytes` stand as one of its records; all findings must be there.
#[track_caller]
fn between_good_records(bytes: &[u8], words: &[&str]) -> Ended {
    let folder = Folder::new();
    let records = handful().records();
    let (first, second) = records.split_at(records.len() / 2);
    let list = |records: &[Value]| records.iter().map(Value::to_string).collect::<Vec<_>>().join(",");
    let file = [b"{\"Records\":[", list(first).as_bytes(), b",", bytes, b",", list(second).as_bytes(), b"]}"].concat();
    folder.write("bad.json", file);
    folder.run("scan bad.json").expect(1, words).neighbours()
}

trait Neighbours {
    fn neighbours(self) -> Self;
}

impl Neighbours for Ended {
    /// Checks that what was found is exactly what the handful of good events holds.
    #[track_caller]
    fn neighbours(self) -> Self {
        let found = self.findings();
        let expected = &handful().findings;
        let lost: Vec<_> = expected.keys().filter(|id| !found.contains_key(*id)).collect();
        assert!(lost.is_empty(), "{} of {} findings are lost: {}", lost.len(), expected.len(), self.err);
        assert_eq!(&found, expected);
        self
    }
}

/// An event that the built-in rules find.
fn loud() -> &'static Value {
    &handful().events[1]
}

/// Bytes that look random and are the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(next).take(length.div_ceil(8)).flatten().collect();
    bytes.truncate(length);
    bytes
}

#[test]
fn a_file_that_is_cut_off_yields_what_is_whole() {
    let halves = handful().halves();
    for name in ["envelopes", "lines", "array", "records", "records, indented"] {
        let folder = Folder::new();
        let whole = String::from_utf8(shape(name, &handful().events)).unwrap();
        // Early in the last event.
        let id = event_id(handful().events.last().unwrap());
        let cut = &whole[..whole.find(id).unwrap() + 10];
        folder.write("logs/a-cut.json", cut);
        folder.write("logs/b.json", lines(halves.1));
        let words = ["logs/a-cut.json, byte ", "cut off", "1 dead letter"];
        let alone = folder.run("scan logs/a-cut.json").expect(1, &words);
        assert_eq!(alone.findings().len(), handful().findings.len() - 1, "{name}");
        assert!(alone.err.contains(&format!("byte {}: ", cut.len())), "{name}: {}", alone.err);
        folder.run("scan logs").expect(1, &words).neighbours();
    }
}

#[test]
fn an_event_that_is_cut_off_takes_none_of_its_neighbours_along() {
    let text = loud().to_string();
    for part in [1, 2, 12, text.len() / 2, text.len() - 1] {
        between_good_lines(&text.as_bytes()[..part], &["bad.json, byte ", "dead letter"]);
    }
    let record = loud()["detail"].to_string();
    for part in [2, 12, record.len() / 2, record.len() - 1] {
        between_good_records(&record.as_bytes()[..part], &["bad.json, byte ", "dead letter"]);
    }
}

#[test]
fn ten_megabytes_of_random_bytes_are_one_dead_letter() {
    let noise = noise(10_000_000);
    beside_good_files(&noise, &["logs/bad.json, byte 0: ", "neither JSON nor gzip", "1 dead letter"]);
    let ended = between_good_lines(&noise, &["1 dead letter"]);
    let at = lines(handful().halves().0).len();
    assert!(ended.err.contains(&format!("bad.json, byte {at}: ")), "{}", ended.err);
}

#[test]
fn random_bytes_that_begin_like_gzip_are_told() {
    beside_good_files(&[b"\x1f\x8b\x08\0".as_slice(), &noise(100_000)].concat(), &["logs/bad.json, byte "]);
    beside_good_files(b"\x1f\x8b", &["logs/bad.json, byte 0: cannot be read"]);
}

#[test]
fn an_event_of_a_megabyte_is_an_event() {
    let mut big = loud()["detail"].clone();
    big["eventID"] = "00000000-0000-4000-8000-000000000001".into();
    big["additionalEventData"] = json!({ "padding": "a".repeat(1 << 20) });
    let folder = Folder::new();
    let (first, second) = handful().halves();
    folder.write("a.json", [lines(first), lines(&[big.clone()]), lines(second)].concat());
    folder.write("b.json.gz", gzip(&serde_json::to_vec(&json!({ "Records": [big] })).unwrap()));
    let events = format!("2 files, {} events", handful().events.len() + 2);
    let found = folder.run("scan a.json b.json.gz").expect(1, &[&events]).findings();
    assert_eq!(found.len(), handful().findings.len() + 1);
    assert!(handful().findings.iter().all(|(id, finding)| found.get(id) == Some(finding)));
}

#[test]
fn an_event_longer_than_anything_aws_sends_is_told_and_passed() {
    let endless = [b"{\"eventName\":\"".as_slice(), &vec![b'a'; 17 << 20]].concat();
    between_good_lines(&endless, &["bad.json, byte "]);
}

#[test]
fn nesting_of_10_000_levels_is_a_dead_letter() {
    let deep = |open: &str, inside: &str, close: &str| {
        let event = loud()["detail"].to_string();
        let nested = format!("{}{inside}{}", open.repeat(10_000), close.repeat(10_000));
        format!("{},\"deep\":{nested}}}", event.strip_suffix('}').unwrap()).into_bytes()
    };
    // What is deep inside looks like an event; it is not one.
    for bytes in [deep("[", "", "]"), deep("{\"id\":", &loud()["detail"].to_string(), "}")] {
        let words = ["byte ", "nested deeper than", "1 dead letter"];
        beside_good_files(&bytes, &words);
        between_good_lines(&bytes, &words);
        between_good_records(&bytes, &words);
    }
}

#[test]
fn nesting_that_is_never_closed_takes_no_neighbours_along() {
    for open in ["[", "{\"a\":", "[{\"a\":"] {
        beside_good_files(open.repeat(10_000).as_bytes(), &["bad.json, byte "]);
        between_good_lines(open.repeat(10_000).as_bytes(), &["bad.json, byte "]);
        between_good_records(open.repeat(10_000).as_bytes(), &["bad.json, byte "]);
    }
}

#[test]
fn an_event_that_is_not_utf8_is_a_dead_letter_with_its_place() {
    let event = loud()["detail"].to_string().replacen("\"eventName\":\"", "\"eventName\":\"?", 1);
    let at = event.find("\"?").unwrap() + 1;
    let mut bytes = event.into_bytes();
    bytes[at] = 0xff;
    let words = ["bad.json, byte ", "not UTF-8", "1 dead letter"];
    beside_good_files(&bytes, &words);
    between_good_lines(&bytes, &words);
    between_good_records(&bytes, &words);
}

#[test]
fn an_empty_file_holds_nothing_and_is_no_error() {
    for nothing in [Vec::new(), b" \n\r\n\t".to_vec(), gzip(b""), b"{\"Records\":[]}".to_vec(), b"[]".to_vec()] {
        let ended = beside_good_files(&nothing, &[]);
        assert!(!ended.err.contains("dead letter"), "{}", ended.err);
        let folder = Folder::new();
        folder.write("bad.json", nothing);
        let alone = folder.run("scan bad.json").expect(0, &["1 file, 0 events", "0 findings"]);
        assert_eq!((alone.out.as_str(), alone.err.lines().count()), ("", 1));
    }
}

#[test]
fn a_gzipped_file_that_is_cut_off_yields_what_is_whole() {
    let folder = Folder::new();
    let whole = gzip(&lines(&handful().events));
    folder.write("good.json", lines(handful().halves().1));
    for kept in [whole.len() - 4, whole.len() - 8, whole.len() * 3 / 4] {
        folder.write("cut.json.gz", &whole[..kept]);
        folder
            .run("scan cut.json.gz good.json")
            .expect(1, &["cut.json.gz, byte ", "cannot be read any further"])
            .neighbours();
    }
    // The end is missing, but not one byte of the events.
    folder.write("cut.json.gz", &whole[..whole.len() - 8]);
    let bytes = format!("byte {}: ", lines(&handful().events).len());
    folder.run("scan cut.json.gz").expect(1, &[&bytes, "1 dead letter"]).neighbours();
}

#[test]
fn a_gzipped_file_with_a_flipped_bit_does_not_stop_the_others() {
    let mut bytes = gzip(&lines(&handful().events[..2]));
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    let ended = beside_good_files(&bytes, &[]);
    assert!(ended.err.contains("logs/bad.json, byte "), "{}", ended.err);
}

#[test]
fn what_is_no_event_is_told_and_passed() {
    for (bytes, reason) in [
        (r#"{"hello":"world"}"#, "neither a CloudTrail record"),
        (r#"{"Records":7}"#, "neither a CloudTrail record"),
        (r#"{"eventSource":"iam.amazonaws.com","eventName":"CreateUser"}"#, "not a complete"),
        ("<Error><Code>SlowDown</Code></Error>", "neither JSON nor gzip"),
        ("\0\0\0\0\0\0\0\0", "neither JSON nor gzip"),
        ("\"a string\"", "neither JSON nor gzip"),
        ("{'eventName': 'x'}", "a key in double quotes was expected"),
        ("{\"eventName\": \"\\q\"}", "an unknown escape"),
        ("{\"eventName\": NaN}", "a JSON value was expected"),
    ] {
        beside_good_files(bytes.as_bytes(), &["logs/bad.json, byte ", reason]);
        between_good_lines(bytes.as_bytes(), &["bad.json, byte ", reason]);
    }
    for bytes in ["null", "7", "\"a string\"", "[[]]", "{}", "", "{\"Records\":[{}]}"] {
        between_good_records(bytes.as_bytes(), &[]);
    }
}

#[test]
fn fields_of_wrong_types_stop_neither_rules_nor_neighbours() {
    for field in ["eventTime", "eventName", "userIdentity", "requestParameters", "sourceIPAddress", "errorCode"] {
        for value in [Value::Null, json!(7), json!([]), json!([[["x"]]]), json!({"a": {"b": null}}), json!("")] {
            let mut event = loud().clone();
            event["detail"]["eventID"] = "00000000-0000-4000-8000-000000000002".into();
            event["detail"][field] = value.clone();
            let folder = Folder::new();
            folder.write("a.json", [lines(&[event]), lines(&handful().events)].concat());
            let found = folder.run("scan a.json").expect(1, &[]).findings();
            let kept = handful().findings.iter().all(|(id, finding)| found.get(id) == Some(finding));
            assert!(kept, "{field} is {value}");
        }
    }
}

#[test]
fn an_envelope_from_a_source_that_is_not_aws_finds_nothing() {
    for source in [json!("com.example"), json!("aws"), json!("AWS.iam"), json!(""), json!(null), json!(["aws.iam"])] {
        let mut envelope = loud().clone();
        envelope["source"] = source.clone();
        envelope["detail"]["eventID"] = "00000000-0000-4000-8000-000000000003".into();
        let bytes = envelope.to_string();
        between_good_lines(bytes.as_bytes(), &["bad.json, byte ", "source", "begins with `aws.`"]);
        beside_good_files(bytes.as_bytes(), &["logs/bad.json, byte 0: ", "begins with `aws.`", "1 dead letter"]);
        let folder = Folder::new();
        folder.write("bad.json", bytes);
        let alone = folder.run("scan bad.json").expect(1, &["0 findings, 1 dead letter"]);
        assert_eq!(alone.out, "", "{source}");
    }
}

#[test]
fn a_utf16_file_is_told() {
    let text = String::from_utf8(lines(&handful().events)).unwrap();
    let units: Vec<u16> = std::iter::once(0xfeff).chain(text.encode_utf16()).collect();
    for bytes in [
        units.iter().flat_map(|unit| unit.to_le_bytes()).collect::<Vec<u8>>(),
        units.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
    ] {
        let ended = beside_good_files(&bytes, &["logs/bad.json, byte 0: "]);
        assert!(ended.err.lines().count() < 10, "{}", ended.err);
    }
}

#[test]
fn a_byte_order_mark_of_utf8_is_no_fault() {
    let folder = Folder::new();
    folder.write("a.json", [b"\xef\xbb\xbf".as_slice(), &lines(&handful().events)].concat());
    let ended = folder.run("scan a.json").expect(1, &[]).neighbours();
    assert!(!ended.err.contains("dead letter"), "{}", ended.err);
}

#[test]
fn thousands_of_dead_letters_are_counted_and_not_all_told() {
    let junk = "{\"hello\":\"world\"}\n".repeat(5_000);
    let ended = between_good_lines(junk.as_bytes(), &["5,000 dead letters", "more dead letters"]);
    assert!(ended.err.lines().count() < 40, "{}", ended.err);
}

#[test]
fn folders_and_files_without_permission_are_told_and_passed() {
    let folder = Folder::new();
    let (first, second) = handful().halves();
    folder.write("logs/a.json", lines(first));
    folder.write("logs/z.json", lines(second));
    folder.write("logs/secret/b.json", lines(first));
    let secret = folder.write("logs/secret.json", lines(first));
    let _locked = (Locked::folder(folder.path("logs/secret")), Locked::file(secret));
    let scan = |paths: &[&str]| {
        let arguments = ["scan"].iter().chain(paths);
        folder.dial(arguments).without_privileges(&folder).run()
    };
    scan(&["logs"]).expect(3, &["logs/secret: Permission denied", "logs/secret.json: Permission denied"]).neighbours();
    scan(&["logs/secret", "logs/a.json", "logs/secret.json", "logs/z.json"])
        .expect(3, &["logs/secret: Permission denied", "logs/secret.json: Permission denied"])
        .neighbours();
}

#[test]
fn a_named_file_in_a_folder_without_permission_does_not_stop_the_others() {
    let folder = Folder::new();
    folder.write("good.json", lines(&handful().events));
    folder.write("secret/b.json", lines(&handful().events));
    let _locked = Locked::folder(folder.path("secret"));
    folder
        .dial(["scan", "secret/b.json", "good.json"])
        .without_privileges(&folder)
        .run()
        .expect(3, &["secret/b.json: Permission denied"])
        .neighbours();
}

#[test]
fn a_file_that_vanishes_between_listing_and_reading_is_told() {
    let folder = Folder::new();
    let (first, second) = handful().halves();
    let vanishing = folder.write("logs/a-vanishing.json", lines(first));
    folder.write("logs/b.json", lines(second));
    // More than a pipe holds: once it is written the program reads, so it has listed the folder.
    let padding = " ".repeat(3 << 20);
    let rest = lines(first);
    let ended = folder
        .dial(["scan", "--threads", "1", "-", "logs"])
        .feed(move |stdin| {
            stdin.write_all(padding.as_bytes()).unwrap();
            fs::remove_file(vanishing).unwrap();
            stdin.write_all(&rest).unwrap();
        })
        .run();
    ended.expect(3, &["logs/a-vanishing.json: No such file"]).neighbours();
}

#[test]
fn a_path_that_does_not_exist_is_wrong_usage() {
    let folder = Folder::new();
    folder.write("good.json", lines(&handful().events));
    symlink("nowhere.json", folder.path("dangling.json")).unwrap();
    for missing in ["nope.json", "no/such/folder", "dangling.json"] {
        let ended = folder.run(&format!("scan good.json {missing}"));
        ended.expect(2, &[missing, "there is no such file or folder"]);
    }
}

#[test]
fn a_dangling_link_in_a_folder_is_told_and_passed() {
    let folder = Folder::new();
    folder.write("logs/b.json", lines(&handful().events));
    symlink("nowhere.json", folder.path("logs/a.json")).unwrap();
    symlink("c.json", folder.path("logs/c.json")).unwrap();
    folder.run("scan logs").expect(3, &["logs/a.json: No such file", "logs/c.json: "]).neighbours();
}

#[test]
fn nothing_in_an_event_steers_the_terminal() {
    let folder = Folder::new();
    let mut event = loud().clone();
    event["detail"]["userIdentity"] =
        json!({"type": "IAMUser", "userName": "eve\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}\r\nHIGH"});
    event["detail"]["awsRegion"] = "\u{1b}[2Jnowhere".into();
    folder.write("a.json", lines(&[event]));
    folder.write("b\u{1b}[2J.json", "{\u{1b}[2J");
    let shown = folder.run_on_terminal("scan --save .").expect(1, &[]);
    let listed = folder.run_on_terminal("findings list");
    let id = folder.run("findings list").json()[0]["finding_id"].as_str().unwrap().to_owned();
    let one = folder.run_on_terminal(&format!("findings show {id}"));
    for ended in [shown, listed, one] {
        assert!(ended.out.contains("eve"), "{}", ended.out);
        for steering in ["\u{1b}[2J", "\u{1b}]0", "\u{9b}", "\u{7}", "\u{202e}", "\nHIGH"] {
            assert!(!ended.out.contains(steering), "{steering:?} in {:?}", ended.out);
        }
    }
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_program_quietly() {
    let folder = Folder::new();
    let ended = folder.dial(["demo", "--print"]).run_for_one_line();
    assert!(ended.out.starts_with('{'), "{}", ended.out);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
}

#[test]
fn a_reader_that_is_gone_already_is_no_error() {
    let folder = Folder::new();
    folder.write("a.json", lines(&handful().events));
    folder.run("scan --save a.json").expect(1, &[]);
    for arguments in
        ["scan a.json", "findings list", "rules list", "rules check", "rules test", "config check", "--help"]
    {
        let ended = folder.dial(arguments.split(' ')).run_for_nobody();
        assert!(ended.code <= 1, "{arguments}: {}: {}", ended.code, ended.err);
        assert!(!ended.err.to_lowercase().contains("pipe"), "{arguments}: {}", ended.err);
    }
}

#[test]
fn with_nobody_to_hear_the_messages_the_findings_still_come() {
    let folder = Folder::new();
    folder.write("logs/a.json", lines(&handful().events));
    folder.write("logs/b.json", "broken");
    let ended = folder.dial(["scan", "logs"]).run_unheard();
    assert_eq!(ended.code, 1);
    ended.neighbours();
    // A rule for something else is worth a line in the program's own log, which nobody hears either.
    let foreign = "title: t\nlogsource: {product: windows}\ndetection: {a: {EventID: 1}, condition: a}\n";
    let ours = "title: t\nlogsource: {product: aws}\ndetection: {a: {eventName: ConsoleLogin}, condition: a}\n";
    folder.write("rules.yml", format!("{foreign}---\n{ours}"));
    let ended = folder.dial(["scan", "logs", "--rules", "rules.yml"]).run_unheard();
    assert_eq!(ended.code, 1);
    assert!(!ended.findings().is_empty());
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_full_is_a_failure_of_the_environment() {
    let folder = Folder::new();
    folder.write("a.json", lines(&handful().events));
    let full = || File::options().write(true).open("/dev/full").unwrap();
    for arguments in ["scan a.json", "rules list", "config check", "demo --print"] {
        let ended = folder.dial(arguments.split(' ')).run_into(full());
        ended.expect(3, &["standard output: No space left"]);
    }
}
