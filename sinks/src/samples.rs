//! Sample messages: what a person sends to see whether a sink works, and what tests of sinks are held to.
//!
//! Accounts, addresses and networks are those that AWS, RFC 5737 and RFC 5398 set aside for examples.

use std::collections::{BTreeMap, BTreeSet};

use dial_rules::accounts::Account;
use dial_rules::addresses::{AddressContext, AddressKind};
use dial_rules::assessment::Assessment;
use dial_rules::context::{Context, Reputation};
use dial_rules::event::{Millis, rfc3339};
use dial_rules::finding::{Completion, Evidence, Finding, FindingKind, Subject};
use dial_rules::lineage::Lineage;
use dial_rules::policy::{Disposition, Status};
use dial_rules::severity::Severity;

use crate::message::{Advice, Links, MOST_SHOWN, Message, Moment};
use crate::outbox::alert::Group;

/// What a sample tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleKind {
    /// One finding of one event.
    Single,
    /// One finding of several events.
    Correlated,
    /// Several correlated findings that tell of one thing.
    Incident,
    /// A thousand findings of one rule.
    Storm,
}

impl SampleKind {
    /// All of them.
    pub const ALL: [SampleKind; 4] =
        [SampleKind::Single, SampleKind::Correlated, SampleKind::Incident, SampleKind::Storm];
}

/// When the fixed samples happened: 2026-03-03T10:00:00Z.
const THEN: Millis = 1_772_532_000_000;

/// How many findings the storm has.
const STORM: u64 = 1_000;

const ROLE_MADE_ADMIN: &str = "3f6c2a10-5d4e-4b7a-9c1d-2e8f70a1b001";
const MFA_REMOVED: &str = "3f6c2a10-5d4e-4b7a-9c1d-2e8f70a1b002";
const MFA_THEN_IAM: &str = "3f6c2a10-5d4e-4b7a-9c1d-2e8f70a1b003";
const KEY_MADE: &str = "3f6c2a10-5d4e-4b7a-9c1d-2e8f70a1b004";
const BUCKET_OPENED: &str = "3f6c2a10-5d4e-4b7a-9c1d-2e8f70a1b005";

/// The same message each time.
pub fn sample(kind: SampleKind) -> Message {
    sample_at(kind, THEN)
}

/// A message whose last event is at `last`. Its key and thread are of `last` too, so that a sink that drops repeats shows
/// each sample.
pub fn sample_at(kind: SampleKind, last: Millis) -> Message {
    match kind {
        SampleKind::Single => single(last),
        SampleKind::Correlated => correlated(last),
        SampleKind::Incident => incident(last),
        SampleKind::Storm => storm(last),
    }
}

fn single(last: Millis) -> Message {
    let finding = event_finding(1, ROLE_MADE_ADMIN, "Administrator rights granted to a user", Severity::High, last);
    let group = Group::Repeats {
        rule_id: ROLE_MADE_ADMIN.to_owned(),
        of: [text("account", "111122223333"), text("actor", "role Admin as alice")].into(),
    };
    let title = finding.subject.rule_title.clone();
    let step = moment(last, "iam AttachUserPolicy bob, AdministratorAccess", &title);
    message("single", group, title, vec![assessed(finding)], vec![step], last)
}

fn correlated(last: Millis) -> Message {
    let finding = chain_finding(2, MFA_THEN_IAM, "MFA device removed, then IAM changed by the same person", last);
    let title = finding.subject.rule_title.clone();
    let group = Group::Incident { id: "0d1e2f3a4b5c6d7e8f90a1b2c3d4e5f6".to_owned() };
    message("correlated", group, title, vec![assessed(finding)], chain_moments(last), last)
}

fn incident(last: Millis) -> Message {
    let findings = [
        chain_finding(2, MFA_THEN_IAM, "MFA device removed, then IAM changed by the same person", last),
        chain_finding(3, KEY_MADE, "Access key made right after an MFA device was removed", last),
        chain_finding(4, ROLE_MADE_ADMIN, "Rights raised step by step", last),
    ];
    let title = format!("{} and 2 more findings", findings[0].subject.rule_title);
    let group = Group::Incident { id: "0d1e2f3a4b5c6d7e8f90a1b2c3d4e5f6".to_owned() };
    let findings = findings.into_iter().map(assessed).collect();
    let mut message = message("incident", group, title, findings, chain_moments(last), last);
    message.sequence = 1;
    message
}

fn storm(last: Millis) -> Message {
    let title = "S3 bucket opened to everybody";
    // One each 60 ms: a minute in all.
    let one = |n: u64| {
        let before = Millis::try_from((STORM - n) * 60).unwrap_or_default();
        event_finding(1_000 + n, BUCKET_OPENED, title, Severity::Medium, last - before)
    };
    let told = (1..=STORM).rev().take(MOST_SHOWN + 1).map(|n| assessed(one(n))).collect();
    let step = moment(last, "s3 PutBucketPolicy invoices-1000", title);
    let group = Group::Storm { rule_id: BUCKET_OPENED.to_owned() };
    let mut message = message("storm", group, format!("1,000 × {title} in 1 min"), told, vec![step], last);
    message.finding_ids = (1..=STORM).rev().map(id).collect();
    message.count = STORM;
    let (from, to) = (rfc3339(last - 60_000), rfc3339(last));
    message.links.list = Some(format!("dial findings list --rule {BUCKET_OPENED} --from {from} --to {to}"));
    message
}

fn message(
    name: &str,
    group: Group,
    title: String,
    findings: Vec<Assessment>,
    moments: Vec<Moment>,
    last: Millis,
) -> Message {
    let mut findings = findings.into_iter();
    let lead = findings.next().unwrap_or_else(|| assessed(event_finding(0, MFA_REMOVED, "", Severity::Low, last)));
    let others: Vec<Assessment> = findings.collect();
    let finding_ids: Vec<String> =
        [&lead].into_iter().chain(&others).map(|one| one.finding.finding_id.clone()).collect();
    let of = [&lead].into_iter().chain(&others).map(|one| &one.finding).collect();
    let links = Links {
        console: Some(
            "https://eu-west-1.console.aws.amazon.com/cloudtrailv2/home?region=eu-west-1#/events/5f0c9f9e-1b1e-4a52-9e6e-000000000001"
                .to_owned(),
        ),
        show: format!("dial findings show {}", lead.finding.finding_id),
        list: None,
    };
    Message {
        key: format!("sample-{name}-{last}-0"),
        thread: format!("sample-{name}-{last}"),
        sequence: 0,
        group,
        severity: lead.severity(),
        title,
        count: finding_ids.len() as u64,
        lead,
        others,
        finding_ids,
        of,
        moments,
        advice: advice(),
        links,
        is_sample: true,
    }
}

fn advice() -> Advice {
    Advice {
        why: "Whoever holds the credential can now do anything in the account, and may be making sure of coming back."
            .to_owned(),
        first_step: Some(
            "Ask the person whether it was them. If not, deactivate the credential and detach the policy.".to_owned(),
        ),
        references: vec!["https://attack.mitre.org/techniques/T1098/".to_owned()],
        tactics: vec!["persistence".to_owned(), "privilege-escalation".to_owned()],
    }
}

/// The finding of one event.
fn event_finding(n: u64, rule_id: &str, title: &str, severity: Severity, at: Millis) -> Finding {
    let (event_source, event_name, target) = match rule_id {
        BUCKET_OPENED => ("s3.amazonaws.com", "PutBucketPolicy", format!("invoices-{}", n.saturating_sub(1_000))),
        _ => ("iam.amazonaws.com", "AttachUserPolicy", "bob, AdministratorAccess".to_owned()),
    };
    let evidence = Evidence { target: Some(target), ..bare_evidence(n, at, event_source, event_name, rule_id) };
    Finding {
        finding_id: id(n),
        kind: FindingKind::Single,
        rule_id: rule_id.to_owned(),
        subject: subject(title, severity),
        first_seen: at,
        last_seen: at,
        group: BTreeMap::new(),
        event_count: 1,
        evidence: [evidence].into(),
        bucket: None,
        order_ambiguous: false,
        completed_by: BTreeSet::new(),
    }
}

/// The finding of the chain that [`chain_moments`] tells.
fn chain_finding(n: u64, rule_id: &str, title: &str, last: Millis) -> Finding {
    let evidence: BTreeSet<Evidence> =
        STEPS.iter().zip(1..).map(|(step, n)| evidence_of(step, n, last - step.before)).collect();
    let completion =
        |evidence: &Evidence| Completion { event_time: evidence.event_time, event_id: evidence.event_id.clone() };
    Finding {
        finding_id: id(n),
        kind: FindingKind::Correlated,
        rule_id: rule_id.to_owned(),
        subject: subject(title, Severity::Critical),
        first_seen: last - STEPS[0].before,
        last_seen: last,
        group: [text("dial.actor", "arn:aws:iam::111122223333:user/alice")].into(),
        event_count: STEPS.len() as u64,
        completed_by: evidence.last().map(completion).into_iter().collect(),
        evidence,
        bucket: Some(last.div_euclid(3_600_000)),
        order_ambiguous: false,
    }
}

/// One event of the chain.
struct Step {
    /// Milliseconds before the last.
    before: Millis,
    service: &'static str,
    name: &'static str,
    target: &'static str,
    rule_id: &'static str,
    rule: &'static str,
}

const STEPS: [Step; 3] = [
    Step {
        before: 540_000,
        service: "iam",
        name: "DeactivateMFADevice",
        target: "alice",
        rule_id: MFA_REMOVED,
        rule: "MFA device removed",
    },
    Step {
        before: 180_000,
        service: "iam",
        name: "CreateAccessKey",
        target: "bob",
        rule_id: KEY_MADE,
        rule: "Access key made for another user",
    },
    Step {
        before: 0,
        service: "iam",
        name: "AttachUserPolicy",
        target: "bob, AdministratorAccess",
        rule_id: ROLE_MADE_ADMIN,
        rule: "Administrator rights granted to a user",
    },
];

fn chain_moments(last: Millis) -> Vec<Moment> {
    let what = |step: &Step| format!("{} {} {}", step.service, step.name, step.target);
    STEPS.iter().map(|step| moment(last - step.before, &what(step), step.rule)).collect()
}

fn moment(time: Millis, what: &str, rule: &str) -> Moment {
    Moment {
        time,
        who: "role Admin as alice".to_owned(),
        from: "198.51.100.7 NL".to_owned(),
        what: what.to_owned(),
        account: "payments (111122223333)".to_owned(),
        region: "eu-west-1".to_owned(),
        rule: rule.to_owned(),
    }
}

fn evidence_of(step: &Step, n: u64, at: Millis) -> Evidence {
    let own = |text: &str| Some(text.to_owned());
    Evidence {
        target: own(step.target),
        account_id: own("111122223333"),
        region: own("eu-west-1"),
        actor: own("role Admin as alice"),
        source_ip: own("198.51.100.7"),
        ..bare_evidence(n, at, &format!("{}.amazonaws.com", step.service), step.name, step.rule_id)
    }
}

fn bare_evidence(n: u64, at: Millis, event_source: &str, event_name: &str, rule_id: &str) -> Evidence {
    Evidence {
        event_time: at,
        event_id: format!("5f0c9f9e-1b1e-4a52-9e6e-{n:012x}"),
        event_name: event_name.to_owned(),
        event_source: event_source.to_owned(),
        rule_id: rule_id.to_owned(),
        target: None,
        account_id: None,
        region: None,
        actor: None,
        source_ip: None,
    }
}

fn subject(title: &str, severity: Severity) -> Subject {
    let own = |text: &str| Some(text.to_owned());
    Subject {
        rule_title: title.to_owned(),
        severity,
        account_id: own("111122223333"),
        region: own("eu-west-1"),
        actor: own("role Admin as alice"),
        source_ip: own("198.51.100.7"),
        techniques: vec!["T1098".to_owned(), "T1556.006".to_owned()],
        actor_arn: own("arn:aws:sts::111122223333:assumed-role/Admin/alice"),
        origin: Lineage { credentials: ["ASIAIOSFODNN7EXAMPLE".to_owned()].into(), persons: BTreeSet::new() },
    }
}

fn assessed(finding: Finding) -> Assessment {
    let own = |text: &str| Some(text.to_owned());
    let account = Account { name: own("payments"), environment: own("production"), ..Account::default() };
    let address = AddressContext {
        kind: AddressKind::Public,
        country: own("NL"),
        city: None,
        asn: Some(64_496),
        network: own("Example Hosting"),
        aws_service: None,
        aws_region: None,
        tor_exit: Some(false),
        lists: Vec::new(),
    };
    let reputation = Reputation {
        abuse_confidence_score: 87,
        total_reports: 214,
        usage_type: own("Data Center/Web Hosting/Transit"),
        isp: None,
    };
    let lineage = Lineage { persons: ["arn:aws:iam::111122223333:user/alice".to_owned()].into(), ..Lineage::default() };
    let context = Context {
        account: Some(account),
        address: Some(address),
        reputation: Some(reputation),
        lineage,
        ..Context::default()
    };
    let severity = finding.subject.severity;
    let disposition = Disposition { severity, status: Status::Open, by: None, adjusted: Vec::new() };
    Assessment { finding, context, disposition }
}

fn id(n: u64) -> String {
    format!("5a3b1e00{n:024x}")
}

fn text(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}
