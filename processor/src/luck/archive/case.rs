//! [`Case`]: everything that a seed decides.

use std::time::Duration;

use dial_analytics::batch::FlushPolicy;

use super::super::case::{End, Reshard, Seat};
use super::super::dice::Dice;
use super::record::Put;

/// A whole case.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) shards: usize,
    pub(super) puts: Vec<(Duration, Put)>,
    pub(super) reshards: Vec<(Duration, Reshard)>,
    pub(super) seats: Vec<Seat>,
    pub(super) policy: FlushPolicy,
    pub(super) raw: bool,
    /// How many in a thousand calls to the object store fail, half of them after they took effect.
    pub(super) failing: u64,
    /// How many in a hundred calls to the lease table fail or are late.
    pub(super) faults: u8,
    /// How long a call takes at most.
    pub(super) slowest: Duration,
    pub(super) seed: u64,
}

impl Case {
    pub(super) fn of(seed: u64) -> Case {
        let mut dice = Dice::new(seed, 11);
        let spread = dice.pick(&[0, 1_000, 8_000, 20_000]);
        // Files of dead letters are made in a hundredth of the time.
        let (count, garbage) = (dice.between(3, 16), dice.pick(&[15, 100, 100]));
        let put = |n, dice: &mut Dice| (millis(dice, spread), Put::random(n, garbage, dice));
        let mut puts: Vec<_> = (0..count).map(|n| put(n, &mut dice)).collect();
        puts.sort_by_key(|(at, _)| *at);
        let mut dice = Dice::new(seed, 12);
        let reshard = |dice: &mut Dice| (millis(dice, 15_000), dice.pick(&[Reshard::Split, Reshard::Merge]));
        let reshards =
            if dice.chance(30) { (0..dice.between(1, 2)).map(|_| reshard(&mut dice)).collect() } else { vec![] };
        Case {
            shards: dice.between(1, 2),
            reshards,
            seats: (0..dice.between(1, 3)).map(|_| seat(&mut dice)).collect(),
            policy: FlushPolicy {
                bytes: dice.pick(&[1, 2_000, 5_000, 100_000]),
                age: i64::try_from(dice.between(200, 4_000)).unwrap(),
                days: dice.pick(&[2, 64]),
            },
            raw: dice.chance(50),
            failing: dice.pick(&[0, 50, 150]),
            faults: dice.pick(&[0, 0, 5, 15]),
            slowest: Duration::from_millis(dice.pick(&[0, 20, 300, 1_500])),
            seed: dice.seed(),
            puts,
        }
    }
}

fn millis(dice: &mut Dice, most: usize) -> Duration {
    Duration::from_millis(dice.below(most + 1) as u64)
}

/// Lives that end early, most of them in a call.
fn seat(dice: &mut Dice) -> Seat {
    let end = |dice: &mut Dice| match dice.below(10) {
        0..=6 => End::Call(dice.below(60)),
        7 | 8 => End::Age(millis(dice, 12_000)),
        _ => End::Stop(millis(dice, 12_000)),
    };
    let lives = if dice.chance(30) { 0 } else { dice.between(1, 3) };
    Seat {
        begins: millis(dice, 2_500),
        lives: (0..lives).map(|_| (end(dice), millis(dice, 3_000), dice.chance(50))).collect(),
        seed: dice.seed(),
    }
}
