//! The destinations of alerts against real local servers: what they are sent, and what comes of every kind of answer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answers;
mod cards;
mod chat;
mod golden;
mod hostile;
mod inert;
mod jira;
mod limits;
mod security_hub;
mod server;
mod slack;
mod syslog;
mod thehive;
mod webhook;
