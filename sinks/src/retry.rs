//! When to try again. Pure: chance is an argument.

use std::time::Duration;

/// How often a write that others got ahead of is tried.
pub(crate) const ATTEMPTS: u32 = 24;

const FIRST: Duration = Duration::from_millis(8);
const LONGEST: Duration = Duration::from_millis(500);

/// How long to wait before attempt number `attempt` (the first retry is 1), with `random` uniform over all numbers:
/// uniform from zero to a bound that doubles each time, so that writers who collided once part ways. `None` when
/// enough has been tried.
pub(crate) fn delay(attempt: u32, random: u64) -> Option<Duration> {
    if attempt >= ATTEMPTS {
        return None;
    }
    let bound = FIRST.saturating_mul(1 << attempt.min(16)).min(LONGEST);
    let micros = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX);
    Some(Duration::from_micros(random % (micros + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_a_bound_and_end() {
        let longest = |attempt| (0..10_000).filter_map(|i| delay(attempt, i * 7_919)).max();
        assert!(longest(1) <= Some(Duration::from_millis(16)) && longest(1) > Some(Duration::from_millis(10)));
        assert!(longest(3) > longest(2) && longest(2) > longest(1));
        assert!(longest(ATTEMPTS - 1) <= Some(LONGEST));
        assert_eq!(delay(ATTEMPTS, 1), None);
        assert_eq!(delay(1, 0), Some(Duration::ZERO));
    }
}
