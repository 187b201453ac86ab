//! Two consumers of one stream in one process: the one that is in no hurry makes room for the one that lags.
//!
//! Both poll the same shards, which give two megabytes a second to all. At their own paces each takes half. When the
//! first one falls behind on a shard, the second reads less of it, and the first as much more. What one of them
//! learns of a silence, after an answer of 10 MB, the other is spared.
//!
//! The decisions ([`Giving`]) are pure; [`Sharing`] is where the two leave notes for each other. Consumers in other
//! processes know nothing of it: their paces alone keep them within a shard's limits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::pace::{PollPace, SHARD_BYTES_PER_SECOND};

/// From this lag of the first consumer on the second makes room, in milliseconds.
pub const LAG_BEGINS: i64 = 2_000;
/// From this lag down it no longer does.
pub const LAG_ENDS: i64 = 500;
/// Making room, the second keeps this part of its bytes: 40 %. Four reads a second of the first, at its own rate and
/// all that is freed, are then still below what a shard gives in a second.
const KEPT_PERCENT: u64 = 40;
/// A lag that was not confirmed for so long is old news.
const NEWS_LAST: Duration = Duration::from_secs(5);

/// What the second consumer does for the first on one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Giving {
    /// It reads at its own pace.
    #[default]
    Nothing,
    /// It reads less, and the first may read as much more.
    Room,
    /// It reads less for one more read, but what it gave is taken back: the first slows down before it speeds up.
    Ending,
}

impl Giving {
    /// What to do at the next read, given the first consumer's lag in milliseconds as far as it is known.
    #[must_use]
    pub fn next(self, lag: Option<i64>) -> Self {
        let until = if self == Self::Room { LAG_ENDS + 1 } else { LAG_BEGINS };
        match self {
            _ if lag.is_some_and(|lag| lag >= until) => Self::Room,
            Self::Room => Self::Ending,
            Self::Ending | Self::Nothing => Self::Nothing,
        }
    }

    /// The second consumer's pace.
    #[must_use]
    pub fn pace(self, own: PollPace) -> PollPace {
        if self == Self::Nothing {
            return own;
        }
        let kept = own.rate() * KEPT_PERCENT / 100;
        let interval = own.interval.max(Duration::from_secs(1));
        PollPace {
            interval,
            max_bytes: own.max_bytes.min(bytes_in(kept, interval)),
            max_bytes_per_second: Some(kept),
            ..own
        }
    }

    /// Bytes a second that the first consumer may read beyond its own pace.
    #[must_use]
    pub fn freed(self, own: PollPace) -> u64 {
        if self == Self::Room { own.rate() - self.pace(own).rate() } else { 0 }
    }
}

/// The first consumer's pace where so many bytes a second were freed for it.
#[must_use]
pub fn with_room(own: PollPace, freed: u64) -> PollPace {
    if freed == 0 {
        return own;
    }
    let rate = (own.rate() + freed).min(SHARD_BYTES_PER_SECOND);
    // No more at once than one interval's worth: the second consumer's next read must find room too.
    PollPace { max_bytes: bytes_in(rate, own.interval), max_bytes_per_second: Some(rate), ..own }
}

fn bytes_in(rate: u64, time: Duration) -> usize {
    let bytes = u128::from(rate) * time.as_millis() / 1_000;
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// One consumer's part in sharing a stream's shards with another in the same process; to be put into
/// [`WorkerConfig::sharing`](crate::WorkerConfig::sharing).
#[derive(Clone, Debug)]
pub struct Sharing {
    board: Arc<Mutex<Board>>,
    turn: Turn,
}

type Board = BTreeMap<Arc<str>, Notes>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    First,
    Second,
}

/// What the two know of one shard.
#[derive(Clone, Copy, Debug, Default)]
struct Notes {
    lag: Option<(i64, Instant)>,
    giving: Giving,
    freed: u64,
    silent_until: Option<Instant>,
}

impl Sharing {
    /// The parts of two consumers: of the one that comes first, and of the one that makes room.
    #[must_use]
    pub fn pair() -> (Self, Self) {
        let board = Arc::default();
        (Self { board: Arc::clone(&board), turn: Turn::First }, Self { board, turn: Turn::Second })
    }

    pub(crate) fn of_shard(&self, shard_id: Arc<str>) -> ShardSharing {
        ShardSharing { part: self.clone(), shard_id }
    }
}

impl PartialEq for Sharing {
    fn eq(&self, other: &Self) -> bool {
        self.turn == other.turn && Arc::ptr_eq(&self.board, &other.board)
    }
}

impl Eq for Sharing {}

/// One consumer's part in one shard.
#[derive(Debug)]
pub(crate) struct ShardSharing {
    part: Sharing,
    shard_id: Arc<str>,
}

impl ShardSharing {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.part.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Notes) -> T) -> T {
        change(self.board().entry(self.shard_id.clone()).or_default())
    }

    /// The pace of the read that is about to be made.
    pub(crate) fn pace(&self, own: PollPace, now: Instant) -> PollPace {
        self.change(|notes| match self.part.turn {
            Turn::First => with_room(own, notes.freed),
            Turn::Second => {
                let news = notes.lag.filter(|(_, at)| now.saturating_duration_since(*at) < NEWS_LAST);
                notes.giving = notes.giving.next(news.map(|(lag, _)| lag));
                notes.freed = notes.giving.freed(own);
                notes.giving.pace(own)
            }
        })
    }

    /// Takes note of an answer.
    pub(crate) fn answered(&self, bytes: usize, millis_behind_latest: Option<i64>, now: Instant) {
        self.change(|notes| {
            if self.part.turn == Turn::First {
                notes.lag = millis_behind_latest.map(|lag| (lag, now));
            }
            if bytes as u64 > SHARD_BYTES_PER_SECOND {
                let silence = Duration::from_secs_f64(bytes as f64 / SHARD_BYTES_PER_SECOND as f64);
                notes.silent_until = Some(now + silence);
            }
        });
    }

    /// Until when the shard refuses every read, as far as either consumer knows.
    pub(crate) fn silent_until(&self) -> Option<Instant> {
        self.board().get(&self.shard_id).and_then(|notes| notes.silent_until)
    }
}

impl Drop for ShardSharing {
    fn drop(&mut self) {
        self.change(|notes| match self.part.turn {
            Turn::First => notes.lag = None,
            Turn::Second => (notes.giving, notes.freed) = (Giving::Nothing, 0),
        });
        // The board does not outgrow the shards: a note of nothing is no note. A silence ends by itself.
        self.board().retain(|_, notes| {
            let silent = notes.silent_until.is_some_and(|until| until > Instant::now());
            notes.lag.is_some() || notes.giving != Giving::Nothing || silent
        });
    }
}

#[cfg(test)]
#[path = "sharing_tests.rs"]
mod tests;
