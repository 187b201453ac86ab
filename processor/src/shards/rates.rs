//! Records per second, from two looks at the workers' metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::monitor::exposition::Sample;
use crate::monitor::metrics::{DATA_BYTES_PROCESSED, RECORDS_PROCESSED, WORKER_INFO};

/// What a role processes of a shard.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Rate {
    pub(crate) records_per_second: f64,
    pub(crate) bytes_per_second: f64,
}

/// What the workers that were looked at process.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Rates(BTreeMap<String, BTreeMap<(String, String), Rate>>);

impl Rates {
    /// Takes in two looks at one worker, so long apart. `false` where the second names no worker.
    pub(crate) fn add(&mut self, before: &[Sample], after: &[Sample], apart: Duration) -> bool {
        let Some(worker) = worker(after) else { return false };
        // Another process answers now: what it counted, it counted since it started.
        let before = if self::worker(before) == Some(worker) { before } else { &[] };
        let mut of_worker: BTreeMap<(String, String), Rate> = BTreeMap::new();
        for (name, part) in PARTS {
            let (before, after) = (counters(before, name), counters(after, name));
            for (key, count) in after {
                let grown = count - before.get(&key).filter(|before| **before <= count).copied().unwrap_or(0.0);
                let (role, shard) = key;
                let rate = of_worker.entry((role.to_owned(), shard.to_owned())).or_default();
                *part(rate) = grown / apart.as_secs_f64().max(0.001);
            }
        }
        self.0.insert(worker.to_owned(), of_worker);
        true
    }

    /// What the worker that owns a role's lease of a shard makes of it; `None` where that worker was not looked at.
    pub(crate) fn of(&self, worker: &str, role: &str, shard: &str) -> Option<Rate> {
        let of_worker = self.0.get(worker)?;
        Some(of_worker.get(&(role.to_owned(), shard.to_owned())).copied().unwrap_or_default())
    }
}

/// A counter and the rate that it makes.
type Part = (&'static str, fn(&mut Rate) -> &mut f64);

const PARTS: [Part; 2] = [
    (RECORDS_PROCESSED, |rate| &mut rate.records_per_second),
    (DATA_BYTES_PROCESSED, |rate| &mut rate.bytes_per_second),
];

fn worker(samples: &[Sample]) -> Option<&str> {
    let info = samples.iter().find(|sample| sample.name == WORKER_INFO)?;
    info.labels.get("worker").map(String::as_str)
}

/// A metric's values by role and shard.
fn counters<'a>(samples: &'a [Sample], name: &str) -> BTreeMap<(&'a str, &'a str), f64> {
    let of_name = samples.iter().filter(|sample| sample.name == name);
    let keyed = of_name.filter_map(|sample| {
        Some(((sample.labels.get("role")?.as_str(), sample.labels.get("shard")?.as_str()), sample.value))
    });
    keyed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::exposition::parse;

    fn look(worker: &str, counts: &[(&str, &str, u64)]) -> Vec<Sample> {
        let mut text = format!("{WORKER_INFO}{{worker=\"{worker}\"}} 1\n");
        for (role, shard, records) in counts {
            let labels = format!("{{role=\"{role}\",shard=\"{shard}\"}}");
            text +=
                &format!("{RECORDS_PROCESSED}{labels} {records}\n{DATA_BYTES_PROCESSED}{labels} {}\n", records * 10);
        }
        parse(&text)
    }

    #[test]
    fn a_rate_is_growth_over_time_and_only_of_the_lease_s_owner() {
        let mut rates = Rates::default();
        let before = look("a", &[("detect", "s1", 100), ("detect", "s2", 50)]);
        let after = look("a", &[("detect", "s1", 150), ("detect", "s2", 50), ("archive", "s1", 5)]);
        assert!(rates.add(&before, &after, Duration::from_secs(5)));
        let of = |worker, role, shard| rates.of(worker, role, shard).map(|rate| rate.records_per_second);
        assert_eq!(of("a", "detect", "s1"), Some(10.0));
        assert_eq!(rates.of("a", "detect", "s1").unwrap().bytes_per_second, 100.0);
        assert_eq!(of("a", "detect", "s2"), Some(0.0));
        assert_eq!(of("a", "archive", "s1"), Some(1.0));
        assert_eq!(of("a", "archive", "s9"), Some(0.0));
        assert_eq!(of("b", "detect", "s1"), None);
    }

    #[test]
    fn a_worker_that_was_started_again_counts_from_its_start() {
        let mut rates = Rates::default();
        rates.add(&look("a", &[("detect", "s", 100)]), &look("a", &[("detect", "s", 20)]), Duration::from_secs(2));
        assert_eq!(rates.of("a", "detect", "s").unwrap().records_per_second, 10.0);
        rates.add(&look("a", &[("detect", "s", 5)]), &look("b", &[("detect", "s", 20)]), Duration::from_secs(2));
        assert_eq!(rates.of("b", "detect", "s").unwrap().records_per_second, 10.0);
        assert!(!rates.add(&[], &parse("up 1"), Duration::from_secs(1)), "that is no worker's");
    }
}
