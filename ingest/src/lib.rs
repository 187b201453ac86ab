//! A Kinesis consumer: any number of workers share a stream's shards through a lease table, and nothing is lost.
//!
//! A [`Worker`] takes leases, reads the shards it holds, and hands their records to a [`ShardProcessor`] of yours,
//! one shard at a time in order, shards side by side. The processor says what is durable by
//! [`Checkpointer::commit`]; whoever owns the shard next, after a stop or a crash, begins right after that. The lease
//! table is the Kinesis Client Library's, attribute for attribute, so that its tools read it and either can carry on
//! from the other.
//!
//! # A small consumer
//!
//! Over the ports in memory; with the feature `aws`, `kinesis::KinesisStream` and `dynamodb::DynamoLeases` take their
//! places and nothing else changes.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//!
//! use async_trait::async_trait;
//! use dial_ingest::memory::{MemoryLeases, MemoryStream};
//! use dial_ingest::{
//!     Batch, Checkpointer, ProcessError, ProcessorFactory, ShardProcessor, ShardStart, Worker, WorkerConfig,
//! };
//! use tokio_util::sync::CancellationToken;
//!
//! /// Adds up the bytes of every record.
//! #[derive(Clone, Default)]
//! struct Total(Arc<Mutex<usize>>);
//!
//! impl ProcessorFactory for Total {
//!     fn start(&self, _shard: &ShardStart) -> Box<dyn ShardProcessor> {
//!         Box::new(self.clone())
//!     }
//! }
//!
//! #[async_trait]
//! impl ShardProcessor for Total {
//!     async fn process(&mut self, batch: &Batch, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
//!         *self.0.lock().map_err(|e| ProcessError::fatal(e.to_string()))? += batch.data_len();
//!         match batch.last_position() {
//!             Some(position) => Ok(checkpointer.commit(position).await?),
//!             None => Ok(()),
//!         }
//!     }
//!
//!     async fn shard_ended(&mut self, _: &Checkpointer) -> Result<(), ProcessError> {
//!         Ok(())
//!     }
//!
//!     async fn shutdown(&mut self, _: &Checkpointer) -> Result<(), ProcessError> {
//!         Ok(())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let stream = Arc::new(MemoryStream::new(2));
//! for n in 0..100 {
//!     stream.put(&format!("key-{n}"), "ten bytes!")?;
//! }
//! let total = Total::default();
//! let config = WorkerConfig { stop_when_drained: true, ..WorkerConfig::new("worker-1") };
//! let leases = Arc::new(MemoryLeases::default());
//! let worker = Worker::new(config, stream, leases, Arc::new(total.clone()));
//! // Cancel the token, on SIGTERM for instance, to stop a worker cleanly. This one stops when all is read.
//! worker.run(CancellationToken::new()).await?;
//! assert_eq!(*total.0.lock().unwrap(), 1_000);
//! # Ok(())
//! # }
//! ```
//!
//! # What holds
//!
//! - Every record is handed over at least once, and a checkpoint never passes one that was not. After a crash the
//!   records since the last commit come again (but for [`InitialPosition::Latest`] before the first commit).
//! - A checkpoint never moves back, and only the lease's owner moves it: every write is conditional on owner and
//!   counter, and none is begun once the lease has run out by the worker's own monotonic clock.
//! - A shard that another was split or merged into begins when all its parents have ended.
//! - A batch that fails comes again; it holds up its shard, and no other.
//! - For writes that must happen exactly once there is a checkpoint in two phases: [`Checkpointer::declare`] what is
//!   about to be written, write it, commit. The next owner is handed an open declaration before any record
//!   ([`ShardStart::open_declaration`]), and can repeat that very write.
//!
//! # How it is built
//!
//! Decisions are pure functions: what to do about leases ([`plan::plan_leases`]), whether a checkpoint may move
//! ([`checkpoint::judge_commit`]), how long to wait ([`retry::delay`], [`PollPace`]). Around them are two ports,
//! [`StreamClient`] and [`LeaseStore`], each with an implementation in [`memory`] and a twin that fails ([`failing`]).
//! Time is tokio's, so that tests run in virtual time.
//!
//! [`Producer`] puts records into a stream, over a port of its own ([`StreamWriter`]).
//!
//! Records that the Kinesis Producer Library aggregated come apart ([`kpl`]). What is read ahead is bounded
//! ([`PrefetchBudget`]); with enhanced fan-out ([`Read::FanOut`]) records are pushed. How many shards the traffic needs
//! is computed by [`scaling`].

mod budget;
pub mod checkpoint;
mod checkpointer;
mod children;
mod config;
#[cfg(feature = "aws")]
pub mod dynamodb;
mod error;
pub mod failing;
mod fan_out;
mod feed;
mod fleet;
pub mod health;
mod held;
#[cfg(feature = "aws")]
mod item;
#[cfg(feature = "aws")]
pub mod kinesis;
#[cfg(feature = "aws")]
mod kinesis_push;
#[cfg(feature = "aws")]
mod kinesis_put;
pub mod kpl;
pub mod lease;
mod lineage;
pub mod memory;
pub mod pace;
pub mod plan;
mod processor;
pub mod producer;
pub mod progress;
mod reader;
mod record;
pub mod resharding;
pub mod retry;
pub mod scaling;
#[cfg(feature = "aws")]
mod sdk_error;
pub mod sequence;
mod shard;
pub mod sharing;
pub mod sighting;
mod store;
pub mod stream;
mod unpack;
mod wire;
mod worker;

pub use budget::PrefetchBudget;
pub use checkpoint::{CheckpointError, Declaration};
pub use checkpointer::Checkpointer;
pub use config::{Read, WorkerConfig};
pub use error::{ErrorKind, PortError, ProcessError};
pub use pace::PollPace;
pub use processor::{ProcessorFactory, ShardProcessor, ShardStart};
pub use producer::{NewRecord, Producer, ProducerConfig, PutError, StreamWriter};
pub use record::{Batch, Record};
pub use sequence::{Position, SequenceNumber};
pub use store::LeaseStore;
pub use stream::{InitialPosition, StreamClient};
pub use worker::{Worker, WorkerError};
