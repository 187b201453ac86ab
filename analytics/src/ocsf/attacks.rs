//! Techniques as OCSF's objects `attack`, `technique`, `sub_technique` and `tactic`.

use serde_json::{Value, json};

use crate::attack::{Tactic, tactics};

/// One object a technique and tactic that it is in. Names of techniques are not known here; their ids name them.
pub(super) fn attacks(techniques: &[String]) -> Vec<Value> {
    let each = techniques.iter().flat_map(|technique| {
        let known = tactics(technique).iter().map(Some);
        // Of a technique that the table does not have, the technique alone.
        let none = tactics(technique).is_empty().then_some(None);
        known.chain(none).map(|tactic| attack(technique, tactic)).collect::<Vec<_>>()
    });
    each.collect()
}

fn attack(technique: &str, of: Option<&Tactic>) -> Value {
    let parent = technique.split_once('.').map_or(technique, |(parent, _)| parent);
    let sub = (parent != technique).then(|| json!({"uid": technique, "src_url": page(technique)}));
    json!({"technique": {"uid": parent, "src_url": page(parent)}, "sub_technique": sub, "tactic": of.map(tactic)})
}

fn tactic(tactic: &Tactic) -> Value {
    let url = tactic.id.map(|id| format!("https://attack.mitre.org/tactics/{id}/"));
    json!({"uid": tactic.id, "name": title(tactic.name), "src_url": url})
}

fn page(technique: &str) -> Option<String> {
    // A tag says anything: only what looks like an id becomes an address.
    let is_id = technique.starts_with('T') && technique.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.');
    is_id.then(|| format!("https://attack.mitre.org/techniques/{}/", technique.replace('.', "/")))
}

/// `command-and-control` → `Command and Control`.
fn title(name: &str) -> String {
    let word = |word: &str| match word {
        "and" => "and".to_owned(),
        _ => word.chars().take(1).map(|c| c.to_ascii_uppercase()).chain(word.chars().skip(1)).collect(),
    };
    name.split('-').map(word).collect::<Vec<String>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tactics_have_their_titles() {
        assert_eq!(title("command-and-control"), "Command and Control");
        assert_eq!(title("impact"), "Impact");
    }

    #[test]
    fn only_ids_become_addresses() {
        assert_eq!(page("T1098.001").as_deref(), Some("https://attack.mitre.org/techniques/T1098/001/"));
        assert_eq!(page("T1/../x"), None);
    }
}
