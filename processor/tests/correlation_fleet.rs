//! Sequences over a fleet of real workers, one of which is killed at any moment: the same findings each time, byte for byte, and
//! the same as those of one process that reads a file.
//!
//! `LUCK_FLEETS=20 cargo test -p dial --test correlation_fleet` lives twenty of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod support;

use std::fmt::Write as _;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dial_emulators::{Kinesis, Ministack, unique};
use dial_ingest::LeaseStore;
use dial_ingest::dynamodb::DynamoLeases;
use dial_sinks::dynamodb::DynamoFindingStore;
use dial_sinks::filter::FindingFilter;
use dial_sinks::store::FindingStore;
use serde_json::Value;
use support::logs::last_lines;
use support::planted::{Corpus, Dice, Plan, RULES, assert_planted, plant};
use support::{Findings, Folder};
use tokio::time::{Instant, sleep};

const STREAM: &str = "trail";
const SHARDS: u32 = 3;
/// How many fleets, unless `LUCK_FLEETS` says otherwise.
const FLEETS: u64 = 3;
const WITHIN: Duration = Duration::from_secs(120);

/// What workers share, and a folder for their files.
struct Scene {
    kinesis: Kinesis,
    ministack: &'static Ministack,
    folder: Folder,
    prefix: String,
}

/// A worker's process; killed when dropped.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Worker {
    fn stop(mut self, scene: &Scene) {
        let sent = Command::new("kill").args(["-s", "TERM", &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let status = self.0.wait().unwrap();
        assert!(status.success(), "it ended with {status}\n{}", scene.logs());
    }
}

impl Scene {
    async fn set() -> Scene {
        let (kinesis, prefix) = (Kinesis::start(), format!("{}-", unique("luck")));
        kinesis.create_stream(STREAM, SHARDS).await;
        let folder = Folder::new();
        folder.write("rules.yml", RULES);
        let settings = format!(
            "[stream]\nname = {STREAM:?}\n[worker]\nfailover_seconds = 3\n[tables]\nprefix = {prefix:?}\n\
             [metrics]\nlisten = \"off\"\n"
        );
        folder.write("dial.toml", settings);
        Scene { kinesis, ministack: Ministack::shared(), folder, prefix }
    }

    fn dial(&self, worker_id: &str, more: &[&str]) -> Worker {
        let mut command = Command::new(support::DIAL);
        command.args(["run", "--role", "detect", "--rules", "rules.yml"]).args(more).current_dir(self.folder.path(""));
        command.envs(self.kinesis.env()).envs(self.ministack.env()).env("DIAL_WORKER__ID", worker_id);
        let log = fs::File::create(self.folder.path(format!("{worker_id}.log"))).unwrap();
        Worker(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    fn logs(&self) -> String {
        last_lines(&self.folder.path(""))
    }

    /// Every finding there is, in a stable order.
    async fn found(&self) -> Findings {
        let store = DynamoFindingStore::new(self.ministack.dynamodb(), format!("{}findings", self.prefix));
        let mut filter = FindingFilter { limit: 1_000, ..FindingFilter::default() };
        let mut all = Findings::new();
        loop {
            // Until the first worker has made the table there is none.
            let Ok(page) = store.list(&filter).await else { return all };
            all.extend(
                page.findings
                    .into_iter()
                    .map(|finding| (finding.finding_id.clone(), without_nulls(serde_json::to_value(finding).unwrap()))),
            );
            match page.next {
                Some(next) => filter.cursor = Some(next),
                None => return all,
            }
        }
    }

    async fn owners(&self) -> usize {
        let table = format!("{}leases-detect", self.prefix);
        let leases = DynamoLeases::new(self.ministack.dynamodb(), table).list().await.unwrap_or_default();
        let owners = leases.into_iter().filter_map(|lease| lease.lease_owner);
        owners.collect::<std::collections::BTreeSet<_>>().len()
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(members.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        Value::Array(list) => list.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

/// Three workers, one of which is killed at a random moment while the events come, and what is found in the end.
async fn fleet(corpus: &Corpus, seed: u64) -> Findings {
    let scene = Scene::set().await;
    let mut dice = Dice(seed);
    let mut workers: Vec<Worker> = ["a", "b", "c"].into_iter().map(|id| scene.dial(id, &[])).collect();
    let begun = Instant::now();
    while scene.owners().await < workers.len() {
        assert!(begun.elapsed() < WITHIN, "the shards are not shared\n{}", scene.logs());
        sleep(Duration::from_millis(100)).await;
    }
    let chunks: Vec<&[Value]> = corpus.arriving.chunks(corpus.arriving.len().div_ceil(20)).collect();
    let fatal = dice.below(chunks.len());
    for (n, chunk) in chunks.into_iter().enumerate() {
        let record = |event: &Value| (format!("{}", dice.below(1_000_000)), event.to_string().into_bytes());
        scene.kinesis.put(STREAM, chunk.iter().map(record).collect()).await;
        sleep(Duration::from_millis(dice.below(300) as u64)).await;
        if n == fatal {
            // SIGKILL, as nobody expects it.
            drop(workers.swap_remove(dice.below(workers.len())));
        }
    }
    let begun = Instant::now();
    while scene.found().await.len() < corpus.expected.len() {
        assert!(
            begun.elapsed() < WITHIN,
            "{} of {} found\n{}",
            scene.found().await.len(),
            corpus.expected.len(),
            scene.logs()
        );
        sleep(Duration::from_millis(200)).await;
    }
    workers.into_iter().for_each(|worker| worker.stop(&scene));
    // What the dead one held and nobody took over yet is read to its end.
    let mut last = scene.dial("last", &["--until-drained"]);
    assert!(last.0.wait().unwrap().success(), "{}", scene.logs());
    scene.found().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_findings_whoever_dies() {
    let fleets = std::env::var("LUCK_FLEETS").map_or(FLEETS, |number| number.parse().expect("LUCK_FLEETS is a number"));
    // Recent enough for no event to be later than is allowed.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let plan = Plan {
        events: 1_200,
        in_window: 20,
        too_late: 10,
        reversed: 10,
        arriving_late: 10,
        begin: i64::try_from(now).unwrap() - 8 * 3_600,
    };
    let corpus = plant(plan, 7);
    let alone = scanned(&corpus);
    assert_planted(alone.values(), &corpus);
    for seed in 0..fleets {
        let begun = Instant::now();
        let found = fleet(&corpus, seed).await;
        assert_planted(found.values(), &corpus);
        assert!(found == alone, "fleet {seed} found something else than a scan");
        println!("fleet {seed}: {} findings, {:?}", found.len(), begun.elapsed());
    }
}

/// What one process finds in a file.
fn scanned(corpus: &Corpus) -> Findings {
    let folder = Folder::new();
    folder.write("rules.yml", RULES);
    let mut lines = String::new();
    corpus.arriving.iter().for_each(|event| writeln!(lines, "{event}").unwrap());
    let ended = folder.dial(["scan", "--json", "--rules", "rules.yml", "-"]).input(lines).run().expect(1, &[]);
    let bare = |mut finding: Value| {
        // What is known beside it, and what the policy makes of it, is not recorded.
        let members = finding.as_object_mut().unwrap();
        members.retain(|name, _| name != "context" && name != "status");
        without_nulls(finding)
    };
    ended.findings().into_iter().map(|(id, finding)| (id, bare(finding))).collect()
}
