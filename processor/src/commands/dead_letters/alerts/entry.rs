//! What is told of an alert's dead letter, whatever the command.

use std::collections::BTreeMap;

use dial_rules::event::rfc3339;
use dial_sinks::outbox::alert::Group;
use dial_sinks::outbox::dead::DeadAlert;
use dial_sinks::outbox::store::{Outbox, Owed};
use serde::Serialize;

use crate::failure::Result;

/// Findings that are read together.
const TOGETHER: usize = 100;

/// A dead letter without its findings, as JSON.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Entry {
    kind: &'static str,
    /// The delivery's key: the same in every attempt.
    pub(super) key: String,
    pub(super) sink: String,
    pub(super) given_up: String,
    pub(super) failing_since: Option<String>,
    pub(super) attempts: u32,
    pub(super) reason: Option<String>,
    /// What its findings have in common.
    pub(super) group: Group,
    /// How many findings it names.
    pub(super) findings: u64,
    /// The title of one of them, unless none is kept.
    pub(super) title: Option<String>,
}

impl Entry {
    fn of(dead: &DeadAlert, title: Option<String>) -> Entry {
        Entry {
            kind: "alert",
            key: dead.delivery.key.clone(),
            sink: dead.sink.clone(),
            given_up: rfc3339(dead.given_up),
            failing_since: dead.delivery.failing_since.map(rfc3339),
            attempts: dead.delivery.attempts,
            reason: dead.delivery.last_error.clone(),
            group: dead.alert.group.clone(),
            findings: dead.delivery.findings.len() as u64,
            title,
        }
    }

    /// Of each of them, with the titles of their first findings.
    pub(super) async fn all(store: &dyn Outbox, dead: &[DeadAlert]) -> Result<Vec<Entry>> {
        let first = |dead: &DeadAlert| dead.delivery.findings.keys().next().cloned();
        let ids: Vec<String> = dead.iter().filter_map(first).collect();
        let mut titles = BTreeMap::new();
        for ids in ids.chunks(TOGETHER) {
            for Owed { finding, .. } in store.owed(ids).await? {
                titles.insert(finding.finding_id, finding.subject.rule_title);
            }
        }
        let title = |dead: &DeadAlert| titles.get(&first(dead)?).cloned();
        Ok(dead.iter().map(|dead| Entry::of(dead, title(dead))).collect())
    }

    /// What it would tell, in a few words.
    pub(super) fn words(&self) -> String {
        let title = self.title.as_deref().unwrap_or(match &self.group {
            Group::Repeats { rule_id, .. } | Group::Storm { rule_id } => rule_id,
            Group::Incident { id } => id,
            // None is ever given up.
            Group::Batch { worker, .. } => worker,
        });
        match self.findings {
            0 | 1 => title.to_owned(),
            count => format!("{title} (and {} more)", count - 1),
        }
    }
}
