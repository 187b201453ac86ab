//! Findings as the naive reference tells them.

use std::collections::BTreeSet;

use dial_rules::event::rfc3339;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::naive::{Content, Group, Mistake, Seen, Who};
use super::spec::Spec;

pub(super) fn correlated(
    spec: &Spec,
    specs: &[Spec],
    group: &Group,
    bucket: i64,
    content: &Content,
    mistake: Option<Mistake>,
) -> Value {
    let first = content.members.first().unwrap();
    let mut parts = vec!["correlated".to_owned(), spec.id.clone()];
    parts.extend(group.iter().flat_map(|(name, value)| [name.clone(), value.clone()]));
    parts.push(bucket.to_string());
    let mut finding = json!({
        "finding_id": hash(&parts), "kind": "correlated", "rule_id": spec.id, "rule_title": format!("C {}", spec.id),
        "severity": "high", "techniques": techniques(spec, specs), "bucket": bucket,
        "first_seen": time(first.time), "last_seen": time(content.members.last().unwrap().time),
        "event_count": BTreeSet::from_iter(content.members.iter().map(|seen| &seen.distinct)).len(),
        "evidence": evidence(&content.members, mistake),
    });
    subject(&mut finding, first);
    if !group.is_empty() {
        finding["group"] = json!(group);
    }
    if content.ambiguous {
        finding["order_ambiguous"] = true.into();
    }
    let ends: BTreeSet<(i64, &String)> = content.ends.iter().map(|seen| (seen.time, &seen.distinct)).collect();
    let ends: Vec<(i64, &String)> = ends.into_iter().collect();
    let shown = |(at, id): (i64, &String)| json!({"event_time": time(at), "event_id": id});
    finding["completed_by"] = few(&ends).into_iter().map(shown).collect();
    finding
}

/// Whom a finding names.
pub(super) fn subject(finding: &mut Value, first: &Seen) {
    finding["account_id"] = first.account.clone().into();
    finding["region"] = "us-east-1".into();
    finding["actor"] = first.actor.clone().into();
    finding["actor_arn"] = first.arn.clone().into();
    if let Some(address) = &first.address {
        finding["source_ip"] = address.clone().into();
    }
    let (credentials, persons) = &first.origin;
    if !credentials.is_empty() {
        finding["origin"]["credentials"] = json!(credentials);
    }
    if !persons.is_empty() {
        finding["origin"]["persons"] = json!(persons);
    }
}

pub(super) fn time(seconds: i64) -> String {
    rfc3339(seconds * 1000)
}

/// Of a list in order, five from each end.
pub(super) fn few<T: Clone>(list: &[T]) -> Vec<T> {
    let near = |at: &usize| *at < 5 || *at + 5 >= list.len();
    (0..list.len()).filter(near).map(|at| list[at].clone()).collect()
}

fn evidence(members: &BTreeSet<Seen>, mistake: Option<Mistake>) -> Vec<Value> {
    // Evidence tells neither the caller's ARN and origin, nor what is counted, nor that an event is a copy.
    let bare = |seen: &Seen| Seen {
        arn: String::new(),
        origin: Who::default(),
        distinct: String::new(),
        values: BTreeSet::new(),
        ..seen.clone()
    };
    let all: BTreeSet<Seen> = members.iter().map(bare).collect();
    let rules: BTreeSet<&String> = all.iter().map(|seen| &seen.rule).collect();
    let of = |rule: &String| -> Vec<Seen> {
        let list: Vec<Seen> = all.iter().filter(|seen| seen.rule == *rule).cloned().collect();
        if mistake == Some(Mistake::EvidenceOrder) { list.into_iter().take(10).collect() } else { few(&list) }
    };
    let kept: BTreeSet<Seen> = rules.into_iter().flat_map(of).collect();
    kept.iter().map(shown).collect()
}

fn shown(seen: &Seen) -> Value {
    let mut shown = of_single(seen);
    shown["account_id"] = seen.account.clone().into();
    shown["region"] = "us-east-1".into();
    shown["actor"] = seen.actor.clone().into();
    if let Some(address) = &seen.address {
        shown["source_ip"] = address.clone().into();
    }
    shown
}

pub(super) fn of_single(seen: &Seen) -> Value {
    json!({"event_time": time(seen.time), "event_id": seen.id, "event_name": seen.name, "event_source": seen.source,
        "rule_id": seen.rule})
}

/// Those of all rules at the bottom.
fn techniques(spec: &Spec, specs: &[Spec]) -> BTreeSet<String> {
    let of = |part: &String| match part.strip_prefix('r') {
        Some(rule) => BTreeSet::from([format!("T100{rule}")]),
        None => techniques(specs.iter().find(|spec| spec.id == *part).unwrap(), specs),
    };
    spec.parts.iter().flat_map(of).collect()
}

pub(super) fn hash(parts: &[String]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}
