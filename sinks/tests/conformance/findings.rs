//! Findings to record: by hand, and by proptest.

use std::collections::{BTreeMap, BTreeSet};

use dial_rules::event::Millis;
use dial_rules::finding::{Evidence, Finding, FindingKind, Subject};
use dial_rules::severity::Severity;
use proptest::prelude::*;
use proptest::sample::select;

/// 2026-01-31T12:00:00Z.
pub(crate) const NOON: Millis = 1_769_860_800_000;
const DAY: Millis = 86_400_000;

/// A finding of one event.
pub(crate) fn finding(id: &str, time: Millis, event_id: &str) -> Finding {
    let evidence = Evidence {
        event_time: time,
        event_id: event_id.to_owned(),
        event_name: "CreateAccessKey".to_owned(),
        event_source: "iam.amazonaws.com".to_owned(),
        rule_id: "rule-0".to_owned(),
        target: None,
        account_id: None,
        region: None,
        actor: None,
        source_ip: None,
    };
    Finding {
        finding_id: id.to_owned(),
        kind: FindingKind::Single,
        rule_id: "rule-0".to_owned(),
        subject: Subject {
            rule_title: "A key was created".to_owned(),
            severity: Severity::Medium,
            account_id: Some("111122223333".to_owned()),
            region: Some("us-east-1".to_owned()),
            actor: Some("alice".to_owned()),
            source_ip: None,
            techniques: vec!["T1098.001".to_owned()],
            actor_arn: None,
            origin: Default::default(),
        },
        first_seen: time,
        last_seen: time,
        group: BTreeMap::new(),
        event_count: 1,
        evidence: BTreeSet::from([evidence]),
        bucket: None,
        order_ambiguous: false,
        completed_by: BTreeSet::new(),
    }
}

/// Times on several days, with ties; before 2000, after 2050, and at both sides of midnight.
fn times() -> impl Strategy<Value = Millis> {
    let days =
        (0..4_i64, select(vec![0, 1, DAY / 2, DAY - 1])).prop_map(|(day, time)| NOON - NOON % DAY + day * DAY + time);
    prop_oneof![8 => days, 1 => select(vec![-DAY, 0, 946_684_799_999, 2_600_000_000_000, 253_402_300_799_999])]
}

/// An update of one of a few findings; everything in it may differ from another update of the same finding.
pub(crate) fn update() -> impl Strategy<Value = Finding> {
    let severity = select(Severity::WORST_FIRST.to_vec());
    let kind = select(vec![FindingKind::Single, FindingKind::Correlated]);
    let actor = select(vec![None, Some("alice"), Some("role/Admin as müller"), Some("")]);
    (0..8_u8, times(), times(), 0..12_u8, 0..3_u8, severity, kind, actor, 1..5_u64).prop_map(
        |(id, a, b, event, rule, severity, kind, actor, event_count)| {
            let mut finding = finding(&format!("{id:032x}"), a.min(b), &format!("event-{event}"));
            finding.last_seen = a.max(b);
            finding.rule_id = format!("rule-{rule}");
            finding.subject.severity = severity;
            finding.subject.actor = actor.map(str::to_owned);
            finding.kind = kind;
            finding.event_count = event_count;
            finding
        },
    )
}

/// What any store must contain after these updates, by the plainest means.
pub(crate) fn merged<'a>(updates: impl IntoIterator<Item = &'a Finding>) -> BTreeMap<String, Finding> {
    let mut content: BTreeMap<String, Finding> = BTreeMap::new();
    for update in updates {
        let before = content.get(&update.finding_id).cloned();
        let after = before.map_or_else(|| update.clone(), |before| before.merge(update.clone()));
        content.insert(update.finding_id.clone(), after);
    }
    content
}
