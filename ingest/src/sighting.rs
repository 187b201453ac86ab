//! Leases as one worker sees them over time: expiry by the local clock.
//!
//! No two workers' clocks agree, so a lease carries no time. Its owner adds to the counter again and again; whoever
//! has watched the counter stand still for the failover time, by its own monotonic clock, may take the lease.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::lease::Lease;

/// A lease and since when it has not changed. Times here are monotonic, from an origin of the observer's choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The lease as last read.
    pub lease: Lease,
    /// When its counter or owner was first seen as it is now.
    pub unchanged_since: Duration,
    /// Whether it was seen to change at all; if not, `unchanged_since` may be long after the last write.
    pub seen_changing: bool,
}

impl Sighting {
    /// Whether its owner has been silent for `failover`, or there is none.
    #[must_use]
    pub fn is_expired(&self, failover: Duration, now: Duration) -> bool {
        self.lease.lease_owner.is_none() || self.is_silent_for(failover, now)
    }

    /// Whether nobody has written it for so long.
    #[must_use]
    pub fn is_silent_for(&self, time: Duration, now: Duration) -> bool {
        now.saturating_sub(self.unchanged_since) >= time
    }
}

/// What is remembered between two looks at the lease table.
#[derive(Clone, Debug, Default)]
pub struct Sightings {
    leases: BTreeMap<String, Sighting>,
}

impl Sightings {
    /// Takes in the whole lease table as read at `now`: by the time *before* the read was begun, a lease would be
    /// thought older than it is; by the time after its end, younger, which is the safe side.
    pub fn observe(&mut self, leases: Vec<Lease>, now: Duration) -> Vec<Sighting> {
        let mut before = std::mem::take(&mut self.leases);
        for lease in leases {
            let sighting = match before.remove(&lease.lease_key) {
                None => Sighting { lease, unchanged_since: now, seen_changing: false },
                Some(old)
                    if old.lease.lease_counter == lease.lease_counter && old.lease.lease_owner == lease.lease_owner =>
                {
                    Sighting { lease, ..old }
                }
                Some(_) => Sighting { lease, unchanged_since: now, seen_changing: true },
            };
            self.leases.insert(sighting.lease.lease_key.clone(), sighting);
        }
        self.leases.values().cloned().collect()
    }

    /// Whether the table had this lease when it was read last.
    pub(crate) fn know(&self, lease_key: &str) -> bool {
        self.leases.contains_key(lease_key)
    }
}

/// The workers that own a lease which has not expired.
#[must_use]
pub fn workers_seen(leases: &[Sighting], failover: Duration, now: Duration) -> BTreeSet<String> {
    leases
        .iter()
        .filter(|seen| !seen.lease.is_ended() && !seen.is_expired(failover, now))
        .filter_map(|seen| seen.lease.lease_owner.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::LeaseChange;
    use crate::sequence::Position;
    use crate::stream::Shard;

    const FAILOVER: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn lease() -> Lease {
        let shard = Shard { shard_id: "s".into(), parent_ids: vec![], hash_range: None, open: true };
        Lease::of_shard(&shard, Position::TRIM_HORIZON).after(&LeaseChange::Take { owner: "a".into() })
    }

    #[test]
    fn a_lease_expires_by_the_time_since_its_counter_changed() {
        let mut sightings = Sightings::default();
        let first = sightings.observe(vec![lease()], at(100));
        // However old it may be, this observer has only just seen it.
        assert!(!first[0].is_expired(FAILOVER, at(109)));
        let renewed = lease().after(&LeaseChange::Renew);
        let second = sightings.observe(vec![renewed.clone()], at(108));
        assert!(second[0].seen_changing && !second[0].is_expired(FAILOVER, at(117)));
        let third = sightings.observe(vec![renewed], at(118));
        assert!(third[0].is_expired(FAILOVER, at(118)));
        assert!(workers_seen(&third, FAILOVER, at(118)).is_empty());
        assert_eq!(workers_seen(&third, FAILOVER, at(117)).len(), 1);
    }

    #[test]
    fn a_lease_without_owner_is_free_at_once_and_a_vanished_one_is_forgotten() {
        let mut sightings = Sightings::default();
        let free = lease().after(&LeaseChange::Release);
        assert!(sightings.observe(vec![free], at(0))[0].is_expired(FAILOVER, at(0)));
        assert!(sightings.observe(vec![], at(1)).is_empty());
        assert!(!sightings.observe(vec![lease()], at(50))[0].is_expired(FAILOVER, at(50)));
    }
}
