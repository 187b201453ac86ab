//! `dial findings list`; `show` and `tail` have files of their own.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use comfy_table::{Cell, CellAlignment};
use dial_rules::assessment::Assessment;
use dial_rules::incident::incidents;
use dial_rules::policy::Status;
use dial_rules::severity::Severity;
use dial_sinks::filter::{FindingFilter, MAX_LIMIT};
use dial_sinks::store::FindingStore;

use super::incident::OfIncident;
use crate::assess::Assessor;
use crate::cli::{Findings, FindingsList};
use crate::failure::{Failure, Outcome, Result};
use crate::output::{Output, clock, note, plain, severity_cell, thousands};
use crate::settings::Settings;
use crate::{context, rule_files, stores, story};

pub(crate) async fn run(command: Findings, settings: &Settings, output: &Output) -> Result<Outcome> {
    match command {
        Findings::List(args) => list(args, settings, output).await,
        Findings::Show(args) => super::finding::show(args, settings, output).await,
        Findings::Tail(args) => super::tail::run(args, settings, output).await,
    }
}

async fn list(args: FindingsList, settings: &Settings, output: &Output) -> Result<Outcome> {
    let policy = rule_files::policy(settings)?;
    let assessor = context::to_show(policy, settings, args.data.data.as_deref(), false).await?;
    let store = stores::findings(settings, args.data.data.as_deref()).await?;
    let Some(store) = store else {
        return nothing(0, 0, output);
    };
    let store = store.as_ref();
    let mut wanted = Wanted::new(args, &assessor, !output.is_json());
    let mut found = wanted.gather(store, &assessor).await?;
    if found.is_empty()
        && wanted.limit > 0
        && let Some(begins) = &wanted.filter.rule_id
        && let Some(id) = whole_rule_id(store, begins).await?
    {
        wanted.filter.rule_id = Some(id);
        found = wanted.gather(store, &assessor).await?;
    }
    if found.listed.is_empty() && wanted.limit > 0 {
        let any = FindingFilter { limit: MAX_LIMIT, ..FindingFilter::default() };
        return nothing(store.list(&any).await?.findings.len(), found.hidden, output);
    }
    found.print(&wanted, output)
}

/// How many findings a page has at least once the first did not have all that are wanted.
const LEAST_PAGE: usize = 200;

/// Which findings to list.
struct Wanted {
    filter: FindingFilter,
    severity: Severity,
    shown: Shown,
    limit: usize,
    /// Whether an incident is one line, and counts as one.
    by_incident: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Open,
    Hidden,
    /// Each, also those that are one incident with others.
    All,
}

/// What was found of them.
#[derive(Default)]
struct Found {
    listed: Vec<Assessment>,
    /// How many would be listed if the policy did not hide them.
    hidden: u64,
    /// Whether there may be more.
    more: bool,
}

impl Wanted {
    fn new(args: FindingsList, assessor: &Assessor, for_people: bool) -> Wanted {
        let filter = FindingFilter {
            from: args.since,
            to: args.to,
            // Stores know the rule's severity; where the policy changes that, all are to be looked at.
            min_severity: Some(args.severity).filter(|_| !assessor.policy().changes_severity()),
            rule_id: args.rule,
            ..FindingFilter::default()
        };
        let shown = match (args.all, args.suppressed) {
            (true, _) => Shown::All,
            (false, true) => Shown::Hidden,
            (false, false) => Shown::Open,
        };
        let by_incident = for_people && shown == Shown::Open;
        Wanted { filter, severity: args.severity, shown, limit: args.limit, by_incident }
    }

    fn lists(&self, status: Status) -> bool {
        match self.shown {
            Shown::All => true,
            Shown::Open => status == Status::Open,
            Shown::Hidden => status != Status::Open,
        }
    }

    /// At most `limit` findings, or incidents, that are wanted.
    async fn gather(&self, store: &dyn FindingStore, assessor: &Assessor) -> Result<Found> {
        let (mut filter, mut found, mut least) = (self.filter.clone(), Found::default(), 1);
        if self.by_incident {
            // How many findings an incident has, only they tell.
            least = LEAST_PAGE;
        }
        let mut lines = 0;
        while lines < self.limit {
            filter.limit = (self.limit - lines).clamp(least, MAX_LIMIT);
            // Where most are hidden, pages of the few that are still wanted would be asked for without end.
            least = LEAST_PAGE;
            let page = store.list(&filter).await?;
            for assessment in assessor.assess(page.findings).await {
                if !self.by_incident && found.listed.len() == self.limit {
                    found.more = true;
                    return Ok(found);
                }
                if assessment.severity() < self.severity {
                    continue;
                }
                if self.lists(assessment.disposition.status) {
                    found.listed.push(assessment);
                } else if !assessment.is_open() {
                    found.hidden += 1;
                }
            }
            lines = if self.by_incident { by_incident(&found.listed).len() } else { found.listed.len() };
            match page.next {
                Some(next) => filter.cursor = Some(next),
                None => return Ok(found),
            }
        }
        found.more = true;
        Ok(found)
    }
}

/// The id of the only rule with findings whose id begins so and goes on.
async fn whole_rule_id(store: &dyn FindingStore, begins: &str) -> Result<Option<String>> {
    /// Of a UUID, which nothing follows.
    const WHOLE: usize = 36;
    let mut only: Option<String> = None;
    let mut filter = FindingFilter { limit: MAX_LIMIT, ..FindingFilter::default() };
    while begins.len() < WHOLE {
        let page = store.list(&filter).await?;
        for id in page.findings.into_iter().map(|finding| finding.rule_id).filter(|id| id.starts_with(begins)) {
            match &only {
                // It is whole already: it is the other filters that nothing passes.
                _ if id == begins => return Ok(None),
                Some(other) if *other != id => {
                    return Err(Failure::Usage(format!(
                        "several rules' ids begin with {}: write more of it",
                        plain(begins)
                    )));
                }
                _ => only = Some(id),
            }
        }
        match page.next {
            Some(next) => filter.cursor = Some(next),
            None => break,
        }
    }
    Ok(only)
}

/// Says why nothing is listed; `kept` findings are there, counted up to a page.
fn nothing(kept: usize, hidden: u64, output: &Output) -> Result<Outcome> {
    let text = match kept {
        0 => "No findings. `dial demo` makes some; `dial scan --save PATH` and `dial run` keep what they find."
            .to_owned(),
        MAX_LIMIT.. => format!("no finding matches; {} or more are kept", thousands(MAX_LIMIT as u64)),
        _ => format!("no finding matches; {kept} are kept"),
    };
    let text = if hidden > 0 { format!("{text}; {}", hidden_words(hidden, false)) } else { text };
    match (output.is_json(), kept) {
        (true, 0) => {}
        (true, _) => note(&text),
        (false, _) => output.line(&text)?,
    }
    Ok(Outcome::Fine)
}

fn hidden_words(hidden: u64, more: bool) -> String {
    let least = if more { " or more" } else { "" };
    format!("{}{least} hidden by the policy: see `dial findings list --suppressed`", thousands(hidden))
}

impl Found {
    fn is_empty(&self) -> bool {
        self.listed.is_empty() && self.hidden == 0
    }

    fn print(&self, wanted: &Wanted, output: &Output) -> Result<Outcome> {
        let mut more = self.more;
        if output.is_json() {
            let incidents = incidents(self.listed.iter().map(|assessment| &assessment.finding));
            for (assessment, incident) in self.listed.iter().zip(incidents) {
                output.json(&OfIncident { assessment, incident })?;
            }
        } else if !self.listed.is_empty() {
            let mut lines = match wanted.by_incident {
                true => by_incident(&self.listed),
                false => self.listed.iter().map(|assessment| (assessment, 0)).collect(),
            };
            more |= lines.len() > wanted.limit;
            lines.truncate(wanted.limit);
            let mut titles = vec!["last seen (UTC)", "severity", "rule", "actor", "account", "events"];
            if wanted.shown != Shown::Open {
                titles.extend(["status", "why"]);
            }
            titles.push("id");
            output
                .table(&titles, lines.into_iter().map(|(assessment, others)| row(assessment, others, wanted.shown)))?;
        }
        if more && !self.listed.is_empty() {
            note("there may be more: raise --limit");
        }
        if self.hidden > 0 {
            note(&hidden_words(self.hidden, more));
        }
        Ok(Outcome::Fine)
    }
}

/// One finding for each incident, the one that says most, with how many others it covers, in the place of the first of them;
/// and each that belongs to none.
fn by_incident(listed: &[Assessment]) -> Vec<(&Assessment, usize)> {
    let names = incidents(listed.iter().map(|assessment| &assessment.finding));
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut lines: Vec<(&Assessment, usize)> = Vec::new();
    for (assessment, name) in listed.iter().zip(names) {
        let place = name.and_then(|name| match places.entry(name) {
            Entry::Occupied(place) => Some(*place.get()),
            Entry::Vacant(place) => {
                place.insert(lines.len());
                None
            }
        });
        match place {
            Some(place) => {
                let (shown, others) = lines[place];
                lines[place] = (std::cmp::min_by_key(shown, assessment, |one| story::telling(one)), others + 1);
            }
            None => lines.push((assessment, 0)),
        }
    }
    lines
}

fn row(assessment: &Assessment, others: usize, shown: Shown) -> Vec<Cell> {
    let Assessment { finding, context, disposition } = assessment;
    let subject = &finding.subject;
    let text = |text: Option<&str>| Cell::new(plain(text.unwrap_or("")));
    let account = context.account.as_ref().and_then(|account| account.name.as_deref());
    let title = match others {
        0 => subject.rule_title.clone(),
        _ => format!("{} (and {others} more)", subject.rule_title),
    };
    let mut cells = vec![
        Cell::new(clock(finding.last_seen)),
        severity_cell(disposition.severity),
        text(Some(&title)),
        text(story::who(assessment).as_deref()),
        text(account.or(subject.account_id.as_deref())),
        Cell::new(finding.event_count_text()).set_alignment(CellAlignment::Right),
    ];
    if shown != Shown::Open {
        cells.push(Cell::new(disposition.status.as_str()));
        cells.push(text(disposition.by.as_ref().map(|entry| entry.words()).as_deref()));
    }
    cells.push(Cell::new(&finding.finding_id));
    cells
}

#[cfg(test)]
#[path = "findings_tests.rs"]
mod tests;
