//! `[organizations]`: whether AWS Organizations is asked for the accounts' names, places and tags.

use std::time::Duration;

use dial_rules::fault::Fault;
use serde::{Deserialize, Serialize};

use super::positive;

/// `[organizations]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Organizations {
    /// Whether it is asked. What `[accounts]` says comes first.
    pub(crate) enabled: bool,
    /// The accounts' tag that says what they are for.
    pub(crate) environment_tag: String,
    /// Every so many minutes.
    pub(crate) refresh_minutes: u64,
}

impl Default for Organizations {
    fn default() -> Self {
        Organizations { enabled: false, environment_tag: "environment".to_owned(), refresh_minutes: 60 }
    }
}

impl Organizations {
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults = positive(&[("refresh_minutes", self.refresh_minutes)]);
        if self.environment_tag.trim().is_empty() {
            faults.push(Fault::new("environment_tag", "is empty: write the tag's name, such as `environment`"));
        }
        faults
    }

    /// How long until AWS is asked again.
    pub(crate) fn refresh(&self) -> Duration {
        Duration::from_secs(self.refresh_minutes.saturating_mul(60))
    }
}
