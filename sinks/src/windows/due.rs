//! When a window that has grown is evaluated again, so that a burst costs time in proportion to its length. Pure.
//!
//! An evaluation reads and evaluates all matches in range. Done for each batch of a burst, n matches would cost n²/batch.
//! So a large window waits until it is worth it: until it has grown by an eighth, or until eight times as much time has
//! passed as the last evaluation took. The first makes the costs a geometric series, nine times the burst in all; the
//! second bounds the delay of a window that grows no more, and with it the share of time that evaluations take, to a
//! ninth.
//!
//! What waits is not yet found: whoever lets a window wait must not let its checkpoint pass the waiting matches.

use dial_rules::event::Millis;

/// Up to this many items, a window is evaluated whenever it has grown.
pub const SMALL: u64 = 2_000;
/// A larger one is evaluated when it has grown by one part in so many.
const GROWTH: u64 = 8;
/// Or when so many times the duration of the last evaluation has passed since its end.
const REST: Millis = 8;

/// What is remembered of the last evaluation of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evaluation {
    /// How many items it read.
    pub items: u64,
    /// When it ended, to the millisecond.
    pub ended: Millis,
    /// How long it took, reading included, in whole milliseconds.
    pub took: Millis,
}

/// What to do with a window that has grown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Evaluate it.
    Now,
    /// Let it wait, but no longer than until this time.
    At(Millis),
}

/// Whether a window to which `added` items were appended since its `last` evaluation is to be evaluated at `now`.
/// Counting an item twice that was appended twice is harmless.
pub fn due(last: Option<Evaluation>, added: u64, now: Millis) -> Due {
    let Some(last) = last else { return Due::Now };
    let small = last.items.saturating_add(added) <= SMALL;
    if small || added.saturating_mul(GROWTH) >= last.items {
        return Due::Now;
    }
    // A part of a millisecond counts as a whole one, else evaluations that take less would never rest.
    let took = last.took.max(0).saturating_add(1);
    let at = last.ended.saturating_add(took.saturating_mul(REST));
    if now >= at { Due::Now } else { Due::At(at) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_windows_are_evaluated_at_once_and_large_ones_when_it_is_worth_it() {
        let last = |items| Some(Evaluation { items, ended: 10_000, took: 49 });
        assert_eq!(due(None, 1_000_000, 0), Due::Now);
        assert_eq!(due(last(SMALL - 1), 1, 10_000), Due::Now);
        assert_eq!(due(last(SMALL), 1, 10_000), Due::At(10_400));
        assert_eq!(due(last(SMALL), 1, 10_399), Due::At(10_400));
        assert_eq!(due(last(SMALL), 1, 10_400), Due::Now);
        assert_eq!(due(last(8_000), 999, 10_000), Due::At(10_400));
        assert_eq!(due(last(8_000), 1_000, 10_000), Due::Now);
        assert_eq!(due(last(u64::MAX), u64::MAX, Millis::MIN), Due::Now);
    }

    #[test]
    fn clocks_that_went_wrong_delay_nothing_for_ever() {
        let last = |took| Some(Evaluation { items: 10_000, ended: 10_000, took });
        assert_eq!(due(last(-5), 1, 10_008), Due::Now, "a clock that was set back while it ran");
        assert_eq!(due(last(Millis::MAX), 1, 10_000), Due::At(Millis::MAX));
    }

    /// A burst, batch by batch; each match costs `1 / speed` ms to append and as much to evaluate. Counts the items that
    /// evaluations read, and says how long the last ones waited.
    fn burst(length: u64, batches: impl Iterator<Item = u64>, speed: u64) -> (u64, u64) {
        let (mut items, mut added, mut evaluated, mut work) = (0, 0, 0, 0);
        let mut last: Option<Evaluation> = None;
        let mut clock = 0; // in units of 1 / speed ms
        let ms = |clock: u64| Millis::try_from(clock / speed).unwrap();
        for batch in batches {
            let batch = batch.min(length - items);
            (items, added, clock) = (items + batch, added + batch, clock + batch);
            if batch > 0 && due(last, added, ms(clock)) == Due::Now {
                let began = clock;
                (work, clock) = (work + items, clock + items);
                last = Some(Evaluation { items, ended: ms(clock), took: ms(clock) - ms(began) });
                (added, evaluated) = (0, items);
            }
            if items == length {
                break;
            }
        }
        (work, length - evaluated)
    }

    /// Small windows cost at most this whatever the batches are: 1 + 2 + … + SMALL.
    const WHILE_SMALL: u64 = SMALL * (SMALL + 1) / 2;

    #[test]
    fn a_burst_in_batches_of_any_size_costs_linear_time() {
        for length in [1_000, 10_000, 100_000, 400_000] {
            for batch in [1, 2, 7, 100, 1_999, 2_001, 10_000, 1_000_000] {
                for speed in [1, 100, 100_000] {
                    let (work, _) = burst(length, std::iter::repeat(batch), speed);
                    assert!(work <= 12 * length + WHILE_SMALL, "{length} in {batch}s at {speed}: {work}");
                }
            }
        }
    }

    #[test]
    fn evaluating_for_each_batch_would_not_be_linear() {
        let naive: u64 = (1..=100_000 / 10).map(|i| i * 10).sum();
        let (work, _) = burst(100_000, std::iter::repeat(10), 100);
        assert!(naive > 50 * work, "{naive} and {work}");
    }

    proptest! {
        #[test]
        fn batches_of_mixed_sizes_cost_linear_time(
            batches in prop::collection::vec(prop_oneof![1..5_u64, 1..300_u64, 1..30_000_u64], 1..400),
            speed in 1..1_000_u64,
        ) {
            let length = batches.iter().sum();
            let (work, waiting) = burst(length, batches.into_iter(), speed);
            prop_assert!(work <= 12 * length + WHILE_SMALL, "{} for {}", work, length);
            prop_assert!(waiting * GROWTH <= length, "{} of {} wait", waiting, length);
        }
    }
}
