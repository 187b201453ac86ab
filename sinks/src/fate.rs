//! What becomes of a call to a store that fails on purpose.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::failing::FailureRates;

/// What becomes of a call.
pub(crate) enum Fate {
    Succeed,
    FailBefore,
    FailHalfway,
    FailAfter,
}

/// A sequence of fates that depends on the seed alone.
#[derive(Debug)]
pub(crate) struct Fates {
    rates: FailureRates,
    state: Mutex<u64>,
    injected: AtomicU64,
}

impl Fates {
    pub(crate) fn new(rates: FailureRates, seed: u64) -> Self {
        Self { rates, state: Mutex::new(seed), injected: AtomicU64::new(0) }
    }

    /// How many failures have been worded so far.
    pub(crate) fn injected(&self) -> u64 {
        self.injected.load(Ordering::Relaxed)
    }

    /// A number from 0 up to 1, by the SplitMix64 generator.
    pub(crate) fn chance(&self) -> f64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from(u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or(0)) / 4_294_967_296.0
    }

    pub(crate) fn next(&self) -> Fate {
        let FailureRates { before, halfway, after } = self.rates;
        match self.chance() {
            x if x < before => Fate::FailBefore,
            x if x < before + halfway => Fate::FailHalfway,
            x if x < before + halfway + after => Fate::FailAfter,
            _ => Fate::Succeed,
        }
    }

    /// What to say of the next failure.
    pub(crate) fn failure(&self, when: &str) -> String {
        let count = self.injected.fetch_add(1, Ordering::Relaxed) + 1;
        format!("injected failure {count}, {when} the call")
    }
}
