//! What an append touches, and the tickets that are drawn for it.

use std::collections::{BTreeMap, BTreeSet};

use dial_rules::correlation::affected;
use dial_rules::event::Millis;
use dial_sinks::windows::store::{Addition, WindowItem, WindowKey};

use super::window::Ticket;

/// What is to be appended, by window, with the buckets that it concerns.
#[derive(Debug, Default)]
pub(super) struct Additions(BTreeMap<WindowKey, Added>);

#[derive(Debug, Default)]
struct Added {
    timespan: Millis,
    items: BTreeSet<WindowItem>,
}

/// What an append concerned in one window.
#[derive(Debug)]
pub(super) struct Touch {
    pub(super) window: WindowKey,
    pub(super) buckets: BTreeSet<i64>,
    pub(super) items: u64,
}

impl Additions {
    /// Adds items to a window.
    pub(super) fn add(&mut self, window: WindowKey, timespan: Millis, items: Vec<WindowItem>) {
        let added = self.0.entry(window).or_default();
        added.timespan = added.timespan.max(timespan);
        added.items.extend(items);
    }

    /// As the store takes them, and what they concern.
    pub(super) fn split(self) -> (Vec<Addition>, Vec<Touch>) {
        let mut touches = Vec::new();
        let mut additions = Vec::new();
        for (window, Added { timespan, items }) in self.0 {
            let buckets = items.iter().flat_map(|item| affected(item.time, timespan)).collect();
            touches.push(Touch { window: window.clone(), buckets, items: items.len() as u64 });
            additions.push(Addition { window, timespan, items: items.into_iter().collect() });
        }
        (additions, touches)
    }
}

/// Tickets by window: the last of each, and where a worker has forgotten a window in between, of each memory of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Tickets(BTreeMap<WindowKey, Vec<Ticket>>);

impl Tickets {
    /// Adds one, which takes the place of earlier ones.
    pub(super) fn add(&mut self, ticket: Ticket) {
        let of_window = self.0.entry(ticket.window.key.clone()).or_default();
        of_window.retain(|old| !ticket.is_after(old));
        of_window.push(ticket);
    }

    /// Those of one correlation.
    pub(super) fn of(&self, correlation: &str) -> Vec<Ticket> {
        let first = WindowKey { correlation: correlation.to_owned(), group: String::new() };
        let of_correlation = self.0.range(first..).take_while(|(window, _)| window.correlation == correlation);
        of_correlation.flat_map(|(_, tickets)| tickets.iter().cloned()).collect()
    }

    /// Those of one window.
    pub(super) fn at(&self, window: &WindowKey) -> &[Ticket] {
        self.0.get(window).map_or(&[], Vec::as_slice)
    }

    /// Those of this correlation are served.
    pub(super) fn remove(&mut self, correlation: &str) {
        self.0.retain(|window, _| window.correlation != correlation);
    }

    /// Of how many windows there are some.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
