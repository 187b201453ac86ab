//! `dial run`, the real binary, between a real Kinesis protocol, DynamoDB and S3: killed at random moments and started
//! again, it ends with exactly the findings and the rows of the events on the stream.
//!
//! The events are a part of the demo's day; with `TEST_CLOUDTRAIL_FOLDER` set, those of the CloudTrail files in that folder.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dial_analytics::read;
use dial_analytics::s3::S3Store;
use dial_emulators::{Kinesis, Ministack, unique};
use dial_ingest::LeaseStore;
use dial_ingest::dynamodb::DynamoLeases;
use dial_ingest::lease::Lease;
use dial_rules::decode::{Decoded, Decoder};
use dial_rules::event::Event;
use dial_rules::finding::Finding;
use dial_rules::lineage::{self, Ancestry};
use dial_sinks::actors::ActorStore;
use dial_sinks::actors::dynamodb::DynamoActorStore;
use dial_sinks::dynamodb::DynamoFindingStore;
use dial_sinks::filter::FindingFilter;
use dial_sinks::store::{FindingStore, StoreError};

const SHARDS: u32 = 4;

/// One stream with its tables and its bucket.
struct Scene {
    kinesis: Kinesis,
    ministack: &'static Ministack,
    folder: tempfile::TempDir,
    stream: String,
    prefix: String,
    bucket: String,
}

impl Scene {
    async fn set() -> Scene {
        let scene = Scene {
            kinesis: Kinesis::start(),
            ministack: Ministack::shared(),
            folder: tempfile::tempdir().unwrap(),
            stream: unique("trail"),
            prefix: format!("{}-", unique("dial")),
            bucket: unique("archive"),
        };
        scene.kinesis.create_stream(&scene.stream, SHARDS).await;
        scene.ministack.s3().create_bucket().bucket(&scene.bucket).send().await.unwrap();
        let settings = format!(
            "[stream]\nname = {:?}\n[worker]\nfailover_seconds = 2\n[tables]\nprefix = {:?}\n\
             [archive]\nlocation = \"s3://{}/trail\"\nflush_seconds = 1\n",
            scene.stream, scene.prefix, scene.bucket
        );
        fs::write(scene.folder.path().join("dial.toml"), settings).unwrap();
        scene
    }

    fn dial(&self, args: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dial"));
        command.args(args).current_dir(self.folder.path());
        command.envs(self.kinesis.env()).envs(self.ministack.env());
        // The events are of a day long ago.
        command.env("DIAL_CORRELATION__ALLOWED_LATENESS_HOURS", "1000000");
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    async fn findings(&self) -> BTreeMap<String, Finding> {
        self.findings_so_far().await.unwrap()
    }

    /// An error as long as there are no tables.
    async fn findings_so_far(&self) -> Result<BTreeMap<String, Finding>, StoreError> {
        let store = DynamoFindingStore::new(self.ministack.dynamodb(), format!("{}findings", self.prefix));
        let mut filter = FindingFilter { limit: 1000, ..FindingFilter::default() };
        let mut all = BTreeMap::new();
        loop {
            let page = store.list(&filter).await?;
            all.extend(page.findings.into_iter().map(|finding| (finding.finding_id.clone(), finding)));
            match page.next {
                Some(next) => filter.cursor = Some(next),
                None => return Ok(all),
            }
        }
    }

    /// What is known of the credentials that these events teach of.
    async fn actors(&self, taught: &BTreeMap<String, Ancestry>) -> BTreeMap<String, Ancestry> {
        let store = DynamoActorStore::new(self.ministack.dynamodb(), format!("{}actors", self.prefix));
        store.known(&taught.keys().cloned().collect()).await.unwrap().into_iter().collect()
    }

    async fn leases(&self, role: &str) -> Vec<Lease> {
        let table = format!("{}leases-{role}", self.prefix);
        DynamoLeases::new(self.ministack.dynamodb(), table).list().await.unwrap()
    }

    async fn archived(&self) -> read::Contents {
        let store = S3Store::new(self.ministack.s3(), &self.bucket, "trail");
        read::contents(&store).await.unwrap()
    }
}

/// The events of the test, without envelopes.
fn events() -> Vec<Event> {
    let mut bytes = Vec::new();
    match std::env::var_os("TEST_CLOUDTRAIL_FOLDER") {
        Some(folder) => read_folder(Path::new(&folder), &mut bytes),
        None => {
            let day = Command::new(env!("CARGO_BIN_EXE_dial")).args(["demo", "--print"]).output().unwrap();
            let text = String::from_utf8(day.stdout).unwrap();
            let attack: Vec<&str> = text.lines().skip(10_500).take(3_000).collect();
            bytes.extend_from_slice(attack.join("\n").as_bytes());
        }
    }
    let events = Decoder::new(&bytes[..]).map(|decoded| match decoded {
        Decoded::Event(event) => *event,
        Decoded::DeadLetter(letter) => panic!("{letter:?}"),
    });
    events.collect()
}

fn read_folder(folder: &Path, bytes: &mut Vec<u8>) {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            read_folder(&path, bytes);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            bytes.extend(fs::read(path).unwrap());
            bytes.push(b'\n');
        }
    }
}

/// Stream records: mostly one event each, some with several, as senders do who aggregate.
fn records(events: &[Event]) -> Vec<(String, Vec<u8>)> {
    let mut records = Vec::new();
    for chunk in events.chunks(40) {
        let (single, together) = chunk.split_at(chunk.len() - chunk.len() / 8);
        records.extend(single.iter().map(|event| (event.id().to_owned(), event.raw().to_vec())));
        if let Some(first) = together.first() {
            let list: Vec<&str> = together.iter().map(|event| std::str::from_utf8(event.raw()).unwrap()).collect();
            records.push((first.id().to_owned(), format!("{{\"Records\":[{}]}}", list.join(",")).into_bytes()));
        }
    }
    records
}

/// What `dial scan` finds in the same events.
fn expected(events: &[Event], folder: &Path) -> BTreeMap<String, Finding> {
    let lines: Vec<&[u8]> = events.iter().map(Event::raw).collect();
    let file = folder.join("events.jsonl");
    fs::write(&file, lines.join(&b'\n')).unwrap();
    let scan = Command::new(env!("CARGO_BIN_EXE_dial")).arg("scan").arg("--json").arg(&file).output().unwrap();
    let text = String::from_utf8(scan.stdout).unwrap();
    let findings = text.lines().map(|line| serde_json::from_str::<Finding>(line).unwrap());
    findings.map(|finding| (finding.finding_id.clone(), finding)).collect()
}

/// Compares findings one by one, so that a difference can be read.
fn same(found: &BTreeMap<String, Finding>, expected: &BTreeMap<String, Finding>) {
    let told = |id: &String, finding: &Finding| format!("{id} {}", finding.subject.rule_title);
    let more: Vec<_> = found.iter().filter(|(id, _)| !expected.contains_key(*id)).map(|(id, f)| told(id, f)).collect();
    let less: Vec<_> = expected.iter().filter(|(id, _)| !found.contains_key(*id)).map(|(id, f)| told(id, f)).collect();
    assert!(more.is_empty() && less.is_empty(), "too many: {more:#?}, too few: {less:#?}");
    for (id, finding) in found {
        assert_eq!(*finding, expected[id]);
    }
    assert!(found.values().any(|finding| finding.bucket.is_some()), "some are correlated");
}

/// Waits for the end, and says what the program said when that was not a success in time.
fn must_end_well(child: Child, within: Duration) {
    let started = Instant::now();
    let output = child.wait_with_output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "it ended with {}:\n{log}", output.status);
    assert!(started.elapsed() < within, "it took {:?}:\n{log}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_it_ends_with_exactly_the_findings_and_rows() {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    println!("moments by seed {seed}");
    let scene = Scene::set().await;
    let events = events();
    let expected = expected(&events, scene.folder.path());
    assert!(expected.len() >= 20, "too few findings to show anything: {}", expected.len());

    let records = records(&events);
    let (first, second) = records.split_at(records.len() / 2);
    scene.kinesis.put(&scene.stream, first.to_vec()).await;
    for run in 0..3u32 {
        let mut child = scene.dial(&["run"]);
        let moment = 700 + u64::from(seed.rotate_left(run * 9) % 2_500);
        tokio::time::sleep(Duration::from_millis(moment)).await;
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        // On a busy machine it may have been killed before it had made its tables.
        let found = scene.findings_so_far().await.map_or(0, |found| found.len());
        let rows = scene.archived().await.rows.len();
        println!("killed after {moment} ms: {found} findings, {rows} rows");
        if run == 1 {
            scene.kinesis.put(&scene.stream, second.to_vec()).await;
        }
    }
    must_end_well(scene.dial(&["run", "--until-drained"]), Duration::from_secs(90));

    same(&scene.findings().await, &expected);
    let taught = lineage::ancestries(events.iter().flat_map(lineage::links));
    assert!(taught.len() >= 5, "too little is taught to show anything: {}", taught.len());
    assert_eq!(scene.actors(&taught).await, taught);
    let archived = scene.archived().await;
    assert_eq!(archived.dead_letters, []);
    let keys: BTreeSet<_> = archived.rows.iter().map(|row| (&row.shard_id, &row.key)).collect();
    assert_eq!(keys.len(), archived.rows.len(), "a row is there twice");
    let mut kept: Vec<&str> = archived.rows.iter().map(|row| row.event_id.as_str()).collect();
    let mut sent: Vec<&str> = events.iter().map(Event::id).collect();
    kept.sort_unstable();
    sent.sort_unstable();
    assert_eq!(kept, sent);
    println!("{} events, {} findings, {} files", events.len(), expected.len(), archived.files.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_it_cleanly_and_the_next_goes_on_where_it_stopped() {
    let scene = Scene::set().await;
    let events = events();
    let events = &events[..600];
    let records = records(events);
    let (first, second) = records.split_at(records.len() / 2);
    scene.kinesis.put(&scene.stream, first.to_vec()).await;
    let child = scene.dial(&["run"]);
    let started = Instant::now();
    while scene.archived().await.rows.is_empty() {
        assert!(started.elapsed() < Duration::from_secs(60), "nothing is archived");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success()); // SIGTERM
    must_end_well(child, Duration::from_secs(10));

    for role in ["detect", "archive"] {
        let leases = scene.leases(role).await;
        assert_eq!(leases.len(), SHARDS as usize);
        assert!(leases.iter().all(|lease| lease.lease_owner.is_none()), "{role}: not given back: {leases:?}");
        assert!(leases.iter().all(|lease| lease.declaration.is_none()), "{role}: left open: {leases:?}");
    }
    scene.kinesis.put(&scene.stream, second.to_vec()).await;
    must_end_well(scene.dial(&["run", "--until-drained"]), Duration::from_secs(60));
    assert_eq!(scene.archived().await.rows.len(), events.len(), "each event is archived once");
}

#[test]
fn without_a_stream_that_exists_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("dial.toml"), "[stream]\nname = 'no-such-stream'\n").unwrap();
    let (kinesis, ministack) = (Kinesis::start(), Ministack::shared());
    let mut command = Command::new(env!("CARGO_BIN_EXE_dial"));
    command.args(["run", "--until-drained"]).current_dir(folder.path());
    let output = command.envs(kinesis.env()).envs(ministack.env()).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{log}");
    assert!(log.contains("no-such-stream"), "{log}");
}
