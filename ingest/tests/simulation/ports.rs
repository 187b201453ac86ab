//! The worker's end of the line: both ports, and what its processors write and say.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::task::Waker;

use async_trait::async_trait;
use dial_ingest::lease::{Lease, LeaseChange};
use dial_ingest::stream::{GetRecords, IteratorStart, ShardPage};
use dial_ingest::{ErrorKind, LeaseStore, PortError, StreamClient};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::wire::{Answer, Effect, Note, Reply, Request};

/// Something that left a worker, with the time on the worker's clock.
pub struct Posted {
    pub at: Instant,
    pub what: Message,
}

pub enum Message {
    Note(Note),
    Call(Box<Request>, oneshot::Sender<Reply>),
}

/// The worker's end of all its lines.
#[derive(Default)]
pub struct Outbox {
    /// Its processors fail no more for no reason.
    pub calm: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    posted: Vec<Posted>,
    /// The worker has come to its end.
    over: bool,
    /// Who waits for a call or the end.
    waker: Option<Waker>,
}

impl Outbox {
    fn post(&self, what: Message) {
        let mut state = self.state.lock().unwrap();
        if matches!(what, Message::Call(..)) {
            state.waker.take().into_iter().for_each(Waker::wake);
        }
        state.posted.push(Posted { at: Instant::now(), what });
    }

    pub fn note(&self, note: Note) {
        self.post(Message::Note(note));
    }

    pub async fn call(&self, request: Request) -> Reply {
        let call = request.call();
        let (sender, receiver) = oneshot::channel();
        self.post(Message::Call(Box::new(request), sender));
        receiver.await.unwrap_or_else(|_| Err(PortError::new(call, ErrorKind::Unavailable, "connection closed")))
    }

    pub async fn effect(&self, shard: &str, effect: Effect) -> Result<(), PortError> {
        self.call(Request::Effect { shard: shard.into(), effect }).await.map(drop)
    }

    /// The last that the worker does.
    pub fn farewell(&self) {
        let mut state = self.state.lock().unwrap();
        state.over = true;
        state.waker.take().into_iter().for_each(Waker::wake);
    }

    /// Whether a call was posted or the worker has ended; if not, `waker` is woken once that is so.
    pub fn has_news(&self, waker: &Waker) -> bool {
        let mut state = self.state.lock().unwrap();
        let has = state.over || state.posted.iter().any(|posted| matches!(posted.what, Message::Call(..)));
        if !has {
            state.waker = Some(waker.clone());
        }
        has
    }

    pub fn drain(&self) -> Vec<Posted> {
        std::mem::take(&mut self.state.lock().unwrap().posted)
    }
}

/// Both ports of one worker.
#[derive(Clone)]
pub struct Ports(pub Arc<Outbox>);

#[async_trait]
impl StreamClient for Ports {
    async fn list_shards(&self, page: Option<&str>) -> Result<ShardPage, PortError> {
        match self.0.call(Request::ListShards(page.map(Into::into))).await? {
            Answer::Shards(page) => Ok(page),
            other => unreachable!("{other:?}"),
        }
    }

    async fn get_iterator(&self, shard_id: &str, start: &IteratorStart) -> Result<String, PortError> {
        match self.0.call(Request::Iterator(shard_id.into(), start.clone())).await? {
            Answer::Iterator(iterator) => Ok(iterator),
            other => unreachable!("{other:?}"),
        }
    }

    async fn get_records(&self, iterator: &str, limit: u32) -> Result<GetRecords, PortError> {
        match self.0.call(Request::Records(iterator.into(), limit)).await? {
            Answer::Records(records) => Ok(records),
            other => unreachable!("{other:?}"),
        }
    }
}

#[async_trait]
impl LeaseStore for Ports {
    async fn create_table(&self) -> Result<(), PortError> {
        self.0.call(Request::CreateTable).await.map(drop)
    }

    async fn list(&self) -> Result<Vec<Lease>, PortError> {
        match self.0.call(Request::Scan).await? {
            Answer::Leases(leases) => Ok(leases),
            other => unreachable!("{other:?}"),
        }
    }

    async fn get(&self, lease_key: &str) -> Result<Option<Lease>, PortError> {
        match self.0.call(Request::Get(lease_key.into())).await? {
            Answer::Lease(lease) => Ok(*lease),
            other => unreachable!("{other:?}"),
        }
    }

    async fn create(&self, lease: &Lease) -> Result<bool, PortError> {
        match self.0.call(Request::Create(lease.clone())).await? {
            Answer::Created(created) => Ok(created),
            other => unreachable!("{other:?}"),
        }
    }

    async fn update(&self, lease: &Lease, change: &LeaseChange) -> Result<Lease, PortError> {
        match self.0.call(Request::Update(lease.clone(), change.clone())).await? {
            Answer::Updated(lease) => Ok(*lease),
            other => unreachable!("{other:?}"),
        }
    }

    async fn delete(&self, lease: &Lease) -> Result<(), PortError> {
        self.0.call(Request::Delete(lease.clone())).await.map(drop)
    }
}
