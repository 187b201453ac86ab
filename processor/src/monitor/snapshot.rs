//! What is known of a worker at one moment, and whether that is well.

use std::time::Duration;

use dial_ingest::health::{Unfit, WorkerHealth};
use dial_ingest::progress::WorkerProgress;
use dial_rules::policy::Status;
use tokio::time::Instant;

use super::alerts;
use crate::archiver::meter;
use crate::correlator::Correlated;
use crate::door;
use crate::enrich::meter::Reading;

/// A loop that has not read its lease table for so many failover times, and for [`STUCK_AT_LEAST`], is taken for stuck.
const STUCK_FAILOVERS: u32 = 10;
const STUCK_AT_LEAST: Duration = Duration::from_secs(300);

/// A worker at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) worker_id: String,
    /// When the worker was started.
    pub(crate) started: Instant,
    /// The same, in seconds since the Unix epoch.
    pub(crate) started_epoch: f64,
    pub(crate) now: Instant,
    /// Whether it was told to stop.
    pub(crate) stopping: bool,
    pub(crate) roles: Vec<RoleSnapshot>,
    pub(crate) done: Done,
    /// Sources of context.
    pub(crate) sources: Vec<Reading>,
    /// The door by which events are posted, where there is one.
    pub(crate) door: Option<door::meter::Reading>,
    /// The outbox, where findings are recorded.
    pub(crate) alerts: Option<alerts::Reading>,
    /// The archive role, where this worker has it.
    pub(crate) archive: Option<meter::Reading>,
}

/// One role of it.
#[derive(Debug, Clone)]
pub(crate) struct RoleSnapshot {
    pub(crate) name: &'static str,
    pub(crate) health: WorkerHealth,
    pub(crate) progress: WorkerProgress,
}

/// What the detect role has done since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) events: u64,
    pub(crate) dead_letters: u64,
    pub(crate) new_findings: u64,
    /// New findings by status, in the order of [`Status::ALL`].
    pub(crate) by_status: [u64; Status::ALL.len()],
    pub(crate) links: u64,
    /// Rows that the archive keeps on another day than their event says.
    pub(crate) clamped: u64,
    /// How much of what batches lead to is under way.
    pub(crate) waiting: u64,
    pub(crate) correlation: Correlated,
}

impl Snapshot {
    /// Why no work should be expected of it, one line a reason; nothing when it is ready.
    pub(crate) fn unready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.stopping {
            reasons.push("it is stopping".to_owned());
        }
        for role in &self.roles {
            let unfit = role.health.unfit(self.now);
            reasons.extend(unfit.iter().map(|unfit| format!("{}: {}", role.name, words(unfit))));
        }
        reasons
    }

    /// Why it should be ended and started again, one line a reason: loops that do not turn any more.
    ///
    /// A lease table that is out of reach looks the same, and starting again would not help then; so this waits long.
    pub(crate) fn stuck(&self) -> Vec<String> {
        let stuck = |role: &RoleSnapshot| {
            let last = role.health.table.map_or(self.started, |table| table.read);
            let ago = self.now.saturating_duration_since(last);
            let longest = (role.health.failover * STUCK_FAILOVERS).max(STUCK_AT_LEAST);
            (ago > longest).then(|| format!("{}: the lease table was not read for {} s", role.name, ago.as_secs()))
        };
        self.roles.iter().filter_map(stuck).collect()
    }
}

/// The reason, with times as people write them.
fn words(unfit: &Unfit) -> String {
    match unfit {
        Unfit::TableStale(ago) => format!("the lease table was last read {:.1} s ago", ago.as_secs_f64()),
        Unfit::RenewalOverdue { shard_id, ago } => {
            format!("the lease of {shard_id} was last renewed {:.1} s ago", ago.as_secs_f64())
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use dial_ingest::Position;
    use dial_ingest::health::{Processed, TableView};
    use dial_ingest::progress::ShardProgress;
    use dial_sinks::outbox::health::Health;

    use super::*;

    /// A worker with two roles: detect holds a shard and has had another, archive has just started.
    pub(crate) fn snapshot() -> Snapshot {
        let started = Instant::now();
        let now = started + Duration::from_secs(1_000);
        let shard = |n: u32| -> Arc<str> { format!("shardId-{n:012}").into() };
        let progress = ShardProgress {
            delivered: Position::new("12".parse().unwrap(), 0),
            checkpoint: Position::new("11".parse().unwrap(), 0),
            millis_behind_latest: Some(1_250),
            answered: now - Duration::from_millis(750),
            records: 20,
            bytes: 2_000,
            empty_polls: 0,
        };
        let detect = WorkerHealth {
            failover: Duration::from_secs(10),
            table: Some(TableView { read: now - Duration::from_secs(2), leases: 8, expired: 1, workers: 3 }),
            held: BTreeMap::from([(shard(1), now - Duration::from_millis(2_500))]),
            leases_taken: 3,
            leases_lost: 1,
            processed: BTreeMap::from([
                (shard(0), Processed { records: 5, bytes: 500 }),
                (shard(1), Processed { records: 20, bytes: 2_000 }),
            ]),
        };
        let archive = WorkerHealth {
            failover: Duration::from_secs(10),
            table: None,
            held: BTreeMap::new(),
            leases_taken: 0,
            leases_lost: 0,
            processed: BTreeMap::new(),
        };
        let roles = vec![
            RoleSnapshot { name: "detect", health: detect, progress: BTreeMap::from([(shard(1), progress)]) },
            RoleSnapshot { name: "archive", health: archive, progress: BTreeMap::new() },
        ];
        let done = Done {
            events: 30,
            dead_letters: 2,
            new_findings: 4,
            by_status: [2, 1, 0, 1, 0],
            links: 7,
            clamped: 1,
            waiting: 3,
            correlation: Correlated {
                filed: 40,
                missing: 8,
                left_out: 1,
                late: 2,
                evaluated: 25,
                items_read: 90,
                new_findings: 1,
            },
        };
        let worker_id = "host-1".to_owned();
        let reputation = Reading {
            part: "reputation",
            hits: 90,
            misses: 10,
            unasked: 2,
            loads: 8,
            load_time: Duration::from_millis(1_500),
            longest_load: Duration::from_millis(700),
            faults: [1, 0, 2, 0, 0, 3],
            open: true,
            entries: 6,
            weight: 2_048,
        };
        let soc = Health {
            backlog: 3,
            oldest: Some(1_777_600_000_000),
            delivered: 40,
            failed: 6,
            repeated: 5,
            given_up: 1,
            last_error: Some((1_777_600_001_000, "it is out of reach".to_owned())),
            is_left_alone: true,
        };
        let siem = Health { delivered: 44, ..Health::default() };
        let alerts = alerts::Reading {
            sinks: BTreeMap::from([("soc".to_owned(), soc), ("siem".to_owned(), siem)]),
            dropped: 2,
            now: 1_777_600_012_500,
        };
        let archive_reading = meter::Reading {
            files: 12,
            rows: 3_000,
            dead_letters: 2,
            bytes: 640_000,
            failures: [0, 3, 0, 1, 0],
            waiting: BTreeMap::from([("shardId-000000000001".to_owned(), Duration::from_millis(42_500))]),
        };
        Snapshot {
            worker_id,
            started,
            started_epoch: 1.7e9,
            now,
            stopping: false,
            roles,
            done,
            sources: vec![reputation],
            door: None,
            alerts: Some(alerts),
            archive: Some(archive_reading),
        }
    }

    #[test]
    fn it_is_ready_when_every_role_is_fit_and_nobody_stops_it() {
        let mut snapshot = snapshot();
        assert_eq!(snapshot.unready(), ["archive: the lease table has not been read yet"]);
        snapshot.roles[1].health.table = snapshot.roles[0].health.table;
        assert_eq!(snapshot.unready(), [""; 0]);
        snapshot.now += Duration::from_secs(5);
        let late = "detect: the lease of shardId-000000000001 was last renewed 7.5 s ago";
        assert_eq!(snapshot.unready(), [late]);
        snapshot.stopping = true;
        assert_eq!(snapshot.unready(), ["it is stopping", late]);
    }

    #[test]
    fn a_loop_is_stuck_when_it_has_not_turned_for_long() {
        let mut snapshot = snapshot();
        // Never, since a start 1,000 s ago.
        assert_eq!(snapshot.stuck(), ["archive: the lease table was not read for 1000 s"]);
        snapshot.started = snapshot.now - STUCK_AT_LEAST;
        assert_eq!(snapshot.stuck(), [""; 0]);
        snapshot.now += STUCK_AT_LEAST;
        assert_eq!(snapshot.stuck().len(), 2);
        snapshot.roles.iter_mut().for_each(|role| role.health.failover = Duration::from_secs(120));
        assert_eq!(snapshot.stuck(), [""; 0], "long failover times are waited for");
    }
}
