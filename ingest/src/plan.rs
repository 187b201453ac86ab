//! What a worker does about leases: a pure function of what it sees.
//!
//! Every worker plans for itself and none asks another. Two that plan the same are kept apart by the condition on
//! each write: one is refused, looks again, and plans anew.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::lease::Lease;
use crate::lineage::Lineage;
use crate::retry::seed_of;
use crate::sequence::Position;
use crate::sighting::Sighting;
use crate::stream::{InitialPosition, Shard};

/// One thing to do to the lease table. Each carries the lease as it was seen, which the write is conditional on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaseAction {
    /// A shard has no lease yet.
    Create(Lease),
    /// Nobody has it: take it.
    Take(Lease),
    /// Somebody has more than a fair share: take one.
    Steal(Lease),
    /// The shard is gone and its children have begun: remove the lease.
    Delete(Lease),
}

/// For whom it is planned, and by which rules.
#[derive(Clone, Debug)]
pub struct Planner<'a> {
    /// The worker.
    pub worker_id: &'a str,
    /// The leases that it is working on now. One that it owns in the table but is not working on is free to it.
    pub held: &'a BTreeSet<String>,
    /// The workers that are alive, as [`workers_seen`](crate::sighting::workers_seen) finds them; this one counts in
    /// any case.
    pub workers_seen: &'a BTreeSet<String>,
    /// How long an owner may be silent.
    pub failover: Duration,
    /// Where to begin in shards that follow none that was read.
    pub initial_position: InitialPosition,
    /// The most leases that this worker takes.
    pub max_leases: usize,
}

/// Leases that were free for so many failover times are taken beyond the fair share: whoever they would be fair for
/// does not want them.
const PATIENCE: u32 = 3;

/// What to do, given every lease, every shard that the stream lists (none if that is not known) and the time on the
/// clock of the sightings. In the order in which it must be done: a parent's lease is created before its child's.
#[must_use]
pub fn plan_leases(leases: &[Sighting], shards: &[Shard], planner: &Planner<'_>, now: Duration) -> Vec<LeaseAction> {
    let known: BTreeMap<&str, &Lease> =
        leases.iter().map(|seen| (seen.lease.lease_key.as_str(), &seen.lease)).collect();
    let lineage = Lineage::new(shards, known.values().copied());
    let mut actions = Vec::new();
    actions.extend(missing(&known, shards, &lineage, planner.initial_position).into_iter().map(LeaseAction::Create));
    actions.extend(share(leases, &known, &lineage, planner, now));
    actions.extend(finished(&known, shards, &lineage).into_iter().map(LeaseAction::Delete));
    actions
}

/// The leases that listed shards should have and have not, a parent's before its child's.
pub(crate) fn missing_leases(leases: &[Lease], shards: &[Shard], initial: InitialPosition) -> Vec<Lease> {
    let known: BTreeMap<&str, &Lease> = leases.iter().map(|lease| (lease.lease_key.as_str(), lease)).collect();
    missing(&known, shards, &Lineage::new(shards, leases.iter()), initial)
}

/// The leases of shards that were never begun.
///
/// A shard without a lease but with a leased descendant was done with before. One that follows a leased shard, by
/// parentage or, where the links between have aged out, by covering some of its hash keys, is begun at its beginning;
/// any other where the settings say.
fn missing(
    known: &BTreeMap<&str, &Lease>,
    shards: &[Shard],
    lineage: &Lineage<'_>,
    initial: InitialPosition,
) -> Vec<Lease> {
    let done: BTreeSet<&str> = known.keys().flat_map(|key| lineage.ancestors(key)).collect();
    let follows = |shard: &Shard| {
        let overlaps = |lease: &&Lease| shard.hash_range.zip(lease.hash_range).is_some_and(|(a, b)| a.overlaps(&b));
        lineage.ancestors(&shard.shard_id).iter().any(|id| known.contains_key(id)) || known.values().any(overlaps)
    };
    let mut new: Vec<&Shard> = shards
        .iter()
        .filter(|shard| !known.contains_key(shard.shard_id.as_str()) && !done.contains(shard.shard_id.as_str()))
        .collect();
    // A crash between two creations must not leave a child whose missing parent then looks done with.
    new.sort_by_cached_key(|shard| (lineage.ancestors(&shard.shard_id).len(), shard.shard_id.clone()));
    new.into_iter()
        .filter_map(|shard| {
            let checkpoint = match initial {
                InitialPosition::Latest if follows(shard) => Position::TRIM_HORIZON,
                InitialPosition::Latest if !shard.open => return None,
                other => other.checkpoint(),
            };
            Some(Lease::of_shard(shard, checkpoint))
        })
        .collect()
}

/// Which leases to take: those that nobody has, up to a fair share; else one from whoever has the most.
fn share(
    leases: &[Sighting],
    known: &BTreeMap<&str, &Lease>,
    lineage: &Lineage<'_>,
    planner: &Planner<'_>,
    now: Duration,
) -> Vec<LeaseAction> {
    // Only what can be worked on counts: not what has ended, nor what waits for its parents.
    let active: Vec<&Sighting> = leases
        .iter()
        .filter(|seen| !seen.lease.is_ended() && lineage.parents_are_done(&seen.lease.lease_key, known))
        .collect();
    let mine = active.iter().filter(|seen| planner.held.contains(&seen.lease.lease_key)).count();
    let mut free: Vec<&Sighting> = active.iter().copied().filter(|seen| planner.may_take(seen, now)).collect();
    // Each worker prefers others, so that they seldom reach for the same.
    free.sort_by_cached_key(|seen| seed_of(&[planner.worker_id, &seen.lease.lease_key]));

    let mut workers: BTreeSet<&str> = planner.workers_seen.iter().map(String::as_str).collect();
    workers.insert(planner.worker_id);
    let target = active.len().div_ceil(workers.len());
    let wanted = target.min(planner.max_leases).saturating_sub(mine);
    if free.is_empty() {
        return steal(&active, planner, target, wanted, now).into_iter().collect();
    }
    let room = planner.max_leases.saturating_sub(mine + wanted);
    let patience = planner.failover * PATIENCE;
    let forgotten = free.iter().skip(wanted).filter(|seen| seen.is_silent_for(patience, now)).take(room.min(1));
    let taken = free.iter().take(wanted).chain(forgotten);
    taken.map(|seen| LeaseAction::Take(seen.lease.clone())).collect()
}

/// One lease of the worker that has the most, if that makes the shares more even; it never makes them less so, hence
/// no lease is passed to and fro.
fn steal(
    active: &[&Sighting],
    planner: &Planner<'_>,
    target: usize,
    wanted: usize,
    now: Duration,
) -> Option<LeaseAction> {
    let mut owned: BTreeMap<&str, Vec<&Lease>> = BTreeMap::new();
    // What we work on and somebody else owns was taken from us: our work on it must end before another begins.
    let others = |seen: &&&Sighting| !planner.held.contains(&seen.lease.lease_key);
    for seen in active.iter().filter(|seen| !seen.is_expired(planner.failover, now)).filter(others) {
        if let Some(owner) = seen.lease.lease_owner.as_deref().filter(|owner| *owner != planner.worker_id) {
            owned.entry(owner).or_default().push(&seen.lease);
        }
    }
    let richest = owned.into_values().max_by_key(Vec::len)?;
    let over = richest.len().saturating_sub(target);
    let fair = (wanted >= 1 && over >= 1) || (wanted >= 2 && richest.len() >= target);
    let prefer = |lease: &&Lease| seed_of(&[planner.worker_id, &lease.lease_key]);
    richest.into_iter().min_by_key(prefer).filter(|_| fair).cloned().map(LeaseAction::Steal)
}

impl Planner<'_> {
    fn may_take(&self, seen: &Sighting, now: Duration) -> bool {
        !self.held.contains(&seen.lease.lease_key)
            && (seen.lease.is_owned_by(self.worker_id) || seen.is_expired(self.failover, now))
    }
}

/// The leases of ended shards that the stream has forgotten, once every child that there is has begun.
///
/// A listing from before a shard began does not show it either. One that shows a descendant is younger than the shard's
/// end, so what it does not show has aged out. Where the links between have aged out as well, a descendant is who has
/// some of the hash keys and is no ancestor.
fn finished(known: &BTreeMap<&str, &Lease>, shards: &[Shard], lineage: &Lineage<'_>) -> Vec<Lease> {
    let listed: BTreeSet<&str> = shards.iter().map(|shard| shard.shard_id.as_str()).collect();
    let begun = |child: &str| match known.get(child) {
        Some(lease) => lease.checkpoint.has_begun(),
        None => !listed.contains(child),
    };
    let outlived = |lease: &Lease| {
        let ancestors = lineage.ancestors(&lease.lease_key);
        shards.iter().any(|shard| {
            let overlaps = shard.hash_range.zip(lease.hash_range).is_some_and(|(a, b)| a.overlaps(&b));
            let follows = || lineage.ancestors(&shard.shard_id).contains(lease.lease_key.as_str());
            (overlaps && !ancestors.contains(shard.shard_id.as_str())) || follows()
        })
    };
    known
        .values()
        .filter(|lease| lease.is_ended() && !listed.contains(lease.lease_key.as_str()) && outlived(lease))
        .filter(|lease| lineage.children(&lease.lease_key).iter().all(|child| begun(child)))
        .map(|lease| (*lease).clone())
        .collect()
}

/// Whether nothing is left to do for this worker: every lease is at its end, or is one of `drained`, or is somebody
/// else's who was seen alive.
#[must_use]
pub(crate) fn is_all_done(
    leases: &[Sighting],
    drained: &BTreeSet<String>,
    planner: &Planner<'_>,
    now: Duration,
) -> bool {
    leases.iter().all(|seen| {
        let others =
            !seen.lease.is_owned_by(planner.worker_id) && seen.seen_changing && !seen.is_expired(planner.failover, now);
        seen.lease.is_ended() || drained.contains(&seen.lease.lease_key) || others
    })
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
