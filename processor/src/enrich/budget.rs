//! [`Budget`]: how often a service may be asked in a minute. Pure: `now` is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// A bucket of tokens, one a question: full at first, and filled again evenly.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Budget {
    per_minute: f64,
    tokens: f64,
    filled: Instant,
}

impl Budget {
    /// So many questions a minute; that many at once after a quiet minute.
    pub(crate) fn new(per_minute: u32, now: Instant) -> Budget {
        let per_minute = f64::from(per_minute);
        Budget { per_minute, tokens: per_minute, filled: now }
    }

    /// How many of `wanted` questions may be asked now; they are spent.
    pub(crate) fn take(&mut self, wanted: usize, now: Instant) -> usize {
        let passed = now.saturating_duration_since(self.filled).min(Duration::from_secs(60));
        self.tokens = (self.tokens + passed.as_secs_f64() / 60.0 * self.per_minute).min(self.per_minute);
        self.filled = self.filled.max(now);
        // Tokens are at least 0 and at most a u32: nothing is cut off.
        let granted = wanted.min(self.tokens.floor() as usize);
        self.tokens -= granted as f64;
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_has_more_than_twice_the_budget_and_a_long_time_no_more_than_it() {
        let start = Instant::now();
        let mut budget = Budget::new(30, start);
        let granted: Vec<usize> =
            (0..6_000).map(|tenth| budget.take(7, start + Duration::from_millis(100 * tenth))).collect();
        // 600 of these are a minute.
        assert!(granted.windows(600).all(|minute| minute.iter().sum::<usize>() <= 60));
        assert!(granted[600..].windows(600).all(|minute| (29..=31).contains(&minute.iter().sum::<usize>())));
        assert_eq!(granted[..5].iter().sum::<usize>(), 30, "all of it at once after a quiet minute");
    }

    #[test]
    fn it_fills_up_to_a_minutes_worth_and_time_never_runs_back() {
        let start = Instant::now() + Duration::from_secs(1_000);
        let mut budget = Budget::new(10, start);
        assert_eq!(budget.take(100, start), 10);
        assert_eq!(budget.take(100, start - Duration::from_secs(100)), 0);
        assert_eq!(budget.take(100, start + Duration::from_secs(6)), 1);
        assert_eq!(budget.take(100, start + Duration::from_secs(3_600)), 10);
        assert_eq!(Budget::new(0, start).take(1, start + Duration::from_secs(600)), 0);
    }
}
