//! What goes between a worker and the services: requests and answers.

use dial_ingest::lease::{Lease, LeaseChange};
use dial_ingest::stream::{GetRecords, IteratorStart, ShardPage};
use dial_ingest::{Declaration, PortError, Position};

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
}
