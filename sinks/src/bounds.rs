//! Shortens what a hostile event can make long, so that every finding fits its row. Pure.
//!
//! Each string is shortened by itself, before anything is merged: shortened findings merge to the same content in any
//! order, as whole ones do. A shortened string keeps its beginning and ends in a hash of the whole, so that different
//! strings stay different.

use std::collections::{BTreeMap, BTreeSet};

use dial_rules::finding::{Completion, Evidence, Finding, Subject};

/// Longest string in bytes; ARNs, which are event ids of some findings, have up to 2,048 in theory and 200 in practice.
const LONGEST: usize = 512;

/// The finding with every string of an event at most [`LONGEST`] bytes long. Doing it twice changes nothing.
pub(crate) fn bounded(finding: Finding) -> Finding {
    let Finding { subject, group, evidence, completed_by, .. } = finding;
    let optional = |text: Option<String>| text.map(shorten);
    let subject = Subject {
        rule_title: shorten(subject.rule_title),
        account_id: optional(subject.account_id),
        region: optional(subject.region),
        actor: optional(subject.actor),
        source_ip: optional(subject.source_ip),
        actor_arn: optional(subject.actor_arn),
        ..subject
    };
    let group: BTreeMap<String, String> = group.into_iter().map(|(k, v)| (shorten(k), shorten(v))).collect();
    let evidence: BTreeSet<Evidence> = evidence.into_iter().map(bounded_evidence).collect();
    let completed_by: BTreeSet<Completion> = completed_by
        .into_iter()
        .map(|completion| Completion { event_id: shorten(completion.event_id), ..completion })
        .collect();
    Finding { subject, group, evidence, completed_by, ..finding }
}

fn bounded_evidence(evidence: Evidence) -> Evidence {
    let optional = |text: Option<String>| text.map(shorten);
    Evidence {
        event_id: shorten(evidence.event_id),
        event_name: shorten(evidence.event_name),
        event_source: shorten(evidence.event_source),
        account_id: optional(evidence.account_id),
        region: optional(evidence.region),
        actor: optional(evidence.actor),
        source_ip: optional(evidence.source_ip),
        target: optional(evidence.target),
        ..evidence
    }
}

fn shorten(text: String) -> String {
    if text.len() <= LONGEST {
        return text;
    }
    let tail = format!("…{:016x}", fnv1a(text.as_bytes()));
    let room = LONGEST - tail.len();
    let end = (0..=room).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    format!("{}{tail}", text.get(..end).unwrap_or_default())
}

/// The 64-bit FNV-1a hash (RFC 9923): what is stored must hash alike in every
/// version of this program, which the standard library's hashes do not promise.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fnv1a_gives_the_published_values() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    proptest! {
        #[test]
        fn short_strings_stay_and_long_ones_are_cut_once(text in "\\PC{0,700}") {
            let cut = shorten(text.clone());
            prop_assert!(cut.len() <= LONGEST);
            prop_assert_eq!(cut == text, text.len() <= LONGEST);
            prop_assert_eq!(shorten(cut.clone()), cut);
        }

        #[test]
        fn different_strings_stay_different(end in "[a-z]{1,3}", other in "[a-z]{1,3}") {
            let long = |end: &str| shorten("é".repeat(400) + end);
            prop_assert_eq!(long(&end) == long(&other), end == other);
        }
    }
}
