//! Whatever crashes, is late, fails or is resharded: each record of the stream is in the archive exactly once (I4).
//!
//! The real `Worker` and the real archive role live what a seed decides over ports in memory, under virtual time: workers die
//! before, in and after any call to the store or the lease table, what they sent arrives all the same, leases are lost and taken
//! over. Then the keys in all files must be those of what was put. Without the intent, and in other orders, they must not be.
//!
//! A case that fails prints its seed. `LUCK_SEED=…` lives that one alone and shows it; `LUCK_SEEDS=…` is how many are lived.

mod breach;
mod case;
mod life;
mod ports;
mod record;
mod tally;

use std::collections::BTreeMap;
use std::sync::Mutex;

use breach::Breach;
use case::Case;
use life::{Lived, live};
use record::{Kept, Key};
use tally::Tally;

use super::search::search;
use super::{MUTANT_SEEDS, SEEDS, asked};

/// What is kept under keys that should not be, or not so often, or not as that.
fn difference(expected: &BTreeMap<Key, Kept>, archived: &[(Key, Kept)]) -> Option<String> {
    let mut found: BTreeMap<&Key, Vec<&Kept>> = BTreeMap::new();
    for (key, kept) in archived {
        found.entry(key).or_default().push(kept);
    }
    let mut said = String::new();
    for (key, kept) in expected.iter().filter(|(key, kept)| found.get(key) != Some(&vec![*kept])) {
        said += &format!("{key:?} is {:?}, expected {kept:?}\n", found.get(key));
    }
    for (key, kept) in found.iter().filter(|(key, _)| !expected.contains_key(**key)) {
        said += &format!("{key:?} is {kept:?}, and nobody put it\n");
    }
    (!said.is_empty()).then_some(said)
}

fn check(seed: u64) -> Result<Lived, String> {
    let lived = live(&Case::of(seed), None)?;
    difference(&lived.expected, &lived.archived).map_or(Ok(lived), Err)
}

/// Whether the archive is wrong; that something is stuck does not count.
fn breaks(seed: u64, breach: Breach) -> Result<(), String> {
    let Ok(lived) = live(&Case::of(seed), Some(breach)) else { return Ok(()) };
    difference(&lived.expected, &lived.archived).map_or(Ok(()), Err)
}

#[test]
fn each_record_is_archived_exactly_once_whatever_crashes() {
    if let Some(seed) = asked("LUCK_SEED") {
        println!("{:#?}", Case::of(seed));
        let lived = check(seed).unwrap_or_else(|how| panic!("seed {seed}: {how}"));
        println!("{lived:#?}");
        return;
    }
    let cases = asked("LUCK_SEEDS").unwrap_or(SEEDS);
    let tally: Mutex<Tally> = Mutex::default();
    let lives = |seed| check(seed).map(|lived| tally.lock().unwrap().add(&lived));
    if let Some((seed, how)) = search(cases, lives) {
        panic!("seed {seed}: {how}\nTo see the case: LUCK_SEED={seed} cargo test -p dial luck::archive -- --nocapture");
    }
    let tally = tally.into_inner().unwrap();
    println!("seeds 0 to {}: {tally:#?}", cases - 1);
    tally.is_hard_enough(cases);
}

#[test]
fn without_the_intent_and_in_other_orders_it_would_be_noticed() {
    for breach in Breach::ALL {
        match search(MUTANT_SEEDS, |seed| breaks(seed, breach)) {
            Some((seed, how)) => println!("{breach:?}: seed {seed}: {}", how.lines().next().unwrap_or_default()),
            None => panic!("{breach:?} makes no difference in {MUTANT_SEEDS} cases"),
        }
    }
}
