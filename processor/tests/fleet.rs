//! A fleet of real binaries on one stream, while workers are killed, frozen and thawed and shards are split and merged:
//! every record's finding exists once, every event is archived once, and no checkpoint moves back.
//!
//! Every event is a finding here: the one rule matches them all.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "support/logs.rs"]
mod logs;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_kinesis::Client;
use dial_analytics::read;
use dial_analytics::s3::S3Store;
use dial_emulators::{Kinesis, KinesisLocal, Ministack, unique};
use dial_ingest::dynamodb::DynamoLeases;
use dial_ingest::lease::Lease;
use dial_ingest::{LeaseStore, Position};
use dial_sinks::dynamodb::DynamoFindingStore;
use dial_sinks::filter::FindingFilter;
use dial_sinks::store::FindingStore;
use tokio::time::{Instant, sleep};

const STREAM: &str = "trail";
const ROLES: [&str; 2] = ["detect", "archive"];

const RULE: &str = "title: Every call\nid: 4f7b2d4a-3f0e-4f4e-9d0e-6c2a3f1b8a55\nlevel: low\n\
    logsource: {product: aws, service: cloudtrail}\ndetection: {call: {eventID|exists: true}, condition: call}\n";

enum Emulator {
    Ferrokinesis(Kinesis),
    Local(KinesisLocal),
}

impl Emulator {
    fn client(&self) -> Client {
        match self {
            Self::Ferrokinesis(kinesis) => kinesis.client(),
            Self::Local(kinesis) => kinesis.client(),
        }
    }

    fn env(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Ferrokinesis(kinesis) => kinesis.env(),
            Self::Local(kinesis) => kinesis.env(),
        }
    }

    async fn create_stream(&self, shards: u32) {
        match self {
            Self::Ferrokinesis(kinesis) => kinesis.create_stream(STREAM, shards).await,
            Self::Local(kinesis) => kinesis.create_stream(STREAM, shards).await,
        }
    }

    async fn put(&self, records: Vec<(String, Vec<u8>)>) {
        match self {
            Self::Ferrokinesis(kinesis) => kinesis.put(STREAM, records).await,
            Self::Local(kinesis) => kinesis.put(STREAM, records).await,
        }
    }
}

struct Scene {
    kinesis: Emulator,
    ministack: &'static Ministack,
    folder: tempfile::TempDir,
    prefix: String,
    bucket: String,
    failover: Duration,
    put: Mutex<usize>,
}

impl Scene {
    async fn set(kinesis: Emulator, shards: u32, failover: u64) -> Arc<Scene> {
        let scene = Scene {
            kinesis,
            ministack: Ministack::shared(),
            folder: tempfile::tempdir().unwrap(),
            prefix: format!("{}-", unique("dial")),
            bucket: unique("archive"),
            failover: Duration::from_secs(failover),
            put: Mutex::new(0),
        };
        scene.kinesis.create_stream(shards).await;
        scene.ministack.s3().create_bucket().bucket(&scene.bucket).send().await.unwrap();
        let settings = format!(
            "[stream]\nname = {STREAM:?}\n[worker]\nfailover_seconds = {failover}\n[tables]\nprefix = {:?}\n\
             [archive]\nlocation = \"s3://{}/trail\"\nflush_seconds = 2\n[metrics]\nlisten = \"off\"\n",
            scene.prefix, scene.bucket
        );
        fs::write(scene.folder.path().join("dial.toml"), settings).unwrap();
        fs::write(scene.folder.path().join("rule.yml"), RULE).unwrap();
        Arc::new(scene)
    }

    fn dial(&self, worker_id: &str, more: &[&str]) -> Worker {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dial"));
        command.args(["run", "--rules", "rule.yml"]).args(more).current_dir(self.folder.path());
        command.envs(self.kinesis.env()).envs(self.ministack.env()).env("DIAL_WORKER__ID", worker_id);
        let log = fs::File::create(self.folder.path().join(format!("{worker_id}.log"))).unwrap();
        Worker(command.stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    /// Puts so many events, one a record.
    async fn put(&self, count: usize) {
        let first = std::mem::replace(&mut *self.put.lock().unwrap(), 0);
        *self.put.lock().unwrap() = first + count;
        let record = |n: usize| {
            let event = format!(
                "{{\"eventVersion\":\"1.08\",\"eventID\":\"event-{n}\",\"eventTime\":\"2026-03-03T09:00:00Z\",\
                 \"eventSource\":\"iam.amazonaws.com\",\"eventName\":\"GetUser\",\"awsRegion\":\"eu-central-1\",\
                 \"recipientAccountId\":\"111122223333\"}}"
            );
            (format!("event-{n}"), event.into_bytes())
        };
        self.kinesis.put((first..first + count).map(record).collect()).await;
    }

    fn expected(&self) -> BTreeSet<String> {
        (0..*self.put.lock().unwrap()).map(|n| format!("event-{n}")).collect()
    }

    async fn leases(&self, role: &str) -> Vec<Lease> {
        let table = format!("{}leases-{role}", self.prefix);
        DynamoLeases::new(self.ministack.dynamodb(), table).list().await.unwrap_or_default()
    }

    /// The events that findings name, and how often each.
    async fn found(&self) -> BTreeMap<String, usize> {
        let store = DynamoFindingStore::new(self.ministack.dynamodb(), format!("{}findings", self.prefix));
        let mut filter = FindingFilter { limit: 1000, ..FindingFilter::default() };
        let mut all = BTreeMap::new();
        loop {
            let page = store.list(&filter).await.unwrap();
            for event in page.findings.into_iter().flat_map(|finding| finding.evidence) {
                *all.entry(event.event_id).or_default() += 1;
            }
            match page.next {
                Some(next) => filter.cursor = Some(next),
                None => return all,
            }
        }
    }

    async fn archived(&self) -> Vec<String> {
        let store = S3Store::new(self.ministack.s3(), &self.bucket, "trail");
        let contents = read::contents(&store).await.unwrap();
        assert_eq!(contents.dead_letters, []);
        contents.rows.into_iter().map(|row| row.event_id).collect()
    }

    /// How many active leases each worker has, of both roles.
    async fn owners(&self) -> [BTreeMap<String, usize>; 2] {
        let mut owners = [BTreeMap::new(), BTreeMap::new()];
        for (role, owners) in ROLES.iter().zip(&mut owners) {
            for lease in self.leases(role).await.into_iter().filter(|lease| !lease.is_ended()) {
                *owners.entry(lease.lease_owner.unwrap_or_default()).or_default() += 1;
            }
        }
        owners
    }

    /// Waits until the workers have `shards` leases of each role among them, none more than its share.
    async fn until_shared(&self, workers: &[&str], shards: usize, within: Duration) {
        let begun = Instant::now();
        let shared = |owners: &BTreeMap<String, usize>| {
            let most = shards.div_ceil(workers.len());
            owners.values().sum::<usize>() == shards
                && owners.keys().all(|owner| workers.contains(&owner.as_str()))
                && owners.len() == workers.len()
                && owners.values().all(|count| *count <= most)
        };
        loop {
            let owners = self.owners().await;
            if owners.iter().all(shared) {
                println!("{workers:?} share {shards} shards after {:?}: {owners:?}", begun.elapsed());
                return;
            }
            assert!(begun.elapsed() < within, "not shared within {within:?}: {owners:?}\n{}", self.logs());
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn open_shards(&self) -> Vec<(String, u128, u128)> {
        let answer = self.kinesis.client().list_shards().stream_name(STREAM).send().await.unwrap();
        let open = answer.shards.unwrap().into_iter().filter(|shard| {
            shard.sequence_number_range.as_ref().is_none_or(|range| range.ending_sequence_number.is_none())
        });
        let mut open: Vec<_> = open
            .map(|shard| {
                let range = shard.hash_key_range.unwrap();
                (shard.shard_id, range.starting_hash_key.parse().unwrap(), range.ending_hash_key.parse().unwrap())
            })
            .collect();
        open.sort_by_key(|(_, start, _): &(_, u128, u128)| *start);
        open
    }

    async fn split(&self, nth: usize) {
        let (shard, start, end) = self.open_shards().await.swap_remove(nth);
        let middle = (start + (end - start) / 2).to_string();
        let call = self.kinesis.client().split_shard().stream_name(STREAM).shard_to_split(shard);
        call.new_starting_hash_key(middle).send().await.unwrap();
        self.until_active().await;
    }

    /// Merges the nth open shard with the one after it.
    async fn merge(&self, nth: usize) {
        let open = self.open_shards().await;
        let call = self.kinesis.client().merge_shards().stream_name(STREAM).shard_to_merge(&open[nth].0);
        call.adjacent_shard_to_merge(&open[nth + 1].0).send().await.unwrap();
        self.until_active().await;
    }

    async fn until_active(&self) {
        for _ in 0..600 {
            let answer = self.kinesis.client().describe_stream_summary().stream_name(STREAM).send().await.unwrap();
            if answer.stream_description_summary.unwrap().stream_status.as_str() == "ACTIVE" {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("the stream does not become active");
    }

    /// Waits until every event that was put is a finding.
    async fn until_found(&self, within: Duration) {
        let begun = Instant::now();
        while self.found().await.len() < self.expected().len() {
            let found = self.found().await.len();
            assert!(begun.elapsed() < within, "{found} of {} found\n{}", self.expected().len(), self.logs());
            sleep(Duration::from_millis(500)).await;
        }
    }

    fn logs(&self) -> String {
        logs::last_lines(self.folder.path())
    }

    /// After everything: what must be there, once each.
    async fn assert_exact(&self) {
        let found = self.found().await;
        assert_eq!(found.keys().cloned().collect::<BTreeSet<_>>(), self.expected());
        assert!(found.values().all(|count| *count == 1), "an event has two findings");
        let mut archived = self.archived().await;
        archived.sort_unstable();
        let mut expected: Vec<String> = self.expected().into_iter().collect();
        expected.sort_unstable();
        assert_eq!(archived, expected, "each event is one row");
    }
}

/// A process of the fleet; killed when dropped.
struct Worker(Child);

impl Worker {
    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success(), "SIG{name}");
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    fn stop(mut self, scene: &Scene) {
        self.signal("TERM");
        self.ends_well(scene);
    }

    fn ends_well(&mut self, scene: &Scene) {
        let status = self.0.wait().unwrap();
        assert!(status.success(), "it ended with {status}\n{}", scene.logs());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Looks at the lease tables all the time; says what must not be.
struct Watch {
    task: tokio::task::JoinHandle<()>,
    wrong: Arc<Mutex<Vec<String>>>,
}

impl Watch {
    fn begin(scene: Arc<Scene>) -> Watch {
        let wrong: Arc<Mutex<Vec<String>>> = Arc::default();
        let found = wrong.clone();
        let task = tokio::spawn(async move {
            let mut last: BTreeMap<(&str, String), (Position, u64)> = BTreeMap::new();
            loop {
                for role in ROLES {
                    for lease in scene.leases(role).await {
                        let now = (lease.checkpoint.clone(), lease.lease_counter);
                        let before = last.insert((role, lease.lease_key.clone()), now.clone());
                        if before.is_some_and(|before| now.0 < before.0 || now.1 < before.1) {
                            found.lock().unwrap().push(format!("{role} {} moved back to {now:?}", lease.lease_key));
                        }
                    }
                }
                sleep(Duration::from_millis(100)).await;
            }
        });
        Watch { task, wrong }
    }

    fn end(self) {
        self.task.abort();
        assert_eq!(*self.wrong.lock().unwrap(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_workers_share_eight_shards_through_a_kill_a_freeze_and_resharding() {
    let scene = Scene::set(Emulator::Ferrokinesis(Kinesis::start()), 8, 5).await;
    let watch = Watch::begin(scene.clone());
    scene.put(400).await;
    let [a, b, c] = ["a", "b", "c"].map(|id| scene.dial(id, &[]));
    scene.until_shared(&["a", "b", "c"], 8, scene.failover * 2).await;

    a.kill();
    b.signal("STOP");
    let frozen = Instant::now();
    scene.put(200).await;
    scene.split(0).await;
    scene.split(4).await;
    scene.put(200).await;
    scene.merge(6).await;
    scene.put(200).await;
    // The one that is left takes everything over, as the others' leases expire.
    scene.until_found(Duration::from_secs(60)).await;
    sleep(Duration::from_secs(30).saturating_sub(frozen.elapsed())).await;
    b.signal("CONT");
    scene.put(200).await;
    scene.merge(0).await;
    scene.put(200).await;
    let open = scene.open_shards().await.len();
    scene.until_shared(&["b", "c"], open, Duration::from_secs(60)).await;
    scene.until_found(Duration::from_secs(60)).await;

    b.stop(&scene);
    c.stop(&scene);
    for role in ROLES {
        let leases = scene.leases(role).await;
        assert!(leases.iter().all(|lease| lease.is_ended() || lease.lease_owner.is_none()), "{role}: {leases:?}");
    }
    scene.dial("d", &["--until-drained"]).ends_well(&scene);
    watch.end();
    scene.assert_exact().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_emulators_resharding_loses_nothing_either() {
    let scene = Scene::set(Emulator::Local(KinesisLocal::start()), 2, 4).await;
    let watch = Watch::begin(scene.clone());
    scene.put(60).await;
    let [a, b] = ["a", "b"].map(|id| scene.dial(id, &[]));
    scene.until_shared(&["a", "b"], 2, Duration::from_secs(30)).await;
    scene.split(0).await;
    scene.put(60).await;
    a.kill();
    scene.merge(1).await;
    scene.put(60).await;
    scene.until_found(Duration::from_secs(90)).await;
    b.stop(&scene);
    scene.dial("c", &["--until-drained"]).ends_well(&scene);
    watch.end();
    scene.assert_exact().await;
}
