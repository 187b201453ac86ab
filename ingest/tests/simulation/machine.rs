//! A process with a clock of its own: a runtime whose time is paused and moved along by the simulation.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use dial_ingest::WorkerError;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Micros};
use crate::ports::{Outbox, Posted};
use crate::wire::Request;

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

impl CutOff {
    pub fn cuts(&self, request: &Request, at: Micros) -> bool {
        at < match request {
            Request::ListShards(_) | Request::Iterator(..) | Request::Records(..) => self.stream_until,
            Request::Effect { .. } => self.effects_until,
            _ => self.leases_until,
        }
    }
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
    /// When it was told to stop.
    pub stopping_since: Option<Micros>,
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
        let (work, over) = (start(shutdown.clone()), outbox.clone());
        let task = runtime.spawn(async move {
            let end = work.await;
            over.farewell();
            end
        });
        drop(entered);
        Self {
            id,
            app,
            name,
            clock,
            reached: clock.born,
            frozen: false,
            stopping_since: None,
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

    /// Lets it work until `until`, or until it makes a call or ends.
    pub fn run(&mut self, until: Micros) {
        let target = self.origin + self.clock.reads(until).saturating_sub(self.lag);
        let outbox = &self.outbox;
        let (called, at) = self.runtime.block_on(async {
            let mut sleep = pin!(sleep_until(target));
            let called = std::future::poll_fn(|cx| {
                if outbox.has_news(cx.waker()) {
                    return Poll::Ready(true);
                }
                sleep.as_mut().poll(cx).map(|()| false)
            });
            (called.await, Instant::now())
        });
        let reached = if called { self.clock.shown_at(self.reading(at)) } else { until };
        self.reached = self.reached.max(reached);
    }

    /// What its clock should read when it reads so.
    fn reading(&self, shown: Instant) -> Duration {
        shown.saturating_duration_since(self.origin) + self.lag
    }

    /// What it has sent, by the true reading of its clock.
    pub fn drain(&mut self) -> Vec<(Duration, Posted)> {
        self.outbox.drain().into_iter().map(|posted| (self.reading(posted.at), posted)).collect()
    }

    /// Goes on and believes that nothing happened, until it looks at its clock. With `stood_still` the clock does not
    /// tell either. Returns for how long it stood still.
    pub fn thaw(&mut self, now: Micros, stood_still: bool) -> Duration {
        let missed = {
            let _entered = self.runtime.enter();
            let shown = Instant::now().saturating_duration_since(self.origin);
            (self.clock.reads(now).saturating_sub(self.lag)).saturating_sub(shown)
        };
        self.frozen = false;
        self.reached = now;
        if stood_still {
            self.lag += missed;
        } else {
            self.runtime.block_on(advance(missed));
        }
        missed
    }

    /// What befalls it at the call that it makes now.
    pub fn doom_of_this_call(&mut self) -> Option<Doom> {
        match self.doom? {
            (0, doom) => {
                self.doom = None;
                Some(doom)
            }
            (calls, doom) => {
                self.doom = Some((calls - 1, doom));
                None
            }
        }
    }

    /// Nothing is in its way any more.
    pub fn calm(&mut self) {
        self.cut_off = CutOff::default();
        self.doom = None;
        self.outbox.calm.store(true, Ordering::Relaxed);
    }

    pub fn stop(&mut self, now: Micros) {
        self.stopping_since = Some(now);
        self.shutdown.cancel();
    }

    pub fn has_ended(&self) -> bool {
        self.task.is_finished() && !self.frozen
    }

    /// How the worker ended.
    pub fn end(&mut self) -> Result<(), String> {
        match self.runtime.block_on(&mut self.task) {
            Ok(end) => end.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }
}
