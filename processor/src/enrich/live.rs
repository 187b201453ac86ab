//! [`Live`]: the tables in force. Loaded at the start, read again when files are replaced, fetched, asked for; handed out
//! as one snapshot, so that a batch of events sees one state of them.

mod accounts;
mod files;
mod origins;
mod remote;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::Utc;
use dial_rules::accounts::Accounts;
use dial_rules::addresses::{Addresses, Parts};
use dial_rules::event::Millis;
use dial_rules::tables::Tables;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::accounts::AccountSource;
use self::origins::origins;
use super::fetched::FetchedFile;
use super::organizations::{Organization, merged};
use super::parts::{Slot, of_settings};
use super::watched_file::WatchedFile;
use crate::failure::Result;
use crate::settings::Settings;

/// How long the start waits for what has to be fetched or asked for.
const START: Duration = Duration::from_secs(10);

/// What the tables are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Rules are evaluated with them: one that cannot be used stops the start.
    Evaluate,
    /// Findings are shown with them: what cannot be used is missing, and copies of any age will do.
    Show,
}

/// The tables in force.
#[derive(Debug)]
pub(crate) struct Live {
    facts: Tables,
    /// What the settings say of accounts; it comes before what AWS says.
    named: Accounts,
    state: Mutex<State>,
    files: Mutex<Vec<(Slot, WatchedFile)>>,
    fetched: Vec<(Slot, FetchedFile)>,
    accounts: Option<AccountSource>,
    tables: watch::Sender<Arc<Tables>>,
    /// Lists that end, by name.
    ends: Mutex<Vec<(String, Millis)>>,
}

#[derive(Debug)]
struct State {
    parts: Parts,
    addresses: Addresses,
    /// What AWS Organizations said last.
    found: Accounts,
    /// When it said so.
    found_at: Option<Millis>,
    /// Why it has never said anything.
    unfound: Option<String>,
    /// Why there are no tables of addresses but what is built in.
    unread: Option<String>,
}

impl Live {
    /// Loads everything that the settings name. With `organization` accounts come from there too, if the settings want
    /// that.
    ///
    /// # Errors
    /// Unless it is only to show findings: every file that is missing, truncated or of another kind, with the key that names
    /// it; a table that cannot be fetched and has never been; accounts that AWS Organizations should tell of, never has, and
    /// does not within minutes.
    pub(crate) async fn open(
        settings: &Settings,
        organization: Option<Arc<dyn Organization>>,
        purpose: Purpose,
    ) -> Result<Arc<Live>> {
        let (files, fetched) = origins(settings);
        let accounts = organization.filter(|_| settings.organizations.enabled);
        let accounts = accounts.map(|organization| AccountSource::new(organization, settings));
        let facts = settings.facts.clone();
        let ends = settings.addresses.lists.iter().filter_map(|list| Some((list.name.clone(), list.end()?))).collect();
        let state = State {
            parts: of_settings(&settings.addresses),
            addresses: Addresses::default(),
            found: Accounts::new(),
            found_at: None,
            unfound: None,
            unread: None,
        };
        let live = Live {
            named: settings.accounts.clone(),
            state: Mutex::new(state),
            files: Mutex::new(files),
            fetched,
            accounts,
            tables: watch::Sender::new(Arc::new(facts.clone())),
            ends: Mutex::new(ends),
            facts,
        };
        match (live.load(settings, purpose).await, purpose) {
            (Ok(()), _) => {}
            (Err(failure), Purpose::Evaluate) => return Err(failure),
            (Err(failure), Purpose::Show) => {
                tracing::warn!("the tables of addresses cannot be used: {failure}");
                live.state().unread = Some("its tables cannot be used: see `dial config check`".to_owned());
            }
        }
        live.load_accounts(purpose).await?;
        live.publish();
        if purpose == Purpose::Evaluate {
            live.warn_of_expired(Utc::now().timestamp_millis());
        }
        Ok(Arc::new(live))
    }

    /// These tables, for ever.
    pub(crate) fn fixed(tables: Tables) -> Arc<Live> {
        let state = State {
            parts: Parts::default(),
            addresses: tables.addresses.clone(),
            found: Accounts::new(),
            found_at: None,
            unfound: None,
            unread: None,
        };
        Arc::new(Live {
            named: tables.accounts.clone(),
            facts: tables.clone(),
            state: Mutex::new(state),
            files: Mutex::default(),
            fetched: Vec::new(),
            accounts: None,
            tables: watch::Sender::new(Arc::new(tables)),
            ends: Mutex::default(),
        })
    }

    async fn load(&self, settings: &Settings, purpose: Purpose) -> Result<()> {
        self.load_files(settings)?;
        self.load_fetched(purpose).await?;
        self.check(settings)
    }

    /// The tables as they are now.
    pub(crate) fn now(&self) -> Arc<Tables> {
        self.tables.borrow().clone()
    }

    /// The tables as they will be: look at it once a batch.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Tables>> {
        self.tables.subscribe()
    }

    /// Why accounts that the settings do not name are unknown, if they should not be.
    pub(crate) fn accounts_missing(&self) -> Option<String> {
        self.state().unfound.clone()
    }

    /// Why nothing is known of addresses, if something should be.
    pub(crate) fn tables_missing(&self) -> Option<String> {
        self.state().unread.clone()
    }

    /// Keeps the tables up to date until `shutdown`.
    pub(crate) fn keep(self: &Arc<Self>, shutdown: &CancellationToken) {
        let spawn = |work: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
            let shutdown = shutdown.clone();
            tokio::spawn(async move { shutdown.run_until_cancelled(work).await });
        };
        let live = Arc::clone(self);
        spawn(Box::pin(async move { live.keep_files().await }));
        for at in 0..self.fetched.len() {
            let live = Arc::clone(self);
            spawn(Box::pin(async move { live.keep_fetched(at).await }));
        }
        if self.accounts.is_some() {
            let live = Arc::clone(self);
            spawn(Box::pin(async move { live.keep_accounts().await }));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts another table in the place of one, or leaves everything as it is.
    fn exchange(&self, slot: Slot, name: &str, bytes: Vec<u8>) -> std::result::Result<(), String> {
        // Before the lock is taken: a large database takes seconds, and whoever shows findings looks at the state meanwhile.
        let exchange = slot.read(name, bytes)?;
        let mut state = self.state();
        let mut parts = state.parts.clone();
        exchange.apply(&mut parts);
        let addresses = Addresses::new(parts.clone())
            .map_err(|faults| faults.into_iter().map(|(_, wrong)| wrong).collect::<Vec<_>>().join("; "))?;
        (state.parts, state.addresses) = (parts, addresses);
        Ok(())
    }

    fn publish(&self) {
        let state = self.state();
        let mut tables = self.facts.clone();
        tables.accounts = merged(&self.named, &state.found);
        tables.addresses = state.addresses.clone();
        self.tables.send_replace(Arc::new(tables));
    }

    /// Warns of every list that has ended by now, once.
    fn warn_of_expired(&self, now: Millis) {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.retain(|(name, end)| {
            if *end <= now {
                tracing::warn!(
                    list = name,
                    "has expired and holds no longer: renew it or take it out of `addresses.lists`"
                );
            }
            *end > now
        });
    }
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
