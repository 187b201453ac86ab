//! Promises that only workers who get in each other's way can break.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dial_sinks::outbox::store::{Queue, Row, Settled};

use crate::findings::{NOON, finding};
use crate::subject::{START, Store, Subject, due_eventually, row};

const WORKERS: usize = 16;
const ROUNDS: usize = 12;

/// Sixteen workers read a row and write it, again and again: each revision is written by exactly one.
pub(crate) fn each_revision_has_one_writer(subject: &Subject) {
    let stores = subject.several(WORKERS);
    subject.runtime.block_on(async {
        let tasks = stores.iter().cloned().enumerate().map(|(worker, store)| tokio::spawn(write_often(store, worker)));
        let mut writers: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for task in tasks.collect::<Vec<_>>() {
            for (revision, body) in task.await.unwrap() {
                writers.entry(revision).or_default().push(body);
            }
        }
        let last = stores[0].rows(&["#0".to_owned()]).await.unwrap().remove(0);
        assert_eq!(writers.keys().copied().collect::<Vec<_>>(), (1..=last.revision).collect::<Vec<_>>());
        assert!(writers.values().all(|bodies| bodies.len() == 1), "{writers:?}");
        assert_eq!(writers[&last.revision], [last.body]);
        assert!(last.revision >= u64::try_from(ROUNDS).unwrap(), "somebody wins every round");
        assert_eq!(deleted_by(&stores, last.revision).await, 1);
    });
}

async fn write_often(store: Store, worker: usize) -> Vec<(u64, String)> {
    let mut written = Vec::new();
    for round in 0..ROUNDS {
        let read = store.rows(&["#0".to_owned()]).await.unwrap().pop();
        let revision = read.map_or(0, |row| row.revision);
        let body = format!("{worker}-{round}");
        let due = Some((Queue::Alerts, START + i64::try_from(round).unwrap()));
        if store.write(&Row { revision, due, ..row("#0", &body) }).await.unwrap() {
            written.push((revision + 1, body));
        }
    }
    written
}

async fn deleted_by(stores: &[Store], revision: u64) -> usize {
    let deletes = stores.iter().map(|store| store.delete("#0", revision));
    let deleted = futures::future::try_join_all(deletes).await.unwrap();
    deleted.into_iter().filter(|deleted| *deleted).count()
}

/// Workers settle findings while others record more of them. Whoever settled has seen all that was recorded by then, or did
/// not settle: in the end every finding's last version was seen, and nothing is due.
pub(crate) fn settling_never_hides_what_is_recorded(subject: &Subject) {
    const FINDINGS: usize = 5;
    let stores = subject.several(WORKERS);
    let (recorders, settlers) = stores.split_at(WORKERS / 2);
    let recorded = Arc::new(AtomicBool::new(false));
    subject.runtime.block_on(async {
        let settling: Vec<_> =
            settlers.iter().cloned().map(|store| tokio::spawn(settle_often(store, recorded.clone()))).collect();
        let recording = recorders.iter().cloned().enumerate().map(|(worker, store)| {
            tokio::spawn(async move {
                for round in 0..ROUNDS {
                    let event = format!("event-{worker}-{round}");
                    let later = i64::try_from(worker * 100 + round).unwrap();
                    let update = finding(&format!("{:032x}", (worker + round) % FINDINGS), NOON + later, &event);
                    store.record_owing(vec![update], Some(START + later)).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
        });
        for task in recording.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        recorded.store(true, Ordering::SeqCst);
        let mut seen: BTreeSet<(String, u64)> = BTreeSet::new();
        for task in settling {
            seen.extend(task.await.unwrap());
        }
        assert!(seen.len() > FINDINGS, "the workers raced: {seen:?}");
        assert_eq!(due_eventually(&stores[0], Queue::Findings, i64::MAX, 9, &[]).await, []);
        let ids: Vec<String> = (0..FINDINGS).map(|id| format!("{id:032x}")).collect();
        for owed in stores[0].owed(&ids).await.unwrap() {
            let last = (owed.finding.finding_id, owed.version);
            assert!(seen.contains(&last), "{last:?} was never seen, and nothing is owed of it");
        }
    });
}

/// Looks at what is due, and settles it as it was seen; gives what it settled.
async fn settle_often(store: Store, recorded: Arc<AtomicBool>) -> Vec<(String, u64)> {
    let mut seen = Vec::new();
    let mut idle = 0;
    while idle < 20 {
        let last_look = recorded.load(Ordering::SeqCst);
        let due = store.due(Queue::Findings, i64::MAX, 100).await.unwrap();
        let ids: Vec<String> = due.into_iter().map(|due| due.key).collect();
        idle = if ids.is_empty() && last_look { idle + 1 } else { 0 };
        let owed = store.owed(&ids).await.unwrap();
        // Others get their turn between the read and the write.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let settled = owed.into_iter().filter(|owed| owed.due.is_some()).map(|owed| Settled {
            finding_id: owed.finding.finding_id,
            version: owed.version,
            revision: owed.revision,
            progress: owed.progress,
            due: None,
        });
        let settled: Vec<Settled> = settled.collect();
        let done = store.settle(settled.clone()).await.unwrap();
        let done = settled.into_iter().zip(done).filter(|(_, done)| *done);
        seen.extend(done.map(|(settled, _)| (settled.finding_id, settled.version)));
    }
    seen
}
