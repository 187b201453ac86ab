//! The destinations in AWS, over ministack where AWS semantics matter, and over servers that fail.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cloud;
mod eventbridge;
mod failures;
mod golden;
mod hostile;
mod secrets;
mod sns;
mod sqs;
