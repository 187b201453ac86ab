//! Many seeds, on every core.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// The first seed that fails, and how; on every core.
pub(super) fn search(seeds: u64, check: impl Fn(u64) -> Result<(), String> + Sync) -> Option<(u64, String)> {
    let (next, last) = (AtomicU64::new(0), AtomicU64::new(seeds));
    let failed: Mutex<Option<(u64, String)>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= last.load(Ordering::SeqCst) {
                        return;
                    }
                    let checked = catch_unwind(AssertUnwindSafe(|| check(seed))).unwrap_or_else(|panic| {
                        Err(format!("panicked: {}", panic.downcast_ref::<String>().cloned().unwrap_or_default()))
                    });
                    let mut failed = failed.lock().unwrap();
                    if let Err(how) = checked
                        && failed.as_ref().is_none_or(|(first, _)| seed < *first)
                    {
                        last.fetch_min(seed, Ordering::SeqCst);
                        *failed = Some((seed, how));
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap()
}
