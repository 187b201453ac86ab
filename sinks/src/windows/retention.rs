//! [`Retention`]: how long the items of a window are kept. Pure.

use dial_rules::event::Millis;

const DAY: Millis = 24 * 60 * 60 * 1_000;

/// How late an event can be, of which depends how long its company has to be kept.
///
/// An item of event time *t* is needed by matches up to one timespan away, and by those whose evaluation reaches one
/// timespan further. Such a match may come as late as the allowed lateness, and then wait in the stream for as long as
/// this retains records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// How late an event may be and still take part, in milliseconds.
    pub allowed_lateness: Millis,
    /// How long the stream keeps records, in milliseconds.
    pub stream_retention: Millis,
}

impl Default for Retention {
    /// 24 hours each, as by default in DIAL and in Kinesis.
    fn default() -> Self {
        Self { allowed_lateness: DAY, stream_retention: DAY }
    }
}

impl Retention {
    /// When an item that is written at `now` expires: two timespans, the lateness and the stream's retention later.
    /// Values below zero count as zero.
    pub fn expires(&self, now: Millis, timespan: Millis) -> Millis {
        let parts = [timespan, timespan, self.allowed_lateness, self.stream_retention];
        parts.iter().fold(now, |sum, part| sum.saturating_add((*part).max(0)))
    }
}

/// Stores that delete what has expired themselves look for it this often at most.
pub(crate) const SWEEP_EVERY: Millis = 10 * 60 * 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_expire_when_nothing_can_need_them() {
        let retention = Retention { allowed_lateness: 1_000, stream_retention: 200 };
        assert_eq!(retention.expires(1_000_000, 30), 1_001_260);
        assert_eq!(Retention::default().expires(0, 600_000), 2 * DAY + 1_200_000);
        assert_eq!(Retention::default().expires(Millis::MAX - 5, 600_000), Millis::MAX);
        assert_eq!(retention.expires(7, -30), 1_207);
        let without = Retention { allowed_lateness: -5, stream_retention: -5 };
        assert_eq!(without.expires(7, 0), 7);
    }
}
