//! `dial compact`, the program itself: while others read, killed at any moment, and as people type it.
//!
//! `cargo test -p dial --test compact -- --nocapture` counts under compaction a thousand times, and says how often.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods, clippy::print_stdout)]

#[path = "compact/archive.rs"]
mod archive;
#[path = "compact/readers.rs"]
mod readers;
mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use dial_analytics::s3::S3Store;
use dial_analytics::store::ObjectStore;
use dial_emulators::{Ministack, unique};
use readers::Told;
use serde_json::json;
use support::{DIAL, Folder};

/// In milliseconds: longer than a count takes.
const GRACE: i64 = 6000;
const ENOUGH: u64 = 1000;
/// So that files are deleted meanwhile, too.
const LEAST: Duration = Duration::from_secs(20);
const MOST: Duration = Duration::from_secs(300);

/// Runs `dial compact` on `location` until the readers stop; returns how many files it has made and deleted.
fn compact_on(location: &str, env: &[(&'static str, String)], told: &Told) -> (u64, u64) {
    let (mut made, mut deleted) = (0, 0);
    while !told.stopped() {
        let mut command = Command::new(DIAL);
        command.args(["compact", "--location", location, "--closed-after", "0s", "--grace", "6s", "--margin", "1s"]);
        let output = command.args(["--json", "--table", "events"]).envs(env.iter().cloned()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            made += line["files_made"].as_u64().unwrap();
            deleted += line["files_removed"].as_u64().unwrap();
        }
        sleep(Duration::from_millis(50));
    }
    (made, deleted)
}

/// Writes a file every now and then until the readers stop; returns how many rows there are.
async fn write_on(store: &dyn ObjectStore, told: &Told) -> u64 {
    for file in 0.. {
        told.tell(file * 5, (file + 1) * 5);
        archive::fill(store, file..file + 1, 5).await;
        told.tell((file + 1) * 5, (file + 1) * 5);
        tokio::time::sleep(Duration::from_millis(250)).await;
        if told.stopped() {
            return (file + 1) * 5;
        }
    }
    0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_counts_taken_meanwhile_are_right() {
    let folder = Folder::new();
    let root = folder.path("archive");
    let local: Arc<dyn ObjectStore> = Arc::new(archive::folder(&root));
    let s3 = s3().await;
    let (at, there) = (s3.location, s3.store);
    let (told, told_s3) = (Told::new(&folder.path("")), Told::new(&folder.write("s3/x", "").with_file_name("")));
    archive::fill(local.as_ref(), 0..1, 5).await;
    told.tell(5, 5);

    let duckdb: Vec<_> = (0..2).map(|_| readers::duckdb(&told, &root, GRACE)).collect();
    let own = tokio::spawn(readers::own(told.clone(), local.clone(), GRACE));
    let own_s3 = tokio::spawn(readers::own(told_s3.clone(), there.clone(), GRACE));
    let (place, again) = (root.to_str().unwrap().to_owned(), root.to_str().unwrap().to_owned());
    let (one, two, three) = (told.clone(), told.clone(), told_s3.clone());
    let compactors = [
        tokio::task::spawn_blocking(move || compact_on(&place, &[], &one)),
        tokio::task::spawn_blocking(move || compact_on(&again, &[], &two)),
        tokio::task::spawn_blocking(move || compact_on(&at, &Ministack::shared().env(), &three)),
    ];
    let rows =
        tokio::join!(write_on(local.as_ref(), &told), write_on(there.as_ref(), &told_s3), enough(&told, &told_s3));
    let mut done = Vec::new();
    for compactor in compactors {
        done.push(compactor.await.unwrap());
    }
    let duckdb: Vec<_> = duckdb.into_iter().map(|reader| reader.join().unwrap()).collect();
    let (own, own_s3) = (own.await.unwrap(), own_s3.await.unwrap());
    println!(
        "counts: DuckDB {duckdb:?} (and files gone, too slow, slowest in ms), own {own}, own on S3 {own_s3}; files made and deleted: {done:?}"
    );
    assert_eq!(archive::rows(local.as_ref()).await.len() as u64, rows.0);
    assert_eq!(archive::rows(there.as_ref()).await.len() as u64, rows.1);
    assert!(done.iter().map(|(made, _)| made).sum::<u64>() > 10 && done[2].0 > 2, "{done:?}");
    assert!(done.iter().map(|(_, deleted)| deleted).sum::<u64>() > 50 && done[2].1 > 0, "{done:?}");
    let by_duckdb: u64 = duckdb.iter().map(|[counts, ..]| counts).sum();
    assert!(by_duckdb > ENOUGH / 10 && own_s3 > 20, "too few to say anything");
    assert!(by_duckdb + own + own_s3 >= ENOUGH, "{} counts", by_duckdb + own + own_s3);
}

/// Stops everybody once the counts are enough; or after a time in which no machine comes to so few.
async fn enough(here: &Told, there: &Told) {
    let began = Instant::now();
    while !here.stopped()
        && (began.elapsed() < LEAST || here.counts() + there.counts() < ENOUGH && began.elapsed() < MOST)
    {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    here.stop();
    there.stop();
}

struct OnS3 {
    location: String,
    store: Arc<dyn ObjectStore>,
}

async fn s3() -> OnS3 {
    let client = Ministack::shared().s3();
    let bucket = unique("compact");
    client.create_bucket().bucket(&bucket).send().await.unwrap();
    OnS3 { location: format!("s3://{bucket}/a"), store: Arc::new(S3Store::new(client, &bucket, "a")) }
}

fn compact(folder: &Folder, more: &str) -> support::Ended {
    folder.run(&format!("compact --location archive --closed-after 0s --budget-mib 1 {more}"))
}

#[tokio::test]
async fn killed_at_any_moment_the_rows_are_the_same() {
    let folder = Folder::new();
    let root = folder.path("archive");
    let store = archive::folder(&root);
    archive::fill(&store, 0..60, 40).await;
    let before = archive::rows(&store).await;
    assert_eq!(before.len(), 2400);
    let (mut killed, mut wait) = (0, 5);
    for round in 0..200u64 {
        let mut child = Command::new(DIAL)
            .args(["compact", "--location", root.to_str().unwrap(), "--closed-after", "0s", "--grace", "0s"])
            .args(["--budget-mib", "1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        sleep(Duration::from_millis(wait));
        killed += u64::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(archive::rows(&store).await, before, "round {round}");
        if status.success() || killed == 15 {
            break;
        }
        // So that some are killed early in the work and one comes to its end on whatever machine.
        wait = if round.is_multiple_of(4) { wait + 40 } else { (wait + 13 * round) % 400 + wait / 2 };
    }
    println!("{killed} were killed at work");
    // What killed ones left is made by the first and deleted by the second.
    compact(&folder, "--grace 0s").expect(0, &[]);
    compact(&folder, "--grace 0s").expect(0, &[]);
    compact(&folder, "--grace 0s").expect(0, &["nothing to compact"]);
    assert_eq!(archive::rows(&store).await, before);
    let (files, made) = archive::files(&store).await;
    assert!(killed >= 3 && files == made && files < 20, "{killed} killed, {made} of {files} files made");
    assert_eq!(store.list("events/v1/").await.unwrap(), [], "what was merged is deleted");
    assert_eq!(store.list("events/compacted-v1/").await.unwrap().len(), files, "and what killed ones made, too");
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let folder = Folder::new();
    let store = archive::folder(&folder.path("archive"));
    archive::fill(&store, 0..10, 20).await;
    let there = store.list("").await.unwrap();
    let said = compact(&folder, "--dry-run").expect(0, &["20 files would be merged into 2, 0 deleted"]).lines();
    assert_eq!(store.list("").await.unwrap(), there);
    let done = compact(&folder, "").expect(0, &["20 files merged into 2, 0 deleted"]).lines();
    assert_eq!(said.len(), 2);
    for (said, done) in said.iter().zip(&done) {
        for same in ["table", "day", "files_merged", "bytes_merged", "files_made", "rows"] {
            assert_eq!(said[same], done[same], "{same}");
        }
        assert_eq!((&said["dry_run"], &said["bytes_made"]), (&json!(true), &json!(null)));
        assert!(done["effective_from"].is_string() && done["bytes_made"].as_u64() < done["bytes_merged"].as_u64());
    }
    sleep(Duration::from_millis(20));
    compact(&folder, "--grace 0s --dry-run").expect(0, &["0 files would be merged into 0, 20 deleted"]);
    assert_eq!(store.list("events/v1/").await.unwrap().len(), 20);
    let terminal = folder.run_on_terminal("compact --location archive --closed-after 0s --grace 0s");
    assert!(terminal.out.contains("2024-05-01") && terminal.out.contains("20 deleted"), "{}", terminal.out);
}

#[tokio::test]
async fn days_and_tables_can_be_chosen_and_open_days_wait() {
    let folder = Folder::new();
    let store = archive::folder(&folder.path("archive"));
    archive::fill(&store, 0..4, 20).await;
    folder.run("compact --location archive --closed-after 20000d").expect(0, &["nothing to compact; 2 days not over"]);
    compact(&folder, "--table FINDINGS").expect(0, &["nothing to compact"]);
    let lines = compact(&folder, "--to 2024-05-01").expect(0, &["4 files merged into 1"]).lines();
    assert_eq!((lines.len(), &lines[0]["day"]), (1, &json!("2024-05-01")));
    compact(&folder, "--from 2024-05-03").expect(0, &["nothing to compact"]);
    let lines =
        compact(&folder, "--from 2024-05-02 --to 2024-05-02 --margin 1h").expect(0, &["4 files merged"]).lines();
    assert_eq!(lines[0]["day"], "2024-05-02");
    assert_eq!(archive::files(&store).await, (5, 1), "an hour from now the other day's count");
    compact(&folder, "").expect(0, &["1 day about to switch"]);
}

#[test]
fn what_was_compacted_is_not_archived_again() {
    let folder = Folder::new();
    let (one, other) = support::handful().events.split_at(support::handful().events.len() / 2);
    folder.write("one.json", support::lines(one));
    folder.write("other.json", support::lines(other));
    let scan = || folder.run("scan one.json other.json --archive archive");
    let counts = || folder.run("compact --location archive --closed-after 0s --dry-run").err;
    scan().expect(1, &["new file"]);
    scan().expect(1, &["0 new files"]);
    // Merged, and what was merged deleted.
    compact(&folder, "--margin 0s").expect(0, &["merged into"]);
    sleep(Duration::from_millis(20));
    let deleted = compact(&folder, "--margin 0s --grace 0s").expect(0, &["deleted"]).err;
    assert!(!deleted.contains(" 0 deleted"), "{deleted}");
    scan().expect(1, &["0 new files"]);
    assert!(counts().contains("nothing to compact"), "{}", counts());
}

#[test]
fn what_is_wrong_is_said() {
    let folder = Folder::new();
    folder.run("compact").expect(0, &["there is no archive yet"]);
    folder.run("compact --location nowhere").expect(2, &["--location nowhere: there is no such folder"]);
    folder.run("compact --location s3://").expect(2, &["names no bucket"]);
    folder.dial(["compact", "--location", ""]).run().expect(2, &["--location"]);
    folder.write("file", "x");
    folder.run("compact --location file").expect(2, &["it is a file; name a folder"]);
    folder.run("compact --closed-after 24").expect(2, &["24h"]);
    folder.run("compact --from 2024-13-01").expect(2, &["2024-05-01"]);
    folder.run("compact --table event").expect(2, &["events or findings"]);
    folder.run("compact --budget-mib 0").expect(2, &["1..=1024"]);
    std::fs::create_dir(folder.path("archive")).unwrap();
    compact(&folder, "--from 2024-05-02 --to 2024-05-01").expect(2, &["--from 2024-05-02 is after --to 2024-05-01"]);
}

#[tokio::test]
async fn a_place_without_an_archive_is_said_to_be_one() {
    let folder = Folder::new();
    folder.write("archive/notes.txt", "x");
    for more in ["", "--dry-run", "--from 2024-05-01"] {
        let ended = compact(&folder, more).expect(0, &["there is no archive yet"]);
        assert!(!ended.err.contains("merged") && !ended.err.contains("nothing"), "{}", ended.err);
    }
    let there = s3().await;
    let on_s3 = |more: &str| {
        let mut dial = folder.dial(format!("compact --location {} {more}", there.location).split_whitespace());
        for (name, value) in Ministack::shared().env() {
            dial = dial.env(name, value);
        }
        dial.run()
    };
    on_s3("--dry-run").expect(0, &["there is no archive yet"]);
    archive::fill(there.store.as_ref(), 0..1, 5).await;
    on_s3("--closed-after 20000d").expect(0, &["nothing to compact"]);
    on_s3("--from 2025-01-01").expect(0, &["nothing to compact"]);
}

#[test]
fn a_region_that_is_not_set_is_asked_for() {
    let folder = Folder::new();
    // So that nobody else is asked for one, nor for credentials.
    let dial = folder.dial(["compact", "--location", "s3://trail/a"]).env("AWS_EC2_METADATA_DISABLED", "true");
    let dial = dial.env("AWS_CONFIG_FILE", "none").env("AWS_ACCESS_KEY_ID", "a").env("AWS_SECRET_ACCESS_KEY", "b");
    let ended = dial.run().expect(3, &["no AWS region is set: set AWS_REGION or region in the profile"]);
    assert!(!ended.err.contains("another try"), "{}", ended.err);
}

#[tokio::test]
async fn whoever_reads_writes_nothing() {
    let folder = Folder::new();
    archive::fill(&archive::folder(&folder.path("archive")), 0..4, 20).await;
    let hidden = folder.path("archive/.incoming");
    std::fs::remove_dir_all(&hidden).unwrap();
    for command in [
        "compact --location archive --closed-after 0s --dry-run",
        "compact --location archive --closed-after 20000d",
        "dead-letters list --kind record --data archive",
    ] {
        // Nothing here is nobody's to write.
        folder.dial(command.split_whitespace()).without_privileges(&folder).run().expect(0, &[]);
        folder.run(command).expect(0, &[]);
        assert!(!hidden.exists(), "{command}");
    }
}

#[tokio::test]
async fn a_broken_file_keeps_its_day_and_no_other() {
    let folder = Folder::new();
    let root = folder.path("archive");
    let store = archive::folder(&root);
    archive::fill(&store, 0..4, 20).await;
    let broken = Path::new("archive/events/v1/dt=2024-05-01/shardId-9_1_1.parquet");
    folder.write(broken, "no Parquet at all");
    let ended = compact(&folder, "").expect(3, &["events of 2024-05-01 stay as they are", "shardId-9_1_1.parquet"]);
    assert!(ended.err.contains("restore the file from a backup, or remove it, and compact again"), "{}", ended.err);
    assert_eq!((ended.lines().len(), &ended.lines()[0]["day"]), (1, &json!("2024-05-02")));
    compact(&folder, "").expect(3, &["nothing compacted"]);
}
