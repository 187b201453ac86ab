//! A process that is killed while it puts objects into a folder leaves whole objects only.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// The child process is told by its environment what to do.
#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use dial_analytics::folder::FolderStore;
use dial_analytics::store::{ObjectStore, Put};

/// In a child process: the folder to fill.
const FOLDER: &str = "DIAL_TEST_FOLDER";
/// So large, and so quickly made, that a kill falls into the writing of one.
const SIZE: usize = 16 << 20;
const KEYS: usize = 250;

fn content(n: usize) -> Bytes {
    vec![u8::try_from(n).unwrap(); SIZE].into()
}

/// The child's part: puts object after object until it is killed. Nothing to do when run as a test.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let store = FolderStore::open(Path::new(&folder)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for n in 0..KEYS {
        runtime.block_on(store.put_if_absent(&format!("a/{n}"), content(n))).unwrap();
    }
    // Put everything before being killed: then the test is told so by this file.
    runtime.block_on(store.put_if_absent("a/finished", Bytes::new())).unwrap();
}

#[tokio::test]
async fn no_half_object_is_ever_seen() {
    let mut seen = Vec::new();
    for round in 0..8u64 {
        let dir = tempfile::tempdir().unwrap();
        let mut children: Vec<_> = (0..2)
            .map(|_| {
                Command::new(std::env::current_exe().unwrap())
                    .args(["--exact", "child", "--nocapture"])
                    .env(FOLDER, dir.path())
                    .stdout(Stdio::null())
                    .spawn()
                    .unwrap()
            })
            .collect();
        std::thread::sleep(Duration::from_millis(100 + 17 * round));
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        seen.push(check(dir.path()).await);
    }
    assert!(seen.iter().any(|n| *n > 0), "no object was put: the test says nothing");
    assert!(seen.iter().all(|n| *n < KEYS), "every object was put before the kill: the test says nothing");
}

/// Every object that is there is whole; they were put in order, so there is no hole either. What the dead left is
/// swept away. Returns how many there are.
async fn check(folder: &Path) -> usize {
    let store = FolderStore::open(folder).unwrap();
    let left = std::fs::read_dir(folder.join(".incoming")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "temporary files are left");
    let seen = store.list("a/").await.unwrap().len();
    for n in 0..seen {
        assert!(store.get(&format!("a/{n}")).await.unwrap() == content(n), "object {n} is not whole");
    }
    let next = store.put_if_absent(&format!("a/{seen}"), content(seen)).await.unwrap();
    assert_eq!(next, Put::Created);
    seen
}
