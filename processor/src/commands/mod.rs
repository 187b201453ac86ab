//! The commands, one file each.

pub(crate) mod archive;
pub(crate) mod compact;
pub(crate) mod config;
mod correlations;
pub(crate) mod coverage;
pub(crate) mod dead_letters;
pub(crate) mod demo;
pub(crate) mod explain;
mod finding;
pub(crate) mod findings;
mod incident;
pub(crate) mod patterns;
pub(crate) mod query;
pub(crate) mod rule_check;
pub(crate) mod rule_fields;
pub(crate) mod rule_new;
pub(crate) mod rule_staged;
mod rule_tests;
pub(crate) mod rules;
pub(crate) mod run;
pub(crate) mod scan;
pub(crate) mod shards;
pub(crate) mod sinks;
pub(crate) mod subscribe;
mod tail;
