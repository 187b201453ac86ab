//! The detect role itself, with a crash before and after each call that it makes to the stores.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dial_ingest::memory::{MemoryLeases, MemoryStream};
use dial_ingest::{Position, Worker, WorkerConfig};
use dial_rules::ruleset::RuleSet;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::gated::{Fault, Gate, Gated, Stores};
use super::scene::{assumed, by_alice, by_key, chained, correlated, expected, ordered};
use crate::correlator::{Correlator, Ports};
use crate::detector::{Counts, Detect};
use crate::follow_ups::Follower;

/// Lets so many calls begin or end, and then none.
#[derive(Debug)]
struct Fuse {
    left: AtomicUsize,
    blown: CancellationToken,
}

#[async_trait]
impl Gate for Fuse {
    async fn before(&self) {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_err() {
            self.blown.cancel();
            std::future::pending::<()>().await;
        }
    }

    async fn after(&self) {
        self.before().await;
    }
}

/// A worker that lives until its fuse blows, or until it has committed what is in the stream. How many gates were passed.
async fn work(
    rules: &Arc<RuleSet>,
    stores: &Stores,
    stream: &Arc<MemoryStream>,
    leases: &Arc<MemoryLeases>,
    fuse: usize,
) -> usize {
    let gate = Arc::new(Fuse { left: AtomicUsize::new(fuse), blown: CancellationToken::new() });
    let gated = Arc::new(Gated::new(stores.clone(), gate.clone(), Fault::None));
    let (news, _arriving) = mpsc::unbounded_channel();
    let counts = Arc::new(Counts::default());
    let ports = Ports { windows: gated.clone(), actors: gated.clone(), findings: gated.clone(), news: news.clone() };
    let detect = Detect {
        rules: rules.clone(),
        tables: watch::channel(Arc::default()).1,
        findings: gated,
        follower: Follower::new(Correlator::new(rules.clone(), ports, counts.correlation.clone())),
        allowed_lateness: i64::MAX,
        counts,
        news,
    };
    let id = format!("worker-{fuse}");
    let worker =
        Worker::new(WorkerConfig::new(&id), Arc::new(stream.clone()), Arc::new(leases.clone()), Arc::new(detect));
    let running = tokio::spawn(async move { worker.run(CancellationToken::new()).await.unwrap() });
    let done = async {
        let behind = || leases.snapshot().values().filter(|lease| lease.checkpoint == Position::TRIM_HORIZON).count();
        for _ in 0..3_000 {
            if leases.snapshot().len() == 2 && behind() == 0 {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
        panic!("not committed in five minutes");
    };
    tokio::select! {
        () = gate.blown.cancelled() => {}
        () = done => {}
    }
    running.abort();
    let _ = running.await;
    fuse - gate.left.load(Ordering::SeqCst)
}

async fn crashes(rules: Arc<RuleSet>, events: &[Value]) {
    let expected = expected(&rules, events).await;
    assert!(!expected.is_empty());
    let mut fuse = 0;
    loop {
        let (stores, stream, leases) = (Stores::default(), Arc::new(MemoryStream::new(2)), Arc::default());
        for event in events {
            stream.put(event["eventID"].as_str().unwrap(), event.to_string()).unwrap();
        }
        let passed = work(&rules, &stores, &stream, &leases, fuse).await;
        if passed == fuse {
            work(&rules, &stores, &stream, &leases, usize::MAX).await;
        }
        assert_eq!(correlated(&stores.findings, &rules).await, expected, "a crash at gate {fuse}");
        if passed < fuse {
            assert!(fuse > 12, "{fuse}");
            return;
        }
        fuse += 1;
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_crashes_anywhere_loses_nothing() {
    let story =
        [by_alice("a", 1, "First"), by_key("b", 2, "Second", 7), assumed("c", 7, None), by_alice("d", 3, "First")];
    crashes(ordered("dial.actor"), &story).await;
    crashes(chained(), &story).await;
}
