//! Lives many lives, on every core.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::mutation::Mutation;
use crate::tally::Tally;
use crate::world::World;

#[derive(Default)]
pub struct Lives {
    /// The first seed that failed, and how. It is the same whatever the number of cores.
    pub failure: Option<(u64, Vec<String>)>,
    pub tally: Tally,
}

/// Lives the lives of these seeds, up to the first that fails.
pub fn search(seeds: Range<u64>, mutation: Option<Mutation>) -> Lives {
    let next = AtomicU64::new(seeds.start);
    let last = AtomicU64::new(seeds.end);
    let found = Mutex::new(Lives::default());
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    // A seed before one that failed is lived still: it may fail, too.
                    if seed >= last.load(Ordering::SeqCst) {
                        return;
                    }
                    let mut world = World::new(seed, mutation, false);
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| world.live())) {
                        let words = panic.downcast_ref::<String>().cloned();
                        world.violations.push(format!("panicked: {}", words.unwrap_or_default()));
                    }
                    let mut found = found.lock().unwrap();
                    found.tally.merge(&world.tally);
                    let earlier = found.failure.as_ref().is_none_or(|(first, _)| seed < *first);
                    if !world.violations.is_empty() && earlier {
                        last.fetch_min(seed, Ordering::SeqCst);
                        found.failure = Some((seed, std::mem::take(&mut world.violations)));
                    }
                }
            });
        }
    });
    found.into_inner().unwrap()
}
