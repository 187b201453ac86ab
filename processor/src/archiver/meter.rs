//! [`Meter`]: what the archive role of a worker has written, and for how long it has been waiting to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dial_analytics::archive::{ArchiveError, Written};
use dial_analytics::sealed::Sealed;
use dial_analytics::store::StoreErrorKind;
use tokio::time::Instant;

use crate::monitor::exposition::{Exposition, Kind};

/// The kinds of failed writes, as labels.
const KINDS: [&str; 5] = ["unavailable", "denied", "full", "missing", "other"];

fn number(error: &ArchiveError) -> usize {
    match error {
        ArchiveError::Store(error) => match error.kind {
            StoreErrorKind::Unavailable => 0,
            StoreErrorKind::Denied => 1,
            StoreErrorKind::Full => 2,
            StoreErrorKind::Missing | StoreErrorKind::NoFolder | StoreErrorKind::NoRegion => 3,
            _ => 4,
        },
        _ => 4,
    }
}

/// The counts, which all shards' archivers share. Clones are handles on the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    files: AtomicU64,
    rows: AtomicU64,
    dead_letters: AtomicU64,
    bytes: AtomicU64,
    failures: [AtomicU64; KINDS.len()],
    /// Since when each shard's rows have been tried to be written in vain.
    waiting: Mutex<BTreeMap<String, Instant>>,
}

/// The counts at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) files: u64,
    pub(crate) rows: u64,
    pub(crate) dead_letters: u64,
    pub(crate) bytes: u64,
    /// In the order of [`KINDS`].
    pub(crate) failures: [u64; KINDS.len()],
    /// For how long each shard has been waiting that does.
    pub(crate) waiting: BTreeMap<String, Duration>,
}

impl Meter {
    fn waiting(&self) -> MutexGuard<'_, BTreeMap<String, Instant>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A shard's files are there.
    pub(super) fn wrote(&self, shard: &str, sealed: &Sealed, written: &Written) {
        let counts = &self.0;
        let add = |counter: &AtomicU64, count: u64| counter.fetch_add(count, Ordering::Relaxed);
        add(&counts.files, written.created as u64);
        add(&counts.bytes, written.bytes);
        add(&counts.rows, sealed.rows() as u64);
        add(&counts.dead_letters, sealed.dead_letters() as u64);
        self.waiting().remove(shard);
    }

    /// A shard's files could not be written.
    pub(super) fn failed(&self, shard: &str, error: &ArchiveError) {
        self.count_failure(shard, number(error));
    }

    /// What a shard has to write cannot be written by this build.
    pub(super) fn stuck(&self, shard: &str) {
        self.count_failure(shard, KINDS.len() - 1);
    }

    fn count_failure(&self, shard: &str, kind: usize) {
        self.0.failures[kind].fetch_add(1, Ordering::Relaxed);
        self.waiting().entry(shard.to_owned()).or_insert_with(Instant::now);
    }

    /// A shard is another worker's concern.
    pub(super) fn let_go(&self, shard: &str) {
        self.waiting().remove(shard);
    }

    /// The counts now.
    pub(crate) fn read(&self) -> Reading {
        let counts = &self.0;
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Reading {
            files: of(&counts.files),
            rows: of(&counts.rows),
            dead_letters: of(&counts.dead_letters),
            bytes: of(&counts.bytes),
            failures: counts.failures.each_ref().map(of),
            waiting: self.waiting().iter().map(|(shard, since)| (shard.clone(), since.elapsed())).collect(),
        }
    }
}

/// Writes the metrics.
pub(crate) fn render(out: &mut Exposition, reading: &Reading) {
    for (name, help, value) in [
        ("dial_archive_files_total", "Files that the archive role wrote.", reading.files),
        ("dial_archive_bytes_total", "Bytes of these.", reading.bytes),
        ("dial_archive_rows_total", "Rows that are in the archive and behind a checkpoint.", reading.rows),
        ("dial_archive_dead_letters_total", "Dead letters that are.", reading.dead_letters),
    ] {
        out.metric(Kind::Counter, name, help);
        out.sample(&[], value);
    }
    let help = "Attempts at writing to the archive that failed; the shard waits and tries again.";
    out.metric(Kind::Counter, "dial_archive_failures_total", help);
    for (kind, count) in KINDS.iter().zip(reading.failures) {
        out.sample(&[("kind", kind)], count);
    }
    let help = "For how long a shard's rows have been tried to be written in vain; nothing is lost meanwhile.";
    out.metric(Kind::Gauge, "dial_archive_waiting_seconds", help);
    for (shard, waiting) in &reading.waiting {
        out.sample(&[("shard", shard)], format_args!("{:.3}", waiting.as_secs_f64()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dial_analytics::store::StoreError;

    fn error(kind: StoreErrorKind) -> ArchiveError {
        StoreError { call: "put", place: "here".to_owned(), kind, message: "no".to_owned() }.into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_shard_waits_from_its_first_failure_until_it_is_written_or_let_go() {
        let meter = Meter::default();
        assert_eq!(meter.read(), Reading::default());
        meter.failed("a", &error(StoreErrorKind::Denied));
        tokio::time::advance(Duration::from_secs(3)).await;
        meter.failed("a", &error(StoreErrorKind::Full));
        meter.failed("b", &ArchiveError::NotOwner);
        let reading = meter.read();
        assert_eq!(reading.failures, [0, 1, 1, 0, 1]);
        let seconds = |n| Duration::from_secs(n);
        assert_eq!(reading.waiting, BTreeMap::from([("a".to_owned(), seconds(3)), ("b".to_owned(), seconds(0))]));
        meter.let_go("a");
        assert_eq!(meter.read().waiting.len(), 1);
    }
}
