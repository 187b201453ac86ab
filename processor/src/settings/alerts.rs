//! `[alerts]`: which findings go where, and how repeats become one alert.

use dial_rules::fault::Fault;
use dial_rules::policy::routing::Route;
use serde::{Deserialize, Serialize};

use super::positive;

/// `[alerts]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Alerts {
    /// Repeats of a rule by one actor join the alert for so many seconds after its first finding.
    pub(crate) dedup_seconds: u64,
    /// Where a destination can change its messages, growth is told so many seconds after the last message.
    pub(crate) update_seconds: u64,
    /// Elsewhere growth is told in one digest every so many seconds.
    pub(crate) digest_seconds: u64,
    /// More alerts of one rule within a minute are one.
    pub(crate) storm_per_minute: u64,
    /// `[[alerts.route]]`: which findings go where. Without any, everything goes to every sink.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) route: Vec<Route>,
}

impl Default for Alerts {
    fn default() -> Self {
        Alerts { dedup_seconds: 3_600, update_seconds: 10, digest_seconds: 900, storm_per_minute: 5, route: Vec::new() }
    }
}

impl Alerts {
    /// What is wrong, the routes aside: those need to know the rules.
    pub(super) fn faults(&self) -> Vec<Fault> {
        positive(&[
            ("dedup_seconds", self.dedup_seconds),
            ("update_seconds", self.update_seconds),
            ("digest_seconds", self.digest_seconds),
            ("storm_per_minute", self.storm_per_minute),
        ])
    }
}
