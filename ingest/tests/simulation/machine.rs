//! A process with a clock of its own: a runtime whose time is paused and moved along by the simulation.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use dial_ingest::WorkerError;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::wire::{Outbox, Posted};

/// Microseconds of the world's time.
pub type Micros = u64;

pub const MILLI: Micros = 1_000;
pub const SECOND: Micros = 1_000_000;

/// How a machine's monotonic clock runs, seen from the world's.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    pub born: Micros,
    /// Too fast by so many parts in a million; negative if too slow.
    pub drift: i64,
}

impl Clock {
    fn rate(self) -> u64 {
        1_000_000_u64.saturating_add_signed(self.drift)
    }

    /// What it reads at a time of the world's.
    pub fn reads(self, at: Micros) -> Duration {
        let nanos = u128::from(at.saturating_sub(self.born)) * u128::from(self.rate()) / 1_000;
        Duration::from_nanos(u64::try_from(nanos).unwrap())
    }

    /// The world's time when it reads so.
    pub fn shown_at(self, reading: Duration) -> Micros {
        self.born + u64::try_from((reading.as_nanos() * 1_000).div_ceil(u128::from(self.rate()))).unwrap()
    }
}

/// What is done to a machine at one of its next calls.
#[derive(Clone, Copy, Debug)]
pub enum Doom {
    Crash,
    /// It stands still for so long. What it is about to send leaves before or after that.
    Freeze {
        time: Micros,
        sent_after: bool,
    },
}

/// Where a machine cannot reach.
#[derive(Clone, Copy, Debug, Default)]
pub struct CutOff {
    pub leases_until: Micros,
    pub stream_until: Micros,
    pub effects_until: Micros,
}

/// One worker of one application on its own machine.
pub struct Machine {
    pub id: usize,
    pub app: usize,
    pub name: String,
    pub clock: Clock,
    /// How far the world's time has come for it.
    pub reached: Micros,
    pub frozen: bool,
    /// When it was told to stop, and when it thawed last.
    pub stopping_since: Option<Micros>,
    pub thawed: Micros,
    /// After so many more calls, this happens.
    pub doom: Option<(u64, Doom)>,
    pub cut_off: CutOff,
    /// When answers to its calls arrive.
    pub due: Vec<Micros>,
    runtime: Runtime,
    origin: Instant,
    /// What its clock has missed: zero, unless clocks are sabotaged.
    lag: Duration,
    task: JoinHandle<Result<(), WorkerError>>,
    shutdown: CancellationToken,
    outbox: Arc<Outbox>,
}

/// Who a machine is.
pub struct Identity {
    pub id: usize,
    pub app: usize,
    pub name: String,
    pub clock: Clock,
}

impl Machine {
    pub fn boot<F>(identity: Identity, outbox: Arc<Outbox>, start: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = Result<(), WorkerError>> + Send + 'static,
    {
        let Identity { id, app, name, clock } = identity;
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let shutdown = CancellationToken::new();
        let entered = runtime.enter();
        let origin = Instant::now();
        let task = runtime.spawn(start(shutdown.clone()));
        drop(entered);
        Self {
            id,
            app,
            name,
            clock,
            reached: clock.born,
            frozen: false,
            stopping_since: None,
            thawed: 0,
            doom: None,
            cut_off: CutOff::default(),
            due: Vec::new(),
            runtime,
            origin,
            lag: Duration::ZERO,
            task,
            shutdown,
            outbox,
        }
    }

    /// Lets it work until `until`, or until it makes a call.
    pub fn run(&mut self, until: Micros) {
        let target = self.origin + self.clock.reads(until).saturating_sub(self.lag);
        let outbox = &self.outbox;
        let called = self.runtime.block_on(async {
            let mut sleep = pin!(sleep_until(target));
            std::future::poll_fn(|cx| {
                if outbox.has_call(cx.waker()) {
                    return Poll::Ready(true);
                }
                sleep.as_mut().poll(cx).map(|()| false)
            })
            .await
        });
        if !called {
            self.reached = until;
        }
    }

    /// What it has sent, by the true reading of its clock.
    pub fn drain(&mut self) -> Vec<(Duration, Posted)> {
        let readings = |posted: Posted| {
            let reading = posted.at.saturating_duration_since(self.origin) + self.lag;
            (reading, posted)
        };
        let drained: Vec<_> = self.outbox.drain().into_iter().map(readings).collect();
        if let Some((reading, _)) = drained.last() {
            self.reached = self.reached.max(self.clock.shown_at(*reading));
        }
        drained
    }

    /// Stands still from now on; time goes on for others.
    pub fn freeze(&mut self) {
        self.frozen = true;
    }

    /// Goes on and believes that nothing happened, until it looks at its clock. With `stood_still` the clock does not
    /// tell either.
    pub fn thaw(&mut self, now: Micros, stood_still: bool) {
        let missed = {
            let _entered = self.runtime.enter();
            let shown = Instant::now().saturating_duration_since(self.origin);
            (self.clock.reads(now).saturating_sub(self.lag)).saturating_sub(shown)
        };
        self.frozen = false;
        self.thawed = now;
        self.reached = now;
        if stood_still {
            self.lag += missed;
        } else {
            self.runtime.block_on(advance(missed));
        }
    }

    pub fn stop(&mut self, now: Micros) {
        self.stopping_since = Some(now);
        self.shutdown.cancel();
    }

    /// How the worker ended, if it did.
    pub fn ended(&mut self) -> Option<Result<(), String>> {
        if !self.task.is_finished() {
            return None;
        }
        let task = &mut self.task;
        Some(match self.runtime.block_on(task) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        })
    }
}
