//! What is to be appended for matches, and who else they are to be filed under. Pure.

use std::collections::{BTreeSet, HashMap};

use dial_rules::correlation::{Correlations, Filed};
use dial_rules::event::Millis;
use dial_rules::lineage::{Lineage, Resolved, is_temporary};

use super::touched::Additions;
use super::{CorrelateError, entry};

/// A match apart from its lineage, which is to be found under a credential.
pub(super) type Indexed = (String, Filed);

/// Matches with the credentials under which they are to be found as long as more may become known of these.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) filed: Vec<Filed>,
    pub(super) indexed: Vec<Indexed>,
}

impl Batch {
    /// As far as the events say themselves who acts.
    pub(super) fn of(correlations: &Correlations, filed: &[Filed]) -> Batch {
        let indexed: BTreeSet<Indexed> =
            filed.iter().flat_map(|one| indexed(correlations, one, &one.matched.origin)).collect();
        Batch { filed: filed.to_vec(), indexed: indexed.into_iter().collect() }
    }

    /// As items of windows; and how many matches cannot be kept, because they are too long however much is left out.
    pub(super) fn additions(&self, correlations: &Correlations) -> Result<(Additions, usize), CorrelateError> {
        let mut additions = Additions::default();
        let mut unfit = 0;
        for one in &self.filed {
            let Some(correlation) = correlations.get(&one.correlation) else { continue };
            let items = entry::items(&one.matched)?;
            unfit += usize::from(items.is_empty());
            additions.add(entry::window_of(correlation, &one.group)?, correlation.timespan, items);
        }
        let longest = longest(correlations);
        for (credential, one) in &self.indexed {
            let items = entry::index_items(one)?;
            unfit += usize::from(items.is_empty());
            additions.add(entry::index_of(credential), longest, items);
        }
        Ok((additions, unfit))
    }
}

/// The longest timespan: that of the windows of credentials, which hold the matches of all correlations.
pub(super) fn longest(correlations: &Correlations) -> Millis {
    correlations.iter().map(|correlation| correlation.timespan).max().unwrap_or(1)
}

/// Where a match is to be found as long as more may become known of these.
fn indexed(correlations: &Correlations, filed: &Filed, lineage: &Lineage) -> Vec<Indexed> {
    if !correlations.is_by_lineage(filed) {
        return Vec::new();
    }
    let apart = Filed { group: correlations.apart_from_lineage(filed), ..filed.clone() };
    let temporary = lineage.credentials.iter().filter(|credential| is_temporary(credential));
    temporary.map(|credential| (credential.clone(), apart.clone())).collect()
}

/// Matches that are filed by lineage, each as far as it is known who is behind them.
#[derive(Debug, Default)]
pub(super) struct Growing {
    /// Each match once, whoever is behind it.
    matches: BTreeSet<Filed>,
    filed: BTreeSet<Filed>,
    indexed: BTreeSet<Indexed>,
}

impl Growing {
    /// Those of whom more may become known than their events say. They are filed as far as the events say it.
    pub(super) fn of(correlations: &Correlations, filed: impl IntoIterator<Item = Filed>) -> Growing {
        let mut growing = Growing::default();
        for one in filed {
            let indexed = indexed(correlations, &one, &one.matched.origin);
            if let Some((_, apart)) = indexed.first() {
                growing.matches.insert(apart.clone());
                growing.filed.insert(one);
                growing.indexed.extend(indexed);
            }
        }
        growing
    }

    /// Whose credentials they are to be asked for.
    pub(super) fn origins(&self) -> BTreeSet<Lineage> {
        self.matches.iter().map(|one| one.matched.origin.clone()).collect()
    }

    /// What is new by these lineages.
    pub(super) fn grow(&mut self, correlations: &Correlations, resolved: &HashMap<Lineage, Resolved>) -> Batch {
        let Growing { matches, filed, indexed: known } = self;
        let mut new = Batch::default();
        for one in matches.iter() {
            let Some(Resolved { lineage, .. }) = resolved.get(&one.matched.origin) else { continue };
            let refiled = correlations.refile(one, lineage).into_iter();
            new.filed.extend(refiled.filter(|refiled| filed.insert(refiled.clone())));
            let indexed = indexed(correlations, one, lineage).into_iter();
            new.indexed.extend(indexed.filter(|entry| known.insert(entry.clone())));
        }
        new
    }
}
