//! The promises.

use std::collections::BTreeMap;

use dial_sinks::filter::FindingFilter;
use dial_sinks::outbox::store::{BODY_LIMIT, Due, KEY_LIMIT, PROGRESS_LIMIT, Progress, Queue, Row, Settled};
use dial_sinks::store::StoreError;
use futures::{StreamExt, TryStreamExt};
use proptest::prelude::*;

use crate::findings::{NOON, finding};
use crate::model::Model;
use crate::operations::{apply, operation};
use crate::subject::{START, Store, Subject, due_eventually, eventually, row};

pub(crate) fn random_operations_do_what_the_model_does(subject: &Subject) {
    subject.check(&prop::collection::vec(operation(), 1..40), |operations| {
        let store = subject.one();
        let mut model = Model { forgets: subject.forgets, ..Model::default() };
        let mut now = START;
        subject.runtime.block_on(async {
            for operation in operations {
                apply(operation, &store, &mut model, &mut now).await?;
            }
            agrees(&store, &mut model, now).await
        })
    });
}

/// Everything that the store says is what the model says.
async fn agrees(store: &Store, model: &mut Model, now: i64) -> Result<(), TestCaseError> {
    for later in [0, 10_000] {
        for queue in Queue::ALL {
            let expected = model.due(queue, now + later, 1_000);
            prop_assert_eq!(due_eventually(store, queue, now + later, 1_000, &expected).await, expected);
        }
    }
    let ids: Vec<String> = model.findings.keys().cloned().collect();
    prop_assert_eq!(store.owed(&ids).await.unwrap(), model.findings.values().cloned().collect::<Vec<_>>());
    let keys: Vec<String> = model.rows.keys().cloned().collect();
    prop_assert_eq!(store.rows(&keys).await.unwrap(), model.rows.values().cloned().collect::<Vec<_>>());
    for key in keys {
        prop_assert_eq!(store.get(&key).await.unwrap(), None, "a row is no finding");
    }
    let listed = store.list(&FindingFilter { limit: 1_000, ..FindingFilter::default() }).await.unwrap();
    let mut listed: Vec<String> = listed.findings.into_iter().map(|finding| finding.finding_id).collect();
    listed.sort();
    prop_assert_eq!(listed, ids);
    Ok(())
}

pub(crate) fn owing_is_part_of_the_write(subject: &Subject) {
    let store = subject.one();
    subject.runtime.block_on(async {
        let due_at = |at| vec![Due { at, key: "0f".to_owned() }];
        store.record(vec![finding("0f", NOON, "1")]).await.unwrap();
        store.record_owing(vec![finding("0f", NOON, "1")], Some(START)).await.unwrap();
        assert_eq!(due_eventually(&store, Queue::Findings, START, 9, &[]).await, [], "nothing was new");
        store.record_owing(vec![finding("0f", NOON, "2")], Some(START)).await.unwrap();
        assert_eq!(due_eventually(&store, Queue::Findings, START, 9, &due_at(START)).await, due_at(START));
        store.record_owing(vec![finding("0f", NOON, "3")], Some(START + 5)).await.unwrap();
        store.record(vec![finding("0f", NOON, "4")]).await.unwrap();
        assert_eq!(due_eventually(&store, Queue::Findings, START, 9, &due_at(START)).await, due_at(START));
        store.record_owing(vec![finding("0f", NOON, "5")], Some(START - 5)).await.unwrap();
        assert_eq!(due_eventually(&store, Queue::Findings, START, 9, &due_at(START - 5)).await, due_at(START - 5));
        assert_eq!(store.due(Queue::Alerts, START, 9).await.unwrap(), []);
        let owed = store.owed(&["0f".to_owned()]).await.unwrap().remove(0);
        assert_eq!((owed.version, owed.revision, owed.due), (5, 0, Some(START - 5)));
    });
}

pub(crate) fn an_empty_outbox_answers(subject: &Subject) {
    let store = subject.one();
    subject.runtime.block_on(async {
        for queue in Queue::ALL {
            for (now, limit) in [(START, 0), (START, usize::MAX), (-1, 9), (i64::MIN, 9), (i64::MAX, 9)] {
                assert_eq!(store.due(queue, now, limit).await.unwrap(), []);
            }
        }
        let odd: Vec<String> = ["", "#", "#days", "0f", "0f", "it's \u{0}"].map(str::to_owned).into();
        assert_eq!(store.owed(&odd).await.unwrap(), []);
        assert_eq!(store.rows(&odd).await.unwrap(), []);
        assert_eq!((store.owed(&[]).await.unwrap(), store.rows(&[]).await.unwrap()), (vec![], vec![]));
        let nothing = |id: &String| Settled {
            finding_id: id.clone(),
            version: 1,
            revision: 0,
            progress: BTreeMap::new(),
            due: Some(START),
        };
        assert_eq!(store.settle(odd.iter().map(nothing).collect()).await.unwrap(), vec![false; odd.len()]);
        assert_eq!(store.settle(vec![]).await.unwrap(), Vec::<bool>::new());
        for key in &odd {
            assert!(!store.delete(key, 0).await.unwrap() && !store.delete(key, u64::MAX).await.unwrap());
        }
        assert!(!store.write(&Row { revision: u64::MAX, ..row("#0", "") }).await.unwrap());
        assert_eq!(store.get("0f").await.unwrap(), None, "settling makes no finding");
    });
}

/// Many rows in three queues come out in order, in any portion, and leave as they are settled.
pub(crate) fn many_are_due_in_order(subject: &Subject) {
    let store = subject.one();
    let key = |i: usize| format!("#alert:{i}");
    // Ties, and an order that is neither that of keys nor that of writes.
    let at = |i: usize| START + i64::try_from(i * 7_919 % 1_009).unwrap();
    let queue = |i: usize| if i.is_multiple_of(10) { Queue::Dead } else { Queue::Alerts };
    subject.runtime.block_on(async {
        let write = |i: usize| {
            let (store, row) = (store.clone(), Row { due: Some((queue(i), at(i))), ..row(&key(i), "{}") });
            async move { store.write(&row).await.map(|written| assert!(written)) }
        };
        futures::stream::iter((0..subject.many).map(write)).buffer_unordered(16).try_collect::<()>().await.unwrap();
        let ordered = |of: Queue, now: i64| {
            let of_queue = (0..subject.many).filter(|&i| queue(i) == of && at(i) <= now);
            let mut due: Vec<Due> = of_queue.map(|i| Due { at: at(i), key: key(i) }).collect();
            due.sort();
            due
        };
        for (of, now) in [(Queue::Alerts, START + 2_000), (Queue::Dead, START + 500), (Queue::Alerts, START + 3)] {
            let all = ordered(of, now);
            assert!(!all.is_empty());
            for limit in [1, 17, 100, subject.many] {
                let expected = &all[..limit.min(all.len())];
                assert_eq!(due_eventually(&store, of, now, limit, expected).await, expected, "{of:?} {limit}");
            }
        }
        // Whoever takes the first hundred again and again meets each of them once.
        let (mut taken, all) = (0, ordered(Queue::Dead, START + 2_000));
        while taken < all.len() {
            let portion = &all[taken..(taken + 100).min(all.len())];
            assert_eq!(due_eventually(&store, Queue::Dead, START + 2_000, 100, portion).await, portion);
            for due in portion {
                assert!(store.delete(&due.key, 1).await.unwrap());
            }
            taken += portion.len();
        }
        assert_eq!(due_eventually(&store, Queue::Dead, START + 2_000, 100, &[]).await, []);
    });
}

/// What has expired hides nothing behind it, and may be written over.
pub(crate) fn expired_rows_are_out_of_the_way(subject: &Subject) {
    let store = subject.one();
    subject.runtime.block_on(async {
        for i in 0..200 {
            let (due, expires) = (Some((Queue::Alerts, START + i)), Some(START + 1_000 + i));
            assert!(store.write(&Row { due, expires, ..row(&format!("#{i}"), "{}") }).await.unwrap());
        }
        let lasts = Row { due: Some((Queue::Alerts, START + 9_999)), ..row("#lasts", "{}") };
        assert!(store.write(&lasts).await.unwrap());
        // Whoever looks at all that waits does not do so at the end of time, and takes nothing away.
        let all = eventually(async || store.waiting(Queue::Alerts, 9).await.unwrap(), |all| !all.is_empty()).await;
        assert_eq!(all, [Due { at: START + 9_999, key: "#lasts".to_owned() }]);
        assert_eq!(store.rows(&["#7".to_owned()]).await.unwrap().len(), 1);
        let due = |keys: &[i64]| keys.iter().map(|i| Due { at: START + i, key: format!("#{i}") }).collect::<Vec<_>>();
        assert_eq!(due_eventually(&store, Queue::Alerts, START + 1_000, 2, &due(&[1, 2])).await, due(&[1, 2]));
        let last = due(&[198, 199]);
        assert_eq!(due_eventually(&store, Queue::Alerts, START + 1_197, 3, &last).await, last);
        let expired = store.rows(&["#7".to_owned()]).await.unwrap();
        assert_eq!(expired.is_empty(), subject.forgets);
        assert!(expired.iter().all(|row| row.is_expired(START + 1_007) && !row.is_expired(START + 1_006)));
        let revision = expired.first().map_or(0, |row| row.revision);
        assert!(store.write(&Row { revision, due: Some((Queue::Dead, START)), ..row("#7", "again") }).await.unwrap());
        let again = store.rows(&["#7".to_owned()]).await.unwrap().remove(0);
        assert_eq!((again.body.as_str(), again.expires, again.revision), ("again", None, revision + 1));
        assert_eq!(
            due_eventually(&store, Queue::Dead, i64::MAX, 9, &[Due { at: START, key: "#7".to_owned() }]).await.len(),
            1
        );
    });
}

fn refusal(error: StoreError, words: &str) {
    let text = error.to_string();
    assert!(matches!(error, StoreError::Row { .. }) && text.contains(words) && text.len() < 600, "{text}");
}

pub(crate) fn rows_have_limits(subject: &Subject) {
    let store = subject.one();
    subject.runtime.block_on(async {
        let long = |bytes: usize| format!("#{}", "k".repeat(bytes - 1));
        let largest = row(&long(KEY_LIMIT), &"é".repeat(BODY_LIMIT / 2));
        let largest = Row { due: Some((Queue::Findings, i64::MAX - 1)), expires: Some(i64::MAX), ..largest };
        assert!(store.write(&largest).await.unwrap());
        assert_eq!(
            store.rows(std::slice::from_ref(&largest.key)).await.unwrap(),
            [Row { revision: 1, ..largest.clone() }]
        );
        let all = [Due { at: i64::MAX - 1, key: largest.key.clone() }];
        assert_eq!(due_eventually(&store, Queue::Findings, i64::MAX - 1, 9, &all).await, all);
        refusal(store.write(&row(&long(KEY_LIMIT + 1), "")).await.unwrap_err(), "513 bytes, 512 are allowed");
        let body = "x".repeat(BODY_LIMIT + 1);
        refusal(store.write(&row("#0", &body)).await.unwrap_err(), "its body has 307201 bytes, 307200 are allowed");
        for key in ["", "#", "0f", "#days", "\n#"] {
            refusal(store.write(&row(key, "")).await.unwrap_err(), "a key begins with `#`");
        }
        assert_eq!(store.rows(&["#0".to_owned(), "#days".to_owned()]).await.unwrap(), []);
    });
}

/// The largest finding with the largest progress fits its row, and a larger progress is refused by name.
pub(crate) fn progress_has_a_limit(subject: &Subject) {
    let store = subject.one();
    subject.runtime.block_on(async {
        let mut large = finding("0f", NOON, "1");
        let evidence = large.evidence.first().unwrap().clone();
        while serde_json::to_string(&large).unwrap().len() < 344 * 1024 {
            for i in 0..20 {
                let rule_id = format!("rule-{}-{i}", large.evidence.len());
                large.evidence.insert(dial_rules::finding::Evidence { rule_id, ..evidence.clone() });
            }
        }
        store.record_owing(vec![large, finding("1e", NOON, "1")], Some(START)).await.unwrap();
        let progress = |bytes: usize| {
            let alert =
                |alert: String| BTreeMap::from([("sink".to_owned(), Progress { alert, version: 1, delivered: None })]);
            let frame = serde_json::to_string(&alert(String::new())).unwrap().len();
            alert("a".repeat(bytes - frame))
        };
        let settled = |bytes| Settled {
            finding_id: "0f".to_owned(),
            version: 1,
            revision: 0,
            progress: progress(bytes),
            due: Some(START),
        };
        refusal(store.settle(vec![settled(PROGRESS_LIMIT + 1)]).await.unwrap_err(), "40961 bytes, 40960 are allowed");
        assert_eq!(store.settle(vec![settled(PROGRESS_LIMIT)]).await.unwrap(), [true]);
        let owed = store.owed(&["0f".to_owned()]).await.unwrap().remove(0);
        assert_eq!((owed.revision, owed.progress), (1, progress(PROGRESS_LIMIT)));
    });
}

/// At its first writing and later: what was recorded, settled or written meanwhile is never overwritten by what was read
/// before.
pub(crate) fn who_read_too_early_changes_nothing(subject: &Subject) {
    let store = subject.one();
    subject.runtime.block_on(async {
        let settled = |version, revision| Settled {
            finding_id: "0f".to_owned(),
            version,
            revision,
            progress: BTreeMap::new(),
            due: None,
        };
        store.record_owing(vec![finding("0f", NOON, "1")], Some(START)).await.unwrap();
        for (version, revision) in [(1, 0), (2, 1), (3, 2)] {
            let event = format!("more {version}");
            store.record_owing(vec![finding("0f", NOON, &event)], Some(START)).await.unwrap();
            let stale = [(version, revision), (version + 2, revision), (version + 1, revision + 1)];
            for (version, revision) in stale {
                assert_eq!(store.settle(vec![settled(version, revision)]).await.unwrap(), [false]);
            }
            let owed = store.owed(&["0f".to_owned()]).await.unwrap().remove(0);
            assert_eq!((owed.version, owed.revision, owed.due), (version + 1, revision, Some(START)));
            assert_eq!(store.settle(vec![settled(version + 1, revision)]).await.unwrap(), [true]);
            assert_eq!(store.settle(vec![settled(version + 1, revision)]).await.unwrap(), [false]);
            assert_eq!(store.owed(&["0f".to_owned()]).await.unwrap().remove(0).due, None);
        }
        for revision in 0..3 {
            assert!(store.write(&Row { revision, ..row("#0", &revision.to_string()) }).await.unwrap());
            for stale in (0..9).filter(|stale| *stale != revision + 1) {
                assert!(!store.write(&Row { revision: stale, ..row("#0", "stale") }).await.unwrap());
                assert!(!store.delete("#0", stale).await.unwrap());
            }
            let kept = store.rows(&["#0".to_owned()]).await.unwrap().remove(0);
            assert_eq!((kept.revision, kept.body), (revision + 1, revision.to_string()));
        }
        assert!(store.delete("#0", 3).await.unwrap() && store.write(&row("#0", "anew")).await.unwrap());
    });
}
