//! What goes between a worker and the services: requests, answers, and the worker's end of the line.

use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use async_trait::async_trait;
use dial_ingest::lease::{Lease, LeaseChange};
use dial_ingest::stream::{GetRecords, IteratorStart, ShardPage};
use dial_ingest::{Declaration, ErrorKind, LeaseStore, PortError, Position, StreamClient};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// A call of one of the ports, or a write of a processor to where its effects are kept.
#[derive(Clone, Debug)]
pub enum Request {
    ListShards(Option<String>),
    Iterator(String, IteratorStart),
    Records(String, u32),
    CreateTable,
    Scan,
    Get(String),
    Create(Lease),
    Update(Lease, LeaseChange),
    Delete(Lease),
    Effect { shard: String, effect: Effect },
}

/// What a processor makes durable. Records are told apart by their number, which is unique in the stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Idempotent: doing it twice is as good as once.
    Rows(Vec<u64>),
    /// Put if there is none of this name.
    File { name: String, rows: Vec<u64> },
}

#[derive(Clone, Debug)]
pub enum Answer {
    Shards(ShardPage),
    Iterator(String),
    Records(GetRecords),
    Done,
    Leases(Vec<Lease>),
    Lease(Box<Option<Lease>>),
    Created(bool),
    Updated(Box<Lease>),
}

pub type Reply = Result<Answer, PortError>;

impl Request {
    /// The call, as the service names it.
    pub fn call(&self) -> &'static str {
        match self {
            Self::ListShards(_) => "ListShards",
            Self::Iterator(..) => "GetShardIterator",
            Self::Records(..) => "GetRecords",
            Self::CreateTable => "CreateTable",
            Self::Scan => "Scan",
            Self::Get(_) => "GetItem",
            Self::Create(_) => "PutItem",
            Self::Update(..) => "UpdateItem",
            Self::Delete(_) => "DeleteItem",
            Self::Effect { .. } => "Effect",
        }
    }

    /// Whether it changes the lease table.
    pub fn is_lease_write(&self) -> bool {
        matches!(self, Self::Create(_) | Self::Update(..) | Self::Delete(_))
    }

    /// The shard whose lease must be held for it.
    pub fn needs_lease(&self) -> Option<&str> {
        match self {
            Self::Update(_, LeaseChange::Take { .. }) => None,
            Self::Update(lease, _) => Some(&lease.lease_key),
            Self::Effect { shard, .. } => Some(shard),
            _ => None,
        }
    }
}

/// What a processor says about itself. A run is one processor from its start to its end.
#[derive(Clone, Debug)]
pub enum Note {
    Started {
        run: u64,
        shard: String,
        checkpoint: Position,
        declaration: Option<Declaration>,
    },
    /// A batch was handed over for the first time.
    Delivered {
        run: u64,
        rows: Vec<u64>,
    },
    Lost {
        run: u64,
    },
    Ended {
        run: u64,
    },
    Shutdown {
        run: u64,
    },
}

/// Something that left a worker, with the time on the worker's clock.
pub struct Posted {
    pub at: Instant,
    pub what: Message,
}

pub enum Message {
    Note(Note),
    Call(Request, oneshot::Sender<Reply>),
}

/// The worker's end of all its lines.
#[derive(Default)]
pub struct Outbox {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    posted: Vec<Posted>,
    /// Who waits for a call to be posted.
    waker: Option<Waker>,
}

impl Outbox {
    fn post(&self, what: Message) {
        let mut state = self.state.lock().unwrap();
        if let (Message::Call(..), Some(waker)) = (&what, state.waker.take()) {
            waker.wake();
        }
        state.posted.push(Posted { at: Instant::now(), what });
    }

    pub fn note(&self, note: Note) {
        self.post(Message::Note(note));
    }

    pub async fn call(&self, request: Request) -> Reply {
        let call = request.call();
        let (sender, receiver) = oneshot::channel();
        self.post(Message::Call(request, sender));
        receiver.await.unwrap_or_else(|_| Err(PortError::new(call, ErrorKind::Unavailable, "connection closed")))
    }

    pub async fn effect(&self, shard: &str, effect: Effect) -> Result<(), PortError> {
        self.call(Request::Effect { shard: shard.into(), effect }).await.map(drop)
    }

    /// Whether a call was posted; if not, `waker` is woken once one is.
    pub fn has_call(&self, waker: &Waker) -> bool {
        let mut state = self.state.lock().unwrap();
        let has = state.posted.iter().any(|posted| matches!(posted.what, Message::Call(..)));
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

/// How far a clock reads from its origin.
pub fn reading(origin: Instant, at: Instant) -> Duration {
    at.saturating_duration_since(origin)
}

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
