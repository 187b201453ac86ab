//! Where findings are recorded, and the destinations of their alerts.
//!
//! The port is [`FindingStore`](store::FindingStore): findings are merged into it, and from then on nothing loses them.
//! Three implementations keep the same promises: [`memory`] for tests and one-off scans, [`sqlite`] for a laptop,
//! [`dynamodb`] for production. [`failing`] wraps any of them and injects failures. [`windows`] holds a second port, with
//! as many implementations: the matches of correlations whose windows are open.
//!
//! [`actors`] keeps who is behind temporary credentials, behind a port of its own; [`archive`] is the port to where recorded
//! findings are kept for good.
//!
//! What a merge is, is decided in `dial-rules`; what an update means for a stored finding, how often a write is tried
//! again and which findings a filter lets through is decided by pure functions here. The implementations only read and
//! write.

pub mod actors;
pub mod archive;
pub mod arn;
pub mod aws_error;
mod bounds;
pub mod circuit;
pub mod destinations;
pub mod dynamodb;
pub mod failing;
mod fate;
pub mod filter;
pub mod http;
pub mod memory;
mod merge;
pub mod message;
pub mod outbox;
mod retry;
mod row;
pub mod samples;
pub mod secret;
pub mod sink;
pub mod sqlite;
pub mod store;
pub mod telling;
pub mod text;
pub mod windows;
pub mod wire;
