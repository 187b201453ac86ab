//! A day as it is being told: what happened so far, and the numbers that decide what happens next.

use serde_json::Value;

use super::caller::Caller;
use super::envelope::{self, Call, SimulatedEvent};
use super::random::Random;

/// Seconds of an hour, for times of day.
pub(crate) const HOUR: i64 = 3600;
/// Seconds of a day.
pub(crate) const DAY: i64 = 24 * HOUR;

/// Collects a day's events. Times are given in seconds since the day's start.
#[derive(Debug)]
pub(crate) struct Timeline {
    /// Decides everything that is left to chance.
    pub(crate) random: Random,
    start: i64,
    events: Vec<SimulatedEvent>,
}

impl Timeline {
    /// An empty day that begins at `start`, in seconds of the Unix epoch.
    pub(crate) fn new(random: Random, start: i64) -> Self {
        Self { random, start, events: Vec::new() }
    }

    /// `time` as seconds of the Unix epoch.
    pub(crate) fn epoch(&self, time: i64) -> i64 {
        self.start + time
    }

    /// Any second of the day.
    pub(crate) fn any_time(&mut self) -> i64 {
        self.random.between(0, DAY - 1)
    }

    /// A second of the working day, around noon rather than at its ends.
    pub(crate) fn office_time(&mut self) -> i64 {
        let hours = 10 * HOUR;
        7 * HOUR + (self.random.between(0, hours) + self.random.between(0, hours)) / 2
    }

    /// `caller` makes `call`. What would fall outside the day is left out.
    pub(crate) fn call(&mut self, time: i64, caller: &Caller, call: &Call) {
        if (0..DAY).contains(&time) {
            let at = self.epoch(time);
            self.events.push(envelope::api_call(&mut self.random, at, caller, call));
        }
    }

    /// `caller` signs in to the console.
    pub(crate) fn sign_in(&mut self, time: i64, caller: &Caller, call: &Call) {
        if (0..DAY).contains(&time) {
            let at = self.epoch(time);
            self.events.push(envelope::sign_in(&mut self.random, at, caller, call));
        }
    }

    /// GuardDuty reports `finding`.
    pub(crate) fn guardduty(&mut self, time: i64, account: &str, region: &str, finding: Value) {
        if (0..DAY).contains(&time) {
            let at = self.epoch(time);
            self.events.push(envelope::guardduty(&mut self.random, at, account, region, finding));
        }
    }

    /// The events told, in the order they were told.
    pub(crate) fn into_events(self) -> Vec<SimulatedEvent> {
        self.events
    }
}
