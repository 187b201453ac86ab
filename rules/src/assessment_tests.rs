use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::accounts::Account;
use crate::addresses::{AddressContext, AddressKind};
use crate::context::Missing;
use crate::finding::Subject;

fn finding() -> Finding {
    let text = |text: &str| Some(text.to_owned());
    let evidence = Evidence {
        event_time: 1_772_496_000_000,
        event_id: "5f0c9f9e-1b1e-4a52-9e6e-0d1c0f0a0b01".to_owned(),
        event_name: "CreateAccessKey".to_owned(),
        event_source: "iam.amazonaws.com".to_owned(),
        rule_id: "aaaaaaaa-0000-0000-0000-000000000001".to_owned(),
        target: None,
        account_id: text("111122223333"),
        region: text("eu-west-1"),
        actor: text("role Admin as alice"),
        source_ip: text("203.0.113.7"),
    };
    let completion = Completion { event_time: evidence.event_time, event_id: evidence.event_id.clone() };
    Finding {
        finding_id: "00112233445566778899aabbccddeeff".to_owned(),
        kind: FindingKind::Correlated,
        rule_id: evidence.rule_id.clone(),
        subject: Subject {
            rule_title: "Key made".to_owned(),
            severity: Severity::Medium,
            account_id: text("111122223333"),
            region: text("eu-west-1"),
            actor: text("role Admin as alice"),
            source_ip: text("203.0.113.7"),
            techniques: vec!["T1098.001".to_owned()],
            actor_arn: text("arn:aws:sts::111122223333:assumed-role/Admin/alice"),
            origin: Lineage { credentials: ["ASIAIOSFODNN7EXAMPLE".to_owned()].into(), persons: BTreeSet::new() },
        },
        first_seen: 1_772_496_000_000,
        last_seen: 1_772_496_060_000,
        group: [("dial.actor".to_owned(), "alice".to_owned())].into(),
        event_count: 2,
        evidence: [evidence].into(),
        bucket: Some(3),
        order_ambiguous: true,
        completed_by: [completion].into(),
    }
}

fn open() -> Assessment {
    let disposition = Disposition { severity: Severity::Medium, status: Status::Open, by: None, adjusted: Vec::new() };
    Assessment { finding: finding(), context: Context::default(), disposition }
}

fn suppressed() -> Assessment {
    let text = |text: &str| Some(text.to_owned());
    let account = Account { name: text("payments"), ou: text("/Workloads"), ..Account::default() };
    let address = AddressContext {
        kind: AddressKind::Documentation,
        country: None,
        city: None,
        asn: None,
        network: None,
        aws_service: None,
        aws_region: None,
        tor_exit: None,
        lists: vec!["office".to_owned()],
    };
    let missing = Missing { part: "reputation", reason: "the service does not answer".to_owned() };
    let context =
        Context { account: Some(account), address: Some(address), missing: vec![missing], ..Context::default() };
    let entry = Entry {
        entry: "policy.suppress",
        about: text("account payments"),
        owner: text("ops"),
        reason: text("migration"),
        expires: text("2030-01-01"),
    };
    let adjusted = vec!["from medium to high: account payments".to_owned()];
    let disposition = Disposition { severity: Severity::High, status: Status::Suppressed, by: Some(entry), adjusted };
    Assessment { finding: finding(), context, disposition }
}

#[test]
fn the_json_is_the_golden_one() {
    insta::assert_json_snapshot!("open", open());
    insta::assert_json_snapshot!("suppressed", suppressed());
}

#[test]
fn what_the_finding_says_is_said_but_for_the_severity() {
    let object = |value: Value| value.as_object().cloned().unwrap();
    let finding = object(serde_json::to_value(finding()).unwrap());
    let [open, suppressed] = [open(), suppressed()].map(|one| object(serde_json::to_value(one).unwrap()));
    for (key, value) in &finding {
        assert_eq!(open.get(key), Some(value), "{key}");
        assert!(suppressed.get(key) == Some(value) || key == "severity", "{key}");
    }
    assert_eq!((&suppressed["severity"], &suppressed["rule_severity"]), (&Value::from("high"), &Value::from("medium")));
    assert!(!open.contains_key("rule_severity") && !open.contains_key("context") && open["status"] == "open");
}
