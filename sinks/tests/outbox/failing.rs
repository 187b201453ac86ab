//! The suite over an outbox that fails on purpose: what is promised of each fate, and that patience wins.

use std::sync::Arc;

use dial_sinks::failing::{FailingFindingStore, FailureRates};
use dial_sinks::memory::MemoryFindingStore;
use dial_sinks::outbox::store::{Outbox, Queue, Row, Settled};

use crate::findings::{NOON, finding};
use crate::subject::{START, Store, row};

const NEVER: FailureRates = FailureRates { before: 0.0, halfway: 0.0, after: 0.0 };

fn failing(rates: FailureRates) -> (Store, FailingFindingStore<dyn Outbox>) {
    let store: Store = Arc::new(MemoryFindingStore::new());
    (Arc::clone(&store), FailingFindingStore::new(store, rates, 7))
}

fn settled(id: &str) -> Settled {
    Settled { finding_id: id.to_owned(), version: 1, revision: 0, progress: Default::default(), due: None }
}

/// Records 64 findings, writes a row, and then settles, writes and deletes through failures: how many were settled, and what
/// is left of the row.
async fn fated(rates: FailureRates) -> (usize, Option<Row>, Option<Row>) {
    let (store, failing) = failing(rates);
    let ids: Vec<String> = (0..64).map(|id| format!("{id:032x}")).collect();
    let findings = ids.iter().map(|id| finding(id, NOON, "1")).collect();
    store.record_owing(findings, Some(START)).await.unwrap();
    assert!(store.write(&row("#gone", "{}")).await.unwrap());
    let answer = failing.settle(ids.iter().map(|id| settled(id)).collect()).await;
    assert!(answer.unwrap_err().to_string().contains("injected failure"));
    assert!(failing.write(&row("#new", "{}")).await.is_err());
    assert!(failing.delete("#gone", 1).await.is_err());
    let owed = store.owed(&ids).await.unwrap();
    let mut rows = store.rows(&["#new".to_owned(), "#gone".to_owned()]).await.unwrap();
    let gone = rows.pop_if(|row| row.key == "#gone");
    (owed.iter().filter(|owed| owed.revision == 1).count(), rows.pop(), gone)
}

#[tokio::test]
async fn calls_fail_before_halfway_and_after() {
    let (settled, new, gone) = fated(FailureRates { before: 1.0, ..NEVER }).await;
    assert_eq!((settled, new.is_some(), gone.is_some()), (0, false, true));
    let (settled, new, gone) = fated(FailureRates { after: 1.0, ..NEVER }).await;
    assert_eq!((settled, new.is_some(), gone.is_some()), (64, true, false));
    let (settled, ..) = fated(FailureRates { halfway: 1.0, ..NEVER }).await;
    assert!((10..54).contains(&settled), "{settled}");

    let (store, failing) = failing(FailureRates { halfway: 1.0, ..NEVER });
    let keys: Vec<String> = (0..64).map(|key| format!("#{key}")).collect();
    for key in &keys {
        assert!(failing.write(&row(key, "{}")).await.is_err());
    }
    let written = store.rows(&keys).await.unwrap().len();
    assert!((10..54).contains(&written), "halfway is by chance: {written}");
}

#[tokio::test]
async fn reads_fail_before_only() {
    let (_, failing) = failing(FailureRates { before: 0.5, halfway: 0.0, after: 0.5 });
    let mut failures = 0;
    for _ in 0..100 {
        failures += usize::from(failing.due(Queue::Alerts, START, 9).await.is_err());
        failures += usize::from(failing.owed(&[]).await.is_err());
        failures += usize::from(failing.rows(&[]).await.is_err());
    }
    assert!((100..200).contains(&failures), "{failures}");
}

/// Sixteen workers add themselves to a row until they read that they are in it.
#[tokio::test]
async fn who_reads_again_after_each_failure_loses_nothing() {
    let (store, failing) = failing(FailureRates { before: 0.2, halfway: 0.2, after: 0.2 });
    let failing = Arc::new(failing);
    let join = |worker: usize, failing: Arc<FailingFindingStore<dyn Outbox>>| async move {
        let name = format!("<{worker}>");
        loop {
            let Ok(mut read) = failing.rows(&["#0".to_owned()]).await else { continue };
            let current = read.pop().unwrap_or_else(|| row("#0", ""));
            if current.body.contains(&name) {
                return;
            }
            tokio::task::yield_now().await;
            let body = format!("{}{name}", current.body);
            let _ = failing.write(&Row { body, ..current }).await;
        }
    };
    let tasks: Vec<_> = (0..16).map(|worker| tokio::spawn(join(worker, Arc::clone(&failing)))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    let row = store.rows(&["#0".to_owned()]).await.unwrap().remove(0);
    assert_eq!((row.body.matches('<').count(), row.revision), (16, 16), "{}", row.body);
    assert!(failing.injected() > 10);
}
