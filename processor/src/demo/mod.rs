//! A simulated organisation: one day of plausible traffic in four accounts, and an attack hidden in it.
//!
//! Pure: a seed and a first second determine every byte. Nothing here knows the rules; it is an input like any other.

mod caller;
mod envelope;
mod loot;
mod machines;
mod monitoring;
mod organisation;
mod people;
mod pipelines;
mod quiet;
mod random;
mod routine;
mod story;
mod timeline;
mod traffic;

pub(crate) use envelope::SimulatedEvent;
pub(crate) use organisation::ACCOUNTS;
pub(crate) use quiet::quiet;

use random::Random;
use timeline::Timeline;

/// One day from `start` on (seconds of the Unix epoch), in order of time.
///
/// Some twenty thousand events, each a record of some 1.3 kB in its EventBridge envelope. The office hours of the organisation are
/// counted from `start`, so that a start at midnight UTC makes the day plausible. The same arguments give the same bytes.
pub(crate) fn day(seed: u64, start: i64) -> Vec<SimulatedEvent> {
    let mut quiet = Timeline::new(Random::new(seed), start);
    traffic::tell(&mut quiet);
    // The story has numbers of its own, so that more or less traffic around it does not change it.
    let mut attack = Timeline::new(Random::new(!seed), start);
    story::tell(&mut attack);
    let mut events = quiet.into_events();
    events.extend(attack.into_events());
    // A stable sort: events of one second stay in the order they were told.
    events.sort_by_key(|event| event.at);
    events
}

#[cfg(test)]
mod correlation_tests;
#[cfg(test)]
mod quiet_tests;
#[cfg(test)]
mod tests;
