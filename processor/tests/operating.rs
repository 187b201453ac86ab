//! What an operator sees: the metrics and the health of `dial run`, and `dial shards`, of the real binary between real
//! protocols.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use dial_emulators::{Kinesis, KinesisLocal, KinesisOptions, Ministack, unique};
use serde_json::Value;
use support::{DIAL, Ended, Folder};

/// A folder with settings, and the environment of the emulators.
struct Scene {
    folder: Folder,
    stream: String,
    env: Vec<(&'static str, String)>,
}

impl Scene {
    /// Over these endpoints' environments; `more` are further settings.
    fn set(env: Vec<(&'static str, String)>, more: &str) -> Scene {
        let (folder, stream) = (Folder::new(), unique("trail"));
        let prefix = format!("{}-", unique("dial"));
        let settings = format!(
            "[stream]\nname = {stream:?}\n[worker]\nid = 'worker-1'\nfailover_seconds = 4\n[tables]\nprefix = {prefix:?}\n\
             [archive]\nflush_seconds = 1\n{more}"
        );
        folder.write("dial.toml", settings);
        Scene { folder, stream, env }
    }

    fn run(&self, arguments: &str) -> Ended {
        let mut dial = self.folder.dial(arguments.split_whitespace());
        for (name, value) in &self.env {
            dial = dial.env(name, value);
        }
        dial.run()
    }

    fn start(&self, arguments: &str) -> Worker {
        let mut command = Command::new(DIAL);
        command.args(arguments.split_whitespace()).current_dir(self.folder.path(""));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut metrics = String::new();
        let mut said = String::new();
        while metrics.is_empty() {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended without serving metrics: {said}");
            if let Some(at) = line.find("http://127.0.0.1:") {
                metrics = line[at..].split(['"', ' ', '\n']).next().unwrap().to_owned();
            }
            said += &line;
        }
        // Read on, or it could not write on.
        thread::spawn(move || log.read_to_string(&mut String::new()));
        Worker { child, metrics }
    }
}

/// A running worker, killed when dropped.
struct Worker {
    child: Child,
    /// The address of its metrics.
    metrics: String,
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Worker {
    /// Status and body of one request.
    fn get(&self, path: &str, token: Option<&str>) -> (u16, String) {
        let host = self.metrics.trim_start_matches("http://").trim_end_matches("/metrics");
        let mut socket = TcpStream::connect(host).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        write!(socket, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{token}\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// Asks until the answer is as wanted.
    #[track_caller]
    fn until(&self, path: &str, wanted: impl Fn(u16, &str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let (status, body) = self.get(path, None);
            if wanted(status, &body) {
                return body;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{path} still answers {status}: {body}");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The sum of a metric's values with this label.
fn sum(text: &str, name: &str, label: &str) -> f64 {
    let of_name = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
    of_name.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

/// Records with one small event each.
fn records(count: usize) -> Vec<(String, Vec<u8>)> {
    let event = |n| format!("{{\"eventID\":\"{n}\",\"eventVersion\":\"1.08\",\"eventTime\":\"2024-05-01T00:00:00Z\"}}");
    (0..count).map(|n| (format!("key-{n}"), event(n).into_bytes())).collect()
}

fn env(kinesis: &[(&'static str, String)], ministack: &Ministack) -> Vec<(&'static str, String)> {
    [kinesis, &ministack.env()].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_tells_what_it_does_and_is_ready_only_while_it_can_renew_its_leases() {
    let (kinesis, ministack) = (Kinesis::start(), Ministack::start());
    let scene = Scene::set(env(&kinesis.env(), &ministack), "");
    kinesis.create_stream(&scene.stream, 4).await;
    kinesis.put(&scene.stream, records(200)).await;
    let worker = scene.start("run --metrics-listen 127.0.0.1:0");

    let processed = |text: &str, role: &str| sum(text, "dial_records_processed_total", &format!("role=\"{role}\""));
    let all_read =
        |status, text: &str| status == 200 && ["detect", "archive"].iter().all(|role| processed(text, role) == 200.0);
    let text = worker.until("/metrics", all_read);
    assert_eq!(sum(&text, "dial_leases_held", "role=\"detect\""), 4.0, "{text}");
    assert_eq!(sum(&text, "dial_worker_info", "worker=\"worker-1\""), 1.0, "{text}");
    assert!(worker.until("/readyz", |status, _| status == 200).contains("ready"));
    assert_eq!(worker.get("/healthz", None).0, 200);
    assert_eq!(worker.get("/", None).0, 404);

    // The archive commits within its second; then nothing is open on either role.
    let begun = Instant::now();
    let rows = loop {
        let ended = scene.run(&format!("shards list --json --seconds 1 --metrics {}", worker.metrics));
        let rows = ended.expect(0, &[]).json();
        if rows.iter().all(|row| row["lag_ms"] == 0) {
            break rows;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{rows:?}");
    };
    let keys: BTreeSet<_> = rows.iter().map(|row| format!("{} {}", row["role"], row["shard_id"])).collect();
    assert_eq!((rows.len(), keys.len()), (8, 8));
    for row in &rows {
        assert_eq!((&row["owner"], &row["state"]), (&"worker-1".into(), &"open".into()));
        assert_eq!(row["records_per_second"], 0.0, "{row}");
        assert!(row["checkpoint"].as_str().unwrap().len() > 50, "{row}");
    }

    drop(ministack);
    // One late renewal is no news on a busy machine: both roles must lose the table.
    let lost = |text: &str| {
        ["detect", "archive"].iter().all(|role| text.contains(&format!("{role}: the lease table was last read")))
    };
    worker.until("/readyz", |status, text| status == 503 && lost(text));
    assert_eq!(worker.get("/healthz", None).0, 200, "starting it again would not help");
    assert_eq!(sum(&worker.get("/metrics", None).1, "dial_ready", ""), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_per_second_are_those_of_the_worker_and_fan_out_serves_detect() {
    let (kinesis, ministack) = (Kinesis::start(), Ministack::shared());
    let scene = Scene::set(env(&kinesis.env(), ministack), "[metrics]\nlisten = '127.0.0.1:0'\n");
    let settings = std::fs::read_to_string(scene.folder.path("dial.toml")).unwrap();
    scene.folder.write("dial.toml", settings.replace("[worker]", "read = 'fan-out'\nconsumer = 'watch'\n[worker]"));
    kinesis.create_stream(&scene.stream, 1).await;
    let worker = scene.start("run");
    worker.until("/readyz", |status, _| status == 200);
    worker.until("/metrics", |_, text| sum(text, "dial_leases_held", "role=\"detect\"") == 1.0);
    let (client, stream) = (kinesis.client(), scene.stream.clone());
    let putting = tokio::spawn(async move {
        let mut beat = tokio::time::interval(Duration::from_millis(100));
        for n in 0.. {
            beat.tick().await;
            let put = client.put_record().stream_name(&stream).partition_key("k").data(b"{}".to_vec().into());
            put.send().await.unwrap_or_else(|error| panic!("record {n}: {error}"));
        }
    });
    let metrics = worker.metrics.clone();
    let ended = tokio::task::block_in_place(|| {
        scene.run(&format!("shards list --json --quick --role detect --seconds 4 --metrics {metrics}"))
    });
    putting.abort();
    let row = ended.expect(0, &[]).json().remove(0);
    let rate = row["records_per_second"].as_f64().unwrap();
    // Ten a second are put; the machine may be busy.
    assert!((3.0..=20.0).contains(&rate), "{row}");
    assert_eq!(row["lag_ms"], Value::Null);
    let summary = kinesis.client().describe_stream_summary().stream_name(&scene.stream).send().await.unwrap();
    let summary = summary.stream_description_summary.unwrap();
    assert_eq!(summary.consumer_count, Some(1), "detect is a consumer of its own, archive polls");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_listener_keeps_to_loopback_to_its_token_and_to_its_port() {
    let (kinesis, ministack) = (Kinesis::start(), Ministack::shared());
    let scene = Scene::set(env(&kinesis.env(), ministack), "[metrics]\ntoken = 'file:token'\n");
    kinesis.create_stream(&scene.stream, 1).await;
    scene.run("run --metrics-listen 127.0.0.1:0").expect(2, &["metrics.token", "token", "cannot be read"]);
    scene.folder.write("token", "open-sesame\n");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let ended = scene.run(&format!("run --metrics-listen {address}"));
    ended.expect(3, &[&address.to_string(), "in use", "metrics.listen"]);

    let worker = scene.start("run --metrics-listen 127.0.0.1:0");
    for path in ["/metrics", "/readyz", "/healthz", "/nothing"] {
        assert_eq!(worker.get(path, None).0, 401, "{path}");
        assert_eq!(worker.get(path, Some("open-sesam")).0, 401, "{path}");
    }
    assert_eq!(worker.get("/healthz", Some("open-sesame")).0, 200);
    // The command finds the token where the worker does.
    let listed = format!("shards list --json --quick --role detect --seconds 1 --metrics {}", worker.metrics);
    let begun = Instant::now();
    while scene.run(&listed).expect(0, &[]).json()[0]["records_per_second"].is_null() {
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
    let (_, text) = worker.get("/metrics", Some("open-sesame"));
    assert!(!text.contains("sesame"));
    let check = scene.run("config check").expect(0, &[]);
    assert!(!check.out.contains("sesame"), "{}", check.out);

    let open = Scene::set(scene.env.clone(), "");
    open.run("run --metrics-listen 0.0.0.0:0").expect(2, &["metrics.listen", "metrics.token"]);
    open.run("run --metrics-listen everywhere").expect(2, &["metrics.listen", "auto", "off"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_nothing_yet_it_says_what_to_do() {
    let folder = Folder::new();
    for arguments in ["shards list", "shards plan", "shards scale 4"] {
        folder.run(arguments).expect(2, &["no stream is set", "DIAL_STREAM__NAME"]);
    }
    let (kinesis, ministack) = (Kinesis::start(), Ministack::shared());
    let scene = Scene::set(env(&kinesis.env(), ministack), "");
    for arguments in ["shards list", "shards plan", "shards scale 4", "shards scale 4 --apply"] {
        scene.run(arguments).expect(3, &[&scene.stream, "create-stream"]);
    }
    kinesis.create_stream(&scene.stream, 2).await;
    let ended =
        scene.run("shards list --json").expect(0, &["leases-detect", "leases-archive", "dial run --role detect"]);
    let rows = ended.json();
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| row["owner"].is_null() && row["lag_unknown"].as_str().unwrap().contains("no lease")));
    scene.run("shards list --metrics http://127.0.0.1:1/metrics").expect(3, &["http://127.0.0.1:1/metrics"]);
    scene.run("shards list --metrics ftp://x").expect(3, &["http://HOST:PORT/metrics"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_follows_the_traffic() {
    let (kinesis, ministack) = (Kinesis::start(), Ministack::shared());
    let scene = Scene::set(env(&kinesis.env(), ministack), "");
    kinesis.create_stream(&scene.stream, 2).await;
    // 2,000 records of 1,000 bytes with their keys, within the last minute.
    let records = (0..2_000).map(|n| (format!("{n:04}"), vec![b' '; 996])).collect();
    kinesis.put(&scene.stream, records).await;
    let plan = scene.run("shards plan --seconds 100 --json").expect(0, &[]).json().remove(0);
    assert_eq!((&plan["bytes_per_second"], &plan["records_per_second"]), (&20_000.into(), &20.into()), "{plan}");
    assert_eq!((&plan["target"], &plan["shards"], &plan["calls_left"]), (&1.into(), &2.into(), &10.into()), "{plan}");

    let given = "shards plan --json --bytes-per-second 7000000 --records-per-second 100";
    let plan = scene.run(given).expect(0, &[]).json().remove(0);
    // Half full means 14 shards; two double to four and eight.
    assert_eq!((&plan["target"], &plan["steps"]), (&14.into(), &serde_json::json!([4, 8, 14])), "{plan}");
    scene.run("shards plan --bytes-per-second 7000000").expect(2, &["--records-per-second"]);
}

/// The open shards.
async fn open_shards(client: &aws_sdk_kinesis::Client, stream: &str) -> i32 {
    let summary = client.describe_stream_summary().stream_name(stream).send().await.unwrap();
    summary.stream_description_summary.unwrap().open_shard_count
}

#[tokio::test(flavor = "multi_thread")]
async fn scaling_shows_the_steps_and_takes_them_when_told_to() {
    let (kinesis, ministack) = (Kinesis::start(), Ministack::shared());
    let scene = Scene::set(env(&kinesis.env(), ministack), "");
    kinesis.create_stream(&scene.stream, 3).await;
    let (client, stream) = (kinesis.client(), scene.stream.as_str());
    let shown = scene.run("shards scale 14 --json").expect(0, &[]).json().remove(0);
    assert_eq!((&shown["steps"], &shown["applied"]), (&serde_json::json!([6, 12, 14]), &false.into()));
    assert_eq!(open_shards(&client, stream).await, 3);

    let asked = ["asked for 6 shards, of 3", "asked for 12 shards, of 6", "asked for 14 shards, of 12"];
    let done = scene.run("shards scale 14 --apply --json").expect(0, &asked).json().remove(0);
    assert_eq!(done["applied"], true);
    assert_eq!(open_shards(&client, stream).await, 14);
    let again = scene.run("shards scale 14 --json").expect(0, &[]).json().remove(0);
    // Three of today's calls are made.
    assert_eq!((&again["steps"], &again["calls_left"]), (&serde_json::json!([]), &7.into()));
    scene.run("shards scale 0").expect(2, &["at least 1 shard"]);
    scene.run("shards scale 20000").expect(2, &["10000"]);

    let calls: Vec<String> = (0..10).map(|n| (1_000_000 * 1_000 + n).to_string()).collect();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let recent: Vec<String> = (0..10).map(|n| (now - 3_600 - n).to_string()).collect();
    for (times, left) in [(calls, 10), (recent, 0)] {
        let tag = client.add_tags_to_stream().stream_name(stream).tags("dial.shard-count-calls", times.join(" "));
        tag.send().await.unwrap();
        assert_eq!(scene.run("shards scale 7 --json").expect(0, &[]).json()[0]["calls_left"], left);
    }
    scene.run("shards scale 7").expect(0, &["10 times within 24 hours", "1380 min"]);
    scene.run("shards scale 7 --apply").expect(3, &["10 times within 24 hours", "dial shards scale 7 --apply"]);
    assert_eq!(open_shards(&client, stream).await, 14);
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupting_it_leaves_the_step_to_kinesis_and_says_how_to_go_on() {
    let options =
        KinesisOptions { create_stream_ms: 10, update_stream_ms: 4_000, shard_limit: 100, ..KinesisOptions::default() };
    let (kinesis, ministack) = (Kinesis::start_with(options), Ministack::shared());
    let scene = Scene::set(env(&kinesis.env(), ministack), "");
    kinesis.create_stream(&scene.stream, 2).await;
    let mut command = Command::new(DIAL);
    command.args(["shards", "scale", "8", "--apply"]).current_dir(scene.folder.path(""));
    command.envs(scene.env.iter().map(|(name, value)| (name, value)));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    log.read_line(&mut said).unwrap();
    assert!(said.contains("asked for 4 shards, of 2"), "{said}");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    log.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3), "{said}");
    assert!(said.contains("Kinesis is at work on 4") && said.contains("dial shards scale 8 --apply"), "{said}");
    scene.run("shards scale 8 --apply").expect(0, &["asked for 8 shards, of 4"]);
    assert_eq!(open_shards(&kinesis.client(), &scene.stream).await, 8);
    scene.run("shards scale 200 --apply").expect(3, &["192 more shards", "only 92"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_emulator_scales_too() {
    let (kinesis, ministack) = (KinesisLocal::start(), Ministack::shared());
    let scene = Scene::set(env(&kinesis.env(), ministack), "");
    kinesis.create_stream(&scene.stream, 2).await;
    scene.run("shards scale 5 --apply").expect(0, &["asked for 4 shards, of 2", "asked for 5 shards, of 4"]);
    assert_eq!(open_shards(&kinesis.client(), &scene.stream).await, 5);
    scene.run("shards scale 3 --apply").expect(0, &["asked for 3 shards, of 5"]);
    let rows = scene.run("shards list --role detect --json").expect(0, &[]).json();
    let open: Vec<&Value> = rows.iter().filter(|row| row["state"] == "open").collect();
    assert_eq!(open.len(), 3, "{rows:?}");
    assert!(open.iter().any(|row| !row["parents"].as_array().unwrap().is_empty()), "{rows:?}");
}
