//! [`Pace`]: how soon what is told, and the pauses after failures. Pure.

use std::time::Duration;

use dial_rules::event::Millis;

use crate::circuit::{Failure, LONGEST_BELIEVED, Pause};
use crate::sink::SendError;

/// How long other workers leave a recorded finding to the one that recorded it.
pub const GRACE: Duration = Duration::from_secs(30);
/// How long a claim lasts.
pub const CLAIM: Duration = Duration::from_secs(30);
/// How long one attempt may take.
pub const ATTEMPT: Duration = Duration::from_secs(10);
/// How long writing a batch to the archive may take: with what comes before, less than a claim lasts.
pub const ARCHIVING: Duration = Duration::from_secs(15);
/// A delivery is not given up before it has failed for so long...
pub const LEAST_TRYING: Duration = Duration::from_secs(24 * 3600);
/// ... and so often.
pub const LEAST_ATTEMPTS: u32 = 12;

/// The pause after the first failed attempt; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause, unless the sink asks for a longer one.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// How soon what is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long growth waits where the destination changes its message.
    pub update_after: Duration,
    /// How long growth waits where each message stands alone.
    pub digest_after: Duration,
    /// How long findings gather before they are written to the archive.
    pub batch_after: Duration,
    /// How long after an alert was opened a finding of its group still joins it rather than being told as something new.
    pub window: Duration,
    /// How many groups of one rule are alerted one by one in a minute.
    pub most_groups: u64,
    /// How often the store is looked through for what nobody has taken up.
    pub sweep_every: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            update_after: Duration::from_secs(10),
            digest_after: Duration::from_secs(15 * 60),
            batch_after: Duration::from_secs(5 * 60),
            window: Duration::from_secs(3600),
            most_groups: 5,
            sweep_every: Duration::from_secs(10),
        }
    }
}

/// The pause after the `attempts`-th failed attempt: doubled each time, spread by `chance` (from 0 to 1) over its second
/// half, and never shorter than what the sink said itself.
pub(crate) fn backoff(attempts: u32, error: &SendError, chance: f64) -> Duration {
    let chance = chance.clamp(0.0, 1.0);
    let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1).min(16)));
    let spread = doubled.min(LONGEST_PAUSE).mul_f64(0.5 + 0.5 * chance);
    match error.pause() {
        Pause::AtLeast(told) => told.min(LONGEST_BELIEVED).max(spread) + FIRST_PAUSE.mul_f64(chance),
        Pause::Doubling | Pause::Long => spread,
    }
}

/// A duration in the unit of times.
pub(crate) fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}
