//! Compaction: the many small files of a day that is over become few large ones, and no reader notices.
//!
//! The archive writes a file for each shard every few minutes. [`plan`](plan::plan) says which of them are worth being
//! merged, [`Compactor`] does it, and a [switch](crate::switch) makes the result count in one act. What is there and what
//! counts is [`visibility`](crate::visibility)'s matter; why it is right, docs/decisions/0007-compaction.md's.

pub mod compactor;
pub mod footer;
pub mod merge;
pub mod plan;

pub use compactor::{CompactError, Compactor, End, Report};

#[cfg(test)]
mod history_tests;
