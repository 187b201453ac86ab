//! A worker's metrics, named after the Kinesis Client Library's, so that its operators know them.

use std::time::Duration;

use dial_ingest::health::Processed;
use dial_rules::policy::Status;
use tokio::time::Instant;

use super::alerts;
use super::exposition::{Exposition, Kind};
use super::snapshot::{RoleSnapshot, Snapshot};
use crate::archiver::meter;
use crate::correlator::Correlated;
use crate::door;
use crate::enrich::meter::Reading;
use crate::enrich::source::Fault;

/// Says by its labels which worker it is.
pub(crate) const WORKER_INFO: &str = "dial_worker_info";
/// Of each role and shard: the milliseconds that it is behind.
pub(crate) const MILLIS_BEHIND_LATEST: &str = "dial_millis_behind_latest";
/// Of each role and shard: records processed.
pub(crate) const RECORDS_PROCESSED: &str = "dial_records_processed_total";
/// Of each role and shard: bytes of these.
pub(crate) const DATA_BYTES_PROCESSED: &str = "dial_data_bytes_processed_total";

/// The metrics as Prometheus reads them. The order never changes: by metric, then by role, then by shard.
pub(crate) fn render(snapshot: &Snapshot) -> String {
    let mut out = Exposition::default();
    process(&mut out, snapshot);
    shards(&mut out, snapshot);
    leases(&mut out, snapshot);
    table(&mut out, snapshot);
    detect(&mut out, snapshot);
    archive(&mut out, snapshot);
    context(&mut out, snapshot);
    if let Some(reading) = &snapshot.alerts {
        alerts::render(&mut out, reading);
    }
    if let Some(archive) = &snapshot.archive {
        meter::render(&mut out, archive);
    }
    if let Some(door) = &snapshot.door {
        door::meter::render(&mut out, door);
    }
    out.into_text()
}

fn process(out: &mut Exposition, snapshot: &Snapshot) {
    out.metric(Kind::Gauge, WORKER_INFO, "1; the labels say which worker this is.");
    out.sample(&[("worker", &snapshot.worker_id), ("version", env!("CARGO_PKG_VERSION"))], 1);
    out.metric(Kind::Gauge, "process_start_time_seconds", "When the process started, in seconds since the Unix epoch.");
    out.sample(&[], format_args!("{:.3}", snapshot.started_epoch));
    out.metric(Kind::Gauge, "dial_ready", "Whether /readyz says so: 1 or 0.");
    out.sample(&[], u8::from(snapshot.unready().is_empty()));
}

fn shards(out: &mut Exposition, snapshot: &Snapshot) {
    let help = "How far behind the shard's newest record this role's last answer was.";
    out.metric(Kind::Gauge, MILLIS_BEHIND_LATEST, help);
    for role in &snapshot.roles {
        for (shard, progress) in &role.progress {
            if let Some(millis) = progress.millis_behind_latest {
                out.sample(&[("role", role.name), ("shard", shard)], millis);
            }
        }
    }
    out.metric(Kind::Gauge, "dial_answer_age_seconds", "How long ago an answer of the shard was dealt with.");
    for role in &snapshot.roles {
        for (shard, progress) in &role.progress {
            out.sample(&[("role", role.name), ("shard", shard)], seconds_since(progress.answered, snapshot.now));
        }
    }
    let mut processed = |name, help, count: fn(&Processed) -> u64| {
        out.metric(Kind::Counter, name, help);
        for role in &snapshot.roles {
            for (shard, processed) in &role.health.processed {
                out.sample(&[("role", role.name), ("shard", shard)], count(processed));
            }
        }
    };
    processed(RECORDS_PROCESSED, "Records processed, those in aggregated ones each.", |processed| processed.records);
    processed(DATA_BYTES_PROCESSED, "Bytes of the processed records' data.", |processed| processed.bytes);
}

fn leases(out: &mut Exposition, snapshot: &Snapshot) {
    let mut of_roles = |kind, name, help, value: fn(&RoleSnapshot) -> u64| {
        out.metric(kind, name, help);
        snapshot.roles.iter().for_each(|role| out.sample(&[("role", role.name)], value(role)));
    };
    let held = "Leases that this worker holds.";
    of_roles(Kind::Gauge, "dial_leases_held", held, |role| role.health.held.len() as u64);
    let taken = "Leases that this worker has taken.";
    of_roles(Kind::Counter, "dial_leases_taken_total", taken, |role| role.health.leases_taken);
    let lost = "Leases that this worker has lost: taken by another, or not renewed in time.";
    of_roles(Kind::Counter, "dial_leases_lost_total", lost, |role| role.health.leases_lost);
    out.metric(Kind::Gauge, "dial_lease_renewal_age_seconds", "How long ago a held lease was renewed.");
    for role in &snapshot.roles {
        for (shard, renewed) in &role.health.held {
            out.sample(&[("role", role.name), ("shard", shard)], seconds_since(*renewed, snapshot.now));
        }
    }
}

fn table(out: &mut Exposition, snapshot: &Snapshot) {
    let read = || snapshot.roles.iter().filter_map(|role| Some((role.name, role.health.table?)));
    out.metric(Kind::Gauge, "dial_lease_table_age_seconds", "How long ago the lease table was read.");
    read().for_each(|(role, table)| out.sample(&[("role", role)], seconds_since(table.read, snapshot.now)));
    out.metric(Kind::Gauge, "dial_total_leases", "Leases in the table of shards that are not at their end.");
    read().for_each(|(role, table)| out.sample(&[("role", role)], table.leases));
    let help = "Leases in the table whose owner was silent for the failover time.";
    out.metric(Kind::Gauge, "dial_expired_leases", help);
    read().for_each(|(role, table)| out.sample(&[("role", role)], table.expired));
    out.metric(Kind::Gauge, "dial_num_workers", "Workers that own a lease which has not expired.");
    read().for_each(|(role, table)| out.sample(&[("role", role)], table.workers));
}

fn detect(out: &mut Exposition, snapshot: &Snapshot) {
    // Without a stream there are no roles of their own.
    if !snapshot.roles.is_empty() && !snapshot.roles.iter().any(|role| role.name == "detect") {
        return;
    }
    for (name, help, value) in [
        ("dial_events_total", "Events that rules were evaluated on.", snapshot.done.events),
        ("dial_dead_letters_total", "Records that could not be decoded.", snapshot.done.dead_letters),
        ("dial_new_findings_total", "Findings that nobody had recorded before.", snapshot.done.new_findings),
        ("dial_links_total", "What events taught of who is behind credentials.", snapshot.done.links),
    ] {
        out.metric(Kind::Counter, name, help);
        out.sample(&[], value);
    }
    let help =
        "Matches and links that are not written, and windows that are not evaluated; the checkpoint waits for them.";
    out.metric(Kind::Gauge, "dial_follow_ups_waiting", help);
    out.sample(&[], snapshot.done.waiting);
    correlation(out, &snapshot.done.correlation);
    let help = "New findings by what the policy made of them.";
    out.metric(Kind::Counter, "dial_new_findings_by_status_total", help);
    for (status, count) in Status::ALL.into_iter().zip(snapshot.done.by_status) {
        out.sample(&[("status", status.as_str())], count);
    }
}

fn archive(out: &mut Exposition, snapshot: &Snapshot) {
    if !snapshot.roles.is_empty() && !snapshot.roles.iter().any(|role| role.name == "archive") {
        return;
    }
    let help = "Rows archived under another day than their event says, since that is out of all reason.";
    out.metric(Kind::Counter, "dial_archive_clamped_rows_total", help);
    out.sample(&[], snapshot.done.clamped);
}

fn correlation(out: &mut Exposition, done: &Correlated) {
    for (name, help, value) in [
        ("dial_correlation_filed_total", "Matches filed for correlation, in each window.", done.filed),
        ("dial_correlation_missing_total", "Matches that lack what a correlation groups by or counts.", done.missing),
        ("dial_correlation_left_out_total", "Groups of matches that named too many.", done.left_out),
        ("dial_correlation_late_total", "Matches of events that came too late to be correlated.", done.late),
        ("dial_windows_evaluated_total", "Windows that were evaluated.", done.evaluated),
        ("dial_window_items_read_total", "Matches that were read to evaluate windows.", done.items_read),
        ("dial_new_correlated_findings_total", "Of the new findings, those of correlations.", done.new_findings),
    ] {
        out.metric(Kind::Counter, name, help);
        out.sample(&[], value);
    }
}

fn context(out: &mut Exposition, snapshot: &Snapshot) {
    let sources = &snapshot.sources;
    if sources.is_empty() {
        return;
    }
    let mut each = |kind, name, help, value: fn(&Reading) -> u64| {
        out.metric(kind, name, help);
        sources.iter().for_each(|source| out.sample(&[("source", source.part)], value(source)));
    };
    let counter = Kind::Counter;
    each(counter, "dial_enrich_hits_total", "Look-ups that the cache answered.", |source| source.hits);
    each(counter, "dial_enrich_misses_total", "Look-ups that it did not answer.", |source| source.misses);
    let help = "Of these, look-ups that the source was not asked for: it had failed, or too much was under way.";
    each(counter, "dial_enrich_unasked_total", help, |source| source.unasked);
    each(counter, "dial_enrich_loads_total", "Times that the source was asked.", |source| source.loads);
    each(Kind::Gauge, "dial_enrich_open", "Whether the source is left alone after failures: 1 or 0.", |source| {
        u64::from(source.open)
    });
    each(Kind::Gauge, "dial_enrich_entries", "Answers in the cache.", |source| source.entries);
    each(Kind::Gauge, "dial_enrich_bytes", "Bytes that they take, about.", |source| source.weight);
    let mut seconds = |kind, name, help, value: fn(&Reading) -> Duration| {
        out.metric(kind, name, help);
        for source in sources {
            out.sample(&[("source", source.part)], format_args!("{:.3}", value(source).as_secs_f64()));
        }
    };
    let help = "How long asking took, in all.";
    seconds(counter, "dial_enrich_load_seconds_total", help, |source| source.load_time);
    let help = "How long the longest asking took.";
    seconds(Kind::Gauge, "dial_enrich_load_seconds_max", help, |source| source.longest_load);
    out.metric(counter, "dial_enrich_errors_total", "Times that the source gave no answer, or not to all.");
    for source in sources {
        for (kind, count) in Fault::KINDS.iter().zip(source.faults) {
            out.sample(&[("source", source.part), ("kind", kind)], count);
        }
    }
}

fn seconds_since(time: Instant, now: Instant) -> impl std::fmt::Display {
    format!("{:.3}", now.saturating_duration_since(time).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::super::exposition::parse;
    use super::super::snapshot::tests::snapshot;
    use super::*;

    #[test]
    fn the_text_is_the_golden_one() {
        let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
        let golden = include_str!("golden.prom").replace("version=\"VERSION\"", &version);
        let text = render(&snapshot());
        assert_eq!(text, golden, "if that is intended, golden.prom is to say:\n{text}");
    }

    #[test]
    fn every_line_is_a_comment_or_a_sample_and_every_metric_begins_once() {
        let text = render(&snapshot());
        let comments = text.lines().filter(|line| line.starts_with('#')).count();
        assert_eq!(parse(&text).len() + comments, text.lines().count());
        let mut names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!((names.len(), all * 2), (all, comments));
    }

    #[test]
    fn the_operating_guide_names_every_metric() {
        let guide = include_str!("../../../docs/OPERATING.md");
        for line in render(&snapshot()).lines() {
            let name = line.strip_prefix("# TYPE ").and_then(|rest| rest.split(' ').next());
            assert!(name.is_none_or(|name| guide.contains(&format!("`{name}`"))), "{line}");
        }
    }
}
