//! `dial dead-letters redrive` of alerts: to their sinks again, and only then off the list.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dial_sinks::outbox::dead::{DeadAlert, Redriven};
use dial_sinks::outbox::store::Outbox;
use dial_sinks::sink::{SendError, Sink};
use serde::Serialize;
use tokio::time::sleep;

use super::{kept, matching};
use crate::alerting::desk::AlertDesk;
use crate::alerting::destinations;
use crate::cli::LettersRedrive;
use crate::clock::now;
use crate::commands::dead_letters::Named;
use crate::commands::sinks::no_sink;
use crate::failure::{Failure, Outcome, Result};
use crate::output::{Output, counted, note, plain, thousands};
use crate::rule_files::Governed;
use crate::settings::Settings;
use crate::{context, rule_files, stores};

/// How many that stay dead a person is told of one by one.
const DEAD_TOLD: u64 = 20;
/// How many are read together.
const TOGETHER: usize = 25;
/// After so many failures in a row a sink is left alone.
const FAILURES: u32 = 3;
/// How often one is sent to a sink that wants fewer messages.
const PATIENT: u32 = 5;
/// The pause before that where the sink names none, and the longest that is waited.
const PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// `None` where none are kept and none is named.
pub(in super::super) async fn redrive(
    args: &LettersRedrive,
    settings: &Settings,
    output: &Output,
) -> Result<Option<Outcome>> {
    let folder = args.of.data.data.as_deref();
    let store = stores::findings(settings, folder).await?;
    let kept = match &store {
        Some(store) => kept(store.as_ref()).await?,
        None => Vec::new(),
    };
    let mut report = Report { output, dry_run: args.dry_run, tally: Tally::default() };
    let wanted = Wanted::of(args, &kept)?;
    let (Some(store), false) = (store, kept.is_empty()) else {
        unknown_sink(args, settings)?;
        return if wanted.absent.is_empty() { Ok(None) } else { report.finish(&wanted.absent).map(Some) };
    };
    let sinks = wanted.sinks(store.as_ref()).await?;
    if sinks.is_empty() {
        unknown_sink(args, settings)?;
    }
    let mut open: BTreeMap<String, Lane> = BTreeMap::new();
    // All are opened before anything is sent: what is wrong with the settings is told first.
    for name in sinks {
        if settings.sinks.contains_key(&name) {
            let sink = destinations::open_one(settings, &name).await?;
            open.insert(name, Lane { sink, failures: 0 });
        }
    }
    if args.dry_run {
        wanted.look(store.as_ref(), &open, &mut report).await?;
    } else {
        let Governed { rules, policy, routing } = rule_files::in_force(&args.rules.rules, settings)?;
        let assessor = context::to_show(policy, settings, folder, true).await?;
        let desk = AlertDesk { assessor, routing, rules: Arc::new(rules) };
        wanted.send(store.as_ref(), &desk, &mut open, &mut report).await?;
    }
    report.finish(&wanted.absent).map(Some)
}

/// What is to be done about an alert for a sink that the settings do not name.
pub(super) fn gone(sink: &str) -> String {
    format!(
        "the settings name no sink {sink}: add [sinks.{sink}] again; of kind \"stdout\" it prints the alerts, and they \
         leave the list"
    )
}

/// That `--sink` names one of the settings.
fn unknown_sink(args: &LettersRedrive, settings: &Settings) -> Result<()> {
    match &args.sink {
        Some(sink) if !settings.sinks.contains_key(sink) => Err(Failure::Usage(no_sink(sink, settings))),
        _ => Ok(()),
    }
}

/// Which are asked for.
struct Wanted<'a> {
    /// Their keys, those that were given up first first.
    keys: Vec<String>,
    /// Only those for this sink.
    sink: Option<&'a str>,
    /// What was named and names none.
    absent: Vec<String>,
}

impl<'a> Wanted<'a> {
    fn of(args: &'a LettersRedrive, kept: &[(i64, String)]) -> Result<Wanted<'a>> {
        if args.names.is_empty() {
            let keys = kept.iter().map(|(_, key)| key.clone()).collect();
            return Ok(Wanted { keys, sink: args.sink.as_deref(), absent: Vec::new() });
        }
        let (mut named, mut absent) = (BTreeSet::new(), Vec::new());
        for name in &args.names {
            let Named::Alert(begins) = name else { continue };
            match matching(kept, begins).collect::<Vec<_>>().as_slice() {
                [] => absent.push(begins.clone()),
                [only] => drop(named.insert((*only).clone())),
                _ => {
                    let text = format!("several dead letters' keys begin with {begins}: write more of it");
                    return Err(Failure::Usage(text));
                }
            }
        }
        let keys = kept.iter().map(|(_, key)| key.clone()).filter(|key| named.contains(key)).collect();
        Ok(Wanted { keys, sink: None, absent })
    }

    /// Some of them, as far as they are there.
    async fn read(&self, store: &dyn Outbox, keys: &[String]) -> Result<Vec<DeadAlert>> {
        let mut dead = DeadAlert::read(store, keys).await?;
        dead.retain(|dead| self.sink.is_none_or(|sink| sink == dead.sink));
        Ok(dead)
    }

    /// The names of their sinks.
    async fn sinks(&self, store: &dyn Outbox) -> Result<BTreeSet<String>> {
        let mut sinks = BTreeSet::new();
        for keys in self.keys.chunks(TOGETHER) {
            sinks.extend(self.read(store, keys).await?.into_iter().map(|dead| dead.sink));
        }
        Ok(sinks)
    }

    /// Says what would become of them.
    async fn look(&self, store: &dyn Outbox, open: &BTreeMap<String, Lane>, report: &mut Report<'_>) -> Result<()> {
        for keys in self.keys.chunks(TOGETHER) {
            for dead in self.read(store, keys).await? {
                let ids: Vec<String> = dead.delivery.findings.keys().cloned().collect();
                let is_known = open.contains_key(&dead.sink);
                let fate = match (is_known, is_there(store, &ids).await?) {
                    (false, _) => Fate::Dead(gone(&dead.sink)),
                    (true, true) => Fate::Redriven,
                    (true, false) => Fate::Dropped,
                };
                report.tell(&dead, fate)?;
            }
        }
        Ok(())
    }

    /// Sends them, one after the other.
    async fn send(
        &self,
        store: &dyn Outbox,
        desk: &AlertDesk,
        open: &mut BTreeMap<String, Lane>,
        report: &mut Report<'_>,
    ) -> Result<()> {
        for keys in self.keys.chunks(TOGETHER) {
            for dead in self.read(store, keys).await? {
                let fate = match open.get_mut(&dead.sink) {
                    Some(lane) => lane.send(store, desk, &dead).await?,
                    None => Some(Fate::Dead(gone(&dead.sink))),
                };
                // Somebody else may have had it off the list meanwhile.
                fate.map_or(Ok(()), |fate| report.tell(&dead, fate))?;
            }
        }
        Ok(())
    }
}

/// Whether any of these findings is kept still.
async fn is_there(store: &dyn Outbox, ids: &[String]) -> Result<bool> {
    for ids in ids.chunks(100) {
        if !store.owed(ids).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A sink, and how it is doing.
struct Lane {
    sink: Arc<dyn Sink>,
    /// How often it failed in a row.
    failures: u32,
}

impl Lane {
    /// Sends one. A sink that wants fewer messages is waited for; one that fails again and again gets no more.
    async fn send(&mut self, store: &dyn Outbox, desk: &AlertDesk, dead: &DeadAlert) -> Result<Option<Fate>> {
        if self.failures >= FAILURES {
            let text = format!("it was not sent, since {} failed {FAILURES} times in a row", dead.sink);
            return Ok(Some(Fate::Dead(text)));
        }
        let mut attempt = 1;
        loop {
            let sent = DeadAlert::redrive(store, desk, self.sink.as_ref(), &dead.delivery.key, now()).await?;
            let error = match sent {
                Redriven::Unknown => return Ok(None),
                Redriven::Empty => return Ok(Some(Fate::Dropped)),
                Redriven::Delivered => {
                    self.failures = 0;
                    return Ok(Some(Fate::Redriven));
                }
                Redriven::Failed(error) => error,
            };
            match &error {
                SendError::Limited { retry_after } if attempt < PATIENT => {
                    let pause = retry_after.unwrap_or(PAUSE);
                    if pause <= LONGEST_PAUSE {
                        sleep(pause).await;
                        attempt += 1;
                        continue;
                    }
                    self.failures = FAILURES;
                }
                // It is well; the message is not.
                SendError::Rejected(_) => self.failures = 0,
                _ => self.failures += 1,
            }
            return Ok(Some(Fate::Dead(error.to_string())));
        }
    }
}

/// What became of one, or would.
enum Fate {
    Redriven,
    /// None of its findings is kept any longer, so there is nothing to say.
    Dropped,
    /// Why.
    Dead(String),
}

#[derive(Default)]
struct Tally {
    redriven: u64,
    dropped: u64,
    dead: u64,
}

/// What became of them, for the user.
struct Report<'o> {
    output: &'o Output,
    dry_run: bool,
    tally: Tally,
}

/// The same of one, as JSON.
#[derive(Serialize)]
struct Told<'a> {
    kind: &'static str,
    key: &'a str,
    sink: &'a str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl Report<'_> {
    fn tell(&mut self, dead: &DeadAlert, fate: Fate) -> Result<()> {
        let (count, outcome, reason) = match (&fate, self.dry_run) {
            (Fate::Redriven, false) => (&mut self.tally.redriven, "redriven", None),
            (Fate::Redriven, true) => (&mut self.tally.redriven, "would_be_redriven", None),
            (Fate::Dropped, false) => (&mut self.tally.dropped, "dropped", None),
            (Fate::Dropped, true) => (&mut self.tally.dropped, "would_be_dropped", None),
            (Fate::Dead(reason), _) => (&mut self.tally.dead, "dead", Some(reason.as_str())),
        };
        *count += 1;
        let (key, sink) = (dead.delivery.key.as_str(), dead.sink.as_str());
        match reason {
            _ if self.output.is_json() => self.output.json(&Told { kind: "alert", key, sink, outcome, reason }),
            Some(reason) if self.tally.dead <= DEAD_TOLD => {
                self.output.line(&format!("still dead: {} for {}: {}", plain(key), plain(sink), plain(reason)))
            }
            _ => Ok(()),
        }
    }

    fn finish(&self, absent: &[String]) -> Result<Outcome> {
        let Tally { redriven, dropped, dead } = self.tally;
        for key in absent {
            note(&format!("there is no dead letter {key}, or not any more: see `dial dead-letters list`"));
        }
        let and_more = dead.saturating_sub(DEAD_TOLD);
        if !self.output.is_json() && and_more > 0 {
            self.output.line(&format!("and {} more", thousands(and_more)))?;
        }
        let (sent, [empty, stay]) = (counted(redriven, "alert"), [dropped, dead].map(thousands));
        let (done, stays) = match self.dry_run {
            true => ("would be sent again", "would stay dead"),
            false => ("sent again", "stay dead"),
        };
        let empty = if dropped > 0 { format!("; {empty} whose findings are gone, dropped") } else { String::new() };
        note(&format!("{sent} {done}{empty}; {stay} {stays}"));
        Ok(if dead > 0 || !absent.is_empty() { Outcome::Found } else { Outcome::Fine })
    }
}
