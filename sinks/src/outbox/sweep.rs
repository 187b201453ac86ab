//! Looks through the store for what nobody has taken up: what a dead worker left, and what did not fit into memory.

use std::time::Duration;

use dial_rules::event::Millis;

use super::courier::Shared;
use super::keys::sink_of;
use super::pace::{GRACE, millis};
use super::route::AT_ONCE;
use super::store::{Due, Queue, Row};
use crate::store::StoreError;

/// How much one look reads.
const PAGE: usize = 1_000;
/// How many looks a sweep takes, while there is more.
const LOOKS: u32 = 20;
/// How much later, at most, an alert that hides others is looked at again.
const PUT_OFF: Duration = Duration::from_secs(300);

impl Shared {
    /// Routes what is owed, and hands what is due to its lane. Says whether that was all; when the store cannot be read there
    /// is no use in looking again at once.
    pub(crate) async fn sweep(&self) -> bool {
        if let Err(error) = self.sweep_alerts().await {
            tracing::warn!(%error, "due alerts cannot be read");
        }
        self.sweep_findings().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "findings whose alerts are owed cannot be read");
            true
        })
    }

    async fn sweep_findings(&self) -> Result<bool, StoreError> {
        let mut before: Vec<Due> = Vec::new();
        for _ in 0..LOOKS {
            let grace = if self.is_leaving() { millis(GRACE) } else { 0 };
            let until = self.clock.now().saturating_add(grace);
            let due = self.ports.store.due(Queue::Findings, until, PAGE).await?;
            // An index that is a second behind, or findings that cannot be routed now.
            if due == before {
                return Ok(true);
            }
            let ids: Vec<String> = due.iter().map(|due| due.key.clone()).collect();
            for some in ids.chunks(AT_ONCE) {
                self.route(some.to_vec()).await;
            }
            if due.len() < PAGE {
                return Ok(true);
            }
            before = due;
        }
        Ok(false)
    }

    async fn sweep_alerts(&self) -> Result<(), StoreError> {
        for _ in 0..LOOKS {
            let now = self.clock.now();
            let due = self.ports.store.due(Queue::Alerts, now, PAGE).await?;
            let is_full = due.len() >= PAGE;
            let mut stuck = Vec::new();
            for Due { at, key } in due {
                let Some(sink) = sink_of(&key) else { continue };
                let lane = self.lane(sink);
                let is_taken = lane.offer(key.clone(), at);
                if !is_taken || lane.is_stuck() {
                    stuck.push(key);
                }
            }
            // Those of a dead sink must not hide those of others.
            if !is_full || stuck.is_empty() {
                return Ok(());
            }
            self.put_off(&stuck, now).await?;
        }
        Ok(())
    }

    /// Lets alerts wait, at different times each. Their next change sets the right time again.
    async fn put_off(&self, keys: &[String], now: Millis) -> Result<(), StoreError> {
        for some in keys.chunks(AT_ONCE / 4) {
            for row in self.ports.store.rows(some).await? {
                let at =
                    now.saturating_add(millis(self.clock.around(PUT_OFF.mul_f64(0.1 + 0.7 * self.clock.chance()))));
                if row.due.is_some_and(|(queue, due)| queue == Queue::Alerts && due <= now) {
                    self.ports.store.write(&Row { due: Some((Queue::Alerts, at)), ..row }).await?;
                }
            }
        }
        Ok(())
    }
}
