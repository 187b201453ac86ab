//! Quiet traffic of any volume: ordinary days, and in them a share of every call that the rules watch.

use super::envelope::SimulatedEvent;
use super::random::Random;
use super::routine::{self, Run};
use super::timeline::{DAY, Timeline};
use super::traffic;

/// `count` events from `start` on (seconds of the Unix epoch), in order of time, without any attack.
///
/// Every call of the routine catalogue makes at least one in a thousand of them, as far as `count` has room for all of them
/// (from some thousand events on). The rest are ordinary days, one after another. The same arguments give the same bytes.
pub(crate) fn quiet(seed: u64, start: i64, count: usize) -> Vec<SimulatedEvent> {
    let catalogue = routine::catalogue();
    // Numbers of their own, so that the days stay the same whatever the catalogue holds.
    let mut random = Random::named(&format!("routine {seed}"));
    let mut runs = routine::deal(&catalogue, count.div_ceil(1000), &mut random);
    let mut room = count;
    runs.retain(|run| {
        let fits = run.events() <= room;
        room -= if fits { run.events() } else { 0 };
        fits
    });
    let mut events = ordinary(seed, start, room);
    // Runs begin when something else happens, so that they keep the organisation's hours.
    let moments: Vec<i64> = events.iter().map(|event| event.at - start).collect();
    for (number, run) in runs.iter().enumerate() {
        let moment = if moments.is_empty() { 0 } else { *random.pick(&moments) };
        let (day, time) = (moment.div_euclid(DAY), moment.rem_euclid(DAY).min(DAY - Run::LONGEST));
        let numbers = Random::named(&format!("routine {seed} {number}"));
        let mut timeline = Timeline::new(numbers, start + day * DAY);
        run.tell(&mut timeline, time);
        events.extend(timeline.into_events());
    }
    events.sort_by_key(|event| event.at);
    events
}

/// The first `count` events of one ordinary day after another.
fn ordinary(seed: u64, start: i64, count: usize) -> Vec<SimulatedEvent> {
    let mut events: Vec<SimulatedEvent> = Vec::new();
    for number in 0.. {
        if events.len() >= count {
            break;
        }
        let numbers = match number {
            0 => Random::new(seed),
            _ => Random::named(&format!("day {number} of {seed}")),
        };
        let mut day = Timeline::new(numbers, start + number * DAY);
        traffic::tell(&mut day);
        let mut told = day.into_events();
        told.sort_by_key(|event| event.at);
        events.append(&mut told);
    }
    events.truncate(count);
    events
}
