//! The pure core of DIAL: what an event is, which rules match it, and what a finding says.
//!
//! Data flows one way: bytes are decoded ([`decode`]) into [`event::Event`]s or [`dead_letter::DeadLetter`]s, a
//! [`ruleset::RuleSet`] turns an event into matches, and each match into a [`finding::Finding`]. Nothing here reads a
//! clock, a file or the environment.

pub mod accounts;
pub mod actor;
pub mod addresses;
pub mod assessment;
pub mod check;
pub mod context;
pub mod correlation;
pub mod coverage;
pub mod dead_letter;
pub mod decode;
pub mod dedup;
pub mod draft;
pub mod event;
pub mod event_pattern;
pub mod explain;
pub mod facts;
pub mod fault;
mod fields;
pub mod finding;
mod frame;
pub mod incident;
mod index;
mod json;
pub mod junit;
pub mod lineage;
mod members;
mod named_fields;
pub mod nearest;
pub mod pack;
pub mod patterns;
pub mod policy;
mod requirement;
mod resync;
pub mod rule;
pub mod rule_test;
pub mod ruleset;
pub mod severity;
mod sigma;
pub mod tables;
mod texts;
