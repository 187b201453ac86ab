//! In which tactics of ATT&CK a technique is: findings name techniques only. See the table's head for version and licence.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A tactic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tactic {
    /// Such as `TA0003`; none of a tactic that is newer than the table.
    pub(crate) id: Option<&'static str>,
    /// Such as `persistence`: as tags of Sigma rules spell it.
    pub(crate) name: &'static str,
}

/// By technique, in the order of ATT&CK's matrix.
static TABLE: LazyLock<BTreeMap<&'static str, Vec<Tactic>>> = LazyLock::new(|| {
    let mut table: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for line in include_str!("tactics.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let (Some(id), Some(name)) = (words.next(), words.next()) else { continue };
        let tactic = Tactic { id: Some(id).filter(|id| *id != "-"), name };
        words.for_each(|technique| table.entry(technique).or_default().push(tactic));
    }
    table
});

/// The tactics that a technique such as `T1098` or `T1098.001` is in; none of one that the table does not have.
pub(crate) fn tactics(technique: &str) -> &'static [Tactic] {
    let parent = technique.split_once('.').map_or(technique, |(parent, _)| parent);
    TABLE.get(parent).map_or(&[], Vec::as_slice)
}

/// The tactics of several techniques by name, each once, in the order of the matrix.
pub(crate) fn tactics_of(techniques: &[String]) -> Vec<&'static str> {
    let mut found: Vec<Tactic> = Vec::new();
    for tactic in techniques.iter().flat_map(|technique| tactics(technique)) {
        if !found.contains(tactic) {
            found.push(*tactic);
        }
    }
    let place = |tactic: &Tactic| include_str!("tactics.txt").find(&format!(" {} ", tactic.name));
    found.sort_by_key(place);
    found.into_iter().map(|tactic| tactic.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_that_of_version_17() {
        let named: std::collections::BTreeSet<_> = TABLE.values().flatten().map(|tactic| tactic.name).collect();
        assert_eq!(named.len(), 15);
        assert_eq!(TABLE.len(), 211 + 2);
    }

    #[test]
    fn techniques_have_their_tactics() {
        let of = |techniques: &[&str]| tactics_of(&techniques.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["T1098.001"]), ["persistence", "privilege-escalation"]);
        assert_eq!(
            of(&["T1530", "T1098", "T1078.004"]),
            ["initial-access", "persistence", "privilege-escalation", "defense-evasion", "collection"]
        );
        assert_eq!(of(&["T1685.002"]), ["defense-impairment"]);
        assert_eq!(of(&["T9999", "", ".", "T1098x"]), Vec::<&str>::new());
        assert_eq!(tactics("T1485").iter().map(|t| t.id).collect::<Vec<_>>(), [Some("TA0040")]);
    }
}
