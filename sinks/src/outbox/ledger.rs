//! [`Ledger`]: alerts as rows of the outbox, changed by read-modify-write.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dial_rules::event::Millis;

use super::alert::{Alert, Group};
use super::clock::Clock;
use super::keys::alert_key;
use super::pace::{Pace, millis};
use super::store::{Outbox, Queue, Row};
use crate::retry;
use crate::sink::Growth;
use crate::store::StoreError;

/// How long an alert is kept after its window.
const KEPT: Duration = Duration::from_secs(2 * 24 * 3600);
/// How many rows are read at once: each may have 300 KB.
const AT_ONCE: usize = 25;

/// What a change comes to.
pub(crate) enum Step<T> {
    /// The alert is written.
    Write(T),
    /// It stays as it is.
    Leave(T),
}

/// Reads and writes alerts.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    pub(crate) store: Arc<dyn Outbox>,
    pub(crate) clock: Clock,
    pace: Pace,
    /// Nothing gathers any longer.
    hurried: Arc<AtomicBool>,
}

impl Ledger {
    pub(crate) fn new(store: Arc<dyn Outbox>, pace: Pace, clock: Clock) -> Ledger {
        Ledger { store, clock, pace, hurried: Arc::default() }
    }

    /// How soon what is told now.
    pub(crate) fn pace(&self) -> Pace {
        match self.is_hurried() {
            true => Pace { batch_after: Duration::ZERO, ..self.pace },
            false => self.pace,
        }
    }

    /// From now on what gathers for the archive is due at once. Says whether that is new.
    pub(crate) fn hurry(&self) -> bool {
        !self.hurried.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn is_hurried(&self) -> bool {
        self.hurried.load(Ordering::Relaxed)
    }

    /// Alerts by their keys. What cannot be read is told and left out.
    pub(crate) async fn read(&self, keys: &[String]) -> Result<BTreeMap<String, Alert>, StoreError> {
        let mut alerts = BTreeMap::new();
        for some in keys.chunks(AT_ONCE) {
            for row in self.store.rows(some).await? {
                match parse(&row) {
                    Ok(alert) => drop(alerts.insert(row.key, alert)),
                    Err(error) => tracing::warn!(%error, "an alert cannot be read"),
                }
            }
        }
        Ok(alerts)
    }

    /// Changes the alert with this key, again if somebody else changed it meanwhile. Returns what the step has, and when the
    /// alert is due then; `None` when it is not there.
    pub(crate) async fn change<T>(
        &self,
        key: &str,
        growth: Growth,
        step: impl FnMut(&mut Alert) -> Step<T>,
    ) -> Result<Option<(T, Option<Millis>)>, StoreError> {
        self.change_or(key, growth, None, step).await
    }

    /// As [`Ledger::change`], for the alert of a group at a sink, which is begun where there is none.
    pub(crate) async fn open<T>(
        &self,
        sink: &str,
        group: &Group,
        growth: Growth,
        step: impl FnMut(&mut Alert) -> Step<T>,
    ) -> Result<Option<(T, Option<Millis>)>, StoreError> {
        self.change_or(&alert_key(sink, group), growth, Some((sink, group)), step).await
    }

    async fn change_or<T>(
        &self,
        key: &str,
        growth: Growth,
        begin: Option<(&str, &Group)>,
        mut step: impl FnMut(&mut Alert) -> Step<T>,
    ) -> Result<Option<(T, Option<Millis>)>, StoreError> {
        let mut attempt = 0;
        loop {
            let row = self.store.rows(std::slice::from_ref(&key.to_owned())).await?.pop();
            let (mut alert, revision) = match (row, begin) {
                (Some(row), _) => (parse(&row)?, row.revision),
                (None, Some((sink, group))) => (Alert::new(sink, group.clone(), self.clock.now()), 0),
                (None, None) => return Ok(None),
            };
            let told = match step(&mut alert) {
                Step::Leave(told) => return Ok(Some((told, alert.due(growth, &self.pace())))),
                Step::Write(told) => told,
            };
            let row = self.row(key, &alert, revision, growth)?;
            let due = row.due.map(|(_, at)| at);
            if self.write(&row).await? {
                return Ok(Some((told, due)));
            }
            attempt += 1;
            let random = (self.clock.chance() * f64::from(u32::MAX)) as u64;
            let Some(pause) = retry::delay(attempt, random) else {
                return Err(StoreError::Contended { finding_id: key.to_owned(), attempts: attempt });
            };
            tokio::time::sleep(pause).await;
        }
    }

    fn row(&self, key: &str, alert: &Alert, revision: u64, growth: Growth) -> Result<Row, StoreError> {
        let body = serde_json::to_string(alert).map_err(|error| damaged(key, &error))?;
        let due = alert.due(growth, &self.pace());
        let over = alert.opened.saturating_add(millis(self.pace.window)).max(alert.last_sent.unwrap_or(alert.opened));
        Ok(Row {
            key: key.to_owned(),
            body,
            revision,
            due: due.map(|at| (Queue::Alerts, at)),
            expires: due.is_none().then(|| over.saturating_add(millis(KEPT))),
        })
    }

    /// Writes a row, and finds out by reading when the answer is lost.
    async fn write(&self, row: &Row) -> Result<bool, StoreError> {
        let answer = self.store.write(row).await;
        if let Ok(true) = answer {
            return answer;
        }
        let there = self.store.rows(std::slice::from_ref(&row.key)).await?.pop();
        let is_written = there.is_some_and(|there| there.revision == row.revision + 1 && there.body == row.body);
        if is_written { Ok(true) } else { answer }
    }
}

fn parse(row: &Row) -> Result<Alert, StoreError> {
    serde_json::from_str(&row.body).map_err(|error| damaged(&row.key, &error))
}

fn damaged(key: &str, error: &serde_json::Error) -> StoreError {
    StoreError::Damaged { finding_id: key.to_owned(), reason: error.to_string() }
}
