//! Findings that are owed join their alerts.
//!
//! The order is what counts: first the alert's row names the finding, then the finding is no longer owed. A crash between
//! the two joins it again, which changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dial_rules::assessment::Assessment;
use dial_rules::event::Millis;
use futures::{StreamExt, stream};

use super::alert::{Alert, Group, MOST_WAITING};
use super::broken::{Broken, is_broken};
use super::courier::Shared;
use super::group::repeats;
use super::keys::alert_key;
use super::ledger::Step;
use super::marks::incidents_of;
use super::pace::millis;
use super::store::{Owed, Progress, Settled};
use super::storm::is_storm;
use crate::archive::ARCHIVE;
use crate::store::StoreError;

/// Most findings that are routed at once.
pub(crate) const AT_ONCE: usize = 100;
/// How often routing is tried before it is left to a sweep.
const TRIES: u32 = 4;
/// The pause between, longer each time.
const PAUSE: Duration = Duration::from_millis(100);
/// How many alerts are joined at the same time.
const JOINS: usize = 8;
/// How much later than an alert without room a finding looks for room again.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// A finding, and the sinks that do not know this version of it.
struct Errand {
    owed: Owed,
    assessment: Assessment,
    /// By the sink's name: the alert to join.
    targets: BTreeMap<String, Target>,
}

/// The alert that a finding joins at a sink.
#[derive(Clone)]
struct Target {
    key: String,
    group: Group,
}

/// What joining an alert came to: who found no room, and when to look again.
struct Joined {
    refused: BTreeSet<String>,
    due: Option<Millis>,
}

/// Findings that join one alert.
struct Join {
    sink: String,
    group: Group,
    findings: BTreeMap<String, u64>,
}

impl Shared {
    /// Routes findings. What cannot be done now stays owed: a sweep finds it.
    pub(crate) async fn route(&self, ids: Vec<String>) {
        let mut left = ids;
        for attempt in 1..=TRIES {
            match self.route_once(&left).await {
                Ok(again) => left = again,
                // One that cannot be read must not hold up the others.
                Err(error @ StoreError::Damaged { .. }) if left.len() > 1 => {
                    tracing::warn!(%error, "a finding cannot be alerted");
                    for id in std::mem::take(&mut left) {
                        self.route_once(&[id]).await.ok();
                    }
                }
                Err(error) => tracing::warn!(%error, findings = left.len(), "findings could not be routed yet"),
            }
            if left.is_empty() || attempt == TRIES {
                return;
            }
            tokio::time::sleep(self.clock.around(PAUSE * attempt * attempt)).await;
        }
    }

    /// Routes findings, and returns those that are still owed since somebody else wrote them meanwhile.
    async fn route_once(&self, ids: &[String]) -> Result<Vec<String>, StoreError> {
        let mut errands = self.errands(ids).await?;
        self.find_targets(&mut errands).await?;
        self.shelve(&mut errands);
        if is_broken(Broken::SettlesFirst) {
            self.settle(&errands, &BTreeMap::new()).await?;
        }
        let joined = self.join(&errands).await;
        self.settle(&errands, &joined).await
    }

    /// What is still owed of these findings, assessed, with the sinks that lack them.
    async fn errands(&self, ids: &[String]) -> Result<Vec<Errand>, StoreError> {
        let mut owed = self.ports.store.owed(ids).await?;
        owed.retain(|owed| owed.due.is_some());
        let findings = owed.iter().map(|owed| owed.finding.clone()).collect();
        let mut assessed: BTreeMap<String, Assessment> = BTreeMap::new();
        for assessment in self.ports.desk.assess(findings).await {
            assessed.insert(assessment.finding.finding_id.clone(), assessment);
        }
        let with = |owed: Owed| {
            let assessment = assessed.remove(&owed.finding.finding_id)?;
            Some(Errand { owed, assessment, targets: BTreeMap::new() })
        };
        Ok(owed.into_iter().filter_map(with).collect())
    }

    /// Sets the alerts that each finding joins: the one that it joined before, else that of its group.
    async fn find_targets(&self, errands: &mut [Errand]) -> Result<(), StoreError> {
        let mut lacking: Vec<(usize, String)> = Vec::new();
        for (at, errand) in errands.iter().enumerate() {
            for sink in self.ports.desk.routes(&errand.assessment) {
                let known = errand.owed.progress.get(&sink).map_or(0, |progress| progress.version);
                if known < errand.owed.version {
                    lacking.push((at, sink));
                }
            }
        }
        let before =
            |(at, sink): &(usize, String)| errands[*at].owed.progress.get(sink).map(|known| known.alert.clone());
        let keys: BTreeSet<String> = lacking.iter().filter_map(before).collect();
        let joined = self.ledger.read(&keys.into_iter().collect::<Vec<_>>()).await?;
        let mut new: Vec<(usize, String)> = Vec::new();
        for (at, sink) in lacking {
            let errand = &mut errands[at];
            let key = errand.owed.progress.get(&sink).map(|known| &known.alert);
            match key.and_then(|key| joined.get_key_value(key)) {
                Some((key, alert)) => {
                    let target = Target { key: key.clone(), group: alert.group.clone() };
                    errand.targets.insert(sink, target);
                }
                None => new.push((at, sink)),
            }
        }
        self.find_groups(errands, new).await
    }

    /// Sets the alerts of findings that joined none before.
    async fn find_groups(&self, errands: &mut [Errand], new: Vec<(usize, String)>) -> Result<(), StoreError> {
        let groups = self.groups(errands, &new).await?;
        let mut targets: BTreeMap<(usize, String), Target> = BTreeMap::new();
        for (at, sink) in new {
            let Some(group) = groups.get(&at) else { continue };
            let target = Target { key: alert_key(&sink, group), group: group.clone() };
            targets.insert((at, sink), target);
        }
        self.divert_storms(errands, &mut targets).await?;
        for ((at, sink), target) in targets {
            errands[at].targets.insert(sink, target);
        }
        Ok(())
    }

    /// The group of each of these errands.
    async fn groups(&self, errands: &[Errand], of: &[(usize, String)]) -> Result<BTreeMap<usize, Group>, StoreError> {
        let wanted: BTreeSet<usize> = of.iter().map(|(at, _)| *at).collect();
        let mut groups = BTreeMap::new();
        let mut correlated = Vec::new();
        for at in wanted {
            let finding = &errands[at].owed.finding;
            match repeats(finding, &self.ports.desk.notes(&finding.rule_id).dedup) {
                Some(group) => drop(groups.insert(at, group)),
                None => correlated.push(at),
            }
        }
        if !correlated.is_empty() {
            let findings: Vec<_> = correlated.iter().map(|at| &errands[*at].owed.finding).collect();
            let incidents = incidents_of(&*self.ports.store, &findings, self.clock.now()).await?;
            for at in correlated {
                if let Some(id) = incidents.get(&errands[at].owed.finding.finding_id) {
                    groups.insert(at, Group::Incident { id: id.clone() });
                }
            }
        }
        Ok(groups)
    }

    /// Findings that would begin more alerts of a rule than anybody reads join its storm instead.
    async fn divert_storms(
        &self,
        errands: &[Errand],
        targets: &mut BTreeMap<(usize, String), Target>,
    ) -> Result<(), StoreError> {
        let storm = |at: usize, sink: &str| {
            let group = Group::Storm { rule_id: errands[at].owed.finding.rule_id.clone() };
            Target { key: alert_key(sink, &group), group }
        };
        let own = targets.values().map(|target| target.key.clone());
        let storms = targets.keys().map(|(at, sink)| storm(*at, sink).key);
        let keys: BTreeSet<String> = own.chain(storms).collect();
        let alerts = self.ledger.read(&keys.into_iter().collect::<Vec<_>>()).await?;
        let (now, pace) = (self.clock.now(), self.ledger.pace());
        let holds = |key: &str, owed: &Owed| {
            alerts.get(key).is_some_and(|alert: &Alert| alert.holds(&owed.finding.finding_id, owed.version))
        };
        let mut new: BTreeMap<String, BTreeSet<Group>> = BTreeMap::new();
        let mut begins: Vec<(usize, String)> = Vec::new();
        for ((at, sink), target) in targets.iter_mut() {
            let owed = &errands[*at].owed;
            let in_storm = storm(*at, sink);
            if holds(&in_storm.key, owed) {
                // It joined before a crash.
                *target = in_storm;
            } else if !holds(&target.key, owed) && alerts.get(&target.key).is_none_or(|alert| alert.is_over(now, &pace))
            {
                new.entry(owed.finding.rule_id.clone()).or_default().insert(target.group.clone());
                begins.push((*at, sink.clone()));
            }
        }
        let mut stormy: BTreeSet<String> = BTreeSet::new();
        for (rule_id, groups) in new {
            if is_storm(&*self.ports.store, &rule_id, groups.len() as u64, pace.most_groups, now).await? {
                stormy.insert(rule_id);
            }
        }
        for (at, sink) in begins {
            if stormy.contains(&errands[at].owed.finding.rule_id) {
                let target = storm(at, &sink);
                targets.insert((at, sink), target);
            }
        }
        Ok(())
    }

    /// Findings go to the archive too, whatever the policy makes of them: those that it lacks in this version join a batch.
    fn shelve(&self, errands: &mut [Errand]) {
        if self.ports.archive.is_none() {
            return;
        }
        let known = |owed: &Owed| owed.progress.get(ARCHIVE).map_or(0, |progress| progress.version);
        let mut lacking: Vec<&mut Errand> =
            errands.iter_mut().filter(|errand| known(&errand.owed) < errand.owed.version).collect();
        for some in lacking.chunks_mut(MOST_WAITING) {
            let group = Group::Batch { worker: self.worker.clone(), shelf: self.shelves.take(some.len()) };
            let target = Target { key: alert_key(ARCHIVE, &group), group };
            some.iter_mut().for_each(|errand| drop(errand.targets.insert(ARCHIVE.to_owned(), target.clone())));
        }
    }

    /// All findings of one alert join it in one write. What came of each, by its key; those that failed are missing.
    async fn join(&self, errands: &[Errand]) -> BTreeMap<String, Joined> {
        let mut joins: BTreeMap<String, Join> = BTreeMap::new();
        for errand in errands {
            for (sink, target) in &errand.targets {
                let begin = || Join { sink: sink.clone(), group: target.group.clone(), findings: BTreeMap::new() };
                let join = joins.entry(target.key.clone()).or_insert_with(begin);
                join.findings.insert(errand.owed.finding.finding_id.clone(), errand.owed.version);
            }
        }
        let all = joins.into_iter().map(|(key, join)| async move {
            let joined = self.join_one(&join).await;
            let joined =
                joined.inspect_err(|error| tracing::warn!(%error, key, "findings could not join their alert yet"));
            joined.ok().map(|joined| (key, joined))
        });
        stream::iter(all).buffer_unordered(JOINS).filter_map(|joined| async { joined }).collect().await
    }

    async fn join_one(&self, join: &Join) -> Result<Joined, StoreError> {
        let lane = self.lane(&join.sink);
        let step = |alert: &mut Alert| {
            let before = alert.clone();
            let refused = alert.join(&join.findings, self.clock.now(), &self.ledger.pace());
            if *alert == before { Step::Leave(refused) } else { Step::Write(refused) }
        };
        let opened = self.ledger.open(&join.sink, &join.group, lane.growth(), step).await?;
        let (refused, due) = opened.unwrap_or_default();
        if let (false, Group::Batch { shelf, .. }) = (refused.is_empty(), &join.group) {
            self.shelves.close(*shelf);
        }
        if let Some(at) = due {
            lane.offer(alert_key(&join.sink, &join.group), at);
        }
        Ok(Joined { refused, due })
    }

    /// Findings that joined all their alerts are no longer owed; those without room look again later. Returns those that
    /// are still to be routed.
    async fn settle(&self, errands: &[Errand], joined: &BTreeMap<String, Joined>) -> Result<Vec<String>, StoreError> {
        let mut settled = Vec::new();
        let mut again = Vec::new();
        for errand in errands {
            let Owed { finding, version, revision, progress, .. } = &errand.owed;
            let (mut progress, mut due, mut is_whole) = (progress.clone(), None, true);
            for (sink, target) in &errand.targets {
                match joined.get(&target.key) {
                    None if !is_broken(Broken::SettlesFirst) => is_whole = false,
                    Some(joined) if joined.refused.contains(&finding.finding_id) => {
                        let now = self.clock.now();
                        let look = self.clock.around(LOOK_AGAIN);
                        let at = joined.due.unwrap_or(now).max(now).saturating_add(millis(look));
                        due = Some(due.map_or(at, |known: Millis| known.min(at)));
                    }
                    _ => {
                        let joined = Progress { alert: target.key.clone(), version: *version, delivered: None };
                        progress.insert(sink.clone(), joined);
                    }
                }
            }
            if is_whole {
                let (finding_id, version, revision) = (finding.finding_id.clone(), *version, *revision);
                settled.push(Settled { finding_id, version, revision, progress, due });
            } else {
                again.push(finding.finding_id.clone());
            }
        }
        if !settled.is_empty() {
            let ids: Vec<String> = settled.iter().map(|settled| settled.finding_id.clone()).collect();
            let done = self.ports.store.settle(settled).await?;
            again.extend(ids.into_iter().zip(done).filter(|(_, done)| !done).map(|(id, _)| id));
        }
        Ok(again)
    }
}
