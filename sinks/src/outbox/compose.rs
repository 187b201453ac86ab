//! The [`Message`] of a delivery, from what its findings mean now.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use dial_rules::assessment::Assessment;
use dial_rules::event::Millis;
use dial_rules::finding::Finding;
use dial_rules::severity::Severity;

use super::alert::{Alert, Delivery, Group};
use super::broken::{Broken, is_broken};
use super::desk::Desk;
use super::links::links;
use super::store::Outbox;
use crate::message::{MOST_SHOWN, Message, Moment, Subjects};
use crate::store::StoreError;

/// How many findings are read at once.
const AT_ONCE: usize = 100;
/// Most findings of a message that are looked at closely, to find those that say the most.
const MOST_ASSESSED: usize = 50;
/// Most lines of a timeline; half of them the first, half the last.
const MOST_MOMENTS: usize = 40;
/// Most titles in a title.
const MOST_TITLES: usize = 3;

/// The findings of a delivery, as far as a message tells them.
pub(crate) struct Told {
    /// The most telling first. Never empty.
    assessments: Vec<Assessment>,
    first_seen: Millis,
    last_seen: Millis,
    /// What all of them are of, those that are not assessed among them.
    of: Subjects,
}

/// The message of a delivery of an alert; `None` when none of its findings is there any longer.
///
/// # Errors
/// When the store cannot be read, or none of the findings that are there can.
pub(crate) async fn compose(
    store: &dyn Outbox,
    desk: &dyn Desk,
    alert: &Alert,
    delivery: &Delivery,
) -> Result<Option<Message>, StoreError> {
    let Some(told) = read(store, desk, delivery).await? else { return Ok(None) };
    let mut moments: Vec<Moment> = match alert.group {
        Group::Storm { .. } => told.assessments.iter().take(1).flat_map(|one| desk.moments(&one.finding)).collect(),
        _ => told.assessments.iter().take(MOST_SHOWN + 1).flat_map(|one| desk.moments(&one.finding)).collect(),
    };
    moments.sort_by_key(|moment| moment.time);
    let mut seen = Vec::new();
    moments.retain(|moment| {
        let is_new = !seen.contains(moment);
        if is_new {
            seen.push(moment.clone());
        }
        is_new
    });
    if moments.len() > MOST_MOMENTS {
        moments.drain(MOST_MOMENTS / 2..moments.len() - MOST_MOMENTS / 2);
    }
    let advice = told.assessments.first().map(|lead| desk.notes(&lead.finding.rule_id).advice).unwrap_or_default();
    Ok(message(alert, delivery, told).map(|message| Message { moments, advice, ..message }))
}

/// Reads the findings of a delivery and has the most telling of them assessed.
async fn read(store: &dyn Outbox, desk: &dyn Desk, delivery: &Delivery) -> Result<Option<Told>, StoreError> {
    let ids: Vec<String> = delivery.findings.keys().cloned().collect();
    let mut most_telling: Vec<Finding> = Vec::new();
    let (mut first_seen, mut last_seen, mut of) = (Millis::MAX, Millis::MIN, Subjects::default());
    for some in ids.chunks(AT_ONCE) {
        for owed in store.owed(some).await? {
            first_seen = first_seen.min(owed.finding.first_seen);
            last_seen = last_seen.max(owed.finding.last_seen);
            of.add(&owed.finding);
            most_telling.push(owed.finding);
        }
        most_telling.sort_by(|a, b| by_telling(b, b.subject.severity).cmp(&by_telling(a, a.subject.severity)));
        most_telling.truncate(MOST_ASSESSED);
    }
    if most_telling.is_empty() {
        gone(store, &ids).await?;
    }
    let mut assessments = desk.assess(most_telling).await;
    assessments.sort_by(|a, b| by_telling(&b.finding, b.severity()).cmp(&by_telling(&a.finding, a.severity())));
    Ok((!assessments.is_empty()).then_some(Told { assessments, first_seen, last_seen, of }))
}

/// Checks that findings, of which the outbox gave none, are not there. One that is, but cannot be read, as when a newer version of
/// the program wrote it, is no reason to say that all is told.
///
/// # Errors
/// When the store cannot be read, or one of them cannot.
pub(crate) async fn gone(store: &dyn Outbox, ids: &[String]) -> Result<(), StoreError> {
    for id in ids {
        if store.get(id).await?.is_some() {
            return Err(StoreError::Damaged { finding_id: id.clone(), reason: "what is owed of it".to_owned() });
        }
    }
    Ok(())
}

/// How much a finding says: the greater, the more.
fn by_telling(finding: &Finding, severity: Severity) -> impl Ord + use<'_> {
    (severity, finding.kind, finding.event_count, finding.last_seen, Reverse(&finding.finding_id))
}

/// What is said, but for what the desk adds.
fn message(alert: &Alert, delivery: &Delivery, told: Told) -> Option<Message> {
    let count = alert.told + alert.untold(&delivery.findings);
    let title = title(&alert.group, count, &told);
    let Told { assessments, first_seen, last_seen, of } = told;
    let mut assessments = assessments.into_iter();
    let lead = assessments.next()?;
    let others: Vec<Assessment> = assessments.take(MOST_SHOWN).collect();
    let rule_id = match &alert.group {
        Group::Repeats { rule_id, .. } | Group::Storm { rule_id } => Some(rule_id.as_str()),
        Group::Incident { .. } | Group::Batch { .. } => None,
    };
    let is_more = count > 1 + others.len() as u64;
    let list = is_more.then_some((rule_id, first_seen, last_seen));
    let attempt = if is_broken(Broken::KeyPerAttempt) { format!("-{}", delivery.attempts) } else { String::new() };
    Some(Message {
        key: format!("{}{attempt}", delivery.key),
        thread: alert.thread(),
        sequence: alert.deliveries,
        group: alert.group.clone(),
        severity: lead.severity(),
        title,
        links: links(&lead.finding, list),
        others,
        finding_ids: delivery.findings.keys().cloned().collect(),
        of,
        count,
        lead,
        moments: Vec::new(),
        advice: crate::message::Advice::default(),
        is_sample: false,
    })
}

/// One line: what happened.
fn title(group: &Group, count: u64, told: &Told) -> String {
    let mut titles: Vec<&str> = Vec::new();
    let mut seen = BTreeSet::new();
    for assessment in &told.assessments {
        let title = assessment.finding.subject.rule_title.as_str();
        if seen.insert(title) {
            titles.push(title);
        }
    }
    let lead = titles.first().copied().unwrap_or_default();
    if count <= 1 {
        return lead.to_owned();
    }
    let count = crate::telling::thousands(count);
    if matches!(group, Group::Storm { .. }) {
        return format!("{count} × {lead} in {}", span(told.last_seen.saturating_sub(told.first_seen)));
    }
    let more = titles.len().saturating_sub(MOST_TITLES);
    titles.truncate(MOST_TITLES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{count} findings: {}{more}", titles.join(", "))
}

/// A span as people say it, rounded up: `2 min`.
fn span(millis: Millis) -> String {
    let minutes = millis.max(1).saturating_add(59_999) / 60_000;
    match minutes {
        0..=119 => format!("{minutes} min"),
        120..=2_879 => format!("{} h", (minutes + 59) / 60),
        _ => format!("{} days", (minutes + 1_439) / 1_440),
    }
}

#[cfg(test)]
#[path = "compose_tests.rs"]
mod tests;
