//! What people type beside a pipeline in AWS: `findings`, `dead-letters` and `sinks` over DynamoDB and S3, while a worker
//! reads the stream.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dial_analytics::s3::S3Store;
use dial_analytics::store::ObjectStore;
use dial_emulators::{Kinesis, Ministack, unique};
use dial_rules::event::rfc3339;
use dial_sinks::dynamodb::DynamoFindingStore;
use dial_sinks::outbox::alert::{Alert, Delivery, Group};
use dial_sinks::outbox::dead::DeadAlert;
use dial_sinks::outbox::store::{Outbox, Queue, Row};
use serde_json::{Value, json};
use support::receiver::Receiver;
use support::tail::{LONG, Tail};
use support::{DIAL, Ended, Folder, handful, lines};

/// A shard that is no more.
const SHARD: &str = "shardId-000000000007";

/// A stream, its tables, its bucket, and one sink.
struct Scene {
    folder: Folder,
    kinesis: Kinesis,
    ministack: &'static Ministack,
    stream: String,
    prefix: String,
    bucket: String,
    soc: Receiver,
}

/// A worker that is stopped with the test.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Scene {
    async fn set() -> Scene {
        let scene = Scene {
            folder: Folder::new(),
            kinesis: Kinesis::start(),
            ministack: Ministack::shared(),
            stream: unique("trail"),
            prefix: format!("{}-", unique("dial")),
            bucket: unique("archive"),
            soc: Receiver::new("200 OK"),
        };
        scene.kinesis.create_stream(&scene.stream, 2).await;
        scene.ministack.s3().create_bucket().bucket(&scene.bucket).send().await.unwrap();
        let settings = format!(
            "[stream]\nname = {:?}\n[worker]\nfailover_seconds = 4\n[tables]\nprefix = {:?}\n[metrics]\nlisten = 'off'\n\
             [archive]\nlocation = \"s3://{}/trail\"\nflush_seconds = 1\n[alerts]\ndigest_seconds = 2\n{}",
            scene.stream,
            scene.prefix,
            scene.bucket,
            scene.soc.sink("soc")
        );
        scene.folder.write("dial.toml", settings);
        scene
    }

    fn env(&self) -> Vec<(&'static str, String)> {
        let mut env = self.kinesis.env();
        env.extend(self.ministack.env());
        // The events are of a day long ago.
        env.push(("DIAL_CORRELATION__ALLOWED_LATENESS_HOURS", "1000000".to_owned()));
        env
    }

    fn run(&self, arguments: &str) -> Ended {
        let dial = self.folder.dial(arguments.split_whitespace());
        self.env().into_iter().fold(dial, |dial, (name, value)| dial.env(name, value)).run()
    }

    fn worker(&self) -> Worker {
        let mut command = Command::new(DIAL);
        command.arg("run").current_dir(self.folder.path("")).envs(self.env());
        Worker(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// A worker that has made its tables.
    async fn until_it_has_tables(&self) -> Worker {
        let (worker, began) = (self.worker(), Instant::now());
        while self.run("findings list").code != 0 {
            assert!(began.elapsed() < LONG, "there are no tables");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        worker
    }

    async fn put(&self, records: impl IntoIterator<Item = &Value>) {
        let record = |(n, event): (usize, &Value)| (n.to_string(), event.to_string().into_bytes());
        self.kinesis.put(&self.stream, records.into_iter().enumerate().map(record).collect()).await;
    }

    fn table(&self) -> DynamoFindingStore {
        DynamoFindingStore::new(self.ministack.dynamodb(), format!("{}findings", self.prefix))
    }

    fn bucket(&self) -> S3Store {
        S3Store::new(self.ministack.s3(), &self.bucket, "trail")
    }

    /// Keeps dead letters as an older version would, which understood none of these texts.
    async fn plant(&self, texts: &[String]) {
        let letter = |(n, text): (usize, &String)| {
            json!({
                "version": 1, "shard_id": SHARD, "sequence_number": (n + 1).to_string(), "sub_sequence_number": 0,
                "index": 0, "arrival_time": "2026-05-01T10:00:00Z", "offset": 0, "fault": 0, "reason": "not understood",
                "length": text.len(), "truncated": false, "text": text,
            })
        };
        let letters: Vec<Value> = texts.iter().enumerate().map(letter).collect();
        let key = format!("dead-letters/dt=2026-05-01/{SHARD}_1_{}.jsonl", texts.len());
        self.bucket().put_if_absent(&key, lines(&letters).into()).await.unwrap();
    }

    /// Gives up the alert of a finding for `soc`; the dead letter's key.
    async fn give_up(&self, finding: &str) -> String {
        let given_up = 1_777_629_600_000;
        let group = Group::Repeats { rule_id: "a-rule".to_owned(), of: BTreeMap::new() };
        let delivery = Delivery {
            key: format!("{:032x}", 0xdead),
            findings: [(finding.to_owned(), 1)].into(),
            claim: None,
            attempts: 150,
            failing_since: Some(given_up - 86_400_000),
            not_before: given_up,
            last_error: Some("it is out of reach: no route".to_owned()),
        };
        let alert = Alert::new("soc", group, given_up - 86_400_000);
        let dead = DeadAlert { sink: "soc".to_owned(), alert, delivery, given_up };
        let row = Row {
            key: format!("#dead:{}", dead.delivery.key),
            body: serde_json::to_string(&dead).unwrap(),
            revision: 0,
            due: Some((Queue::Dead, given_up)),
            expires: None,
        };
        assert!(self.table().write(&row).await.unwrap());
        dead.delivery.key
    }
}

fn ids<'a>(findings: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    findings.into_iter().map(|finding| finding["finding_id"].as_str().unwrap().to_owned()).collect()
}

/// The findings that messages name.
fn named(received: &[support::receiver::Received]) -> BTreeSet<String> {
    let ids = received.iter().flat_map(|one| one.body["finding_ids"].as_array().unwrap());
    ids.map(|id| id.as_str().unwrap().to_owned()).collect()
}

/// The handful of events as if they had happened just now, second by second: a tail looks back for a quarter of an hour
/// each time.
fn recent() -> Vec<Value> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let events = &handful().events;
    let moved = |(n, event): (i64, &Value)| {
        let at: Value = rfc3339((now - 300 + n) * 1_000).into();
        let mut event = event.clone();
        (event["detail"]["eventTime"], event["time"]) = (at.clone(), at);
        event
    };
    (0..).zip(events).map(moved).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_begun_before_everything_else_tells_what_workers_find() {
    let scene = Scene::set().await;
    // Its tables are not there yet.
    scene.run("findings list").expect(3, &[&scene.prefix, "`dial run` makes its tables when it starts"]);
    let tail = Tail::start_with(&scene.folder, "--since 15m", &scene.env());
    let waits = tail.err.recv_timeout(LONG).unwrap();
    assert!(waits.contains("`dial run` makes its tables") && waits.contains("trying on"), "{waits}");
    let events = recent();
    let expected = scene.folder.dial(["scan", "-"]).input(lines(&events)).run().expect(1, &[]).findings();
    let all: BTreeSet<String> = expected.keys().cloned().collect();
    let _worker = scene.worker();
    scene.put(&events).await;
    let mut told = Vec::new();
    while ids(&told) != all {
        told.extend(tail.next(1));
    }
    assert_eq!(tail.interrupt().0, Some(0));
    assert_eq!(scene.run("findings list --all --limit 1000").expect(0, &[]).findings(), expected);

    let (began, mut received) = (Instant::now(), Vec::new());
    while named(&received) != all {
        assert!(began.elapsed() < LONG, "{} of {} findings are alerted", named(&received).len(), all.len());
        received.extend(scene.soc.take());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let delivered = || {
        let shown = scene.run(&format!("findings show {}", all.first().unwrap())).expect(0, &[]).lines().remove(0);
        (&shown["alerts"][0]["sink"], &shown["alerts"][0]["state"]) == (&json!("soc"), &json!("delivered"))
    };
    while !delivered() {
        assert!(began.elapsed() < LONG, "the finding does not say that it was alerted");
    }
    let sinks = scene.run("sinks list").expect(0, &[]).lines();
    let soc = sinks.iter().find(|sink| sink["sink"] == "soc").unwrap();
    assert!(soc["dead"] == 0 && soc["last_error"].is_null(), "{soc}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_shown_and_redriven_out_of_s3_and_dynamodb() {
    let scene = Scene::set().await;
    let mut texts: Vec<String> = handful().events.iter().map(Value::to_string).collect();
    texts.push("{\"never\": ".to_owned());
    scene.plant(&texts).await;
    // Somebody has deployed it before.
    drop(scene.until_it_has_tables().await);
    let listed = scene.run("dead-letters list --limit 1000").expect(0, &[]).lines();
    assert_eq!(listed.len(), texts.len());
    let first = listed.last().unwrap()["position"].as_str().unwrap().to_owned();
    let shown = scene.run(&format!("dead-letters show {first}")).expect(0, &[]).lines().remove(0);
    assert!(shown["reason"] == "not understood" && shown["still"].is_null(), "{shown}");
    scene.run("dead-letters redrive --all --dry-run").expect(1, &["would be redriven", "1 would stay dead"]);
    scene.run("dead-letters redrive --all").expect(1, &["new findings", "1 stay dead"]);
    assert_eq!(scene.run("findings list --all --limit 1000").expect(0, &[]).findings(), handful().findings);
    let contents = dial_analytics::read::contents(&scene.bucket()).await.unwrap();
    assert_eq!((contents.rows.len(), contents.dead_letters.len()), (texts.len() - 1, 1));
    scene.run("dead-letters redrive --all").expect(1, &["0 dead letters redriven: 0 events, 0 new findings"]);

    // What a redrive found is alerted by a worker; an alert that was given up, by the next redrive.
    assert!(!scene.soc.has_some());
    let all: BTreeSet<String> = handful().findings.keys().cloned().collect();
    let worker = scene.worker();
    let (began, mut received) = (Instant::now(), Vec::new());
    while named(&received) != all {
        assert!(began.elapsed() < LONG, "{} of {} findings are alerted", named(&received).len(), all.len());
        received.extend(scene.soc.take());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop(worker);
    let finding = all.first().unwrap();
    let key = scene.give_up(finding).await;
    let dead = scene.run("dead-letters list --kind alert").expect(0, &[]).lines();
    assert_eq!((dead.len(), dead[0]["key"].as_str()), (1, Some(key.as_str())));
    scene.soc.take();
    scene.run("dead-letters redrive --sink soc").expect(0, &["1 alert sent again; 0 stay dead"]);
    let received = scene.soc.take();
    assert_eq!((received.len(), named(&received)), (1, [finding.clone()].into()));
    assert_eq!(received[0].header("idempotency-key"), key);
    assert_eq!(scene.run("dead-letters list --kind alert").expect(0, &[]).out, "");
}
