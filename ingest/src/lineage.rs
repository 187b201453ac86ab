//! Which shard came from which.

use std::collections::{BTreeMap, BTreeSet};

use crate::lease::Lease;
use crate::stream::Shard;

/// The parents and children of shards, from the stream's listing and from the leases: either may know a link that
/// the other has forgotten.
pub(crate) struct Lineage<'a> {
    parents: BTreeMap<&'a str, BTreeSet<&'a str>>,
    children: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Lineage<'a> {
    pub(crate) fn new(shards: &'a [Shard], leases: impl Iterator<Item = &'a Lease>) -> Self {
        let mut lineage = Self { parents: BTreeMap::new(), children: BTreeMap::new() };
        for shard in shards {
            for parent in &shard.parent_ids {
                lineage.link(parent, &shard.shard_id);
            }
        }
        for lease in leases {
            for parent in &lease.parent_shard_ids {
                lineage.link(parent, &lease.lease_key);
            }
            for child in &lease.child_shard_ids {
                lineage.link(&lease.lease_key, child);
            }
        }
        lineage
    }

    fn link(&mut self, parent: &'a str, child: &'a str) {
        self.parents.entry(child).or_default().insert(parent);
        self.children.entry(parent).or_default().insert(child);
    }

    /// The shards that this one continues in, as far as is known.
    pub(crate) fn children(&self, shard_id: &str) -> BTreeSet<&'a str> {
        self.children.get(shard_id).cloned().unwrap_or_default()
    }

    /// The shards that it came from, and those that they came from, and so on; without itself.
    pub(crate) fn ancestors(&self, shard_id: &str) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&str> = self.parents.get(shard_id).into_iter().flatten().copied().collect();
        // What is found is not followed again, so that a listing which names a shard its own ancestor ends too.
        while let Some(id) = open.pop() {
            if id != shard_id && found.insert(id) {
                open.extend(self.parents.get(id).into_iter().flatten().copied());
            }
        }
        found.into_iter().filter_map(|id| self.children.get_key_value(id).map(|(key, _)| *key)).collect()
    }

    /// Whether every parent is at its end, or has no lease: it ended so long ago that its lease was removed, or its
    /// records were never wanted. Parents' leases are created before their children's, so none is merely missing yet.
    pub(crate) fn parents_are_done(&self, shard_id: &str, leases: &BTreeMap<&str, &Lease>) -> bool {
        let mut parents = self.parents.get(shard_id).into_iter().flatten();
        parents.all(|parent| leases.get(parent).is_none_or(|lease| lease.is_ended()))
    }
}
