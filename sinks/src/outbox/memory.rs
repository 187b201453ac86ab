//! The outbox in memory.

use async_trait::async_trait;
use dial_rules::event::Millis;

use super::bounds::{check, countable, distinct, encode};
use super::store::{Due, Outbox, Owed, Queue, Row, Settled};
use crate::memory::{Contents, MemoryFindingStore};
use crate::store::StoreError;

#[async_trait]
impl Outbox for MemoryFindingStore {
    async fn due(&self, queue: Queue, now: Millis, limit: usize) -> Result<Vec<Due>, StoreError> {
        let mut contents = self.lock();
        contents.forget_expired(now);
        Ok(contents.queued(queue, now).take(limit).collect())
    }

    async fn waiting(&self, queue: Queue, limit: usize) -> Result<Vec<Due>, StoreError> {
        let contents = self.lock();
        let stays = |due: &Due| contents.rows.get(&due.key).is_none_or(|row| row.expires.is_none());
        Ok(contents.queued(queue, Millis::MAX).filter(stays).take(limit).collect())
    }

    async fn owed(&self, ids: &[String]) -> Result<Vec<Owed>, StoreError> {
        let contents = self.lock();
        Ok(distinct(ids, |_| true).iter().filter_map(|id| contents.findings.get(id).cloned()).collect())
    }

    async fn settle(&self, settled: Vec<Settled>) -> Result<Vec<bool>, StoreError> {
        let mut contents = self.lock();
        settled.into_iter().map(|settled| contents.settle(settled)).collect()
    }

    async fn rows(&self, keys: &[String]) -> Result<Vec<Row>, StoreError> {
        let contents = self.lock();
        Ok(distinct(keys, |_| true).iter().filter_map(|key| contents.rows.get(key).cloned()).collect())
    }

    async fn write(&self, row: &Row) -> Result<bool, StoreError> {
        check(row)?;
        let mut contents = self.lock();
        if contents.revision(&row.key) != row.revision {
            return Ok(false);
        }
        contents.remove(&row.key);
        let due = row.due.map(|(queue, at)| (queue, countable(at)));
        contents.due.extend(due.map(|(queue, at)| (queue, at, row.key.clone())));
        contents.expiring.extend(row.expires.map(|at| (at, row.key.clone())));
        contents.rows.insert(row.key.clone(), Row { revision: row.revision + 1, due, ..row.clone() });
        Ok(true)
    }

    async fn delete(&self, key: &str, revision: u64) -> Result<bool, StoreError> {
        let mut contents = self.lock();
        let there = revision > 0 && contents.revision(key) == revision;
        if there {
            contents.remove(key);
        }
        Ok(there)
    }
}

impl Contents {
    fn settle(&mut self, settled: Settled) -> Result<bool, StoreError> {
        encode(&settled.finding_id, &settled.progress)?;
        let Settled { finding_id, version, revision, progress, due } = settled;
        let Some(owed) = self.findings.get(&finding_id) else { return Ok(false) };
        if (owed.version, owed.revision) != (version, revision) {
            return Ok(false);
        }
        let finding = owed.finding.clone();
        self.keep(Owed { finding, version, revision: revision + 1, progress, due: due.map(countable) });
        Ok(true)
    }

    fn revision(&self, key: &str) -> u64 {
        self.rows.get(key).map_or(0, |row| row.revision)
    }

    fn remove(&mut self, key: &str) {
        let Some(row) = self.rows.remove(key) else { return };
        if let Some((queue, at)) = row.due {
            self.due.remove(&(queue, at, row.key.clone()));
        }
        if let Some(at) = row.expires {
            self.expiring.remove(&(at, row.key));
        }
    }

    /// What a queue has until `now`.
    fn queued(&self, queue: Queue, now: Millis) -> impl Iterator<Item = Due> {
        let queued = self.due.range((queue, Millis::MIN, String::new())..);
        let queued = queued.take_while(move |(of, at, _)| *of == queue && *at <= now);
        queued.map(|(_, at, key)| Due { at: *at, key: key.clone() })
    }

    fn forget_expired(&mut self, now: Millis) {
        while let Some((at, key)) = self.expiring.first().cloned() {
            if at > now {
                return;
            }
            self.remove(&key);
        }
    }
}
