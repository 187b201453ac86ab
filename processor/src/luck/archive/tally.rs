//! [`Tally`]: what happened in all cases together.

use super::super::tally;
use super::life::Lived;

/// Counts, and the virtual seconds that it took.
#[derive(Debug, Default)]
pub(super) struct Tally {
    kept: usize,
    files: usize,
    recovered: usize,
    existed: usize,
    deaths_in_calls: usize,
    other_deaths: usize,
    stops: usize,
    reshards: usize,
    seconds: u64,
}

impl Tally {
    pub(super) fn add(&mut self, lived: &Lived) {
        self.kept += lived.archived.len();
        self.files += lived.files;
        self.recovered += lived.recovered;
        self.existed += lived.existed;
        self.deaths_in_calls += lived.ends[0];
        self.other_deaths += lived.ends[1];
        self.stops += lived.ends[2];
        self.reshards += lived.reshards;
        self.seconds += lived.took.as_secs();
    }

    /// Cases must be hard enough to mean something.
    pub(super) fn is_hard_enough(&self, cases: u64) {
        let least = |count, of_a_hundred, what| tally::least(count, of_a_hundred, what, cases);
        if cases >= 500 {
            least(self.files, 300, "files");
            least(self.recovered, 25, "open intents that were taken over");
            least(self.existed, 25, "files that were there already");
            least(self.deaths_in_calls, 50, "deaths in calls");
            least(self.other_deaths, 15, "other deaths");
            least(self.stops, 8, "stops");
            least(self.reshards, 15, "reshards");
        }
    }
}
