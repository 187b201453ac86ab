//! `[worker]`: this worker.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use dial_ingest::PrefetchBudget;
use dial_rules::fault::Fault;
use serde::{Deserialize, Serialize};

use super::positive;

/// `[worker]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Worker {
    /// Its name in the lease table, unique among those that run; the host's name and the process id unless set.
    pub(crate) id: Option<String>,
    /// After so many seconds without a sign of life a worker's shards are taken over.
    pub(crate) failover_seconds: u64,
    /// The most that a role may have read of all its shards and not yet processed, in MiB.
    pub(crate) prefetch_mib: u64,
    /// The same of one shard.
    pub(crate) shard_prefetch_mib: u64,
}

impl Default for Worker {
    fn default() -> Self {
        let mib = |bytes: usize| bytes as u64 >> 20;
        let PrefetchBudget { worker_bytes, shard_bytes, .. } = PrefetchBudget::default();
        Worker { id: None, failover_seconds: 10, prefetch_mib: mib(worker_bytes), shard_prefetch_mib: mib(shard_bytes) }
    }
}

impl Worker {
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults = positive(&[
            ("failover_seconds", self.failover_seconds),
            ("prefetch_mib", self.prefetch_mib),
            ("shard_prefetch_mib", self.shard_prefetch_mib),
        ]);
        if faults.iter().all(|fault| fault.path == "failover_seconds") {
            faults.extend(self.prefetch_fault());
        }
        faults
    }

    /// That one shard may have more than all.
    fn prefetch_fault(&self) -> Option<Fault> {
        let Worker { prefetch_mib: all, shard_prefetch_mib: one, .. } = self;
        if one <= all {
            return None;
        }
        // The one that was set is the one to name.
        if *one == Worker::default().shard_prefetch_mib {
            let wrong = format!("is {all}, less than `worker.shard_prefetch_mib`, {one}: write at most {all} there");
            return Some(Fault::new("prefetch_mib", wrong));
        }
        let wrong = format!("is {one}, more than `worker.prefetch_mib` of all shards: write at most {all}");
        Some(Fault::new("shard_prefetch_mib", wrong))
    }

    /// How much a role may read ahead.
    pub(crate) fn prefetch(&self) -> PrefetchBudget {
        let bytes = |mib: u64| usize::try_from(mib.saturating_mul(1 << 20)).unwrap_or(usize::MAX);
        PrefetchBudget {
            worker_bytes: bytes(self.prefetch_mib),
            shard_bytes: bytes(self.shard_prefetch_mib),
            ..PrefetchBudget::default()
        }
    }

    /// This worker's name: the one that is set, or one that no other worker has.
    pub(crate) fn id(&self) -> String {
        self.id.clone().unwrap_or_else(|| {
            let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            // In containers host names and process ids repeat; the time of the start does not.
            format!("{}-{}-{:x}", host.trim(), std::process::id(), started.as_millis())
        })
    }
}
