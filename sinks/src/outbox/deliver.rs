//! One alert's turn: claim, compose, send, settle, tell the findings.

use std::collections::BTreeMap;
use std::time::Duration;

use dial_rules::event::Millis;

use super::alert::{Alert, Delivery, Failed};
use super::compose::compose;
use super::courier::Shared;
use super::dead::DeadAlert;
use super::lane::Lane;
use super::ledger::Step;
use super::pace::{ATTEMPT, LEAST_ATTEMPTS, millis};
use super::store::{Outbox, Progress, Settled};
use crate::message::Message;
use crate::sink::{Handle, SendError};
use crate::store::StoreError;

/// How long reading what a message says may take.
const COMPOSING: Duration = Duration::from_secs(10);
/// How often settling is tried: the store may be away for a moment, and what is not settled is sent again.
const SETTLING: u32 = 4;
/// The pause between.
const PAUSE: Duration = Duration::from_millis(500);

/// Lets the lane's circuit know that nothing was sent, unless something was.
struct Asking<'l>(Option<&'l Lane>);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if let Some(lane) = self.0 {
            lane.withdrew();
        }
    }
}

/// What an attempt came to: `None` when there was nothing left to say.
type Attempted = Option<Result<Option<Handle>, SendError>>;

impl Shared {
    /// An alert's turn at its sink. Returns when it is due again.
    pub(crate) async fn attempt(&self, lane: &Lane, key: &str) -> Result<Option<Millis>, StoreError> {
        let mut asking = Asking(Some(lane));
        let growth = lane.sink.growth();
        let claim = |alert: &mut Alert| {
            let now = self.clock.now();
            if alert.due(growth, &self.ledger.pace).is_none_or(|due| due > now) {
                return Step::Leave(None);
            }
            match alert.claim(&self.worker, now) {
                Some(delivery) => Step::Write(Some((alert.clone(), delivery))),
                None => Step::Leave(None),
            }
        };
        let Some((claimed, due)) = self.ledger.change(key, growth, claim).await? else { return Ok(None) };
        let Some((alert, delivery)) = claimed else { return Ok(due) };
        let began = self.clock.now();
        let composing = compose(&*self.ports.store, &*self.ports.desk, &alert, &delivery);
        let Ok(composed) = tokio::time::timeout(COMPOSING, composing).await else { return Ok(due) };
        let attempted = match composed? {
            None => None,
            // Too late: somebody else may have the right soon.
            Some(_) if self.clock.now().saturating_sub(began) > millis(COMPOSING) => return Ok(due),
            Some(message) => Some(send(lane, &message, alert.handle.as_ref()).await),
        };
        if let Some(result) = &attempted {
            asking.0 = None;
            let outcome = result.as_ref().map(|_| ()).map_err(Clone::clone);
            lane.report(&outcome, delivery.attempts > 0, self.clock.now(), self.clock.chance());
        }
        self.settle_delivery(lane, key, &alert, &delivery, attempted).await
    }

    /// Writes what the attempt came to, again for a while if the store is away.
    async fn settle_delivery(
        &self,
        lane: &Lane,
        key: &str,
        alert: &Alert,
        delivery: &Delivery,
        attempted: Attempted,
    ) -> Result<Option<Millis>, StoreError> {
        let chance = self.clock.chance();
        let mut tried = 0;
        loop {
            let settled = match &attempted {
                None => self.confirm(lane, key, delivery, None).await,
                Some(Ok(handle)) => self.confirm(lane, key, delivery, handle.as_ref()).await,
                Some(Err(error)) => self.count_failure(lane, key, alert, delivery, error, chance).await,
            };
            tried += 1;
            match settled {
                Err(error) if tried < SETTLING => {
                    tracing::debug!(%error, key, "what became of an alert could not be written yet");
                    tokio::time::sleep(PAUSE * tried).await;
                }
                other => return other,
            }
        }
    }

    async fn confirm(
        &self,
        lane: &Lane,
        key: &str,
        delivery: &Delivery,
        handle: Option<&Handle>,
    ) -> Result<Option<Millis>, StoreError> {
        let now = self.clock.now();
        let confirm = |alert: &mut Alert| match alert.delivered(&delivery.key, handle.cloned(), now) {
            Some(_) => Step::Write(Some(alert.sink.clone())),
            None => Step::Leave(None),
        };
        let Some((sink, due)) = self.ledger.change(key, lane.sink.growth(), confirm).await? else { return Ok(None) };
        if let Some(sink) = sink {
            // Both are for people who look; the alert itself knows.
            if let Err(error) = tell_findings(&*self.ports.store, key, &sink, &delivery.findings, now).await {
                tracing::debug!(%error, key, "findings do not say yet that they were alerted");
            }
            if delivery.attempts >= LEAST_ATTEMPTS {
                DeadAlert::forget(&*self.ports.store, &delivery.key).await.ok();
            }
        }
        Ok(due)
    }

    async fn count_failure(
        &self,
        lane: &Lane,
        key: &str,
        alert: &Alert,
        delivery: &Delivery,
        error: &SendError,
        chance: f64,
    ) -> Result<Option<Millis>, StoreError> {
        tracing::warn!(sink = alert.sink, alert = key, attempt = delivery.attempts, %error, "an alert was not delivered");
        let (now, growth) = (self.clock.now(), lane.sink.growth());
        let fail = |alert: &mut Alert| match alert.failed(&delivery.key, &self.worker, error, now, chance) {
            Failed::Stale => Step::Leave(None),
            Failed::Again => Step::Write(None),
            Failed::GiveUp => Step::Write(Some(alert.clone())),
        };
        let Some((failed, due)) = self.ledger.change(key, growth, fail).await? else { return Ok(None) };
        let Some(dead) = failed.and_then(|alert| DeadAlert::of(alert, now)) else { return Ok(due) };
        // It is a dead letter before it leaves the alert.
        dead.keep(&*self.ports.store).await?;
        lane.gave_up();
        tracing::error!(sink = alert.sink, key = delivery.key, %error, "an alert was given up: see `dial dead-letters list`");
        let give_up = |alert: &mut Alert| {
            alert.given_up(&delivery.key);
            Step::Write(())
        };
        Ok(self.ledger.change(key, growth, give_up).await?.and_then(|(_, due)| due))
    }
}

/// One attempt, of limited length.
async fn send(lane: &Lane, message: &Message, sent: Option<&Handle>) -> Result<Option<Handle>, SendError> {
    tokio::time::timeout(ATTEMPT, lane.sink.send(message, sent)).await.unwrap_or(Err(SendError::Slow))
}

/// Writes to findings that they were told. Whatever else is written to them meanwhile comes first.
pub(crate) async fn tell_findings(
    store: &dyn Outbox,
    key: &str,
    sink: &str,
    told: &BTreeMap<String, u64>,
    now: Millis,
) -> Result<(), StoreError> {
    let ids: Vec<String> = told.keys().cloned().collect();
    for some in ids.chunks(100) {
        let mut settled = Vec::new();
        for mut owed in store.owed(some).await? {
            let Some(version) = told.get(&owed.finding.finding_id).copied() else { continue };
            let known = owed.progress.get(sink);
            if known
                .is_some_and(|known| known.version > version || known.delivered.is_some() && known.version == version)
            {
                continue;
            }
            let progress = Progress { alert: key.to_owned(), version, delivered: Some(now) };
            owed.progress.insert(sink.to_owned(), progress);
            settled.push(Settled {
                finding_id: owed.finding.finding_id,
                version: owed.version,
                revision: owed.revision,
                progress: owed.progress,
                due: owed.due,
            });
        }
        if !settled.is_empty() {
            store.settle(settled).await?;
        }
    }
    Ok(())
}
