use std::collections::BTreeMap;

use dial_sinks::memory::MemoryFindingStore;
use dial_sinks::outbox::alert::Group;
use dial_sinks::outbox::pace::Pace;
use dial_sinks::outbox::store::{Queue, Row, Settled};
use dial_sinks::samples::{SampleKind, sample_at};
use dial_sinks::sink::SendError;
use dial_sinks::store::FindingStore;

use super::*;

const T0: Millis = 1_777_600_000_000;
const KEY: &str = "#alert:0:soc";

/// A store with one finding that has joined an alert for `soc`, and the finding's id.
async fn joined() -> (MemoryFindingStore, String, Alert) {
    let store = MemoryFindingStore::default();
    let finding = sample_at(SampleKind::Single, T0).lead.finding;
    let id = finding.finding_id.clone();
    store.record_owing(vec![finding], Some(T0)).await.unwrap();
    let mut alert = Alert::new("soc", Group::Storm { rule_id: "r".to_owned() }, T0);
    alert.join(&BTreeMap::from([(id.clone(), 1)]), T0, &Pace::default());
    settle(&store, &id, None).await;
    (store, id, alert)
}

/// The finding knows of the alert, and when it arrived.
async fn settle(store: &MemoryFindingStore, id: &str, delivered: Option<Millis>) {
    let owed = store.owed(&[id.to_owned()]).await.unwrap().remove(0);
    let progress = Progress { alert: KEY.to_owned(), version: 1, delivered };
    let settled = Settled {
        finding_id: id.to_owned(),
        version: owed.version,
        revision: owed.revision,
        progress: BTreeMap::from([("soc".to_owned(), progress)]),
        due: None,
    };
    assert_eq!(store.settle(vec![settled]).await.unwrap(), [true]);
}

async fn keep(store: &MemoryFindingStore, alert: &Alert, due: Option<Millis>) {
    let revision = store.rows(&[KEY.to_owned()]).await.unwrap().pop().map_or(0, |row| row.revision);
    let body = serde_json::to_string(alert).unwrap();
    let due = due.map(|at| (Queue::Alerts, at));
    assert!(store.write(&Row { key: KEY.to_owned(), body, revision, due, expires: None }).await.unwrap());
}

async fn state_of(store: &MemoryFindingStore, id: &str) -> State {
    let standings = standings(store, id).await.unwrap();
    assert_eq!(standings.len(), 1, "{standings:?}");
    assert_eq!(standings[0].sink.as_deref(), Some("soc"));
    standings[0].state.clone()
}

#[tokio::test]
async fn each_step_on_the_way_is_told() {
    let (store, id, mut alert) = joined().await;
    assert_eq!(state_of(&store, &id).await, State::Unknown);
    keep(&store, &alert, Some(T0 + 5)).await;
    assert_eq!(state_of(&store, &id).await, State::Waiting { until: Some(T0 + 5) });
    let delivery = alert.claim("w", T0).unwrap();
    keep(&store, &alert, None).await;
    assert_eq!(state_of(&store, &id).await, State::Sending);
    alert.failed(&delivery.key, "w", &SendError::Slow, T0 + 10, 0.0);
    keep(&store, &alert, None).await;
    let failing = state_of(&store, &id).await;
    let State::Failing { since, attempts: 1, error: Some(error), again } = failing else { panic!("{failing:?}") };
    assert_eq!((since, error.as_str()), (T0 + 10, "it did not answer in time"));
    assert!(again > since);
    // The alert knows, the finding not yet.
    alert.delivered(&delivery.key, None, T0 + 20);
    keep(&store, &alert, None).await;
    assert_eq!(state_of(&store, &id).await, State::Delivered { at: T0 + 20 });
    // The finding knows, and the alert is begun anew for others.
    settle(&store, &id, Some(T0 + 21)).await;
    keep(&store, &Alert::new("soc", alert.group.clone(), T0 + 30), None).await;
    assert_eq!(state_of(&store, &id).await, State::Delivered { at: T0 + 21 });
    // What waits comes before what arrived.
    alert.join(&BTreeMap::from([(id.clone(), 2)]), T0 + 40, &Pace::default());
    keep(&store, &alert, None).await;
    assert_eq!(state_of(&store, &id).await, State::Waiting { until: None });
}

#[tokio::test]
async fn what_was_given_up_names_its_dead_letter() {
    let (store, id, mut alert) = joined().await;
    let delivery = alert.claim("w", T0).unwrap();
    let mut dead = DeadAlert { sink: "soc".to_owned(), alert: alert.clone(), delivery, given_up: T0 + 50 };
    dead.delivery.last_error = Some("it is out of reach: gone".to_owned());
    alert.given_up(&dead.delivery.key);
    keep(&store, &alert, None).await;
    assert_eq!(state_of(&store, &id).await, State::Unknown);
    let key = format!("#dead:{}", dead.delivery.key);
    let body = serde_json::to_string(&dead).unwrap();
    let due = Some((Queue::Dead, dead.given_up));
    store.write(&Row { key, body, revision: 0, due, expires: None }).await.unwrap();
    let state = state_of(&store, &id).await;
    let standing = Standing { sink: Some("soc".to_owned()), state };
    let words = standing.words(rfc3339);
    assert!(words.contains("given up") && words.contains("out of reach") && words.contains(&dead.delivery.key));
    let json = serde_json::to_value(&standing).unwrap();
    assert_eq!((json["sink"].as_str(), json["state"].as_str()), (Some("soc"), Some("given_up")));
    assert_eq!(json["at"], rfc3339(T0 + 50));
}

#[tokio::test]
async fn what_nobody_has_taken_up_is_owed() {
    let store = MemoryFindingStore::default();
    let finding = sample_at(SampleKind::Single, T0).lead.finding;
    let id = finding.finding_id.clone();
    store.record(vec![finding.clone()]).await.unwrap();
    assert_eq!(standings(&store, &id).await.unwrap(), []);
    let mut grown = finding;
    grown.last_seen += 1_000;
    store.record_owing(vec![grown], Some(T0 + 7)).await.unwrap();
    let owed = Standing { sink: None, state: State::Owed { since: T0 + 7 } };
    assert_eq!(standings(&store, &id).await.unwrap(), [owed]);
    assert_eq!(standings(&store, "no such finding").await.unwrap(), []);
}
