//! [`Shelves`]: which batch of this worker takes findings that are on their way to the archive.

use std::sync::{Mutex, PoisonError};

use super::alert::MOST_WAITING;

/// Counts the batches of one worker. A batch that has taken as many findings as fit at once takes no more, also where some
/// of them have left, so that none is ever refused for lack of room and the row of a full one is not written again.
#[derive(Debug, Default)]
pub(crate) struct Shelves(Mutex<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    number: u64,
    taken: usize,
}

impl Shelves {
    /// The number of the batch that these many findings join; at most [`MOST_WAITING`].
    pub(crate) fn take(&self, count: usize) -> u64 {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if shelf.taken + count > MOST_WAITING {
            *shelf = Shelf { number: shelf.number + 1, taken: 0 };
        }
        shelf.taken += count;
        shelf.number
    }

    /// A batch has less room than it should: others begin the next one.
    pub(crate) fn close(&self, number: u64) {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if shelf.number == number {
            shelf.taken = MOST_WAITING;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_takes_as_many_as_fit_and_no_more() {
        let shelves = Shelves::default();
        let taken: Vec<u64> = [400, 600, 1, 1_000, 999, 1, 1].map(|count| shelves.take(count)).to_vec();
        assert_eq!(taken, [0, 0, 1, 2, 3, 3, 4]);
        shelves.close(3);
        assert_eq!(shelves.take(1), 4, "another one was closed");
        shelves.close(4);
        assert_eq!(shelves.take(1), 5);
    }
}
