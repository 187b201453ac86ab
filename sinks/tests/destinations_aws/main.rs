//! The destinations in AWS, over ministack where AWS semantics matter, and over servers that fail.

mod cloud;
mod eventbridge;
mod failures;
mod golden;
mod hostile;
mod secrets;
mod sns;
mod sqs;
