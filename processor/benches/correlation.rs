//! What correlation costs the real program: `cargo bench -p dial --bench correlation`.
//!
//! A burst: time per match, through the windows on SQLite, for 1,000, 10,000 and 100,000 matches of one group, which should not
//! grow with the burst; within one bucket, and half on either side of a bucket's edge. And `dial scan` at one match per 100
//! events, as a ratio to the same events and rules without the correlation; it should stay below 1.05. All of it is processor
//! time where the system tells it, so that what else goes on counts less.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fmt::Write as _;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const DIAL: &str = env!("CARGO_BIN_EXE_dial");
const HOUR: u64 = 3_600;
/// Events of a scan: so many that hundredths of a second, in which its time is told, say enough.
const EVENTS: usize = 800_000;
/// Each configuration is run so often, in turn.
const ROUNDS: usize = 15;

const DENIED: &str = "title: A call was refused
id: 7d0c7a4e-5b1a-4b39-9a51-0a4c3d6c0001
name: refused
level: low
logsource: {product: aws, service: cloudtrail}
detection: {call: {errorCode: AccessDenied}, condition: call}
";

fn correlation(group: &str) -> String {
    format!(
        "title: Many calls were refused\nid: 7d0c7a4e-5b1a-4b39-9a51-0a4c3d6c0002\nlevel: medium\n\
         correlation:\n    type: event_count\n    rules: [refused]\n    group-by: [{group}]\n    timespan: 1h\n    \
         condition: {{gte: 20}}\n"
    )
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    bursts(folder);
    scans(folder);
}

fn bursts(folder: &Path) {
    // In one file, so that matches make no findings of their own.
    fs::write(folder.join("burst.yml"), format!("{DENIED}---\n{}", correlation("userIdentity.arn"))).unwrap();
    println!("{:<24} {:>8} {:>10} {:>6} {:>9}", "burst", "matches", "µs/match", "ratio", "findings");
    for (what, edge) in [("in one bucket", false), ("over a bucket's edge", true)] {
        let mut first = None;
        for length in [1_000, 10_000, 100_000] {
            let [quiet, loud] = [false, true].map(|refused| {
                let input = folder.join("burst.json");
                fs::write(&input, burst(length, edge, refused)).unwrap();
                (0..3).map(|_| local_run(folder, &input)).min().unwrap()
            });
            let each = (loud.saturating_sub(quiet)).as_secs_f64() / length as f64 * 1e6;
            let ratio = each / *first.get_or_insert(each);
            println!("{what:<24} {length:>8} {each:>10.1} {ratio:>6.2} {:>9}", found(folder));
        }
    }
}

/// `dial run` on this machine alone: events from standard input, windows in SQLite.
fn local_run(folder: &Path, input: &Path) -> Duration {
    let data = folder.join("data");
    fs::remove_dir_all(&data).ok();
    let mut command = Command::new(DIAL);
    command.args(["run", "--role", "detect", "--rules", "burst.yml"]).env("DIAL_DATA__FOLDER", &data);
    cost(command.stdin(fs::File::open(input).unwrap()).current_dir(folder))
}

/// How many findings there are, and how many events the largest rests on.
fn found(folder: &Path) -> String {
    let mut command = Command::new(DIAL);
    command.args(["--json", "findings", "list"]).env("DIAL_DATA__FOLDER", folder.join("data")).current_dir(folder);
    let out = String::from_utf8(command.output().unwrap().stdout).unwrap();
    out.lines().count().to_string()
}

/// Calls of one user within twenty minutes: of the last full hour, or ten on either side of its end.
fn burst(length: usize, edge: bool, refused: bool) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let hour = now / HOUR * HOUR - HOUR;
    let begin = if edge { hour - 600 } else { hour + 600 };
    let time = |n: usize| begin + (n * 1_200 / length) as u64;
    (0..length).map(|n| event(n, time(n), "alice", refused)).collect()
}

fn scans(folder: &Path) {
    let mut input = BufWriter::new(fs::File::create(folder.join("scan.json")).unwrap());
    for n in 0..EVENTS {
        let time = 1_769_860_800 + (n / 20) as u64;
        input.write_all(event(n, time, &format!("user-{}", n * 7 % 1_000), n % 100 == 0).as_bytes()).unwrap();
    }
    input.into_inner().unwrap();
    // In files of their own, so that matches make findings with and without the correlation.
    fs::write(folder.join("rule.yml"), DENIED).unwrap();
    fs::write(folder.join("by-arn.yml"), correlation("userIdentity.arn")).unwrap();
    fs::write(folder.join("by-actor.yml"), correlation("dial.actor")).unwrap();
    let rules: [&[&str]; 3] = [&["rule.yml"], &["rule.yml", "by-arn.yml"], &["rule.yml", "by-actor.yml"]];
    let mut taken: [Vec<Duration>; 3] = Default::default();
    for _ in 0..ROUNDS {
        for (taken, rules) in taken.iter_mut().zip(rules) {
            taken.push(scan(folder, rules));
        }
    }
    taken.iter_mut().for_each(|taken| taken.sort());
    // What disturbs a run only ever adds to it; the median says how much that is.
    let [least, median] = [0, ROUNDS / 2].map(|at| taken.each_ref().map(|taken| taken[at].as_secs_f64()));
    println!("scan of {EVENTS} events, one match per 100: {:.2} s without a correlation", least[0]);
    for (at, what) in [(1, "by a field"), (2, "by lineage")] {
        let ratio = |times: &[f64; 3]| times[at] / times[0];
        println!("  grouped {what:<12} {:.3} times as long, by the median {:.3}", ratio(&least), ratio(&median));
    }
}

fn scan(folder: &Path, rules: &[&str]) -> Duration {
    let mut command = Command::new(DIAL);
    command.args(["scan", "scan.json"]).current_dir(folder);
    for rules in rules {
        command.args(["--rules", rules]);
    }
    cost(command.stdin(Stdio::null()))
}

fn event(n: usize, time: u64, user: &str, refused: bool) -> String {
    let time = chrono::DateTime::from_timestamp(i64::try_from(time).unwrap(), 0).unwrap();
    let time = time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let error = if refused { r#""errorCode":"AccessDenied","# } else { "" };
    let mut text = String::new();
    writeln!(
        text,
        r#"{{"eventVersion":"1.09","eventID":"{n:032x}","eventTime":"{time}","eventSource":"s3.amazonaws.com","eventName":"ListBuckets","awsRegion":"eu-west-1","sourceIPAddress":"198.51.100.7",{error}"recipientAccountId":"111122223333","userIdentity":{{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/{user}","userName":"{user}"}}}}"#
    )
    .unwrap();
    text
}

/// What a run costs: processor time, or where the system does not tell it, the time that passes.
fn cost(command: &mut Command) -> Duration {
    let begun = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let used = processor_time(&child);
    let passed = begun.elapsed();
    let code = child.wait().unwrap().code().unwrap();
    assert!(code <= 1, "it ended with {code}");
    used.unwrap_or(passed)
}

/// The processor time of a child that has ended and is not waited for yet, from Linux' `/proc/PID/stat`, in hundredths of a
/// second.
fn processor_time(child: &Child) -> Option<Duration> {
    loop {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).ok()?;
        // After the name in parentheses: the state, and as the 12th and 13th field after it the ticks in user and system mode.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        if fields.first()? == &"Z" {
            let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
            return Some(Duration::from_millis(10 * ticks));
        }
        sleep(Duration::from_millis(1));
    }
}
