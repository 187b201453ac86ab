//! When to ask again, and when no more. Pure.

use std::time::Duration;

use super::service::{Execution, ServiceError, State};

/// The first wait.
const SHORTEST: Duration = Duration::from_millis(250);
/// No wait is longer.
const LONGEST: Duration = Duration::from_secs(5);
/// After so many failures in a row of one call it is given up: some 40 seconds.
const MOST_FAILURES: u32 = 10;

/// What to do after a call.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<T> {
    /// Call again after so long.
    Wait(Duration),
    /// This is it.
    Done(T),
    /// It will not work.
    GiveUp(ServiceError),
}

/// The waits between calls: doubling, and jittered over their upper half, so that many who ask at once spread.
#[derive(Debug)]
pub struct Pace {
    seed: u64,
    waits: u32,
    failures: u32,
}

impl Pace {
    /// With the luck of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Pace {
        Pace { seed, waits: 0, failures: 0 }
    }

    /// After a look at a query that was started.
    pub fn looked(&mut self, answer: Result<Execution, ServiceError>) -> Next<Execution> {
        match answer {
            Ok(execution) if matches!(execution.state, State::Queued | State::Running) => {
                self.failures = 0;
                Next::Wait(self.wait())
            }
            other => self.called(other),
        }
    }

    /// After a call that works or fails.
    pub fn called<T>(&mut self, answer: Result<T, ServiceError>) -> Next<T> {
        match answer {
            Ok(answer) => {
                (self.waits, self.failures) = (0, 0);
                Next::Done(answer)
            }
            Err(error) if error.is_retryable() && self.failures + 1 < MOST_FAILURES => {
                self.failures += 1;
                Next::Wait(self.wait())
            }
            Err(error) => Next::GiveUp(error),
        }
    }

    fn wait(&mut self) -> Duration {
        let whole = LONGEST.min(SHORTEST * (1 << self.waits.min(10)));
        self.waits += 1;
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // 0 to 2^16 - 1, of the bits that look random.
        let luck = u32::try_from(self.seed >> 48).unwrap_or_default();
        whole / 2 + (whole / 2) * luck / (1 << 16)
    }
}
