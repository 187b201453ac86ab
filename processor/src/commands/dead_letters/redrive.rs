//! `dial dead-letters redrive` of records: through the straight line again, and only then off the list.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dial_analytics::dead_letter_file::Letter;
use dial_analytics::dead_letters::{LetterFile, survey};
use dial_analytics::redrive::{Again, Redrive, again};
use dial_analytics::row::Row;
use dial_analytics::shard::Shard;
use dial_analytics::store::ObjectStore;
use dial_rules::event::Millis;
use dial_rules::finding::Finding;
use dial_rules::ruleset::RuleSet;
use dial_rules::tables::Tables;
use dial_sinks::store::FindingStore;
use serde::Serialize;
use tokio::sync::mpsc;

use super::{Named, Place};
use crate::cli::LettersRedrive;
use crate::clock::now;
use crate::correlator::{Correlator, Meter};
use crate::detector::record;
use crate::failure::{Outcome, Result};
use crate::in_place::in_place;
use crate::output::{Output, counted, note, plain, thousands};
use crate::pipeline::{Detected, Detection};
use crate::settings::Settings;
use crate::{context, rule_files, stores};

/// How many events are followed up together.
const AT_A_TIME: usize = 512;
/// How many letters that stay dead a person is told of one by one.
const DEAD_TOLD: u64 = 20;

/// `None` where none are kept and none is named.
pub(super) async fn records(args: &LettersRedrive, settings: &Settings, output: &Output) -> Result<Option<Outcome>> {
    let folder = args.of.data.data.as_deref();
    let store = stores::archive_to_read(settings, folder).await?;
    let Some(store) = store else { return Wanted::of(args).without_any(output) };
    let found = survey(store.as_ref()).await?;
    if !args.dry_run {
        for key in &found.stale {
            store.delete(key).await?;
        }
    }
    let wanted = Wanted::of(args);
    if found.files.is_empty() {
        return wanted.without_any(output);
    }
    let mut report = Report::new(&wanted, output);
    let files: Vec<LetterFile> = found.files.into_iter().filter(|file| wanted.is_about(file)).collect();
    if args.dry_run {
        for file in &files {
            if let Some((shard, letters)) = file.read(store.as_ref()).await? {
                let lines = wanted.lines(&shard, &letters, &mut report);
                report.told(&shard, &letters, &lines, &BTreeSet::new())?;
            }
        }
    } else if !files.is_empty() {
        let line = Line::open(&args.rules.rules, settings, folder, store).await?;
        for file in files {
            line.redrive(file, &wanted, &mut report).await?;
        }
        report.tally.new_findings = line.new_findings();
    }
    report.finish(&wanted).map(Some)
}

/// Which letters are asked for.
struct Wanted {
    places: Vec<Place>,
    all: bool,
    dry_run: bool,
}

impl Wanted {
    fn of(args: &LettersRedrive) -> Wanted {
        let place = |name: &Named| match name {
            Named::Record(place) => Some(place.clone()),
            Named::Alert(_) => None,
        };
        Wanted { places: args.names.iter().filter_map(place).collect(), all: args.all, dry_run: args.dry_run }
    }

    /// What is said where none are kept.
    fn without_any(&self, output: &Output) -> Result<Option<Outcome>> {
        if self.places.is_empty() { Ok(None) } else { Report::new(self, output).finish(self).map(Some) }
    }

    /// Whether the file has to be looked at: also to finish what was begun.
    fn is_about(&self, file: &LetterFile) -> bool {
        self.all || file.begun && !self.dry_run || self.places.iter().any(|place| place.may_be_in(&file.stem))
    }

    /// The lines of those letters in a file.
    fn lines(&self, shard: &Shard, letters: &[Letter], report: &mut Report<'_>) -> BTreeSet<usize> {
        let mut lines = BTreeSet::new();
        for (line, letter) in letters.iter().enumerate() {
            let named = self.places.iter().enumerate().filter(|(_, place)| place.names(shard, letter));
            let before = lines.len();
            named.for_each(|(n, _)| {
                report.seen.insert(n);
                lines.insert(line);
            });
            if self.all && lines.len() == before {
                lines.insert(line);
            }
        }
        lines
    }
}

/// The straight line over the stores that the detect role records in.
struct Line {
    rules: RuleParts,
    findings: Arc<dyn FindingStore>,
    correlator: Correlator,
    meter: Arc<Meter>,
    store: Arc<dyn ObjectStore>,
    raw: bool,
    news: mpsc::UnboundedSender<Finding>,
    arriving: mpsc::UnboundedReceiver<Finding>,
}

struct RuleParts {
    rules: Arc<RuleSet>,
    tables: Arc<Tables>,
    allowed_lateness: Millis,
}

impl Line {
    async fn open(
        named: &[std::path::PathBuf],
        settings: &Settings,
        folder: Option<&std::path::Path>,
        store: Arc<dyn ObjectStore>,
    ) -> Result<Line> {
        let tables = context::tables(settings).await?.now();
        let rules = rule_files::to_evaluate(named, settings, &tables)?.rules;
        let rules = Arc::new(rules);
        let (news, arriving) = mpsc::unbounded_channel();
        let ports = stores::to_record(settings, folder, news.clone()).await?;
        let (findings, meter) = (ports.findings.clone(), Arc::<Meter>::default());
        let correlator = Correlator::new(rules.clone(), ports, meter.clone());
        let rules = RuleParts { rules, tables, allowed_lateness: settings.correlation.allowed_lateness() };
        Ok(Line { rules, findings, correlator, meter, store, raw: settings.archive.raw, news, arriving })
    }

    /// Redrives what is wanted of a file, after what was begun on it before.
    async fn redrive(&self, mut file: LetterFile, wanted: &Wanted, report: &mut Report<'_>) -> Result<()> {
        let store = self.store.as_ref();
        while let Some((shard, letters)) = file.read(store).await? {
            let lines = wanted.lines(&shard, &letters, report);
            let Some(redrive) = Redrive::declare(store, &file, (&shard, &letters), &lines, self.raw).await? else {
                return report.told(&shard, &letters, &lines, &BTreeSet::new());
            };
            for rows in redrive.rows().chunks(AT_A_TIME) {
                self.follow(rows).await?;
            }
            redrive.finish(store, &self.rules.tables).await?;
            let taken: BTreeSet<usize> = redrive.lines().iter().copied().collect();
            report.tally.events += redrive.rows().len() as u64;
            report.told(&shard, &letters, &taken, &taken)?;
            // What is left may have been asked for, too: of a letter that was begun on, perhaps another one.
            match file.next(store).await? {
                Some(next) => file = next,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Does what events lead to, as the detect role does: when this returns, all of it is durable.
    async fn follow(&self, rows: &[Row]) -> Result<()> {
        let RuleParts { rules, tables, allowed_lateness } = &self.rules;
        let detection = Detection { rules, tables, allowed_lateness: *allowed_lateness };
        let mut detected = Detected::default();
        in_place(|| rows.iter().for_each(|row| detection.event(&row.event, row.arrival, &mut detected)));
        record(self.findings.as_ref(), detected.findings, &self.news).await?;
        self.correlator.follow(&detected.follow_up, now()).await?;
        detected.uncorrelated.count(detected.follow_up.filed.len(), &self.meter);
        Ok(())
    }

    /// How many findings nobody had recorded before.
    fn new_findings(self) -> u64 {
        let late = self.meter.late.load(Ordering::Relaxed);
        if late > 0 {
            note(&format!("{} matches came too late to be correlated", thousands(late)));
        }
        let mut arriving = self.arriving;
        let mut count = 0;
        while arriving.try_recv().is_ok() {
            count += 1;
        }
        count
    }
}

#[derive(Default)]
struct Tally {
    redriven: u64,
    events: u64,
    dead: u64,
    new_findings: u64,
}

/// What became of the letters, for the user.
struct Report<'o> {
    output: &'o Output,
    dry_run: bool,
    tally: Tally,
    /// The places that named a letter.
    seen: BTreeSet<usize>,
}

/// One letter's fate, as JSON.
#[derive(Serialize)]
struct Fate {
    kind: &'static str,
    position: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl<'o> Report<'o> {
    fn new(wanted: &Wanted, output: &'o Output) -> Report<'o> {
        Report { output, dry_run: wanted.dry_run, tally: Tally::default(), seen: BTreeSet::new() }
    }

    /// Tells of the letters on these lines: of those that are `taken`, that they are redriven.
    fn told(
        &mut self,
        shard: &Shard,
        letters: &[Letter],
        lines: &BTreeSet<usize>,
        taken: &BTreeSet<usize>,
    ) -> Result<()> {
        for line in lines {
            let Some(letter) = letters.get(*line) else { continue };
            let position = Place::of(shard, letter).to_string();
            let (outcome, reason) = match taken.contains(line) {
                true => ("redriven", None),
                false => match again(letter) {
                    Again::Dead(reason) => ("dead", Some(reason)),
                    Again::Alive { rows, .. } => {
                        self.tally.events += rows.len() as u64;
                        ("would_be_redriven", None)
                    }
                },
            };
            self.tell(Fate { kind: "record", position, outcome, reason })?;
        }
        Ok(())
    }

    fn tell(&mut self, fate: Fate) -> Result<()> {
        match fate.reason {
            Some(_) => self.tally.dead += 1,
            None => self.tally.redriven += 1,
        }
        match (&fate.reason, self.output.is_json()) {
            (_, true) => self.output.json(&fate),
            (Some(reason), false) if self.tally.dead <= DEAD_TOLD => {
                self.output.line(&format!("still dead: {}: {}", plain(&fate.position), plain(reason)))
            }
            _ => Ok(()),
        }
    }

    fn finish(&self, wanted: &Wanted) -> Result<Outcome> {
        let Tally { redriven, events, dead, new_findings } = self.tally;
        let absent = wanted.places.iter().enumerate().filter(|(n, _)| !self.seen.contains(n));
        let absent: Vec<String> = absent.map(|(_, place)| plain(&place.to_string())).collect();
        for place in &absent {
            note(&format!("there is no dead letter {place}, or not any more: see `dial dead-letters list`"));
        }
        let and_more = dead.saturating_sub(DEAD_TOLD);
        if !self.output.is_json() && and_more > 0 {
            self.output.line(&format!("and {} more", thousands(and_more)))?;
        }
        let (letters, events, stay) = (counted(redriven, "dead letter"), counted(events, "event"), thousands(dead));
        let text = match self.dry_run {
            true => format!("{letters} would be redriven: {events}; {stay} would stay dead"),
            false => {
                let new = counted(new_findings, "new finding");
                format!("{letters} redriven: {events}, {new} (`dial findings list`); {stay} stay dead")
            }
        };
        note(&text);
        Ok(if dead > 0 || !absent.is_empty() { Outcome::Found } else { Outcome::Fine })
    }
}
