#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn record(n: usize) -> Value {
    json!({
        "eventVersion": "1.08", "userIdentity": {"type": "IAMUser", "userName": "al \"ice\" {["},
        "eventTime": "2024-05-01T12:00:00Z", "eventSource": "iam.amazonaws.com", "eventName": "CreateUser",
        "requestParameters": {"list": [{"eventName": "nested"}, {"a": 1.5e3}], "text": "}{][\\\n"}, "eventID": format!("id-{n}"),
    })
}

fn envelope(detail_type: &str, source: &str, detail: Value) -> Value {
    json!({"version": "0", "id": "x", "detail-type": detail_type, "source": source, "account": "111122223333",
        "time": "2024-05-01T12:00:00Z", "region": "eu-west-1", "resources": [], "detail": detail})
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A reader that hands out a few bytes at a time.
struct Dribble<'a>(&'a [u8], usize);

impl Read for Dribble<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let n = self.1.min(self.0.len()).min(out.len());
        out[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

fn ids(decoder: Decoder<'_>) -> (Vec<String>, Vec<DeadLetter>) {
    let (mut ids, mut dead) = (Vec::new(), Vec::new());
    for decoded in decoder {
        match decoded {
            Decoded::Event(event) => ids.push(event.id().to_owned()),
            Decoded::DeadLetter(letter) => dead.push(letter),
        }
    }
    (ids, dead)
}

fn decode(bytes: &[u8]) -> (Vec<String>, Vec<DeadLetter>) {
    ids(Decoder::record(bytes))
}

fn lines(values: &[Value]) -> Vec<u8> {
    values.iter().flat_map(|value| format!("{value}\n").into_bytes()).collect()
}

#[test]
fn every_shape_yields_the_same_events() {
    let records: Vec<Value> = (0..20).map(record).collect();
    let expected: Vec<String> = (0..20).map(|n| format!("id-{n}")).collect();
    let enveloped: Vec<Value> =
        records.iter().map(|r| envelope("AWS API Call via CloudTrail", "aws.iam", r.clone())).collect();
    let crlf = String::from_utf8(lines(&records)).unwrap().replace('\n', "\r\n").into_bytes();
    let shapes: Vec<(&str, Vec<u8>)> = vec![
        ("file", serde_json::to_vec(&json!({ "Records": records })).unwrap()),
        ("pretty file", serde_json::to_vec_pretty(&json!({ "Records": records })).unwrap()),
        (
            "file with more members",
            serde_json::to_vec(&json!({ "A": {"Records": [1]}, "Records": records, "Z": [{}] })).unwrap(),
        ),
        ("array", serde_json::to_vec(&records).unwrap()),
        ("lines", lines(&records)),
        ("lines of Windows", crlf),
        ("byte order mark", [b"\xef\xbb\xbf", &lines(&records)[..]].concat()),
        ("pretty, one after another", records.iter().flat_map(|r| serde_json::to_vec_pretty(r).unwrap()).collect()),
        ("envelopes", lines(&enveloped)),
        ("an array of envelopes", serde_json::to_vec(&enveloped).unwrap()),
        (
            "two files in one",
            records.chunks(10).flat_map(|r| serde_json::to_vec(&json!({ "Records": r })).unwrap()).collect(),
        ),
    ];
    for (shape, bytes) in shapes {
        for bytes in [bytes.clone(), gzip(&bytes), [gzip(&bytes[..100]), gzip(&bytes[100..])].concat()] {
            assert_eq!(decode(&bytes), (expected.clone(), vec![]), "{shape}");
            assert_eq!(ids(Decoder::new(Dribble(&bytes, 7))), (expected.clone(), vec![]), "{shape}");
        }
    }
    assert_eq!(decode(&serde_json::to_vec(&records[0]).unwrap()).0, ["id-0"]);
}

#[test]
fn envelopes_of_each_kind_are_opened() {
    let guardduty = json!({"schemaVersion": "2.0", "accountId": "1", "region": "r", "id": "g", "type": "T", "service": {},
        "severity": 8, "updatedAt": "2024-05-01T12:00:00.000Z"});
    let asff = |id: &str| json!({"ProductArn": "p", "Id": id, "Types": ["T"], "UpdatedAt": "2024-05-01T12:00:00Z"});
    for kind in ["API Call", "Console Sign In", "Service Event", "Console Action", "Insight"] {
        let event = envelope(&format!("AWS {kind} via CloudTrail"), "aws.signin", record(1));
        assert_eq!(decode(event.to_string().as_bytes()).0, ["id-1"], "{kind}");
    }
    for text in [guardduty.to_string(), envelope("GuardDuty Finding", "aws.guardduty", guardduty).to_string()] {
        assert_eq!(decode(text.as_bytes()).0, ["g@2024-05-01T12:00:00.000Z"]);
    }
    let imported =
        envelope("Security Hub Findings - Imported", "aws.securityhub", json!({"findings": [asff("a"), asff("b")]}));
    assert_eq!(decode(imported.to_string().as_bytes()).0, ["a@2024-05-01T12:00:00Z", "b@2024-05-01T12:00:00Z"]);
    assert_eq!(decode(asff("c").to_string().as_bytes()).0, ["c@2024-05-01T12:00:00Z"]);
}

#[test]
fn what_is_no_event_is_a_dead_letter_that_says_why() {
    let call = "AWS API Call via CloudTrail";
    let cases = [
        (envelope(call, "com.example", record(1)).to_string(), "com.example"),
        (envelope(call, "", record(1)).to_string(), "source"),
        (envelope("EC2 Instance State-change Notification", "aws.ec2", json!({})).to_string(), "State-change"),
        (envelope("Security Hub Findings - Imported", "aws.securityhub", json!({})).to_string(), "no findings"),
        (envelope(call, "aws.iam", json!("text")).to_string(), "eventSource"),
        ("{}".to_owned(), "neither"),
        ("[1, {}]".to_owned(), "not an object"),
        ("hello".to_owned(), "neither JSON nor gzip"),
    ];
    for (text, words) in cases {
        let (ids, dead) = decode(text.as_bytes());
        assert_eq!(ids, Vec::<String>::new(), "{text}");
        assert!(dead[0].reason.contains(words), "{text}: {:?}", dead[0].reason);
    }
    assert_eq!(decode(b""), (vec![], vec![]));
    assert_eq!(decode(b" \n\t "), (vec![], vec![]));
}

#[test]
fn broken_input_yields_its_good_part() {
    let whole = serde_json::to_vec(&json!({"Records": (0..5).map(record).collect::<Vec<_>>()})).unwrap();
    let (found, dead) = decode(&whole[..whole.len() - 200]);
    assert_eq!((found.len(), dead.len()), (4, 1));
    assert_eq!(dead[0].fault, whole.len() as u64 - 200);
    let (found, dead) = decode(&whole[..whole.len() - 2]);
    assert_eq!((found.len(), dead.len()), (5, 1), "{dead:?}");

    let packed = gzip(&whole);
    let (_, dead) = decode(&packed[..packed.len() - 12]);
    assert!(dead.iter().any(|letter| letter.reason.contains("cannot be read any further")), "{dead:?}");

    let mut bad_utf8 = lines(&[record(1), record(2), record(3)]);
    let at = bad_utf8.len() / 2;
    let at = at + bad_utf8[at..].windows(4).position(|w| w == b"ice\\").unwrap();
    bad_utf8[at] = 0xff;
    let (found, dead) = decode(&bad_utf8);
    assert_eq!((found.len(), dead.len()), (2, 1));
    assert!(dead[0].reason.contains("UTF-8"));
}

#[test]
fn depth_and_size_are_bounded_and_neighbours_survive() {
    // What is too deep is kept aside whole, also when it contains what looks like an event.
    let deep = format!("{}{}{}", "[".repeat(10_000), record(9), "]".repeat(10_000));
    let text = format!("{}\n{{\"eventID\":\"deep\",\"x\":{deep}}}\n{}\n{deep}\n{}", record(1), record(2), record(3));
    let (found, dead) = decode(text.as_bytes());
    assert_eq!(found, ["id-1", "id-2", "id-3"]);
    assert!(dead[0].reason.contains("nested deeper"), "{:?}", dead[0].reason);
    let file = format!("{{\"Records\":[{},{{\"eventID\":\"deep\",\"x\":{deep}}},{}]}}", record(1), record(2));
    assert_eq!(decode(file.as_bytes()).0, ["id-1", "id-2"]);

    let mut big = record(1);
    big["requestParameters"] = json!("x".repeat(1 << 20));
    assert_eq!(decode(&lines(&[big.clone(), record(2)])).0, ["id-1", "id-2"]);
    big["requestParameters"] = json!("x".repeat(20 << 20));
    let (found, dead) = decode(&lines(&[record(0), big, record(2)]));
    assert_eq!(found, ["id-0", "id-2"]);
    assert!(dead[0].reason.contains("16 MiB"), "{:?}", dead[0].reason);
}

#[test]
fn ten_megabytes_of_noise_are_one_dead_letter() {
    let mut state = 1u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(10 << 20)
    .collect();
    let (found, dead) = ids(Decoder::new(&noise[..]));
    assert_eq!((found.len(), dead.len()), (0, 1));
    let mixed = [&noise[..], &lines(&[record(1)])].concat();
    assert_eq!(ids(Decoder::new(&mixed[..])).0, ["id-1"]);
}

/// One record's text, damaged at one place in a way that happens.
fn damage(text: &str, at: usize, how: u8) -> String {
    let at = (at % (text.len() - 1)) + 1;
    match how {
        0 => text[..at].to_owned(),                              // cut off
        1 => format!("{}{}", &text[..at], &text[at + 1..]),      // a byte lost
        2 => format!("{}\"{}", &text[..at], &text[at..]),        // a quote too many
        3 => format!("{}\u{1}{}", &text[..at], &text[at + 1..]), // a control character
        4 => format!("{}}}{}", &text[..at], &text[at..]),        // a bracket too many
        _ => text[at..].to_owned(),                              // its beginning lost
    }
}

/// A record nested `levels` deep, each level of which begins as an event does, and not one closed.
fn unclosed(levels: usize) -> String {
    "{\"eventID\":\"inside\",\"eventName\":\"n\",\"eventSource\":\"s\",\"requestParameters\":".repeat(levels)
}

#[test]
fn a_deep_record_that_is_never_closed_costs_no_neighbour() {
    for levels in [10, 3_000, 150_000] {
        let (before, after) = (record(1), [record(2), record(3)]);
        let deep = unclosed(levels);
        let as_lines = format!("{before}\n{deep}\n{}\n{}\n", after[0], after[1]);
        let as_file = format!("{{\"Records\":[{before},{deep},{},{}]}}", after[0], after[1]);
        for text in [as_lines, as_file] {
            let (found, dead) = decode(text.as_bytes());
            assert_eq!(found, ["id-1", "id-2", "id-3"], "{levels} levels");
            assert_eq!(dead.len(), 1, "{levels} levels");
            assert!(dead[0].bytes.starts_with(deep.as_bytes()), "{levels} levels");
        }
    }
    // Beyond what is waited for, too.
    let text = format!("{}\n{}\n{}\n{}", record(1), unclosed(600_000), record(2), record(3));
    let (found, dead) = decode(text.as_bytes());
    assert_eq!(found, ["id-1", "id-2", "id-3"]);
    assert!(dead.iter().map(|letter| letter.bytes.len()).sum::<usize>() > 17 << 20);
}

#[test]
fn a_bracket_missing_in_a_deep_record_costs_no_neighbour() {
    let deep = format!("{{\"eventID\":{}{}", "[".repeat(300), "]".repeat(300));
    let file = format!("{{\"Records\":[{},{deep},{},{}]}}", record(1), record(2), record(3));
    let (found, dead) = decode(file.as_bytes());
    assert_eq!((found.len(), dead.len()), (3, 1), "{found:?}");
}

/// All ids of a list of records, the first `whole` of one and all of another.
fn first_ids(whole: usize, others: std::ops::Range<usize>) -> Vec<String> {
    (0..whole).chain(others).map(|n| format!("id-{n}")).collect()
}

#[test]
fn a_file_behind_one_that_is_cut_off_keeps_its_events() {
    let listed = |n: usize| {
        let mut record = record(n);
        record["resources"] = json!([{"ARN": "arn", "accountId": "1"}, {"ARN": "other"}]);
        record["tlsDetails"] = json!({"a": {"b": [1, {"c": true}]}});
        record
    };
    for with_more in [false, true] {
        let mut first = json!({"Records": (0..2).map(listed).collect::<Vec<_>>()});
        if with_more {
            first["Source"] = json!({"of": [1, {"a": "b"}]});
        }
        let first = first.to_string();
        let second = json!({"Records": (10..13).map(listed).collect::<Vec<_>>()}).to_string();
        let ends: Vec<usize> = (0..2)
            .map(|n| {
                let text = listed(n).to_string();
                first.find(&text).unwrap() + text.len()
            })
            .collect();
        for cut in 0..=first.len() {
            for between in ["", "\n"] {
                let bytes = format!("{}{between}{second}", &first[..cut]);
                let (found, dead) = decode(bytes.as_bytes());
                let whole = ends.iter().filter(|end| **end <= cut).count();
                assert_eq!(found, first_ids(whole, 10..13), "cut at {cut}: ...{}", &first[cut.saturating_sub(60)..cut]);
                let broken = usize::from(cut > 0 && cut < first.len());
                assert_eq!(dead.len(), broken, "cut at {cut}: {dead:?}");
                assert_eq!(ids(Decoder::new(Dribble(bytes.as_bytes(), 97))), (found, dead), "cut at {cut}");
            }
        }
    }
}

#[test]
fn what_a_broken_envelope_holds_is_no_event_of_its_own() {
    let call = |n: usize| envelope("AWS API Call via CloudTrail", "com.example", record(n)).to_string();
    let asff = |id: &str| json!({"ProductArn": "p", "Id": id, "Types": ["T"], "UpdatedAt": "2024-05-01T12:00:00Z"});
    let list = json!({"findings": [asff("a"), asff("b"), asff("c")]});
    let findings = envelope("Security Hub Findings - Imported", "com.example", list).to_string();
    let good = |n: usize| envelope("AWS API Call via CloudTrail", "aws.iam", record(n)).to_string();
    let (mut pieces, mut missed) = (0, Vec::new());
    for text in [call(9), findings] {
        for at in 1..text.len() - 1 {
            for how in 0..5 {
                let broken = damage(&text, at, how);
                // What is still JSON is kept aside by another way.
                if serde_json::from_str::<serde::de::IgnoredAny>(&broken).is_ok() {
                    continue;
                }
                // Nobody can tell whether what follows a colon on the same line is what the member lacks.
                let lacks_value =
                    broken.trim_end_matches(['"', ':']).len() < broken.len() || broken.ends_with("detail");
                for (form, bytes) in [
                    ("lines", format!("{}\n{broken}\n{}\n{}\n", good(1), good(2), record(3))),
                    ("array", format!("[{},{broken},{},{}]", good(1), good(2), good(3))),
                    ("one after another", format!("{}{broken}{}{}", good(1), good(2), good(3))),
                ] {
                    if lacks_value && form == "one after another" {
                        continue;
                    }
                    let (found, _) = decode(bytes.as_bytes());
                    pieces += 1;
                    if found != ["id-1", "id-2", "id-3"] {
                        missed.push(format!("{form}, damage {how} at {at}: {found:?}"));
                    }
                }
            }
        }
    }
    assert!(missed.is_empty(), "{} of {pieces}: {:#?}", missed.len(), &missed[..missed.len().min(12)]);
}

#[test]
fn the_search_is_linear_in_hostile_input() {
    // Broken pieces that hold events, events that are closed at every depth, and keys of events without end.
    let event = record(1).to_string();
    for piece in [
        format!("{{\"id\":[{event},"),
        format!("{{\"id\":{event},\"Records\":["),
        "{\"id\":".repeat(120) + "1" + &"}".repeat(120) + "!",
        "{\"detail\":{\"id\":[".to_owned(),
        "{\"id\" ".to_owned(),
        "{\"id\":\"".to_owned(),
    ] {
        let looked_at = |length: usize| {
            let bytes = piece.repeat(length / piece.len());
            let before = crate::json::LOOKED_AT.get();
            decode(bytes.as_bytes());
            crate::json::LOOKED_AT.get() - before
        };
        let (short, long) = (looked_at(32 << 10), looked_at(512 << 10));
        assert!(
            long <= short * 24,
            "{short} and {long} bytes are looked at in a sixteenth and in all: {}",
            &piece[..6]
        );
        assert!(long <= 32 * (512 << 10), "each byte is looked at {} times: {}", long >> 19, &piece[..6]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn damage_to_one_record_costs_no_other(at in 0usize..2000, how in 0u8..6, as_lines: bool, chunk in 1usize..900) {
        let texts: Vec<String> = (0..4).map(|n| record(n).to_string()).collect();
        let broken = damage(&texts[1], at, how);
        let parts = [&texts[0], &broken, &texts[2], &texts[3]];
        let bytes = if as_lines {
            parts.map(|part| format!("{part}\n")).concat()
        } else {
            format!("{{\"Records\":[{}]}}", parts.map(String::as_str).join(","))
        };
        let (found, _) = ids(Decoder::new(Dribble(bytes.as_bytes(), chunk)));
        for whole in ["id-0", "id-2", "id-3"] {
            prop_assert!(found.iter().any(|id| id == whole), "{whole} is lost of {found:?} in {bytes}");
        }
    }

    #[test]
    fn chunks_make_no_difference(parts in prop::collection::vec(prop::sample::select(vec![
        "{\"Records\":[", "]}", "{", "}", "[", "]", ",", "\"", "\n", "x", "{\"eventID\":\"a\",\"eventSource\":\"s\",\"eventName\":\"n\",\"eventTime\":\"2024-05-01T12:00:00Z\"}",
        "{\"version\":", "{}", "1", "\u{0}", "\\", "{\"eventName\":\"",
    ]), 0..25), chunk in 1usize..40) {
        let bytes = parts.concat().into_bytes();
        let (whole, dead) = decode(&bytes);
        let (pieces, dead_of_pieces) = ids(Decoder::new(Dribble(&bytes, chunk)));
        prop_assert_eq!(whole, pieces);
        prop_assert_eq!(dead, dead_of_pieces);
    }

    #[test]
    fn nothing_is_left_out_or_told_twice(parts in prop::collection::vec(prop::sample::select(vec![
        "{\"Records\":[", "]}", "{", "[", ",", "\"", "\n", "xyz", "{\"eventID\":\"a\",\"eventSource\":\"s\",\"eventName\":\"n\",\"eventTime\":\"2024-05-01T12:00:00Z\"}", "{}", "7",
    ]), 0..25)) {
        let bytes = parts.concat().into_bytes();
        let events = decode(&bytes).0.len();
        let (_, dead) = decode(&bytes);
        let kept: usize = dead.iter().map(|letter| letter.bytes.len()).sum();
        let separators = bytes.iter().filter(|b| b"[],{}\n\": Records".contains(b)).count();
        let event = "{\"eventID\":\"a\",\"eventSource\":\"s\",\"eventName\":\"n\",\"eventTime\":\"2024-05-01T12:00:00Z\"}".len();
        prop_assert!(kept + events * event <= bytes.len());
        prop_assert!(kept + events * event + separators >= bytes.len());
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        decode(&bytes);
        decode(&gzip(&bytes));
    }
}
