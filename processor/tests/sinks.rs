//! `dial sinks list` and `dial sinks test`, and what `dial findings show` says of alerts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "door/load.rs"]
mod load;
mod support;

use std::time::{Duration, Instant};

use load::{Client, Worker, dial};
use serde_json::Value;
use support::receiver::Receiver;
use support::{Folder, handful, lines};

/// The sinks of the settings as they are listed, by name; the archive is always among them.
fn listed(folder: &Folder) -> Vec<(String, Value)> {
    let lines = folder.run("sinks list").expect(0, &[]).lines();
    let named = lines.into_iter().map(|line| (line["sink"].as_str().unwrap().to_owned(), line));
    let (archive, others): (Vec<_>, Vec<_>) = named.partition(|(name, _)| name == "archive");
    assert_eq!((archive.len(), archive[0].1["kind"].as_str()), (1, Some("archive")));
    others
}

#[test]
fn without_sinks_there_is_nothing_to_list() {
    let folder = Folder::new();
    assert!(listed(&folder).is_empty());
    let shown = folder.run_on_terminal("sinks list").expect(0, &[]).out;
    assert!(shown.contains("there are no sinks") && shown.contains("[sinks.NAME]"), "{shown}");
    assert!(shown.contains("all is archived"), "{shown}");
    folder.run("sinks test soc").expect(2, &["since there are none", "[sinks.soc]"]);
    folder.run("sinks list --data nowhere").expect(2, &["there is no such folder"]);
    // One that was never sent anything.
    folder.write("dial.toml", "[sinks.soc]\nkind = 'stdout'\n");
    let [(name, soc)] = listed(&folder).try_into().unwrap();
    assert_eq!((name.as_str(), soc["kind"].as_str(), soc["alerts"].as_u64()), ("soc", Some("stdout"), Some(0)));
    assert_eq!((&soc["failing_since"], &soc["last_error"], &soc["dead"]), (&Value::Null, &Value::Null, &0.into()));
    assert!(folder.run_on_terminal("sinks list").out.contains("all is delivered"));
    assert!(std::fs::read_dir(folder.path("")).unwrap().count() == 1, "looking makes nothing");
}

#[test]
fn a_sink_that_fails_says_since_when_and_with_which_words() {
    let folder = Folder::new();
    let (well, ill) = (Receiver::new("200 OK"), Receiver::new("503 Busy"));
    folder.write("dial.toml", well.sink("siem") + &ill.sink("soc"));
    folder.dial(["run"]).input(lines(&handful().events)).run().expect(0, &[]);
    assert!(well.has_some() && ill.has_some());
    let [(_, siem), (_, soc)] = listed(&folder).try_into().unwrap();
    assert_eq!((siem["kind"].as_str(), &siem["last_error"]), (Some("webhook"), &Value::Null), "{siem}");
    assert!(soc["alerts"].as_u64() > Some(0) && soc["waiting"].as_u64() >= soc["alerts"].as_u64(), "{soc}");
    assert!(soc["last_error"].as_str().unwrap().contains("503"), "{soc}");
    assert!(soc["failing_since"].as_str().unwrap().starts_with("20") && soc["dead"] == 0, "{soc}");
    let shown = folder.run_on_terminal("sinks list").expect(0, &[]).out;
    assert!(shown.contains("failing since 20") && shown.contains("503"), "{shown}");

    // A finding says how far it is at each.
    let first = &ill.take()[0];
    let id = first.body["finding_ids"][0].as_str().unwrap_or_else(|| panic!("{}", first.body)).to_owned();
    let finding = folder.run(&format!("findings show {id}")).expect(0, &[]).lines().remove(0);
    let of = |sink: &str| {
        let alerts = finding["alerts"].as_array().unwrap();
        alerts.iter().find(|alert| alert["sink"] == sink).unwrap_or_else(|| panic!("{alerts:?}")).clone()
    };
    let (siem, soc) = (of("siem"), of("soc"));
    assert_eq!(soc["state"], "failing", "{soc}");
    assert!(soc["error"].as_str().unwrap().contains("503") && soc["attempts"].as_u64() > Some(0), "{soc}");
    assert!(siem["state"] == "delivered" && siem["at"].as_str().unwrap().starts_with("20"), "{siem}");
    let shown = folder.run_on_terminal(&format!("findings show {id}")).expect(0, &[]).out;
    let alerted = |sink: &str, words: &str| {
        let line = shown.lines().find(|line| line.contains("alerted") && line.contains(&format!(" {sink}  ")));
        assert!(line.is_some_and(|line| line.contains(words)), "{shown}");
    };
    alerted("siem", "siem  20");
    alerted("soc", "failing since 20");

    // It is gone from the settings, and what it is owed is there still.
    folder.write("dial.toml", well.sink("siem"));
    let listed = listed(&folder);
    let soc = &listed.iter().find(|(name, _)| name == "soc").unwrap().1;
    assert!(soc["kind"].is_null() && soc["alerts"].as_u64() > Some(0), "{soc}");
    assert!(folder.run_on_terminal("sinks list").out.contains("gone from the settings"));
}

#[test]
fn what_is_found_without_sinks_is_owed_to_nobody() {
    let folder = Folder::new();
    folder.dial(["run"]).input(lines(&handful().events)).run().expect(0, &[]);
    let found = folder.run("findings list --limit 1").expect(0, &[]).lines().remove(0);
    let shown = folder.run(&format!("findings show {}", found["finding_id"].as_str().unwrap())).expect(0, &[]).lines();
    assert!(shown[0].get("alerts").is_none(), "{}", shown[0]);
    folder.write("dial.toml", "[sinks.soc]\nkind = 'stdout'\n");
    assert_eq!(folder.run("sinks list").expect(0, &[]).err, "");
}

#[test]
fn a_sample_is_sent_once_and_marked() {
    let folder = Folder::new();
    let receiver = Receiver::new("200 OK");
    folder.write("dial.toml", receiver.sink("soc") + "[sinks.siem]\nkind = 'sns'\ntopic = 'no topic'\n");
    for sample in ["single", "correlated", "incident", "storm"] {
        // That another one's settings are wrong is its own matter.
        let told = folder.run(&format!("sinks test soc --sample {sample}")).expect(0, &[]).lines().remove(0);
        assert_eq!((told["sink"].as_str(), told["delivered"].as_bool()), (Some("soc"), Some(true)));
        assert!(told["error"].is_null() && told["millis"].is_u64());
        let received = receiver.take();
        assert_eq!((received.len(), &received[0].body["is_sample"]), (1, &true.into()), "{received:?}");
        assert!(!received[0].header("idempotency-key").is_empty());
    }
    let shown = folder.run_on_terminal("sinks test soc").expect(0, &[]).out;
    assert!(shown.contains("soc (webhook) took the sample"), "{shown}");
    assert!(!folder.path("dial-data").exists(), "nothing of it is recorded");
    folder.run("sinks test siem").expect(2, &["line 6", "sinks.siem.topic"]);
}

#[test]
fn a_sink_that_does_not_take_the_sample_is_a_finding_of_the_test() {
    let folder = Folder::new();
    let receiver = Receiver::new("403 Forbidden");
    folder.write("dial.toml", receiver.sink("soc"));
    let told = folder.run("sinks test soc").expect(1, &[]).lines().remove(0);
    assert!(told["delivered"] == false && told["error"].as_str().unwrap().contains("refuses us"), "{told}");
    assert_eq!(receiver.take().len(), 1, "it is not tried again");
    let shown = folder.run_on_terminal("sinks test soc").expect(1, &[]).out;
    assert!(shown.contains("did not take the sample"), "{shown}");
    folder.run("sinks test sco").expect(2, &["there is no sink sco: did you mean soc?"]);
    folder.run("sinks test entirely-else").expect(2, &["there is no sink entirely-else: there are soc"]);
    folder.run("sinks test soc --sample big").expect(2, &["storm"]);
    // Nobody is there.
    folder.write("dial.toml", "[sinks.soc]\nkind = 'webhook'\nurl = 'http://127.0.0.1:1/'\n");
    let told = folder.run("sinks test soc").expect(1, &[]).lines().remove(0);
    assert!(told["error"].as_str().unwrap().contains("out of reach"), "{told}");
    // Its secret is missing.
    folder.write("dial.toml", receiver.sink("soc") + "signing_key = 'env:KEY_OF_THIS_TEST'\n");
    let told = folder.run("sinks test soc").expect(1, &[]).lines().remove(0);
    assert!(told["error"].as_str().unwrap().contains("KEY_OF_THIS_TEST, which is not set"), "{told}");
    assert_eq!(receiver.take().len(), 1, "only what was sent before by hand");
}

#[test]
fn what_thehive_is_told_to_mark_alerts_with_is_on_them() {
    let folder = Folder::new();
    let receiver = Receiver::new("403 Forbidden");
    let thehive = format!("[sinks.soc]\nkind = 'thehive'\nurl = '{}'\nkey = 'env:PATH'\n", receiver.url);
    let marked_with = |settings: &str| {
        folder.write("dial.toml", thehive.clone() + settings);
        folder.run("sinks test soc").expect(1, &[]);
        receiver.take().remove(0).body
    };
    let usual = marked_with("");
    assert_eq!((&usual["tlp"], &usual["pap"]), (&2.into(), &2.into()), "{usual}");
    let marked = marked_with("tlp = 4\npap = 0\ntags = ['team-cloud', 'soar']\n");
    assert_eq!((&marked["tlp"], &marked["pap"]), (&4.into(), &0.into()), "{marked}");
    let tags = |alert: &Value| alert["tags"].as_array().unwrap().clone();
    let added: Vec<Value> = tags(&marked).into_iter().filter(|tag| !tags(&usual).contains(tag)).collect();
    assert_eq!(added, ["team-cloud", "soar"], "{marked}");
}

#[test]
fn a_worker_tells_in_its_metrics_how_its_sinks_are_doing() {
    let folder = Folder::new();
    let (well, ill) = (Receiver::new("200 OK"), Receiver::new("503 Busy"));
    folder.write("dial.toml", well.sink("siem") + &ill.sink("soc"));
    let mut command = dial(&folder.path(""), "127.0.0.1:0");
    command.env("DIAL_METRICS__LISTEN", "127.0.0.1:0");
    let worker = Worker::start(command);
    assert_eq!(Client::new(&worker.door).post_events(&lines(&handful().events)), Some(202));
    let mut client = Client::new(worker.metrics.as_deref().unwrap());
    let value = |text: &str, metric: &str, sink: &str| -> f64 {
        let begins = format!("{metric}{{sink=\"{sink}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&begins));
        line.unwrap_or_else(|| panic!("no {begins} in {text}")).parse().unwrap()
    };
    let begun = Instant::now();
    let text = loop {
        let (status, text) = client.get("/metrics");
        assert_eq!(status, 200);
        let is_told = value(&text, "dial_alerts_delivered_total", "siem") > 0.0
            && value(&text, "dial_alert_attempts_failed_total", "soc") > 0.0
            && value(&text, "dial_alerts_backlog", "soc") > 0.0;
        if is_told || begun.elapsed() > Duration::from_secs(60) {
            break text;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(value(&text, "dial_sink_open", "soc"), 1.0, "{text}");
    assert_eq!(value(&text, "dial_sink_open", "siem"), 0.0);
    assert!(value(&text, "dial_alerts_backlog", "soc") > 0.0, "{text}");
    assert_eq!(value(&text, "dial_alerts_delivered_total", "soc"), 0.0);
    assert!(value(&text, "dial_alerts_oldest_seconds", "soc") >= 0.0);
    assert!(text.contains("\ndial_alert_offers_dropped_total 0\n"), "{text}");
    worker.stop();
}
