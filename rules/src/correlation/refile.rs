//! Filing again by a lineage that has grown. What the event says itself does not change; only who is behind it does.

use std::collections::BTreeSet;

use super::{ACTOR, Condition, Correlation, Correlations, Filed, GroupKey, Part};
use crate::lineage::Lineage;

impl Correlations {
    /// Whether where this goes, or what it counts, depends on who is behind the event's credential.
    pub fn is_by_lineage(&self, filed: &Filed) -> bool {
        self.known(filed).is_some_and(|(one, part)| uses_lineage(one, part))
    }

    /// Whether there is a correlation in which it matters who is behind a credential.
    pub fn use_lineage(&self) -> bool {
        self.iter().any(|one| one.uses_lineage())
    }

    /// The group without those values that stand for who is behind the event's credential: the same for all that
    /// [`Correlations::refile`] makes of one match.
    pub fn apart_from_lineage(&self, filed: &Filed) -> GroupKey {
        let mut group = filed.group.clone();
        if let Some((known, part)) = self.known(filed) {
            names(known, part).for_each(|name| drop(group.0.remove(name)));
        }
        group
    }

    /// Where a match that was filed by what its event says itself goes once it is known that everybody of `lineage` is
    /// behind it. Nothing where the lineage plays no part.
    pub fn refile(&self, filed: &Filed, lineage: &Lineage) -> Vec<Filed> {
        let Some((known, part)) = self.known(filed).filter(|_| self.is_by_lineage(filed)) else {
            return Vec::new();
        };
        let members: BTreeSet<&String> = lineage.credentials.union(&lineage.persons).collect();
        let mut groups = BTreeSet::from([self.apart_from_lineage(filed)]);
        for name in names(known, part) {
            let with = |group: &GroupKey, member: &String| {
                let mut group = group.clone();
                group.0.insert(name.to_owned(), member.clone());
                group
            };
            groups = groups.iter().flat_map(|group| members.iter().map(move |member| with(group, member))).collect();
        }
        let fields = counted(known, part);
        let mut matched = filed.matched.clone();
        if fields.contains(&ACTOR) {
            matched = matched.counting(filed.matched.values.iter().flat_map(|row| rows(&fields, row, &members)));
        }
        let refiled = |group| Filed { correlation: filed.correlation.clone(), group, matched: matched.clone() };
        groups.into_iter().map(refiled).collect()
    }

    fn known(&self, filed: &Filed) -> Option<(&Correlation, &Part)> {
        let known = self.get(&filed.correlation)?;
        Some((known, known.part(&filed.matched.rule_id)?))
    }
}

impl Correlation {
    /// Whether it matters to it who is behind a credential.
    pub fn uses_lineage(&self) -> bool {
        self.parts.iter().any(|part| uses_lineage(self, part))
    }
}

fn uses_lineage(correlation: &Correlation, part: &Part) -> bool {
    names(correlation, part).next().is_some() || counted(correlation, part).contains(&ACTOR)
}

/// The names of `group-by` that stand for the lineage. Of a completion only its group is known.
fn names<'c>(correlation: &'c Correlation, part: &'c Part) -> impl Iterator<Item = &'c str> {
    let names = correlation.group_by.iter().map(String::as_str);
    names.filter(|name| !part.is_correlation && part.field(name) == ACTOR)
}

/// The fields whose values are counted.
fn counted<'c>(correlation: &'c Correlation, part: &'c Part) -> Vec<&'c str> {
    match &correlation.condition {
        Condition::ValueCount { fields, .. } if !part.is_correlation => {
            fields.iter().map(|field| part.field(field)).collect()
        }
        _ => Vec::new(),
    }
}

/// A value with everybody of the lineage in it instead of one. A value that was cut stays as it is.
fn rows(fields: &[&str], row: &str, members: &BTreeSet<&String>) -> Vec<String> {
    if fields.len() == 1 {
        return members.iter().map(|member| super::values::bounded(member)).collect();
    }
    let Ok(values) = serde_json::from_str::<Vec<String>>(row) else {
        return vec![row.to_owned()];
    };
    let mut rows = vec![values];
    for at in (0..fields.len()).filter(|at| fields[*at] == ACTOR) {
        let with = |row: &Vec<String>, member: &String| {
            let mut row = row.clone();
            row.get_mut(at).into_iter().for_each(|value| value.clone_from(member));
            row
        };
        rows = rows.iter().flat_map(|row| members.iter().map(move |member| with(row, member))).collect();
    }
    rows.iter().map(|row| super::values::bounded(&serde_json::json!(row).to_string())).collect()
}
