//! What the tests share: dice, a clock that follows tokio's, findings, a desk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dial_rules::assessment::Assessment;
use dial_rules::context::Context;
use dial_rules::dedup::Dedup;
use dial_rules::event::Millis;
use dial_rules::finding::{Completion, Evidence, Finding, FindingKind, Subject};
use dial_rules::lineage::Lineage;
use dial_rules::policy::{Disposition, Status};
use dial_rules::severity::Severity;
use tokio::time::Instant;

use crate::message::{Advice, Moment};
use crate::outbox::clock::Clock;
use crate::outbox::desk::{Desk, Notes};

/// When tests begin.
pub(crate) const START: Millis = 1_772_532_000_000;

/// Numbers that depend on the seed alone (SplitMix64). Clones share their state.
#[derive(Debug, Clone)]
pub(crate) struct Dice(Arc<Mutex<u64>>);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(Arc::new(Mutex::new(seed)))
    }

    pub(crate) fn next(&self) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub(crate) fn chance(&self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A clock that follows tokio's.
pub(crate) fn clock(dice: &Dice) -> Clock {
    let (began, dice) = (Instant::now(), dice.clone());
    let now = move || START + Millis::try_from(began.elapsed().as_millis()).unwrap();
    Clock::of(now, move || dice.chance())
}

/// The first word of a rule's id says which sinks its findings go to: `ab-1` to `a` and `b`; `-1` to none. The second how
/// repeats are grouped.
#[derive(Debug)]
pub(crate) struct Policy;

#[async_trait]
impl Desk for Policy {
    async fn assess(&self, findings: Vec<Finding>) -> Vec<Assessment> {
        findings.into_iter().map(assessed).collect()
    }

    fn routes(&self, assessment: &Assessment) -> BTreeSet<String> {
        let rule = assessment.finding.rule_id.split('-').next().unwrap_or_default();
        rule.chars().map(String::from).collect()
    }

    fn notes(&self, rule_id: &str) -> Notes {
        let dedup = match rule_id.split('-').nth(1) {
            Some("never") => Dedup::Never,
            Some("rule") => Dedup::Same(BTreeSet::new()),
            _ => Dedup::default(),
        };
        Notes { advice: Advice { why: rule_id.to_owned(), ..Advice::default() }, dedup }
    }

    fn moments(&self, finding: &Finding) -> Vec<Moment> {
        let moment = |evidence: &Evidence| Moment {
            time: evidence.event_time,
            who: String::new(),
            from: String::new(),
            what: evidence.event_name.clone(),
            account: String::new(),
            region: String::new(),
            rule: finding.subject.rule_title.clone(),
        };
        finding.evidence.iter().map(moment).collect()
    }
}

pub(crate) fn assessed(finding: Finding) -> Assessment {
    let severity = finding.subject.severity;
    let disposition = Disposition { severity, status: Status::Open, by: None, adjusted: Vec::new() };
    Assessment { finding, context: Context::default(), disposition }
}

/// A finding of one event.
pub(crate) fn single(id: &str, rule_id: &str, actor: &str) -> Finding {
    let evidence = Evidence {
        event_time: START,
        event_id: format!("event-{id}"),
        event_name: "CreateUser".to_owned(),
        event_source: "iam.amazonaws.com".to_owned(),
        rule_id: rule_id.to_owned(),
        target: None,
        account_id: None,
        region: None,
        actor: None,
        source_ip: None,
    };
    Finding {
        finding_id: id.to_owned(),
        kind: FindingKind::Single,
        rule_id: rule_id.to_owned(),
        subject: Subject {
            rule_title: format!("Rule {rule_id}"),
            severity: Severity::High,
            account_id: Some("111122223333".to_owned()),
            region: Some("eu-west-1".to_owned()),
            actor: Some(actor.to_owned()),
            source_ip: None,
            techniques: Vec::new(),
            actor_arn: None,
            origin: Lineage::default(),
        },
        first_seen: START,
        last_seen: START,
        group: BTreeMap::new(),
        event_count: 1,
        evidence: BTreeSet::from([evidence]),
        bucket: None,
        order_ambiguous: false,
        completed_by: BTreeSet::new(),
    }
}

/// A finding of several events, completed by these.
pub(crate) fn correlated(id: &str, rule_id: &str, group: &str, bucket: i64, events: &[&str]) -> Finding {
    let completion = |event: &&str| Completion { event_time: START, event_id: (*event).to_owned() };
    Finding {
        kind: FindingKind::Correlated,
        group: BTreeMap::from([("dial.actor".to_owned(), group.to_owned())]),
        bucket: Some(bucket),
        completed_by: events.iter().map(completion).collect(),
        ..single(id, rule_id, group)
    }
}
