//! Accounts of AWS Organizations: asked for at the start unless a fresh answer is kept, and every hour or so from then on.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::files::LOOK;
use super::{Live, Purpose, START};
use crate::enrich::organizations::{Kept, KeptAccounts, Organization, Walk};
use crate::enrich::source::Fault;
use crate::failure::{Failure, Result};
use crate::settings::{Organizations, Settings};
use dial_sinks::circuit::{Circuit, chance};

/// How long a start that cannot do without the accounts waits while AWS answers nothing at all.
pub(super) const SILENCE: Duration = Duration::from_secs(300);

/// Where accounts come from.
#[derive(Debug)]
pub(super) struct AccountSource {
    organization: Arc<dyn Organization>,
    settings: Organizations,
    kept: Kept,
    /// What has been answered of the question that is not done: the next try goes on from there.
    walk: Mutex<Walk>,
}

impl AccountSource {
    pub(super) fn new(organization: Arc<dyn Organization>, settings: &Settings) -> AccountSource {
        let kept = Kept::within(&settings.data.folder);
        AccountSource { organization, settings: settings.organizations.clone(), kept, walk: Mutex::default() }
    }

    fn read_kept(&self) -> Option<KeptAccounts> {
        self.kept.read().unwrap_or_else(|wrong| {
            tracing::warn!("{wrong}");
            None
        })
    }
}

impl Live {
    /// What AWS said last, if that is fresh; else what it says, if it answers soon; else what it said last. Rules that are
    /// evaluated without accounts find other things than with them: that start waits.
    ///
    /// # Errors
    /// When rules are to be evaluated, nothing is kept, and AWS does not answer or refuses.
    pub(super) async fn load_accounts(&self, purpose: Purpose) -> Result<()> {
        let Some(source) = &self.accounts else { return Ok(()) };
        let now = Utc::now().timestamp_millis();
        let age = |kept: &KeptAccounts| Duration::from_millis(u64::try_from(now - kept.fetched()).unwrap_or(u64::MAX));
        match source.read_kept() {
            Some(kept) if purpose == Purpose::Show || age(&kept) < source.settings.refresh() => self.use_kept(kept),
            Some(kept) => {
                if let Err(fault) = self.ask_for_accounts(source, START).await {
                    let hours = age(&kept).as_secs() / 3600;
                    tracing::warn!(%fault, hours, "AWS Organizations has not answered yet; its accounts of so long ago are in force");
                    self.use_kept(kept);
                }
            }
            None if purpose == Purpose::Show => {
                if let Err(fault) = self.ask_for_accounts(source, START).await {
                    tracing::warn!(%fault, "AWS Organizations does not answer, and never has: accounts have no names");
                    self.state().unfound = Some(fault.to_string());
                }
            }
            None => return self.wait_for_accounts(source).await,
        }
        Ok(())
    }

    fn use_kept(&self, kept: KeptAccounts) {
        let mut state = self.state();
        state.found_at = Some(kept.fetched());
        state.found = kept.accounts;
    }

    /// Asks until there is an answer. As long as AWS answers some questions it is waited for: thousands of accounts take
    /// minutes.
    async fn wait_for_accounts(&self, source: &AccountSource) -> Result<()> {
        tracing::info!(
            "asking AWS Organizations for the accounts before anything is detected: none are kept in the data folder"
        );
        let (mut circuit, mut heard, mut heard_at) = (Circuit::default(), 0, Instant::now());
        loop {
            let Err(fault) = self.ask_for_accounts(source, SILENCE).await else { return Ok(()) };
            let answered = source.walk.lock().await.answered();
            if answered > heard {
                (heard, heard_at, circuit) = (answered, Instant::now(), Circuit::default());
            }
            circuit.failed(fault.clone(), Instant::now(), chance());
            let pause = circuit.wait(Instant::now());
            let left = SILENCE.saturating_sub(heard_at.elapsed());
            if matches!(fault, Fault::Refused(_)) || pause >= left {
                return Err(unfound(&fault));
            }
            tracing::warn!(
                %fault,
                answered,
                gives_up_in_seconds = left.as_secs(),
                "detection waits for the accounts of AWS Organizations"
            );
            tokio::time::sleep(pause).await;
        }
    }

    async fn ask_for_accounts(&self, source: &AccountSource, patience: Duration) -> std::result::Result<(), Fault> {
        let mut walk = source.walk.lock().await;
        let chart = timeout(patience, walk.go(source.organization.as_ref())).await.map_err(|_| Fault::Slow)??;
        let accounts = chart.accounts(&source.settings.environment_tag);
        let now = Utc::now().timestamp_millis();
        let kept = KeptAccounts::new(accounts.clone(), now);
        if let Err(wrong) = source.kept.write(&kept) {
            tracing::warn!("the organisation's accounts cannot be kept: {wrong}");
        }
        let mut state = self.state();
        (state.found, state.found_at, state.unfound) = (accounts, Some(now), None);
        Ok(())
    }

    /// How long until AWS is to be asked again: at once about what is old, or was never answered.
    fn accounts_due(&self, refresh: Duration) -> Duration {
        let Some(found_at) = self.state().found_at else { return Duration::ZERO };
        // From the future: a clock was wrong once.
        let age = u64::try_from(Utc::now().timestamp_millis() - found_at).map_or(refresh, Duration::from_millis);
        refresh.saturating_sub(age)
    }

    pub(super) async fn keep_accounts(self: Arc<Self>) {
        let Some(source) = &self.accounts else { return };
        let refresh = source.settings.refresh();
        let mut circuit = Circuit::default();
        let mut due = self.accounts_due(refresh);
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

fn unfound(fault: &Fault) -> Failure {
    Failure::Outside(format!(
        "`organizations.enabled` is true, but AWS Organizations does not say which accounts there are, and no earlier answer \
         is kept: {fault}; see that the worker reaches the service and has its rights (infra/README.md), or name the \
         accounts in `[accounts]` and set `organizations.enabled` to false"
    ))
}
