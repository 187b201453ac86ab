//! Our workers and the Kinesis Client Library for Java take turns at one lease table.
//!
//! ```text
//! cargo run -p dial-ingest --example kcl_interop [SCENE...]
//! ```
//!
//! Needs Java, besides what the tests need; everything else is installed on first use. In each scene the library and our
//! workers read one stream, each carrying on from what the other left in the table, after crashes and after clean stops. At
//! each handing over every item of the table is kept, to be printed side by side, and at the end it is asked that every
//! record was processed, twice only where it was left without checkpoint, and that each side began exactly where the
//! other's checkpoint was. Any other outcome is a panic that says what was found. docs/INTEROP.md has a recorded run; it takes six minutes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, unreachable_pub, missing_docs)]

mod account;
mod checks;
mod emulator;
mod items;
mod ours;
mod scene;
mod scenes;

use std::time::{Duration, Instant};

use dial_emulators::Kcl;
use scenes::End;

/// How long a lease lasts without being renewed, on both sides.
pub const FAILOVER: Duration = Duration::from_secs(5);
/// Records in a batch, on both sides.
pub const BATCH: u32 = 50;
/// Batches from one checkpoint to the next, on both sides.
pub const CHECKPOINT_EVERY: u32 = 3;
/// From one read of a shard to the next, on both sides.
pub const INTERVAL: Duration = Duration::from_millis(400);

/// The scenes of a run that names none.
const SCENES: [&str; 5] = ["library-first", "ours-first", "resharding", "no-children", "at-once"];
/// One that takes three minutes, and shows the library after a crash of its own.
const LONG_SCENE: &str = "library-killed";

#[tokio::main]
async fn main() {
    let mut wanted: Vec<String> = std::env::args().skip(1).collect();
    if wanted.is_empty() {
        wanted = SCENES.map(str::to_owned).to_vec();
    }
    let known = |name: &String| SCENES.contains(&name.as_str()) || name == LONG_SCENE;
    assert!(wanted.iter().all(known), "the scenes are {SCENES:?} and {LONG_SCENE:?}");
    Kcl::install();
    for name in &wanted {
        let began = Instant::now();
        match name.as_str() {
            "library-first" => scenes::the_library_begins(End::Stopped).await,
            "library-killed" => scenes::the_library_begins(End::Killed).await,
            "ours-first" => scenes::we_begin().await,
            "resharding" => scenes::shards_change().await,
            "no-children" => scenes::children_are_not_told().await,
            _ => scenes::side_by_side().await,
        }
        println!("{name} took {:.0} s", began.elapsed().as_secs_f64());
    }
    println!("\nBoth sides accept what the other writes.");
}
