//! [`Tally`]: what happened in all cases together.

use super::life::Lived;

/// Counts, and the virtual seconds that it took.
#[derive(Debug, Default)]
pub(super) struct Tally {
    findings: usize,
    correlated: usize,
    ambiguous: usize,
    deaths_in_calls: usize,
    other_deaths: usize,
    stops: usize,
    failures: u64,
    reshards: usize,
    seconds: u64,
}

impl Tally {
    pub(super) fn add(&mut self, lived: &Lived) {
        self.findings += lived.findings.len();
        self.correlated += lived.findings.values().filter(|finding| finding["kind"] == "correlated").count();
        self.ambiguous += lived.findings.values().filter(|finding| finding["order_ambiguous"] == true).count();
        self.deaths_in_calls += lived.ends[0];
        self.other_deaths += lived.ends[1];
        self.stops += lived.ends[2];
        self.failures += lived.injected;
        self.reshards += lived.reshards;
        self.seconds += lived.took.as_secs();
    }

    /// Cases must be hard enough to mean something.
    pub(super) fn is_hard_enough(&self, cases: u64) {
        let least = |count, of_a_hundred, what| least(count, of_a_hundred, what, cases);
        if cases >= 500 {
            least(self.correlated, 200, "correlated findings");
            least(self.ambiguous, 4, "findings of equal times");
            least(self.deaths_in_calls, 25, "deaths in calls");
            least(self.other_deaths, 5, "other deaths");
            least(self.stops, 3, "stops");
            least(self.reshards, 15, "reshards");
            assert!(self.failures >= cases, "only {} failures in {cases} cases", self.failures);
        }
    }
}

/// Holds that there are so many of something in a hundred cases.
pub(super) fn least(count: usize, of_a_hundred: u64, what: &str, cases: u64) {
    assert!(count as u64 * 100 >= of_a_hundred * cases, "only {count} {what} in {cases} cases");
}
