//! What lies in the inbox: shared by the thread that writes it, the task that empties it, and whoever asks.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Segments that nothing is added to any more, oldest first, with their bytes.
    sealed: VecDeque<(u64, u64)>,
    /// Bytes of entries in the open segment.
    open: u64,
    /// Bytes in sealed segments.
    waiting: u64,
    closed: bool,
}

/// What to do next to empty the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Process this segment.
    Take(u64),
    /// Have the open segment sealed.
    Seal,
    /// Wait for a change.
    Wait,
    /// All is done, and nothing more comes.
    End,
}

impl Ledger {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that wait to be processed.
    pub(super) fn backlog(&self) -> u64 {
        let state = self.state();
        state.open + state.waiting
    }

    /// Notes bytes in the open segment.
    pub(super) fn add(&self, bytes: u64) {
        self.state().open += bytes;
        self.changed.notify_one();
    }

    /// Notes that the open segment, of this number, takes no more.
    pub(super) fn seal(&self, number: u64) {
        let mut state = self.state();
        let bytes = std::mem::take(&mut state.open);
        state.waiting += bytes;
        state.sealed.push_back((number, bytes));
        drop(state);
        self.changed.notify_one();
    }

    /// Notes a segment that was there at the start.
    pub(super) fn found(&self, number: u64, bytes: u64) {
        let mut state = self.state();
        state.waiting += bytes;
        state.sealed.push_back((number, bytes));
    }

    /// Notes that nothing more will come.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_one();
    }

    pub(super) fn next(&self) -> Next {
        let state = self.state();
        match state.sealed.front() {
            Some((number, _)) => Next::Take(*number),
            None if state.open > 0 => Next::Seal,
            None if state.closed => Next::End,
            None => Next::Wait,
        }
    }

    /// Notes that the oldest sealed segment was processed.
    pub(super) fn done(&self) {
        let mut state = self.state();
        if let Some((_, bytes)) = state.sealed.pop_front() {
            state.waiting = state.waiting.saturating_sub(bytes);
        }
    }

    /// Waits until something has changed since this was waited for last.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}
