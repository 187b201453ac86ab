//! Dead letters of alerts on the command line: listed, shown, and sent again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;

use dial_rules::event::parse_rfc3339;
use dial_sinks::outbox::alert::{Alert, Delivery, Group};
use dial_sinks::outbox::dead::DeadAlert;
use dial_sinks::outbox::store::{Outbox, Queue, Row};
use dial_sinks::samples::{SampleKind, sample_at};
use dial_sinks::sqlite::SqliteFindingStore;
use dial_sinks::store::FindingStore;
use serde_json::{Value, json};
use support::receiver::Receiver;
use support::{Folder, lines};

fn store<T>(folder: &Folder, work: impl AsyncFnOnce(SqliteFindingStore) -> T) -> T {
    let file = folder.path("dial-data/findings.db");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { work(SqliteFindingStore::open(file).await.unwrap()).await })
}

/// Keeps a finding, and the dead letter of its alert for a sink; the dead letter's key.
fn plant(folder: &Folder, sink: &str, number: u32, given_up: &str, error: &str) -> String {
    let given_up = parse_rfc3339(given_up).unwrap();
    let mut finding = sample_at(SampleKind::Single, given_up - 86_400_000).lead.finding;
    finding.finding_id = format!("{number:032x}");
    let id = finding.finding_id.clone();
    store(folder, async |store| {
        store.record(vec![finding]).await.unwrap();
    });
    plant_of(folder, sink, &[&id], number, given_up, error)
}

fn plant_of(folder: &Folder, sink: &str, ids: &[&str], number: u32, given_up: i64, error: &str) -> String {
    let group = Group::Repeats { rule_id: format!("rule-{number}"), of: BTreeMap::new() };
    let alert = Alert::new(sink, group, given_up - 86_400_000);
    let delivery = Delivery {
        key: format!("{number:08x}{number:024x}"),
        findings: ids.iter().map(|id| ((*id).to_owned(), 1)).collect(),
        claim: None,
        attempts: 150,
        failing_since: Some(given_up - 86_400_000),
        not_before: given_up,
        last_error: Some(error.to_owned()),
    };
    let dead = DeadAlert { sink: sink.to_owned(), alert, delivery, given_up };
    let body = serde_json::to_string(&dead).unwrap();
    let key = format!("#dead:{}", dead.delivery.key);
    let row = Row { key, body, revision: 0, due: Some((Queue::Dead, given_up)), expires: None };
    store(folder, async |store| assert!(store.write(&row).await.unwrap()));
    dead.delivery.key
}

/// Three for `soc`, one for a sink that is gone from the settings.
fn planted(folder: &Folder) -> Vec<String> {
    vec![
        plant(folder, "soc", 0x10, "2026-05-01T10:00:00Z", "it is out of reach: no route"),
        plant(folder, "soc", 0x20, "2026-05-02T10:00:00Z", "it refuses us: invalid_auth"),
        plant(folder, "soc", 0x30, "2026-05-03T10:00:00Z", "it is out of reach: a\x1b[31mb"),
        plant(folder, "old", 0x40, "2026-05-04T10:00:00Z", "the settings name no such sink"),
    ]
}

fn keys(listed: &[Value]) -> Vec<String> {
    listed.iter().map(|entry| entry["key"].as_str().unwrap().to_owned()).collect()
}

fn list(folder: &Folder, arguments: &str) -> Vec<String> {
    keys(&folder.run(&format!("dead-letters list --kind alert {arguments}")).expect(0, &[]).lines())
}

fn outcomes(fates: &[Value]) -> Vec<(&str, &str)> {
    fates.iter().map(|fate| (fate["key"].as_str().unwrap(), fate["outcome"].as_str().unwrap())).collect()
}

#[test]
fn they_are_listed_beside_records_the_latest_first() {
    let folder = Folder::new();
    let mut all = planted(&folder);
    all.reverse();
    folder.write(
        "dial-data/dead-letters/dt=2026-05-01/shardId-000000000007_5_5.jsonl",
        lines(&[json!({
            "version": 1, "shard_id": "shardId-000000000007", "sequence_number": "5", "sub_sequence_number": 0,
            "index": 0, "arrival_time": "2026-05-01T10:00:00Z", "offset": 0, "fault": 1, "reason": "no event",
            "length": 1, "truncated": false, "text": "{",
        })]),
    );
    let both = folder.run("dead-letters list").expect(0, &[]).lines();
    assert_eq!(both.iter().map(|entry| entry["kind"].as_str().unwrap()).collect::<Vec<_>>()[..2], ["record", "alert"]);
    assert_eq!(both.len(), 5);
    assert_eq!(folder.run("dead-letters list --kind record").lines().len(), 1);
    assert_eq!(list(&folder, ""), all);
    assert_eq!(list(&folder, "--limit 2"), all[..2]);
    folder.run("dead-letters list --kind alert --limit 2").expect(0, &["more than 2: raise --limit"]);
    assert_eq!(list(&folder, "--from 2026-05-02 --to 2026-05-03"), all[2..3]);
    assert_eq!(list(&folder, "--reason OUT"), [all[1].clone(), all[3].clone()]);
    assert_eq!(list(&folder, "--sink soc"), all[1..]);
    assert_eq!(keys(&folder.run("dead-letters list --sink old").lines()), all[..1], "records have no sink");
    folder.run("dead-letters list --sink nobody").expect(0, &["no dead letter of an alert matches; 4 are kept"]);
    folder.run("dead-letters list --sink soc --kind record").expect(2, &["records go to no sink"]);
    let entry = &both[1];
    assert_eq!((entry["sink"].as_str(), entry["attempts"].as_u64()), (Some("old"), Some(150)));
    assert_eq!((entry["given_up"].as_str(), entry["findings"].as_u64()), (Some("2026-05-04T10:00:00Z"), Some(1)));
    assert!(entry["title"].as_str().unwrap().len() > 3 && entry["group"]["by"] == "repeats", "{entry}");
    let table = folder.run_on_terminal("dead-letters list").expect(0, &[]).out;
    assert!(table.contains("no event") && table.contains("2026-05-03 10:00:00") && table.contains(&all[0]), "{table}");
    assert!(!table.contains("\x1b[31mb"), "{table}");
}

#[test]
fn one_is_shown_by_its_key_or_by_what_only_its_key_begins_with() {
    let folder = Folder::new();
    let all = planted(&folder);
    let shown = folder.run(&format!("dead-letters show {}", all[1])).expect(0, &[]).lines().remove(0);
    assert_eq!(shown["reason"], "it refuses us: invalid_auth");
    assert_eq!(shown["named"][0]["finding_id"], format!("{:032x}", 0x20));
    assert!(shown["named"][0]["rule_title"].is_string(), "{shown}");
    assert_eq!(folder.run("dead-letters show 00000020").expect(0, &[]).lines().remove(0), shown);
    let told = folder.run_on_terminal(&format!("dead-letters show {}", all[3])).expect(0, &[]).out;
    assert!(told.contains("add [sinks.old] again") && told.contains("rule rule-64"), "{told}");
    folder.run("dead-letters show ffffffff").expect(2, &["there is no dead letter ffffffff"]);
    folder.run("dead-letters show 00000020 --kind record").expect(2, &["is an alert's: leave --kind out"]);
    folder.run("dead-letters show 00000020 --raw").expect(2, &["leave --raw out"]);
    folder.run("dead-letters show s/1/0 --kind alert").expect(2, &["is a record's: leave --kind out"]);
    // A second one that begins alike.
    store(&folder, async |store| {
        let mut row = store.rows(&[format!("#dead:{}", all[1])]).await.unwrap().remove(0);
        row.key = format!("#dead:00000020{}", "f".repeat(24));
        row.revision = 0;
        assert!(store.write(&row).await.unwrap());
    });
    folder.run("dead-letters show 00000020").expect(2, &["several dead letters' keys begin with 00000020"]);
    folder.run("dead-letters redrive 00000020").expect(2, &["write more of it"]);
}

#[test]
fn they_leave_the_list_only_when_their_sink_took_them() {
    let folder = Folder::new();
    let all = planted(&folder);
    let receiver = Receiver::new("500 Broken");
    folder.write("dial.toml", receiver.sink("soc"));
    // It fails three times in a row, and after that it is left alone.
    let fourth = plant(&folder, "soc", 0x50, "2026-05-05T10:00:00Z", "e");
    let fates = folder.run("dead-letters redrive --sink soc").expect(1, &["0 alerts sent again; 4 stay dead"]).lines();
    assert!(fates.iter().all(|fate| fate["kind"] == "alert" && fate["sink"] == "soc" && fate["outcome"] == "dead"));
    assert!(fates[0]["reason"].as_str().unwrap().contains("500"), "{fates:?}");
    assert!(fates[3]["reason"].as_str().unwrap().contains("3 times in a row"), "{fates:?}");
    let attempted = receiver.take();
    assert_eq!(attempted.len(), 3);
    assert_eq!(list(&folder, "").len(), 5);
    // One is sent by name, to a sink that first wants to be left alone for a moment.
    receiver.answers("202 Accepted");
    receiver.answers_once("429 Slowly\nRetry-After: 1");
    let fates = folder.run(&format!("dead-letters redrive {}", all[0])).expect(0, &["1 alert sent again; 0 stay"]);
    assert_eq!(outcomes(&fates.lines()), [(all[0].as_str(), "redriven")]);
    let received = receiver.take();
    assert_eq!(received.len(), 2);
    assert!(received.iter().all(|one| one.header("idempotency-key") == all[0]), "{received:?}");
    assert_eq!(attempted[0].header("idempotency-key"), all[0]);
    assert!(!list(&folder, "").contains(&all[0]));
    let absent = folder.run(&format!("dead-letters redrive {} ffffffff", all[0]));
    assert_eq!(absent.expect(1, &["there is no dead letter ffffffff, or not any more"]).out, "");
    assert!(receiver.take().is_empty());
    // The finding says so.
    let shown = folder.run(&format!("findings show {:032x}", 0x10)).expect(0, &[]).lines().remove(0);
    assert_eq!(
        (shown["alerts"][0]["sink"].as_str(), shown["alerts"][0]["state"].as_str()),
        (Some("soc"), Some("delivered"))
    );
    // Then all of them; that of the sink which is gone stays, and it is said what to do.
    let ended = folder.run("dead-letters redrive --all").expect(1, &["3 alerts sent again; 1 stay dead"]);
    let fates = ended.lines();
    let gone = fates.iter().find(|fate| fate["sink"] == "old").unwrap();
    assert!(gone["outcome"] == "dead" && gone["reason"].as_str().unwrap().contains("add [sinks.old] again"), "{gone}");
    assert!(outcomes(&fates).contains(&(fourth.as_str(), "redriven")));
    assert_eq!(list(&folder, ""), [all[3].clone()]);
    folder.write("dial.toml", "[sinks.old]\nkind = 'stdout'\n");
    let ended = folder.run("dead-letters redrive --kind alert --all").expect(0, &["1 alert sent again; 0 stay dead"]);
    assert!(ended.out.contains("dial findings show"), "the alert is printed: {}", ended.out);
    assert!(list(&folder, "").is_empty());
    let shown = folder.run_on_terminal("dead-letters list --kind alert").expect(0, &[]).out;
    assert!(shown.contains("No dead letters.") && shown.contains("dial sinks list"), "{shown}");
}

#[test]
fn a_dry_run_says_what_would_become_of_them_and_sends_nothing() {
    let folder = Folder::new();
    let all = planted(&folder);
    let receiver = Receiver::new("200 OK");
    folder.write("dial.toml", receiver.sink("soc"));
    let empty = plant_of(&folder, "soc", &["nothing", "is there"], 0x60, 1_778_000_000_000, "e");
    let told = &["3 alerts would be sent again; 1 whose findings are gone, dropped; 1 would stay dead"];
    let fates = folder.run("dead-letters redrive --all --dry-run").expect(1, told).lines();
    let would = |key: &str| outcomes(&fates).into_iter().find(|fate| fate.0 == key).unwrap().1.to_owned();
    assert_eq!([would(&all[0]), would(&all[3]), would(&empty)], ["would_be_redriven", "dead", "would_be_dropped"]);
    assert!(receiver.take().is_empty());
    assert_eq!(list(&folder, "").len(), 5);
    let fates = folder.run(&format!("dead-letters redrive {empty}")).expect(0, &["1 whose findings are gone"]).lines();
    assert_eq!(outcomes(&fates), [(empty.as_str(), "dropped")]);
    assert!(receiver.take().is_empty());
    assert_eq!(list(&folder, "").len(), 4);
}

#[test]
fn what_cannot_be_meant_is_told_before_anything_is_sent() {
    let folder = Folder::new();
    let receiver = Receiver::new("200 OK");
    folder.write("dial.toml", receiver.sink("soc"));
    folder.run("dead-letters redrive --sink sco").expect(2, &["there is no sink sco: did you mean soc?"]);
    assert_eq!(folder.run("dead-letters redrive --sink soc").expect(0, &[]).out, "");
    let all = planted(&folder);
    folder.run("dead-letters redrive --sink sco").expect(2, &["did you mean soc?"]);
    folder.run(&format!("dead-letters redrive {} --kind record", all[0])).expect(2, &["is an alert's"]);
    folder.run(&format!("dead-letters redrive {} --all", all[0])).expect(2, &["cannot be used with"]);
    // The settings of another sink that has some are wrong.
    folder.write("dial.toml", format!("{}[sinks.old]\nkind = 'sns'\ntopic = 'alerts'\n", receiver.sink("soc")));
    folder.run("dead-letters redrive --all").expect(2, &["line 6", "sinks.old.topic"]);
    assert!(receiver.take().is_empty());
    folder.run("dead-letters redrive --sink soc").expect(0, &["3 alerts sent again"]);
    // One that cannot be read holds up no other.
    store(&folder, async |store| {
        let row = Row {
            key: "#dead:0badbad0".to_owned(),
            body: "{}".to_owned(),
            revision: 0,
            due: Some((Queue::Dead, 7)),
            expires: None,
        };
        assert!(store.write(&row).await.unwrap());
    });
    assert_eq!(list(&folder, ""), [all[3].clone()]);
}
