//! One suite of promises, kept by every actor store: in memory, in SQLite, in DynamoDB; and what all of it is for: the lineage
//! of every event is a function of the set of events.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod dynamodb;
mod function_of_events;
mod memory;
mod remembering;
mod sqlite;
mod suite;
mod world;
