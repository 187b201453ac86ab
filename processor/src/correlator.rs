//! [`Correlator`]: matches → windows → what they come to, over stores that any number of workers share.
//!
//! Of everything there is one order: append, then read, then evaluate. Of two workers that append at the same instant at
//! least one then sees the matches of both. With lineage it is the same twice over: a match is filed under its credential
//! before it is asked who is behind that, and a link is durable before it is asked what is filed under its credential.
//! All steps may be repeated, so whoever fails begins again.

mod entry;
mod error;
mod evaluation;
mod filing;
mod held;
mod lineage;
mod meter;
mod outcome;
mod packed;
mod shelf;
mod sweep;
mod touched;
mod window;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dial_rules::correlation::{Correlations, Filed};
use dial_rules::event::Millis;
use dial_rules::finding::Finding;
use dial_rules::lineage::Link;
use dial_rules::ruleset::RuleSet;
use dial_sinks::actors::ActorStore;
use dial_sinks::actors::remembering::RememberingActorStore;
use dial_sinks::store::FindingStore;
use dial_sinks::windows::store::WindowStore;
use moka::future::Cache;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, timeout};

use self::filing::Batch;
use self::shelf::Shelf;
use self::touched::Tickets;

pub(crate) use self::error::CorrelateError;
pub(crate) use self::held::Held;
pub(crate) use self::meter::{Correlated, Meter};
pub(crate) use self::sweep::Sweep;

/// How many calls to the stores are under way at once, of all shards of a worker.
const CALLS: usize = 16;
/// How long a call may take before it is given up, and made again.
const CALL: Duration = Duration::from_secs(10);
/// How many bytes of links are remembered whose matches are filed.
const LINKS: u64 = 8 * 1024 * 1024;
/// How long: as what is remembered of links that are written.
const LINKS_FOR: Duration = Duration::from_secs(24 * 3_600);

/// What a batch leads to beside the findings of its single events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FollowUp {
    /// What its events teach of who is behind credentials.
    pub(crate) links: Vec<Link>,
    /// Its matches on their way to windows, as far as their events say themselves who acts.
    pub(crate) filed: Vec<Filed>,
}

/// Where what correlations find is kept and told.
#[derive(Debug, Clone)]
pub(crate) struct Ports {
    /// The matches.
    pub(crate) windows: Arc<dyn WindowStore>,
    /// Who is behind credentials.
    pub(crate) actors: Arc<dyn ActorStore>,
    /// What is found.
    pub(crate) findings: Arc<dyn FindingStore>,
    /// New findings, for whoever shows them.
    pub(crate) news: mpsc::UnboundedSender<Finding>,
}

/// Files matches and evaluates windows. Its clones share what is remembered.
#[derive(Debug, Clone)]
pub(crate) struct Correlator(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    rules: Arc<RuleSet>,
    ports: Ports,
    /// The actors again, which do not write twice what was written before.
    actors: RememberingActorStore,
    shelf: Shelf,
    /// Links that are durable and under whose credentials everything is filed.
    linked: Cache<Link, ()>,
    calls: Semaphore,
    /// Changes whenever an evaluation ends, well or not.
    evaluated: watch::Sender<()>,
    began: Instant,
    meter: Arc<Meter>,
}

/// Windows that are to be evaluated on what was appended to them, and links that are done with then.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pending {
    tickets: Tickets,
}

impl FollowUp {
    /// How many links and filed matches.
    pub(crate) fn len(&self) -> usize {
        self.links.len() + self.filed.len()
    }
}

impl Pending {
    /// How many windows.
    pub(crate) fn len(&self) -> usize {
        self.tickets.len()
    }
}

impl Correlator {
    /// Over these stores.
    pub(crate) fn new(rules: Arc<RuleSet>, ports: Ports, meter: Arc<Meter>) -> Correlator {
        let linked = Cache::builder().weigher(|link, ()| weight(link)).max_capacity(LINKS).time_to_live(LINKS_FOR);
        Correlator(Arc::new(Shared {
            actors: RememberingActorStore::new(ports.actors.clone()),
            shelf: Shelf::default(),
            linked: linked.build(),
            calls: Semaphore::new(CALLS),
            evaluated: watch::Sender::new(()),
            began: Instant::now(),
            rules,
            ports,
            meter,
        }))
    }

    /// Does everything that follows from a batch: [`Correlator::file`], then [`Correlator::evaluate`].
    ///
    /// # Errors
    /// When a store fails. Doing it again is harmless, and right.
    pub(crate) async fn follow(&self, work: &FollowUp, now: Millis) -> Result<(), CorrelateError> {
        let mut pending = self.file(work, now).await?;
        self.evaluate(&mut pending).await
    }

    /// Makes links durable, and files matches under everybody behind them; those that were filed before under a
    /// credential of which more is known now, too. Says which windows are to be evaluated.
    ///
    /// # Errors
    /// When a store fails. Doing it again is harmless, and right.
    pub(crate) async fn file(&self, work: &FollowUp, now: Millis) -> Result<Pending, CorrelateError> {
        let mut links = Vec::new();
        for link in &work.links {
            if self.0.linked.get(link).await.is_none() {
                links.push(link.clone());
            }
        }
        // Durable before anybody looks for what is filed under their credentials.
        if !links.is_empty() {
            self.call("write who is behind credentials", self.0.actors.learn(links.clone(), now)).await?;
        }
        let mut tickets = Tickets::default();
        // Filed before anybody is asked who is behind the credentials.
        self.append(&Batch::of(self.correlations(), &work.filed), now, &mut tickets).await?;
        let mut growing: BTreeSet<Filed> = work.filed.iter().cloned().collect();
        growing.extend(self.filed_under(links.iter().map(|link| link.credential.clone()).collect()).await?);
        self.widen(growing, now, &mut tickets).await?;
        for link in links {
            self.0.linked.insert(link, ()).await;
        }
        Ok(Pending { tickets })
    }

    /// The correlations.
    fn correlations(&self) -> &Correlations {
        self.0.rules.correlations()
    }

    /// Milliseconds since the start, on a clock that never goes back.
    fn clock(&self) -> Millis {
        Millis::try_from(self.0.began.elapsed().as_millis()).unwrap_or(Millis::MAX)
    }

    /// One of few calls at a time, and not for ever.
    async fn call<T, E: Into<CorrelateError>>(
        &self,
        doing: &'static str,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CorrelateError> {
        let slow = || CorrelateError::Slow { doing, seconds: CALL.as_secs() };
        let _one_of_few = self.0.calls.acquire().await.map_err(|_| slow())?;
        match timeout(CALL, call).await {
            Ok(done) => done.map_err(Into::into),
            Err(_) => Err(slow()),
        }
    }
}

fn weight(link: &Link) -> u32 {
    let texts = link.from.credentials.iter().chain(&link.from.persons).chain(&link.session);
    let bytes: usize = texts.map(|text| text.len() + 32).sum();
    u32::try_from(128 + link.credential.len() + bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
pub(crate) mod tests;
