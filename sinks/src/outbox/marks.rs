//! Marks: which incident a completing event, or a side of a correlation's bucket, belongs to. Whoever binds one first wins.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dial_rules::event::Millis;
use dial_rules::finding::Finding;
use serde::{Deserialize, Serialize};

use super::group::{incident_name, mark_keys};
use super::pace::millis;
use super::store::{Outbox, Row};
use crate::store::StoreError;

/// How long a mark is kept.
const KEPT: Duration = Duration::from_secs(2 * 24 * 3600);

/// What a mark says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Mark {
    /// When it was bound.
    since: Millis,
    /// To which incident.
    incident: String,
}

/// The incident of each of these correlated findings, by the finding's id. Marks that are not bound yet are bound to it.
pub(crate) async fn incidents_of(
    store: &dyn Outbox,
    findings: &[&Finding],
    now: Millis,
) -> Result<BTreeMap<String, String>, StoreError> {
    let keys: BTreeSet<String> = findings.iter().flat_map(|finding| mark_keys(finding)).collect();
    let mut marks = Marks { store, now, known: BTreeMap::new(), free: BTreeMap::new() };
    marks.read(keys.into_iter().collect()).await?;
    let mut told = BTreeMap::new();
    for finding in findings {
        let incident = marks.bind(finding).await?;
        told.insert(finding.finding_id.clone(), incident);
    }
    Ok(told)
}

/// The marks that were looked at.
struct Marks<'s> {
    store: &'s dyn Outbox,
    now: Millis,
    known: BTreeMap<String, (Mark, u64)>,
    /// Rows that bind nothing any longer, to be written over.
    free: BTreeMap<String, u64>,
}

impl Marks<'_> {
    async fn read(&mut self, keys: Vec<String>) -> Result<(), StoreError> {
        for some in keys.chunks(100) {
            for row in self.store.rows(some).await? {
                let mark = serde_json::from_str(&row.body).ok().filter(|_| !row.is_expired(self.now));
                match mark {
                    Some(mark) => drop(self.known.insert(row.key, (mark, row.revision))),
                    None => drop(self.free.insert(row.key, row.revision)),
                }
            }
        }
        Ok(())
    }

    /// The finding's incident: the one that was bound first, else its own. Marks are bound one after the other in the order
    /// of their keys, and a mark that somebody else binds meanwhile decides for those that were bound here just now.
    async fn bind(&mut self, finding: &Finding) -> Result<String, StoreError> {
        let keys = mark_keys(finding);
        let bound = keys.iter().filter_map(|key| self.known.get(key)).map(|(mark, _)| mark).min();
        let mut incident = bound.map_or_else(|| incident_name(finding), |mark| mark.incident.clone());
        let mut ours: Vec<String> = Vec::new();
        for key in keys {
            if self.known.contains_key(&key) {
                continue;
            }
            if self.write(&key, &incident).await? {
                ours.push(key);
                continue;
            }
            self.read(vec![key.clone()]).await?;
            match self.known.get(&key) {
                Some((theirs, _)) if theirs.incident != incident => {
                    incident = theirs.incident.clone();
                    for key in &ours {
                        self.write(key, &incident).await?;
                    }
                }
                _ => {}
            }
        }
        Ok(incident)
    }

    async fn write(&mut self, key: &str, incident: &str) -> Result<bool, StoreError> {
        let bound = self.known.get(key).map(|(_, revision)| revision);
        let revision = bound.or_else(|| self.free.get(key)).copied().unwrap_or(0);
        let mark = Mark { since: self.now, incident: incident.to_owned() };
        let row = Row {
            key: key.to_owned(),
            body: serde_json::to_string(&mark).unwrap_or_default(),
            revision,
            due: None,
            expires: Some(self.now.saturating_add(millis(KEPT))),
        };
        let is_written = self.store.write(&row).await?;
        if is_written {
            self.known.insert(key.to_owned(), (mark, revision + 1));
        }
        Ok(is_written)
    }
}
