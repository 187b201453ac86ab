//! `dial dead-letters list`, `show` and `redrive` on a data folder.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use dial_analytics::folder::FolderStore;
use dial_analytics::read::{Contents, contents};
use serde_json::{Value, json};
use support::receiver::Receiver;
use support::{DIAL, Folder, handful, lines};

const SHARD: &str = "shardId-000000000007";

/// A line of a file of dead letters: of these bytes, at this place of the shard.
fn letter(sequence: usize, index: u64, arrival: &str, text: &str) -> Value {
    json!({
        "version": 1, "shard_id": SHARD, "sequence_number": sequence.to_string(), "sub_sequence_number": 0,
        "index": index, "arrival_time": arrival, "offset": 0, "fault": text.len().min(9), "reason": "an older version's reason",
        "length": text.len(), "truncated": false, "text": text,
    })
}

/// Puts a file of dead letters where the archive role does, with what a version had to say that understood less.
fn plant(folder: &Folder, day: &str, letters: &[Value]) -> String {
    let sequence = |letter: &Value| letter["sequence_number"].as_str().unwrap().to_owned();
    let name = format!("{SHARD}_{}_{}.jsonl", sequence(&letters[0]), sequence(letters.last().unwrap()));
    folder.write(format!("dial-data/dead-letters/dt={day}/{name}"), lines(letters));
    format!("dead-letters/dt={day}/{name}")
}

fn archived(folder: &Folder) -> Contents {
    let store = FolderStore::open(&folder.path("dial-data")).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(contents(&store)).unwrap()
}

/// The ids of the events that are rows, and that no key is there twice.
fn exact(contents: &Contents) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let dead = contents.dead_letters.iter().map(|(shard, letter)| (shard.clone(), letter.key.clone()));
    let rows = contents.rows.iter().map(|row| (row.shard_id.clone(), row.key.clone()));
    for key in rows.chain(dead) {
        assert!(keys.insert(key.clone()), "{key:?} is there twice");
    }
    let ids: Vec<String> = contents.rows.iter().map(|row| row.event_id.clone()).collect();
    let distinct: BTreeSet<String> = ids.iter().cloned().collect();
    assert_eq!(distinct.len(), ids.len(), "an event has two rows");
    distinct
}

fn place(sequence: usize, index: u64) -> String {
    format!("{SHARD}/{sequence}/{index}")
}

#[test]
fn without_dead_letters_there_is_nothing_and_nothing_is_made() {
    let folder = Folder::new();
    for arguments in ["dead-letters list", "dead-letters redrive --all", "dead-letters redrive --all --dry-run"] {
        let ended = folder.run(arguments).expect(0, &[]);
        assert_eq!((ended.out.as_str(), ended.err.as_str()), ("", ""), "{arguments}");
    }
    assert!(std::fs::read_dir(folder.path("")).unwrap().next().is_none());
    let shown = folder.run_on_terminal("dead-letters list").expect(0, &[]).out;
    assert!(shown.contains("No dead letters.") && shown.contains("archive role"), "{shown}");
    folder.run("dead-letters show shard/1/0").expect(2, &["there is no dead letter shard/1/0"]);
    folder.run("dead-letters list --data nowhere").expect(2, &["--data nowhere: there is no such folder"]);
    folder.run("dead-letters show 17").expect(2, &["SHARD/SEQUENCE/INDEX"]);
    folder.run("dead-letters redrive").expect(2, &["which dead letters?", "--all", "--sink NAME", "names"]);
}

#[test]
fn what_the_archive_role_keeps_is_listed_and_shown() {
    let folder = Folder::new();
    let bad = b"{\"eventID\": \"a\x1b[31m\", \xff oops}\n{\"nothing\": 1}\n";
    let mut input = lines(&handful().events[..2]);
    input.extend(bad);
    folder.dial(["run", "--role", "archive"]).input(input).run().expect(0, &[]);
    let listed = folder.run("dead-letters list").expect(0, &[]).lines();
    assert!(!listed.is_empty());
    for entry in &listed {
        assert!(entry["reason"].as_str().unwrap().len() > 5 && entry["arrival_time"].is_null(), "{entry}");
        let place = entry["position"].as_str().unwrap();
        let raw = folder.dial(["dead-letters", "show", place]).run().expect(0, &[]).lines();
        assert_eq!(raw[0]["reason"], entry["reason"]);
        assert!(raw[0]["around"]["hex"].as_str().unwrap().len() > 10 && raw[0]["still"].is_string(), "{raw:?}");
        let shown = folder.run_on_terminal(&format!("dead-letters show {place}")).expect(0, &[]).out;
        assert!(shown.contains("> 000") && shown.contains("still dead"), "{shown}");
        assert!(
            !shown.contains("\x1b[31m\"")
                && shown.chars().all(|c| c == '\x1b' || c == '\n' || c == '\r' || !c.is_control())
        );
    }
    assert_eq!(
        folder.run("dead-letters list --from 2020-01-01").expect(0, &["no dead letter of a record matches"]).out,
        ""
    );
    // Nothing of it is an event now, either.
    let before = archived(&folder);
    let dead = folder.run("dead-letters redrive --all").expect(1, &["0 dead letters redriven", "stay dead"]).lines();
    assert_eq!(dead.len(), listed.len());
    assert!(dead.iter().all(|fate| fate["outcome"] == "dead" && fate["reason"].is_string()));
    let after = archived(&folder);
    assert_eq!((before.rows, before.dead_letters, before.files), (after.rows, after.dead_letters, after.files));
}

#[test]
fn raw_bytes_come_out_as_they_are() {
    let folder = Folder::new();
    plant(&folder, "2026-05-01", &[letter(5, 0, "2026-05-01T10:00:00Z", "line one\r\n\tline two")]);
    let place = place(5, 0);
    let raw = folder.dial(["dead-letters", "show", place.as_str(), "--raw"]).run().expect(0, &[]);
    assert_eq!(raw.out, "line one\r\n\tline two");
    let shown = folder.run_on_terminal(&format!("dead-letters show {place} --raw")).expect(2, &[]);
    assert!(shown.out.contains("could steer your terminal"), "{}", shown.out);
}

#[test]
fn the_list_is_in_order_and_narrowed_by_time_and_reason() {
    let folder = Folder::new();
    let at = |day: &str, hour: u32| format!("{day}T{hour:02}:00:00Z");
    let mut all = Vec::new();
    for (day, first) in [("2026-05-01", 10), ("2026-05-02", 20), ("2026-05-03", 30)] {
        let of_day: Vec<Value> = (0..4)
            .map(|n| {
                let mut letter = letter(first + n, 0, &at(day, 2 * n as u32), "{");
                letter["reason"] = format!("Reason {}", n % 2).into();
                letter
            })
            .collect();
        plant(&folder, day, &of_day);
        all.extend((0..4).map(|n| place(first + n, 0)));
    }
    all.reverse();
    let list = |arguments: &str| -> Vec<String> {
        let ended = folder.run(&format!("dead-letters list {arguments}")).expect(0, &[]);
        ended.lines().iter().map(|entry| entry["position"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(list(""), all);
    assert_eq!(list("--limit 5"), all[..5]);
    folder.run("dead-letters list --limit 5").expect(0, &["more than 5: raise --limit"]);
    assert_eq!(list("--from 2026-05-02 --to 2026-05-03"), all[4..8]);
    assert_eq!(list("--from 2026-05-02T02:00:00Z --to 2026-05-02T06:00:00Z"), all[5..7]);
    let odd: Vec<String> = all.iter().step_by(2).cloned().collect();
    let reason = folder.dial(["dead-letters", "list", "--reason", "reason 1"]).run().expect(0, &[]).lines();
    assert_eq!(reason.iter().map(|entry| entry["position"].as_str().unwrap().to_owned()).collect::<Vec<_>>(), odd);
    let table = folder.run_on_terminal("dead-letters list").expect(0, &[]).out;
    assert!(table.contains("2026-05-03 06:00:00") && table.contains("Reason 1") && table.contains(&all[0]), "{table}");
    let narrow = folder.dial_on_terminal_of(30, "dead-letters list").run().expect(0, &[]).out;
    assert!(all.iter().all(|place| narrow.contains(place)), "positions are to be copied: {narrow}");
    // A file that cannot be read hides no other.
    folder.write("dial-data/dead-letters/dt=2026-05-02/broken.jsonl", "{}\n");
    let ended = folder.run("dead-letters list").expect(3, &["broken.jsonl", "line 1"]);
    assert_eq!(ended.lines().len(), all.len());
}

#[test]
fn what_decodes_now_takes_the_straight_line_and_leaves_the_list() {
    let folder = Folder::new();
    let events = &handful().events;
    let arrival = "2026-05-01T10:00:00Z";
    let mut letters: Vec<Value> =
        events.iter().enumerate().map(|(n, event)| letter(n, 1, arrival, &event.to_string())).collect();
    letters.push(letter(events.len(), 0, arrival, "{\"never\": "));
    let file = plant(&folder, "2026-05-01", &letters);
    // A copy of an event in a file would be late on a stream; the settings say how late is too late.
    folder.write("dial.toml", "[correlation]\nallowed_lateness_hours = 8760\n");

    let dry = folder
        .run("dead-letters redrive --all --dry-run")
        .expect(1, &["would be redriven", "1 would stay dead"])
        .lines();
    assert_eq!(dry.iter().filter(|fate| fate["outcome"] == "would_be_redriven").count(), events.len());
    assert!(folder.path("dial-data").join(&file).exists() && !folder.path("dial-data/findings.db").exists());

    // Two by name, then the others.
    let named = format!("dead-letters redrive {} {SHARD}/3", place(1, 1));
    let ended = folder.run(&named).expect(0, &["2 dead letters redriven: 2 events", "0 stay dead"]);
    assert_eq!(
        ended.lines().iter().map(|fate| fate["position"].as_str().unwrap().to_owned()).collect::<Vec<_>>(),
        [place(1, 1), place(3, 1)]
    );
    folder.run(&named).expect(1, &["there is no dead letter", "or not any more"]);
    let contents = archived(&folder);
    assert_eq!((exact(&contents).len(), contents.dead_letters.len()), (2, letters.len() - 2));
    assert_eq!(folder.run("dead-letters list --limit 1000").lines().len(), letters.len() - 2);
    assert!(!folder.path("dial-data").join(&file).exists());

    folder.run("dead-letters redrive --all").expect(1, &["new findings", "1 stay dead"]);
    let contents = archived(&folder);
    let ids: BTreeSet<String> =
        events.iter().map(|event| event["detail"]["eventID"].as_str().unwrap().to_owned()).collect();
    assert_eq!((exact(&contents), contents.dead_letters.len()), (ids, 1));
    assert!(contents.rows.iter().all(|row| row.shard_id == SHARD && row.key.index == 1));
    // The same findings as of the events themselves, correlated ones too.
    let found = folder.run("findings list --limit 1000").expect(0, &[]).findings();
    assert_eq!(found, handful().findings);
    // Again is nothing new.
    folder.run("dead-letters redrive --all").expect(1, &["0 dead letters redriven: 0 events, 0 new findings"]);
    assert_eq!(folder.run("findings list --limit 1000").findings(), found);
    assert_eq!(archived(&folder).rows, contents.rows);
}

#[test]
fn what_a_redrive_finds_is_alerted_by_the_next_worker() {
    let folder = Folder::new();
    let receiver = Receiver::new("200 OK");
    let events = &handful().events;
    let letters: Vec<Value> =
        events.iter().enumerate().map(|(n, event)| letter(n, 0, "2026-05-01T10:00:00Z", &event.to_string())).collect();
    plant(&folder, "2026-05-01", &letters);
    folder.write("dial.toml", receiver.sink("soc"));
    folder.run("dead-letters redrive --all").expect(0, &["new findings"]);
    assert!(!receiver.has_some(), "the command delivers nothing itself");
    folder.run("sinks list").expect(0, &["findings are owed and nobody has taken them up"]);
    let found = folder.run("findings list --limit 1").lines().remove(0);
    let id = found["finding_id"].as_str().unwrap();
    let shown = folder.run(&format!("findings show {id}")).expect(0, &[]).lines().remove(0);
    assert_eq!(shown["alerts"][0]["state"], "owed", "{shown}");
    // A worker that is given nothing to do looks through what is owed.
    let waiting = receiver.clone();
    let worker = folder.dial(["run"]).feed(move |_| {
        let begun = std::time::Instant::now();
        while !waiting.has_some() && begun.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    worker.run().expect(0, &[]);
    let received = receiver.take();
    assert!(!received.is_empty() && received.iter().all(|one| one.body["is_sample"] == false));
    assert_eq!(folder.run("sinks list").expect(0, &[]).err, "");
}

#[test]
fn a_letter_of_which_only_parts_are_events_leaves_the_rest() {
    let folder = Folder::new();
    let [one, two] = [&handful().events[0], &handful().events[1]];
    plant(&folder, "2026-05-01", &[letter(5, 2, "2026-05-01T10:00:00Z", &format!("{one}\n{{\"x\": 1}}\n{two}"))]);
    folder.run("dead-letters redrive --all").expect(1, &["1 dead letter redriven: 2 events", "1 stay dead"]);
    let contents = archived(&folder);
    assert_eq!((exact(&contents).len(), contents.dead_letters.len()), (2, 1));
    let listed = folder.run("dead-letters list").lines();
    assert_eq!((listed[0]["sequence_number"].as_str(), listed[0]["length"].as_u64()), (Some("5"), Some(8)));
    // The record's place without an index names what is left of it.
    folder.dial(["dead-letters", "show", &format!("{SHARD}/5")]).run().expect(0, &[]);
}

#[test]
fn a_late_event_makes_its_own_finding_and_no_correlation() {
    let folder = Folder::new();
    let events = &handful().events;
    let arrival = "2099-05-01T10:00:00Z";
    let letters: Vec<Value> =
        events.iter().enumerate().map(|(n, event)| letter(n, 0, arrival, &event.to_string())).collect();
    plant(&folder, "2099-05-01", &letters);
    folder.run("dead-letters redrive --all").expect(0, &["came too late to be correlated"]);
    let found = folder.run("findings list --all --limit 1000").findings();
    let single = |finding: &Value| finding["kind"] == "single";
    assert!(found.values().all(single));
    assert_eq!(found.len(), handful().findings.values().filter(|finding| single(finding)).count());
    assert!(handful().findings.values().any(|finding| !single(finding)), "nothing is correlated anyhow");
}

/// Runs the command and kills it after a while; whether it came to its end before that.
fn killed(folder: &Path, after: Duration) -> bool {
    let mut command = Command::new(DIAL);
    command.args(["dead-letters", "redrive", "--all"]).current_dir(folder).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(after);
    let ended = child.try_wait().unwrap().is_some();
    let _ = child.kill();
    child.wait().unwrap();
    ended
}

#[test]
fn killed_at_any_point_nothing_is_lost_or_doubled() {
    let folder = Folder::new();
    folder.write("dial.toml", "[correlation]\nallowed_lateness_hours = 8760\n");
    let events = &handful().events;
    let file = |part: usize| -> Vec<Value> {
        let of_part = events.iter().enumerate().filter(|(n, _)| n % 8 == part);
        let mut letters: Vec<Value> =
            of_part.map(|(n, event)| letter(100 * part + n, 0, "2026-05-01T10:00:00Z", &event.to_string())).collect();
        letters.push(letter(100 * part + 99, 0, "2026-05-01T10:00:00Z", "{"));
        letters
    };
    (0..8).for_each(|part| drop(plant(&folder, "2026-05-01", &file(part))));
    let ids: BTreeSet<String> =
        events.iter().map(|event| event["detail"]["eventID"].as_str().unwrap().to_owned()).collect();
    let (mut kills, mut after) = (0, Duration::from_millis(60));
    while !killed(&folder.path(""), after) {
        (kills, after) = (kills + 1, after + Duration::from_millis(35));
        let contents = archived(&folder);
        let rows: BTreeSet<&str> = contents.rows.iter().map(|row| row.event_id.as_str()).collect();
        assert_eq!(rows.len(), contents.rows.len(), "an event has two rows");
        // Each event is a row, or a letter still, or for a moment that the next run ends, both.
        for event in events {
            let id = event["detail"]["eventID"].as_str().unwrap();
            let dead = contents
                .dead_letters
                .iter()
                .any(|(_, letter)| letter.bytes.windows(id.len()).any(|part| part == id.as_bytes()));
            assert!(dead || rows.contains(id), "{id} is gone");
        }
    }
    folder.run("dead-letters redrive --all").expect(1, &["8 stay dead"]);
    let contents = archived(&folder);
    assert_eq!((exact(&contents), contents.dead_letters.len()), (ids, 8));
    assert_eq!(folder.run("findings list --limit 1000").findings(), handful().findings);
    assert!(kills > 0, "it was never killed");
    eprintln!("killed {kills} times");
}
