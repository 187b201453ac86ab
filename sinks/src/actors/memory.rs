//! [`MemoryActorStore`]: ancestries in memory, gone with the process.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dial_rules::event::Millis;
use dial_rules::lineage::{Ancestry, Link, ancestries};

use super::row::{KEPT, Row, step};
use super::{ActorError, ActorStore, Learned};

/// How often rows whose time is over are looked for, in milliseconds.
const SWEEP: Millis = 3_600_000;

/// Ancestries in memory, for tests and for scans.
#[derive(Debug)]
pub struct MemoryActorStore {
    rows: Mutex<Rows>,
    kept: Duration,
}

#[derive(Debug, Default)]
struct Rows {
    by_credential: BTreeMap<String, Row>,
    swept: Millis,
}

impl Default for MemoryActorStore {
    fn default() -> Self {
        Self { rows: Mutex::default(), kept: KEPT }
    }
}

impl MemoryActorStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps rows for so long after their last write, instead of [`KEPT`].
    #[must_use]
    pub fn keeping(self, kept: Duration) -> Self {
        Self { kept, ..self }
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        // Poisoned rows are whole all the same: each insert is one step.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ActorStore for MemoryActorStore {
    async fn learn(&self, links: Vec<Link>, now: Millis) -> Result<Learned, ActorError> {
        let mut learned = Learned::default();
        let mut rows = self.lock();
        if now.saturating_sub(rows.swept) >= SWEEP {
            rows.by_credential.retain(|_, row| row.expires > now.div_euclid(1000));
            rows.swept = now;
        }
        for (credential, update) in ancestries(links) {
            match step(rows.by_credential.get(&credential), update, now, self.kept) {
                Some(row) => {
                    rows.by_credential.insert(credential, row);
                    learned.written += 1;
                }
                None => learned.unchanged += 1,
            }
        }
        Ok(learned)
    }

    async fn known(&self, credentials: &BTreeSet<String>) -> Result<HashMap<String, Ancestry>, ActorError> {
        let rows = self.lock();
        let row =
            |credential: &String| Some((credential.clone(), rows.by_credential.get(credential)?.ancestry.clone()));
        Ok(credentials.iter().filter_map(row).collect())
    }
}
