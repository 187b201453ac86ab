//! [`Circuit`]: when a service that failed is asked again. Pure: `now` and the chance are arguments.

use std::time::Duration;

use tokio::time::Instant;

/// The pause after the first failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The pause after a refusal, which somebody has to do something about.
const REFUSED_PAUSE: Duration = Duration::from_secs(300);
/// The longest that a service's own word on when to come back is believed.
pub(crate) const LONGEST_BELIEVED: Duration = Duration::from_secs(24 * 3600);

/// Why a service failed, as far as it decides for how long it is left alone.
pub trait Failure: Clone {
    /// How long to leave it alone.
    fn pause(&self) -> Pause;
}

/// For how long a service is left alone after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// A second, twice as long after each further failure, up to a minute.
    Doubling,
    /// Five minutes: it refuses us, and somebody has to do something about it.
    Long,
    /// Not before what it said itself.
    AtLeast(Duration),
}

/// Whether a service is left alone, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circuit<F> {
    /// Failures without a success since.
    failures: u32,
    /// The last of them, and when the service may be asked again.
    open: Option<(F, Instant)>,
    /// Somebody asks whether it is back; others wait for what comes of it.
    probing: bool,
}

impl<F> Default for Circuit<F> {
    fn default() -> Self {
        Circuit { failures: 0, open: None, probing: false }
    }
}

impl<F: Failure> Circuit<F> {
    /// Whether the service may be asked now. After failures only one asks at a time; it must report by
    /// [`Circuit::succeeded`], [`Circuit::failed`] or [`Circuit::withdrew`].
    ///
    /// # Errors
    /// Why not: what it failed with last.
    pub fn ask(&mut self, now: Instant) -> Result<(), F> {
        match &self.open {
            None => Ok(()),
            Some((fault, until)) if self.probing || now < *until => Err(fault.clone()),
            Some(_) => {
                self.probing = true;
                Ok(())
            }
        }
    }

    /// Whoever was let in did not ask after all.
    pub fn withdrew(&mut self) {
        self.probing = false;
    }

    /// The service has answered.
    pub fn succeeded(&mut self) {
        *self = Circuit::default();
    }

    /// The service has failed. `chance`, from 0 to 1, spreads the workers of a fleet over the pause's second half.
    pub fn failed(&mut self, fault: F, now: Instant, chance: f64) {
        let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(self.failures.min(16)));
        let longest = if fault.pause() == Pause::Long { REFUSED_PAUSE } else { doubled.min(LONGEST_PAUSE) };
        let spread = longest.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0));
        let pause = match fault.pause() {
            // Never sooner than it says; a little later, since everybody was told the same.
            Pause::AtLeast(told) => {
                told.min(LONGEST_BELIEVED).max(spread) + FIRST_PAUSE.mul_f64(chance.clamp(0.0, 1.0))
            }
            Pause::Doubling | Pause::Long => spread,
        };
        let until = match self.open.take() {
            // What is told while it is open never shortens the pause.
            Some((_, until)) if !self.probing => until.max(now + pause),
            _ => now + pause,
        };
        self.failures = self.failures.saturating_add(1);
        self.probing = false;
        self.open = Some((fault, until));
    }

    /// How long until it may be asked again.
    pub fn wait(&self, now: Instant) -> Duration {
        self.open.as_ref().map_or(Duration::ZERO, |(_, until)| until.saturating_duration_since(now))
    }

    /// Whether the service has failed and not answered since.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The last failure without a success since.
    pub fn failure(&self) -> Option<&F> {
        self.open.as_ref().map(|(failure, _)| failure)
    }
}

/// From 0 to 1, different for every worker and time. It spreads load and decides nothing.
pub fn chance() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    // 53 bits are what an f64 holds exactly.
    (RandomState::new().hash_one(()) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::SendError as Fault;

    fn down() -> Fault {
        Fault::Unavailable("down".to_owned())
    }

    /// How long a circuit in this state keeps the source alone, to the millisecond.
    fn pause(circuit: &Circuit<Fault>, now: Instant) -> Duration {
        let asks = |after: u64| circuit.clone().ask(now + Duration::from_millis(after)).is_ok();
        let mut range = (0_u64, 200_000_000_u64);
        while range.0 < range.1 {
            let middle = range.0.midpoint(range.1);
            if asks(middle) { range.1 = middle } else { range.0 = middle + 1 }
        }
        Duration::from_millis(range.0)
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_end_with_a_success() {
        let now = Instant::now();
        let mut circuit = Circuit::default();
        let mut seen = Vec::new();
        for _ in 0..9 {
            circuit.failed(down(), now, 1.0);
            seen.push(pause(&circuit, now).as_secs());
            let at = now + pause(&circuit, now);
            circuit.ask(at).unwrap();
        }
        assert_eq!(seen, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        circuit.succeeded();
        assert_eq!(circuit.ask(now), Ok(()));
        circuit.failed(down(), now, 1.0);
        assert_eq!(pause(&circuit, now).as_secs(), 1, "after a success it begins anew");
    }

    #[test]
    fn chance_spreads_over_the_second_half() {
        let now = Instant::now();
        for (chance, millis) in [(0.0, 500), (0.5, 750), (1.0, 1_000), (7.0, 1_000), (-1.0, 500)] {
            let mut circuit = Circuit::default();
            circuit.failed(down(), now, chance);
            assert_eq!(pause(&circuit, now).as_millis(), millis, "{chance}");
        }
    }

    #[test]
    fn one_asks_whether_it_is_back_while_the_others_wait() {
        let now = Instant::now();
        let mut circuit = Circuit::default();
        circuit.failed(down(), now, 1.0);
        assert_eq!(circuit.ask(now), Err(down()));
        let later = now + Duration::from_secs(1);
        assert_eq!((circuit.ask(later), circuit.ask(later)), (Ok(()), Err(down())));
        circuit.failed(Fault::Slow, later, 1.0);
        assert_eq!(circuit.ask(later + Duration::from_millis(1_999)), Err(Fault::Slow));
        assert_eq!(circuit.ask(later + Duration::from_secs(2)), Ok(()));
    }

    #[test]
    fn a_source_is_never_asked_sooner_than_it_said() {
        let now = Instant::now();
        for (told, least, most) in [(0, 0, 3), (30, 30, 32), (3_600, 3_600, 3_602), (u64::MAX, 86_400, 86_402)] {
            for chance in [0.0, 0.3, 1.0] {
                let mut circuit = Circuit::default();
                let retry_after = Some(Duration::from_secs(told));
                circuit.failed(Fault::Limited { retry_after }, now, chance);
                let pause = pause(&circuit, now).as_secs();
                assert!((least..=most).contains(&pause), "{told}: {pause}");
            }
        }
        let mut circuit = Circuit::default();
        circuit.failed(Fault::Limited { retry_after: Some(Duration::from_secs(600)) }, now, 0.0);
        circuit.failed(Fault::Slow, now, 0.0);
        assert_eq!(pause(&circuit, now).as_secs(), 600, "another failure meanwhile does not shorten it");
    }

    #[test]
    fn a_refusal_is_not_hammered_at() {
        let now = Instant::now();
        let mut circuit = Circuit::default();
        circuit.failed(Fault::Refused("401".to_owned()), now, 1.0);
        assert_eq!(pause(&circuit, now), REFUSED_PAUSE);
    }
}
