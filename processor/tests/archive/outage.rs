//! A worker with both roles, whose archive fails for a while.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dial_analytics::folder::FolderStore;
use dial_analytics::read;
use dial_analytics::s3::S3Store;
use dial_analytics::store::ObjectStore;
use dial_emulators::{Kinesis, Ministack, unique};
use dial_sinks::dynamodb::DynamoFindingStore;
use dial_sinks::filter::FindingFilter;
use dial_sinks::store::FindingStore;
use tokio::time::sleep;

use super::proxy::Proxy;

/// How the bucket's name begins.
pub(crate) const BUCKET: &str = "s3://archive-";
const STREAM: &str = "trail";
/// Longer than anything here takes, even on a busy machine.
const LONGEST: Duration = Duration::from_secs(90);
/// Events are put so many at a time.
const BATCH: usize = 40;

const RULE: &str = "title: Every call\nid: 4f7b2d4a-3f0e-4f4e-9d0e-6c2a3f1b8a55\nlevel: low\n\
    logsource: {product: aws, service: cloudtrail}\ndetection: {call: {eventID|exists: true}, condition: call}\n";

/// Where the archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Bucket,
    Folder,
}

pub(crate) struct Outage {
    place: Place,
    kinesis: Kinesis,
    ministack: &'static Ministack,
    /// Between the worker and S3.
    pub(crate) proxy: Proxy,
    home: tempfile::TempDir,
    prefix: String,
    bucket: String,
    worker: Worker,
}

struct Worker {
    child: Child,
    /// What it has said so far.
    log: Arc<Mutex<String>>,
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
    fn start(mut command: Command) -> Worker {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log: Arc<Mutex<String>> = Arc::default();
        let (said, mut lines) = (log.clone(), BufReader::new(child.stderr.take().unwrap()).lines());
        thread::spawn(move || {
            while let Some(Ok(line)) = lines.next() {
                *said.lock().unwrap() += &(line + "\n");
            }
        });
        let begun = Instant::now();
        let metrics = loop {
            let said = log.lock().unwrap().clone();
            if let Some(at) = said.find("http://127.0.0.1:") {
                break said[at..].split(['"', ' ', '\n']).next().unwrap().to_owned();
            }
            assert!(begun.elapsed() < LONGEST, "it does not serve metrics: {said}");
            thread::sleep(Duration::from_millis(20));
        };
        Worker { child, log, metrics }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let url = self.metrics.replace("/metrics", path);
        let answer = reqwest::get(url).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

impl Outage {
    /// A worker that has archived the first events.
    pub(crate) async fn prepare(place: Place) -> Outage {
        let (kinesis, ministack) = (Kinesis::start(), Ministack::shared());
        let (home, bucket, prefix) = (tempfile::tempdir().unwrap(), unique("archive"), format!("{}-", unique("dial")));
        kinesis.create_stream(STREAM, 2).await;
        ministack.s3().create_bucket().bucket(&bucket).send().await.unwrap();
        let location = match place {
            Place::Bucket => format!("s3://{bucket}/trail"),
            Place::Folder => home.path().join("archive").display().to_string(),
        };
        let settings = format!(
            "[stream]\nname = {STREAM:?}\n[worker]\nfailover_seconds = 4\n[tables]\nprefix = {prefix:?}\n\
             [archive]\nlocation = {location:?}\nflush_seconds = 1\n[metrics]\nlisten = \"127.0.0.1:0\"\n"
        );
        fs::write(home.path().join("dial.toml"), settings).unwrap();
        fs::write(home.path().join("rule.yml"), RULE).unwrap();
        let proxy = Proxy::start(ministack.endpoint(), &bucket, format!("{prefix}leases-archive")).await;
        // A shell that lets files be limited without a signal that ends the program.
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_dial")]);
        command.args(["run", "--rules", "rule.yml"]).current_dir(home.path());
        command.envs(kinesis.env()).envs(ministack.env()).env("AWS_ENDPOINT_URL_S3", proxy.endpoint());
        command.env("DIAL_CORRELATION__ALLOWED_LATENESS_HOURS", "1000000");
        let worker = Worker::start(command);
        let outage = Outage { place, kinesis, ministack, proxy, home, prefix, bucket, worker };
        outage.put(0).await;
        outage.until("the first events are archived", async || outage.archived().await.len() == BATCH).await;
        outage
    }

    /// Where the archive is, if in a folder.
    pub(crate) fn folder(&self) -> PathBuf {
        self.home.path().join("archive")
    }

    /// More events come: they are found and not archived, and the worker says so in every way.
    pub(crate) async fn shows(&self, kind: &str, words: &[&str]) {
        self.put(1).await;
        self.until("it says what is wrong", async || {
            let log = self.worker.log.lock().unwrap().clone();
            log.lines().any(|line| line.contains("WARN") && words.iter().all(|word| line.contains(word)))
        })
        .await;
        self.put(2).await;
        self.until("detection goes on", async || self.found().await.len() == 3 * BATCH).await;
        let failures = format!("dial_archive_failures_total{{kind=\"{kind}\"}} ");
        self.until("the metrics say so", async || {
            let text = self.worker.get("/metrics").await.1;
            let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            let failed = value(&failures).is_some_and(|value| value.parse::<u64>().unwrap() > 0);
            failed && text.contains("dial_archive_waiting_seconds{shard=")
        })
        .await;
        // Long enough for what should not be.
        sleep(Duration::from_secs(3)).await;
        assert_eq!(self.worker.get("/readyz").await.0, 200, "another worker would fare no better");
        if self.place == Place::Bucket && kind == "denied" {
            assert!(self.proxy.refused() > 1, "it tries again");
            assert_eq!(self.archived().await.len(), BATCH);
        }
    }

    /// What waited is written, and so is what comes; nothing is there twice.
    pub(crate) async fn ends(mut self) {
        self.put(3).await;
        self.until("everything is archived", async || self.archived().await.len() >= 4 * BATCH).await;
        self.until("nothing waits", async || {
            !self.worker.get("/metrics").await.1.contains("dial_archive_waiting_seconds{")
        })
        .await;
        let pid = self.worker.child.id().to_string();
        assert!(Command::new("kill").arg(&pid).status().unwrap().success()); // SIGTERM
        let status = self.worker.child.wait().unwrap();
        let log = self.worker.log.lock().unwrap().clone();
        assert!(status.success(), "it ended with {status}: {log}");
        let mut rows = self.archived().await;
        rows.sort_unstable();
        let mut put: Vec<String> = (0..4 * BATCH).map(|n| format!("event-{n}")).collect();
        put.sort_unstable();
        assert_eq!(rows, put);
        assert_eq!(self.found().await.len(), 4 * BATCH);
    }

    async fn put(&self, batch: usize) {
        let record = |n: usize| {
            let event = format!(
                "{{\"eventVersion\":\"1.08\",\"eventID\":\"event-{n}\",\"eventTime\":\"2026-03-03T09:00:00Z\",\
                 \"eventSource\":\"iam.amazonaws.com\",\"eventName\":\"GetUser\",\"awsRegion\":\"eu-central-1\",\
                 \"recipientAccountId\":\"111122223333\"}}"
            );
            (format!("event-{n}"), event.into_bytes())
        };
        self.kinesis.put(STREAM, (batch * BATCH..(batch + 1) * BATCH).map(record).collect()).await;
    }

    /// The events that findings name.
    async fn found(&self) -> BTreeSet<String> {
        let store = DynamoFindingStore::new(self.ministack.dynamodb(), format!("{}findings", self.prefix));
        let filter = FindingFilter { limit: 1000, ..FindingFilter::default() };
        let page = store.list(&filter).await.unwrap();
        page.findings.into_iter().flat_map(|finding| finding.evidence).map(|event| event.event_id).collect()
    }

    fn store(&self) -> Box<dyn ObjectStore> {
        match self.place {
            Place::Bucket => Box::new(S3Store::new(self.ministack.s3(), &self.bucket, "trail")),
            Place::Folder => Box::new(FolderStore::open(&self.folder()).unwrap()),
        }
    }

    /// The ids of the archived events.
    async fn archived(&self) -> Vec<String> {
        let contents = read::contents(self.store().as_ref()).await.unwrap();
        assert_eq!(contents.dead_letters, []);
        contents.rows.into_iter().map(|row| row.event_id).collect()
    }

    async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let begun = Instant::now();
        while !is_so().await {
            let log = self.worker.log.lock().unwrap().clone();
            assert!(begun.elapsed() < LONGEST, "not yet: {what}\n{log}");
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Removes the bucket, and hands out what was in it.
    pub(crate) async fn remove_bucket(&self) -> Vec<(String, Bytes)> {
        let store = self.store();
        let mut objects = Vec::new();
        for listed in store.list("").await.unwrap() {
            objects.push((listed.key.clone(), store.get(&listed.key).await.unwrap()));
            store.delete(&listed.key).await.unwrap();
        }
        self.ministack.s3().delete_bucket().bucket(&self.bucket).send().await.unwrap();
        objects
    }

    /// Makes the bucket again, with these objects in it.
    pub(crate) async fn restore_bucket(&self, objects: Vec<(String, Bytes)>) {
        self.ministack.s3().create_bucket().bucket(&self.bucket).send().await.unwrap();
        let store = self.store();
        for (key, bytes) in objects {
            store.put_if_absent(&key, bytes).await.unwrap();
        }
    }

    /// Lets the worker write files of so many bytes at most, as a disk does that has no more room; or of any length.
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        let set = "import resource, sys; pid, most = map(int, sys.argv[1:]); \
                   resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))";
        let (pid, most) =
            (self.worker.child.id().to_string(), bytes.map_or("-1".to_owned(), |bytes| bytes.to_string()));
        assert!(Command::new(dial_emulators::python()).args(["-c", set, &pid, &most]).status().unwrap().success());
    }
}
