//! [`Sweep`]: correlation of input that ends. Matches are held as they are read; when all is read, once, they are filed
//! under everybody behind them, and every window that was added to is evaluated. Same matches, same findings as on a
//! stream; what is held in memory does not grow with the input: beyond a bound everything goes to a store of windows.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use dial_rules::correlation::{Condition, Correlation, Filed, Seen, affected, range_of};
use dial_rules::event::Millis;
use dial_rules::finding::Finding;
use dial_rules::lineage::{Lineage, Link, Resolved};
use dial_rules::ruleset::RuleSet;
use dial_sinks::actors::{ActorStore, resolve};
use dial_sinks::windows::retention::Retention;
use dial_sinks::windows::sqlite::SqliteWindowStore;
use dial_sinks::windows::sqlite::noted::Noted;
use dial_sinks::windows::store::{WindowKey, WindowRange, WindowStore};

use super::filing::{Batch, Growing, longest};
use super::held::{self, Held};
use super::outcome::{outcome, outcome_of};
use super::{CorrelateError, entry};

/// How many buckets of windows are dealt with at a time.
const PAGE: usize = 256;
/// How many matches are, where they come without their windows.
const MATCHES: usize = 4_096;
/// How many bytes of packed matches are held in memory; unpacked they would take four times as much.
const MOST: usize = 16 * 1024 * 1024;

/// A correlation of what one scan reads.
#[derive(Debug)]
pub(crate) struct Sweep {
    rules: Arc<RuleSet>,
    held: Held,
    /// How many bytes of matches are held.
    most: usize,
    /// Where matches go that are too many, once there are. It notes what is added to.
    windows: Option<SqliteWindowStore>,
    retention: Retention,
    /// Whether others will add to these windows later.
    kept: bool,
    now: Millis,
}

impl Sweep {
    /// Of windows that nobody looks at after the scan: in memory, and in a temporary file once they are too much for that.
    pub(crate) fn new(rules: Arc<RuleSet>, retention: Retention, now: Millis) -> Sweep {
        Sweep { rules, held: Held::default(), most: MOST, windows: None, retention, kept: false, now }
    }

    /// Of windows in `store`, which outlast the scan. Nobody has written to them yet through this handle.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn into_store(
        rules: Arc<RuleSet>,
        store: SqliteWindowStore,
        now: Millis,
    ) -> Result<Sweep, CorrelateError> {
        let windows = Some(store.noting().await?);
        Ok(Sweep { windows, kept: true, ..Sweep::new(rules, Retention::default(), now) })
    }

    /// Takes in matches that are filed as far as their events say who acts.
    ///
    /// # Errors
    /// When there are too many for memory and the store cannot be written.
    pub(crate) async fn join(&mut self, filed: Held) -> Result<(), CorrelateError> {
        self.held.join(filed);
        self.spill_if_full().await
    }

    async fn file(&mut self, filed: &[Filed]) -> Result<(), CorrelateError> {
        filed.iter().try_for_each(|one| self.held.add(one))?;
        self.spill_if_full().await
    }

    async fn spill_if_full(&mut self) -> Result<(), CorrelateError> {
        if self.held.bytes() > self.most { self.spill().await.map(drop) } else { Ok(()) }
    }

    /// What was filed under these credentials by others before is to be looked at again.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(crate) async fn learn(&self, links: &[Link]) -> Result<(), CorrelateError> {
        let Some(store) = self.windows.as_ref().filter(|_| self.kept && self.rules.correlations().use_lineage()) else {
            return Ok(());
        };
        let windows: BTreeSet<WindowKey> = links.iter().map(|link| entry::index_of(&link.credential)).collect();
        Ok(store.note(windows.into_iter().collect()).await?)
    }

    /// All is read, and `actors` know all that it teaches. Hands over what is found, some at a time; parts of one
    /// finding may come one after the other.
    ///
    /// # Errors
    /// When a store fails, and what `visit` returns.
    pub(crate) async fn finish<E: From<CorrelateError>>(
        &mut self,
        actors: &dyn ActorStore,
        mut visit: impl AsyncFnMut(Vec<Finding>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.windows.is_none() {
            self.widen_held(actors).await?;
        }
        if self.windows.is_some() {
            let store = self.spill().await?;
            self.widen_stored(&store, actors).await?;
        }
        let rules = self.rules.clone();
        for correlation in rules.correlations().inner_first() {
            // Completions of inner ones may have been too many for memory.
            match self.windows.is_some() {
                true => self.visit_stored(correlation, &mut visit).await?,
                false => self.visit_held(correlation, &mut visit).await?,
            }
        }
        Ok(())
    }

    /// Moves everything that is held to the store.
    async fn spill(&mut self) -> Result<SqliteWindowStore, CorrelateError> {
        let store = match &self.windows {
            Some(store) => store.clone(),
            None => {
                let store = SqliteWindowStore::temporary(self.retention).await?.noting().await?;
                self.windows.insert(store).clone()
            }
        };
        let mut all = self.held.drain();
        loop {
            let some = all.by_ref().take(MATCHES).collect::<Result<Vec<Filed>, _>>()?;
            if some.is_empty() {
                return Ok(store);
            }
            self.append(&store, &Batch::of(self.rules.correlations(), &some)).await?;
        }
    }

    async fn append(&self, store: &SqliteWindowStore, batch: &Batch) -> Result<(), CorrelateError> {
        let (additions, _) = batch.additions(self.rules.correlations())?;
        let (additions, _) = additions.split();
        store.append(additions, self.now).await?;
        Ok(())
    }

    /// Files everything that is held again under everybody behind it. If that becomes too much for memory, what is in the
    /// store is to be filed again.
    async fn widen_held(&mut self, actors: &dyn ActorStore) -> Result<(), CorrelateError> {
        let rules = self.rules.clone();
        let correlations = rules.correlations();
        if !correlations.use_lineage() {
            return Ok(());
        }
        let grown = self.grown(actors).await?;
        if grown.is_empty() {
            return Ok(());
        }
        for correlation in correlations.iter().filter(|correlation| correlation.uses_lineage()) {
            let log = self.held.take(&correlation.id);
            let growing = |origin: Option<Lineage>| origin.is_some_and(|origin| grown.contains_key(&origin));
            let mut records = log.records().filter(|record| growing(record.growing_origin()));
            loop {
                let some = records.by_ref().take(MATCHES).map(|record| held::filed(&correlation.id, record));
                let some = some.collect::<Result<Vec<Filed>, _>>()?;
                if some.is_empty() {
                    break;
                }
                let new = Growing::of(correlations, some).grow(correlations, &grown);
                self.file(&new.filed).await?;
            }
            drop(records);
            self.held.put(correlation.id.clone(), log);
        }
        Ok(())
    }

    /// The origins of what is held of which more is known than the events say.
    async fn grown(&self, actors: &dyn ActorStore) -> Result<HashMap<Lineage, Resolved>, CorrelateError> {
        let by_lineage = self.rules.correlations().iter().filter(|correlation| correlation.uses_lineage());
        let origins: BTreeSet<Lineage> = by_lineage.flat_map(|one| self.held.growing_origins(&one.id)).collect();
        let (mut origins, mut grown) = (origins.into_iter().peekable(), HashMap::new());
        while origins.peek().is_some() {
            let some: Vec<Lineage> = origins.by_ref().take(PAGE).collect();
            let resolved = resolve(actors, some).await?;
            grown.extend(resolved.into_iter().filter(|(origin, resolved)| resolved.lineage != *origin));
        }
        Ok(grown)
    }

    /// Evaluates all windows of a correlation that are held, and lets go of them.
    async fn visit_held<E: From<CorrelateError>>(
        &mut self,
        correlation: &Correlation,
        visit: &mut impl AsyncFnMut(Vec<Finding>) -> Result<(), E>,
    ) -> Result<(), E> {
        let rules = self.rules.clone();
        let log = self.held.take(&correlation.id);
        let mut found = Vec::new();
        for (group, records) in log.groups() {
            if records.len() < fewest(correlation) {
                continue;
            }
            let group = held::group(&correlation.id, group)?;
            let mut matches = held::views(&correlation.id, records)?;
            matches.sort();
            matches.dedup();
            let mut buckets: Vec<i64> = Vec::new();
            for bucket in matches.iter().flat_map(|seen| affected(seen.time(), correlation.timespan)) {
                if buckets.iter().rev().take(2).all(|known| *known != bucket) {
                    buckets.push(bucket); // matches are by time
                }
            }
            for some in buckets.chunks(PAGE) {
                let of = |bucket: i64| range_of(bucket, correlation.timespan);
                let from = matches.partition_point(|seen| seen.time() < of(some[0]).start);
                let to = matches.partition_point(|seen| seen.time() < of(some[some.len() - 1]).end);
                let within = &matches[from..to];
                let outcome =
                    outcome_of(rules.correlations(), correlation, &group, within, some.iter().copied(), |view| {
                        Cow::Owned(view.whole())
                    });
                found.extend(outcome.findings);
                self.file(&outcome.completions).await?;
                if found.len() >= PAGE {
                    visit(std::mem::take(&mut found)).await?;
                }
            }
        }
        if found.is_empty() { Ok(()) } else { visit(found).await }
    }

    /// Evaluates all windows of a correlation that were added to in the store.
    async fn visit_stored<E: From<CorrelateError>>(
        &mut self,
        correlation: &Correlation,
        visit: &mut impl AsyncFnMut(Vec<Finding>) -> Result<(), E>,
    ) -> Result<(), E> {
        let store = self.spill().await?;
        let mut after = None;
        loop {
            let page = store.noted(&correlation.id, after.take(), PAGE).await.map_err(CorrelateError::from)?;
            if page.is_empty() {
                return Ok(());
            }
            visit(self.evaluate(&store, correlation, &page).await?).await?;
            after = page.into_iter().last();
        }
    }

    /// Files everything in the store again under everybody behind it.
    async fn widen_stored(&self, store: &SqliteWindowStore, actors: &dyn ActorStore) -> Result<(), CorrelateError> {
        let timespan = longest(self.rules.correlations());
        let mut after = None;
        loop {
            let page = store.noted(entry::BY_CREDENTIAL, after.take(), PAGE).await?;
            let ranges: Vec<WindowRange> = page.iter().map(|noted| whole(noted, timespan)).collect();
            let mut filed = Vec::new();
            for item in store.read(&ranges).await?.iter().flatten() {
                filed.push(entry::filed_in(item)?);
            }
            let mut growing = Growing::of(self.rules.correlations(), filed);
            let resolved = resolve(actors, growing.origins()).await?;
            let mut new = growing.grow(self.rules.correlations(), &resolved);
            if !self.kept {
                new.indexed.clear(); // nobody will learn more
            }
            self.append(store, &new).await?;
            after = page.into_iter().last();
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Evaluates some buckets of windows of one correlation.
    async fn evaluate(
        &self,
        store: &SqliteWindowStore,
        correlation: &Correlation,
        page: &[Noted],
    ) -> Result<Vec<Finding>, CorrelateError> {
        let mut buckets: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
        for Noted { group, bucket } in page {
            // Completions may follow in the next.
            buckets
                .entry(group)
                .or_default()
                .extend(bucket.iter().flat_map(|bucket| [*bucket, bucket.saturating_add(1)]));
        }
        let (mut findings, mut completions) = (Vec::new(), Vec::new());
        for (group, buckets) in buckets {
            let window = WindowKey { correlation: correlation.id.clone(), group: group.to_owned() };
            let range = |(from, to)| WindowRange { window: window.clone(), from, to };
            let stretches = entry::stretches(buckets.iter().copied(), correlation.timespan);
            let ranges: Vec<WindowRange> = stretches.into_iter().map(range).collect();
            let items: Vec<_> = store.read(&ranges).await?.into_iter().flatten().collect();
            let found = outcome(self.rules.correlations(), correlation, &window, &items, buckets)?;
            findings.extend(found.findings);
            completions.extend(found.completions);
        }
        self.append(store, &Batch { filed: completions, indexed: Vec::new() }).await?;
        Ok(findings)
    }
}

/// With fewer matches, no window of the correlation is ever complete.
fn fewest(correlation: &Correlation) -> usize {
    match correlation.condition {
        Condition::EventCount { at_least } => usize::try_from(at_least).unwrap_or(usize::MAX),
        Condition::TemporalOrdered => correlation.parts.len(),
        Condition::ValueCount { .. } | Condition::Temporal(_) => 1,
    }
}

/// A bucket of a credential's window, or all of it.
fn whole(noted: &Noted, timespan: Millis) -> WindowRange {
    let window = entry::index_of(&noted.group);
    match noted.bucket {
        None => WindowRange { window, from: Millis::MIN, to: Millis::MAX },
        Some(bucket) => {
            let from = bucket.saturating_mul(timespan);
            WindowRange { window, from, to: from.saturating_add(timespan - 1) }
        }
    }
}

#[cfg(test)]
mod tests;
