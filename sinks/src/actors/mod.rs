//! Who is behind temporary credentials: what lineage events taught, shared by all workers.
//!
//! The port is [`ActorStore`]. Three implementations keep the same promises: [`memory`], [`sqlite`], [`dynamodb`]; [`failing`]
//! wraps any of them and injects failures, [`remembering`] keeps what was learned before from being written again. [`resolve`]
//! finds everybody behind a batch of events.

pub mod dynamodb;
pub mod failing;
pub mod memory;
pub mod remembering;
mod resolve;
mod row;
pub mod sqlite;
mod store;

pub use self::resolve::resolve;
pub use self::row::KEPT;
pub use self::store::{ActorError, ActorStore, Learned};
