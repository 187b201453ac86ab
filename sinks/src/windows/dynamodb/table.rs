//! The few calls that the store makes.
//!
//! They are a trait so that a test can put a table in memory in DynamoDB's place and try every order of calls.

use async_trait::async_trait;

use super::spread::{Marker, Place};
use crate::windows::store::WindowError;

/// A pack on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewPack {
    pub(super) partition: String,
    pub(super) position: String,
    pub(super) payload: String,
    pub(super) correlation: String,
    /// Seconds since 1970.
    pub(super) expires: i64,
}

/// A row as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) position: String,
    pub(super) content: Content,
}

/// What a row holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    Pack(String),
    Marker(Marker),
}

/// One answer of a query.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) rows: Vec<Row>,
    /// After which position to go on, unless this was all.
    pub(super) next: Option<String>,
}

/// A stretch of a partition, both ends included.
#[derive(Debug, Clone)]
pub(super) struct Stretch {
    pub(super) partition: String,
    pub(super) least: String,
    pub(super) greatest: String,
}

/// The calls.
#[async_trait]
pub(super) trait Table: std::fmt::Debug + Send + Sync {
    /// Writes packs, in any order; all are durable when it returns `Ok`.
    async fn put(&self, packs: Vec<NewPack>) -> Result<(), WindowError>;

    /// The next page of a stretch, by position, with everything that was durable before the call.
    async fn query(&self, stretch: &Stretch, after: Option<String>) -> Result<Page, WindowError>;

    /// The marker of a place, if it is durable before the call.
    async fn marker(&self, place: &Place) -> Result<Option<Marker>, WindowError>;

    /// Writes `marker` where still `before` is; says whether it was.
    async fn replace_marker(&self, place: &Place, before: Option<Marker>, marker: Marker) -> Result<bool, WindowError>;

    /// Waits before attempt number `attempt`; `false` when there were enough.
    async fn pause(&self, attempt: u32) -> bool;
}
