//! One suite of promises, kept by every window store: in memory, in SQLite, in DynamoDB.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod dynamodb;
mod items;
mod memory;
mod sqlite;
mod suite;
mod throttled;
