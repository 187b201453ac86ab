//! The order of the steps, tried in every interleaving, with crashes between any two of them, and broken on purpose.

#![allow(clippy::unwrap_used, clippy::panic)]

pub(crate) mod gated;
mod interleaving;
pub(crate) mod scene;
mod worker;
