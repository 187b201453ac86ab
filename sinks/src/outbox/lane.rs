//! [`Lane`]: the alerts that this worker knows to be due at one sink, each by its time. Bounded; what does not fit is found
//! by a sweep.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dial_rules::event::Millis;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::health::Health;
use super::pace::millis;
use crate::archive::FindingArchive;
use crate::circuit::Circuit;
use crate::sink::{Growth, SendError, Sink};

/// Most alerts that a lane knows.
pub(crate) const MOST_KNOWN: usize = 1_000;
/// How many alerts of a sink are delivered at the same time.
const TASKS: usize = 4;
/// How soon a sink that somebody is probing is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The alerts that this worker knows to be due at one sink.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) destination: Destination,
    state: Mutex<State>,
    wake: Notify,
}

/// Where a lane leads.
#[derive(Debug)]
pub(crate) enum Destination {
    /// To people and machines, as messages.
    Sink(Arc<dyn Sink>),
    /// To the archive, as rows.
    Archive(Arc<dyn FindingArchive>),
}

#[derive(Debug, Default)]
struct State {
    /// Since when whatever is known or offered counts as due.
    hurried: Option<Millis>,
    /// By time.
    queue: BTreeSet<(Millis, String)>,
    /// The same by key.
    times: BTreeMap<String, Millis>,
    /// What is being looked at, and whether to look again afterwards.
    busy: BTreeMap<String, Option<Millis>>,
    circuit: Circuit<SendError>,
    health: Health,
}

impl State {
    fn insert(&mut self, at: Millis, key: String) -> bool {
        if let Some(known) = self.times.get(&key).copied() {
            if known <= at {
                return true;
            }
            self.queue.remove(&(known, key.clone()));
        } else if self.queue.len() >= MOST_KNOWN {
            // The latest makes room for what is due earlier.
            match self.queue.last() {
                Some((latest, _)) if *latest > at => {}
                _ => return false,
            }
            if let Some((_, dropped)) = self.queue.pop_last() {
                self.times.remove(&dropped);
            }
        }
        self.times.insert(key.clone(), at);
        self.queue.insert((at, key))
    }
}

/// What there is to do.
pub(crate) enum Turn {
    /// This alert is due.
    Now(String),
    /// Nothing before this time.
    Later(Option<Millis>),
}

impl Lane {
    pub(crate) fn new(destination: Destination) -> Lane {
        Lane { destination, state: Mutex::default(), wake: Notify::new() }
    }

    /// What becomes of what follows the first finding of an alert.
    pub(crate) fn growth(&self) -> Growth {
        match &self.destination {
            Destination::Sink(sink) => sink.growth(),
            Destination::Archive(_) => Growth::Batches,
        }
    }

    /// How many deliveries are made at the same time. A batch is held in memory whole: one is enough.
    pub(crate) fn tasks(&self) -> usize {
        match &self.destination {
            Destination::Sink(_) => TASKS,
            Destination::Archive(_) => 1,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An alert is due at this time. `false` when there is no room for it.
    pub(crate) fn offer(&self, key: String, at: Millis) -> bool {
        let mut state = self.state();
        if let Some(again) = state.busy.get_mut(&key) {
            *again = Some(again.map_or(at, |known| known.min(at)));
            return true;
        }
        let at = state.hurried.map_or(at, |hurried| hurried.min(at));
        let is_taken = state.insert(at, key);
        drop(state);
        self.wake.notify_one();
        is_taken
    }

    /// What is known here is due now, and what is offered from now on at once: whether that is so, its row says.
    pub(crate) fn hurry(&self, now: Millis) {
        let mut state = self.state();
        state.hurried = Some(now);
        state.times.values_mut().for_each(|at| *at = now.min(*at));
        state.queue = state.times.iter().map(|(key, at)| (*at, key.clone())).collect();
        drop(state);
        self.wake.notify_one();
    }

    /// The earliest that is due, for whoever asks: [`Lane::finish`] must follow. While the sink is left alone, or somebody
    /// probes it, what is due waits.
    pub(crate) fn take(&self, now: Millis) -> Turn {
        let mut state = self.state();
        let Some((at, key)) = state.queue.first().cloned() else { return Turn::Later(None) };
        if at > now {
            return Turn::Later(Some(at));
        }
        if state.circuit.ask(Instant::now()).is_err() {
            let wait = state.circuit.wait(Instant::now()).max(LOOK_AGAIN);
            return Turn::Later(Some(now.saturating_add(millis(wait))));
        }
        state.queue.remove(&(at, key.clone()));
        state.times.remove(&key);
        state.busy.insert(key.clone(), None);
        drop(state);
        // Whoever waits beside us may find another one.
        self.wake.notify_one();
        Turn::Now(key)
    }

    /// The alert was looked at, and is due again at this time.
    pub(crate) fn finish(&self, key: String, due: Option<Millis>) {
        let mut state = self.state();
        let again = state.busy.remove(&key).flatten();
        if let Some(at) = [again, due].into_iter().flatten().min() {
            state.insert(at, key);
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Until somebody offers something.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// What the sink said to an attempt, `repeated` if it was not the first one.
    pub(crate) fn report(&self, outcome: &Result<(), SendError>, repeated: bool, now: Millis, chance: f64) {
        let mut state = self.state();
        state.health.repeated += u64::from(repeated);
        match outcome {
            Ok(()) => {
                state.health.delivered += 1;
                state.circuit.succeeded();
            }
            Err(error) => {
                state.health.failed += 1;
                state.health.last_error = Some((now, error.to_string().chars().take(500).collect()));
                match error {
                    // It is well; the message is not.
                    SendError::Rejected(_) => state.circuit.succeeded(),
                    _ => state.circuit.failed(error.clone(), Instant::now(), chance),
                }
            }
        }
    }

    /// Whoever was let in did not send anything.
    pub(crate) fn withdrew(&self) {
        self.state().circuit.withdrew();
    }

    pub(crate) fn gave_up(&self) {
        self.state().health.given_up += 1;
    }

    /// Whether what is due there waits: the sink is left alone, or the lane is full.
    pub(crate) fn is_stuck(&self) -> bool {
        let state = self.state();
        state.circuit.is_open() || state.queue.len() >= MOST_KNOWN
    }

    pub(crate) fn health(&self, now: Millis) -> Health {
        let state = self.state();
        let due = || state.queue.iter().take_while(|(at, _)| *at <= now);
        Health {
            backlog: due().count() + state.busy.len(),
            oldest: due().next().map(|(at, _)| *at),
            is_left_alone: state.circuit.is_open(),
            ..state.health.clone()
        }
    }
}
