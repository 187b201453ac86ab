//! `dial rules staged`: how rules on trial have done.

use std::collections::{BTreeMap, BTreeSet};

use comfy_table::Cell;
use dial_rules::assessment::Assessment;
use dial_rules::event::{Millis, rfc3339};
use dial_rules::policy::Trial;
use dial_rules::severity::Severity;
use dial_sinks::filter::{FindingFilter, MAX_LIMIT};
use dial_sinks::store::FindingStore;
use serde::Serialize;

use crate::assess::Assessor;
use crate::cli::DataArgs;
use crate::failure::{Outcome, Result};
use crate::output::{Output, note, number_cell, plain};
use crate::rule_files::Governed;
use crate::settings::Settings;
use crate::stores;
use crate::{clock, context, rule_files};

const DAY: Millis = 24 * 60 * 60 * 1000;
/// How many actors and accounts are told apart; there may be any number.
const MOST_DISTINCT: usize = 10_000;

pub(super) async fn run(args: &DataArgs, settings: &Settings, output: &Output) -> Result<Outcome> {
    let Governed { rules, policy, .. } = rule_files::in_force(&[], settings)?;
    let store = stores::findings(settings, args.data.as_deref()).await?;
    let assessor = context::to_show(policy, settings, args.data.as_deref(), false).await?;
    let now = clock::now();
    let mut reports = Vec::new();
    for trial in assessor.policy().trials() {
        let titles = rules.rules().iter().map(|rule| (&rule.id, &rule.title));
        let correlations = rules.correlations().iter().map(|correlation| (&correlation.id, &correlation.title));
        for (id, title) in titles.chain(correlations).filter(|(id, _)| trial.rules.contains(*id)) {
            let tally = match &store {
                Some(store) => tally(store.as_ref(), id, &assessor).await?,
                None => Tally::default(),
            };
            let place = settings.place(&format!("policy.staged[{}]", trial.at));
            reports.push(Report::new((id, title), trial, &tally, place, now));
        }
    }
    show(&reports, output)
}

async fn tally(store: &dyn FindingStore, rule_id: &str, assessor: &Assessor) -> Result<Tally> {
    let rule_id = Some(rule_id.to_owned());
    let mut filter = FindingFilter { rule_id, limit: MAX_LIMIT, ..FindingFilter::default() };
    let mut tally = Tally::default();
    loop {
        let page = store.list(&filter).await?;
        assessor.assess(page.findings).await.iter().for_each(|assessment| tally.add(assessment));
        match page.next {
            Some(next) => filter.cursor = Some(next),
            None => return Ok(tally),
        }
    }
}

/// The findings of one rule, counted.
#[derive(Debug, Default)]
struct Tally {
    findings: u64,
    severities: BTreeMap<Severity, u64>,
    actors: BTreeSet<String>,
    accounts: BTreeSet<String>,
    first_seen: Option<Millis>,
}

impl Tally {
    fn add(&mut self, assessment: &Assessment) {
        let finding = &assessment.finding;
        self.findings += 1;
        *self.severities.entry(assessment.severity()).or_default() += 1;
        self.first_seen = Some(self.first_seen.map_or(finding.first_seen, |first| first.min(finding.first_seen)));
        let names = [(&mut self.actors, &finding.subject.actor), (&mut self.accounts, &finding.subject.account_id)];
        for (known, name) in names {
            if let Some(name) = name.as_ref().filter(|_| known.len() < MOST_DISTINCT) {
                known.insert(name.clone());
            }
        }
    }
}

/// How a rule's trial has gone so far.
#[derive(Debug, Serialize)]
struct Report {
    rule_id: String,
    title: String,
    until: String,
    /// Whether it alerts by now.
    promoted: bool,
    /// To the promotion; since then if it is negative.
    days_left: f64,
    findings: u64,
    severities: BTreeMap<String, u64>,
    actors: usize,
    accounts: usize,
    /// Since the first one, at least a day ago.
    findings_per_day: f64,
    /// Where the entry of the settings stands.
    entry: String,
}

impl Report {
    fn new((id, title): (&str, &str), trial: &Trial, tally: &Tally, entry: String, now: Millis) -> Report {
        let days = |span: Millis| span as f64 / DAY as f64;
        let watched = tally.first_seen.map_or(DAY, |first| (now - first).max(DAY));
        let tenths = |number: f64| (number * 10.0).round() / 10.0;
        Report {
            rule_id: id.to_owned(),
            title: title.to_owned(),
            until: rfc3339(trial.until),
            promoted: trial.until <= now,
            days_left: tenths(days(trial.until.saturating_sub(now))),
            findings: tally.findings,
            severities: tally.severities.iter().rev().map(|(level, count)| (level.to_string(), *count)).collect(),
            actors: tally.actors.len(),
            accounts: tally.accounts.len(),
            findings_per_day: tenths(tally.findings as f64 / days(watched)),
            entry,
        }
    }

    fn state(&self) -> String {
        match self.promoted {
            true => format!("alerts since {}", self.until.get(..10).unwrap_or(&self.until)),
            false => format!("{} days left", self.days_left),
        }
    }

    fn severity_words(&self) -> String {
        let counts = Severity::WORST_FIRST.into_iter().filter_map(|level| {
            let count = self.severities.get(level.as_str())?;
            Some(format!("{count} {level}"))
        });
        counts.collect::<Vec<_>>().join(", ")
    }
}

fn show(reports: &[Report], output: &Output) -> Result<Outcome> {
    if output.is_json() {
        reports.iter().try_for_each(|report| output.json(report))?;
    } else if reports.is_empty() {
        output.line(
            "No rule is on trial. [[policy.staged]] in the settings puts one on trial: rule = \"…\", until = a date.",
        )?;
    } else {
        let rows = reports.iter().map(|report| {
            vec![
                Cell::new(plain(&report.title)),
                Cell::new(report.state()),
                number_cell(report.findings),
                Cell::new(report.severity_words()),
                number_cell(report.actors as u64),
                number_cell(report.accounts as u64),
                Cell::new(report.findings_per_day),
                Cell::new(report.rule_id.get(..8).unwrap_or(&report.rule_id)),
            ]
        });
        output.table(&["rule", "trial", "findings", "severities", "actors", "accounts", "a day", "id"], rows)?;
    }
    let over: BTreeSet<&str> =
        reports.iter().filter(|report| report.promoted).map(|report| report.entry.as_str()).collect();
    for entry in over {
        note(&format!(
            "{entry}: this trial is over and its rules alert: delete the [[policy.staged]] entry there, or mute the rule"
        ));
    }
    Ok(Outcome::Fine)
}
