//! The world's time, and clocks that show it more or less.

use std::time::Duration;

/// Microseconds of the world's time.
pub type Micros = u64;

pub const MILLI: Micros = 1_000;
pub const SECOND: Micros = 1_000_000;

/// How a machine's monotonic clock runs, seen from the world's.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    pub born: Micros,
    /// Too fast by so many parts in a million; negative if too slow.
    pub drift: i64,
}

impl Clock {
    fn rate(self) -> u64 {
        1_000_000_u64.saturating_add_signed(self.drift)
    }

    /// What it reads at a time of the world's.
    pub fn reads(self, at: Micros) -> Duration {
        let nanos = u128::from(at.saturating_sub(self.born)) * u128::from(self.rate()) / 1_000;
        Duration::from_nanos(u64::try_from(nanos).unwrap())
    }

    /// The world's time when it reads so.
    pub fn shown_at(self, reading: Duration) -> Micros {
        self.born + u64::try_from((reading.as_nanos() * 1_000).div_ceil(u128::from(self.rate()))).unwrap()
    }
}
