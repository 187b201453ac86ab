//! `dial compact`.

use std::sync::Arc;

use comfy_table::Cell;
use dial_analytics::compaction::merge::MergeError;
use dial_analytics::compaction::plan::{DayFiles, Policy, Standing};
use dial_analytics::compaction::{CompactError, Compactor, End, Report};
use dial_analytics::layout::Day;
use dial_analytics::store::{ObjectStore, StoreError};
use dial_analytics::table::{TABLES, Table};
use dial_rules::event::rfc3339;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::json;

use crate::cli;
use crate::clock::now;
use crate::failure::{Failure, Outcome, Result};
use crate::output::{Output, counted, note, number_cell, thousands};
use crate::settings::Settings;
use crate::stores;

/// How often a day is planned again that somebody else compacts at the same time.
const ATTEMPTS: usize = 3;
/// What is said where there is nothing to begin with.
const NO_ARCHIVE: &str = "there is no archive yet: `dial run` and `dial scan --archive` write one";
/// What to do about a file that cannot be merged.
const REMEDY: &str = "; restore the file from a backup, or remove it, and compact again; what `dial scan --archive` wrote, a scan \
                      of the same logs writes again";
/// How much later than it is made a switch on S3 takes effect unless told otherwise, in milliseconds.
const S3_MARGIN: i64 = 60_000;

pub(crate) async fn run(args: cli::Compact, settings: &Settings, output: &Output) -> Result<Outcome> {
    let Some((store, on_s3)) = stores::archive_to_compact(settings, args.location.as_deref()).await? else {
        note(NO_ARCHIVE);
        return Ok(Outcome::Fine);
    };
    let days = (args.from.unwrap_or(Day::FIRST), args.to.unwrap_or(Day::LAST));
    if days.0 > days.1 {
        return Err(Failure::Usage(format!("--from {} is after --to {}", days.0, days.1)));
    }
    let policy = Policy {
        closed_after: args.closed_after,
        grace: args.grace,
        margin: args.margin.unwrap_or(if on_s3 { S3_MARGIN } else { 0 }),
        budget: args.budget_mib << 20,
    };
    let mut run = Run { store, policy, dry_run: args.dry_run, output, bar: progress_bar(), told: Told::default() };
    for table in TABLES.into_iter().filter(|table| args.table.is_none_or(|asked| asked.name == table.name)) {
        run.table(table, days).await?;
    }
    if run.told.days == 0 && is_empty(run.store.as_ref()).await? {
        note(NO_ARCHIVE);
        return Ok(Outcome::Fine);
    }
    run.finish()
}

/// Whether there is no object of any table, as in a place that nothing was ever archived in.
async fn is_empty(store: &dyn ObjectStore) -> std::result::Result<bool, StoreError> {
    for table in TABLES {
        if !store.list(&format!("{}/", table.name)).await?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

struct Run<'a> {
    store: Arc<dyn ObjectStore>,
    policy: Policy,
    dry_run: bool,
    output: &'a Output,
    bar: ProgressBar,
    told: Told,
}

/// What is told at the end.
#[derive(Default)]
struct Told {
    rows: Vec<Vec<Cell>>,
    total: Report,
    /// Days that have files.
    days: u64,
    open: u64,
    switching: u64,
    failed: u64,
}

impl Run<'_> {
    async fn table(&mut self, table: &'static Table, days: (Day, Day)) -> Result<()> {
        let store = self.store.clone();
        let compactor = Compactor::new(store.as_ref(), table, self.policy, &now);
        let days = compactor.survey(days).await.map_err(outside)?;
        self.told.days += days.len() as u64;
        let sizes = days.iter().flat_map(|day| day.candidates(now(), &self.policy)).map(|file| file.size);
        let size: u64 = sizes.sum();
        // A bar that nothing moves on says nothing.
        if size > 0 {
            self.bar.inc_length(size);
        }
        for day in &days {
            match day.standing(now(), &self.policy) {
                Standing::Open(_) => self.told.open += 1,
                Standing::Switching(_) => self.told.switching += 1,
                Standing::Closed => {}
            }
            if !day.is_settled(now(), &self.policy) {
                self.day(&compactor, table, day.day()).await?;
            }
        }
        Ok(())
    }

    /// Looks once more, since the days before may have taken long, and does what is to be done.
    async fn day(&mut self, compactor: &Compactor<'_>, table: &Table, day: Day) -> Result<()> {
        self.bar.set_message(format!("{} of {day}", table.name));
        for _ in 0..ATTEMPTS {
            match self.attempt(compactor, day).await {
                Ok(Some(report)) => return self.tell(table, day, &report),
                Ok(None) => {}
                // Another day's files may be whole.
                Err(
                    error @ (CompactError::Merge { .. }
                    | CompactError::Footer(_)
                    | CompactError::Rows { .. }
                    | CompactError::Damaged { .. }),
                ) => {
                    let remedy = if is_unreadable(&error) { REMEDY } else { "" };
                    self.bar.suspend(|| note(&format!("{} of {day} stay as they are: {error}{remedy}", table.name)));
                    self.told.failed += 1;
                    return Ok(());
                }
                Err(error) => return Err(outside(error)),
            }
        }
        self.bar.suspend(|| note(&format!("{} of {day}: somebody else is compacting them", table.name)));
        Ok(())
    }

    /// `None` when somebody else was quicker.
    async fn attempt(&self, compactor: &Compactor<'_>, day: Day) -> std::result::Result<Option<Report>, CompactError> {
        let files: DayFiles = compactor.look(day).await?;
        let Some(actions) = compactor.plan(&files).await? else { return Ok(None) };
        if self.dry_run {
            return Ok(Some(Report::of_plan(&actions)));
        }
        let bar = self.bar.clone();
        let read = move |bytes| bar.inc(bytes);
        match compactor.carry_out(&files, actions, &read).await? {
            End::Done(report) => Ok(Some(report)),
            End::Overtaken => Ok(None),
        }
    }

    fn tell(&mut self, table: &Table, day: Day, report: &Report) -> Result<()> {
        if report.made == 0 && report.removed == 0 {
            return Ok(());
        }
        self.told.total.add(report);
        if self.output.is_json() {
            return self.output.json(&json!({
                "table": table.name, "day": day.to_string(), "dry_run": self.dry_run,
                "files_merged": report.merged, "bytes_merged": report.merged_bytes,
                "files_made": report.made, "files_found": report.found,
                "bytes_made": (!self.dry_run).then_some(report.made_bytes), "rows": report.rows,
                "effective_from": report.effective_from.map(rfc3339),
                "files_removed": report.removed, "bytes_removed": report.removed_bytes,
            }));
        }
        let made = if self.dry_run { "?".to_owned() } else { HumanBytes(report.made_bytes).to_string() };
        self.told.rows.push(vec![
            Cell::new(table.name),
            Cell::new(day),
            number_cell(report.rows),
            number_cell(report.merged),
            Cell::new(HumanBytes(report.merged_bytes)),
            number_cell(report.made),
            Cell::new(made),
            number_cell(report.removed),
        ]);
        Ok(())
    }

    fn finish(self) -> Result<Outcome> {
        self.bar.finish_and_clear();
        let Told { rows, total, days: _, open, switching, failed } = self.told;
        if !rows.is_empty() {
            let titles = ["table", "day", "rows", "files", "size", "become", "size", "deleted"];
            self.output.table(&titles, rows)?;
        }
        let would = if self.dry_run { "would be " } else { "" };
        let mut sentence = match (total.made + total.removed, failed) {
            (0, 0) => "nothing to compact".to_owned(),
            (0, _) => "nothing compacted".to_owned(),
            _ => format!(
                "{} {would}merged into {}, {} deleted",
                counted(total.merged, "file"),
                thousands(total.made),
                thousands(total.removed)
            ),
        };
        for (days, what) in [(open, "not over for long enough"), (switching, "about to switch: look again in a minute")]
        {
            if days > 0 {
                sentence += &format!("; {} {what}", counted(days, "day"));
            }
        }
        note(&sentence);
        Ok(if failed > 0 { Outcome::Outside } else { Outcome::Fine })
    }
}

/// Whether a file is none that could be read; the other errors say themselves what to do.
fn is_unreadable(error: &CompactError) -> bool {
    match error {
        CompactError::Footer(_) => true,
        CompactError::Merge { source, .. } => matches!(source, MergeError::Parquet(_) | MergeError::Arrow(_)),
        _ => false,
    }
}

fn outside(error: CompactError) -> Failure {
    Failure::Outside(error.to_string())
}

fn progress_bar() -> ProgressBar {
    // Hidden by itself when standard error is no terminal.
    let template = "{spinner} {bar:24} {bytes}/{total_bytes}  {msg}  {eta}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}
