//! The HTTP door of `dial run`, the real binary: what it has answered with 202 is processed, whatever happens to it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "door/load.rs"]
mod load;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use dial_analytics::folder::FolderStore;
use dial_analytics::read;
use dial_emulators::{Kinesis, Ministack, unique};
use load::{Client, KEY, Load, Plan, Worker, dial, event, free_address, process_the_rest};
use support::{DIAL, Findings, Folder, gzip, handful, lines, shape};

/// Ids of the archived events, and how many rows and dead letters there are.
async fn archived(folder: &Path) -> (BTreeSet<String>, usize, usize) {
    let contents = read::contents(&FolderStore::open(&folder.join("dial-data")).unwrap()).await.unwrap();
    let ids = contents.rows.iter().map(|row| row.event_id.clone()).collect();
    (ids, contents.rows.len(), contents.dead_letters.len())
}

/// The findings that are listed, once there are so many.
fn findings(folder: &Folder, env: &[(&'static str, String)], wanted: usize) -> Findings {
    let begun = Instant::now();
    loop {
        let mut list = folder.dial(["findings", "list", "--json"]);
        for (name, value) in env {
            list = list.env(name, value);
        }
        let found = list.run().findings();
        if found.len() >= wanted || begun.elapsed() > Duration::from_secs(60) {
            return found;
        }
        thread::sleep(Duration::from_millis(200));
    }
}

fn segments(folder: &Path) -> usize {
    let Ok(inbox) = fs::read_dir(folder.join("dial-data/inbox")) else { return 0 };
    inbox.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|end| end == "segment")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_it_loses_nothing_that_it_accepted() {
    let folder = Folder::new();
    let (path, address) = (folder.path(""), free_address());
    let mut worker = Worker::start(dial(&path, &address));
    let plan = Plan { name: "event", requests: 1_500, rate: 300, connections: 8 };
    let posting = {
        let address = address.clone();
        thread::spawn(move || Load::run(&address, plan))
    };
    for moment in [700, 1_300, 400] {
        thread::sleep(Duration::from_millis(moment));
        worker.kill();
        worker = Worker::start(dial(&path, &address));
    }
    let load = posting.join().unwrap();
    worker.stop();
    process_the_rest(&path);
    assert_eq!(segments(&path), 0);

    let (ids, rows, dead_letters) = archived(&path).await;
    let lost: Vec<_> = load.accepted.difference(&ids).collect();
    println!("{} of {} accepted, {} archived", load.accepted.len(), load.sent, ids.len());
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert!(load.accepted.len() > 300, "too few to show anything: {}", load.accepted.len());
    assert_eq!((rows, dead_letters), (ids.len(), 0), "each was posted once, and is there once");
}

#[test]
fn posted_events_become_findings() {
    let (folder, handful) = (Folder::new(), handful());
    let mut command = dial(&folder.path(""), "127.0.0.1:0");
    command.env("DIAL_METRICS__LISTEN", "127.0.0.1:0");
    let worker = Worker::start(command);
    let (mut client, key) = (Client::new(&worker.door), format!("x-api-key: {KEY}\r\n"));
    let mut sent = 0;
    // One by one, as EventBridge does, and in every other shape.
    let (first, rest) = handful.events.split_at(4);
    for event in first {
        assert_eq!(client.post_events(event.to_string().as_bytes()), Some(202));
        sent += 1;
    }
    let names = ["envelopes", "lines", "array", "records"];
    for (at, part) in rest.chunks(rest.len().div_ceil(names.len())).enumerate() {
        let (body, gzipped) = (shape(names[at], part), at % 2 == 0);
        let body = if gzipped { gzip(&body) } else { body };
        let headers = format!("{key}{}", if gzipped { "Content-Encoding: gzip\r\n" } else { "" });
        let (status, told) = client.post(&headers, &body).unwrap();
        assert_eq!(status, 202, "{told}");
        assert!(told.contains(&format!("\"events\":{}", part.len())), "{told}");
        sent += 1;
    }
    // Again, and with rubbish: that makes no more of them.
    let rubbish = [lines(&handful.events), b"rubbish".to_vec()].concat();
    assert_eq!(client.post_events(&rubbish), Some(202));
    assert_eq!(client.post_events(b"rubbish"), Some(400));
    assert_eq!(client.post("", b"rubbish").unwrap(), (401, String::new()));

    let found = findings(&folder, &[], handful.findings.len());
    assert_eq!(found, handful.findings);
    let (status, metrics) = Client::new(worker.metrics.as_deref().unwrap()).get("/metrics");
    assert_eq!(status, 200);
    for line in [
        format!("dial_door_requests_total{{status=\"202\"}} {}", sent + 1),
        "dial_door_requests_total{status=\"400\"} 1".to_owned(),
        "dial_door_requests_total{status=\"401\"} 1".to_owned(),
        format!("dial_door_events_total {}", 2 * handful.events.len()),
        "dial_door_dead_letters_total 1".to_owned(),
    ] {
        assert!(metrics.lines().any(|known| known == line), "no {line} in {metrics}");
    }
    worker.stop();
}

#[test]
fn on_a_stream_posted_events_become_findings() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (kinesis, ministack, handful) = (Kinesis::start(), Ministack::shared(), handful());
    let (folder, stream) = (Folder::new(), unique("trail"));
    runtime.block_on(kinesis.create_stream(&stream, 2));
    let settings = format!(
        "[stream]\nname = {stream:?}\n[worker]\nfailover_seconds = 4\n[tables]\nprefix = \"{}-\"\n\
         [archive]\nflush_seconds = 1\n[correlation]\nallowed_lateness_hours = 1000000\n",
        unique("dial")
    );
    folder.write("dial.toml", settings);
    let env = [kinesis.env(), ministack.env()].concat();
    let mut command = dial(&folder.path(""), "127.0.0.1:0");
    command.envs(env.iter().map(|(name, value)| (name, value)));
    let worker = Worker::start(command);
    let mut client = Client::new(&worker.door);
    for event in &handful.events {
        assert_eq!(client.post_events(event.to_string().as_bytes()), Some(202));
    }
    let found = findings(&folder, &env, handful.findings.len());
    let ids = |findings: &Findings| findings.keys().cloned().collect::<Vec<_>>();
    assert_eq!(ids(&found), ids(&handful.findings));
    // A stream that is gone takes nothing, and nobody is told that it did.
    runtime.block_on(async { kinesis.client().delete_stream().stream_name(&stream).send().await.unwrap() });
    let begun = Instant::now();
    while client.post_events(event("late").as_bytes()) != Some(503) {
        assert!(begun.elapsed() < Duration::from_secs(60), "it is accepted still");
    }
}

/// The file system's limit on a file's size stands for a disk without room: a write is made in part, and fails.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_disk_does_not_take_is_not_accepted() {
    let folder = Folder::new();
    let path = folder.path("");
    let plain = dial(&path, "127.0.0.1:0");
    let mut limited = Command::new("bash");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 3000; exec \"$0\" \"$@\"", DIAL]); // in KiB
    limited.args(plain.get_args()).current_dir(&path);
    limited.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let worker = Worker::start(limited);
    let mut client = Client::new(&worker.door);
    let (mut accepted, mut refused) = (BTreeSet::new(), 0);
    let begun = Instant::now();
    for n in 0.. {
        assert!(begun.elapsed() < Duration::from_secs(60), "accepted {}, refused {refused}", accepted.len());
        let id = format!("large-{n}");
        let padded =
            event(&id).replace("\"eventName\"", &format!("\"pad\":\"{}\",\"eventName\"", "x".repeat(1_000_000)));
        match client.post_events(padded.as_bytes()) {
            Some(202) => drop(accepted.insert(id)),
            Some(503) => refused += 1,
            other => panic!("{other:?}"),
        }
        if refused >= 2 && accepted.len() >= 6 {
            break;
        }
    }
    worker.stop();
    process_the_rest(&path);
    let (ids, ..) = archived(&path).await;
    assert!(accepted.is_subset(&ids), "lost: {:?}", accepted.difference(&ids));
    assert_eq!(segments(&path), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_is_processed_by_a_start_without_a_door() {
    let folder = Folder::new();
    let path = folder.path("");
    let worker = Worker::start(dial(&path, "127.0.0.1:0"));
    let mut client = Client::new(&worker.door);
    let ids: BTreeSet<String> = (0..20).map(|n| format!("left-{n}")).collect();
    for id in &ids {
        assert_eq!(client.post_events(event(id).as_bytes()), Some(202));
    }
    worker.kill();
    process_the_rest(&path);
    assert_eq!(archived(&path).await, (ids, 20, 0));
    assert_eq!(segments(&path), 0);
}

#[test]
fn keys_rotate_without_a_restart() {
    let folder = Folder::new();
    let key = folder.write("key", "the-old-key-of-the-door");
    let mut command = dial(&folder.path(""), "127.0.0.1:0");
    command.env("DIAL_DOOR__KEYS", format!("[\"file:{}\", \"env:DOOR_KEY\"]", key.display()));
    let worker = Worker::start(command);
    let mut client = Client::new(&worker.door);
    let mut post =
        |key: &str| client.post(&format!("Authorization: Bearer {key}\r\n"), event("a").as_bytes()).unwrap().0;
    assert_eq!((post(KEY), post("the-old-key-of-the-door"), post("the-new-key-of-the-door")), (202, 202, 401));
    fs::write(&key, "the-new-key-of-the-door").unwrap();
    let begun = Instant::now();
    while post("the-new-key-of-the-door") != 202 {
        assert!(begun.elapsed() < Duration::from_secs(30), "the new key does not open");
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!((post(KEY), post("the-old-key-of-the-door")), (202, 401));
}

#[test]
fn a_door_that_cannot_open_says_why() {
    let folder = Folder::new();
    folder.run("run --listen 127.0.0.1:0").expect(2, &["door.keys", "keys = []"]);
    folder.run("run --listen localhost").expect(2, &["door.listen", "127.0.0.1:8787"]);
    folder.run("run --listen 127.0.0.1:0 --until-drained").expect(2, &["--until-drained"]);
    let open = |listen: &str, keys: &str| {
        folder.dial(["run", "--listen", listen]).env("DIAL_DOOR__KEYS", keys).env("SHORT", "s3cr3t").run()
    };
    open("0.0.0.0:0", "[]").expect(2, &["other machines"]);
    open("127.0.0.1:0", "env:NO_SUCH_VARIABLE").expect(2, &["NO_SUCH_VARIABLE", "not set"]);
    let short = open("127.0.0.1:0", "env:SHORT").expect(2, &["shorter"]);
    assert!(!short.err.contains("s3cr3t"), "{}", short.err);
    let worker = Worker::start(dial(&folder.path(""), "127.0.0.1:0"));
    open(&worker.door, "[]").expect(3, &[&worker.door, "--listen"]);
    open("127.0.0.1:0", "[]").expect(3, &["inbox", "in use"]);
}
