//! [`Alert`]: findings of one group on their way to one sink. Pure: `now` and chance are arguments.
//!
//! What becomes of an alert is decided by its methods: findings [join](Alert::join), a worker [claims](Alert::claim) what
//! is [due](Alert::due), and the delivery is [confirmed](Alert::delivered), [fails](Alert::failed) or is
//! [given up](Alert::given_up). Each is the middle of a read-modify-write on the alert's row.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dial_rules::event::Millis;
use serde::{Deserialize, Serialize};

use super::broken::{Broken, is_broken};
use super::keys::{delivery_key, thread_key};
use super::pace::{CLAIM, LEAST_ATTEMPTS, LEAST_TRYING, Pace, backoff, millis};
use crate::sink::{Growth, Handle, SendError};

/// Most findings that wait in one alert; others stay owed in their own rows.
pub const MOST_WAITING: usize = 1_000;
/// Most told findings that an alert remembers.
const MOST_REMEMBERED: usize = 256;
/// Most bytes that a list of findings takes in an alert's row, as JSON. There are three lists.
const MOST_BYTES: usize = 64 * 1024;
/// Longest text of an error that is kept, in characters.
const LONGEST_ERROR: usize = 500;
/// Longest handle that is kept, in bytes; a longer one is dropped, and the next message stands alone.
const LONGEST_HANDLE: usize = 1_024;

/// Findings of one group on their way to one sink: the state of a row of the outbox.
///
/// The first finding leaves at once. What joins later waits until the destination's message may be updated, or for the
/// digest. What is being sent is fixed until it is confirmed, so that every attempt of a delivery says the same under one
/// key, and a receiver that drops repeats loses nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The name of the sink in the settings.
    pub sink: String,
    /// What its findings have in common.
    pub group: Group,
    /// Counts how often the group became quiet and was alerted anew.
    pub generation: u64,
    /// When the first finding of this generation joined.
    pub opened: Millis,
    /// Finding and version of those that joined since the last delivery was fixed.
    pub waiting: BTreeMap<String, u64>,
    /// What is being delivered.
    pub sending: Option<Delivery>,
    /// Deliveries of this generation that are over: confirmed, or given up.
    pub deliveries: u64,
    /// Findings of this generation that were told, each counted once as far as [`Alert::recent`] reaches.
    pub told: u64,
    /// Finding and version of those told in this generation, as many as fit: who joins again after a crash is known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub recent: BTreeMap<String, u64>,
    /// When the last delivery was confirmed.
    pub last_sent: Option<Millis>,
    /// What the destination calls the message that is updated.
    pub handle: Option<Handle>,
}

impl Alert {
    /// An alert without findings.
    pub fn new(sink: &str, group: Group, now: Millis) -> Alert {
        Alert {
            sink: sink.to_owned(),
            group,
            generation: 0,
            opened: now,
            waiting: BTreeMap::new(),
            sending: None,
            deliveries: 0,
            told: 0,
            recent: BTreeMap::new(),
            last_sent: None,
            handle: None,
        }
    }

    /// Whether nothing waits and nothing is being sent.
    pub fn is_quiet(&self) -> bool {
        self.waiting.is_empty() && self.sending.is_none()
    }

    /// Whether the next finding to join is told as something new.
    pub fn is_over(&self, now: Millis, pace: &Pace) -> bool {
        let is_past = || now >= self.opened.saturating_add(millis(pace.window));
        self.is_quiet() && (self.deliveries == 0 || self.group.is_batch() || is_past())
    }

    /// Whether the alert names this version of a finding, or a later one: it waits, is being sent, or was told.
    pub fn holds(&self, finding_id: &str, version: u64) -> bool {
        let sending = self.sending.as_ref().map(|delivery| &delivery.findings);
        let lists = [Some(&self.waiting), sending, Some(&self.recent)];
        lists.into_iter().flatten().any(|list| list.get(finding_id).is_some_and(|held| *held >= version))
    }

    /// Findings join, in these versions; those that the alert holds already change nothing. Returns the ids of those that
    /// found no room: they stay owed.
    pub fn join(&mut self, findings: &BTreeMap<String, u64>, now: Millis, pace: &Pace) -> BTreeSet<String> {
        let new: Vec<_> = findings.iter().filter(|(id, version)| !self.holds(id, **version)).collect();
        if !new.is_empty() && self.is_over(now, pace) {
            self.reopen(now);
        }
        let mut room = Room::beside(&self.waiting, MOST_WAITING);
        let mut refused = BTreeSet::new();
        for (id, version) in new {
            if self.waiting.contains_key(id) || room.takes(id) {
                self.waiting.insert(id.clone(), *version);
            } else {
                refused.insert(id.clone());
            }
        }
        refused
    }

    /// A new generation begins: nothing of it was told yet.
    fn reopen(&mut self, now: Millis) {
        let began_before = self.deliveries > 0;
        *self = Alert {
            generation: self.generation + u64::from(began_before),
            ..Alert::new(&self.sink, self.group.clone(), now)
        };
    }

    /// From when on it may be claimed; `None` when there is nothing to deliver.
    pub fn due(&self, growth: Growth, pace: &Pace) -> Option<Millis> {
        if let Some(delivery) = &self.sending {
            let claimed = delivery.claim.as_ref().map_or(Millis::MIN, |claim| claim.until);
            return Some(delivery.not_before.max(claimed));
        }
        let (first, next) = match growth {
            Growth::Updates => (Duration::ZERO, pace.update_after),
            Growth::Digests => (Duration::ZERO, pace.digest_after),
            Growth::Batches => (pace.batch_after, pace.batch_after),
        };
        let (since, pause) = self.last_sent.map_or((self.opened, first), |sent| (sent, next));
        (!self.waiting.is_empty()).then(|| since.saturating_add(millis(pause)))
    }

    /// A worker takes the right to attempt the delivery, until [`CLAIM`] from now; what waits becomes one where there is
    /// none. `None` when somebody else has the right, the last failure is too recent, or there is nothing to deliver.
    pub fn claim(&mut self, worker: &str, now: Millis) -> Option<Delivery> {
        if self.sending.is_none() && !self.waiting.is_empty() {
            let findings = std::mem::take(&mut self.waiting);
            self.sending = Some(Delivery {
                key: delivery_key(self),
                findings,
                claim: None,
                attempts: 0,
                failing_since: None,
                not_before: now,
                last_error: None,
            });
        }
        let delivery = self.sending.as_mut()?;
        let is_free = delivery.claim.as_ref().is_none_or(|claim| claim.until <= now);
        if !is_free || delivery.not_before > now {
            return None;
        }
        let until = if is_broken(Broken::EndlessClaim) { Millis::MAX } else { now.saturating_add(millis(CLAIM)) };
        let before = delivery.claim.replace(Claim { worker: worker.to_owned(), until });
        // Whoever had the right before may have sent it: the attempt that is made now is the next one.
        delivery.attempts = delivery.attempts.saturating_add(u32::from(before.is_some()));
        Some(delivery.clone())
    }

    /// The delivery with this key was confirmed: exactly what it named is removed. Returns that; `None` when it was
    /// settled before.
    pub fn delivered(&mut self, key: &str, handle: Option<Handle>, now: Millis) -> Option<BTreeMap<String, u64>> {
        let delivery = self.sending.take_if(|delivery| delivery.key == key)?;
        self.told += self.untold(&delivery.findings);
        let mut room = Room::beside(&self.recent, MOST_REMEMBERED);
        for (id, version) in &delivery.findings {
            if self.recent.contains_key(id) || room.takes(id) {
                self.recent.insert(id.clone(), *version);
            }
        }
        if is_broken(Broken::ClearsJoined) {
            self.waiting.clear();
        }
        self.deliveries += 1;
        self.last_sent = Some(now);
        if let Some(handle) = handle.filter(|handle| handle.0.len() <= LONGEST_HANDLE) {
            self.handle = Some(handle);
        }
        Some(delivery.findings)
    }

    /// How many of these were not told yet.
    pub fn untold(&self, findings: &BTreeMap<String, u64>) -> u64 {
        findings.keys().filter(|id| !self.recent.contains_key(*id)).count() as u64
    }

    /// An attempt of `worker` at the delivery with this key failed. It is attempted again after a pause that doubles, and
    /// never sooner than the sink said; `chance`, from 0 to 1, spreads the workers of a fleet.
    pub fn failed(&mut self, key: &str, worker: &str, error: &SendError, now: Millis, chance: f64) -> Failed {
        let is_ours = |delivery: &&mut Delivery| {
            delivery.key == key && delivery.claim.as_ref().is_some_and(|claim| claim.worker == worker)
        };
        let Some(delivery) = self.sending.as_mut().filter(is_ours) else { return Failed::Stale };
        delivery.attempts = delivery.attempts.saturating_add(1);
        delivery.claim = None;
        delivery.not_before = now.saturating_add(millis(backoff(delivery.attempts, error, chance)));
        delivery.last_error = Some(error.to_string().chars().take(LONGEST_ERROR).collect());
        let since = *delivery.failing_since.get_or_insert(now);
        let is_enough = now.saturating_sub(since) >= millis(LEAST_TRYING) && delivery.attempts >= LEAST_ATTEMPTS;
        // What is ours to keep is never given up.
        if is_enough && !self.group.is_batch() { Failed::GiveUp } else { Failed::Again }
    }

    /// The delivery with this key is over without having arrived. It must be kept elsewhere by then.
    pub fn given_up(&mut self, key: &str) {
        if self.sending.take_if(|delivery| delivery.key == key).is_some() {
            self.deliveries += 1;
        }
    }

    /// Names the alert to destinations: the same for all its messages of this generation.
    pub fn thread(&self) -> String {
        thread_key(self)
    }
}

/// What a failed attempt means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// Somebody else has taken over since: nothing changed.
    Stale,
    /// It is attempted again.
    Again,
    /// It was tried long and often enough.
    GiveUp,
}

/// What a list of findings has room for.
struct Room {
    count: usize,
    bytes: usize,
}

impl Room {
    fn beside(list: &BTreeMap<String, u64>, most: usize) -> Room {
        let used: usize = list.keys().map(|id| bytes_of(id)).sum();
        Room { count: most.saturating_sub(list.len()), bytes: MOST_BYTES.saturating_sub(used) }
    }

    fn takes(&mut self, id: &str) -> bool {
        let bytes = bytes_of(id);
        let fits = self.count > 0 && self.bytes >= bytes;
        if fits {
            self.count -= 1;
            self.bytes -= bytes;
        }
        fits
    }
}

/// Most bytes that an entry takes as JSON: control characters are written as six, and a version has twenty digits.
fn bytes_of(id: &str) -> usize {
    let escaped = |c: char| if c.is_control() { 6 } else { c.len_utf8() + usize::from(matches!(c, '"' | '\\')) };
    id.chars().map(escaped).sum::<usize>() + 24
}

/// What the findings of an alert have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "lowercase")]
pub enum Group {
    /// Repeats of one rule, by what the rule says repeats have in common: without another word its actor and account.
    Repeats {
        /// The rule.
        rule_id: String,
        /// Name and value of what they have in common.
        of: BTreeMap<String, String>,
    },
    /// Correlated findings that tell of one thing.
    Incident {
        /// The incident's name.
        id: String,
    },
    /// More findings of one rule than anybody reads.
    Storm {
        /// The rule.
        rule_id: String,
    },
    /// Nothing but the time: findings on their way to the archive. It is never told as an alert.
    Batch {
        /// The worker that routed them. Each has its own, so that they do not get in each other's way.
        worker: String,
        /// Counts the worker's batches: a new one begins when one is full.
        shelf: u64,
    },
}

impl Group {
    /// Whether its findings are on their way to the archive.
    pub(crate) fn is_batch(&self) -> bool {
        matches!(self, Group::Batch { .. })
    }
}

/// One delivery of an alert: what it names is fixed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The idempotency key, the same for every attempt.
    pub key: String,
    /// The findings it names, and of which version each.
    pub findings: BTreeMap<String, u64>,
    /// Who attempts it, and until when nobody else may.
    pub claim: Option<Claim>,
    /// Attempts that failed.
    pub attempts: u32,
    /// When the first of them failed.
    pub failing_since: Option<Millis>,
    /// Not to be attempted before.
    pub not_before: Millis,
    /// What the last one failed with.
    pub last_error: Option<String>,
}

/// A worker's right to attempt a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The worker.
    pub worker: String,
    /// When the right ends.
    pub until: Millis,
}

#[cfg(test)]
#[path = "alert_tests.rs"]
mod tests;
