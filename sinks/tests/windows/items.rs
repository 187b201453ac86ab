//! Items to add: by hand, and by proptest.

use std::collections::BTreeMap;

use dial_rules::event::Millis;
use dial_sinks::windows::store::{Addition, WindowItem, WindowKey, WindowRange};
use proptest::prelude::*;
use proptest::sample::select;

/// 2026-01-31T12:00:00Z.
pub(crate) const NOON: Millis = 1_769_860_800_000;
/// Ten minutes.
pub(crate) const TIMESPAN: Millis = 600_000;

pub(crate) fn window(group: &str) -> WindowKey {
    WindowKey { correlation: "many-denied-calls".to_owned(), group: group.to_owned() }
}

pub(crate) fn item(time: Millis, key: &str) -> WindowItem {
    WindowItem { time, key: key.to_owned(), body: format!(r#"{{"event_id":"{key}"}}"#) }
}

pub(crate) fn addition(group: &str, items: Vec<WindowItem>) -> Addition {
    Addition { window: window(group), timespan: TIMESPAN, items }
}

pub(crate) fn range(group: &str, from: Millis, to: Millis) -> WindowRange {
    WindowRange { window: window(group), from, to }
}

pub(crate) fn all(group: &str) -> WindowRange {
    range(group, Millis::MIN, Millis::MAX)
}

/// Times around the edges of minutes, with ties, before 1970, and beyond what four digits can say of a year.
pub(crate) fn times() -> impl Strategy<Value = Millis> {
    let near = (-2..3_i64, select(vec![-1, 0, 1, 30_000, 59_999])).prop_map(|(minute, at)| minute * 60_000 + at);
    let noon = near.clone().prop_map(|time| NOON + time);
    let far = select(vec![Millis::MIN, Millis::MAX, -62_167_219_200_001, 253_402_300_800_000]);
    prop_oneof![8 => noon, 8 => near, 1 => far]
}

fn groups() -> impl Strategy<Value = String> {
    select(vec!["alice", "bob", "", "a\u{0}b", "müller/\"x\"'; DROP TABLE window_items; --"]).prop_map(str::to_owned)
}

fn items() -> impl Strategy<Value = WindowItem> {
    let bodies = select(vec!["{}", "", r#"{"a":1}"#, "é\u{0}\"\\", "\u{1F600}"]);
    let keys = select(vec!["", "1", "2", "10", "arn:é\u{0}\"\\"]);
    (times(), keys, bodies).prop_map(|(time, key, body)| WindowItem {
        time,
        key: key.to_owned(),
        body: body.to_owned(),
    })
}

/// Additions of one call.
pub(crate) fn additions() -> impl Strategy<Value = Vec<Addition>> {
    let addition = (groups(), 0..3 * TIMESPAN, prop::collection::vec(items(), 0..8));
    let addition = addition.prop_map(|(group, timespan, items)| Addition { window: window(&group), timespan, items });
    prop::collection::vec(addition, 0..5)
}

/// Ranges of one call, some of them empty.
pub(crate) fn ranges() -> impl Strategy<Value = Vec<WindowRange>> {
    let range = (groups(), times(), times()).prop_map(|(group, from, to)| range(&group, from, to));
    prop::collection::vec(range, 0..5)
}

/// What any store must contain, by the plainest means: a list of all that was ever added.
#[derive(Debug, Default)]
pub(crate) struct Reference(pub(crate) Vec<(WindowKey, WindowItem)>);

impl Reference {
    pub(crate) fn add(&mut self, additions: &[Addition]) {
        for addition in additions {
            self.0.extend(addition.items.iter().map(|item| (addition.window.clone(), item.clone())));
        }
    }

    pub(crate) fn read(&self, range: &WindowRange) -> Vec<WindowItem> {
        let mut found: Vec<WindowItem> = Vec::new();
        for (window, item) in &self.0 {
            if *window == range.window && item.time >= range.from && item.time <= range.to {
                found.push(item.clone());
            }
        }
        // By time, key and body: of equal (time, key) the first has the smallest body.
        found.sort();
        let mut seen = BTreeMap::new();
        found.retain(|item| seen.insert((item.time, item.key.clone()), ()).is_none());
        found
    }
}
