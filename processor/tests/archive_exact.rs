//! I4 with the real binary: archivers that are killed, also exactly between intent, put and commit, and taken over by others,
//! while records of all kinds come in and shards are split and merged. Afterwards each record is in the archive exactly once.
//!
//! `ARCHIVE_RUNS` (4) is how many runs there are; each prints its seed. `ARCHIVE_SEED` begins with that seed:
//!
//!     ARCHIVE_RUNS=50 cargo test -p dial --test archive_exact -- --nocapture

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

// The dice and the records of the simulation.
#[allow(dead_code)]
#[path = "../src/luck/dice.rs"]
mod dice;
#[path = "support/logs.rs"]
mod logs;

mod archive {
    #[allow(dead_code)]
    pub(crate) mod proxy;
    #[allow(dead_code)]
    #[path = "../../src/luck/archive/record.rs"]
    mod record;
    pub(crate) mod run;
    mod scene;
}

use std::time::{SystemTime, UNIX_EPOCH};

fn asked(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable}={value} is not a number")))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_record_is_archived_once_whenever_an_archiver_is_killed() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    // The first runs' moments are those that matter most.
    let first = asked("ARCHIVE_SEED").unwrap_or(now / archive::run::KINDS * archive::run::KINDS);
    let runs = asked("ARCHIVE_RUNS").unwrap_or(4);
    for seed in first..first + runs {
        let told = archive::run::live(seed).await;
        println!("seed {seed}: {told}");
    }
}
