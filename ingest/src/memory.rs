//! The ports in memory: for tests, demonstrations and examples.
//!
//! They behave as the services do where a consumer can tell the difference: limits on reads, iterators that expire,
//! paged listings, shards that split, merge and age out, writes that are refused. Time is tokio's, so a test may
//! pause it.

mod leases;
mod shard;
mod stream;
mod subscription;

pub use leases::MemoryLeases;
pub use stream::MemoryStream;
