//! How many shards a stream needs.
//!
//! Pure: what was observed goes in, and so does the time, in milliseconds since the Unix epoch. Whoever carries a plan
//! out asks [`next_move`](crate::resharding::next_move) after each look at the stream. What a shard carries is from
//! the quotas of Kinesis Data Streams.

use std::fmt;
use std::time::Duration;

use crate::resharding::{calls_left, next_call, steps};

/// What flows into a stream, or into one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Bytes of the records' data, a second.
    pub bytes_per_second: u64,
    /// Records a second, an aggregated one counting once.
    pub records_per_second: u64,
}

/// What was seen of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Its open shards.
    pub shards: u32,
    /// What flows into all of them together.
    pub load: Load,
}

/// What a shard carries, how full it should be, and what Kinesis allows to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that a shard takes in, a second.
    pub bytes_in: u64,
    /// Records that a shard takes in, a second.
    pub records_in: u64,
    /// Bytes that a shard gives out to all that poll it, a second.
    pub bytes_out: u64,
    /// How many applications poll each shard and read all of it. One with enhanced fan-out has its own throughput and
    /// does not count.
    pub polling_consumers: u32,
    /// How full, in percent of what it can carry, a shard is to be after a change. The rest is for peaks, and for
    /// readers that have to catch up.
    pub aim: u32,
    /// Fuller than this, there are too few shards. More than [`aim`](Self::aim).
    pub high: u32,
    /// How many shards a stream may have.
    pub most_shards: u32,
    /// How many more shards the account may open, if that is known.
    pub account_room: Option<u32>,
    /// How often `UpdateShardCount` may be called within 24 hours.
    pub calls_a_day: u32,
    /// How many of these calls are kept for growing.
    pub reserve: u32,
    /// So long after any change the stream is not made smaller.
    pub settle: Duration,
}

impl Default for Limits {
    /// Kinesis' limits as they are unless an account has others; two applications that poll; shards half full, which
    /// is up to where polling keeps its latency.
    fn default() -> Self {
        Self {
            bytes_in: 1_000_000,
            records_in: 1_000,
            bytes_out: 2_000_000,
            polling_consumers: 2,
            aim: 50,
            high: 70,
            most_shards: 10_000,
            account_room: None,
            calls_a_day: 10,
            reserve: 4,
            settle: Duration::from_secs(60 * 60),
        }
    }
}

impl Limits {
    /// These limits with shards to be filled up to `aim` percent (1 to 90). They are too full from 1.4 times that, at
    /// most from 95 percent.
    #[must_use]
    pub fn aiming_at(self, aim: u32) -> Self {
        let aim = aim.clamp(1, 90);
        Self { aim, high: (aim * 7 / 5).clamp(aim + 1, 95), ..self }
    }

    /// What one shard can carry: what it takes in, or what its readers get out of it.
    #[must_use]
    pub fn shard(&self) -> Load {
        let readable = self.bytes_out / u64::from(self.polling_consumers.max(1));
        Load { bytes_per_second: self.bytes_in.min(readable).max(1), records_per_second: self.records_in.max(1) }
    }

    /// How full so many shards are, in percent, rounded up.
    #[must_use]
    pub fn percent(&self, load: Load, shards: u32) -> u64 {
        let (shard, shards) = (self.shard(), u128::from(shards.max(1)));
        let of = |load: u64, shard: u64| (u128::from(load) * 100).div_ceil(u128::from(shard) * shards);
        let percent = of(load.bytes_per_second, shard.bytes_per_second)
            .max(of(load.records_per_second, shard.records_per_second));
        u64::try_from(percent).unwrap_or(u64::MAX)
    }

    /// The fewest shards that are no fuller than so many percent; at least one.
    #[must_use]
    pub fn shards_at(&self, load: Load, percent: u32) -> u32 {
        let (shard, percent) = (self.shard(), u128::from(percent.max(1)));
        let of = |load: u64, shard: u64| (u128::from(load) * 100).div_ceil(u128::from(shard) * percent);
        let shards = of(load.bytes_per_second, shard.bytes_per_second)
            .max(of(load.records_per_second, shard.records_per_second));
        u32::try_from(shards).unwrap_or(u32::MAX).max(1)
    }
}

/// What to do about a stream's shard count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The count that the load needs; the present one where nothing is to be changed.
    pub target: u32,
    /// The counts to ask for now, one call of `UpdateShardCount` each.
    pub steps: Vec<u32>,
    /// The counts to ask for once Kinesis allows more calls, after [`wait`](Self::wait).
    pub later: Vec<u32>,
    /// How long until then.
    pub wait: Option<Duration>,
    /// Why.
    pub reason: Reason,
}

/// Why a plan is what it is. Percentages are of what the shards can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// As many shards as are needed.
    Fits {
        /// How full they are.
        percent: u64,
    },
    /// The shards are too full.
    TooFull {
        /// How full they are.
        percent: u64,
        /// How full they are to be.
        aim: u32,
    },
    /// The shards are too full, and there can be no more of them.
    NoRoom {
        /// How full they are.
        percent: u64,
        /// How many the load needs.
        needed: u32,
        /// How many there may be.
        most: u32,
    },
    /// The shards are emptier than half of what is aimed at.
    TooEmpty {
        /// How full they are.
        percent: u64,
        /// How full they are to be.
        aim: u32,
    },
    /// They are too empty, but the count was changed not long ago.
    Settling {
        /// How full they are.
        percent: u64,
        /// How long until it may be changed.
        wait: Duration,
    },
    /// They are too empty, but today's remaining calls are kept for growing.
    Reserved {
        /// How full they are.
        percent: u64,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fits { percent } => write!(f, "the shards are {percent} % full, which is within bounds"),
            Self::TooFull { percent, aim } => {
                write!(f, "the shards are {percent} % full, too much to catch up after a pause; {aim} % is aimed at")
            }
            Self::NoRoom { percent, needed, most } => write!(
                f,
                "the shards are {percent} % full and {needed} are needed, but there may be no more than {most}: have \
                 the limit raised"
            ),
            Self::TooEmpty { percent, aim } => {
                write!(f, "the shards are {percent} % full, less than half of the {aim} % that are aimed at")
            }
            Self::Settling { percent, wait } => write!(
                f,
                "the shards are {percent} % full, but their number was changed within the hour: look again in {} min",
                wait.as_secs().div_ceil(60)
            ),
            Self::Reserved { percent } => write!(
                f,
                "the shards are {percent} % full, but the changes that Kinesis still allows today are kept for growing"
            ),
        }
    }
}

/// The shard count that the load needs, and the steps there, given when the count was changed before.
///
/// It has hysteresis: more shards when they are fuller than [`Limits::high`], fewer when they are emptier than half of
/// [`Limits::aim`], and then as many as make them as full as that at most; so what follows from one load stays as long
/// as the load is about that.
#[must_use]
pub fn shard_count(observed: &Observed, limits: &Limits, history: &[i64], now: i64) -> Plan {
    let Observed { shards, load } = *observed;
    let percent = limits.percent(load, shards);
    let keep = |reason| Plan { target: shards, steps: vec![], later: vec![], wait: None, reason };
    if limits.shards_at(load, limits.high) > shards {
        let needed = limits.shards_at(load, limits.aim);
        let room = limits.account_room.map_or(u32::MAX, |room| shards.saturating_add(room));
        let most = limits.most_shards.min(room);
        if shards >= most {
            return keep(Reason::NoRoom { percent, needed, most });
        }
        let reason = match needed > most {
            true => Reason::NoRoom { percent, needed, most },
            false => Reason::TooFull { percent, aim: limits.aim },
        };
        return divided(shards, needed.min(most), limits, 0, (history, now), reason);
    }
    let fewer = limits.shards_at(load, limits.aim);
    let is_too_empty = is_below_half_of_aim(load, shards, limits) && fewer < shards;
    if !is_too_empty {
        return keep(Reason::Fits { percent });
    }
    let settled = history.iter().max().map(|last| last.saturating_add(millis(limits.settle)));
    if let Some(wait) = settled.and_then(|at| u64::try_from(at.saturating_sub(now)).ok()).filter(|wait| *wait > 0) {
        return keep(Reason::Settling { percent, wait: Duration::from_millis(wait) });
    }
    if calls_left(history, limits, now) <= limits.reserve {
        return keep(Reason::Reserved { percent });
    }
    let reason = Reason::TooEmpty { percent, aim: limits.aim };
    divided(shards, fewer, limits, limits.reserve, (history, now), reason)
}

fn is_below_half_of_aim(load: Load, shards: u32, limits: &Limits) -> bool {
    let (shard, shards, aim) = (limits.shard(), u128::from(shards), u128::from(limits.aim));
    let below = |load: u64, shard: u64| u128::from(load) * 200 < u128::from(shard) * shards * aim;
    below(load.bytes_per_second, shard.bytes_per_second) && below(load.records_per_second, shard.records_per_second)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// The plan of these steps, those for which calls are left now apart from those for later; so many calls
/// are not to be used.
fn divided(from: u32, to: u32, limits: &Limits, reserve: u32, (history, now): (&[i64], i64), reason: Reason) -> Plan {
    let Ok(mut steps) = steps(from, to, limits) else {
        return Plan { target: from, steps: vec![], later: vec![], wait: None, reason };
    };
    let today = calls_left(history, limits, now).saturating_sub(reserve) as usize;
    let later = steps.split_off(steps.len().min(today));
    let mut made = history.to_vec();
    made.extend(std::iter::repeat_n(now, steps.len() + reserve as usize));
    let wait = (!later.is_empty()).then(|| next_call(&made, limits, now));
    Plan { target: to, steps, later, wait, reason }
}

#[cfg(test)]
#[path = "scaling_tests.rs"]
mod tests;
