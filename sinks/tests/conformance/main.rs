//! One suite of promises, kept by every finding store: in memory, in SQLite, in DynamoDB.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod dynamodb;
mod findings;
mod memory;
mod sqlite;
mod suite;
