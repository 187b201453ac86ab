//! The port in memory, and a twin that fails.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use dial_ingest::resharding::{Look, StreamStatus};
use tokio::time::Instant;

use super::admin::{AdminError, AdminErrorKind, StreamAdmin, View};

/// How long a change takes.
pub(crate) const CHANGE: Duration = Duration::from_secs(30);

/// A stream that does what the API reference of `UpdateShardCount` says.
pub(crate) struct MemoryAdmin {
    state: Mutex<State>,
}

pub(crate) struct State {
    pub(crate) shards: u32,
    pub(crate) changing: Option<(u32, Instant)>,
    pub(crate) on_demand: bool,
    pub(crate) deleting: bool,
    pub(crate) room: u32,
    /// Calls that Kinesis still takes.
    pub(crate) calls: u32,
    pub(crate) asked: Vec<u32>,
    pub(crate) history: Vec<i64>,
}

impl MemoryAdmin {
    pub(crate) fn new(shards: u32) -> MemoryAdmin {
        let state = State {
            shards,
            changing: None,
            on_demand: false,
            deleting: false,
            room: 1_000,
            calls: 10,
            asked: vec![],
            history: vec![],
        };
        MemoryAdmin { state: Mutex::new(state) }
    }

    /// Looks at it, or changes it behind everybody's back.
    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap();
        if let Some((count, _)) = state.changing.filter(|(_, until)| *until <= Instant::now()) {
            (state.shards, state.changing) = (count, None);
        }
        change(&mut state)
    }
}

pub(crate) fn error(kind: AdminErrorKind, message: &str) -> AdminError {
    AdminError { call: "memory", kind, message: message.to_owned() }
}

#[async_trait]
impl StreamAdmin for MemoryAdmin {
    async fn look(&self) -> Result<View, AdminError> {
        Ok(self.with(|state| {
            let status = match state.changing {
                _ if state.deleting => StreamStatus::Deleting,
                Some(_) => StreamStatus::Changing,
                None => StreamStatus::Active,
            };
            View { look: Look { status, shards: state.shards }, on_demand: state.on_demand }
        }))
    }

    async fn update_shard_count(&self, count: u32) -> Result<(), AdminError> {
        self.with(|state| {
            if state.changing.is_some() {
                return Err(error(AdminErrorKind::Busy, "not ACTIVE"));
            }
            if count == state.shards || count > state.shards * 2 || count < state.shards.div_ceil(2) {
                return Err(error(AdminErrorKind::Denied, "more than double, or less than half"));
            }
            if state.calls == 0 {
                return Err(error(AdminErrorKind::Limit, "ten times a day"));
            }
            state.calls -= 1;
            state.asked.push(count);
            state.changing = Some((count, Instant::now() + CHANGE));
            Ok(())
        })
    }

    async fn account_room(&self) -> Result<u32, AdminError> {
        Ok(self.with(|state| state.room))
    }

    async fn history(&self) -> Result<Vec<i64>, AdminError> {
        Ok(self.with(|state| state.history.clone()))
    }

    async fn note_history(&self, times: &[i64]) -> Result<(), AdminError> {
        self.with(|state| match state.changing {
            Some(_) => Err(error(AdminErrorKind::Busy, "not ACTIVE")),
            None => {
                state.history = times.to_vec();
                Ok(())
            }
        })
    }
}

/// What becomes of one call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    None,
    Before(AdminErrorKind),
    AnswerLost,
}

/// A stream whose next calls of `look` and `update_shard_count` fail as listed.
pub(crate) struct FailingAdmin {
    pub(crate) inner: MemoryAdmin,
    pub(crate) looks: Mutex<VecDeque<Fault>>,
    pub(crate) updates: Mutex<VecDeque<Fault>>,
    /// Tags cannot be read or written.
    pub(crate) no_tags: bool,
}

impl FailingAdmin {
    pub(crate) fn new(inner: MemoryAdmin) -> FailingAdmin {
        FailingAdmin { inner, looks: Mutex::default(), updates: Mutex::default(), no_tags: false }
    }
}

async fn through<T>(
    faults: &Mutex<VecDeque<Fault>>,
    call: impl Future<Output = Result<T, AdminError>> + Send,
) -> Result<T, AdminError> {
    let fault = faults.lock().unwrap().pop_front().unwrap_or(Fault::None);
    match fault {
        Fault::None => call.await,
        Fault::Before(kind) => Err(error(kind, "injected")),
        Fault::AnswerLost => call.await.and(Err(error(AdminErrorKind::Unavailable, "injected"))),
    }
}

#[async_trait]
impl StreamAdmin for FailingAdmin {
    async fn look(&self) -> Result<View, AdminError> {
        through(&self.looks, self.inner.look()).await
    }

    async fn update_shard_count(&self, count: u32) -> Result<(), AdminError> {
        through(&self.updates, self.inner.update_shard_count(count)).await
    }

    async fn account_room(&self) -> Result<u32, AdminError> {
        self.inner.account_room().await
    }

    async fn history(&self) -> Result<Vec<i64>, AdminError> {
        match self.no_tags {
            true => Err(error(AdminErrorKind::Denied, "no ListTagsForStream")),
            false => self.inner.history().await,
        }
    }

    async fn note_history(&self, times: &[i64]) -> Result<(), AdminError> {
        self.inner.note_history(times).await
    }
}
