//! `dial dead-letters show` of an alert.

use std::collections::BTreeMap;

use comfy_table::Cell;
use dial_rules::event::rfc3339;
use dial_rules::finding::Finding;
use dial_sinks::outbox::alert::Group;
use dial_sinks::outbox::dead::DeadAlert;
use dial_sinks::outbox::store::Outbox;
use serde::Serialize;

use super::entry::Entry;
use super::{kept, matching};
use crate::cli::LettersShow;
use crate::failure::{Failure, Outcome, Result};
use crate::output::{Output, clock, plain, thousands};
use crate::settings::Settings;
use crate::stores;

/// How many of its findings a person is told of one by one.
const TOLD: usize = 20;
/// Findings that are read together.
const TOGETHER: usize = 100;

pub(in super::super) async fn show(
    key: &str,
    args: LettersShow,
    settings: &Settings,
    output: &Output,
) -> Result<Outcome> {
    if args.raw {
        return Err(Failure::Usage(format!("{key} is an alert's, which has no bytes: leave --raw out")));
    }
    let store = stores::findings(settings, args.of.data.data.as_deref()).await?;
    let absent = || Failure::Usage(format!("there is no dead letter {key}: see `dial dead-letters list`"));
    let Some(store) = store else { return Err(absent()) };
    let dead = find(store.as_ref(), key).await?.ok_or_else(absent)?;
    let entry = Entry::all(store.as_ref(), std::slice::from_ref(&dead)).await?.pop().ok_or_else(absent)?;
    let findings = findings(store.as_ref(), &dead).await?;
    match output.is_json() {
        true => output.json(&Shown::of(&entry, &dead, &findings))?,
        false => describe(&entry, &dead, &findings, settings, output)?,
    }
    Ok(Outcome::Fine)
}

/// The one with this key, or the only one whose key begins so.
async fn find(store: &dyn Outbox, key: &str) -> Result<Option<DeadAlert>> {
    if let Some(dead) = DeadAlert::get(store, key).await? {
        return Ok(Some(dead));
    }
    let kept = kept(store).await?;
    match matching(&kept, key).collect::<Vec<_>>().as_slice() {
        [] => Ok(None),
        [only] => Ok(DeadAlert::get(store, only).await?),
        _ => Err(Failure::Usage(format!("several dead letters' keys begin with {key}: write more of it"))),
    }
}

/// Those of its findings that are kept still.
async fn findings(store: &dyn Outbox, dead: &DeadAlert) -> Result<BTreeMap<String, Finding>> {
    let ids: Vec<String> = dead.delivery.findings.keys().cloned().collect();
    let mut findings = BTreeMap::new();
    for ids in ids.chunks(TOGETHER) {
        let owed = store.owed(ids).await?.into_iter().map(|owed| (owed.finding.finding_id.clone(), owed.finding));
        findings.extend(owed);
    }
    Ok(findings)
}

/// As JSON.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    entry: &'a Entry,
    /// What it names.
    named: Vec<Part<'a>>,
}

/// A finding that it names.
#[derive(Serialize)]
struct Part<'a> {
    finding_id: &'a str,
    version: u64,
    /// `None` where it is not kept any longer.
    rule_title: Option<&'a str>,
    last_seen: Option<String>,
}

impl<'a> Shown<'a> {
    fn of(entry: &'a Entry, dead: &'a DeadAlert, findings: &'a BTreeMap<String, Finding>) -> Shown<'a> {
        let part = |(id, version): (&'a String, &u64)| {
            let finding = findings.get(id);
            Part {
                finding_id: id,
                version: *version,
                rule_title: finding.map(|finding| finding.subject.rule_title.as_str()),
                last_seen: finding.map(|finding| rfc3339(finding.last_seen)),
            }
        };
        Shown { entry, named: dead.delivery.findings.iter().map(part).collect() }
    }
}

fn describe(
    entry: &Entry,
    dead: &DeadAlert,
    findings: &BTreeMap<String, Finding>,
    settings: &Settings,
    output: &Output,
) -> Result<()> {
    let delivery = &dead.delivery;
    let now = match settings.sinks.get(&dead.sink) {
        Some(_) => "`dial dead-letters redrive` sends it again".to_owned(),
        None => super::redrive::gone(&dead.sink),
    };
    let rows = [
        ("key", plain(&entry.key)),
        ("sink", plain(&entry.sink)),
        ("given up", clock(dead.given_up)),
        ("failing since", delivery.failing_since.map_or("–".to_owned(), clock)),
        ("attempts", thousands(delivery.attempts.into())),
        ("reason", plain(delivery.last_error.as_deref().unwrap_or("–"))),
        ("together by", plain(&group_words(&dead.alert.group))),
        ("findings", thousands(entry.findings)),
        ("to do", plain(&now)),
    ];
    output.table(&["", ""], rows.map(|(name, value)| vec![Cell::new(name), Cell::new(value)]))?;
    for id in delivery.findings.keys().take(TOLD) {
        let told = match findings.get(id) {
            Some(finding) => format!("{}  {}", clock(finding.last_seen), plain(&finding.subject.rule_title)),
            None => "is not kept any longer".to_owned(),
        };
        output.line(&format!("  {}  {told}", plain(id)))?;
    }
    match delivery.findings.len().saturating_sub(TOLD) {
        0 => Ok(()),
        more => output.line(&format!("  and {} more: --json names all", thousands(more as u64))),
    }
}

/// What its findings have in common, in words.
fn group_words(group: &Group) -> String {
    match group {
        Group::Repeats { rule_id, of } => {
            let of = of.iter().map(|(name, value)| format!("{name} {value}"));
            [format!("rule {rule_id}")].into_iter().chain(of).collect::<Vec<_>>().join(", ")
        }
        Group::Incident { id } => format!("incident {id}"),
        Group::Storm { rule_id } => format!("a storm of the rule {rule_id}"),
        Group::Batch { worker, .. } => format!("what {worker} archives together"),
    }
}
