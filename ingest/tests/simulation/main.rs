//! Whole lives of a fleet under one seed.
//!
//! The real `Worker`s, with all that they plan, checkpoint and read, against a simulated stream, lease table and time.
//! Each worker has a runtime and a clock of its own, a little too fast or too slow; every call that it makes is a
//! letter that may be late, lost, delivered twice, delivered after its sender gave up or died, or answered by an
//! error. Workers crash, stop, stand still for longer than the failover time, and are cut off; shards split, merge
//! and age out at any moment; two applications may share the stream's five reads and 2 MB a second a shard; an
//! operator meddles with the lease table by hand. Watched at every step:
//!
//! - a checkpoint passes no record whose effect is not durable, and never moves back;
//! - only a lease's holder writes it, and begins nothing, be it for the table or for its records, once the lease has
//!   expired by its own clock;
//! - two work on one shard for no longer than the failover time; a child begins after its parents ended;
//! - records are handed over in order and without gaps, and what an archive declares ends up in exactly one file;
//! - in the end, when nothing is in the way any more, everything was read, and leases of shards that are gone are
//!   removed.
//!
//! A life that fails prints its seed. `SIMULATION_SEED=… cargo test -p dial-ingest --test simulation` shows what
//! happened in it; `SIMULATION_SEEDS=…` is how many lives are lived.
//!
//! Not simulated: enhanced fan-out, the AWS clients and what they retry, a lease table that forgets a write which it
//! acknowledged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, unreachable_pub)]

mod acts;
mod app;
mod archivist;
mod clock;
mod consumer;
mod detector;
mod dice;
mod faults;
mod landing;
mod life;
mod machine;
mod mutation;
mod ports;
mod post;
mod script;
mod search;
mod services;
mod staff;
mod table;
mod tally;
mod telling;
mod truth;
mod wire;
mod witness;
mod world;

use mutation::Mutation;
use search::{Lives, search};
use tally::Tally;
use world::World;

/// How many lives, unless `SIMULATION_SEEDS` says otherwise.
const SEEDS: u64 = 10_000;
/// Within so many lives each mutation must be found.
const MUTANT_SEEDS: u64 = 2_000;

fn asked(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable}={value} is not a number")))
}

/// One life, told from beginning to end.
fn tell(seed: u64) -> World {
    let mut world = World::new(seed, None, true);
    world.live();
    world
}

#[test]
fn whatever_happens_what_must_hold_does() {
    if let Some(seed) = asked("SIMULATION_SEED") {
        let world = tell(seed);
        world.trace.iter().flatten().for_each(|line| println!("{line}"));
        assert!(world.violations.is_empty(), "seed {seed}: {:#?}", world.violations);
        return;
    }
    let lives = asked("SIMULATION_SEEDS").unwrap_or(SEEDS);
    let Lives { failure, tally } = search(0..lives, None);
    println!("{lives} lives\n{tally}");
    if let Some((seed, violations)) = failure {
        let again = format!("SIMULATION_SEED={seed} cargo test -p dial-ingest --test simulation -- --nocapture");
        panic!("seed {seed}: {violations:#?}\nTo see what happened: {again}");
    }
    if lives >= 1_000 {
        is_hard_enough(lives, &tally);
    }
}

/// Lives must be hard enough to mean something, and not so hard that all is done over and over.
fn is_hard_enough(lives: u64, tally: &Tally) {
    // Of a hundred lives, so many times at least.
    let least = [
        ("crashes", 100),
        ("pauses longer than the failover time", 50),
        ("lease writes refused", 200),
        ("lease writes that landed twice", 50),
        ("lease writes that landed after their caller gave up or died", 100),
        ("leases taken from another", 200),
        ("leases given away by hand", 50),
        ("leases removed", 5),
        ("declarations that a new owner inherited", 15),
        ("splits", 100),
        ("merges", 50),
        ("reads throttled by the stream", 50),
        ("answers of more than 8 MB", 10),
        ("records", 5_000),
        ("records handed over more than once", 500),
    ];
    for (what, times) in least {
        let there = tally.of(what);
        assert!(there >= times * lives / 100, "only {there} {what} in {lives} lives");
    }
    assert!(tally.of("records handed over more than once") < tally.of("records") / 2, "{tally}");
}

#[test]
fn a_seed_is_always_the_same_life() {
    for seed in 0..50 {
        let (first, second) = (tell(seed), tell(seed));
        let differs = first.trace.iter().flatten().zip(second.trace.iter().flatten()).find(|(a, b)| a != b);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first.trace.map(|told| told.len()), second.trace.map(|told| told.len()), "seed {seed}");
    }
}

#[test]
fn whatever_is_taken_away_is_missed() {
    let mut unnoticed = Vec::new();
    for mutation in Mutation::all() {
        match search(0..MUTANT_SEEDS, Some(mutation)).failure {
            Some((seed, violations)) => println!("{mutation:?}: seed {seed}: {}", violations[0]),
            None => unnoticed.push(mutation),
        }
    }
    assert!(unnoticed.is_empty(), "not missed in {MUTANT_SEEDS} lives: {unnoticed:?}");
}

/// What an expired iterator's successor brings a second time is known and left out.
#[test]
fn a_stream_that_begins_anew_repeats_nothing() {
    let failure = search(0..200, Some(Mutation::ResumeAtTrimHorizon)).failure;
    assert!(failure.is_none(), "{failure:#?}");
}
