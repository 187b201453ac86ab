//! Changing a stream's shard count within what Kinesis allows: the steps, and the next one at any moment.
//!
//! Pure, as [`scaling`](crate::scaling) is. The limits are those of the API reference of `UpdateShardCount`: a call at
//! most doubles and at least halves the count, and there are ten within 24 hours. Times are milliseconds since the
//! Unix epoch.

use std::time::Duration;

use crate::scaling::Limits;

/// How long a call of `UpdateShardCount` counts against [`Limits::calls_a_day`].
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Why Kinesis would refuse to change the count so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The stream has so many already.
    #[error("the stream has {0} shards already")]
    Same(u32),
    /// There is no stream without shards.
    #[error("a stream has at least 1 shard")]
    None,
    /// More than a stream may have.
    #[error("{to} shards are more than the {most} that a stream may have: have the limit raised")]
    TooMany {
        /// What was asked for.
        to: u32,
        /// The limit.
        most: u32,
    },
    /// More than the account may have.
    #[error("{more} more shards are needed and the account may open only {room}: have its shard limit raised")]
    Account {
        /// How many more.
        more: u32,
        /// How many there may be.
        room: u32,
    },
    /// A stream of more than the limit may be made smaller only by one step to below it.
    #[error("a stream of more than {most} shards can be made smaller only to less than {most}, which is below half")]
    StillTooMany {
        /// The limit.
        most: u32,
    },
    /// No call is left today.
    #[error(
        "the stream's shard count was changed {calls} times within 24 hours, as often as Kinesis allows: try again in \
         {} min", wait.as_secs().div_ceil(60)
    )]
    CallsUsedUp {
        /// How often.
        calls: u32,
        /// How long until one call is free.
        wait: Duration,
    },
    /// Nothing came of a call.
    #[error(
        "Kinesis took the request for {asked} shards, but the stream is ACTIVE with {shards}: look at it, then try again"
    )]
    Ineffective {
        /// What was asked for.
        asked: u32,
        /// What there is.
        shards: u32,
    },
    /// The stream is being deleted.
    #[error("the stream is being deleted")]
    Deleting,
}

/// The counts to ask for, one after the other: each at most double and at least half of the one before.
///
/// # Errors
/// [`Refusal`], whatever the number of calls.
pub fn steps(from: u32, to: u32, limits: &Limits) -> Result<Vec<u32>, Refusal> {
    if to == 0 {
        return Err(Refusal::None);
    }
    if to == from {
        return Err(Refusal::Same(from));
    }
    if to > from {
        if to > limits.most_shards {
            return Err(Refusal::TooMany { to, most: limits.most_shards });
        }
        let more = to - from;
        if let Some(room) = limits.account_room.filter(|room| *room < more) {
            return Err(Refusal::Account { more, room });
        }
    }
    let mut steps = Vec::new();
    let mut at = from.max(1);
    while at != to {
        let next = if to > at { to.min(at.saturating_mul(2)) } else { to.max(at.div_ceil(2)) };
        if at > limits.most_shards && next >= limits.most_shards {
            return Err(Refusal::StillTooMany { most: limits.most_shards });
        }
        steps.push(next);
        at = next;
    }
    Ok(steps)
}

/// How many calls are left of a day's, given the times of those that were made.
#[must_use]
pub fn calls_left(history: &[i64], limits: &Limits, now: i64) -> u32 {
    let made = history.iter().filter(|time| is_counted(**time, now)).count();
    limits.calls_a_day.saturating_sub(u32::try_from(made).unwrap_or(u32::MAX))
}

/// How long until one more call is allowed; zero if one is now.
#[must_use]
pub fn next_call(history: &[i64], limits: &Limits, now: i64) -> Duration {
    let mut counted: Vec<i64> = history.iter().copied().filter(|time| is_counted(*time, now)).collect();
    counted.sort_unstable();
    let allowed = limits.calls_a_day as usize;
    if counted.len() < allowed {
        return Duration::ZERO;
    }
    // Once this one has aged out, one fewer than allowed is left.
    let leaving = counted.get(counted.len() - allowed.max(1)).copied().unwrap_or(now);
    let day = i64::try_from(DAY.as_millis()).unwrap_or(i64::MAX);
    Duration::from_millis(u64::try_from(leaving.saturating_add(day).saturating_sub(now)).unwrap_or_default())
}

/// A call of the future, by a clock ahead of ours, counts too.
fn is_counted(time: i64, now: i64) -> bool {
    now.saturating_sub(time) < i64::try_from(DAY.as_millis()).unwrap_or(i64::MAX)
}

/// The state of a stream, as `DescribeStreamSummary` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamStatus {
    /// `ACTIVE`: the count can be changed.
    Active,
    /// `CREATING` or `UPDATING`: something is being changed.
    Changing,
    /// `DELETING`.
    Deleting,
}

/// A look at a stream whose count is being changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Its status.
    pub status: StreamStatus,
    /// Its open shards.
    pub shards: u32,
}

/// What was asked for last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The count.
    pub count: u32,
    /// How long ago.
    pub ago: Duration,
}

/// What to do next on the way to another count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Look again after a while.
    Wait,
    /// Call `UpdateShardCount` with this.
    Ask(u32),
    /// The stream has the count and is ACTIVE.
    Done,
}

/// So long a stream may still be described as it was before a call.
pub const DESCRIPTION_DELAY: Duration = Duration::from_secs(60);

/// What to do next on the way to `to` shards, given a look at the stream and what was asked for before, if anything.
///
/// # Errors
/// [`Refusal`], where going on has no point.
pub fn next_move(look: Look, asked: Option<Asked>, to: u32, limits: &Limits) -> Result<Move, Refusal> {
    match (look.status, asked) {
        (StreamStatus::Deleting, _) => Err(Refusal::Deleting),
        (StreamStatus::Changing, _) => Ok(Move::Wait),
        (StreamStatus::Active, _) if look.shards == to => Ok(Move::Done),
        (StreamStatus::Active, Some(asked)) if asked.count != look.shards => match asked.ago < DESCRIPTION_DELAY {
            true => Ok(Move::Wait),
            false => Err(Refusal::Ineffective { asked: asked.count, shards: look.shards }),
        },
        (StreamStatus::Active, _) => {
            steps(look.shards, to, limits).map(|steps| steps.first().map_or(Move::Done, |next| Move::Ask(*next)))
        }
    }
}
