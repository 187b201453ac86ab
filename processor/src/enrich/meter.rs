//! [`Meter`]: what a cache in front of a source has done since the start.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::source::Fault;

/// Counters of one source.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    hits: AtomicU64,
    misses: AtomicU64,
    unasked: AtomicU64,
    loads: AtomicU64,
    load_micros: AtomicU64,
    longest_micros: AtomicU64,
    faults: [AtomicU64; Fault::KINDS.len()],
}

/// A source and its cache at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Reading {
    /// The part of the context that it gives.
    pub(crate) part: &'static str,
    /// Keys that the cache had an answer to.
    pub(crate) hits: u64,
    /// Keys that it had none to.
    pub(crate) misses: u64,
    /// Of those, keys that the source was not asked about: it had failed, or too many were under way.
    pub(crate) unasked: u64,
    /// Times that the source was asked and has answered or failed.
    pub(crate) loads: u64,
    /// How long that took in all.
    pub(crate) load_time: Duration,
    /// How long the longest took.
    pub(crate) longest_load: Duration,
    /// Failures, in the order of [`Fault::KINDS`].
    pub(crate) faults: [u64; Fault::KINDS.len()],
    /// Whether it is left alone after failures.
    pub(crate) open: bool,
    /// Answers in the cache.
    pub(crate) entries: u64,
    /// About how many bytes they take.
    pub(crate) weight: u64,
}

impl Meter {
    pub(crate) fn looked_up(&self, hits: usize, misses: usize) {
        self.hits.fetch_add(hits as u64, Relaxed);
        self.misses.fetch_add(misses as u64, Relaxed);
    }

    pub(crate) fn unasked(&self, keys: usize) {
        self.unasked.fetch_add(keys as u64, Relaxed);
    }

    pub(crate) fn loaded(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.loads.fetch_add(1, Relaxed);
        self.load_micros.fetch_add(micros, Relaxed);
        self.longest_micros.fetch_max(micros, Relaxed);
    }

    pub(crate) fn failed(&self, fault: &Fault) {
        if let Some(count) = self.faults.get(fault.kind()) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// The counters as they are; what only the cache knows is left at its default.
    pub(crate) fn read(&self, part: &'static str) -> Reading {
        Reading {
            part,
            hits: self.hits.load(Relaxed),
            misses: self.misses.load(Relaxed),
            unasked: self.unasked.load(Relaxed),
            loads: self.loads.load(Relaxed),
            load_time: Duration::from_micros(self.load_micros.load(Relaxed)),
            longest_load: Duration::from_micros(self.longest_micros.load(Relaxed)),
            faults: std::array::from_fn(|kind| self.faults[kind].load(Relaxed)),
            ..Reading::default()
        }
    }
}
