//! `dial findings tail`: follows what is recorded.
//!
//! Stores list findings by when their events happened, and an event may come hours after that. So the newest are looked at
//! every second, with a stretch behind them in which most late ones lie, and everything within reach now and then. What was
//! told is remembered with its content; nothing older than all that is within reach is.

mod filter;
mod known;

use std::sync::Arc;
use std::time::Duration;

use dial_rules::assessment::Assessment;
use dial_rules::event::Millis;
use dial_rules::finding::Finding;
use dial_sinks::filter::{FindingFilter, MAX_LIMIT};
use dial_sinks::store::{FindingStore, StoreError};
use serde::Serialize;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use self::filter::Filter;
use self::known::{Change, Known};
use super::run::cancel_on_signal;
use crate::assess::Assessor;
use crate::cli::FindingsTail;
use crate::clock::now;
use crate::failure::{Outcome, Result};
use crate::output::{Output, note, plain};
use crate::settings::Settings;
use crate::{context, rule_files, stores};

/// How often is looked.
const LOOK: Duration = Duration::from_secs(1);
/// How far behind the newest each look goes: most of what comes late has come by then, and indexes are up to date.
const OVERLAP: Millis = 15 * 60 * 1000;
/// Everything within reach is looked at again after so long, at least; in a table, whose reading costs.
const WHOLE_TABLE: Duration = Duration::from_secs(60);
/// The same in a file.
const WHOLE_FILE: Duration = Duration::from_secs(3);
/// Looking at everything takes at most one part in so many of the time.
const SHARE: u32 = 10;
/// What is within reach: so many findings, the latest, and of a table those of the last day.
const MOST_REACHED: usize = 20_000;
const REACH_OF_TABLE: Millis = 24 * 3_600_000;
/// How many a look goes through at most; the others wait until everything is looked at.
const MOST_AT_A_LOOK: usize = 5_000;

pub(super) async fn run(args: FindingsTail, settings: &Settings, output: &Output) -> Result<Outcome> {
    let shutdown = CancellationToken::new();
    cancel_on_signal(shutdown.clone())?;
    let policy = rule_files::policy(settings)?;
    let folder = args.data.data.clone();
    let assessor = context::to_show(policy, settings, folder.as_deref(), false).await?;
    let began = now();
    let since = args.since.map(|since| since.time(began));
    let is_table = folder.is_none() && settings.stream.name.is_some();
    let mut tail = Tail {
        filter: Filter::new(&args),
        assessor,
        output,
        store: None,
        away: false,
        began,
        known: Known::default(),
        whole_every: if is_table { WHOLE_TABLE } else { WHOLE_FILE },
        reach: is_table.then_some(REACH_OF_TABLE),
        next_whole: None,
    };
    let follow = async {
        tail.open(settings, folder.as_deref()).await?;
        if tail.store.is_none() {
            note("no findings are kept yet: waiting for the first");
        }
        loop {
            tail.look(settings, folder.as_deref(), since).await?;
            sleep(LOOK).await;
        }
    };
    match shutdown.run_until_cancelled(follow).await {
        Some(ended) => ended,
        None => Ok(Outcome::Fine),
    }
}

/// What is followed, and what was told of it.
struct Tail<'o> {
    filter: Filter,
    assessor: Assessor,
    output: &'o Output,
    store: Option<Arc<dyn FindingStore>>,
    /// The store failed the last time, which was said.
    away: bool,
    began: Millis,
    known: Known,
    whole_every: Duration,
    reach: Option<Millis>,
    /// When everything is to be looked at; `None` until that was done once.
    next_whole: Option<Instant>,
}

/// A finding as JSON, with why it is told.
#[derive(Serialize)]
struct Told<'a> {
    change: Change,
    #[serde(flatten)]
    assessment: &'a Assessment,
}

impl Tail<'_> {
    async fn open(&mut self, settings: &Settings, folder: Option<&std::path::Path>) -> Result<()> {
        self.store = stores::findings(settings, folder).await?.map(|store| store as _);
        Ok(())
    }

    /// Looks once, and tells what is new. That the store is away is said once, and so is that it is back.
    async fn look(
        &mut self,
        settings: &Settings,
        folder: Option<&std::path::Path>,
        since: Option<Millis>,
    ) -> Result<()> {
        if self.store.is_none() {
            self.open(settings, folder).await?;
            if self.store.is_none() {
                // Whatever will be there is new.
                self.next_whole.get_or_insert_with(Instant::now);
                return Ok(());
            }
        }
        let Some(store) = self.store.clone() else { return Ok(()) };
        // What came to be while it could not be looked at is news, too.
        let since = since.or(self.away.then_some(self.began - OVERLAP));
        match self.read(store.as_ref(), since).await {
            Ok(news) => {
                if std::mem::take(&mut self.away) {
                    note("the findings can be read again");
                }
                self.tell(news).await
            }
            Err(error) => {
                if !std::mem::replace(&mut self.away, true) {
                    note(&format!("{}; trying on", plain(&error.to_string())));
                }
                Ok(())
            }
        }
    }

    /// What is new or has changed, the earliest first. Of a first look that is what was last seen at `since` or later.
    async fn read(
        &mut self,
        store: &dyn FindingStore,
        since: Option<Millis>,
    ) -> std::result::Result<Vec<(Change, Finding)>, StoreError> {
        let first = self.next_whole.is_none();
        let whole = self.next_whole.is_none_or(|when| when <= Instant::now());
        let (from, most) = match whole {
            true => {
                let since = since.filter(|_| first);
                (self.reach.map(|reach| since.into_iter().fold(now() - reach, Millis::min)), MOST_REACHED)
            }
            false => (Some(now() - OVERLAP), MOST_AT_A_LOOK),
        };
        let from = from.max(self.known.floor());
        let began = Instant::now();
        let (found, ended) = gather(store, from, most).await?;
        if whole {
            self.next_whole = Some(Instant::now() + self.whole_every.max(began.elapsed() * SHARE));
            let earliest = found.iter().map(|finding| finding.last_seen).min();
            // Of those that were last seen in the same millisecond as the earliest, some may be beyond reach.
            self.known.forget_before(if ended { from } else { earliest.map(|time| time.saturating_add(1)) });
        }
        let mut news: Vec<(Change, Finding)> = Vec::new();
        for finding in found {
            if let Some(change) = self.known.learn(&finding)
                && (!first || since.is_some_and(|since| finding.last_seen >= since))
            {
                news.push((change, finding));
            }
        }
        news.sort_by(|(_, a), (_, b)| (a.last_seen, &a.finding_id).cmp(&(b.last_seen, &b.finding_id)));
        Ok(news)
    }

    async fn tell(&self, news: Vec<(Change, Finding)>) -> Result<()> {
        let mut news = news.into_iter().peekable();
        while news.peek().is_some() {
            let (changes, findings): (Vec<Change>, Vec<Finding>) = news.by_ref().take(256).unzip();
            for (change, assessment) in changes.into_iter().zip(self.assessor.assess(findings).await) {
                if !self.filter.accepts(&assessment) {
                    continue;
                }
                match (self.output.is_json(), change) {
                    (true, _) => self.output.json(&Told { change, assessment: &assessment })?,
                    (false, Change::New) => self.output.finding_line(&assessment)?,
                    (false, Change::Changed) => self.output.grown_line(&assessment)?,
                }
            }
        }
        Ok(())
    }
}

/// The latest findings from `from` on, at most `most`, and whether those are all.
async fn gather(
    store: &dyn FindingStore,
    from: Option<Millis>,
    most: usize,
) -> std::result::Result<(Vec<Finding>, bool), StoreError> {
    let mut filter = FindingFilter { from, limit: MAX_LIMIT, ..FindingFilter::default() };
    let mut found = Vec::new();
    loop {
        let page = store.list(&filter).await?;
        found.extend(page.findings);
        match page.next {
            None => return Ok((found, true)),
            Some(_) if found.len() >= most => return Ok((found, false)),
            Some(next) => filter.cursor = Some(next),
        }
    }
}
