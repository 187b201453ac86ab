//! What a set of items comes to, whatever their order and however often each is there. Pure.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use dial_rules::event::Millis;

use super::store::{Addition, ItemPart, LONGEST_BODY, LONGEST_KEY, WindowError, WindowItem, WindowKey};

/// The items of a window: bodies by (time, key).
pub(crate) type Items = BTreeMap<(Millis, String), String>;

/// What one call adds to one window.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// The longest timespan that was given for it.
    pub(crate) timespan: Millis,
    /// Never empty.
    pub(crate) items: Items,
}

/// Adds an item: of two bodies the smaller bytes stay, so that the result depends on no order.
pub(crate) fn settle(items: &mut Items, item: WindowItem) {
    match items.entry((item.time, item.key)) {
        Entry::Vacant(place) => {
            place.insert(item.body);
        }
        Entry::Occupied(mut place) if item.body < *place.get() => {
            place.insert(item.body);
        }
        Entry::Occupied(_) => {}
    }
}

/// The additions by window, repetitions removed; or the first item that is over a limit.
pub(crate) fn coalesce(additions: Vec<Addition>) -> Result<BTreeMap<WindowKey, Settled>, WindowError> {
    let mut windows: BTreeMap<WindowKey, Settled> = BTreeMap::new();
    for Addition { window, timespan, items } in additions {
        for item in &items {
            within_limits(&window, item)?;
        }
        if items.is_empty() {
            continue;
        }
        let settled = windows.entry(window).or_default();
        settled.timespan = settled.timespan.max(timespan);
        for item in items {
            settle(&mut settled.items, item);
        }
    }
    Ok(windows)
}

/// The items in the order in which stores give them.
pub(crate) fn listed(items: Items) -> Vec<WindowItem> {
    items.into_iter().map(|((time, key), body)| WindowItem { time, key, body }).collect()
}

fn within_limits(window: &WindowKey, item: &WindowItem) -> Result<(), WindowError> {
    let lengths = [(ItemPart::Key, item.key.len(), LONGEST_KEY), (ItemPart::Body, item.body.len(), LONGEST_BODY)];
    match lengths.into_iter().find(|(_, bytes, limit)| bytes > limit) {
        None => Ok(()),
        Some((part, bytes, limit)) => Err(WindowError::TooLarge {
            part,
            correlation: window.correlation.clone(),
            key: item.key.chars().take(200).collect(),
            bytes,
            limit,
        }),
    }
}
