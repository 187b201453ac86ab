//! What kind of life a seed leads: how many shards and workers, how patient, how unlucky.

use std::time::Duration;

use dial_ingest::{PollPace, WorkerConfig};

use crate::clock::{Clock, MILLI, Micros, SECOND};
use crate::consumer::{Habits, Kind};
use crate::dice::Dice;
use crate::faults::Faults;

/// The parts of a life that have dice of their own.
const SETTINGS: u64 = 1;

/// What is decided before a life begins.
#[derive(Clone, Debug)]
pub struct Life {
    pub seed: u64,
    /// The applications that read the stream side by side.
    pub kinds: Vec<Kind>,
    pub shards: u64,
    /// The most open shards.
    pub most_shards: usize,
    /// Splits and merges before anybody looks.
    pub resharded_before: u64,
    pub page_size: u64,
    pub names_children: bool,
    pub failover: Duration,
    /// The most workers of an application at a time.
    pub workers: u64,
    pub acts: u64,
    /// The longest time between two acts.
    pub pause: Micros,
    pub faults: Faults,
    /// The most parts in a million that a worker's clock runs too fast or too slow.
    pub drift: i64,
    /// Records come in so many sizes: some lives have large ones.
    pub large_records: bool,
}

impl Life {
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed, SETTINGS);
        let failover = dice.pick(&[3 * SECOND, 5 * SECOND, 10 * SECOND]);
        let kinds = dice.weighted(&[
            (2, &[Kind::Detect][..]),
            (2, &[Kind::Archive][..]),
            (3, &[Kind::Detect, Kind::Archive][..]),
        ]);
        let shards = dice.between(1, 3);
        let often = dice.pick(&[0, 3, 8, 20]);
        Self {
            seed,
            kinds: kinds.to_vec(),
            shards,
            most_shards: shards as usize + 2,
            resharded_before: dice.weighted(&[(3, 0), (1, 1), (1, 2)]),
            page_size: dice.between(1, 6),
            names_children: dice.chance(60),
            failover: Duration::from_micros(failover),
            workers: dice.between(2, 3),
            acts: dice.between(15, 35),
            pause: dice.pick(&[failover / 4, failover / 2, failover]),
            faults: Faults {
                leases: often,
                stream: dice.pick(&[0, often, 10]),
                effects: dice.pick(&[0, often, 10]),
                late: dice.between(100 * MILLI, 2 * failover),
            },
            drift: dice.pick(&[0, 200, 50_000]),
            large_records: dice.chance(15),
        }
    }

    pub fn failover_micros(&self) -> Micros {
        self.failover.as_micros() as Micros
    }

    pub fn clock(&self, born: Micros, dice: &mut Dice) -> Clock {
        let drift = self.drift.unsigned_abs();
        Clock { born, drift: dice.between(0, 2 * drift) as i64 - self.drift }
    }

    /// How a worker's processors behave.
    pub fn habits(&self, kind: Kind, dice: &mut Dice) -> Habits {
        Habits {
            kind,
            work: dice.pick(&[0, 0, 300, 3_000]),
            commit_every: dice.pick(&[1, 1, 2, 5]),
            commits_aside: kind == Kind::Detect && dice.chance(20),
            failing: dice.pick(&[0, 0, 5, 30]),
            file_rows: dice.between(1, 20) as usize,
        }
    }

    pub fn settings(&self, name: &str, kind: Kind, undisturbed: bool, dice: &mut Dice) -> WorkerConfig {
        let millis = Duration::from_millis;
        // Together they must stay within five reads a second, so that both get on.
        let interval = match kind {
            Kind::Detect => dice.pick(&[400, 700, 1_500]),
            Kind::Archive => dice.pick(&[1_000, 2_000]),
        };
        let pace = match kind {
            Kind::Detect => PollPace { interval: millis(interval), ..PollPace::EAGER },
            Kind::Archive => PollPace { interval: millis(interval), ..PollPace::GENTLE },
        };
        let max_records = dice.pick(&[5, 10, 10_000]);
        let few = dice.chance(15) && !undisturbed;
        WorkerConfig {
            failover: self.failover,
            pace: PollPace { max_records, ..pace },
            shard_sync_interval: Duration::from_secs(dice.between(2, 10)),
            max_leases: if few { 2 } else { usize::MAX },
            startup_patience: Duration::from_secs(3_600),
            ..WorkerConfig::new(name)
        }
    }
}
