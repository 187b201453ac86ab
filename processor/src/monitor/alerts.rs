//! What the outbox of a worker has done since the start, sink by sink.

use std::collections::BTreeMap;
use std::time::Duration;

use dial_rules::event::Millis;
use dial_sinks::outbox::courier::Offers;
use dial_sinks::outbox::health::Health;

use super::exposition::{Exposition, Kind};

/// How sinks are called that alerts name and the settings do not: no sink can have this name.
const ABSENT: &str = "(absent)";

/// The counts at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// How each sink is doing, by name.
    pub(crate) sinks: BTreeMap<String, Health>,
    /// Findings that found no room in memory when they were recorded.
    pub(crate) dropped: u64,
    /// When that was.
    pub(crate) now: Millis,
}

impl Reading {
    /// The counts as they are.
    pub(super) fn of(offers: &Offers, now: Millis) -> Reading {
        let name = |name: String| if name.is_empty() { ABSENT.to_owned() } else { name };
        let sinks = offers.health().into_iter().map(|(sink, health)| (name(sink), health)).collect();
        Reading { sinks, dropped: offers.dropped(), now }
    }

    /// How long the oldest of a sink's alerts has been due.
    fn waiting(&self, health: &Health) -> Duration {
        let millis = health.oldest.map_or(0, |oldest| self.now.saturating_sub(oldest));
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

/// Writes the metrics.
pub(super) fn render(out: &mut Exposition, reading: &Reading) {
    let mut each = |kind, name, help, value: fn(&Health) -> u64| {
        out.metric(kind, name, help);
        reading.sinks.iter().for_each(|(sink, health)| out.sample(&[("sink", sink)], value(health)));
    };
    let help = "Alerts that are due at the sink and not confirmed, as far as this worker knows.";
    each(Kind::Gauge, "dial_alerts_backlog", help, |health| u64::try_from(health.backlog).unwrap_or(u64::MAX));
    let help = "Deliveries that the sink confirmed.";
    each(Kind::Counter, "dial_alerts_delivered_total", help, |health| health.delivered);
    let help = "Attempts at deliveries that failed.";
    each(Kind::Counter, "dial_alert_attempts_failed_total", help, |health| health.failed);
    let help = "Attempts at deliveries that had been attempted before: each may be a duplicate there.";
    each(Kind::Counter, "dial_alert_attempts_repeated_total", help, |health| health.repeated);
    let help = "Deliveries that were given up and are dead letters.";
    each(Kind::Counter, "dial_alerts_given_up_total", help, |health| health.given_up);
    let help = "Whether the sink is left alone after failures: 1 or 0.";
    each(Kind::Gauge, "dial_sink_open", help, |health| u64::from(health.is_left_alone));
    out.metric(Kind::Gauge, "dial_alerts_oldest_seconds", "For how long the oldest alert in the backlog has been due.");
    for (sink, health) in &reading.sinks {
        out.sample(&[("sink", sink)], format_args!("{:.3}", reading.waiting(health).as_secs_f64()));
    }
    let help = "Findings that found no room in memory when they were recorded: a sweep finds their alerts.";
    out.metric(Kind::Counter, "dial_alert_offers_dropped_total", help);
    out.sample(&[], reading.dropped);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dial_rules::assessment::Assessment;
    use dial_rules::finding::Finding;
    use dial_sinks::memory::MemoryFindingStore;
    use dial_sinks::message::Moment;
    use dial_sinks::outbox::clock::Clock;
    use dial_sinks::outbox::courier::{Courier, CourierPorts};
    use dial_sinks::outbox::desk::{Desk, Notes};
    use dial_sinks::outbox::pace::Pace;

    use super::*;
    use crate::monitor::exposition::parse;

    /// Sends nothing anywhere.
    #[derive(Debug)]
    struct Nowhere;

    #[async_trait::async_trait]
    impl Desk for Nowhere {
        async fn assess(&self, _: Vec<Finding>) -> Vec<Assessment> {
            Vec::new()
        }

        fn routes(&self, _: &Assessment) -> std::collections::BTreeSet<String> {
            Default::default()
        }

        fn notes(&self, _: &str) -> Notes {
            Notes::default()
        }

        fn moments(&self, _: &Finding) -> Vec<Moment> {
            Vec::new()
        }
    }

    #[tokio::test]
    async fn what_found_no_room_is_counted() {
        let ports = CourierPorts {
            store: Arc::new(MemoryFindingStore::default()),
            desk: Arc::new(Nowhere),
            sinks: BTreeMap::new(),
            archive: None,
        };
        let courier = Courier::new(ports, Pace::default(), "w", Clock::system());
        let offers = courier.offers();
        // Nobody routes them, and there is room for ten thousand.
        offers.offer((0..10_003).map(|n| n.to_string()));
        let reading = Reading::of(&offers, 0);
        assert_eq!((reading.dropped, reading.sinks.len()), (3, 0));
    }

    #[test]
    fn a_sink_of_no_name_is_told_apart_and_times_ahead_count_as_now() {
        let health = Health { backlog: 1, oldest: Some(5_000), ..Health::default() };
        let reading = Reading { sinks: BTreeMap::from([(ABSENT.to_owned(), health)]), dropped: 0, now: 4_000 };
        let mut out = Exposition::default();
        render(&mut out, &reading);
        let samples = parse(&out.into_text());
        let oldest = samples.iter().find(|sample| sample.name == "dial_alerts_oldest_seconds").unwrap();
        assert_eq!((oldest.labels["sink"].as_str(), oldest.value), ("(absent)", 0.0));
    }
}
