//! The destinations of alerts, one file each. In each a pure function makes the payload of a
//! [`Message`](crate::message::Message), and a thin shell sends it.

mod address;
mod attributes;
mod body;
pub mod eventbridge;
mod fifo;
pub mod filter_policy;
pub mod google_chat;
pub mod jira;
mod outline;
pub mod pagerduty;
mod reference;
pub mod security_hub;
pub mod slack;
pub mod sns;
pub mod sqs;
pub mod stdout;
pub mod syslog;
pub mod teams;
pub mod thehive;
pub mod webhook;

pub use self::address::Address;
