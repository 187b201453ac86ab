//! Findings in the archive, by the real binary: each that is recorded lies there in its last version, whoever is told of it,
//! whatever was killed and however long the archive was away; and `dial scan --archive` adds nothing when it is done again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dial_analytics::folder::FolderStore;
use dial_analytics::read;
use dial_analytics::s3::S3Store;
use dial_analytics::store::ObjectStore;
use dial_emulators::{Ministack, unique};
use dial_sinks::filter::{FindingFilter, MAX_LIMIT};
use dial_sinks::outbox::store::{Outbox, Owed, Queue};
use dial_sinks::sqlite::SqliteFindingStore;
use dial_sinks::store::FindingStore;
use serde_json::{Map, Value};
use support::{DIAL, Folder, attack, attack_findings, handful, lines};

type Row = Map<String, Value>;

/// The rows of the archive's findings, and the keys of their files.
async fn rows(store: &dyn ObjectStore) -> (Vec<Row>, Vec<String>) {
    let (mut rows, mut keys) = (Vec::new(), Vec::new());
    for listed in store.list("findings/v1/").await.unwrap() {
        rows.extend(read::rows(store.get(&listed.key).await.unwrap()).unwrap());
        keys.push(listed.key);
    }
    (rows, keys)
}

async fn rows_of(folder: &Path) -> (Vec<Row>, Vec<String>) {
    rows(&FolderStore::open(folder).unwrap()).await
}

/// Every finding of a local store, and whether anything is owed to anybody.
async fn recorded(data: &Path) -> (Vec<Owed>, bool) {
    let store = SqliteFindingStore::open(data.join("findings.db")).await.unwrap();
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let filter = FindingFilter { limit: MAX_LIMIT, cursor, ..FindingFilter::default() };
        let page = store.list(&filter).await.unwrap();
        let ids: Vec<String> = page.findings.into_iter().map(|finding| finding.finding_id).collect();
        all.extend(store.owed(&ids).await.unwrap());
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let mut owed = 0;
    for queue in [Queue::Findings, Queue::Alerts] {
        owed += store.due(queue, i64::MAX, 10).await.unwrap().len();
    }
    (all, owed > 0)
}

/// Checks that the latest row of each finding is what is recorded of it.
#[track_caller]
fn check(recorded: &[Owed], rows: &[Row]) {
    let mut latest: BTreeMap<&str, (u64, &Row)> = BTreeMap::new();
    for row in rows {
        let version = row["version"].as_u64().unwrap();
        let known = latest.entry(row["finding_id"].as_str().unwrap()).or_insert((version, row));
        if version >= known.0 {
            *known = (version, row);
        }
    }
    let ids: BTreeSet<&str> = recorded.iter().map(|owed| owed.finding.finding_id.as_str()).collect();
    assert_eq!(latest.keys().copied().collect::<BTreeSet<_>>(), ids);
    for owed in recorded {
        let (version, row) = latest[owed.finding.finding_id.as_str()];
        assert_eq!(version, owed.version, "{}", row["finding_id"]);
        assert_eq!(row["event_count"].as_u64(), Some(owed.finding.event_count), "{}", row["finding_id"]);
        let evidence = serde_json::to_string(&owed.finding.evidence).unwrap();
        let told: Value = serde_json::from_str(row["evidence"].as_str().unwrap()).unwrap();
        assert_eq!(told, serde_json::from_str::<Value>(&evidence).unwrap());
    }
}

#[tokio::test]
async fn a_run_that_ends_leaves_every_finding_in_the_archive() {
    let folder = Folder::new();
    let hidden = "[[policy.suppress]]\nrule = '*'\nowner = 'alice'\nexpires = 2999-01-01\nreason = 'a test'\n";
    folder.write("dial.toml", hidden);
    folder.dial(["run", "--json"]).input(lines(attack())).run().expect(0, &[]);
    let (findings, is_owed) = recorded(&folder.path("dial-data")).await;
    assert_eq!((findings.len(), is_owed), (attack_findings().len(), false));
    let (rows, keys) = rows_of(&folder.path("dial-data")).await;
    check(&findings, &rows);
    let hidden = rows.iter().filter(|row| row["suppressed_by"].as_str().is_some_and(|by| by.contains("alice")));
    assert_eq!(hidden.count(), rows.len());
    let days: BTreeSet<&str> = keys.iter().map(|key| key.rsplit_once('/').unwrap().0).collect();
    assert!(keys.len() <= days.len() * 3, "few files: {keys:?}");

    // What is read again says nothing new.
    folder.dial(["run", "--json"]).input(lines(attack())).run().expect(0, &[]);
    assert_eq!(rows_of(&folder.path("dial-data")).await.1, keys);
    let listed = folder.run("sinks list").expect(0, &[]).lines();
    assert_eq!((&listed[0]["sink"], &listed[0]["alerts"]), (&"archive".into(), &0.into()), "{listed:?}");
}

/// The program with events on its standard input, a few at a time.
fn spawn(folder: &Folder, env: &[(&'static str, String)], events: Vec<Value>) -> Child {
    let mut command = Command::new(DIAL);
    command.args(["run", "--json"]).current_dir(folder.path(""));
    command.envs(env.iter().map(|(name, value)| (name, value)));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    thread::spawn(move || {
        for some in events.chunks(100) {
            if stdin.write_all(lines(some).as_ref()).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(30));
        }
    });
    child
}

/// Works until nothing is owed any longer; what is recorded then.
async fn until_nothing_is_owed(folder: &Folder, work: impl Fn()) -> Vec<Owed> {
    for _ in 0..45 {
        let (findings, is_owed) = recorded(&folder.path("dial-data")).await;
        if !is_owed {
            return findings;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        work();
    }
    panic!("something is still owed");
}

/// Kills runs over the same events again and again, then lets one end; every finding is archived, in its last version.
async fn killed(folder: &Folder, env: &[(&'static str, String)], times: u32, archive: &dyn ObjectStore) {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    println!("moments by seed {seed}");
    let mut dice = u64::from(seed);
    for life in 1..=times {
        // Each life sees more than the one before, so that there is something new to be killed in the midst of.
        let some = attack().len() * life as usize / times as usize;
        let mut child = spawn(folder, env, attack()[..some].to_vec());
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        thread::sleep(Duration::from_millis(600 + (dice >> 33) % 2_500));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let run = |events: &[Value]| {
        let mut dial = folder.dial(["run", "--json"]);
        for (name, value) in env {
            dial = dial.env(name, value);
        }
        dial.input(lines(events)).run().expect(0, &[])
    };
    run(attack());
    // What a dead worker had claimed is free after half a minute.
    let findings = until_nothing_is_owed(folder, || drop(run(&[]))).await;
    assert_eq!(findings.len(), attack_findings().len());
    let (rows, keys) = rows(archive).await;
    println!("{} findings, {} rows in {} files", findings.len(), rows.len(), keys.len());
    check(&findings, &rows);
}

#[tokio::test]
async fn killed_at_any_moment_each_finding_is_archived_in_a_folder() {
    let folder = Folder::new();
    folder.write("dial.toml", "[archive]\nfindings_seconds = 1\n");
    fs::create_dir_all(folder.path("dial-data")).unwrap();
    let archive = FolderStore::open(&folder.path("dial-data")).unwrap();
    killed(&folder, &[], 6, &archive).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_each_finding_is_archived_in_s3() {
    let (folder, ministack, bucket) = (Folder::new(), Ministack::shared(), unique("archive"));
    ministack.s3().create_bucket().bucket(&bucket).send().await.unwrap();
    folder.write("dial.toml", format!("[archive]\nlocation = \"s3://{bucket}/trail\"\nfindings_seconds = 1\n"));
    let archive = S3Store::new(ministack.s3(), &bucket, "trail");
    killed(&folder, &ministack.env(), 4, &archive).await;
}

/// A bucket that is not there delays nothing but the archive, which says so, and is caught up with.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_bucket_is_gone_findings_wait_for_it() {
    let (folder, ministack, bucket) = (Folder::new(), Ministack::shared(), unique("archive"));
    folder.write("dial.toml", format!("[archive]\nlocation = \"s3://{bucket}/trail\"\n"));
    let run = |events: &[Value]| {
        let mut dial = folder.dial(["run", "--json", "--role", "detect"]);
        for (name, value) in ministack.env() {
            dial = dial.env(name, value);
        }
        dial.input(lines(events)).run()
    };
    let ended = run(attack())
        .expect(0, &["findings are not archived yet", "check its name and region", "wait for the archive"]);
    assert_eq!(ended.findings().len(), attack_findings().len(), "they are found and shown all the same");
    let listed = folder.run("sinks list").expect(0, &[]).lines();
    let archive = listed.iter().find(|sink| sink["sink"] == "archive").unwrap();
    assert_eq!(archive["waiting"].as_u64(), Some(attack_findings().len() as u64), "{archive}");
    assert!(archive["last_error"].as_str().unwrap().contains(&bucket) && archive["dead"] == 0, "{archive}");
    assert!(folder.run_on_terminal("sinks list").out.contains("failing since"));

    ministack.s3().create_bucket().bucket(&bucket).send().await.unwrap();
    // The pause after the failure may not be over yet.
    let archive = S3Store::new(ministack.s3(), &bucket, "trail");
    let findings = until_nothing_is_owed(&folder, || drop(run(&[]).expect(0, &[]))).await;
    check(&findings, &rows(&archive).await.0);
}

#[tokio::test]
async fn the_demo_archives_its_findings() {
    let folder = Folder::new();
    folder.run("demo --seconds 1 --json --data demo").expect(0, &[]);
    let (findings, is_owed) = recorded(&folder.path("demo")).await;
    assert!(!is_owed && !findings.is_empty());
    check(&findings, &rows_of(&folder.path("demo")).await.0);
}

/// All files of an archive.
async fn files(folder: &Path) -> BTreeSet<String> {
    let listed = FolderStore::open(folder).unwrap().list("").await.unwrap();
    listed.into_iter().map(|listed| listed.key).collect()
}

#[tokio::test]
async fn a_scan_archives_what_it_reads_and_what_it_finds_once() {
    let folder = Folder::new();
    let loud = lines(&handful().events);
    folder.write("logs/loud.json", &loud);
    folder.write("logs/attack.json.gz", support::gzip(lines(attack()).as_ref()));
    folder.write("logs/broken.json", "{\"eventID\":");
    let scan = folder.run("scan --json --archive parquet logs").expect(1, &["archived in parquet:"]);
    let archived = files(&folder.path("parquet")).await;
    let store = FolderStore::open(&folder.path("parquet")).unwrap();
    let contents = read::contents(&store).await.unwrap();
    assert_eq!(contents.rows.len(), handful().events.len() + attack().len());
    assert_eq!(contents.dead_letters.len(), 1);
    let (rows, _) = rows(&store).await;
    let ids: BTreeSet<&str> = rows.iter().map(|row| row["finding_id"].as_str().unwrap()).collect();
    assert_eq!(ids, scan.findings().keys().map(String::as_str).collect());
    assert!(rows.len() == ids.len() && rows.iter().all(|row| row["version"] == 1));

    // Again, elsewhere and from standard input: every name is there.
    folder.run("scan --archive parquet logs").expect(1, &["0 new files", "were there already"]);
    let twice = folder.dial(["scan", "--archive", "parquet", "-"]).input(loud.clone()).run().expect(1, &[]);
    assert!(twice.err.contains("there already"), "{}", twice.err);
    fs::rename(folder.path("logs/loud.json"), folder.path("logs/moved.json")).unwrap();
    folder.run("scan --archive parquet --threads 1 logs").expect(1, &["0 new files"]);
    let again = files(&folder.path("parquet")).await;
    let events =
        |all: &BTreeSet<String>| all.iter().filter(|key| !key.starts_with("findings/")).cloned().collect::<Vec<_>>();
    assert_eq!(events(&again), events(&archived), "one content has one name, wherever it lies");
}

#[tokio::test]
async fn a_damaged_file_is_told_and_left_to_be_removed() {
    let folder = Folder::new();
    folder.write("loud.json", lines(&handful().events));
    folder.run("scan --archive parquet loud.json").expect(1, &["archived in parquet:"]);
    // Other bytes of the same rows, as another version may write, are none of that.
    folder.write("dial.toml", "[archive]\nraw = false\n");
    let other = folder.run("scan --archive parquet loud.json").expect(1, &["0 new files", "there already"]);
    assert!(!other.err.contains("damaged"), "{}", other.err);

    let keys = files(&folder.path("parquet")).await;
    for table in ["events/", "findings/"] {
        let key = keys.iter().find(|key| key.starts_with(table)).unwrap();
        let path = folder.path("parquet").join(key);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..3000]).unwrap();
        let told = format!("damaged: parquet/{key} has 3000 bytes that cannot be read: not a readable Parquet file");
        let again = folder.run("scan --archive parquet loud.json");
        let again = again.expect(3, &[&told, "remove it and scan again", "0 new files", "1 of them damaged"]);
        assert_eq!(again.findings(), handful().findings, "what is found is found");
        assert_eq!(fs::read(&path).unwrap().len(), 3000, "nothing is overwritten");
        fs::remove_file(&path).unwrap();
        let mended = folder.run("scan --archive parquet/ loud.json").expect(1, &["1 new file,"]);
        assert!(!mended.err.contains("damaged"), "{}", mended.err);
        assert!(fs::metadata(&path).unwrap().len() > 3000);
    }
    folder.dial(["scan", "--archive", "", "loud.json"]).run().expect(2, &["--archive"]);
    folder.run("scan --archive loud.json loud.json").expect(3, &["a file is where a folder has to be; name a folder"]);
}

#[tokio::test]
async fn events_of_impossible_days_are_archived_and_counted() {
    let folder = Folder::new();
    let mut events = handful().events[..3].to_vec();
    for (event, time) in events.iter_mut().zip(["1987-01-01T00:00:00Z", "2345-01-01T00:00:00Z"]) {
        let id = time.to_owned();
        event["detail"]["eventID"] = id.into();
        event["detail"]["eventTime"] = time.into();
    }
    folder.write("odd.json", lines(&events));
    folder.run("scan --archive parquet odd.json").expect(1, &["2 events of a day that is out of all reason"]);
    let keys = files(&folder.path("parquet")).await;
    let has = |day: &str| keys.iter().any(|key| key.starts_with(&format!("events/v1/dt={day}/")));
    assert!(has("2010-01-01") && has("2099-12-31"), "{keys:?}");
    let ended = folder.dial(["run", "--json"]).input(lines(&events)).run().expect(0, &["out of all reason"]);
    assert!(ended.err.contains("rows=2"), "{}", ended.err);
}
