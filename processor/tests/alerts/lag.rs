//! How far the stream is behind, as `dial shards list` says.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::scene::Scene;

/// How often it is looked at.
const EVERY: Duration = Duration::from_millis(700);

/// Looks at it all the time.
#[derive(Debug)]
pub(crate) struct LagWatch {
    task: JoinHandle<()>,
    samples: Arc<Mutex<Vec<(Instant, u64)>>>,
}

impl LagWatch {
    pub(crate) fn begin(scene: Arc<Scene>) -> LagWatch {
        let samples: Arc<Mutex<Vec<(Instant, u64)>>> = Arc::default();
        let seen = samples.clone();
        let task = tokio::spawn(async move {
            loop {
                sleep(EVERY).await;
                let mut command =
                    tokio::process::Command::from(scene.command(&["shards", "list", "--role", "detect", "--json"]));
                let ended = command.stderr(Stdio::null()).kill_on_drop(true).output().await.unwrap();
                let at = Instant::now();
                let lag = |line: &str| serde_json::from_str::<Value>(line).ok()?["lag_ms"].as_u64();
                let lags = String::from_utf8(ended.stdout).unwrap().lines().filter_map(lag).max();
                seen.lock().unwrap().extend(lags.map(|lag| (at, lag)));
            }
        });
        LagWatch { task, samples }
    }

    /// What was seen, in milliseconds, but for `without`: the time in which a dead worker's shards are nobody's.
    pub(crate) fn end(self, without: (Instant, Instant)) -> Vec<u64> {
        self.task.abort();
        let samples = self.samples.lock().unwrap();
        let counts = samples.iter().filter(|(at, _)| *at < without.0 || *at > without.1);
        let mut lags: Vec<u64> = counts.map(|(_, lag)| *lag).collect();
        lags.sort_unstable();
        lags
    }
}

/// The value below which so many of a hundred lie.
pub(crate) fn percentile(sorted: &[u64], percent: usize) -> u64 {
    sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}
