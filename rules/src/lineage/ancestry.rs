//! [`Ancestry`]: what is known of one temporary credential.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Lineage, Link};

/// The most credentials, persons and sessions that are kept of one credential's ancestry, each. A real one has one or two:
/// this bounds what a hostile stream can make of it.
pub const MOST_ANCESTORS: usize = 16;

/// Who asked for a credential, by all the events that were seen. The empty one says that nothing was.
///
/// A join: [`Ancestry::join`] is idempotent, commutative and associative, bounds included.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ancestry {
    /// Who asked: of each kind the [`MOST_ANCESTORS`] smallest.
    pub from: Lineage,
    /// [`Link::session`], the smallest ones.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub sessions: BTreeSet<String>,
    /// Whether there were more than are kept.
    pub cut: bool,
}

impl Ancestry {
    /// Both together.
    #[must_use]
    pub fn join(self, other: Ancestry) -> Ancestry {
        let Ancestry { mut from, mut sessions, cut } = self;
        from.extend(other.from);
        sessions.extend(other.sessions);
        let sets = [&mut from.credentials, &mut from.persons, &mut sessions];
        let cut = sets.into_iter().fold(cut || other.cut, |cut, set| keep_smallest(set) || cut);
        Ancestry { from, sessions, cut }
    }
}

impl From<Link> for Ancestry {
    fn from(link: Link) -> Self {
        let one = Ancestry { from: link.from, sessions: link.session.into_iter().collect(), cut: false };
        one.join(Ancestry::default())
    }
}

/// Cuts a set to its smallest members and says whether it had more. The smallest of a union are the smallest of the unions of
/// each part's smallest, which makes this a join.
fn keep_smallest(set: &mut BTreeSet<String>) -> bool {
    let mut cut = false;
    while set.len() > MOST_ANCESTORS {
        set.pop_last();
        cut = true;
    }
    cut
}

/// What links teach, by credential.
pub fn ancestries(links: impl IntoIterator<Item = Link>) -> BTreeMap<String, Ancestry> {
    let mut known: BTreeMap<String, Ancestry> = BTreeMap::new();
    for link in links {
        let entry = known.entry(link.credential.clone()).or_default();
        *entry = std::mem::take(entry).join(link.into());
    }
    known
}
