//! The pure core of DIAL: what an event is, which rules match it, and what a finding says.
//!
//! Data flows one way: bytes are decoded ([`decode`]) into [`event::Event`]s or [`dead_letter::DeadLetter`]s, a
//! [`ruleset::RuleSet`] turns an event into matches, and each match into a [`finding::Finding`]. Nothing here reads a
//! clock, a file or the environment.

pub mod actor;
pub mod dead_letter;
pub mod decode;
pub mod event;
mod fields;
pub mod finding;
mod frame;
mod index;
mod json;
mod members;
pub mod pack;
mod resync;
pub mod rule;
pub mod rule_test;
pub mod ruleset;
pub mod severity;
mod sigma;
mod texts;
