//! [`Question`]: one question to the source, on its own: nobody's impatience ends it.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::{Inner, Landed};
use crate::enrich::source::{Fault, Loaded, Source};
use dial_sinks::circuit::chance;

/// One question to the source.
pub(super) struct Question<S: Source> {
    pub(super) inner: Arc<Inner<S>>,
    pub(super) keys: Vec<S::Key>,
    pub(super) sender: watch::Sender<Landed<S>>,
    pub(super) landed: bool,
}

impl<S: Source> Question<S> {
    /// Asks, remembers what is answered, and tells all who wait.
    pub(super) async fn ask(mut self) {
        let begun = Instant::now();
        let give_up = begun + self.inner.policy.give_up;
        let loading = self.inner.source.load(self.keys.clone());
        let mut loaded = timeout_at(give_up, loading).await.unwrap_or_else(|_| Loaded::failed(Fault::Slow));
        // Only what was asked for: nothing else has a place in the cache.
        let asked: HashSet<&S::Key> = self.keys.iter().collect();
        loaded.answers.retain(|key, _| asked.contains(key));
        if loaded.fault.is_none() && loaded.answers.len() < asked.len() {
            loaded.fault = Some(Fault::Nonsense("it left questions out".to_owned()));
        }
        self.inner.meter.loaded(begun.elapsed());
        for (key, answer) in &loaded.answers {
            self.inner.remember(key, answer).await;
        }
        self.land(loaded);
    }

    fn land(&mut self, loaded: Loaded<S::Key, S::Value>) {
        self.landed = true;
        if let Some(fault) = &loaded.fault {
            self.inner.meter.failed(fault);
        }
        let mut state = self.inner.state();
        for key in &self.keys {
            state.under_way.remove(key);
        }
        let was_open = state.circuit.is_open();
        match &loaded.fault {
            None | Some(Fault::OverBudget | Fault::Odd(_)) => state.circuit.succeeded(),
            Some(fault) => state.circuit.failed(fault.clone(), Instant::now(), chance()),
        }
        let is_open = state.circuit.is_open();
        drop(state);
        let part = self.inner.source.part();
        match (&loaded.fault, was_open, is_open) {
            (Some(fault), false, true) => tracing::warn!(part, %fault, "context is missing from findings"),
            (_, true, false) => tracing::info!(part, "context is complete again"),
            _ => {}
        }
        self.sender.send_replace(Some(Arc::new(loaded)));
    }
}

/// A question that ended without landing, by a panic in the source perhaps, must not keep its keys for ever.
impl<S: Source> Drop for Question<S> {
    fn drop(&mut self) {
        if !self.landed {
            self.land(Loaded::failed(Fault::Unavailable("the question was dropped".to_owned())));
        }
    }
}
