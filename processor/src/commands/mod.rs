//! The commands, one file each.

pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod findings;
pub(crate) mod rule_fields;
pub(crate) mod rules;
pub(crate) mod run;
pub(crate) mod scan;
