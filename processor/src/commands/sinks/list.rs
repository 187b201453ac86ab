//! `dial sinks list`.

use std::collections::BTreeMap;

use comfy_table::Cell;
use dial_rules::event::rfc3339;
use dial_sinks::archive::ARCHIVE;
use dial_sinks::outbox::alert::Alert;
use dial_sinks::outbox::dead::DeadAlert;
use dial_sinks::outbox::store::{Outbox, Queue};
use serde::Serialize;

use crate::cli::SinksList;
use crate::clock::now;
use crate::failure::{Outcome, Result};
use crate::output::{Output, note, number_cell, plain, thousands};
use crate::settings::Settings;
use crate::stores;

/// Most rows that are looked at.
const MOST: usize = 10_000;
/// Rows that are read together.
const TOGETHER: usize = 100;

/// What is told of a sink.
#[derive(Debug, Default, Serialize)]
struct Report {
    sink: String,
    /// `None` of one that the settings no longer have.
    kind: Option<&'static str>,
    /// Alerts on their way.
    alerts: u64,
    /// Findings that they have yet to name.
    waiting: u64,
    /// Since when the oldest of the alerts that fail does.
    failing_since: Option<String>,
    /// What the last attempt that failed did.
    last_error: Option<String>,
    /// Alerts that were given up.
    dead: u64,
}

pub(super) async fn list(args: SinksList, settings: &Settings, output: &Output) -> Result<Outcome> {
    let archive = Report { sink: ARCHIVE.to_owned(), kind: Some(ARCHIVE), ..Report::default() };
    let mut reports: BTreeMap<String, Report> = BTreeMap::from([(archive.sink.clone(), archive)]);
    for (name, sink) in &settings.sinks {
        let kind = sink.kind.map(|kind| kind.as_str());
        reports.insert(name.clone(), Report { sink: name.clone(), kind, ..Report::default() });
    }
    let (mut more, mut left) = (false, 0);
    if let Some(store) = stores::findings(settings, args.data.as_deref()).await? {
        more = look(store.as_ref(), &mut reports).await?;
        left = store.due(Queue::Findings, now(), MOST).await?.len();
    }
    show(reports.into_values().collect(), output)?;
    if settings.sinks.is_empty() && !output.is_json() {
        note("there are no sinks but the archive: add a section [sinks.NAME] to dial.toml; see docs/ALERTS.md");
    }
    if left > 0 {
        let (left, least) = (thousands(left as u64), if left == MOST { " or more" } else { "" });
        note(&format!("{left}{least} findings are owed and nobody has taken them up: is a worker running?"));
    }
    if more {
        note(&format!("there is more: only the first {MOST} rows were counted"));
    }
    Ok(Outcome::Fine)
}

/// Counts what waits and what is dead; says whether there is more than was counted.
async fn look(store: &dyn Outbox, reports: &mut BTreeMap<String, Report>) -> Result<bool> {
    let mut more = false;
    for queue in [Queue::Alerts, Queue::Dead] {
        let due = store.waiting(queue, MOST).await?;
        more |= due.len() == MOST;
        let keys: Vec<String> = due.into_iter().map(|due| due.key).collect();
        for keys in keys.chunks(TOGETHER) {
            for row in store.rows(keys).await? {
                match queue {
                    Queue::Dead => count_dead(&row.body, reports),
                    _ => count(&row.body, reports),
                }
            }
        }
    }
    Ok(more)
}

fn count(body: &str, reports: &mut BTreeMap<String, Report>) {
    let Ok(alert) = serde_json::from_str::<Alert>(body) else { return };
    let sending = alert.sending.as_ref();
    let waiting = alert.waiting.len() + sending.map_or(0, |delivery| delivery.findings.len());
    if waiting == 0 {
        return;
    }
    let report = of(&alert.sink, reports);
    report.alerts += 1;
    report.waiting += waiting as u64;
    let Some(delivery) = sending.filter(|delivery| delivery.failing_since.is_some()) else { return };
    let since = delivery.failing_since.map(rfc3339);
    if report.failing_since.is_none() || since < report.failing_since {
        report.failing_since = since;
    }
    report.last_error = delivery.last_error.clone().or(report.last_error.take());
}

fn count_dead(body: &str, reports: &mut BTreeMap<String, Report>) {
    let Ok(dead) = serde_json::from_str::<DeadAlert>(body) else { return };
    of(&dead.sink, reports).dead += 1;
}

fn of<'r>(sink: &str, reports: &'r mut BTreeMap<String, Report>) -> &'r mut Report {
    reports.entry(sink.to_owned()).or_insert_with(|| Report { sink: sink.to_owned(), ..Report::default() })
}

fn show(reports: Vec<Report>, output: &Output) -> Result<()> {
    if output.is_json() {
        return reports.iter().try_for_each(|report| output.json(report));
    }
    let row = |report: Report| {
        let state = match (&report.last_error, report.dead, report.alerts) {
            (Some(error), ..) => {
                format!("failing since {}: {}", report.failing_since.unwrap_or_default(), plain(error))
            }
            (None, 0, 0) if report.sink == ARCHIVE => "all is archived".to_owned(),
            (None, 0, 0) => "all is delivered".to_owned(),
            (None, 0, _) => "on its way".to_owned(),
            (None, ..) => "has dead letters: see `dial dead-letters list --kind alert`".to_owned(),
        };
        vec![
            Cell::new(plain(&report.sink)),
            Cell::new(report.kind.unwrap_or("gone from the settings")),
            number_cell(report.alerts),
            number_cell(report.waiting),
            number_cell(report.dead),
            Cell::new(state),
        ]
    };
    output.table(&["sink", "kind", "alerts", "findings waiting", "dead", "state"], reports.into_iter().map(row))
}
