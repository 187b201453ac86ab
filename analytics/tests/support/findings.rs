//! Findings for the tests of their table and of OCSF.

use std::collections::{BTreeMap, BTreeSet};

use dial_rules::accounts::Account;
use dial_rules::addresses::{Addresses, Entry};
use dial_rules::assessment::Assessment;
use dial_rules::context::{Context, Missing, Reputation};
use dial_rules::finding::{Completion, Evidence, Finding, FindingKind, Subject};
use dial_rules::lineage::Lineage;
use dial_rules::policy::{Disposition, Entry as PolicyEntry, Status};
use dial_rules::severity::Severity;

/// 2024-05-01T12:00:00Z.
pub(crate) const NOON: i64 = 1_714_564_800_000;

fn evidence(n: i64, id: &str, name: &str, source: &str) -> Evidence {
    Evidence {
        event_time: NOON + n * 1000,
        event_id: id.to_owned(),
        event_name: name.to_owned(),
        event_source: source.to_owned(),
        rule_id: "03b5938b-0000-4000-8000-000000000001".to_owned(),
        target: Some("bob".to_owned()),
        account_id: None,
        region: None,
        actor: None,
        source_ip: None,
    }
}

pub(crate) fn open(finding: Finding) -> Assessment {
    let severity = finding.subject.severity;
    let disposition = Disposition { severity, status: Status::Open, by: None, adjusted: Vec::new() };
    Assessment { finding, context: Context::default(), disposition }
}

/// Of one event.
pub(crate) fn single() -> Assessment {
    let persons = BTreeSet::from(["arn:aws:iam::111122223333:user/alice".to_owned()]);
    open(Finding {
        finding_id: format!("{:032x}", 1),
        kind: FindingKind::Single,
        rule_id: "03b5938b-0000-4000-8000-000000000001".to_owned(),
        subject: Subject {
            rule_title: "Access key for another user".to_owned(),
            severity: Severity::High,
            account_id: Some("111122223333".to_owned()),
            region: Some("eu-west-1".to_owned()),
            actor: Some("alice".to_owned()),
            source_ip: Some("192.0.2.1".to_owned()),
            techniques: vec!["T1098.001".to_owned()],
            actor_arn: Some("arn:aws:iam::111122223333:user/alice".to_owned()),
            origin: Lineage { credentials: BTreeSet::from(["AKIAIOSFODNN7EXAMPLE".to_owned()]), persons },
        },
        first_seen: NOON,
        last_seen: NOON,
        group: BTreeMap::new(),
        event_count: 1,
        evidence: BTreeSet::from([evidence(0, "event-1", "CreateAccessKey", "iam.amazonaws.com")]),
        bucket: None,
        order_ambiguous: false,
        completed_by: BTreeSet::new(),
    })
}

/// Of three events by several people.
pub(crate) fn correlated() -> Assessment {
    let mut assessment = single();
    let finding = &mut assessment.finding;
    let by = |mut evidence: Evidence, actor: &str, source: &str| {
        evidence.actor = Some(actor.to_owned());
        evidence.source_ip = Some(source.to_owned());
        evidence.account_id = Some("111122223333".to_owned());
        evidence.region = Some("us-east-1".to_owned());
        evidence
    };
    finding.finding_id = format!("{:032x}", 2);
    finding.kind = FindingKind::Correlated;
    finding.subject.techniques = vec!["T1098.001".to_owned(), "T1530".to_owned(), "T1686.001".to_owned()];
    finding.evidence = BTreeSet::from([
        by(evidence(0, "event-1", "CreateAccessKey", "iam.amazonaws.com"), "alice", "192.0.2.1"),
        by(
            evidence(7, "event-2", "CreateStack", "cloudformation.amazonaws.com"),
            "bob",
            "cloudformation.amazonaws.com",
        ),
        by(evidence(9, "event-3", "GetObject", "s3.amazonaws.com"), "alice", "2001:db8::1"),
    ]);
    finding.last_seen = NOON + 9000;
    finding.event_count = 3;
    finding.group = BTreeMap::from([("dial.actor".to_owned(), "alice".to_owned())]);
    finding.bucket = Some(476_268);
    finding.order_ambiguous = true;
    finding.completed_by = BTreeSet::from([Completion { event_time: NOON + 9000, event_id: "event-3".to_owned() }]);
    assessment
}

/// Of a finding of GuardDuty.
pub(crate) fn guardduty_finding() -> Assessment {
    let mut assessment = single();
    let finding = &mut assessment.finding;
    finding.finding_id = format!("{:032x}", 3);
    let name = "UnauthorizedAccess:IAMUser/MaliciousIPCaller";
    let mut evidence = evidence(1, "gd1@2024-05-01T12:00:01.250Z", name, "guardduty.amazonaws.com");
    evidence.target = None;
    finding.evidence = BTreeSet::from([evidence]);
    finding.subject.actor_arn = None;
    assessment
}

/// The same with everything that tables and services know.
pub(crate) fn with_context(mut assessment: Assessment) -> Assessment {
    let entry = Entry {
        network: "192.0.2.0/24".to_owned(),
        country: Some("DE".to_owned()),
        city: Some("Köln".to_owned()),
        asn: Some(64_496),
        organization: Some("Example Hosting".to_owned()),
        tor_exit: Some(true),
        lists: BTreeSet::from(["offices".to_owned()]),
        ..Entry::default()
    };
    let addresses = Addresses::literal(vec![entry]).unwrap();
    let credentials = assessment.finding.subject.origin.credentials.clone();
    let persons = BTreeSet::from(["saml:okta:alice@example.com".to_owned(), "source-identity:alice".to_owned()]);
    assessment.context = Context {
        account: Some(Account {
            name: Some("payments".to_owned()),
            environment: Some("production".to_owned()),
            ou: Some("/Workloads".to_owned()),
            tags: BTreeMap::from([("team".to_owned(), "blue".to_owned())]),
        }),
        address: Some(addresses.look_up("192.0.2.1", NOON)),
        reputation: Some(Reputation { abuse_confidence_score: 90, total_reports: 3, usage_type: None, isp: None }),
        lineage: Lineage { credentials, persons },
        chain: vec!["arn:aws:sts::111122223333:assumed-role/Admin/alice".to_owned()],
        missing: vec![Missing { part: "reputation", reason: "it is late".to_owned() }],
    };
    assessment
}

/// The same in another status.
pub(crate) fn with_status(mut assessment: Assessment, status: Status) -> Assessment {
    assessment.disposition.status = status;
    assessment.disposition.by = (status != Status::Open).then(|| PolicyEntry {
        entry: "policy.suppress",
        about: Some("account payments".to_owned()),
        owner: Some("alice".to_owned()),
        reason: Some("a test".to_owned()),
        expires: Some("2030-12-31".to_owned()),
    });
    assessment
}
