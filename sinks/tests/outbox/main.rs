//! One suite of promises, kept by every outbox: in memory, in SQLite, in DynamoDB.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod dynamodb;
mod failing;
#[path = "../conformance/findings.rs"]
mod findings;
mod memory;
mod model;
mod operations;
mod racing;
mod refusals;
mod sqlite;
mod subject;
mod suite;
