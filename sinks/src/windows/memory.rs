//! [`MemoryWindowStore`]: windows in memory, gone with the process.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use dial_rules::event::Millis;

use super::retention::{Retention, SWEEP_EVERY};
use super::settle::coalesce;
use super::store::{Addition, Appended, WindowError, WindowItem, WindowKey, WindowRange, WindowStore};

/// Windows in memory, for tests and small scans.
#[derive(Debug)]
pub struct MemoryWindowStore {
    retention: Retention,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    windows: BTreeMap<WindowKey, BTreeMap<(Millis, String), Kept>>,
    /// When expired items were last looked for.
    swept: Millis,
}

#[derive(Debug)]
struct Kept {
    body: String,
    expires: Millis,
}

impl MemoryWindowStore {
    /// An empty store.
    pub fn new(retention: Retention) -> Self {
        Self { retention, state: Mutex::default() }
    }

    /// How many items there are, of all windows.
    pub fn items(&self) -> usize {
        self.lock().windows.values().map(BTreeMap::len).sum()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned map is whole all the same: each insert is one step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn keep(&mut self, window: WindowKey, place: (Millis, String), body: String, expires: Millis) {
        match self.windows.entry(window).or_default().entry(place) {
            Entry::Vacant(place) => {
                place.insert(Kept { body, expires });
            }
            Entry::Occupied(mut place) => {
                let kept = place.get_mut();
                kept.expires = kept.expires.max(expires);
                if body < kept.body {
                    kept.body = body;
                }
            }
        }
    }

    fn sweep(&mut self, now: Millis) {
        if now.saturating_sub(self.swept) < SWEEP_EVERY {
            return;
        }
        self.swept = now;
        self.windows.retain(|_, items| {
            items.retain(|_, kept| kept.expires > now);
            !items.is_empty()
        });
    }
}

#[async_trait]
impl WindowStore for MemoryWindowStore {
    async fn append(&self, additions: Vec<Addition>, now: Millis) -> Result<Appended, WindowError> {
        let windows = coalesce(additions)?;
        let mut appended = Appended { windows: windows.len(), ..Appended::default() };
        let mut state = self.lock();
        for (window, settled) in windows {
            let expires = self.retention.expires(now, settled.timespan);
            appended.items += settled.items.len();
            for (place, body) in settled.items {
                state.keep(window.clone(), place, body, expires);
            }
        }
        appended.rows = appended.items;
        state.sweep(now);
        Ok(appended)
    }

    async fn read(&self, ranges: &[WindowRange]) -> Result<Vec<Vec<WindowItem>>, WindowError> {
        let state = self.lock();
        let read = |range: &WindowRange| match state.windows.get(&range.window) {
            Some(items) if range.from <= range.to => {
                let from = items.range((range.from, String::new())..);
                let within = from.take_while(|((time, _), _)| *time <= range.to);
                let item = |((time, key), kept): (&(Millis, String), &Kept)| WindowItem {
                    time: *time,
                    key: key.clone(),
                    body: kept.body.clone(),
                };
                within.map(item).collect()
            }
            _ => Vec::new(),
        };
        Ok(ranges.iter().map(read).collect())
    }
}
