//! What context costs the real program, as ratios to runs of the same events without it:
//! `cargo bench -p dial --bench context`.
//!
//! Events that no rule looks at closely are to cost nothing more, and one event on average less than a microsecond; a
//! reputation service that is away is to change nothing.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const DIAL: &str = env!("CARGO_BIN_EXE_dial");
const EVENTS: usize = 400_000;
/// Each configuration is run so often, in turn; the fastest counts.
const ROUNDS: usize = 5;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("plain.json"), events(|_| "ListBuckets")).unwrap();
    fs::write(folder.join("mixed.json"), events(|n| if n % 1_000 == 0 { "CreateUser" } else { "AssumeRole" })).unwrap();
    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let away = format!("[reputation]\nurl = 'http://{}/check'\nkey = 'file:key'\n", silent.local_addr().unwrap());
    fs::write(folder.join("key"), "k").unwrap();
    fs::write(folder.join("none.toml"), "").unwrap();
    fs::write(folder.join("tables.toml"), tables()).unwrap();
    fs::write(folder.join("away.toml"), format!("{}{away}", tables())).unwrap();
    for input in ["plain.json", "mixed.json"] {
        let settings = ["none.toml", "tables.toml", "away.toml"];
        let mut best = [Duration::MAX; 3];
        for _ in 0..ROUNDS {
            for (best, settings) in best.iter_mut().zip(settings) {
                *best = (*best).min(run(folder, settings, input));
            }
        }
        let [none, with, away] = best.map(|time| time.as_secs_f64());
        println!("{input}: {EVENTS} events, {none:.2} s without tables");
        for (what, time) in [("tables and accounts", with), ("a silent service too", away)] {
            let each = (time - none) / EVENTS as f64 * 1e6;
            println!("  {what:<22} {:.3} times as long, {each:+.3} µs an event", time / none);
        }
    }
}

/// How long `dial run` takes to detect in an input, without the archive.
fn run(folder: &Path, settings: &str, input: &str) -> Duration {
    let data = folder.join("data");
    fs::remove_dir_all(&data).ok();
    let begun = Instant::now();
    let mut child = Command::new(DIAL)
        .args(["--config", settings, "run", "--role", "detect"])
        .env("DIAL_DATA__FOLDER", &data)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let bytes = fs::read(folder.join(input)).unwrap();
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    assert!(child.wait().unwrap().success(), "{settings} {input}");
    begun.elapsed()
}

fn events(name: impl Fn(usize) -> &'static str) -> String {
    let mut text = String::new();
    for n in 0..EVENTS {
        let source = match name(n) {
            "AssumeRole" => "sts",
            "CreateUser" => "iam",
            _ => "s3",
        };
        writeln!(
            text,
            r#"{{"eventVersion":"1.09","eventID":"{n:032x}","eventTime":"2026-01-31T12:00:00Z","eventSource":"{source}.amazonaws.com","eventName":"{}","awsRegion":"eu-west-1","sourceIPAddress":"8.{}.{}.{}","recipientAccountId":"111122223333","userIdentity":{{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/alice","accessKeyId":"AKIA{:016}"}}}}"#,
            name(n),
            n >> 16 & 255,
            n >> 8 & 255,
            n & 255,
            n % 1_000
        )
        .unwrap();
    }
    text
}

/// Settings with a thousand networks on lists, and names of a hundred accounts.
fn tables() -> String {
    let mut text = String::new();
    for n in 0..100 {
        writeln!(text, "[accounts.{n:012}]\nname = 'account {n}'\nenvironment = 'test'").unwrap();
    }
    for list in 0..10 {
        let networks: Vec<String> = (0..100).map(|n| format!("'8.{n}.{list}.0/24'")).collect();
        let networks = networks.join(", ");
        writeln!(text, "[[addresses.lists]]\nname = 'list {list}'\nreason = 'bench'\nnetworks = [{networks}]").unwrap();
    }
    text
}
