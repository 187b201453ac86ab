//! The shards of one worker: which it runs, and the looks at the lease table between.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::checkpoint::CheckpointError;
use crate::error::{ErrorKind, PortError};
use crate::held::HeldLease;
use crate::lease::Lease;
use crate::plan::{self, LeaseAction, Planner, plan_leases};
use crate::retry;
use crate::shard::{Outcome, ShardRun, Surroundings};
use crate::sighting::{Sightings, workers_seen};
use crate::stream::{Shard, all_shards};
use crate::worker::WorkerError;

/// After the processors were told to let go, so long may their leases' release take.
const RELEASE_TIME: Duration = Duration::from_secs(2);

/// How often a lease that its owner keeps writing to is reached for in one look.
const STEAL_ATTEMPTS: usize = 4;

/// The leases that a worker sees, and the shards that it runs.
pub(crate) struct Fleet {
    around: Arc<Surroundings>,
    origin: Instant,
    sightings: Sightings,
    shards: Vec<Shard>,
    next_listing: Instant,
    runs: JoinSet<Outcome>,
    running: BTreeMap<String, Id>,
}

impl Fleet {
    pub(crate) fn new(around: Arc<Surroundings>) -> Self {
        let now = Instant::now();
        Self {
            around,
            origin: now,
            sightings: Sightings::default(),
            shards: Vec::new(),
            next_listing: now,
            runs: JoinSet::new(),
            running: BTreeMap::new(),
        }
    }

    pub(crate) async fn work(&mut self, shutdown: &CancellationToken) -> Result<(), WorkerError> {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            begun = self.begin() => begun.map_err(WorkerError::Start)?,
        }
        let mut next_beat = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                Some(end) = self.runs.join_next_with_id() => {
                    if self.take_end(end)? {
                        // Children may begin at once.
                        next_beat = Instant::now();
                    }
                }
                () = sleep_until(next_beat) => {
                    next_beat = Instant::now() + self.beat_interval();
                    tokio::select! {
                        biased;
                        () = shutdown.cancelled() => return Ok(()),
                        drained = self.beat() => match drained {
                            Ok(true) if self.around.config.stop_when_drained => return Ok(()),
                            Ok(_) => {}
                            Err(error) => warn!(%error, "the leases could not be looked after; trying again"),
                        }
                    }
                }
            }
        }
    }

    fn beat_interval(&self) -> Duration {
        let config = &self.around.config;
        if config.stop_when_drained { config.beat().min(config.pace.interval_after(0)) } else { config.beat() }
    }

    /// Reaches both services once, patiently, so that a wrong name or a missing permission is told at once and a
    /// short outage is not.
    async fn begin(&mut self) -> Result<(), PortError> {
        let around = self.around.clone();
        let deadline = Instant::now() + around.config.startup_patience;
        let seed = retry::seed_of(&[&around.config.worker_id, "start"]);
        for attempt in 1.. {
            let error = match timeout_at(deadline, self.reach()).await {
                Ok(Ok(())) => break,
                Ok(Err(error)) => error,
                Err(_) => PortError::new("start", ErrorKind::Unavailable, "no answer in time"),
            };
            let pause = retry::delay(attempt, error.kind, seed);
            if matches!(error.kind, ErrorKind::Denied | ErrorKind::NotFound) || Instant::now() + pause >= deadline {
                return Err(error);
            }
            warn!(%error, attempt, ?pause, "cannot start yet; trying again");
            sleep(pause).await;
        }
        Ok(())
    }

    async fn reach(&mut self) -> Result<(), PortError> {
        self.list_shards().await?;
        self.around.leases.create_table().await?;
        self.around.leases.list().await.map(drop)
    }

    async fn list_shards(&mut self) -> Result<(), PortError> {
        self.shards = within(self.around.config.failover, "ListShards", all_shards(&*self.around.stream)).await?;
        self.next_listing = Instant::now() + self.around.config.shard_sync_interval;
        Ok(())
    }

    /// Looks at shards and leases, and does what the plan says. True if there is nothing left to read.
    async fn beat(&mut self) -> Result<bool, PortError> {
        if Instant::now() >= self.next_listing {
            self.list_shards().await?;
        }
        let (actions, done) = self.look().await?;
        if self.carry_out(actions).await? {
            // What was created can be taken: a second look spares a new stream's readers the wait.
            let (actions, _) = self.look().await?;
            self.carry_out(actions).await?;
        }
        Ok(done)
    }

    /// The plan for the leases as they are now, and whether there is nothing left to read.
    async fn look(&mut self) -> Result<(Vec<LeaseAction>, bool), PortError> {
        let around = self.around.clone();
        let leases = within(around.config.failover, "Scan", around.leases.list()).await?;
        let now = self.origin.elapsed();
        let leases = self.sightings.observe(leases, now);
        around.health.table_read(&leases, now);
        let held: BTreeSet<String> = self.running.keys().cloned().collect();
        let planner = Planner {
            worker_id: &around.config.worker_id,
            held: &held,
            workers_seen: &workers_seen(&leases, around.config.failover, now),
            failover: around.config.failover,
            initial_position: around.config.initial_position,
            max_leases: around.config.max_leases,
        };
        let actions = plan_leases(&leases, &self.shards, &planner, now);
        let done = actions.is_empty() && plan::is_all_done(&leases, &self.drained(), &planner, now);
        Ok((actions, done))
    }

    fn drained(&self) -> BTreeSet<String> {
        let progress = self.around.progress.borrow();
        progress.iter().filter(|(_, page)| page.is_drained()).map(|(id, _)| id.to_string()).collect()
    }

    /// Does it in order; true if a lease was created.
    async fn carry_out(&mut self, actions: Vec<LeaseAction>) -> Result<bool, PortError> {
        let (leases, time) = (self.around.leases.clone(), self.around.config.failover);
        let mut created = false;
        for action in actions {
            debug!(?action, "lease");
            match action {
                LeaseAction::Create(lease) => created |= within(time, "PutItem", leases.create(&lease)).await?,
                LeaseAction::Take(lease) => self.take(&lease).await.map(drop)?,
                LeaseAction::Steal(lease) => self.steal(lease).await?,
                LeaseAction::Delete(lease) => match within(time, "DeleteItem", leases.delete(&lease)).await {
                    Err(error) if error.kind == ErrorKind::Refused => {}
                    done => done?,
                },
            }
        }
        Ok(created)
    }

    /// Whether no parent of the shard is at work still. Reading the table is no snapshot: it may show a child's lease
    /// that was created meanwhile, and miss the parent's, which was created before that. Asked for by its key it shows.
    async fn parents_are_done(&self, lease: &Lease) -> Result<bool, PortError> {
        let (leases, time) = (&self.around.leases, self.around.config.failover);
        for parent in lease.parent_shard_ids.iter().filter(|parent| !self.sightings.know(parent)) {
            let parent = within(time, "GetItem", leases.get(parent)).await?;
            if parent.is_some_and(|parent| !parent.is_ended()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The owner of a lease writes to it all the time, so the lease as it was planned with is often out of date. What
    /// was decided holds for its next state as well, while the owner is the same.
    async fn steal(&mut self, planned: Lease) -> Result<(), PortError> {
        let (leases, time) = (self.around.leases.clone(), self.around.config.failover);
        let mut lease = planned;
        for _ in 0..STEAL_ATTEMPTS {
            if self.take(&lease).await? {
                return Ok(());
            }
            match within(time, "GetItem", leases.get(&lease.lease_key)).await? {
                Some(now) if now.lease_owner == lease.lease_owner && !now.is_ended() => lease = now,
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    /// Takes the lease and runs its shard. False if somebody was faster, or a parent is at work still.
    async fn take(&mut self, lease: &Lease) -> Result<bool, PortError> {
        if !self.parents_are_done(lease).await? {
            return Ok(false);
        }
        let config = &self.around.config;
        let leases = self.around.leases.clone();
        match HeldLease::take(leases, lease, &config.worker_id, config.failover).await {
            Ok(held) => {
                info!(shard = %lease.lease_key, from = ?lease.lease_owner, "lease taken");
                let run = ShardRun::new(self.around.clone(), held).run();
                let id = self.runs.spawn(run).id();
                self.running.insert(lease.lease_key.clone(), id);
                Ok(true)
            }
            Err(CheckpointError::Store(error)) => Err(error),
            Err(_) => Ok(false),
        }
    }

    /// Takes note of a run that ended. True if the shard was read to its end.
    fn take_end(&mut self, end: Result<(Id, Outcome), JoinError>) -> Result<bool, WorkerError> {
        let id = end.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let shard_id = self.running.iter().find(|(_, run)| **run == id).map(|(key, _)| key.clone());
        let shard_id = shard_id.unwrap_or_default();
        self.running.remove(&shard_id);
        match end {
            Ok((_, Outcome::Failed(source))) => Err(WorkerError::Process { shard_id, source }),
            Ok((_, outcome)) => Ok(matches!(outcome, Outcome::Ended)),
            Err(error) => Err(WorkerError::Panicked { shard_id, message: error.to_string() }),
        }
    }

    /// Lets every run finish, then go, then stops waiting.
    pub(crate) async fn stop(&mut self) {
        self.around.stopping.cancel();
        let grace = self.around.config.shutdown_grace;
        if timeout(grace, self.join_all()).await.is_err() {
            warn!(?grace, "the processors did not finish in time");
            self.around.overdue.cancel();
            let released = timeout(RELEASE_TIME, self.join_all()).await;
            if released.is_err() {
                warn!("leases could not be released; they will expire");
            }
        }
        self.runs.abort_all();
    }

    async fn join_all(&mut self) {
        while let Some(end) = self.runs.join_next_with_id().await {
            if let Err(error) = self.take_end(end) {
                warn!(%error, "while stopping");
            }
        }
    }
}

/// A call that is given up after `time`: a lost answer must not hold up what comes after it.
pub(crate) async fn within<T>(
    time: Duration,
    call: &'static str,
    answer: impl Future<Output = Result<T, PortError>>,
) -> Result<T, PortError> {
    timeout(time, answer)
        .await
        .unwrap_or_else(|_| Err(PortError::new(call, ErrorKind::Unavailable, format!("no answer within {time:?}"))))
}
