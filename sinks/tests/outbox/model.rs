//! What any outbox must say, by the plainest means.

use std::collections::BTreeMap;

use dial_rules::event::Millis;
use dial_rules::finding::Finding;
use dial_sinks::outbox::store::{Due, Owed, Queue, Row, Settled};

use crate::findings::merged;

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) findings: BTreeMap<String, Owed>,
    pub(crate) rows: BTreeMap<String, Row>,
    /// Whether looking for what is due deletes what has expired.
    pub(crate) forgets: bool,
}

impl Model {
    pub(crate) fn record(&mut self, updates: &[Finding], owing: Option<Millis>) {
        for (id, update) in merged(updates) {
            let Some(owed) = self.findings.get_mut(&id) else {
                let owed = Owed { finding: update, version: 1, revision: 0, progress: BTreeMap::new(), due: owing };
                self.findings.insert(id, owed);
                continue;
            };
            let content = owed.finding.clone().merge(update);
            if content != owed.finding {
                owed.finding = content;
                owed.version += 1;
                owed.due = match (owed.due, owing) {
                    (Some(due), Some(owing)) => Some(due.min(owing)),
                    (due, owing) => due.or(owing),
                };
            }
        }
    }

    pub(crate) fn due(&mut self, queue: Queue, now: Millis, limit: usize) -> Vec<Due> {
        if self.forgets {
            self.rows.retain(|_, row| row.expires.is_none_or(|expires| expires > now));
        }
        let mut due = Vec::new();
        for (id, owed) in &self.findings {
            due.extend(owed.due.filter(|_| queue == Queue::Findings).map(|at| Due { at, key: id.clone() }));
        }
        for (key, row) in &self.rows {
            let waits = row.due.filter(|(of, _)| *of == queue && row.expires.is_none_or(|expires| expires > now));
            due.extend(waits.map(|(_, at)| Due { at, key: key.clone() }));
        }
        due.retain(|due| due.at <= now);
        due.sort_by_key(|due| (due.at, due.key.clone()));
        due.truncate(limit);
        due
    }

    pub(crate) fn settle(&mut self, settled: &Settled) -> bool {
        let Some(owed) = self.findings.get_mut(&settled.finding_id) else { return false };
        let same = owed.version == settled.version && owed.revision == settled.revision;
        if same {
            owed.revision += 1;
            owed.progress = settled.progress.clone();
            owed.due = settled.due;
        }
        same
    }

    pub(crate) fn write(&mut self, row: &Row) -> bool {
        let same = self.revision(&row.key) == row.revision;
        if same {
            self.rows.insert(row.key.clone(), Row { revision: row.revision + 1, ..row.clone() });
        }
        same
    }

    pub(crate) fn delete(&mut self, key: &str, revision: u64) -> bool {
        let same = revision > 0 && self.revision(key) == revision;
        if same {
            self.rows.remove(key);
        }
        same
    }

    pub(crate) fn revision(&self, key: &str) -> u64 {
        self.rows.get(key).map_or(0, |row| row.revision)
    }
}
