//! [`Live`]: the tables in force. Loaded at the start, read again when files are replaced, fetched, asked for; handed out
//! as one snapshot, so that a batch of events sees one state of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::Utc;
use dial_rules::accounts::Accounts;
use dial_rules::addresses::{Addresses, Parts};
use dial_rules::event::Millis;
use dial_rules::tables::Tables;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::circuit::{Circuit, chance};
use super::fetched::{Fetched, FetchedFile, Note};
use super::organizations::{Kept, KeptAccounts, Organization, merged, walk};
use super::parts::{Slot, of_settings};
use super::source::Fault;
use super::watched_file::{Look, Stamp, WatchedFile};
use crate::failure::{Failure, Result};
use crate::settings::{Organizations, Origin, Settings};

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(5);
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
    /// Why it has never said anything.
    unfound: Option<String>,
    /// Why there are no tables of addresses but what is built in.
    unread: Option<String>,
}

/// Where accounts come from.
#[derive(Debug)]
struct AccountSource {
    organization: Arc<dyn Organization>,
    settings: Organizations,
    kept: Kept,
}

impl Live {
    /// Loads everything that the settings name. With `organization` accounts come from there too, if the settings want
    /// that.
    ///
    /// # Errors
    /// Unless it is only to show findings: every file that is missing, truncated or of another kind, with the key that names
    /// it; a table that cannot be fetched and has never been.
    pub(crate) async fn open(
        settings: &Settings,
        organization: Option<Arc<dyn Organization>>,
        purpose: Purpose,
    ) -> Result<Arc<Live>> {
        let (files, fetched) = origins(settings);
        let accounts = organization.filter(|_| settings.organizations.enabled).map(|organization| AccountSource {
            organization,
            settings: settings.organizations.clone(),
            kept: Kept::within(&settings.data.folder),
        });
        let facts = settings.facts.clone();
        let ends = settings.addresses.lists.iter().filter_map(|list| Some((list.name.clone(), list.end()?))).collect();
        let state = State {
            parts: of_settings(&settings.addresses),
            addresses: Addresses::default(),
            found: Accounts::new(),
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
        live.load_accounts(purpose).await;
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

/// Files at the start and later.
impl Live {
    fn load_files(&self, settings: &Settings) -> Result<()> {
        let mut wrong = Vec::new();
        for (slot, file) in self.files.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            let name = file.path.display().to_string();
            let put = |bytes| slot.read(&name, bytes).map(|exchange| exchange.apply(&mut self.state().parts));
            if let Err(why) = file.read().and_then(put) {
                wrong.push(format!("{}: `{}`: {why}", settings.place(&slot.setting()), slot.setting()));
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(Failure::Usage(wrong.join("\n"))) }
    }

    /// That the tables fit what they are named for.
    fn check(&self, settings: &Settings) -> Result<()> {
        let mut state = self.state();
        state.addresses = Addresses::new(state.parts.clone()).map_err(|faults| {
            let told = faults.into_iter().map(|(key, wrong)| format!("{}: `{key}`: {wrong}", settings.place(key)));
            Failure::Usage(told.collect::<Vec<_>>().join("\n"))
        })?;
        Ok(())
    }

    async fn keep_files(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK).await;
            let live = Arc::clone(&self);
            // Reading a large database takes a while.
            let looked = tokio::task::spawn_blocking(move || live.look_at_files()).await;
            if let Err(error) = looked {
                tracing::error!(%error, "the files of tables could not be looked at");
            }
            self.warn_of_expired(Utc::now().timestamp_millis());
        }
    }

    /// Reads what has been replaced. A replacement that is of no use is told, and the table before it stays in force.
    fn look_at_files(&self) {
        let mut changed = false;
        for (slot, file) in self.files.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            let (setting, name) = (slot.setting(), file.path.display().to_string());
            match file.look(Stamp::of(&file.path)) {
                Look::Nothing => {}
                Look::Gone => tracing::warn!(setting, file = name, "is gone; what was read of it stays in force"),
                Look::Read => match file.read().and_then(|bytes| self.exchange(*slot, &name, bytes)) {
                    Ok(()) => {
                        tracing::info!(setting, file = name, "was replaced and is in force");
                        changed = true;
                    }
                    Err(wrong) => {
                        tracing::error!(
                            setting,
                            wrong,
                            "was replaced by what is of no use; the one before stays in force"
                        );
                    }
                },
            }
        }
        if changed {
            self.publish();
        }
    }
}

/// Tables behind URLs.
impl Live {
    async fn load_fetched(&self, purpose: Purpose) -> Result<()> {
        for (slot, file) in &self.fetched {
            let kept_note = self.put_kept(*slot, file).unwrap_or_else(|wrong| {
                tracing::warn!(setting = slot.setting(), "{wrong}");
                None
            });
            let will_do =
                |note: &Note| purpose == Purpose::Show || !note.due_in(Utc::now().timestamp_millis()).is_zero();
            if kept_note.as_ref().is_some_and(will_do) {
                continue;
            }
            let fetched = timeout(START, self.fetch(*slot, file, kept_note.as_ref())).await;
            match (fetched.unwrap_or(Err(Fault::Slow)), kept_note) {
                (Ok(_), _) => {}
                (Err(fault), Some(_)) => {
                    tracing::warn!(setting = slot.setting(), %fault, "cannot be fetched; the kept one is in force");
                }
                (Err(fault), None) => {
                    return Err(Failure::Outside(format!(
                        "`{}` cannot be fetched from {}, and none has been kept of an earlier time: {fault}; name a file \
                         instead, or leave it out",
                        slot.setting(),
                        file.url
                    )));
                }
            }
        }
        Ok(())
    }

    /// Puts the copy on disk in force, if there is one.
    fn put_kept(&self, slot: Slot, file: &FetchedFile) -> std::result::Result<Option<Note>, String> {
        let Some(kept) = file.kept()? else { return Ok(None) };
        self.exchange(slot, file.url.as_str(), kept.bytes)?;
        Ok(Some(kept.note))
    }

    /// Fetches a table and puts it in force. It is kept only once it is known to be of use.
    async fn fetch(&self, slot: Slot, file: &FetchedFile, known: Option<&Note>) -> std::result::Result<Note, Fault> {
        let fetched = file.fetch(known).await?;
        let note = match &fetched {
            Fetched::Same(note) => note.clone(),
            Fetched::New(copy) => {
                self.exchange(slot, file.url.as_str(), copy.bytes.clone()).map_err(Fault::Nonsense)?;
                copy.note.clone()
            }
        };
        if let Err(wrong) = file.keep(&fetched) {
            tracing::warn!(setting = slot.setting(), wrong, "a table was fetched and cannot be kept");
        }
        Ok(note)
    }

    async fn keep_fetched(self: Arc<Self>, at: usize) {
        let Some((slot, file)) = self.fetched.get(at) else { return };
        let mut note = file.kept().ok().flatten().map(|kept| kept.note);
        let mut circuit = Circuit::default();
        loop {
            let due = note.as_ref().map_or(Duration::ZERO, |note| note.due_in(Utc::now().timestamp_millis()));
            tokio::time::sleep(due.max(circuit.wait(Instant::now())).max(LOOK)).await;
            match self.fetch(*slot, file, note.as_ref()).await {
                Ok(fetched) => {
                    note = Some(fetched);
                    circuit.succeeded();
                    self.publish();
                }
                Err(fault) => {
                    if !circuit.is_open() {
                        tracing::warn!(setting = slot.setting(), %fault, "cannot be fetched; the last one stays in force");
                    }
                    circuit.failed(fault, Instant::now(), chance());
                }
            }
        }
    }
}

/// Accounts.
impl Live {
    /// What AWS says, if it answers soon; else what it said last.
    async fn load_accounts(&self, purpose: Purpose) {
        let Some(source) = &self.accounts else { return };
        let kept = source.kept.read().unwrap_or_else(|wrong| {
            tracing::warn!("{wrong}");
            None
        });
        let now = Utc::now().timestamp_millis();
        let age = |kept: &KeptAccounts| Duration::from_millis(u64::try_from(now - kept.fetched()).unwrap_or(u64::MAX));
        let is_fresh =
            kept.as_ref().is_some_and(|kept| purpose == Purpose::Show || age(kept) < source.settings.refresh());
        let asked = if is_fresh { Ok(()) } else { self.ask_for_accounts(source, START).await };
        let mut state = self.state();
        match (asked, kept) {
            (Ok(()), Some(kept)) if is_fresh => state.found = kept.accounts,
            (Ok(()), _) => {}
            (Err(fault), Some(kept)) => {
                let hours = age(&kept).as_secs() / 3600;
                tracing::warn!(%fault, hours, "AWS Organizations does not answer; its accounts of so long ago are in force");
                state.found = kept.accounts;
            }
            (Err(fault), None) => {
                tracing::warn!(%fault, "AWS Organizations does not answer, and never has: accounts have no names");
                state.unfound = Some(fault.to_string());
            }
        }
    }

    async fn ask_for_accounts(&self, source: &AccountSource, patience: Duration) -> std::result::Result<(), Fault> {
        let chart = timeout(patience, walk(source.organization.as_ref())).await.map_err(|_| Fault::Slow)??;
        let accounts = chart.accounts(&source.settings.environment_tag);
        let kept = KeptAccounts::new(accounts.clone(), Utc::now().timestamp_millis());
        if let Err(wrong) = source.kept.write(&kept) {
            tracing::warn!("the organisation's accounts cannot be kept: {wrong}");
        }
        let mut state = self.state();
        (state.found, state.unfound) = (accounts, None);
        Ok(())
    }

    async fn keep_accounts(self: Arc<Self>) {
        let Some(source) = &self.accounts else { return };
        let refresh = source.settings.refresh();
        let mut circuit = Circuit::default();
        // What has never been answered is asked for again at once.
        let mut due = if self.accounts_missing().is_some() { Duration::ZERO } else { refresh };
        loop {
            // Workers that were started together need not ask together.
            tokio::time::sleep(due.mul_f64(0.9 + 0.2 * chance()).max(circuit.wait(Instant::now())).max(LOOK)).await;
            match self.ask_for_accounts(source, refresh.max(START)).await {
                Ok(()) => {
                    circuit.succeeded();
                    due = refresh;
                    self.publish();
                }
                Err(fault) => {
                    if !circuit.is_open() {
                        tracing::warn!(%fault, "AWS Organizations does not answer; what it said last stays in force");
                    }
                    circuit.failed(fault, Instant::now(), chance());
                    due = Duration::ZERO;
                }
            }
        }
    }
}

type Origins = (Vec<(Slot, WatchedFile)>, Vec<(Slot, FetchedFile)>);

/// What the settings name, files and URLs.
fn origins(settings: &Settings) -> Origins {
    let addresses = &settings.addresses;
    let named = [(Slot::Country, &addresses.country), (Slot::City, &addresses.city), (Slot::Asn, &addresses.asn)];
    let mut files: Vec<(Slot, WatchedFile)> =
        named.into_iter().filter_map(|(slot, path)| Some((slot, WatchedFile::new(path.clone()?)))).collect();
    for (at, list) in addresses.lists.iter().enumerate() {
        files.extend(list.file.clone().map(|path| (Slot::List(at), WatchedFile::new(path))));
    }
    let mut fetched = Vec::new();
    for (slot, text) in [(Slot::AwsRanges, &addresses.aws_ranges), (Slot::TorExits, &addresses.tor_exits)] {
        // What is neither was told when the settings were read.
        match text.as_deref().map(Origin::parse) {
            Some(Ok(Origin::File(path))) => files.push((slot, WatchedFile::new(path))),
            Some(Ok(Origin::Url(url))) => {
                fetched.push((slot, FetchedFile::new(url, &settings.data.folder, slot.file_name())));
            }
            _ => {}
        }
    }
    (files, fetched)
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
