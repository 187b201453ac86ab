//! `dial findings list` and `show`.

use comfy_table::Cell;
use dial_rules::finding::Finding;
use dial_sinks::filter::{FindingFilter, MAX_LIMIT};
use dial_sinks::store::FindingStore;

use crate::cli::{Findings, FindingsList, FindingsShow};
use crate::failure::{Failure, Outcome, Result};
use crate::output::{Output, clock, note, plain, severity_cell, thousands};
use crate::settings::Settings;
use crate::stores;

pub(crate) async fn run(command: Findings, settings: &Settings, output: &Output) -> Result<Outcome> {
    match command {
        Findings::List(args) => list(args, settings, output).await,
        Findings::Show(args) => show(args, settings, output).await,
    }
}

async fn list(args: FindingsList, settings: &Settings, output: &Output) -> Result<Outcome> {
    let store = stores::findings(settings, args.data.data.as_deref()).await?;
    let mut filter = FindingFilter {
        from: args.since,
        min_severity: Some(args.severity),
        rule_id: args.rule,
        ..FindingFilter::default()
    };
    let Some(store) = store else {
        return nothing(0, output);
    };
    let store = store.as_ref();
    let (mut found, mut more) = gather(store, &filter, args.limit).await?;
    if found.is_empty()
        && args.limit > 0
        && let Some(begins) = &filter.rule_id
        && let Some(id) = whole_rule_id(store, begins).await?
    {
        filter.rule_id = Some(id);
        (found, more) = gather(store, &filter, args.limit).await?;
    }
    if found.is_empty() && args.limit > 0 {
        let any = FindingFilter { limit: MAX_LIMIT, ..FindingFilter::default() };
        return nothing(store.list(&any).await?.findings.len(), output);
    }
    print(&found, more, output)
}

/// At most `limit` findings that pass, and whether there may be more.
async fn gather(store: &dyn FindingStore, filter: &FindingFilter, limit: usize) -> Result<(Vec<Finding>, bool)> {
    let (mut filter, mut found) = (filter.clone(), Vec::new());
    while found.len() < limit {
        filter.limit = (limit - found.len()).min(MAX_LIMIT);
        let page = store.list(&filter).await?;
        found.extend(page.findings);
        match page.next {
            Some(next) => filter.cursor = Some(next),
            None => return Ok((found, false)),
        }
    }
    Ok((found, true))
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
fn nothing(kept: usize, output: &Output) -> Result<Outcome> {
    let text = match kept {
        0 => "No findings. `dial demo` makes some; `dial scan --save PATH` and `dial run` keep what they find."
            .to_owned(),
        MAX_LIMIT.. => format!("no finding matches; {} or more are kept", thousands(MAX_LIMIT as u64)),
        _ => format!("no finding matches; {kept} are kept"),
    };
    match (output.is_json(), kept) {
        (true, 0) => {}
        (true, _) => note(&text),
        (false, _) => output.line(&text)?,
    }
    Ok(Outcome::Fine)
}

fn print(found: &[Finding], more: bool, output: &Output) -> Result<Outcome> {
    if output.is_json() {
        found.iter().try_for_each(|finding| output.json(finding))?;
    } else if !found.is_empty() {
        let row = |finding: &Finding| {
            let subject = &finding.subject;
            let text = |text: &Option<String>| Cell::new(plain(text.as_deref().unwrap_or("")));
            vec![
                Cell::new(clock(finding.last_seen)),
                severity_cell(subject.severity),
                Cell::new(plain(&subject.rule_title)),
                text(&subject.actor),
                text(&subject.account_id),
                Cell::new(&finding.finding_id),
            ]
        };
        output.table(&["last seen (UTC)", "severity", "rule", "actor", "account", "id"], found.iter().map(row))?;
    }
    if more && !found.is_empty() {
        note("there may be more: raise --limit");
    }
    Ok(Outcome::Fine)
}

async fn show(args: FindingsShow, settings: &Settings, output: &Output) -> Result<Outcome> {
    let store = stores::findings(settings, args.data.data.as_deref()).await?;
    let found = match &store {
        Some(store) => find(store.as_ref(), &args.id).await?,
        None => None,
    };
    let Some(finding) = found else {
        return Err(Failure::Usage(format!("there is no finding {}: see `dial findings list`", plain(&args.id))));
    };
    if output.is_json() {
        output.json(&finding)?;
    } else {
        describe(&finding, output)?;
    }
    Ok(Outcome::Fine)
}

/// The finding with this id, or the only one whose id begins so.
async fn find(store: &dyn FindingStore, id: &str) -> Result<Option<Finding>> {
    if let Some(finding) = store.get(id).await? {
        return Ok(Some(finding));
    }
    let mut matching: Vec<Finding> = Vec::new();
    let mut filter = FindingFilter { limit: MAX_LIMIT, ..FindingFilter::default() };
    loop {
        let page = store.list(&filter).await?;
        matching.extend(page.findings.into_iter().filter(|finding| finding.finding_id.starts_with(id)));
        if matching.len() > 1 {
            return Err(Failure::Usage(format!("several findings' ids begin with {}: write more of it", plain(id))));
        }
        match page.next {
            Some(next) => filter.cursor = Some(next),
            None => return Ok(matching.pop()),
        }
    }
}

fn describe(finding: &Finding, output: &Output) -> Result<()> {
    let subject = &finding.subject;
    output.finding_line(finding)?;
    let lines = [
        ("finding", Some(finding.finding_id.clone())),
        ("rule", Some(finding.rule_id.clone())),
        ("techniques", Some(subject.techniques.join(" ")).filter(|text| !text.is_empty())),
        ("actor", subject.actor.clone()),
        ("from", subject.source_ip.clone()),
        ("account", subject.account_id.clone()),
        ("region", subject.region.clone()),
        ("first seen", Some(clock(finding.first_seen))),
        ("last seen", Some(clock(finding.last_seen))),
        ("events", Some(finding.event_count.to_string())),
    ];
    for (name, value) in lines {
        if let Some(value) = value {
            output.line(&format!("  {name:<11} {}", plain(&value)))?;
        }
    }
    for evidence in &finding.evidence {
        output.line(&format!(
            "  {}  {} {}  {}",
            clock(evidence.event_time),
            plain(&evidence.event_source),
            plain(&evidence.event_name),
            plain(&evidence.event_id)
        ))?;
    }
    Ok(())
}
