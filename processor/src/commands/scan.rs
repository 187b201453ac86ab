//! `dial scan`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use comfy_table::Cell;
use dial_rules::assessment::Assessment;
use dial_rules::dead_letter::DeadLetter;
use dial_rules::finding::Finding;
use dial_rules::policy::Status;
use dial_rules::ruleset::RuleSet;
use dial_rules::severity::Severity;
use dial_sinks::actors::ActorStore;
use dial_sinks::actors::sqlite::SqliteActorStore;
use dial_sinks::sqlite::SqliteFindingStore;
use dial_sinks::store::FindingStore;
use dial_sinks::windows::sqlite::SqliteWindowStore;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};

use crate::assess::Assessor;
use crate::checked_store::Damaged;
use crate::cli;
use crate::commands::finding::told;
use crate::correlator::Sweep;
use crate::enrich::enricher::Enricher;
use crate::failure::{Failure, Outcome, Result};
use crate::inputs::Inputs;
use crate::link_pile::LinkPile;
use crate::output::{Output, counted, note, number_cell, plain, severity_cell, thousands};
use crate::pile::Pile;
use crate::rule_files::Governed;
use crate::scan::{Progress, Report, Scan};
use crate::scan_archive::{ScanArchive, Tally};
use crate::settings::Settings;
use crate::{clock, context, rule_files, stores};

/// How many dead letters are told one by one.
const LETTERS_TOLD: u64 = 20;
/// How many files are read at a time at most, unless told otherwise, where they are archived.
const ARCHIVING_THREADS: usize = 8;
/// How many damaged files of the archive are told one by one.
const DAMAGED_TOLD: usize = 20;
/// How many of the worst findings a person is shown.
const WORST_SHOWN: usize = 15;

pub(crate) async fn run(args: cli::Scan, settings: &Settings, output: &Output) -> Result<Outcome> {
    let output = &output.of_work();
    let live = context::tables(settings).await?;
    let tables = live.now();
    let Governed { rules, policy, .. } = rule_files::to_evaluate(&args.rules.rules, settings, &tables)?;
    let (rules, assessor) = (Arc::new(rules), Assessor::new(policy, Enricher::without_services(live, None)));
    for remark in settings.remarks(&tables.accounts, clock::now()) {
        tracing::warn!("{remark}");
    }
    let archive = match &args.archive {
        Some(place) => {
            let store = stores::archive_to_write_at(place).await?;
            Some(ScanArchive::open(store, tables.clone(), settings.archive.raw).await?)
        }
        None => None,
    };
    let inputs = Inputs::find(&args.paths).await?;
    let threads = threads(&args);
    let total: u64 = inputs.list.iter().map(|input| input.size).sum();
    let started = Instant::now();
    let scan = Scan::start(rules.clone(), &tables, inputs.list, threads, archive.clone());
    stop_on_signal(scan.progress.clone())?;

    let (keep, links) = match args.save {
        true => {
            let actors = SqliteActorStore::open(settings.data.actors_file()).await?;
            (Some(SqliteFindingStore::open(settings.data.findings_file()).await?), LinkPile::into_store(actors))
        }
        false => (None, LinkPile::default()),
    };
    let sweep = sweep(rules, args.save, settings).await?;
    let progress = scan.progress.clone();
    let least = Least { severity: args.severity, assessor: &assessor };
    let collected = collect(scan, total, &least, keep, links, sweep).await;
    // The program ends when the reading threads have, and one may be waiting for standard input.
    let mut collected = collected.inspect_err(|_| progress.stop.store(true, Ordering::Relaxed))?;
    // Who is behind a finding is known once everything is read.
    let actors = collected.links.store().await?;
    collected.correlate(actors.as_ref(), &least).await?;
    let assessor = assessor.with_actors(actors);
    // What was found before a signal may say less than what is found the next time.
    let shelves = archive.as_ref().filter(|_| !collected.stopped());
    let summary = Summary::of(&mut collected.pile, &assessor, shelves, output).await?;
    let took = started.elapsed();
    for problem in inputs.unreadable.iter().chain(&collected.unreadable) {
        note(&format!("cannot be read: {}", plain(problem)));
    }
    if !output.is_json() {
        summary.print(output)?;
    }
    let damaged = archive.as_ref().map(ScanArchive::damaged).unwrap_or_default();
    tell_damaged(&damaged, args.archive.as_deref().unwrap_or_default());
    note(&sentence(&collected, inputs.passed_over, took, &summary));
    if let (Some(archive), Some(place)) = (&archive, &args.archive) {
        note(&archived(archive.tally(), damaged.len(), place));
    }
    if args.save && summary.total + summary.hidden() > 0 {
        note(&kept(settings));
    }
    Ok(if collected.stopped() {
        Outcome::Interrupted
    } else if !(inputs.unreadable.is_empty() && collected.unreadable.is_empty() && damaged.is_empty()) {
        Outcome::Outside
    } else if summary.total > 0 || collected.letters > 0 {
        Outcome::Found
    } else {
        Outcome::Fine
    })
}

/// How many files are read at a time. Each may hold a file of the archive in memory, so fewer are unless more are asked for.
fn threads(args: &cli::Scan) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let most = if args.archive.is_some() { ARCHIVING_THREADS } else { usize::MAX };
    args.threads.map_or(cores.min(most), usize::from)
}

/// Names files of the archive that are damaged, and what to do.
fn tell_damaged(damaged: &[Damaged], place: &str) {
    let place = plain(place.trim_end_matches('/'));
    for Damaged { key, why } in damaged.iter().take(DAMAGED_TOLD) {
        note(&format!("damaged: {place}/{key} has {}; remove it and scan again", plain(why)));
    }
    if let Some(more) = damaged.len().checked_sub(DAMAGED_TOLD).filter(|more| *more > 0) {
        note(&format!("and {} more: they are told once these are removed", counted(more as u64, "damaged file")));
    }
}

/// What was archived, and where.
fn archived(tally: &Tally, damaged: usize, place: &str) -> String {
    let [rows, findings, created, existed, clamped] =
        [&tally.rows, &tally.findings, &tally.created, &tally.existed, &tally.clamped]
            .map(|count| count.load(Ordering::Relaxed));
    let mut text = format!(
        "archived in {}: {} and {}, {}",
        plain(place),
        counted(rows, "event"),
        counted(findings, "finding"),
        counted(created, "new file")
    );
    if existed > 0 {
        text += &format!(", {} {} there already", thousands(existed), if existed == 1 { "was" } else { "were" });
    }
    if damaged > 0 {
        text += &format!(", {} of them damaged", thousands(damaged as u64));
    }
    if clamped > 0 {
        let events = counted(clamped, "event");
        text += &format!("; {events} of a day that is out of all reason, under the nearest");
    }
    text
}

/// Where matches wait for those that they may belong together with.
async fn sweep(rules: Arc<RuleSet>, save: bool, settings: &Settings) -> Result<Sweep> {
    let retention = settings.correlation.retention();
    if !save {
        return Ok(Sweep::new(rules, retention, clock::now()));
    }
    let store = SqliteWindowStore::open(settings.data.windows_file(), retention).await?;
    Ok(Sweep::into_store(rules, store, clock::now()).await?)
}

/// Where the findings are, and how to see them there.
fn kept(settings: &Settings) -> String {
    let folder = settings.data.folder.display();
    // With a stream set, `findings` looks into DynamoDB unless a folder is named.
    let named = if settings.stream.name.is_some() { format!(" --data {folder}") } else { String::new() };
    format!("the findings are kept in {folder}: see `dial findings list{named}`")
}

/// What came out of the reading threads.
struct Collected {
    pile: Pile,
    keep: Option<SqliteFindingStore>,
    links: LinkPile,
    sweep: Sweep,
    letters: u64,
    unreadable: Vec<String>,
    progress: Arc<Progress>,
}

impl Collected {
    /// Takes in findings that are severe enough.
    async fn add(&mut self, findings: Vec<Finding>, least: &Least<'_>) -> Result<()> {
        let findings = least.of(findings).await;
        if let Some(store) = &self.keep {
            store.record(findings.clone()).await?;
        }
        Ok(self.pile.add(findings).await?)
    }

    /// Takes in what the matches come to together, once all of them are filed.
    async fn correlate(&mut self, actors: &dyn ActorStore, least: &Least<'_>) -> Result<()> {
        let Collected { pile, keep, sweep, .. } = self;
        let keep = keep.as_ref();
        sweep
            .finish(actors, async |found: Vec<Finding>| -> Result<()> {
                let found = least.of(found).await;
                if let Some(store) = keep {
                    store.record(found.clone()).await?;
                }
                pile.add(found).await.map_err(Failure::from)
            })
            .await
    }

    /// Whether a signal ended the reading.
    fn stopped(&self) -> bool {
        self.progress.stop.load(Ordering::Relaxed)
    }
}

/// Gathers findings of severity `least` and above, in `keep` too, until everything is read.
async fn collect(
    mut scan: Scan,
    total: u64,
    least: &Least<'_>,
    keep: Option<SqliteFindingStore>,
    links: LinkPile,
    sweep: Sweep,
) -> Result<Collected> {
    let bar = progress_bar(total);
    let progress = scan.progress.clone();
    let mut collected =
        Collected { pile: Pile::default(), keep, links, sweep, letters: 0, unreadable: Vec::new(), progress };
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            report = scan.reports.recv() => match report {
                None => break,
                Some(Report::Findings(findings)) => collected.add(findings, least).await?,
                Some(Report::Filed(filed)) => collected.sweep.join(filed).await?,
                Some(Report::Unfiled(error)) => return Err(error.into()),
                Some(Report::Unarchived(failure)) => return Err(failure),
                Some(Report::Links(links)) => {
                    collected.sweep.learn(&links).await?;
                    collected.links.add(links).await?;
                }
                Some(Report::Unreadable(what)) => collected.unreadable.push(what),
                Some(Report::DeadLetter { input, letter }) => {
                    collected.letters += 1;
                    if collected.letters <= LETTERS_TOLD {
                        bar.suspend(|| note(&letter_line(&input, &letter)));
                    }
                }
            },
            _ = tick.tick() => show(&bar, &collected.progress),
        }
    }
    bar.finish_and_clear();
    if collected.letters > LETTERS_TOLD {
        note(&format!("and {}", counted(collected.letters - LETTERS_TOLD, "more dead letter")));
    }
    Ok(collected)
}

/// How severe findings have to be.
struct Least<'a> {
    severity: Severity,
    assessor: &'a Assessor,
}

impl Least<'_> {
    /// Those that are as severe, or more.
    async fn of(&self, findings: Vec<Finding>) -> Vec<Finding> {
        if self.severity == Severity::Informational {
            return findings;
        }
        let assessed = self.assessor.assess(findings).await.into_iter();
        let severe = assessed.filter(|assessment| assessment.severity() >= self.severity);
        severe.map(|assessment| assessment.finding).collect()
    }
}

fn letter_line(input: &str, letter: &DeadLetter) -> String {
    format!("dead letter: {}, byte {}: {}", plain(input), letter.fault, plain(&letter.reason))
}

fn progress_bar(total: u64) -> ProgressBar {
    // Hidden by itself when standard error is no terminal.
    let bar = if total == 0 { ProgressBar::new_spinner() } else { ProgressBar::new(total) };
    let template = "{spinner} {bar:24} {bytes}/{total_bytes}  {msg}  {eta}";
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn show(bar: &ProgressBar, progress: &Progress) {
    let events = progress.events.load(Ordering::Relaxed);
    let rate = events as f64 / bar.elapsed().as_secs_f64().max(0.001);
    bar.set_position(progress.bytes.load(Ordering::Relaxed));
    bar.set_message(format!(
        "{} events, {}/s, {} matches",
        thousands(events),
        thousands(rate as u64),
        thousands(progress.matches.load(Ordering::Relaxed))
    ));
}

/// The first Ctrl-C or SIGTERM ends reading and goes on to the summary of what was read; the second ends the program.
fn stop_on_signal(progress: Arc<Progress>) -> Result<()> {
    let fail = |error| Failure::outside("signals", error);
    let mut terminate = signal(SignalKind::terminate()).map_err(fail)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(fail)?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if progress.stop.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
        }
    });
    Ok(())
}

/// Findings counted.
#[derive(Default)]
struct Summary {
    /// Those that are to be seen; what follows is of these.
    total: u64,
    /// By id and severity: the title, and how many.
    by_rule: BTreeMap<(String, Severity), (String, u64)>,
    worst: Vec<Assessment>,
    /// All of them, in the order of [`Status::ALL`].
    by_status: [u64; Status::ALL.len()],
}

impl Summary {
    /// Counts the findings and, when they are to be printed as JSON, prints them on the way.
    /// All of them are archived, where that is wanted.
    async fn of(
        pile: &mut Pile,
        assessor: &Assessor,
        archive: Option<&ScanArchive>,
        output: &Output,
    ) -> Result<Summary> {
        let mut summary = Summary::default();
        let mut rows = archive.map(ScanArchive::findings);
        pile.visit(async |findings| {
            let assessed = assessor.assess(findings).await;
            if let Some(rows) = &mut rows {
                rows.add(assessed.iter().cloned()).await?;
            }
            for assessment in assessed {
                summary.by_status[assessment.disposition.status as usize] += 1;
                if assessment.is_open() {
                    if output.is_json() {
                        output.json(&assessment)?;
                    }
                    summary.count(assessment);
                }
            }
            Ok::<(), Failure>(())
        })
        .await?;
        if let Some(rows) = rows {
            rows.finish().await?;
        }
        Ok(summary)
    }

    fn count(&mut self, assessment: Assessment) {
        let severity = assessment.severity();
        let Finding { rule_id, subject, .. } = &assessment.finding;
        self.total += 1;
        self.by_rule.entry((rule_id.clone(), severity)).or_insert_with(|| (subject.rule_title.clone(), 0)).1 += 1;
        if severity >= Severity::Medium {
            self.worst.push(assessment);
            if self.worst.len() > 8 * WORST_SHOWN {
                self.keep_worst();
            }
        }
    }

    fn keep_worst(&mut self) {
        self.worst.sort_by_key(|worst| (std::cmp::Reverse(worst.severity()), worst.finding.first_seen));
        self.worst.truncate(WORST_SHOWN);
    }

    fn by_severity(&self) -> String {
        let counts = Severity::WORST_FIRST.into_iter().filter_map(|level| {
            let of_level = self.by_rule.iter().filter(|((_, severity), _)| *severity == level);
            let count: u64 = of_level.map(|(_, (_, count))| count).sum();
            (count > 0).then(|| format!("{} {level}", thousands(count)))
        });
        counts.collect::<Vec<_>>().join(", ")
    }

    /// How many the policy hides.
    fn hidden(&self) -> u64 {
        self.by_status[1..].iter().sum()
    }

    /// `2 suppressed, 1 muted`
    fn hidden_words(&self) -> String {
        let counted = Status::ALL.into_iter().zip(self.by_status).skip(1).filter(|(_, count)| *count > 0);
        counted.map(|(status, count)| format!("{} {status}", thousands(count))).collect::<Vec<_>>().join(", ")
    }

    fn print(&self, output: &Output) -> Result<()> {
        if self.total == 0 {
            let hidden = if self.hidden() > 0 { " that is not hidden by the policy" } else { "" };
            return output.line(&format!("Nothing found{hidden}."));
        }
        let mut rules: Vec<_> =
            self.by_rule.iter().map(|((_, severity), (title, count))| (*severity, title, *count)).collect();
        rules.sort_by_key(|(severity, title, count)| (std::cmp::Reverse((*severity, *count)), (*title).clone()));
        let rows = rules
            .into_iter()
            .map(|(severity, title, count)| vec![severity_cell(severity), number_cell(count), Cell::new(plain(title))]);
        output.table(&["severity", "findings", "rule"], rows)?;
        if self.worst.is_empty() {
            return Ok(());
        }
        output.line("\nThe worst:")?;
        let mut worst: Vec<&Assessment> = self.worst.iter().collect();
        worst.sort_by_key(|worst| (std::cmp::Reverse(worst.severity()), worst.finding.first_seen));
        for worst in worst.into_iter().take(WORST_SHOWN) {
            output.finding_line(worst)?;
            let Assessment { finding, context, .. } = worst;
            // Said only where it is more than the event says itself.
            if context.lineage != finding.subject.origin
                && let Some(told) = told(context)
            {
                output.line(&format!("    behind it: {}", plain(&told)))?;
            }
        }
        output.line("")
    }
}

/// The last line: what was read, how fast, and what came out.
fn sentence(collected: &Collected, passed_over: u64, took: Duration, summary: &Summary) -> String {
    let events = collected.progress.events.load(Ordering::Relaxed);
    let seconds = took.as_secs_f64().max(0.001);
    let mut text = format!(
        "{}, {} in {seconds:.1} s ({} events/s): {}",
        counted(collected.progress.inputs.load(Ordering::Relaxed), "file"),
        counted(events, "event"),
        thousands((events as f64 / seconds) as u64),
        counted(summary.total, "finding"),
    );
    if summary.total > 0 {
        text += &format!(" ({})", summary.by_severity());
    }
    if summary.hidden() > 0 {
        text += &format!("; hidden by the policy: {}", summary.hidden_words());
    }
    if collected.letters > 0 {
        text += &format!(", {}", counted(collected.letters, "dead letter"));
    }
    if passed_over > 0 {
        text += &format!("; {} passed over", counted(passed_over, "other file"));
    }
    if collected.stopped() {
        text += "; stopped before the end";
    }
    text
}
