//! [`Case`]: everything that a seed decides.

use std::time::Duration;

use serde_json::json;

use super::dice::Dice;
use super::happening::{BEGIN, Happening, LENGTH};
use super::naive::Arrived;
use super::spec::Spec;

/// How late an event may be, in seconds: the default of the settings.
pub(super) const ALLOWED: i64 = 24 * 3600;

/// A record of the stream: one event, or several.
#[derive(Debug, Clone)]
pub(super) struct Put {
    pub(super) at: Duration,
    pub(super) events: Vec<usize>,
    /// When the stream says that it took the record in, in seconds since 1970.
    pub(super) arrival: i64,
    /// Decides about the shard.
    pub(super) key: String,
}

/// What is done to the stream.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reshard {
    Split,
    Merge,
}

/// How a worker's life ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// It dies in the middle of the so-manieth call to a store, before it has taken effect or after.
    Call(usize),
    /// It dies at this age.
    Age(Duration),
    /// It is asked to stop at this age.
    Stop(Duration),
}

/// The lives of one worker, one after the other. The last one never ends.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    pub(super) begins: Duration,
    /// How each life ends, how long until the next begins, and whether that has the same name.
    pub(super) lives: Vec<(End, Duration, bool)>,
    pub(super) seed: u64,
}

/// A whole case.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) specs: Vec<Spec>,
    pub(super) events: Vec<Happening>,
    pub(super) shards: usize,
    pub(super) puts: Vec<Put>,
    pub(super) reshards: Vec<(Duration, Reshard)>,
    pub(super) seats: Vec<Seat>,
    /// How many in a thousand calls to the stores fail in each of three ways.
    pub(super) failing: usize,
    /// How long a call to a store takes at most.
    pub(super) slowest: Duration,
    pub(super) seed: u64,
}

impl Case {
    pub(super) fn of(seed: u64) -> Case {
        let specs = Spec::several(&mut Dice::new(seed, 1));
        let events = Happening::several(&mut Dice::new(seed, 2));
        let puts = puts(events.len(), &mut Dice::new(seed, 3));
        let mut dice = Dice::new(seed, 4);
        let reshard = |dice: &mut Dice| (millis(dice, 4_000), dice.pick(&[Reshard::Split, Reshard::Merge]));
        let reshards =
            if dice.chance(30) { (0..dice.between(1, 2)).map(|_| reshard(&mut dice)).collect() } else { vec![] };
        Case {
            shards: dice.between(1, 3),
            reshards,
            seats: (0..dice.between(1, 3)).map(|_| Seat::random(&mut dice)).collect(),
            failing: dice.pick(&[0, 0, 30, 100]),
            slowest: Duration::from_millis(dice.pick(&[0, 3, 40, 400])),
            seed: dice.seed(),
            specs,
            events,
            puts,
        }
    }

    /// What arrived, for the reference.
    pub(super) fn arrived(&self) -> Vec<Arrived> {
        let late = |at: usize, event: &Happening| {
            let timely = |put: &&Put| put.events.contains(&at) && put.arrival - event.time <= ALLOWED;
            self.puts.iter().filter(timely).count() == 0
        };
        self.events
            .iter()
            .enumerate()
            .map(|(at, event)| Arrived { event: event.clone(), late: late(at, event) })
            .collect()
    }

    /// The bytes of a record.
    pub(super) fn bytes(&self, put: &Put) -> Vec<u8> {
        let json = match put.events[..] {
            [one] => self.events[one].json(),
            _ => json!({"Records": put.events.iter().map(|at| self.events[*at].json()).collect::<Vec<_>>()}),
        };
        json.to_string().into_bytes()
    }
}

/// Every event once, in any order and some in one record; then some of them again.
fn puts(events: usize, dice: &mut Dice) -> Vec<Put> {
    let mut order: Vec<usize> = (0..events).collect();
    dice.shuffle(&mut order);
    let mut puts = Vec::new();
    while !order.is_empty() {
        let together = if dice.chance(20) { dice.between(2, 3).min(order.len()) } else { 1 };
        puts.push(order.split_off(order.len() - together));
    }
    for _ in 0..dice.below(events) {
        puts.push(vec![dice.below(events)]);
    }
    let spread = dice.pick(&[0, 300, 2_000, 6_000]);
    let mut puts: Vec<Put> = puts.into_iter().map(|events| put(events, spread, dice)).collect();
    puts.sort_by_key(|put| put.at);
    puts
}

fn put(events: Vec<usize>, spread: usize, dice: &mut Dice) -> Put {
    let late = match dice.below(20) {
        0 => ALLOWED + 60,                                         // all its events are too late
        1 => ALLOWED + i64::try_from(dice.below(LENGTH)).unwrap(), // the earlier ones are
        _ => 60,
    };
    Put { at: millis(dice, spread), events, arrival: BEGIN + late, key: format!("{}", dice.below(1_000)) }
}

fn millis(dice: &mut Dice, most: usize) -> Duration {
    Duration::from_millis(dice.below(most + 1) as u64)
}

impl Seat {
    fn random(dice: &mut Dice) -> Seat {
        let end = |dice: &mut Dice| match dice.below(10) {
            0..=6 => End::Call(dice.below(40)),
            7 | 8 => End::Age(millis(dice, 8_000)),
            _ => End::Stop(millis(dice, 8_000)),
        };
        let lives = if dice.chance(50) { 0 } else { dice.between(1, 2) };
        Seat {
            begins: millis(dice, 1_500),
            lives: (0..lives).map(|_| (end(dice), millis(dice, 3_000), dice.chance(60))).collect(),
            seed: dice.seed(),
        }
    }
}
