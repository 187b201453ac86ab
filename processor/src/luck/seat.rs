//! A worker's place in a case: the lives that it lives there, one after the other, each with its end.

use std::sync::Arc;
use std::time::Duration;

use dial_ingest::Worker;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::case::{End, Seat};
use super::ports::Gate;

/// How a life ended; also its place among the counts of them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ended {
    /// It died in a call.
    InCall,
    /// It died otherwise.
    Died,
    /// It was stopped.
    Stopped,
}

/// A life that is to be lived.
#[derive(Debug)]
pub(super) struct Life {
    /// The worker's name.
    pub(super) name: String,
    /// Of the gate to its ports.
    pub(super) seed: u64,
    /// `None`: it lives on.
    pub(super) end: Option<End>,
    /// How long until the next one begins.
    pub(super) pause: Duration,
}

impl Seat {
    /// The lives of the `at`th seat, in their order; the last has no end.
    pub(super) fn lives(&self, at: usize) -> Vec<Life> {
        let mut name = format!("worker-{at}");
        let mut lives = Vec::new();
        for (seed, (life, (end, pause, same_name))) in (self.seed..).zip(self.lives.iter().enumerate()) {
            lives.push(Life { name: name.clone(), seed, end: Some(*end), pause: *pause });
            if !same_name {
                name = format!("worker-{at}-{life}");
            }
        }
        lives.push(Life { name, seed: self.seed + self.lives.len() as u64, end: None, pause: Duration::ZERO });
        lives
    }
}

/// One life of the worker that `worker` makes behind a gate. Dropping one that runs is its death.
pub(super) async fn live(
    seed: u64,
    slowest: Duration,
    end: Option<End>,
    worker: impl FnOnce(&Arc<Gate>) -> Worker,
) -> Ended {
    let closes = if let Some(End::Call(calls)) = end { calls } else { usize::MAX };
    let gate = Gate::new(seed, slowest, closes);
    let worker = worker(&gate);
    let stop = CancellationToken::new();
    let running = worker.run(stop.clone());
    tokio::pin!(running);
    match end {
        Some(End::Age(age)) => {
            let died = timeout(age, &mut running).await.is_err();
            assert!(died, "a worker ended by itself");
            Ended::Died
        }
        Some(End::Stop(age)) => {
            let _ = timeout(age, &mut running).await;
            stop.cancel();
            running.await.unwrap();
            Ended::Stopped
        }
        Some(End::Call(_)) | None => {
            tokio::select! {
                ended = &mut running => panic!("a worker ended by itself: {ended:?}"),
                () = gate.closed.notified() => Ended::InCall,
            }
        }
    }
}
