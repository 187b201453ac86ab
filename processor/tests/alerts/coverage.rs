//! Whether each finding was told at each sink, and how often too often.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dial_sinks::outbox::store::{Outbox, Owed};
use tokio::time::Instant;

use crate::destination::Named;
use crate::scene::Scene;
use crate::server::Attempt;

/// How long before a worker is killed what it was delivering may have been taken.
const IN_FLIGHT: Duration = Duration::from_secs(12);

/// The findings that are in the store and were told to nobody, by sink.
pub(crate) async fn untold(scene: &Scene) -> BTreeMap<&'static str, Vec<String>> {
    let ids = scene.findings().await;
    let mut owed = Vec::new();
    for some in ids.chunks(100) {
        owed.extend(scene.store().owed(some).await.unwrap());
    }
    assert_eq!(owed.len(), ids.len());
    let untold = scene.servers.iter().map(|(name, server)| (*name, untold_at(name, &owed, &server.journal())));
    untold.filter(|(_, untold)| !untold.is_empty()).collect()
}

fn untold_at(sink: &str, findings: &[Owed], journal: &[Attempt]) -> Vec<String> {
    let accepted = || journal.iter().filter(|attempt| attempt.accepted);
    let ids: BTreeSet<&String> = accepted()
        .filter_map(|attempt| match &attempt.said.named {
            Named::Ids(ids) => Some(ids),
            Named::Lead { .. } => None,
        })
        .flatten()
        .collect();
    // Who reads numbers knows of as many findings of an alert as the highest says. Which alert it is tells the finding that
    // every message leads with.
    let alert_of: BTreeMap<&str, &str> = findings
        .iter()
        .filter_map(|owed| Some((owed.finding.finding_id.as_str(), owed.progress.get(sink)?.alert.as_str())))
        .collect();
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    for attempt in accepted() {
        if let Named::Lead { finding_id, count, .. } = &attempt.said.named
            && let Some(alert) = alert_of.get(finding_id.as_str())
        {
            let most = counted.entry(alert).or_default();
            *most = (*most).max(*count);
        }
    }
    let mut members: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut untold = Vec::new();
    for owed in findings {
        let id = owed.finding.finding_id.as_str();
        match alert_of.get(id) {
            _ if ids.contains(&owed.finding.finding_id) => {}
            Some(alert) => members.entry(alert).or_default().push(id),
            None => untold.push(id.to_owned()),
        }
    }
    for (alert, members) in members {
        let told = counted.get(alert).copied().unwrap_or_default();
        untold.extend(members.into_iter().skip(told).map(str::to_owned));
    }
    untold
}

/// What became of the attempts at one sink.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) attempts: usize,
    /// Messages that were taken, each key once.
    pub(crate) messages: usize,
    /// Messages that were taken while nobody was told so: those must be sent again.
    pub(crate) unanswered: usize,
    /// Taken again after that.
    pub(crate) repeated_unanswered: usize,
    /// Taken again although whoever sent it was killed right after.
    pub(crate) repeated_by_the_kill: usize,
    /// Taken again for no such reason.
    pub(crate) repeated: usize,
}

/// Counts, and checks that all attempts with one key name the same findings.
pub(crate) fn tally(sink: &str, journal: &[Attempt], killed: Option<Instant>) -> Tally {
    let mut tally = Tally { attempts: journal.len(), ..Tally::default() };
    let mut named: BTreeMap<&str, &Named> = BTreeMap::new();
    let mut taken: BTreeMap<&str, &Attempt> = BTreeMap::new();
    for attempt in journal {
        let key = attempt.said.key.as_str();
        let first = named.entry(key).or_insert(&attempt.said.named);
        assert!(is_same(first, &attempt.said.named), "{sink}: {key} names {first:?}, then {:?}", attempt.said.named);
        if !attempt.accepted {
            continue;
        }
        tally.unanswered += usize::from(!attempt.answered);
        let Some(before) = taken.insert(key, attempt) else {
            tally.messages += 1;
            continue;
        };
        let in_flight =
            |killed: Instant| before.at <= killed && killed.saturating_duration_since(before.at) < IN_FLIGHT;
        if !before.answered {
            tally.repeated_unanswered += 1;
        } else if killed.is_some_and(in_flight) {
            tally.repeated_by_the_kill += 1;
        } else {
            tally.repeated += 1;
        }
    }
    tally
}

/// A finding that grew may lead where another did; how many there are stays.
fn is_same(one: &Named, other: &Named) -> bool {
    match (one, other) {
        (Named::Lead { count, new, .. }, Named::Lead { count: of_other, new: new_of_other, .. }) => {
            (count, new) == (of_other, new_of_other)
        }
        _ => one == other,
    }
}
