//! A lease that this worker holds: every write to it goes through here, one at a time.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::checkpoint::CheckpointError;
use crate::error::{ErrorKind, PortError};
use crate::lease::{Lease, LeaseChange};
use crate::retry;
use crate::store::LeaseStore;

/// A lease and the time until which it is certainly ours.
///
/// Others wait for the failover time after they saw the counter change, which is after we *sent* the write that
/// changed it; so the time from sending is the safe side, and no write is started after it has run out.
pub(crate) struct HeldLease {
    shard_id: Arc<str>,
    worker_id: String,
    failover: Duration,
    leases: Arc<dyn LeaseStore>,
    /// Writes take turns; what the turn protects is how many earlier attempts, all conditional on the same counter,
    /// ended without an answer. At most one of them was made.
    unanswered: Mutex<u32>,
    view: watch::Sender<View>,
    lost: CancellationToken,
}

struct View {
    lease: Lease,
    valid_until: Instant,
}

/// Why one attempt failed.
enum Failure {
    /// There is no more point in trying.
    Final(CheckpointError),
    /// The next attempt may succeed.
    Passing(PortError),
}

impl HeldLease {
    /// Takes a lease, on the condition that it still is what `lease` says.
    pub(crate) async fn take(
        leases: Arc<dyn LeaseStore>,
        lease: &Lease,
        worker_id: &str,
        failover: Duration,
    ) -> Result<Self, CheckpointError> {
        let sent = Instant::now();
        let lost = || CheckpointError::LeaseLost(lease.lease_key.clone());
        let change = LeaseChange::Take { owner: worker_id.into() };
        let taken = timeout_at(sent + failover, leases.update(lease, &change)).await.map_err(|_| lost())?;
        let taken = taken.map_err(|e| if e.kind == ErrorKind::Refused { lost() } else { e.into() })?;
        Ok(Self {
            shard_id: taken.lease_key.as_str().into(),
            worker_id: worker_id.into(),
            failover,
            leases,
            unanswered: Mutex::new(0),
            view: watch::Sender::new(View { lease: taken, valid_until: sent + failover }),
            lost: CancellationToken::new(),
        })
    }

    pub(crate) fn shard_id(&self) -> &Arc<str> {
        &self.shard_id
    }

    /// The lease as we know it.
    pub(crate) fn lease(&self) -> Lease {
        self.view.borrow().lease.clone()
    }

    /// Something of the lease as we know it.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&Lease) -> T) -> T {
        at(&self.view.borrow().lease)
    }

    /// Fires when the lease is lost or given up.
    pub(crate) fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Whether it is certainly ours now.
    pub(crate) fn is_valid(&self) -> bool {
        !self.lost.is_cancelled() && Instant::now() < self.valid_until()
    }

    /// Lets `work` go on while the lease is certainly ours; `None` once it is not.
    ///
    /// Asked whenever `work` is about to go on, not only when a timer fires: a process that stood still (SIGSTOP, a
    /// paused machine) may find an answer waiting before it finds that its time has run out, and must not begin the
    /// next write on the strength of it.
    pub(crate) async fn while_valid<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let work = poll_fn(|cx| match self.is_valid() {
            true => work.as_mut().poll(cx).map(Some),
            false => Poll::Ready(None),
        });
        tokio::select! {
            biased;
            () = self.lost.cancelled() => None,
            done = work => done,
        }
    }

    fn valid_until(&self) -> Instant {
        self.view.borrow().valid_until
    }

    /// When the write that last renewed it was sent.
    pub(crate) fn renewed(&self) -> Instant {
        self.valid_until() - self.failover
    }

    fn lose(&self) -> Failure {
        self.lost.cancel();
        Failure::Final(CheckpointError::LeaseLost(self.shard_id.to_string()))
    }

    /// One attempt at the change that `decide` finds needed, given the lease as it is at this write's turn.
    async fn attempt<F>(&self, decide: &F) -> Result<(), Failure>
    where
        F: Fn(&Lease) -> Result<Option<LeaseChange>, CheckpointError>,
    {
        let mut unanswered = self.unanswered.lock().await;
        loop {
            if !self.is_valid() {
                return Err(self.lose());
            }
            let lease = self.lease();
            let Some(change) = decide(&lease).map_err(Failure::Final)? else {
                return Ok(());
            };
            let before = *unanswered;
            // Counted before it is sent: this future may be dropped while it waits for the answer.
            *unanswered += 1;
            let sent = Instant::now();
            // One lost answer must not cost the lease: there is time for another attempt.
            let patience = self.valid_until().min(sent + self.failover / 3);
            match timeout_at(patience, self.leases.update(&lease, &change)).await {
                Err(_) if !self.is_valid() => return Err(self.lose()),
                Err(_) => {
                    let silence = PortError::new("UpdateItem", ErrorKind::Unavailable, "no answer in time");
                    return Err(Failure::Passing(silence));
                }
                Ok(Ok(lease)) => {
                    *unanswered = 0;
                    self.view.send_replace(View { lease, valid_until: sent + self.failover });
                    return Ok(());
                }
                Ok(Err(error)) if error.kind == ErrorKind::Refused => {
                    *unanswered = before;
                    if before == 0 {
                        return Err(self.lose());
                    }
                    // One of the unanswered writes may have been ours and made; then the change is decided anew.
                    self.adopt(&lease).await?;
                    *unanswered = 0;
                }
                Ok(Err(error)) => {
                    if error.kind != ErrorKind::Unavailable {
                        *unanswered = before;
                    }
                    return Err(Failure::Passing(error));
                }
            }
        }
    }

    /// After a refusal that an earlier, unanswered write of ours may explain: looks at the lease, and goes on from
    /// there if it is exactly one write ahead and still ours.
    async fn adopt(&self, known: &Lease) -> Result<(), Failure> {
        let stored = match timeout_at(self.valid_until(), self.leases.get(&known.lease_key)).await {
            Err(_) => return Err(self.lose()),
            Ok(stored) => stored.map_err(Failure::Passing)?,
        };
        match stored {
            Some(lease) if lease.is_owned_by(&self.worker_id) && lease.lease_counter == known.lease_counter + 1 => {
                // When that write was made is unknown, so it does not prolong the lease.
                self.view.send_modify(|view| view.lease = lease);
                Ok(())
            }
            _ => Err(self.lose()),
        }
    }

    /// Writes until it succeeds, the lease is lost, or the table says that it never will.
    pub(crate) async fn write_patiently<F>(&self, decide: F) -> Result<(), CheckpointError>
    where
        F: Fn(&Lease) -> Result<Option<LeaseChange>, CheckpointError>,
    {
        let seed = retry::seed_of(&[&self.worker_id, &self.shard_id, "write"]);
        let mut failures = 0;
        loop {
            match self.attempt(&decide).await {
                Ok(()) => return Ok(()),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing(error)) if matches!(error.kind, ErrorKind::Denied | ErrorKind::NotFound) => {
                    return Err(error.into());
                }
                Err(Failure::Passing(error)) => {
                    failures += 1;
                    debug!(shard = %self.shard_id, %error, failures, "a lease write failed; trying again");
                    // Never so long that the lease runs out while we wait.
                    sleep(retry::delay(failures, error.kind, seed).min(self.failover / 10)).await;
                }
            }
        }
    }

    /// Renews the lease until it is lost. A checkpoint renews it as well, so a busy shard needs fewer renewals.
    pub(crate) async fn keep(self: Arc<Self>) {
        let beat = self.failover / 3;
        loop {
            let due = self.valid_until() - self.failover + beat;
            tokio::select! {
                biased;
                () = self.lost.cancelled() => return,
                () = sleep_until(due) => {}
            }
            if Instant::now() < self.valid_until() - self.failover + beat {
                continue;
            }
            match self.attempt(&|_| Ok(Some(LeaseChange::Renew))).await {
                Ok(()) => {}
                Err(Failure::Final(error)) => {
                    warn!(shard = %self.shard_id, %error, "not renewed");
                    return;
                }
                Err(Failure::Passing(error)) => {
                    warn!(shard = %self.shard_id, %error, "a renewal failed; trying again");
                    let pause = Instant::now() + self.failover / 20;
                    sleep_until(pause.min(self.valid_until())).await;
                }
            }
        }
    }

    /// Gives the lease up, so that another worker need not wait for it to expire. One attempt: expiry does it too.
    pub(crate) async fn release(&self) {
        let released = self.attempt(&|_| Ok(Some(LeaseChange::Release))).await;
        if let Err(Failure::Passing(error)) = released {
            warn!(shard = %self.shard_id, %error, "not released; it will expire");
        }
        self.lost.cancel();
    }
}

#[cfg(test)]
#[path = "held_tests.rs"]
mod tests;
