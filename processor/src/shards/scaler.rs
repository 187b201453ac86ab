//! Changing the number of shards, step by step, until it is what it is to be.

use std::time::Duration;

use dial_ingest::resharding::{Asked, Look, Move, Refusal, StreamStatus, calls_left, next_call, next_move};
use dial_ingest::scaling::Limits;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::admin::{AdminError, AdminErrorKind, StreamAdmin};
use super::history;

/// How often the stream is looked at. `DescribeStreamSummary` may be called 20 times a second, by everybody.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// So many failures in a row are waited out: a minute.
const MOST_FAILURES: u32 = 30;

/// What happens on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Kinesis was asked for so many shards, of so many.
    Asked { from: u32, to: u32 },
    /// The stream is being changed, or not yet described as changed.
    Waiting { shards: u32, status: StreamStatus },
    /// A call failed and will be made again.
    Again(AdminError),
    /// The times of the calls cannot be kept; Kinesis counts them anyway.
    Unnoted(AdminError),
}

/// Why it is not as it is to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScaleError {
    /// Kinesis would refuse.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Kinesis sizes the stream itself.
    #[error("the stream is in on-demand mode, in which Kinesis chooses the number of shards itself")]
    OnDemand,
    /// Kinesis refused, for a reason that could not be known before.
    #[error(
        "Kinesis refuses to change the number of shards: {0}. It takes ten changes in 24 hours, whoever makes them; those that this \
         command did not make are not known here"
    )]
    Limit(AdminError),
    /// A call failed.
    #[error(transparent)]
    Failed(AdminError),
    /// It was stopped.
    #[error("stopped with {shards} shards{}", asked.map(|to| format!("; Kinesis is at work on {to}")).unwrap_or_default())]
    Stopped {
        /// As of the last look.
        shards: u32,
        /// What Kinesis was asked for and has not finished.
        asked: Option<u32>,
    },
}

/// Changes the number of shards of one stream.
pub(crate) struct Scaler<'a> {
    pub(crate) admin: &'a dyn StreamAdmin,
    pub(crate) limits: Limits,
    /// The time, in milliseconds since the Unix epoch.
    pub(crate) clock: &'a (dyn Fn() -> i64 + Sync),
    /// Is told what happens.
    pub(crate) tell: &'a (dyn Fn(&Step) + Sync),
}

/// What is remembered between two looks.
#[derive(Default)]
struct Journey {
    asked: Option<(u32, Instant)>,
    shards: u32,
    failures: u32,
}

impl Scaler<'_> {
    /// Goes on until the stream has `to` shards and is ACTIVE; how many calls that took.
    ///
    /// # Errors
    /// [`ScaleError`]. Calling again goes on from where it is.
    pub(crate) async fn run(&self, to: u32, stop: &CancellationToken) -> Result<u32, ScaleError> {
        let (mut journey, mut calls) = (Journey::default(), 0);
        loop {
            match self.next(to, &mut journey).await? {
                Move::Done => return Ok(calls),
                Move::Ask(count) => calls += u32::from(self.ask(count, &mut journey).await?),
                Move::Wait => {}
            }
            tokio::select! {
                () = sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => {
                    let asked = journey.asked.map(|(count, _)| count).filter(|count| *count != journey.shards);
                    return Err(ScaleError::Stopped { shards: journey.shards, asked });
                }
            }
        }
    }

    async fn next(&self, to: u32, journey: &mut Journey) -> Result<Move, ScaleError> {
        let view = match self.admin.look().await {
            Ok(view) => view,
            Err(error) => return self.again(error, journey).map(|()| Move::Wait),
        };
        if view.on_demand {
            return Err(ScaleError::OnDemand);
        }
        let Look { shards, status } = view.look;
        journey.shards = shards;
        let asked = journey.asked.map(|(count, when)| Asked { count, ago: when.elapsed() });
        let next = next_move(view.look, asked, to, &self.limits)?;
        if next == Move::Wait {
            (self.tell)(&Step::Waiting { shards, status });
        }
        Ok(next)
    }

    /// Asks for the next step, and whether it may have been taken up.
    async fn ask(&self, count: u32, journey: &mut Journey) -> Result<bool, ScaleError> {
        let before = self.history().await;
        if let Some(before) = &before {
            let now = (self.clock)();
            if calls_left(before, &self.limits, now) == 0 {
                let wait = next_call(before, &self.limits, now);
                return Err(Refusal::CallsUsedUp { calls: self.limits.calls_a_day, wait }.into());
            }
            // Noted before it is made: a call too many in the notes does less harm than one too few. And afterwards the
            // stream is changing, which keeps it from being tagged.
            self.note(&history::with_call(before, now)).await;
        }
        let made = self.admin.update_shard_count(count).await;
        let kind = made.as_ref().err().map(|error| error.kind);
        if matches!(kind, None | Some(AdminErrorKind::Unavailable)) {
            // Without an answer it may have been taken up: the stream will show.
            journey.asked = Some((count, Instant::now()));
            journey.failures = 0;
            (self.tell)(&Step::Asked { from: journey.shards, to: count });
            return Ok(true);
        }
        if let Some(before) = before {
            self.note(&before).await;
        }
        match made {
            Err(error) if error.kind == AdminErrorKind::Limit => Err(ScaleError::Limit(error)),
            Err(error) => self.again(error, journey).map(|()| false),
            Ok(()) => Ok(true),
        }
    }

    /// The calls that were noted; `None` where they cannot be read, and so not be noted.
    async fn history(&self) -> Option<Vec<i64>> {
        self.admin.history().await.inspect_err(|error| (self.tell)(&Step::Unnoted(error.clone()))).ok()
    }

    async fn note(&self, times: &[i64]) {
        if let Err(error) = self.admin.note_history(times).await {
            (self.tell)(&Step::Unnoted(error));
        }
    }

    /// Whether a failure can be waited out.
    fn again(&self, error: AdminError, journey: &mut Journey) -> Result<(), ScaleError> {
        journey.failures += 1;
        let passes =
            matches!(error.kind, AdminErrorKind::Busy | AdminErrorKind::Throttled | AdminErrorKind::Unavailable);
        if !passes || journey.failures > MOST_FAILURES {
            return Err(ScaleError::Failed(error));
        }
        (self.tell)(&Step::Again(error));
        Ok(())
    }
}

#[cfg(test)]
#[path = "scaler_tests.rs"]
mod tests;
