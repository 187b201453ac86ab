//! [`Walk`]: from what an event says to the persons at the start of the chain.

use std::collections::{BTreeMap, BTreeSet};

use super::{Ancestry, Lineage, arn};

/// The most hops from an event's own credential. AWS allows role chains of any length, an hour each; people need three.
pub const MOST_HOPS: usize = 32;
/// The most credentials, and the most persons, in a resolved lineage.
pub const MOST_MEMBERS: usize = 64;

/// A walk up the ancestry, breadth first: says which credentials to ask for next, so that a store is asked once a hop for any
/// number of walks. Each credential is asked for once, so cycles end.
///
/// ```
/// use dial_rules::lineage::{Lineage, Walk};
/// # fn ask(_: &std::collections::BTreeSet<String>) -> std::collections::BTreeMap<String, dial_rules::lineage::Ancestry> {
/// #     Default::default()
/// # }
/// let mut walk = Walk::from(Lineage::default());
/// while !walk.wanted().is_empty() {
///     let known = ask(walk.wanted());
///     walk.step(|credential| known.get(credential).cloned());
/// }
/// let everybody = walk.finish().lineage;
/// ```
#[derive(Debug, Clone)]
pub struct Walk {
    origin: Lineage,
    lineage: Lineage,
    wanted: BTreeSet<String>,
    found: BTreeMap<String, Ancestry>,
    hops: usize,
    cut: bool,
}

/// Everybody behind an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolved {
    /// The event's own words and all that follows from them.
    pub lineage: Lineage,
    /// What the credentials on the way were sessions of, as ARNs, from the person's first one to the event's own. Empty where the
    /// way forks or nothing is known of it.
    pub chain: Vec<String>,
    /// Whether there may be more: a bound was reached.
    pub cut: bool,
}

impl From<Lineage> for Walk {
    /// A walk from what an event says itself.
    fn from(origin: Lineage) -> Walk {
        let mut walk = Walk {
            lineage: Lineage::default(),
            wanted: BTreeSet::new(),
            found: BTreeMap::new(),
            hops: 0,
            cut: false,
            origin: origin.clone(),
        };
        walk.admit(origin);
        walk
    }
}

impl Walk {
    /// The credentials to ask for. Empty when the walk has ended.
    pub fn wanted(&self) -> &BTreeSet<String> {
        &self.wanted
    }

    /// Takes a hop; `known` says what is known of each of the [`Walk::wanted`] credentials.
    pub fn step(&mut self, known: impl Fn(&str) -> Option<Ancestry>) {
        let asked = std::mem::take(&mut self.wanted);
        self.hops += 1;
        for credential in asked {
            let Some(ancestry) = known(&credential) else { continue };
            self.cut |= ancestry.cut;
            self.admit(ancestry.from.clone());
            self.found.insert(credential, ancestry);
        }
        if self.hops >= MOST_HOPS && !self.wanted.is_empty() {
            self.wanted.clear();
            self.cut = true;
        }
    }

    /// What was found.
    pub fn finish(self) -> Resolved {
        let chain = self.chain();
        Resolved { lineage: self.lineage, chain, cut: self.cut }
    }

    /// Takes in who is new, smallest first, as long as there is room; new temporary credentials are asked for next.
    fn admit(&mut self, more: Lineage) {
        for person in more.persons {
            self.cut |= !insert(&mut self.lineage.persons, person);
        }
        for credential in more.credentials {
            if self.lineage.credentials.contains(&credential) {
                continue;
            }
            if !insert(&mut self.lineage.credentials, credential.clone()) {
                self.cut = true;
            } else if arn::is_temporary(&credential) {
                self.wanted.insert(credential);
            }
        }
    }

    fn chain(&self) -> Vec<String> {
        let mut chain = Vec::new();
        let mut seen = BTreeSet::new();
        let mut at = only(&self.origin.credentials);
        while let Some(ancestry) = at.and_then(|credential| self.found.get(credential)) {
            if !at.is_some_and(|credential| seen.insert(credential)) || ancestry.from.credentials.len() > 1 {
                return Vec::new();
            }
            chain.extend(ancestry.sessions.first().cloned());
            at = only(&ancestry.from.credentials);
        }
        chain.reverse();
        chain
    }
}

/// The lineage of an event that says `origin`, by what is `known` of credentials.
pub fn resolve(origin: Lineage, known: impl Fn(&str) -> Option<Ancestry>) -> Resolved {
    let mut walk = Walk::from(origin);
    while !walk.wanted().is_empty() {
        walk.step(&known);
    }
    walk.finish()
}

/// Whether there was room for it, or it was there.
fn insert(set: &mut BTreeSet<String>, member: String) -> bool {
    set.contains(&member) || (set.len() < MOST_MEMBERS && set.insert(member))
}

fn only(set: &BTreeSet<String>) -> Option<&str> {
    match set.len() {
        1 => set.first().map(String::as_str),
        _ => None,
    }
}
