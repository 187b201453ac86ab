//! What the door has done since the start, for whoever monitors it.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::StatusCode;

use super::keep::Keep;
use crate::monitor::exposition::{Exposition, Kind};

/// Every status that the door answers with.
const STATUSES: [u16; 13] = [200, 202, 400, 401, 403, 404, 405, 408, 413, 415, 429, 500, 503];

/// Counts, shared by all requests.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    by_status: [AtomicU64; STATUSES.len()],
    events: AtomicU64,
    dead_letters: AtomicU64,
    bytes: AtomicU64,
}

/// The counts at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    by_status: [u64; STATUSES.len()],
    events: u64,
    dead_letters: u64,
    bytes: u64,
    backlog: u64,
}

impl Meter {
    /// Counts an answer.
    pub(super) fn answered(&self, status: StatusCode) {
        if let Some(at) = STATUSES.iter().position(|known| *known == status.as_u16()) {
            self.by_status[at].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts what was kept.
    pub(super) fn kept(&self, events: u64, dead_letters: u64, bytes: u64) {
        for (count, more) in [(&self.events, events), (&self.dead_letters, dead_letters), (&self.bytes, bytes)] {
            count.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// The counts as they are, with what lies in `keep`.
    pub(crate) fn read(&self, keep: &dyn Keep) -> Reading {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Reading {
            by_status: self.by_status.each_ref().map(read),
            events: read(&self.events),
            dead_letters: read(&self.dead_letters),
            bytes: read(&self.bytes),
            backlog: keep.backlog(),
        }
    }
}

/// Writes the metrics.
pub(crate) fn render(out: &mut Exposition, reading: &Reading) {
    out.metric(Kind::Counter, "dial_door_requests_total", "Requests, by the status of their answer.");
    for (status, count) in STATUSES.iter().zip(reading.by_status) {
        out.sample(&[("status", &status.to_string())], count);
    }
    for (name, help, value) in [
        ("dial_door_events_total", "Events that were accepted.", reading.events),
        ("dial_door_dead_letters_total", "Parts of accepted bodies that are no events.", reading.dead_letters),
        ("dial_door_body_bytes_total", "Bytes of accepted bodies, as they were sent.", reading.bytes),
    ] {
        out.metric(Kind::Counter, name, help);
        out.sample(&[], value);
    }
    let help = "Bytes that wait: in the inbox to be processed, or with a stream to be confirmed by it.";
    out.metric(Kind::Gauge, "dial_door_backlog_bytes", help);
    out.sample(&[], reading.backlog);
}

#[cfg(test)]
mod tests {
    use super::super::keep::twins::InMemory;
    use super::*;
    use crate::monitor::exposition::parse;

    #[test]
    fn what_is_counted_is_told() {
        let meter = Meter::default();
        for status in [202, 202, 401] {
            meter.answered(StatusCode::from_u16(status).unwrap());
        }
        meter.kept(3, 1, 500);
        let mut out = Exposition::default();
        render(&mut out, &meter.read(&InMemory::default()));
        let samples = parse(&out.into_text());
        let value = |name: &str, status: Option<&str>| {
            let found = samples
                .iter()
                .find(|sample| sample.name == name && sample.labels.get("status").map(String::as_str) == status);
            found.unwrap_or_else(|| panic!("no {name}")).value
        };
        assert_eq!(value("dial_door_requests_total", Some("202")), 2.0);
        assert_eq!(value("dial_door_requests_total", Some("401")), 1.0);
        assert_eq!(value("dial_door_requests_total", Some("503")), 0.0);
        assert_eq!(value("dial_door_events_total", None), 3.0);
        assert_eq!(value("dial_door_dead_letters_total", None), 1.0);
        assert_eq!(value("dial_door_body_bytes_total", None), 500.0);
    }

    #[test]
    fn the_guide_names_every_metric() {
        let guide = include_str!("../../../docs/DOOR.md");
        let mut out = Exposition::default();
        render(&mut out, &Reading::default());
        for sample in parse(&out.into_text()) {
            assert!(guide.contains(&format!("`{}`", sample.name)), "{}", sample.name);
        }
    }
}
