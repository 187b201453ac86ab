//! Test support: the AWS emulators, started on loopback and stopped with the test process.
//!
//! - [`Kinesis`]: ferrokinesis inside the test process, on a thread of its own.
//! - [`KinesisLocal`]: a second, slower Kinesis in a Node child process, which is right about shards that end.
//! - [`Ministack`]: DynamoDB, S3 and more in a Python child process.
//! - [`Kcl`]: no emulator but a peer, the Kinesis Client Library for Java, to share a lease table with. It needs Java,
//!   which of the rest only [`spark_python`] does.
//!
//! Besides, [`python`] has DuckDB and [`spark_python`] has PySpark, to read what was written with other programs than ours.
//!
//! What is no crate is installed on first use into `target/emulators/`, from pinned versions.
//!
//! All emulators are reached over TCP, by clients made here ([`Kinesis::client`], [`Ministack::dynamodb`],
//! [`Ministack::s3`]) and by child processes that are given [`Kinesis::env`] and [`Ministack::env`].
//!
//! ```no_run
//! # async fn example() {
//! let kinesis = dial_emulators::Kinesis::start();
//! let stream = dial_emulators::unique("events");
//! kinesis.create_stream(&stream, 4).await;
//! kinesis.put(&stream, vec![("key".to_owned(), b"data".to_vec())]).await;
//!
//! let aws = dial_emulators::Ministack::shared();
//! let mut dial = std::process::Command::new("dial");
//! dial.envs(kinesis.env()).envs(aws.env());
//! # }
//! ```
//!
//! # Panics
//!
//! A test cannot go on without its emulator, so whatever fails here panics with what is missing and what to do.
//! Nothing is ever skipped.

// Test support is part of the tests that use it: a panic with a clear message is how it reports a failure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod child;
mod client;
mod folder;
mod install;
mod kcl;
mod kinesis;
mod kinesis_local;
mod ministack;
mod node;
mod python;
mod spark;
mod stream;

pub use client::{ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, sdk_config};
pub use kcl::{Kcl, KclEvent, KclSettings, KclStep, read_journal};
pub use kinesis::{Kinesis, KinesisOptions};
pub use kinesis_local::KinesisLocal;
pub use ministack::{Ministack, python};
pub use spark::spark_python;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A name that nobody else uses: `prefix`, the time, the process and a counter, joined by hyphens.
///
/// With a lower-case prefix of at most 30 characters it is valid for streams, tables and S3 buckets.
pub fn unique(prefix: &str) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let counter = COUNTER.fetch_add(1, Ordering::Relaxed);
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    format!("{prefix}-{millis:x}-{:x}-{counter:x}", std::process::id())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn unique_names_differ_and_are_valid_bucket_names() {
        let names: HashSet<String> = (0..1_000).map(|_| super::unique("a-prefix-of-thirty-characters")).collect();
        assert_eq!(names.len(), 1_000);
        for name in names {
            assert!(name.len() <= 63, "{name} is longer than S3 allows");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{name}");
        }
    }
}
