use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::accounts::{Account, Accounts};
use crate::finding::{FindingKind, Subject};
use crate::lineage::Lineage;

const KEY_MADE: &str = "aaaaaaaa-0000-0000-0000-000000000001";
const OPENED: &str = "bbbbbbbb-0000-0000-0000-000000000003";
/// 2026-03-03T00:00:00Z
const NOON: Millis = 1_772_496_000_000;

fn written(toml_like: serde_json::Value) -> Written {
    serde_json::from_value(toml_like).unwrap()
}

fn policy(value: serde_json::Value) -> Policy {
    Policy::new(&written(value), &rule_names::tests::names()).unwrap()
}

pub(super) fn finding() -> Finding {
    let text = |text: &str| Some(text.to_owned());
    Finding {
        finding_id: "f".to_owned(),
        kind: FindingKind::Single,
        rule_id: KEY_MADE.to_owned(),
        subject: Subject {
            rule_title: "Key made".to_owned(),
            severity: Severity::Medium,
            account_id: text("111122223333"),
            region: text("eu-west-1"),
            actor: text("role Deploy as ci"),
            source_ip: text("198.51.100.7"),
            techniques: Vec::new(),
            actor_arn: text("arn:aws:sts::111122223333:assumed-role/Deploy/ci"),
            origin: Lineage { credentials: ["ASIAIOSFODNN7EXAMPLE".to_owned()].into(), persons: BTreeSet::new() },
        },
        first_seen: NOON,
        last_seen: NOON,
        group: Default::default(),
        event_count: 1,
        evidence: Default::default(),
        bucket: None,
        order_ambiguous: false,
        completed_by: Default::default(),
    }
}

/// Open, with what is known of its account.
pub(super) fn assessed(finding: Finding) -> crate::assessment::Assessment {
    let (context, severity) = (context(), finding.subject.severity);
    let disposition = Disposition { severity, status: Status::Open, by: None, adjusted: Vec::new() };
    crate::assessment::Assessment { finding, context, disposition }
}

fn context() -> Context {
    let text = |text: &str| Some(text.to_owned());
    let account = Account {
        name: text("payments"),
        environment: text("production"),
        ou: text("/Workloads/Production"),
        ..Account::default()
    };
    let persons = ["arn:aws:iam::444455556666:user/alice".to_owned()].into();
    Context { account: Some(account), lineage: Lineage { credentials: BTreeSet::new(), persons }, ..Context::default() }
}

/// Whether a severity change with this condition applies.
fn fits(key: &str, word: &str) -> bool {
    let entry = serde_json::json!({ key: word, "set": "critical" });
    policy(serde_json::json!({ "severity": [entry] })).decide(&finding(), &context()).severity == Severity::Critical
}

#[test]
fn conditions_are_about_the_finding_and_its_context() {
    for (key, word, held) in [
        ("account", "111122223333", true),
        ("account", "1111*", true),
        ("account", "payments", true),
        ("account", "Pay*", true),
        ("account", "444455556666", false),
        ("region", "eu-west-1", true),
        ("region", "eu-*", true),
        ("region", "us-*", false),
        ("ou", "/Workloads", true),
        ("ou", "/Work", false),
        ("environment", "Production", true),
        ("environment", "test", false),
        ("actor", "role Deploy as *", true),
        ("actor", "arn:aws:sts::111122223333:assumed-role/Deploy/*", true),
        ("actor", "arn:aws:iam::111122223333:role/Deploy", true),
        ("actor", "arn:aws:iam::111122223333:role/path/Deploy", true),
        ("actor", "arn:aws:iam::*:user/alice", true),
        ("actor", "arn:aws:iam::*:user/bob", false),
        ("actor", "ASIAIOSFODNN7EXAMPLE", false),
        ("rule", "key_made", true),
        ("rule", "iam/*", true),
        ("rule", "s3/opened", false),
    ] {
        assert_eq!(fits(key, word), held, "{key} {word}");
    }
}

#[test]
fn all_conditions_hold_and_of_each_one_word() {
    let decide =
        |entry: serde_json::Value| policy(serde_json::json!({ "severity": [entry] })).decide(&finding(), &context());
    let both = serde_json::json!({ "region": ["us-*", "eu-*"], "environment": "production", "raise": 1 });
    assert_eq!(decide(both).severity, Severity::High);
    let one = serde_json::json!({ "region": ["us-*", "eu-*"], "environment": "test", "raise": 1 });
    assert_eq!(decide(one).severity, Severity::Medium);
}

#[test]
fn severities_change_in_the_order_of_the_file_within_the_five() {
    let severity =
        |entries: serde_json::Value| policy(serde_json::json!({ "severity": entries })).decide(&finding(), &context());
    let all = |change: &str, by: serde_json::Value| serde_json::json!({ "rule": "*", change: by });
    let [up, down] = [all("raise", 4.into()), all("lower", 4.into())];
    let set = all("set", "low".into());
    for (entries, expected) in [
        (vec![&up], Severity::Critical),
        (vec![&up, &up], Severity::Critical),
        (vec![&down], Severity::Informational),
        (vec![&up, &down], Severity::Informational),
        (vec![&down, &up], Severity::Critical),
        (vec![&up, &set], Severity::Low),
        (vec![&set, &up], Severity::Critical),
        (vec![], Severity::Medium),
    ] {
        let disposition = severity(serde_json::json!(entries));
        assert_eq!(disposition.severity, expected, "{entries:?}");
        assert_eq!(disposition.status, Status::Open);
    }
    let reasoned = serde_json::json!([{ "environment": "production", "raise": 1, "reason": "cards" }, { "account": "payments", "set": "high" }]);
    assert_eq!(severity(reasoned).adjusted, ["from medium to high: cards"], "what changes nothing is not told");
    let plain = serde_json::json!([{ "environment": "production", "region": "eu-*", "raise": 1 }]);
    assert_eq!(severity(plain).adjusted, ["from medium to high: region eu-*, environment production"]);
}

fn suppression(more: serde_json::Value) -> Policy {
    let mut entry =
        serde_json::json!({ "rule": "key_made", "owner": "ops", "reason": "migration", "expires": "2026-03-04" });
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    policy(serde_json::json!({ "suppress": [entry] }))
}

#[test]
fn a_suppression_hides_what_was_active_in_its_time() {
    const DAY: Millis = 86_400_000;
    let status = |policy: &Policy, first_seen: Millis, last_seen: Millis| {
        policy.decide(&Finding { first_seen, last_seen, ..finding() }, &context()).status
    };
    let until = suppression(serde_json::json!({}));
    assert_eq!(status(&until, NOON, NOON), Status::Suppressed);
    assert_eq!(status(&until, NOON, NOON + DAY - 1), Status::Suppressed);
    assert_eq!(status(&until, NOON, NOON + DAY), Status::Open, "growth after the expiry shows it again");
    let from = suppression(serde_json::json!({ "from": "2026-03-03" }));
    assert_eq!(status(&from, NOON, NOON), Status::Suppressed);
    assert_eq!(status(&from, NOON - 1, NOON), Status::Open, "what began before is not hidden");
    let by = until.decide(&finding(), &context()).by.unwrap();
    assert_eq!(by.words(), "migration (ops, until 2026-03-04)");
}

#[test]
fn addresses_are_looked_up_in_networks() {
    let status = |address: &str, source: Option<&str>| {
        let mut finding = finding();
        finding.subject.source_ip = source.map(str::to_owned);
        suppression(serde_json::json!({ "address": address })).decide(&finding, &context()).status == Status::Suppressed
    };
    assert!(status("198.51.100.0/24", Some("198.51.100.7")) && !status("198.51.101.0/24", Some("198.51.100.7")));
    assert!(status("cloudformation.amazonaws.com", Some("cloudformation.amazonaws.com")));
    assert!(!status("198.51.100.0/24", None) && !status("0.0.0.0/0", Some("cloudformation.amazonaws.com")));
    assert!(!status("*.amazonaws.com", Some("198.51.100.7")));
    // Fields are read as everywhere: with ports and proxies, and a service's name among addresses is nobody's.
    assert!(status("198.51.100.0/24", Some("198.51.100.7:443")) && status("198.51.100.7", Some("::ffff:198.51.100.7")));
    assert!(status("198.51.100.0/24", Some("203.0.113.9, 198.51.100.7, 10.0.0.1")));
    assert!(!status("203.0.113.9", Some("203.0.113.9, 198.51.100.7")));
    for source in ["203.0.113.9, s3.amazonaws.com", "ec2-203-0-113-9.compute-1.amazonaws.com", "x y.amazonaws.com"] {
        assert!(!status("*.amazonaws.com", Some(source)), "{source}");
    }
}

#[test]
fn principals_are_allowed_by_every_name_of_theirs() {
    for (principal, allowed) in [
        ("arn:aws:iam::111122223333:role/Deploy", true),
        ("arn:aws:sts::111122223333:assumed-role/Deploy/ci", true),
        ("arn:aws:iam::444455556666:user/alice", true),
        ("ASIAIOSFODNN7EXAMPLE", true),
        ("role Deploy as ci", true),
        ("arn:aws:iam::111122223333:role/Dep", false),
        ("ASIA", false),
    ] {
        let entry = serde_json::json!({ "principal": principal, "owner": "ops", "reason": "deploys" });
        let decided = policy(serde_json::json!({ "allow": [entry] })).decide(&finding(), &context());
        assert_eq!(decided.status == Status::Allowed, allowed, "{principal}");
    }
    let entry = serde_json::json!({ "principal": "*", "rule": "s3/opened", "owner": "o", "reason": "r" });
    assert_eq!(policy(serde_json::json!({ "allow": [entry] })).decide(&finding(), &context()).status, Status::Open);
}

#[test]
fn rules_are_muted_and_on_trial_until_they_are_promoted() {
    let muted = policy(serde_json::json!({ "muted": ["key_made"] }));
    assert_eq!(muted.decide(&finding(), &context()).status, Status::Muted);
    let staged = policy(serde_json::json!({ "staged": [{ "rule": "iam/*", "until": "2026-03-03T00:00:01Z" }] }));
    let status = |last_seen| staged.decide(&Finding { last_seen, ..finding() }, &context()).status;
    assert_eq!([status(NOON), status(NOON + 999), status(NOON + 1000)], [Status::Staged, Status::Staged, Status::Open]);
    let other = Finding { rule_id: OPENED.to_owned(), ..finding() };
    assert_eq!(staged.decide(&other, &context()).status, Status::Open);
}

#[test]
fn of_several_entries_the_one_that_tells_most_decides() {
    let who = serde_json::json!({ "rule": "*", "owner": "o", "reason": "r", "expires": "2030-01-01" });
    let allow = serde_json::json!({ "principal": "*", "owner": "o", "reason": "r" });
    let trial = serde_json::json!({ "rule": "*", "until": "2030-01-01" });
    let mut all = serde_json::json!({ "suppress": [who], "allow": [allow], "muted": "*", "staged": [trial] });
    for (key, status) in [
        ("suppress", Status::Suppressed),
        ("allow", Status::Allowed),
        ("muted", Status::Muted),
        ("staged", Status::Staged),
    ] {
        assert_eq!(policy(all.clone()).decide(&finding(), &context()).status, status);
        all.as_object_mut().unwrap().remove(key);
    }
    assert_eq!(policy(all).decide(&finding(), &context()).status, Status::Open);
}

#[test]
fn mistakes_are_told_with_their_keys() {
    let who = |entry: serde_json::Value| {
        let mut whole = serde_json::json!({ "owner": "o", "reason": "r", "expires": "2030-01-01" });
        whole.as_object_mut().unwrap().extend(entry.as_object().unwrap().clone());
        whole.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        serde_json::json!({ "suppress": [whole] })
    };
    for (value, path, words) in [
        (serde_json::json!({ "muted": ["key_maed"] }), "muted[0]", "did you mean \"key_made\"?"),
        (serde_json::json!({ "disabled": [""] }), "disabled[0]", "is empty"),
        (serde_json::json!({ "staged": [{ "until": "2030-01-01" }] }), "staged[0].rule", "is missing"),
        (serde_json::json!({ "staged": [{ "rule": "iam/*" }] }), "staged[0].until", "is missing"),
        (serde_json::json!({ "staged": [{ "rule": "iam/*", "until": "soon" }] }), "staged[0].until", "2030-12-31"),
        (serde_json::json!({ "severity": [{ "raise": 1 }] }), "severity[0]", "no condition"),
        (serde_json::json!({ "severity": [{ "rule": "*" }] }), "severity[0]", "says no severity"),
        (serde_json::json!({ "severity": [{ "rule": "*", "raise": 1, "lower": 1 }] }), "severity[0]", "more than one"),
        (serde_json::json!({ "severity": [{ "rule": "*", "raise": 5 }] }), "severity[0].raise", "1 to 4"),
        (serde_json::json!({ "severity": [{ "rule": "*", "lower": 0 }] }), "severity[0].lower", "1 to 4"),
        (
            serde_json::json!({ "severity": [{ "rule": ["*", "ec3/*"], "raise": 1 }] }),
            "severity[0].rule[1]",
            "is no rule",
        ),
        (
            serde_json::json!({ "severity": [{ "rule": "*", "raise": 1, "reason": "" }] }),
            "severity[0].reason",
            "is empty",
        ),
        (who(serde_json::json!({ "rule": "*", "owner": null })), "suppress[0].owner", "is missing"),
        (who(serde_json::json!({ "rule": "*", "reason": " " })), "suppress[0].reason", "is missing"),
        (who(serde_json::json!({ "rule": "*", "expires": null })), "suppress[0].expires", "is missing"),
        (who(serde_json::json!({ "rule": "*", "expires": "2030-02-30" })), "suppress[0].expires", "2030-02-30"),
        (who(serde_json::json!({ "rule": "*", "from": "2030-01-01" })), "suppress[0].from", "is not before"),
        (who(serde_json::json!({})), "suppress[0]", "no condition"),
        (who(serde_json::json!({ "account": "1234567" })), "suppress[0].account[0]", "12 digits"),
        (who(serde_json::json!({ "region": ["eu-west-1", "us-esat-1"] })), "suppress[0].region[1]", "us-east-1"),
        (who(serde_json::json!({ "ou": "Workloads" })), "suppress[0].ou[0]", "\"/Workloads\""),
        (who(serde_json::json!({ "actor": "aws:iam::111122223333:user/bob" })), "suppress[0].actor[0]", "arn:aws:"),
        (
            who(serde_json::json!({ "actor": "arn:aws:iam::1111:user/bob" })),
            "suppress[0].actor[0]",
            "\"1111\" is no account",
        ),
        (who(serde_json::json!({ "actor": "" })), "suppress[0].actor[0]", "is empty"),
        (who(serde_json::json!({ "address": "198.51.100.0/33" })), "suppress[0].address[0]", "is no address"),
        (who(serde_json::json!({ "address": "198.51.100.7/24" })), "suppress[0].address[0]", "write 198.51.100.0/24"),
        (serde_json::json!({ "allow": [{ "owner": "o", "reason": "r" }] }), "allow[0]", "allows nobody"),
        (serde_json::json!({ "allow": [{ "principal": "x", "reason": "r" }] }), "allow[0].owner", "is missing"),
        (
            serde_json::json!({ "allow": [{ "principal": "user/bob", "owner": "o", "reason": "r" }] }),
            "allow[0].principal[0]",
            "arn:aws:",
        ),
    ] {
        let faults = Policy::new(&written(value.clone()), &rule_names::tests::names()).unwrap_err();
        let [fault] = faults.as_slice() else { panic!("{value}: {faults:?}") };
        assert!(fault.path == path && fault.message.contains(words), "{value}: {fault:?}");
    }
}

#[test]
fn what_has_expired_and_whom_nobody_knows_is_remarked() {
    let entry = |account: &str, ou: &str, expires: &str| serde_json::json!({ "account": account, "ou": ou, "owner": "o", "reason": "r", "expires": expires });
    let written = written(serde_json::json!({
        "suppress": [
            entry("payments", "/Workloads", "2026-03-03"),
            entry("paymnets", "/Workload", "2026-03-04"),
            entry("999999999999", "/*", "2026-03-04"),
        ],
        "staged": [{ "rule": "iam/*", "until": "2026-03-02" }],
    }));
    let account = context().account.unwrap();
    let accounts = Accounts::from([("111122223333".to_owned(), account)]);
    let told: Vec<String> = written
        .remarks(&accounts, NOON)
        .into_iter()
        .map(|remark| format!("{} {}", remark.path, remark.message))
        .collect();
    assert_eq!(told.len(), 5, "{told:#?}");
    for (told, words) in told.iter().zip([
        "staged[0].until has passed",
        "suppress[0].expires was 2026-03-03",
        "did you mean \"payments\"?",
        "did you mean \"/Workloads\"?",
        "suppress[2].account[0] has \"999999999999\"",
    ]) {
        assert!(told.contains(words), "{told}");
    }
    assert_eq!(written.remarks(&Accounts::new(), NOON).len(), 2, "without accounts nothing is known of them");
}

/// One change of severity, by what it asks.
fn change() -> impl Strategy<Value = serde_json::Value> {
    let condition = select(vec![
        ("account", "payments"),
        ("account", "444455556666"),
        ("region", "eu-*"),
        ("region", "us-*"),
        ("environment", "production"),
        ("rule", "iam/*"),
        ("rule", "s3/opened"),
        ("ou", "/Other"),
    ]);
    let levels = ["informational", "low", "medium", "high", "critical"];
    let effect = prop_oneof![
        select(levels.to_vec()).prop_map(|level| ("set", serde_json::json!(level))),
        (1..=4u8).prop_map(|by| ("raise", by.into())),
        (1..=4u8).prop_map(|by| ("lower", by.into())),
    ];
    (condition, effect).prop_map(|((key, word), (change, by))| serde_json::json!({ key: word, change: by }))
}

/// Whether an entry of [`change`] is about [`finding`].
fn is_about(entry: &serde_json::Value) -> bool {
    [("account", "payments"), ("region", "eu-*"), ("environment", "production"), ("rule", "iam/*")]
        .iter()
        .any(|(key, word)| entry[key] == *word)
}

/// The definition itself.
fn naive(entries: &[serde_json::Value]) -> Severity {
    let mut at = 2i64;
    for entry in entries.iter().filter(|entry| is_about(entry)) {
        if let Some(set) = entry["set"].as_str() {
            at = ["informational", "low", "medium", "high", "critical"].iter().position(|level| *level == set).unwrap()
                as i64;
        }
        at += entry["raise"].as_i64().unwrap_or(0) - entry["lower"].as_i64().unwrap_or(0);
        at = at.clamp(0, 4);
    }
    Severity::WORST_FIRST[4 - usize::try_from(at).unwrap()]
}

proptest! {
    #[test]
    fn severities_are_what_the_definition_says(entries in proptest::collection::vec(change(), 0..8)) {
        let decided = policy(serde_json::json!({ "severity": entries })).decide(&finding(), &context());
        prop_assert_eq!(decided.severity, naive(&entries));
        prop_assert!(decided.severity == Severity::Medium || !decided.adjusted.is_empty());
    }

    #[test]
    fn entries_about_others_change_nothing_wherever_they_stand(
        entries in proptest::collection::vec(change(), 0..8),
        others in proptest::collection::vec((change(), 0usize..8), 0..8),
    ) {
        let before = policy(serde_json::json!({ "severity": &entries })).decide(&finding(), &context());
        let mut mixed = entries;
        for (other, at) in others.into_iter().filter(|(other, _)| !is_about(other)) {
            mixed.insert(at.min(mixed.len()), other);
        }
        let policy = policy(serde_json::json!({ "severity": mixed }));
        let decided = policy.decide(&finding(), &context());
        prop_assert_eq!(&decided, &before);
        prop_assert_eq!(policy.decide(&finding(), &context()), decided);
    }
}
