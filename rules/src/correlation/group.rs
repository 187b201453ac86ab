//! [`GroupKey`]: which window a match belongs to.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{ACTOR, Correlation};

/// How many groups one match is put in by lists of its event; the smallest keys are taken. The members of a lineage come
/// on top: what the lineage may hold is bounded where it is kept, and as it grows, no group may be lost again.
pub const MOST_GROUPS: usize = 100;

/// The value of each `group-by` name. Of a correlation that does not group, without entries.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupKey(pub BTreeMap<String, String>);

impl GroupKey {
    /// The value of a `group-by` name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// The groups of one match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Groups {
    /// Their keys, sorted.
    pub keys: Vec<GroupKey>,
    /// Whether the event lacks one of the fields, so that it takes no part.
    pub missing: bool,
    /// How many groups there would be beyond [`MOST_GROUPS`].
    pub left_out: usize,
}

/// The groups of a match, given the values of each `group-by` name: every combination of one value each. A name without
/// a value means none.
pub fn group_keys(correlation: &Correlation, values: impl Fn(&str) -> BTreeSet<String>) -> Groups {
    let mut lists: Vec<(&String, BTreeSet<String>)> = Vec::with_capacity(correlation.group_by.len());
    for name in &correlation.group_by {
        let list = values(name);
        if list.is_empty() {
            return Groups { missing: true, ..Groups::default() };
        }
        lists.push((name, list));
    }
    if lists.iter().all(|(_, list)| list.len() == 1) {
        // As most are.
        let pairs = lists.into_iter().filter_map(|(name, mut list)| Some((name.clone(), list.pop_first()?)));
        let mut key = GroupKey::default();
        pairs.for_each(|(name, value)| drop(key.0.insert(name, value)));
        return Groups { keys: vec![key], missing: false, left_out: 0 };
    }
    several(lists)
}

/// Every combination of one value each.
fn several(lists: Vec<(&String, BTreeSet<String>)>) -> Groups {
    let mut names: Vec<(&str, Vec<String>)> = Vec::new();
    let mut members = None;
    for (name, list) in lists {
        let list = list.into_iter().collect();
        match name.as_str() {
            ACTOR => members = Some(list),
            name => names.push((name, list)),
        }
    }
    let all = names.iter().fold(1_usize, |product, (_, list)| product.saturating_mul(list.len()));
    let mut keys: Vec<GroupKey> = combinations(&names).take(MOST_GROUPS).collect();
    if let Some(members) = members {
        let members: Vec<String> = members;
        let with = |key: &GroupKey, member: &String| {
            let mut key = key.clone();
            key.0.insert(ACTOR.to_owned(), member.clone());
            key
        };
        keys = keys.iter().flat_map(|key| members.iter().map(move |member| with(key, member))).collect();
        keys.sort();
    }
    Groups { keys, missing: false, left_out: all.saturating_sub(MOST_GROUPS) }
}

/// Every combination in ascending order, made one at a time: lists of a hostile event may have very many.
fn combinations<'n>(names: &'n [(&str, Vec<String>)]) -> impl Iterator<Item = GroupKey> + 'n {
    let mut at = Some(vec![0_usize; names.len()]);
    std::iter::from_fn(move || {
        let now = at.take()?;
        let key = names.iter().zip(&now).map(|((name, list), at)| ((*name).to_owned(), list[*at].clone()));
        let key = GroupKey(key.collect());
        at = following(now, names);
        Some(key)
    })
}

/// Counts on, the last place first.
fn following(mut at: Vec<usize>, names: &[(&str, Vec<String>)]) -> Option<Vec<usize>> {
    for place in (0..at.len()).rev() {
        at[place] += 1;
        if at[place] < names[place].1.len() {
            return Some(at);
        }
        at[place] = 0;
    }
    None
}
