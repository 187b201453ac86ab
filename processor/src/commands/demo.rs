//! `dial demo`: a simulated organisation through the same pipeline as `run`, over ports in memory and on disk.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dial_ingest::memory::{MemoryLeases, MemoryStream};
use dial_ingest::{InitialPosition, PollPace, PrefetchBudget, Read, StreamClient};
use dial_rules::event::Millis;
use dial_rules::finding::Finding;
use dial_rules::policy::Policy;
use dial_rules::policy::routing::Routing;
use dial_rules::ruleset::RuleSet;
use dial_rules::severity::Severity;
use dial_rules::tables::Tables;
use dial_sinks::actors::sqlite::SqliteActorStore;
use dial_sinks::sqlite::SqliteFindingStore;
use dial_sinks::windows::retention::Retention;
use dial_sinks::windows::sqlite::SqliteWindowStore;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::alerting::Alerting;
use crate::alerting::desk::AlertDesk;
use crate::archiver::Archive;
use crate::assess::Assessor;
use crate::cli;
use crate::correlator::{Correlator, Ports};
use crate::demo::{ACCOUNTS, SimulatedEvent, day, quiet};
use crate::detector::{Counts, Detect};
use crate::enrich::enricher::Enricher;
use crate::failure::{Failure, Outcome, Result};
use crate::follow_ups::Follower;
use crate::output::{Output, note, thousands};
use crate::roles::{self, Crew, Role, Shift};
use crate::settings::Settings;
use crate::{rule_files, settings, stores};

/// The day that is played: 3 March 2026, a Tuesday. Always the same, so that its findings are.
const START: i64 = 1_772_496_000;
const SHARDS: usize = 4;
/// A file that tells a demo's folder from one that somebody needs.
const MARKER: &str = ".dial-demo";

/// What the simulated organisation would have in its settings.
fn tables() -> Tables {
    let own_accounts = ACCOUNTS.iter().map(|account| account.id.to_owned()).collect();
    Tables { own_accounts, ..Tables::default() }
}

pub(crate) async fn run(args: cli::Demo, output: &Output) -> Result<Outcome> {
    if args.print {
        let events = match args.quiet {
            true => quiet(args.seed, START, args.events as usize),
            false => day(args.seed, START),
        };
        for event in events {
            output.line(&String::from_utf8_lossy(&event.envelope))?;
        }
        return Ok(Outcome::Fine);
    }
    let rules = Arc::new(rule_files::load(&[], &tables())?);
    prepare(&args.data)?;
    let findings = Arc::new(SqliteFindingStore::open(args.data.join("findings.db")).await?);
    let actors = Arc::new(SqliteActorStore::open(args.data.join("actors.db")).await?);
    let windows = SqliteWindowStore::open(args.data.join("windows.db"), Retention::default()).await?;
    let events = day(args.seed, START);
    introduce(&args, &events, rules.rules().len(), output)?;

    let stream = Arc::new(MemoryStream::new(SHARDS).without_limits());
    let (news, arriving) = mpsc::unbounded_channel();
    let counts = Arc::new(Counts::default());
    let windows = Arc::new(windows);
    let enricher = Enricher::of_tables(rules.tables().clone()).with_actors(actors.clone());
    let assessor = Assessor::new(Policy::default(), enricher);
    let alerting = archiving(&args, findings, &rules, &assessor).await?;
    let findings = alerting.findings();
    let ports = Ports { windows, actors, findings: findings.clone(), news: news.clone() };
    let follower = Follower::new(Correlator::new(rules.clone(), ports, counts.correlation.clone()));
    let tables = assessor.enricher().live().watch();
    // The day that is played is long over.
    let allowed_lateness = Millis::MAX;
    let detect =
        Detect { rules, tables: tables.clone(), findings, follower, allowed_lateness, counts: counts.clone(), news };
    let archive = Archive::new(stores::archive_folder(&args.data)?, &settings::Archive::default(), tables);
    let archived = archive.records();
    let leases = || Arc::new(MemoryLeases::default());
    let roles = vec![
        Role {
            name: "detect",
            leases: leases(),
            processors: Arc::new(detect),
            read: Read::Polling,
            pace: PollPace::EAGER,
        },
        Role {
            name: "archive",
            leases: leases(),
            processors: Arc::new(archive),
            read: Read::Polling,
            pace: PollPace::GENTLE,
        },
    ];
    let shift = Shift {
        worker_id: "demo".to_owned(),
        failover: Duration::from_secs(10),
        initial_position: InitialPosition::TrimHorizon,
        prefetch: PrefetchBudget::default(),
        sharing: false,
        stop_when_drained: false,
    };
    let shutdown = CancellationToken::new();
    let total = events.len() as u64;
    let player = tokio::spawn(play(events, stream.clone(), Duration::from_secs(args.seconds)));
    let watcher = tokio::spawn(stop_when_read(player, counts.clone(), archived, total, shutdown.clone()));
    let crew = Crew::new(&(stream as Arc<dyn StreamClient>), roles, &shift);
    let show = Show { bar: progress_bar(total), assessor, counts: counts.clone() };
    let work = async { tokio::join!(roles::run(crew, shutdown), show.until_end(arriving, output)) };
    // No signal ends this: what was played is all there is.
    let (ran, shown) = alerting.beside(work, &CancellationToken::new()).await;
    watcher.abort();
    ran?;
    conclude(&args, &counts, &shown?, output)
}

/// Findings are owed to nobody but the archive.
async fn archiving(
    args: &cli::Demo,
    findings: Arc<SqliteFindingStore>,
    rules: &Arc<RuleSet>,
    assessor: &Assessor,
) -> Result<Alerting> {
    let mut settings = Settings::default();
    settings.data.folder.clone_from(&args.data);
    let desk = AlertDesk { assessor: assessor.clone(), routing: Routing::default(), rules: rules.clone() };
    Alerting::open(&settings, findings, desk).await
}

/// Makes the folder, and empties it if a demo made it before.
fn prepare(folder: &Path) -> Result<()> {
    let fail = |error| Failure::outside(folder.display(), error);
    let is_empty = fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
    if !is_empty && !folder.join(MARKER).exists() {
        let text = "is not empty and no demo made it: name another folder with --data";
        return Err(Failure::Usage(format!("{} {text}", folder.display())));
    }
    if !is_empty {
        fs::remove_dir_all(folder).map_err(fail)?;
    }
    fs::create_dir_all(folder).map_err(fail)?;
    fs::write(folder.join(MARKER), "Made by `dial demo`, which empties this folder at each start.\n").map_err(fail)
}

fn introduce(args: &cli::Demo, events: &[SimulatedEvent], rules: usize, output: &Output) -> Result<()> {
    if output.is_json() {
        return Ok(());
    }
    output.line(&format!(
        "A day of an organisation with {} accounts: {} CloudTrail events on {SHARDS} shards, {rules} rules, played in {} s.",
        ACCOUNTS.len(),
        thousands(events.len() as u64),
        args.seconds,
    ))?;
    output.line("Somewhere in it somebody breaks in. What DIAL sees of that:\n")
}

/// Puts the day's events on the stream, spread over `duration`. The event id decides the shard, as in production.
async fn play(events: Vec<SimulatedEvent>, stream: Arc<MemoryStream>, duration: Duration) -> Result<()> {
    let begun = Instant::now();
    let total = events.len().max(1) as f64;
    for (at, event) in events.into_iter().enumerate() {
        let due = duration.mul_f64(at as f64 / total);
        let wait = due.saturating_sub(begun.elapsed());
        if wait > Duration::from_millis(20) {
            tokio::time::sleep(wait).await;
        }
        stream.put(&at.to_string(), event.envelope).map_err(|error| Failure::outside("the demo's stream", error))?;
    }
    Ok(())
}

/// Ends the demo once both roles have read everything that was played, or on Ctrl-C.
async fn stop_when_read(
    player: tokio::task::JoinHandle<Result<()>>,
    counts: Arc<Counts>,
    archived: Arc<AtomicU64>,
    total: u64,
    shutdown: CancellationToken,
) {
    let all_read = async {
        let _ = player.await; // it fails only when the stream does, and then the workers tell
        while counts.records.load(Ordering::Relaxed).min(archived.load(Ordering::Relaxed)) < total {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = all_read => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    shutdown.cancel();
}

fn progress_bar(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} events  {msg}");
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Shows findings as they come.
struct Show {
    bar: ProgressBar,
    assessor: Assessor,
    counts: Arc<Counts>,
}

impl Show {
    /// Returns how many findings of each severity came, the worst first.
    async fn until_end(self, mut arriving: mpsc::UnboundedReceiver<Finding>, output: &Output) -> Result<[u64; 5]> {
        let mut by_severity = [0; 5];
        // Shards are read side by side; what arrives together is shown in the order in which it happened.
        let mut together = Vec::new();
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        let mut flush = tokio::time::interval(Duration::from_millis(700));
        loop {
            tokio::select! {
                finding = arriving.recv() => match finding {
                    None => break,
                    Some(finding) => {
                        by_severity[4 - finding.subject.severity as usize] += 1;
                        together.push(finding);
                    }
                },
                _ = tick.tick() => self.bar.set_position(self.counts.records.load(Ordering::Relaxed)),
                _ = flush.tick() => self.print(&mut together, output).await?,
            }
        }
        self.print(&mut together, output).await?;
        self.bar.finish_and_clear();
        Ok(by_severity)
    }

    async fn print(&self, findings: &mut Vec<Finding>, output: &Output) -> Result<()> {
        findings.sort_by_key(|finding| finding.first_seen);
        for assessment in self.assessor.assess(std::mem::take(findings)).await {
            if output.is_json() {
                output.json(&assessment)?;
            } else if assessment.severity() > Severity::Low {
                self.bar.suspend(|| output.finding_line(&assessment))?;
            }
        }
        Ok(())
    }
}

/// What to type to run this program again: whoever came by `cargo run` has no `dial` yet.
fn program() -> &'static str {
    if std::env::var_os("CARGO").is_some() { "cargo run --" } else { "dial" }
}

fn conclude(args: &cli::Demo, counts: &Counts, by_severity: &[u64; 5], output: &Output) -> Result<Outcome> {
    let total: u64 = by_severity.iter().sum();
    let parts: Vec<String> = Severity::WORST_FIRST
        .iter()
        .zip(by_severity)
        .filter(|(_, count)| **count > 0)
        .map(|(severity, count)| format!("{count} {severity}"))
        .collect();
    let data = args.data.display();
    let events = thousands(counts.events.load(Ordering::Relaxed));
    note(&format!("\n{events} events, {total} findings: {}.", parts.join(", ")));
    if output.is_json() {
        return Ok(Outcome::Fine);
    }
    output.line(&format!(
        "\nThe findings are in {data}/findings.db, events and findings as Parquet beside it. Next:\n"
    ))?;
    let dial = program();
    for (command, what) in [
        (format!("{dial} findings list --data {data}"), "what was found, the quiet ones too"),
        (format!("{dial} findings show ID --data {data}"), "one of them with its evidence"),
        (format!("{dial} rules list"), "what was looked for"),
        (format!("{dial} scan PATH"), "your own CloudTrail files"),
    ] {
        output.line(&format!("  {command:<52} {what}"))?;
    }
    Ok(Outcome::Fine)
}
