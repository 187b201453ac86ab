//! The windows of correlations: matches, kept by correlation, group and event time until nothing can need them.
//!
//! The port is [`WindowStore`](store::WindowStore): matches are appended to it, then read consistently, then evaluated,
//! so that whoever comes last sees all. Three implementations keep the same promises: [`memory`] for tests, [`sqlite`]
//! for a laptop and for scans, [`dynamodb`] for production. [`failing`] wraps any of them and injects failures.
//!
//! To a store a match is an opaque text with a time and a key. What a window means is decided in `dial-rules`; when a
//! window is worth evaluating again is decided by [`due`].

pub mod due;
pub mod dynamodb;
pub mod failing;
mod keys;
pub mod memory;
pub mod retention;
mod settle;
pub mod sqlite;
pub mod store;
