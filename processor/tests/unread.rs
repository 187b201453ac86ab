//! Whoever reads the output may go away: what the program keeps is complete all the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;
use std::process::{Command, Output, Stdio};

use support::{DIAL, Findings, Folder, handful, lines};

/// Runs the program with the handful of events, while nobody reads what it prints.
fn unread(folder: &Folder, arguments: &str) -> Output {
    let events = fs::File::open(folder.write("events.json", lines(&handful().events))).unwrap();
    let mut command = Command::new(DIAL);
    command.args(arguments.split_whitespace()).current_dir(folder.path("")).stdin(events);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    child.wait_with_output().unwrap()
}

#[track_caller]
fn check(ended: &Output, code: i32) {
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(code), "{said}");
    assert_eq!(said.matches("nobody reads standard output any longer").count(), 1, "{said}");
}

fn kept(folder: &Folder) -> Findings {
    folder.run("findings list --limit 1000").expect(0, &[]).findings()
}

fn files(folder: &Folder, table: &str) -> usize {
    let days = fs::read_dir(folder.path(table)).unwrap().map(|day| day.unwrap().path());
    days.map(|day| fs::read_dir(day).unwrap().count()).sum()
}

#[test]
fn a_run_keeps_and_archives_all() {
    let folder = Folder::new();
    check(&unread(&folder, "run"), 0);
    assert_eq!(kept(&folder), handful().findings);
    assert!(files(&folder, "dial-data/events/v1") > 0 && files(&folder, "dial-data/findings/v1") > 0);
}

#[test]
fn a_scan_saves_and_archives_all_and_says_that_it_found_something() {
    let folder = Folder::new();
    check(&unread(&folder, "scan --save --archive archive events.json"), 1);
    assert_eq!(kept(&folder), handful().findings);
    assert!(files(&folder, "archive/events/v1") > 0 && files(&folder, "archive/findings/v1") > 0);
}

#[test]
fn what_only_shows_ends_without_a_word() {
    let folder = Folder::new();
    folder.write("events.json", lines(&handful().events));
    folder.run("scan --save events.json").expect(1, &[]);
    let ended = unread(&folder, "findings list");
    assert_eq!((ended.status.code(), ended.stderr.len()), (Some(0), 0));
}
