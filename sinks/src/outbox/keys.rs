//! Keys of rows and of deliveries. Pure.

use sha2::{Digest, Sha256};

use super::alert::{Alert, Group};

/// What keys of alerts begin with.
const ALERT: &str = "#alert:";
/// What keys of deliveries that were given up begin with.
const DEAD: &str = "#dead:";
/// Longest part of a sink's name in a key, in bytes.
const LONGEST_NAME: usize = 256;

/// SHA-256 over the parts, each preceded by its length so that no two lists of parts run together; its first 16 bytes in
/// hexadecimal.
pub(crate) fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// The key of the row of the alert of a group at a sink. It tells the sink, so that what is due can be handed to the right
/// one unread.
pub(crate) fn alert_key(sink: &str, group: &Group) -> String {
    let mut end = sink.len().min(LONGEST_NAME);
    while !sink.is_char_boundary(end) {
        end -= 1;
    }
    format!("{ALERT}{}:{}", digest(&["alert", sink, &text(group)]), &sink[..end])
}

/// The sink that the key of an alert tells.
pub(crate) fn sink_of(key: &str) -> Option<&str> {
    key.strip_prefix(ALERT)?.split_once(':').map(|(_, sink)| sink)
}

/// The idempotency key of the alert's next delivery. When a generation opened is part of it, so that a row that was
/// forgotten and begins anew repeats no key.
pub(crate) fn delivery_key(alert: &Alert) -> String {
    digest(&[
        "delivery",
        &alert.sink,
        &text(&alert.group),
        &alert.generation.to_string(),
        &alert.opened.to_string(),
        &alert.deliveries.to_string(),
    ])
}

/// What all deliveries of a generation share.
pub(crate) fn thread_key(alert: &Alert) -> String {
    let opened = alert.opened.to_string();
    digest(&["thread", &alert.sink, &text(&alert.group), &alert.generation.to_string(), &opened])
}

/// The key of the row of a delivery that was given up.
pub(crate) fn dead_key(key: &str) -> String {
    format!("{DEAD}{key}")
}

/// The delivery's key, of what [`dead_key`] made.
pub(crate) fn delivery_of(dead_key: &str) -> Option<&str> {
    dead_key.strip_prefix(DEAD)
}

/// A group as text: the same for the same group, since its values are in order.
fn text(group: &Group) -> String {
    match group {
        Group::Repeats { rule_id, of } => {
            let of: Vec<&str> = of.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]).collect();
            digest(&[&["repeats", rule_id.as_str()], of.as_slice()].concat())
        }
        Group::Incident { id } => digest(&["incident", id]),
        Group::Storm { rule_id } => digest(&["storm", rule_id]),
        Group::Batch { worker, shelf } => digest(&["batch", worker, &shelf.to_string()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_its_sink_and_stays_short() {
        let group = Group::Storm { rule_id: "r".to_owned() };
        for sink in ["slack", "a:b", "", "ü"] {
            assert_eq!(sink_of(&alert_key(sink, &group)), Some(sink));
        }
        let long = "ü".repeat(1_000);
        assert!(alert_key(&long, &group).len() <= 512);
        assert_ne!(alert_key(&long, &group), alert_key(&format!("{long}x"), &group));
        assert_eq!(sink_of("#mark:0"), None);
    }

    #[test]
    fn different_groups_have_different_keys() {
        let of = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
        let repeats = |rule: &str, pairs| Group::Repeats { rule_id: rule.to_owned(), of: of(pairs) };
        let groups = [
            repeats("r", &[]),
            repeats("r", &[("actor", "a")]),
            repeats("r", &[("account_id", "a")]),
            repeats("ra", &[("ctor", "a")]),
            Group::Incident { id: "r".to_owned() },
            Group::Storm { rule_id: "r".to_owned() },
            Group::Batch { worker: "r".to_owned(), shelf: 0 },
            Group::Batch { worker: "r".to_owned(), shelf: 1 },
        ];
        let keys: std::collections::BTreeSet<_> = groups.iter().map(|group| alert_key("s", group)).collect();
        assert_eq!(keys.len(), groups.len());
    }
}
