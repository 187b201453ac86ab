//! `[correlation]`: how long matches take part in correlations.

use dial_rules::event::Millis;
use dial_rules::fault::Fault;
use dial_sinks::windows::retention::Retention;
use serde::{Deserialize, Serialize};

use super::positive;

const HOUR: Millis = 3_600_000;

/// `[correlation]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Correlation {
    /// An event that reaches the stream so many hours after it happened is not correlated any more.
    pub(crate) allowed_lateness_hours: u64,
    /// How many hours the stream keeps its records: what it still has may have to be read again.
    pub(crate) stream_retention_hours: u64,
}

impl Default for Correlation {
    fn default() -> Self {
        let hours = |millis: Millis| u64::try_from(millis / HOUR).unwrap_or_default();
        let Retention { allowed_lateness, stream_retention } = Retention::default();
        Correlation { allowed_lateness_hours: hours(allowed_lateness), stream_retention_hours: hours(stream_retention) }
    }
}

impl Correlation {
    pub(super) fn faults(&self) -> Vec<Fault> {
        positive(&[
            ("allowed_lateness_hours", self.allowed_lateness_hours),
            ("stream_retention_hours", self.stream_retention_hours),
        ])
    }

    /// How late an event may be.
    pub(crate) fn allowed_lateness(&self) -> Millis {
        millis(self.allowed_lateness_hours)
    }

    /// How long windows keep matches.
    pub(crate) fn retention(&self) -> Retention {
        Retention { allowed_lateness: self.allowed_lateness(), stream_retention: millis(self.stream_retention_hours) }
    }
}

fn millis(hours: u64) -> Millis {
    Millis::try_from(hours).unwrap_or(Millis::MAX).saturating_mul(HOUR)
}
