//! How long to wait before trying again.
//!
//! Pure: the waiting is a function of what failed, how often, and a seed, so that a run can be repeated exactly.

use std::time::Duration;

use crate::error::ErrorKind;

/// The shortest and the longest wait for one kind of failure.
fn bounds(kind: ErrorKind) -> (Duration, Duration) {
    let millis = Duration::from_millis;
    match kind {
        // A new iterator is one call away; repeated expiry means that we are too slow, not the service.
        ErrorKind::ExpiredIterator => (millis(20), millis(1_000)),
        // A shard that was read too often is silent for up to five seconds (after an answer of 10 MB).
        ErrorKind::Throttled => (millis(250), millis(5_000)),
        ErrorKind::Unavailable | ErrorKind::Refused => (millis(100), millis(5_000)),
        // A subscription may be replaced five seconds after it was made (`SubscribeToShard`).
        ErrorKind::InUse => (millis(5_000), millis(10_000)),
        // These need a person.
        ErrorKind::NotFound | ErrorKind::Denied => (millis(1_000), millis(30_000)),
    }
}

/// The wait before attempt number `attempt` + 1, after `attempt` failures in a row (1 for the first).
///
/// Exponential with jitter over the upper half: between half of it and all of it, so that workers that failed
/// together do not return together, and none returns at once.
#[must_use]
pub fn delay(attempt: u32, kind: ErrorKind, seed: u64) -> Duration {
    let (shortest, longest) = bounds(kind);
    let doubled = shortest.saturating_mul(1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX));
    let ceiling = doubled.min(longest);
    let half = ceiling / 2;
    let spread = u64::try_from(half.as_micros()).unwrap_or(u64::MAX);
    half + Duration::from_micros(scatter(seed ^ u64::from(attempt)) % spread.saturating_add(1))
}

/// A well-mixed function of its argument (the finaliser of SplitMix64).
#[must_use]
pub(crate) fn scatter(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A seed made of words, such as a worker's and a shard's id: the 64-bit FNV-1a hash, scattered.
#[must_use]
pub(crate) fn seed_of(words: &[&str]) -> u64 {
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for byte in words.iter().flat_map(|word| word.bytes().chain([0xFF])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    }
    scatter(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KINDS: [ErrorKind; 7] = [
        ErrorKind::ExpiredIterator,
        ErrorKind::Throttled,
        ErrorKind::Unavailable,
        ErrorKind::Refused,
        ErrorKind::InUse,
        ErrorKind::NotFound,
        ErrorKind::Denied,
    ];

    proptest! {
        #[test]
        fn within_bounds_and_growing(attempt in 1u32..200, kind in 0usize..7, seed in any::<u64>()) {
            let (shortest, longest) = bounds(KINDS[kind]);
            let wait = delay(attempt, KINDS[kind], seed);
            prop_assert!(wait >= shortest / 2 && wait <= longest);
            prop_assert_eq!(wait, delay(attempt, KINDS[kind], seed));
            if attempt > 40 { prop_assert!(wait >= longest / 2); }
        }
    }

    #[test]
    fn seeds_spread_the_waits() {
        let waits: std::collections::BTreeSet<_> = (0..100).map(|seed| delay(5, ErrorKind::Throttled, seed)).collect();
        assert!(waits.len() > 90, "{}", waits.len());
        assert_ne!(seed_of(&["ab", "c"]), seed_of(&["a", "bc"]));
    }
}
