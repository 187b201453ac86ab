//! [`DeadAlert`]: a delivery that was given up, kept until somebody sends it again with success.

use dial_rules::event::Millis;
use serde::{Deserialize, Serialize};

use super::alert::{Alert, Delivery};
use super::bounds::readable;
use super::compose::compose;
use super::deliver::tell_findings;
use super::desk::Desk;
use super::keys::{alert_key, dead_key, delivery_of};
use super::pace::ATTEMPT;
use super::store::{Outbox, Queue, Row};
use crate::sink::{SendError, Sink};
use crate::store::StoreError;

/// A delivery that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadAlert {
    /// The sink's name.
    pub sink: String,
    /// The alert as it was then, with nothing but this delivery.
    pub alert: Alert,
    /// The delivery: its key, its findings, and what it failed with.
    pub delivery: Delivery,
    /// When it was given up.
    pub given_up: Millis,
}

/// What came of sending a dead alert again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redriven {
    /// It arrived, and is off the list.
    Delivered,
    /// None of its findings is there any longer: there was nothing to say, and it is off the list.
    Empty,
    /// It stays on the list.
    Failed(SendError),
    /// It is not on the list.
    Unknown,
}

impl DeadAlert {
    /// The dead letter of what an alert is sending.
    pub(crate) fn of(mut alert: Alert, now: Millis) -> Option<DeadAlert> {
        let mut delivery = alert.sending.take()?;
        delivery.claim = None;
        alert.waiting.clear();
        Some(DeadAlert { sink: alert.sink.clone(), alert, delivery, given_up: now })
    }

    /// Keeps it. Keeping it twice changes nothing.
    pub(crate) async fn keep(&self, store: &dyn Outbox) -> Result<(), StoreError> {
        let key = dead_key(&self.delivery.key);
        let body = serde_json::to_string(self).map_err(|error| damaged(&key, &error))?;
        let due = Some((Queue::Dead, self.given_up));
        store.write(&Row { key, body, revision: 0, due, expires: None }).await?;
        Ok(())
    }

    /// The delivery with this key arrived after all.
    pub(crate) async fn forget(store: &dyn Outbox, key: &str) -> Result<(), StoreError> {
        let key = dead_key(key);
        if let Some(row) = store.rows(std::slice::from_ref(&key)).await?.pop() {
            store.delete(&key, row.revision).await?;
        }
        Ok(())
    }

    /// Those that were given up first, up to `limit` of them. One that cannot be read is logged and left out.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list(store: &dyn Outbox, limit: usize) -> Result<Vec<DeadAlert>, StoreError> {
        let keys: Vec<String> = DeadAlert::keys(store, limit).await?.into_iter().map(|(_, key)| key).collect();
        let mut dead = DeadAlert::read(store, &keys).await?;
        dead.sort_by(|a, b| (a.given_up, &a.delivery.key).cmp(&(b.given_up, &b.delivery.key)));
        Ok(dead)
    }

    /// When the first of them were given up, up to `limit` of them, and the keys of their deliveries: in that order. May be a
    /// second behind.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn keys(store: &dyn Outbox, limit: usize) -> Result<Vec<(Millis, String)>, StoreError> {
        let due = store.waiting(Queue::Dead, limit).await?;
        Ok(due.into_iter().filter_map(|due| Some((due.at, delivery_of(&due.key)?.to_owned()))).collect())
    }

    /// Those with these deliveries' keys, in the order asked for. Those that are not there are left out, and so is one that
    /// cannot be read, which is logged: it holds up no other.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn read(store: &dyn Outbox, keys: &[String]) -> Result<Vec<DeadAlert>, StoreError> {
        let mut dead = Vec::new();
        for some in keys.chunks(25) {
            let rows: Vec<String> = some.iter().map(|key| dead_key(key)).collect();
            dead.extend(store.rows(&rows).await?.iter().filter_map(|row| readable(parse(row))));
        }
        Ok(dead)
    }

    /// The one with this delivery's key.
    ///
    /// # Errors
    /// When the store cannot be read, or the row makes no sense.
    pub async fn get(store: &dyn Outbox, key: &str) -> Result<Option<DeadAlert>, StoreError> {
        let row = store.rows(&[dead_key(key)]).await?.pop();
        row.as_ref().map(parse).transpose()
    }

    /// Sends the one with this delivery's key again, under the same key. It leaves the list only when it arrived.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn redrive(
        store: &dyn Outbox,
        desk: &dyn Desk,
        sink: &dyn Sink,
        key: &str,
        now: Millis,
    ) -> Result<Redriven, StoreError> {
        let Some(dead) = DeadAlert::get(store, key).await? else { return Ok(Redriven::Unknown) };
        let Some(message) = compose(store, desk, &dead.alert, &dead.delivery).await? else {
            DeadAlert::forget(store, key).await?;
            return Ok(Redriven::Empty);
        };
        let sending = sink.send(&message, dead.alert.handle.as_ref());
        if let Err(error) = tokio::time::timeout(ATTEMPT, sending).await.unwrap_or(Err(SendError::Slow)) {
            return Ok(Redriven::Failed(error));
        }
        let alert = alert_key(&dead.sink, &dead.alert.group);
        if let Err(error) = tell_findings(store, &alert, &dead.sink, &dead.delivery.findings, now).await {
            tracing::debug!(%error, "findings do not say yet that they were alerted");
        }
        DeadAlert::forget(store, key).await?;
        Ok(Redriven::Delivered)
    }
}

fn parse(row: &Row) -> Result<DeadAlert, StoreError> {
    serde_json::from_str(&row.body).map_err(|error| damaged(&row.key, &error))
}

fn damaged(key: &str, error: &serde_json::Error) -> StoreError {
    StoreError::Damaged { finding_id: key.to_owned(), reason: error.to_string() }
}
