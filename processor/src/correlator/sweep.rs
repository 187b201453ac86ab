//! [`Sweep`]: correlation of input that ends. Matches are filed as they are read; when all is read, once, they are filed
//! under everybody behind them, and every window that was added to is evaluated. Same matches, same findings as on a
//! stream; what is held in memory does not grow with the input.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dial_rules::correlation::{Correlation, Filed};
use dial_rules::event::Millis;
use dial_rules::finding::Finding;
use dial_rules::lineage::Link;
use dial_rules::ruleset::RuleSet;
use dial_sinks::actors::{ActorStore, resolve};
use dial_sinks::windows::sqlite::SqliteWindowStore;
use dial_sinks::windows::sqlite::noted::Noted;
use dial_sinks::windows::store::{WindowKey, WindowRange, WindowStore};

use super::filing::{Batch, Growing, longest};
use super::outcome::outcome;
use super::{CorrelateError, Meter, entry};

/// How many buckets of windows are dealt with at a time.
const PAGE: usize = 256;

/// A correlation of what one scan reads.
#[derive(Debug)]
pub(crate) struct Sweep {
    rules: Arc<RuleSet>,
    windows: SqliteWindowStore,
    /// Whether others will add to these windows later.
    kept: bool,
    now: Millis,
    meter: Meter,
}

impl Sweep {
    /// Over windows that nobody has written to yet through this handle. They notes what is added to; `kept` says whether
    /// they outlast the scan.
    pub(crate) fn new(rules: Arc<RuleSet>, windows: SqliteWindowStore, kept: bool, now: Millis) -> Sweep {
        Sweep { rules, windows, kept, now, meter: Meter::default() }
    }

    /// Files matches as far as their events say who acts.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(crate) async fn file(&self, filed: &[Filed]) -> Result<(), CorrelateError> {
        self.append(&Batch::of(self.rules.correlations(), filed)).await
    }

    /// What was filed under these credentials by others before is to be looked at again.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(crate) async fn learn(&self, links: &[Link]) -> Result<(), CorrelateError> {
        if !self.kept || !self.rules.correlations().use_lineage() {
            return Ok(());
        }
        let windows: BTreeSet<WindowKey> = links.iter().map(|link| entry::index_of(&link.credential)).collect();
        Ok(self.windows.note(windows.into_iter().collect()).await?)
    }

    /// All is read, and `actors` know all that it teaches. Hands over what is found, some at a time; parts of one
    /// finding may come one after the other.
    ///
    /// # Errors
    /// When a store fails, and what `visit` returns.
    pub(crate) async fn finish<E: From<CorrelateError>>(
        &self,
        actors: &dyn ActorStore,
        mut visit: impl AsyncFnMut(Vec<Finding>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.widen(actors).await?;
        for correlation in self.rules.correlations().inner_first() {
            let mut after = None;
            loop {
                let page =
                    self.windows.noted(&correlation.id, after.take(), PAGE).await.map_err(CorrelateError::from)?;
                if page.is_empty() {
                    break;
                }
                visit(self.evaluate(correlation, &page).await?).await?;
                after = page.into_iter().last();
            }
        }
        Ok(())
    }

    async fn append(&self, batch: &Batch) -> Result<(), CorrelateError> {
        let (additions, unfit) = batch.additions(self.rules.correlations())?;
        Meter::add(&self.meter.left_out, unfit);
        let (additions, _) = additions.split();
        self.windows.append(additions, self.now).await?;
        Ok(())
    }

    /// Files everything again under everybody behind it.
    async fn widen(&self, actors: &dyn ActorStore) -> Result<(), CorrelateError> {
        let timespan = longest(self.rules.correlations());
        let mut after = None;
        loop {
            let page = self.windows.noted(entry::BY_CREDENTIAL, after.take(), PAGE).await?;
            let ranges: Vec<WindowRange> = page.iter().map(|noted| whole(noted, timespan)).collect();
            let mut filed = Vec::new();
            for item in self.windows.read(&ranges).await?.iter().flatten() {
                filed.push(entry::filed_in(item)?);
            }
            let mut growing = Growing::of(self.rules.correlations(), filed);
            let resolved = resolve(actors, growing.origins()).await?;
            let mut new = growing.grow(self.rules.correlations(), &resolved);
            if !self.kept {
                new.indexed.clear(); // nobody will learn more
            }
            self.append(&new).await?;
            after = page.into_iter().last();
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Evaluates some buckets of windows of one correlation.
    async fn evaluate(&self, correlation: &Correlation, page: &[Noted]) -> Result<Vec<Finding>, CorrelateError> {
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
            let items: Vec<_> = self.windows.read(&ranges).await?.into_iter().flatten().collect();
            let found = outcome(self.rules.correlations(), correlation, &window, &items, buckets)?;
            findings.extend(found.findings);
            completions.extend(found.completions);
        }
        self.append(&Batch { filed: completions, indexed: Vec::new() }).await?;
        Ok(findings)
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
