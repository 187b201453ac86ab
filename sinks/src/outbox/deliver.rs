//! One alert's turn: claim, compose, send, settle, tell the findings.

use std::collections::BTreeMap;
use std::time::Duration;

use dial_rules::event::Millis;

use tokio::time::timeout;

use super::alert::{Alert, Delivery, Failed};
use super::broken::{Broken, is_broken};
use super::compose::compose;
use super::courier::Shared;
use super::dead::DeadAlert;
use super::lane::{Destination, Lane};
use super::ledger::Step;
use super::pace::{ARCHIVING, ATTEMPT, LEAST_ATTEMPTS, millis};
use super::shelve::shelve;
use super::store::{Outbox, Progress, Settled};
use crate::archive::{Archived, FindingArchive};
use crate::message::Message;
use crate::sink::{Growth, Handle, SendError, Sink};
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
        let growth = lane.growth();
        let claim = |alert: &mut Alert| {
            let now = self.clock.now();
            if alert.due(growth, &self.ledger.pace()).is_none_or(|due| due > now) {
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
        let composing = self.prepare(lane, &alert, &delivery);
        let Ok(composed) = timeout(COMPOSING, composing).await else { return Ok(due) };
        if is_broken(Broken::ConfirmsFirst) && alert.group.is_batch() {
            self.confirm(lane, key, &delivery, None).await.ok();
        }
        let attempted = match composed? {
            None => None,
            // Too late: somebody else may have the right soon.
            Some(_) if self.clock.now().saturating_sub(began) > millis(COMPOSING) => return Ok(due),
            Some(attempt) => Some(attempt.make().await),
        };
        if let Some(result) = &attempted {
            asking.0 = None;
            let outcome = result.as_ref().map(|_| ()).map_err(Clone::clone);
            lane.report(&outcome, delivery.attempts > 0, self.clock.now(), self.clock.chance());
        }
        self.settle_delivery(lane, key, &alert, &delivery, attempted).await
    }

    /// What is to be sent; `None` when none of the findings is there any longer.
    async fn prepare<'p>(
        &self,
        lane: &'p Lane,
        alert: &'p Alert,
        delivery: &'p Delivery,
    ) -> Result<Option<Attempt<'p>>, StoreError> {
        Ok(match &lane.destination {
            Destination::Sink(sink) => {
                let message = compose(&*self.ports.store, &*self.ports.desk, alert, delivery).await?;
                message.map(|message| Attempt::Message(sink.as_ref(), Box::new(message), alert.handle.as_ref()))
            }
            Destination::Archive(archive) => {
                let rows = shelve(&*self.ports.store, &*self.ports.desk, delivery).await?;
                // Neither changes while a delivery is under way.
                let since = alert.last_sent.unwrap_or(alert.opened);
                (!rows.is_empty()).then(|| Attempt::Rows(archive.as_ref(), &delivery.key, rows, since))
            }
        })
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
        let Some((sink, due)) = self.ledger.change(key, lane.growth(), confirm).await? else { return Ok(None) };
        // That it was archived, a finding is not told: that would be one write more for each.
        if let (Some(sink), Growth::Updates | Growth::Digests) = (sink, lane.growth()) {
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
        let what = if alert.group.is_batch() { "findings are not archived yet" } else { "an alert was not delivered" };
        tracing::warn!(sink = alert.sink, alert = key, attempt = delivery.attempts, %error, "{what}");
        let (now, growth) = (self.clock.now(), lane.growth());
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

/// What is about to be sent.
enum Attempt<'p> {
    Message(&'p dyn Sink, Box<Message>, Option<&'p Handle>),
    Rows(&'p dyn FindingArchive, &'p str, Vec<Archived>, Millis),
}

impl Attempt<'_> {
    /// One attempt, of limited length.
    async fn make(self) -> Result<Option<Handle>, SendError> {
        let answer = match self {
            Attempt::Message(sink, message, sent) => timeout(ATTEMPT, sink.send(&message, sent)).await,
            Attempt::Rows(archive, batch, rows, since) => {
                timeout(ARCHIVING, archive.put(batch, rows, since)).await.map(|put| put.map(|()| None))
            }
        };
        answer.unwrap_or(Err(SendError::Slow))
    }
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
