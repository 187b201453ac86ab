#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use dial_rules::accounts::Account;
use dial_rules::addresses::{Addresses, Entry};
use dial_rules::context::Context;
use dial_rules::finding::{Completion, MOST_EVENTS, Subject};
use dial_rules::lineage::Lineage;
use dial_rules::pack;
use dial_rules::policy::{Disposition, Status};

use super::*;

/// MFA device removed, then IAM changed by the same person.
const MFA_THEN_IAM: &str = "d1f87f16-b147-579d-a470-bb723f214078";
const MFA_REMOVED: &str = "6b70f895-0ce5-40fb-8186-3db1089288f0";
const IAM_CHANGED: &str = "7ed021d1-30a8-5898-a2ea-c0df3112d888";
const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
/// 2026-03-03T00:00:00Z.
const START: Millis = 1_772_496_000_000;

fn evidence(minute: i64, name: &str, rule: &str, account: &str) -> Evidence {
    Evidence {
        event_time: START + minute * 60_000,
        event_id: format!("e{minute}"),
        event_name: name.to_owned(),
        event_source: "iam.amazonaws.com".to_owned(),
        rule_id: rule.to_owned(),
        target: None,
        account_id: Some(account.to_owned()),
        region: Some("us-east-1".to_owned()),
        actor: Some("role Admin as a\u{1b}[31m".to_owned()),
        source_ip: Some("203.0.113.7".to_owned()),
    }
}

fn finding() -> Finding {
    let all = [
        evidence(0, "DeactivateMFADevice", MFA_REMOVED, "111122223333"),
        evidence(30, "CreateUser", IAM_CHANGED, "444455556666"),
    ];
    let done = Completion { event_time: START + 1_800_000, event_id: "e30".to_owned() };
    Finding {
        finding_id: "00112233445566778899aabbccddeeff".to_owned(),
        kind: FindingKind::Correlated,
        rule_id: MFA_THEN_IAM.to_owned(),
        subject: Subject {
            rule_title: "MFA device removed, then IAM changed by the same person".to_owned(),
            severity: Severity::Critical,
            account_id: Some("111122223333".to_owned()),
            region: Some("us-east-1".to_owned()),
            actor: Some("alice".to_owned()),
            source_ip: Some("203.0.113.7".to_owned()),
            techniques: vec!["T1098".to_owned()],
            actor_arn: None,
            origin: Lineage::default(),
        },
        first_seen: START,
        last_seen: START + 1_800_000,
        group: BTreeMap::from([(ACTOR.to_owned(), ALICE.to_owned())]),
        event_count: 2,
        evidence: BTreeSet::from(all),
        bucket: Some(1),
        order_ambiguous: false,
        completed_by: BTreeSet::from([done]),
    }
}

fn grouped(member: &str) -> Assessment {
    let finding = Finding { group: BTreeMap::from([(ACTOR.to_owned(), member.to_owned())]), ..finding() };
    let disposition =
        Disposition { severity: Severity::Critical, status: Status::Open, by: None, adjusted: Vec::new() };
    Assessment { finding, context: Context::default(), disposition }
}

fn tables() -> Tables {
    let entry: Entry = serde_json::from_str(r#"{"network": "203.0.113.0/24", "country": "NL"}"#).unwrap();
    let account = Account { name: Some("payments".to_owned()), ..Account::default() };
    Tables {
        accounts: BTreeMap::from([("444455556666".to_owned(), account)]),
        addresses: Addresses::literal(vec![entry]).unwrap(),
        ..Tables::default()
    }
}

#[test]
fn the_timeline_says_when_who_where_from_what_and_as_what() {
    let rules = RuleSet::load(&pack::rules()).rules;
    let rows = super::rows(timeline(&finding(), Some(&rules), &tables()));
    let expected = [
        [
            "2026-03-03 00:00:00",
            "role Admin as a [31m",
            "203.0.113.7 NL",
            "iam DeactivateMFADevice",
            "111122223333",
            "us-east-1",
            "MFA device removed",
        ],
        [
            "2026-03-03 00:30:00",
            "role Admin as a [31m",
            "203.0.113.7 NL",
            "iam CreateUser",
            "payments (444455556666)",
            "us-east-1",
            "Rights, credentials or users of IAM changed",
        ],
    ];
    assert_eq!(rows, expected.map(|row| row.map(str::to_owned)));
    // Rules that are gone leave their ids, tables that are not there nothing.
    let rows = super::rows(timeline(&finding(), None, &Tables::default()));
    assert_eq!((rows[1][2].as_str(), rows[1][6].as_str()), ("203.0.113.7", IAM_CHANGED));
}

#[test]
fn conditions_are_said_in_words() {
    let rules = RuleSet::load(&pack::rules()).rules;
    let correlations = rules.correlations();
    let said = |finding: &Finding| {
        let correlation = correlations.get(&finding.rule_id);
        assert!(correlation.is_some());
        conditions(finding, correlation.map(AsRef::as_ref))
    };
    let ordered = finding();
    assert_eq!(said(&ordered), "2 of 2 rules in order within 1 h; 2 distinct events; completed at 2026-03-03 00:30:00");
    let later = Completion { event_time: START + 2_000_000, event_id: "e33".to_owned() };
    let mut burst = Finding { rule_id: "84df9773-84ee-56ad-ae32-55b43a9d0b55".to_owned(), ..finding() };
    burst.event_count = MOST_EVENTS;
    burst.completed_by.insert(later);
    assert_eq!(
        said(&burst),
        "50 events or more within 10 min; 10,000+ distinct events; first completed at 2026-03-03 00:30:00, last at \
         2026-03-03 00:33:20"
    );
    let values = Finding { rule_id: "1a7460cd-cea5-5b9b-ae73-668e6070bd92".to_owned(), event_count: 1, ..finding() };
    assert!(said(&values).starts_with("6 values of eventSource or more within 10 min; 1 distinct event;"));
    assert_eq!(conditions(&values, None), "1 distinct event; completed at 2026-03-03 00:30:00");
}

#[test]
fn groups_are_said_as_people_do() {
    let tables = tables();
    for (name, value, words) in [
        (ACTOR, ALICE, "alice (111122223333)"),
        (ACTOR, "ASIAIOSFODNN7EXAMPLE", "access key ASIAIOSFODNN7EXAMPLE"),
        (ACTOR, "saml:arn/x:alice@example.com", "alice@example.com"),
        ("recipientAccountId", "444455556666", "account 444455556666 payments"),
        ("recipientAccountId", "111122223333", "account 111122223333"),
        ("requestParameters.bucketName", "data", "bucket data"),
        ("requestParameters.routeTableId", "rtb-1", "route table rtb-1"),
        ("userIdentity.userName", "bob", "user bob"),
        ("sourceIPAddress", "203.0.113.7", "address 203.0.113.7"),
        ("awsRegion", "eu-west-1", "region eu-west-1"),
        ("instance", "i-1", "instance i-1"),
        ("name", "x", "name x"),
    ] {
        assert_eq!(group_words(name, value, &tables), words);
    }
}

#[test]
fn who_did_it_is_the_person_of_the_group() {
    assert_eq!(who(&grouped(ALICE)).as_deref(), Some("alice (111122223333)"));
    assert_eq!(who(&grouped("ASIAIOSFODNN7EXAMPLE")).as_deref(), Some("alice"));
    let mut known = grouped("ASIAIOSFODNN7EXAMPLE");
    known.context.lineage.persons.insert("saml:idp:bob@example.com".to_owned());
    // Whom another credential leads to is not who used this one.
    assert_eq!(who(&known).as_deref(), Some("alice"));
    known.context.lineage.credentials.insert("ASIAIOSFODNN7EXAMPLE".to_owned());
    assert_eq!(who(&known).as_deref(), Some("bob@example.com"));
}

#[test]
fn of_an_incident_the_worst_then_the_person_then_the_most_events_say_most() {
    let with = |member, severity, events| {
        let mut one = grouped(member);
        one.disposition.severity = severity;
        one.finding.event_count = events;
        one
    };
    let ranked = [
        with("ASIAIOSFODNN7EXAMPLE", Severity::Critical, 2),
        with(ALICE, Severity::High, 9),
        with(ALICE, Severity::High, 2),
        with("AIDAIOSFODNN7EXAMPLE", Severity::High, 2),
        with("ASIAIOSFODNN7EXAMPLE", Severity::High, 99),
    ];
    assert!(ranked.windows(2).all(|pair| telling(&pair[0]) < telling(&pair[1])));
}

#[test]
fn what_a_timeline_does_not_show_is_said() {
    assert_eq!(remarks(&finding()), Vec::<String>::new());
    let said = remarks(&Finding { order_ambiguous: true, event_count: 40, ..finding() });
    assert!(said[0].contains("order is ambiguous") && said[1].contains("of 40 events"), "{said:?}");
}
