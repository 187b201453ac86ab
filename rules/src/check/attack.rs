//! Tags of ATT&CK that ATT&CK does not have. The table has its ids only; see its head for version and licence.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use crate::coverage::TACTICS;
use crate::facts::distance;

/// The versions that the table has ids of.
const VERSIONS: &str = "18.1, 19";

struct Table {
    /// Techniques, such as `T1098`, with their sub-techniques, such as `001`.
    techniques: BTreeMap<&'static str, Vec<&'static str>>,
    /// What is gone, with what took its place.
    gone: HashMap<&'static str, Option<&'static str>>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table { techniques: BTreeMap::new(), gone: HashMap::new() };
    for line in include_str!("attack.txt").lines().filter(|line| !line.starts_with('#')) {
        if let Some((id, now)) = line.split_once(" ->") {
            table.gone.insert(id, Some(now.trim()).filter(|now| !now.is_empty()));
        } else if let Some(id) = line.split(' ').next() {
            table.techniques.insert(id, line.split(" .").skip(1).collect());
        }
    }
    table
});

/// What is wrong with a tag, if it is one of ATT&CK. Groups, software and campaigns are not looked up.
pub(super) fn fault(tag: &str) -> Option<String> {
    let name = tag.strip_prefix("attack.")?.to_lowercase();
    let numbered = |prefix: &str| {
        let rest = name.strip_prefix(prefix);
        rest.filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    if numbered("t").is_some() {
        return technique(&name.to_uppercase());
    }
    if ["g", "s", "c"].iter().any(|prefix| numbered(prefix).is_some()) {
        return None;
    }
    let tactic = name.replace('_', "-");
    if TACTICS.contains(&tactic.as_str()) {
        return None;
    }
    let near = TACTICS.iter().map(|known| (distance(known, &tactic), known)).min();
    Some(match near.filter(|(changes, _)| changes * 2 <= tactic.len()) {
        Some((_, nearest)) => format!("ATT&CK has no tactic `{name}`: did you mean `attack.{nearest}`?"),
        None => format!("ATT&CK has no tactic `{name}`: it has {}", TACTICS.join(", ")),
    })
}

fn technique(id: &str) -> Option<String> {
    let (parent, sub) = id.split_once('.').map_or((id, None), |(parent, sub)| (parent, Some(sub)));
    let subs = TABLE.techniques.get(parent);
    if subs.is_some_and(|subs| sub.is_none_or(|sub| subs.contains(&sub))) {
        return None;
    }
    Some(match (TABLE.gone.get(id), subs) {
        (Some(Some(now)), _) => format!("ATT&CK has revoked {id}: write attack.{} instead", now.to_lowercase()),
        (Some(None), _) => {
            format!("ATT&CK has deprecated {id} without another in its place: choose one that describes it")
        }
        (None, Some(subs)) if subs.is_empty() => {
            format!("ATT&CK ({VERSIONS}) has no {id}: {parent} has no sub-techniques")
        }
        (None, Some(subs)) => {
            format!("ATT&CK ({VERSIONS}) has no {id}: the sub-techniques of {parent} are {}", subs.join(", "))
        }
        (None, None) => {
            let newest = TABLE.techniques.keys().next_back().copied().unwrap_or_default();
            let newer = if parent.len() == newest.len() && parent > newest { ", or a newer version does" } else { "" };
            format!("ATT&CK ({VERSIONS}) has no technique {id}: look for a typing error{newer}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_that_of_version_18_1_with_what_19_has_added() {
        let subs: usize = TABLE.techniques.values().map(Vec::len).sum();
        assert_eq!((TABLE.techniques.len(), subs, TABLE.gone.len()), (216 + 9, 475 + 14, 144));
        let known = |id: &&str| technique(id).is_none();
        let replaced: Vec<&str> = TABLE.gone.values().flatten().copied().collect();
        assert!(replaced.len() == 132 && replaced.iter().all(known));
        assert!(TABLE.gone.keys().all(|id| !known(id)));
    }

    #[test]
    fn tags_are_known_gone_or_wrong() {
        for fine in [
            "attack.t1098",
            "attack.T1098.001",
            "attack.t1685.002",
            "attack.t1027.018",
            "attack.t1562.008",
            "attack.persistence",
            "attack.defense_evasion",
            "attack.stealth",
            "attack.g0016",
            "attack.s0154",
            "attack.c0027",
            "cve.2024-1",
            "detection.threat-hunting",
        ] {
            assert_eq!(fault(fine), None, "{fine}");
        }
        for (tag, words) in [
            ("attack.t1089", "revoked T1089: write attack.t1562.001"),
            ("attack.t1574.002", "revoked T1574.002: write attack.t1574.001"),
            ("attack.t1043", "deprecated T1043"),
            ("attack.t1098.099", "the sub-techniques of T1098 are 001, 002"),
            ("attack.t1485.009", "of T1485 are 001"),
            ("attack.t1529.001", "T1529 has no sub-techniques"),
            ("attack.t9999", "no technique T9999: look for a typing error, or a newer"),
            ("attack.t0999", "no technique T0999: look for a typing error"),
            ("attack.t1098.", "no T1098."),
            ("attack.persistance", "did you mean `attack.persistence`"),
            ("attack.defence-evasion", "did you mean `attack.defense-evasion`"),
            ("attack.todo", "no tactic `todo`: it has reconnaissance, "),
            ("attack.", "no tactic"),
        ] {
            let fault = fault(tag).unwrap_or_default();
            assert!(fault.contains(words), "{tag}: {fault}");
        }
    }
}
