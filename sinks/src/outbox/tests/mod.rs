//! The outbox as a whole, under a virtual clock: couriers that are killed, stores and sinks that fail.

mod alone;
mod simulation;
mod sink;
mod store;
pub(crate) mod world;
