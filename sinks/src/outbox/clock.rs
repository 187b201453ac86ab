//! [`Clock`]: what time it is, and chance: all that the outbox takes from outside beside its ports.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dial_rules::event::Millis;

use super::pace::millis;

/// What time it is, and chance.
#[derive(Clone)]
pub struct Clock {
    now: Arc<dyn Fn() -> Millis + Send + Sync>,
    chance: Arc<dyn Fn() -> f64 + Send + Sync>,
}

impl Clock {
    /// The clock of the machine.
    pub fn system() -> Clock {
        let now = || millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        Clock::of(now, crate::circuit::chance)
    }

    /// A clock that tells `now`, and chances from 0 to 1.
    pub fn of(
        now: impl Fn() -> Millis + Send + Sync + 'static,
        chance: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> Clock {
        Clock { now: Arc::new(now), chance: Arc::new(chance) }
    }

    /// What time it is.
    pub fn now(&self) -> Millis {
        (self.now)()
    }

    /// From 0 to 1, different each time. It spreads load and decides nothing.
    pub fn chance(&self) -> f64 {
        (self.chance)()
    }

    /// Between three quarters of a duration and five quarters.
    pub(crate) fn around(&self, duration: Duration) -> Duration {
        duration.mul_f64(0.75 + 0.5 * self.chance().clamp(0.0, 1.0))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
