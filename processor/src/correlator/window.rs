//! [`Window`]: what a worker remembers of one window, so that several batches share one evaluation of it.
//!
//! Whoever has appended to a window draws a ticket. An evaluation serves all tickets that were drawn before it began,
//! since it reads after that. One that fails, or is given up, leaves its buckets to whoever comes next.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dial_rules::event::Millis;
use dial_sinks::windows::due::{Due, Evaluation, due};
use dial_sinks::windows::store::WindowKey;

/// One window.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) key: WindowKey,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The last ticket that was drawn.
    drawn: u64,
    /// The last ticket that was served.
    served: u64,
    /// Whether an evaluation is under way.
    busy: bool,
    /// The buckets that no evaluation has begun on since they were touched.
    buckets: BTreeSet<i64>,
    /// How many items were added to them.
    added: u64,
    last: Option<Evaluation>,
    /// What evaluations have added to outer windows and is not evaluated there, the last ticket of each.
    outer: Vec<Ticket>,
}

/// A claim to have a window evaluated on what was appended before.
#[derive(Debug, Clone)]
pub(super) struct Ticket {
    pub(super) window: Arc<Window>,
    number: u64,
}

/// What a ticket is good for at the moment.
#[derive(Debug)]
pub(super) enum Turn {
    /// It was served. What follows from it is in these outer windows.
    Served(Vec<Ticket>),
    /// An evaluation is under way.
    Busy,
    /// The window is large: not before this time.
    At(Millis),
    /// The window is to be evaluated by whoever holds this.
    Yours(Begun),
}

/// An evaluation that has begun. If it is dropped before its end, it is as if it had not begun.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) window: Arc<Window>,
    pub(super) buckets: BTreeSet<i64>,
    added: u64,
    number: u64,
    ended: bool,
}

impl Window {
    pub(super) fn new(key: WindowKey) -> Window {
        Window { key, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is one step: a poisoned state is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Items were appended that concern these buckets.
    pub(super) fn touch(self: &Arc<Self>, buckets: impl IntoIterator<Item = i64>, items: u64) -> Ticket {
        let mut state = self.lock();
        state.drawn += 1;
        state.buckets.extend(buckets);
        state.added = state.added.saturating_add(items);
        Ticket { window: self.clone(), number: state.drawn }
    }
}

impl Ticket {
    /// Whether this one is drawn later than the other, of the same window.
    pub(super) fn is_after(&self, other: &Ticket) -> bool {
        Arc::ptr_eq(&self.window, &other.window) && self.number > other.number
    }

    fn is_served(&self) -> bool {
        self.window.lock().served >= self.number
    }

    /// Whose turn it is. `now` is on any clock that does not go back.
    pub(super) fn turn(&self, now: Millis) -> Turn {
        let mut state = self.window.lock();
        // Inner windows are locked before outer ones, and no correlation is its own part.
        if state.served >= self.number {
            state.outer.retain(|ticket| !ticket.is_served());
            return Turn::Served(state.outer.clone());
        }
        if state.busy {
            return Turn::Busy;
        }
        if let Due::At(time) = due(state.last, state.added, now) {
            return Turn::At(time);
        }
        state.busy = true;
        Turn::Yours(Begun {
            window: self.window.clone(),
            buckets: std::mem::take(&mut state.buckets),
            added: std::mem::take(&mut state.added),
            number: state.drawn,
            ended: false,
        })
    }
}

impl Begun {
    /// All that it came to is durable, and what it added to outer windows has these tickets.
    pub(super) fn end(mut self, evaluation: Evaluation, outer: Vec<Ticket>) {
        self.ended = true;
        let mut state = self.window.lock();
        state.busy = false;
        state.served = state.served.max(self.number);
        state.last = Some(evaluation);
        state.outer.retain(|old| !old.is_served() && !outer.iter().any(|new| new.is_after(old)));
        state.outer.extend(outer);
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if !self.ended {
            let mut state = self.window.lock();
            state.busy = false;
            state.buckets.append(&mut self.buckets);
            state.added = state.added.saturating_add(self.added);
        }
    }
}
