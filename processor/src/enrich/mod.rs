//! Context for findings: fetched beside the stream, cached, and named as missing when it cannot be had.

pub(crate) mod cached;
mod circuit;
pub(crate) mod meter;
pub(crate) mod source;
#[cfg(test)]
pub(crate) mod twins;
