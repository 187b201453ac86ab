//! Questions to the archive in SQL: to Athena over S3, or, with the feature `sql`, to DataFusion over a folder.
//!
//! A question is a [`Statement`](statement::Statement), which only reads. What it costs to ask Athena without saying of
//! which days is decided by [`bound`]. Either way rows come page by page, as [`Cell`](cell::Cell)s.

pub mod athena;
pub mod bound;
pub mod cell;
mod dialect;
#[cfg(feature = "sql")]
pub mod local;
pub mod statement;
