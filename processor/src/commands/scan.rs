//! `dial scan`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use comfy_table::Cell;
use dial_rules::dead_letter::DeadLetter;
use dial_rules::finding::Finding;
use dial_rules::lineage::{Lineage, Resolved};
use dial_rules::severity::Severity;
use dial_sinks::actors::sqlite::SqliteActorStore;
use dial_sinks::sqlite::SqliteFindingStore;
use dial_sinks::store::FindingStore;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli;
use crate::failure::{Failure, Outcome, Result};
use crate::inputs::Inputs;
use crate::link_pile::LinkPile;
use crate::output::{Output, note, number_cell, plain, severity_cell, thousands};
use crate::pile::Pile;
use crate::rule_files;
use crate::scan::{Progress, Report, Scan};
use crate::settings::Settings;

/// How many dead letters are told one by one.
const LETTERS_TOLD: u64 = 20;
/// How many of the worst findings a person is shown.
const WORST_SHOWN: usize = 15;

pub(crate) async fn run(args: cli::Scan, settings: &Settings, output: &Output) -> Result<Outcome> {
    let paths = if args.rules.rules.is_empty() { &settings.rules.paths } else { &args.rules.rules };
    let rules = Arc::new(rule_files::load(paths, &settings.facts)?);
    let inputs = Inputs::find(&args.paths).await?;
    let threads = args.threads.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from);
    let total: u64 = inputs.list.iter().map(|input| input.size).sum();
    let started = Instant::now();
    let scan = Scan::start(rules, inputs.list, threads);
    stop_on_signal(scan.progress.clone())?;

    let (keep, links) = match args.save {
        true => {
            let actors = SqliteActorStore::open(settings.data.actors_file()).await?;
            (Some(SqliteFindingStore::open(settings.data.findings_file()).await?), LinkPile::into_store(actors))
        }
        false => (None, LinkPile::default()),
    };
    let progress = scan.progress.clone();
    let collected = collect(scan, total, args.severity, keep, links).await;
    // The program ends when the reading threads have, and one may be waiting for standard input.
    let mut collected = collected.inspect_err(|_| progress.stop.store(true, Ordering::Relaxed))?;
    let summary = Summary::of(&mut collected.pile, output).await?;
    let behind = collected.links.resolve(summary.worst.iter().map(|finding| finding.subject.origin.clone())).await?;
    let took = started.elapsed();
    for problem in inputs.unreadable.iter().chain(&collected.unreadable) {
        note(&format!("cannot be read: {}", plain(problem)));
    }
    if !output.is_json() {
        summary.print(&behind, output)?;
    }
    note(&sentence(&collected, inputs.passed_over, took, &summary));
    if args.save && summary.total > 0 {
        note(&kept(settings));
    }
    Ok(if collected.stopped() {
        Outcome::Interrupted
    } else if !(inputs.unreadable.is_empty() && collected.unreadable.is_empty()) {
        Outcome::Outside
    } else if summary.total > 0 || collected.letters > 0 {
        Outcome::Found
    } else {
        Outcome::Fine
    })
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
    links: LinkPile,
    letters: u64,
    unreadable: Vec<String>,
    progress: Arc<Progress>,
}

impl Collected {
    /// Whether a signal ended the reading.
    fn stopped(&self) -> bool {
        self.progress.stop.load(Ordering::Relaxed)
    }
}

/// Gathers findings of severity `least` and above, in `keep` too, until everything is read.
async fn collect(
    mut scan: Scan,
    total: u64,
    least: Severity,
    keep: Option<SqliteFindingStore>,
    links: LinkPile,
) -> Result<Collected> {
    let bar = progress_bar(total);
    let progress = scan.progress.clone();
    let mut collected = Collected { pile: Pile::default(), links, letters: 0, unreadable: Vec::new(), progress };
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            report = scan.reports.recv() => match report {
                None => break,
                Some(Report::Findings(mut findings)) => {
                    findings.retain(|finding| finding.subject.severity >= least);
                    if let Some(store) = &keep {
                        store.record(findings.clone()).await?;
                    }
                    collected.pile.add(findings).await?;
                }
                Some(Report::Links(links)) => collected.links.add(links).await?,
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
        note(&format!("and {} more dead letters", thousands(collected.letters - LETTERS_TOLD)));
    }
    Ok(collected)
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
    total: u64,
    by_rule: BTreeMap<String, (Severity, String, u64)>,
    worst: Vec<Finding>,
}

impl Summary {
    /// Counts the findings and, when they are to be printed as JSON, prints them on the way.
    async fn of(pile: &mut Pile, output: &Output) -> Result<Summary> {
        let mut summary = Summary::default();
        pile.visit(|finding| {
            summary.count(finding);
            if output.is_json() { output.json(finding) } else { Ok(()) }
        })
        .await?;
        Ok(summary)
    }

    fn count(&mut self, finding: &Finding) {
        let (severity, title) = (finding.subject.severity, &finding.subject.rule_title);
        self.total += 1;
        self.by_rule.entry(finding.rule_id.clone()).or_insert_with(|| (severity, title.clone(), 0)).2 += 1;
        if severity >= Severity::Medium {
            self.worst.push(finding.clone());
            if self.worst.len() > 8 * WORST_SHOWN {
                self.keep_worst();
            }
        }
    }

    fn keep_worst(&mut self) {
        self.worst.sort_by_key(|finding| (std::cmp::Reverse(finding.subject.severity), finding.first_seen));
        self.worst.truncate(WORST_SHOWN);
    }

    fn by_severity(&self) -> String {
        let counts = Severity::WORST_FIRST.into_iter().filter_map(|level| {
            let count: u64 = self.by_rule.values().filter(|rule| rule.0 == level).map(|rule| rule.2).sum();
            (count > 0).then(|| format!("{} {level}", thousands(count)))
        });
        counts.collect::<Vec<_>>().join(", ")
    }

    /// `behind` says who is behind the origins of the worst.
    fn print(&self, behind: &HashMap<Lineage, Resolved>, output: &Output) -> Result<()> {
        if self.total == 0 {
            return output.line("Nothing found.");
        }
        let mut rules: Vec<_> = self.by_rule.values().collect();
        rules.sort_by_key(|(severity, title, count)| (std::cmp::Reverse((*severity, *count)), title.clone()));
        let rows = rules.into_iter().map(|(severity, title, count)| {
            vec![severity_cell(*severity), number_cell(*count), Cell::new(plain(title))]
        });
        output.table(&["severity", "findings", "rule"], rows)?;
        if self.worst.is_empty() {
            return Ok(());
        }
        output.line("\nThe worst:")?;
        let mut worst: Vec<&Finding> = self.worst.iter().collect();
        worst.sort_by_key(|finding| (std::cmp::Reverse(finding.subject.severity), finding.first_seen));
        for finding in worst.into_iter().take(WORST_SHOWN) {
            output.finding_line(finding)?;
            let origin = &finding.subject.origin;
            // Said only where it is more than the event says itself.
            let more = behind.get(origin).filter(|resolved| resolved.lineage != *origin);
            if let Some(told) = more.and_then(Resolved::told) {
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
        "{} files, {} events in {seconds:.1} s ({} events/s): {} findings",
        thousands(collected.progress.inputs.load(Ordering::Relaxed)),
        thousands(events),
        thousands((events as f64 / seconds) as u64),
        thousands(summary.total),
    );
    if summary.total > 0 {
        text += &format!(" ({})", summary.by_severity());
    }
    if collected.letters > 0 {
        text += &format!(", {} dead letters", thousands(collected.letters));
    }
    if passed_over > 0 {
        text += &format!("; {} other files passed over", thousands(passed_over));
    }
    if collected.stopped() {
        text += "; stopped before the end";
    }
    text
}
