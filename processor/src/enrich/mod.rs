//! Context for findings: fetched beside the stream, cached, and named as missing when it cannot be had.

mod budget;
pub(crate) mod cached;
pub(crate) mod enricher;
mod fetched;
pub(crate) mod http;
mod lineage;
pub(crate) mod live;
pub(crate) mod meter;
pub(crate) mod organizations;
mod parts;
pub(crate) mod reputation;
pub(crate) mod source;
#[cfg(test)]
pub(crate) mod twins;
mod watched_file;
