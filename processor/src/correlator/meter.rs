//! [`Meter`]: what correlation has done.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// Matches that were filed, each counted in every window by what its event says itself.
    pub(crate) filed: AtomicU64,
    /// Matches that took no part in a correlation because their events lack what it groups by or counts.
    pub(crate) missing: AtomicU64,
    /// Groups that matches were left out of because their events named too many.
    pub(crate) left_out: AtomicU64,
    /// Matches of events that came too late to be correlated.
    pub(crate) late: AtomicU64,
    /// Windows that were evaluated.
    pub(crate) evaluated: AtomicU64,
    /// Items that were read for it.
    pub(crate) items_read: AtomicU64,
    /// Correlated findings that nobody had recorded before.
    pub(crate) new_findings: AtomicU64,
}

/// What a [`Meter`] says at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Correlated {
    pub(crate) filed: u64,
    pub(crate) missing: u64,
    pub(crate) left_out: u64,
    pub(crate) late: u64,
    pub(crate) evaluated: u64,
    pub(crate) items_read: u64,
    pub(crate) new_findings: u64,
}

impl Meter {
    /// Adds to a count.
    pub(crate) fn add(count: &AtomicU64, more: usize) {
        count.fetch_add(more as u64, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub(crate) fn read(&self) -> Correlated {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Correlated {
            filed: read(&self.filed),
            missing: read(&self.missing),
            left_out: read(&self.left_out),
            late: read(&self.late),
            evaluated: read(&self.evaluated),
            items_read: read(&self.items_read),
            new_findings: read(&self.new_findings),
        }
    }
}
