//! [`Health`]: how a sink is doing, as this worker sees it.

use dial_rules::event::Millis;
use serde::Serialize;

/// How a sink is doing, as this worker sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Alerts that are due there, as far as this worker knows: a sweep sees 1,000 of all sinks.
    pub backlog: usize,
    /// Since when the oldest of them is due.
    pub oldest: Option<Millis>,
    /// Deliveries that were confirmed since the start.
    pub delivered: u64,
    /// Attempts that failed since the start.
    pub failed: u64,
    /// Attempts since the start at deliveries that had been attempted before: each may be a duplicate there.
    pub repeated: u64,
    /// Deliveries that were given up since the start.
    pub given_up: u64,
    /// Why the last failed attempt failed, and when.
    pub last_error: Option<(Millis, String)>,
    /// Whether it is left alone for now, since it failed.
    pub is_left_alone: bool,
}
