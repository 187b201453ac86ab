use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::outbox::store::BODY_LIMIT;

fn storm() -> Group {
    Group::Storm { rule_id: "r".to_owned() }
}

fn of(ids: &[&str]) -> BTreeMap<String, u64> {
    ids.iter().map(|id| ((*id).to_owned(), 1)).collect()
}

fn down() -> SendError {
    SendError::Unavailable("down".to_owned())
}

/// An alert with these findings waiting, at time 0.
fn with(ids: &[&str]) -> Alert {
    let mut alert = Alert::new("slack", storm(), 0);
    assert!(alert.join(&of(ids), 0, &Pace::default()).is_empty());
    alert
}

#[test]
fn what_joins_during_a_delivery_waits_for_the_next() {
    let (mut alert, pace) = (with(&["1", "2"]), Pace::default());
    let first = alert.claim("w", 5).unwrap();
    alert.join(&BTreeMap::from([("2".to_owned(), 2), ("3".to_owned(), 1)]), 6, &pace);
    assert_eq!(alert.delivered(&first.key, Some(Handle("ts".to_owned())), 7), Some(of(&["1", "2"])));
    assert_eq!(alert.waiting, BTreeMap::from([("2".to_owned(), 2), ("3".to_owned(), 1)]));
    assert_eq!((alert.told, alert.due(Growth::Updates, &pace)), (2, Some(10_007)));
    assert_eq!(alert.due(Growth::Digests, &pace), Some(900_007));
    let second = alert.claim("w", 10_007).unwrap();
    assert_ne!(second.key, first.key);
    assert_eq!(alert.delivered(&first.key, None, 8), None, "settled already");
    alert.delivered(&second.key, None, 10_010).unwrap();
    assert_eq!((alert.told, alert.handle.clone()), (3, Some(Handle("ts".to_owned()))));
    assert_eq!(alert.due(Growth::Updates, &pace), None);
}

#[test]
fn joining_again_after_a_crash_changes_nothing() {
    let (mut alert, pace) = (with(&["1"]), Pace::default());
    for at in [1, 2, 3, 2 * 3_600_000] {
        let before = alert.clone();
        alert.join(&of(&["1"]), at, &pace);
        assert_eq!(alert, before, "at {at}");
        if let Some(delivery) = alert.claim("w", at).filter(|_| at == 2) {
            alert.delivered(&delivery.key, None, at);
        } else {
            alert = before;
        }
    }
}

#[test]
fn a_claim_keeps_others_out_until_it_ends_and_the_key_stays() {
    let mut alert = with(&["1"]);
    let ours = alert.claim("w1", 0).unwrap();
    assert_eq!(alert.claim("w2", 29_999), None);
    assert_eq!(alert.due(Growth::Updates, &Pace::default()), Some(30_000));
    let theirs = alert.claim("w2", 30_000).unwrap();
    assert_eq!((&theirs.key, &theirs.findings, theirs.attempts), (&ours.key, &ours.findings, 1));
    assert_eq!(alert.failed(&ours.key, "w1", &down(), 30_001, 1.0), Failed::Stale, "it lost the right");
    assert!(alert.delivered(&ours.key, None, 30_002).is_some(), "it arrived all the same");
    assert!(alert.is_quiet());
}

#[test]
fn pauses_double_up_to_ten_minutes_and_a_sink_is_believed_for_a_day() {
    let mut alert = with(&["1"]);
    let (mut now, mut pauses) = (0, Vec::new());
    for _ in 0..12 {
        let delivery = alert.claim("w", now).unwrap();
        assert_eq!(alert.failed(&delivery.key, "w", &down(), now, 1.0), Failed::Again);
        assert_eq!(alert.claim("w", alert.sending.as_ref().unwrap().not_before - 1), None);
        pauses.push((alert.sending.as_ref().unwrap().not_before - now) / 1_000);
        now = alert.sending.as_ref().unwrap().not_before;
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
    for (told, least, most) in [(1, 300, 602), (3_600, 3_600, 3_602), (10_000_000, 86_400, 86_402)] {
        for chance in [0.0, 1.0] {
            let mut alert = alert.clone();
            let delivery = alert.claim("w", now).unwrap();
            let limited = SendError::Limited { retry_after: Some(Duration::from_secs(told)) };
            alert.failed(&delivery.key, "w", &limited, now, chance);
            let pause = (alert.sending.unwrap().not_before - now) / 1_000;
            assert!((least..=most).contains(&pause), "{told}: {pause}");
        }
    }
}

#[test]
fn it_is_given_up_after_a_day_and_enough_attempts_only() {
    let day = millis(LEAST_TRYING);
    let try_at = |times: &[Millis]| {
        let mut alert = with(&["1"]);
        let mut last = Failed::Again;
        for at in times {
            let delivery = alert.claim("w", *at).unwrap();
            last = alert.failed(&delivery.key, "w", &down(), *at, 1.0);
        }
        last
    };
    assert_eq!(try_at(&[0, day]), Failed::Again, "two attempts are not enough");
    let many: Vec<Millis> = (0..12).map(|n| n * 700_000).collect();
    assert_eq!(try_at(&many), Failed::Again, "two hours are not enough");
    assert_eq!(try_at(&[many.as_slice(), &[day]].concat()), Failed::GiveUp);
    assert_eq!(try_at(&[many.as_slice(), &[day - 1]].concat()), Failed::Again);
}

#[test]
fn after_its_window_a_quiet_alert_begins_anew_with_another_key() {
    let (mut alert, pace, hour) = (with(&["1"]), Pace::default(), 3_600_000);
    let first = alert.claim("w", 0).unwrap();
    alert.join(&of(&["2"]), hour, &pace);
    assert_eq!(alert.generation, 0, "something is pending");
    alert.delivered(&first.key, Some(Handle("ts".to_owned())), hour);
    let (second, thread) = (alert.claim("w", 2 * hour).unwrap(), alert.thread());
    alert.delivered(&second.key, None, 2 * hour);
    alert.join(&of(&["3"]), 2 * hour, &pace);
    assert_eq!((alert.generation, alert.opened, alert.told, alert.handle.clone()), (1, 2 * hour, 0, None));
    assert_eq!(alert.due(Growth::Digests, &pace), Some(2 * hour), "at once");
    assert_ne!(alert.thread(), thread);
    let third = alert.claim("w", 2 * hour).unwrap();
    assert!(![first.key, second.key].contains(&third.key));
    // A row that was forgotten begins anew with generation 0.
    let mut forgotten = Alert::new("slack", storm(), 3 * hour);
    forgotten.join(&of(&["1"]), 3 * hour, &pace);
    assert_ne!(forgotten.claim("w", 3 * hour).unwrap().key, with(&["1"]).claim("w", 0).unwrap().key);
}

proptest! {
    /// Whatever happens in whatever order: nothing that joined is lost, a key names the same findings for ever, and the row
    /// stays small.
    #[test]
    fn nothing_that_joined_is_lost(steps in prop::collection::vec((0_u8..6, 0_usize..12, 1_u64..4, 0_i64..40_000), 1..80)) {
        let pace = Pace { window: Duration::from_secs(60), ..Pace::default() };
        let mut alert = Alert::new("s", storm(), 0);
        let (mut now, mut held): (Millis, Option<Delivery>) = (0, None);
        let mut joined: BTreeMap<String, u64> = BTreeMap::new();
        let mut told: BTreeMap<String, u64> = BTreeMap::new();
        let mut keys: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for (step, id, version, pause) in steps {
            now += pause;
            let claimed = held.clone();
            match step {
                0..=2 => {
                    let one = BTreeMap::from([(id.to_string(), version)]);
                    prop_assert!(alert.join(&one, now, &pace).is_empty());
                    let known = joined.entry(id.to_string()).or_default();
                    *known = version.max(*known);
                }
                3 => {
                    held = alert.claim("w", now).or(claimed);
                    if let Some(delivery) = &held {
                        let said = keys.entry(delivery.key.clone()).or_insert_with(|| delivery.findings.clone());
                        prop_assert_eq!(&*said, &delivery.findings);
                    }
                }
                4 => {
                    if let Some(delivery) = claimed {
                        for (id, version) in alert.delivered(&delivery.key, None, now).unwrap_or_default() {
                            let known = told.entry(id).or_default();
                            *known = version.max(*known);
                        }
                    }
                }
                _ => drop(claimed.map(|delivery| alert.failed(&delivery.key, "w", &down(), now, 0.5))),
            }
            let sending = alert.sending.iter().flat_map(|delivery| &delivery.findings);
            for (id, version) in &joined {
                let on_its_way = alert.waiting.iter().chain(sending.clone()).chain(&told);
                let best = on_its_way.filter(|(other, _)| *other == id).map(|(_, version)| *version).max();
                prop_assert!(best >= Some(*version), "{} in version {} is lost", id, version);
            }
        }
    }

    #[test]
    fn a_row_stays_small(ids in prop::collection::vec("[\\PC\u{0}-\u{1f}\"\\\\]{0,300}", 0..400), many in 0..5_000_usize) {
        let mut alert = Alert::new("s", storm(), 0);
        let all: BTreeMap<String, u64> =
            ids.into_iter().chain((0..many).map(|n| format!("{n:032}"))).map(|id| (id, u64::MAX)).collect();
        for at in 0..3 {
            let shifted = all.iter().map(|(id, version)| (id.clone(), version - 2 + at)).collect();
            let refused = alert.join(&shifted, 0, &Pace::default());
            prop_assert!(alert.waiting.len() <= MOST_WAITING);
            prop_assert!(all.keys().all(|id| refused.contains(id) != alert.holds(id, u64::MAX - 2 + at)));
            if let Some(delivery) = alert.claim("w", 0) {
                if at == 0 {
                    alert.delivered(&delivery.key, Some(Handle("h".repeat(5_000))), 0);
                } else {
                    let error = SendError::Rejected("\u{1}".repeat(100_000));
                    alert.failed(&delivery.key, "w", &error, 0, 0.0);
                }
            }
        }
        let body = serde_json::to_string(&alert).unwrap();
        prop_assert!(body.len() < BODY_LIMIT - 20_000, "{} bytes", body.len());
        prop_assert_eq!(serde_json::from_str::<Alert>(&body).unwrap(), alert);
    }
}
