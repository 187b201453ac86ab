//! How many events are taken a second. Pure: `now` is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// A bucket of tokens, one an event. How many events a body holds is known only once it has been read, so a body is taken
/// when the bucket is not overdrawn, and may overdraw it; whoever comes next waits until that is made up for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    per_second: f64,
    tokens: f64,
    as_of: Instant,
}

impl Rate {
    /// So many events a second, and as many at once.
    pub(super) fn new(per_second: u64, now: Instant) -> Rate {
        let per_second = f64::from(u32::try_from(per_second.max(1)).unwrap_or(u32::MAX));
        Rate { per_second, tokens: per_second, as_of: now }
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.as_of).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(self.per_second);
        self.as_of = self.as_of.max(now);
    }

    /// How long to stay away; `None` when a body may come.
    pub(super) fn wait(&mut self, now: Instant) -> Option<Duration> {
        self.refill(now);
        (self.tokens < 0.0).then(|| Duration::from_secs_f64(-self.tokens / self.per_second))
    }

    /// Counts events that were taken.
    pub(super) fn charge(&mut self, events: u64, now: Instant) {
        self.refill(now);
        self.tokens -= f64::from(u32::try_from(events).unwrap_or(u32::MAX));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Over any time, what is taken is at most what the rate gives, what may come at once, and one body.
        #[test]
        fn the_rate_holds(
            per_second in 1_u64..1_000,
            steps in prop::collection::vec((0_u64..2_000, 1_u64..300), 1..60),
        ) {
            let begin = Instant::now();
            let (mut rate, mut now, mut taken) = (Rate::new(per_second, begin), begin, 0);
            for (millis, events) in steps {
                now += Duration::from_millis(millis);
                if rate.wait(now).is_none() {
                    rate.charge(events, now);
                    taken += events;
                }
                let seconds = (now - begin).as_secs_f64();
                prop_assert!(taken as f64 <= per_second as f64 * (1.0 + seconds) + 300.0 + 1e-6);
            }
        }

        /// Who waits as long as told is let in.
        #[test]
        fn waiting_helps(per_second in 1_u64..1_000, events in 1_u64..10_000) {
            let begin = Instant::now();
            let mut rate = Rate::new(per_second, begin);
            rate.charge(events, begin);
            match rate.wait(begin) {
                None => prop_assert!(events <= per_second),
                Some(wait) => prop_assert!(rate.wait(begin + wait + Duration::from_millis(1)).is_none()),
            }
        }
    }
}
