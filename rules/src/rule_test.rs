//! Tests of rules: files `NAME.test.yml` beside the rules, with events and the findings expected of them.

mod replay;
mod story;
mod timeline;

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use crate::accounts::Accounts;
use crate::addresses::{Addresses, Entry};
use crate::decode::{Decoded, Decoder};
use crate::event::{Millis, rfc3339};
use crate::patterns::{Forwarding, Patterns, envelope};
use crate::ruleset::{RuleFile, RuleSet};
use crate::tables::Tables;

pub use self::story::{Expected, Story};

/// When the events of a case begin: with the year 2026.
const START: Millis = 1_767_225_600_000;

/// A file of tests.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleTest {
    /// The id of the rule that is tested.
    pub rule: String,
    /// What facts know in all cases; the default tables unless told otherwise.
    #[serde(default, deserialize_with = "written_out")]
    pub tables: Tables,
    /// Its cases.
    pub cases: Vec<Case>,
}

/// One case: events, and the ones among them that the rule must find.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// CloudTrail records, complete or partial, or EventBridge envelopes of them or of GuardDuty and Security Hub
    /// findings. What every record has is filled in where it is missing.
    pub events: Vec<Map<String, Value>>,
    /// What facts know in this case, instead of the file's tables.
    #[serde(default, deserialize_with = "perhaps_written_out")]
    pub tables: Option<Tables>,
    /// Of a rule: numbers, from 1, of the events that it must match; it must match no other. Of a correlation: its findings.
    pub expect: Vec<Expected>,
}

impl Case {
    /// Whether this event, a number from 1, is one that a finding must have.
    pub(crate) fn expects(&self, event: usize) -> bool {
        self.expect.iter().any(|expected| match expected {
            Expected::Event(number) => *number == event,
            Expected::Story(story) => story.events.contains(&event),
        })
    }

    /// The numbers of events that a rule must match.
    fn numbers(&self) -> Result<Vec<usize>, String> {
        let number = |expected: &Expected| match expected {
            Expected::Event(number) => Ok(*number),
            Expected::Story(_) => Err("of a rule, `expect` lists numbers of events: this is no correlation".to_owned()),
        };
        self.expect.iter().map(number).collect()
    }
}

/// [`Tables`] as tests write them: what `[facts]` has, `accounts` and `addresses`, all in one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenOut {
    own_accounts: BTreeSet<String>,
    known_accounts: BTreeSet<String>,
    critical_names: Vec<String>,
    admin_groups: Vec<String>,
    unusual_instance_types: Vec<String>,
    allowed_instance_types: Vec<String>,
    critical_accounts: Vec<String>,
    known_countries: BTreeSet<String>,
    known_networks: BTreeSet<u32>,
    known_lists: BTreeSet<String>,
    used_regions: BTreeSet<String>,
    accounts: Accounts,
    addresses: Option<Vec<Entry>>,
}

impl Default for WrittenOut {
    fn default() -> WrittenOut {
        let of = Tables::default();
        WrittenOut {
            own_accounts: of.own_accounts,
            known_accounts: of.known_accounts,
            critical_names: of.critical_names,
            admin_groups: of.admin_groups,
            unusual_instance_types: of.unusual_instance_types,
            allowed_instance_types: of.allowed_instance_types,
            critical_accounts: of.critical_accounts,
            known_countries: of.known_countries,
            known_networks: of.known_networks,
            known_lists: of.known_lists,
            used_regions: of.used_regions,
            accounts: of.accounts,
            addresses: None,
        }
    }
}

/// Reads [`Tables`] with their accounts and addresses, which the settings keep elsewhere: `accounts: {ID: {name: …}}`,
/// `addresses: [{network: …, country: …}]`.
///
/// # Errors
/// Those of the deserializer, and entries of addresses that cannot be meant.
pub fn written_out<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tables, D::Error> {
    let of = WrittenOut::deserialize(deserializer)?;
    let addresses = match of.addresses {
        None => Addresses::default(),
        Some(entries) => Addresses::literal(entries)
            .map_err(|fault| serde::de::Error::custom(format!("under `addresses`: {fault}")))?,
    };
    Ok(Tables {
        own_accounts: of.own_accounts,
        known_accounts: of.known_accounts,
        critical_names: of.critical_names,
        admin_groups: of.admin_groups,
        unusual_instance_types: of.unusual_instance_types,
        allowed_instance_types: of.allowed_instance_types,
        critical_accounts: of.critical_accounts,
        known_countries: of.known_countries,
        known_networks: of.known_networks,
        known_lists: of.known_lists,
        used_regions: of.used_regions,
        accounts: of.accounts,
        addresses,
    })
}

fn perhaps_written_out<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Tables>, D::Error> {
    written_out(deserializer).map(Some)
}

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The file of tests.
    pub file: String,
    /// The rule's id.
    pub rule: String,
    /// The case's name.
    pub case: String,
    /// What is wrong; `None` when it passed.
    pub failure: Option<String>,
}

impl RuleTest {
    /// Reads a file of tests.
    ///
    /// # Errors
    /// Says what is wrong with it, with line and column where YAML knows them.
    pub fn parse(text: &str) -> Result<RuleTest, String> {
        let test: RuleTest = yaml_serde::from_str(text).map_err(|error| error.to_string())?;
        let cases = test.cases.iter().filter_map(|case| case.tables.as_ref());
        if let Some(fault) = cases.chain([&test.tables]).flat_map(Tables::faults).next() {
            return Err(format!("under `tables`: `{}` {}", fault.path, fault.message));
        }
        let cases = test.cases.iter().filter_map(|case| case.tables.as_ref());
        if let Some((table, fault)) = cases.chain([&test.tables]).flat_map(Tables::unanswerable).next() {
            return Err(format!("under `tables`: `{table}`: {fault}"));
        }
        if test.cases.is_empty() {
            return Err("it has no cases: a test without cases tests nothing".to_owned());
        }
        Ok(test)
    }
}

/// Runs the cases of one file.
pub fn run(rules: &RuleSet, file: &RuleFile) -> Vec<Outcome> {
    let outcome = |rule: &str, case: &str, failure| Outcome {
        file: file.name.clone(),
        rule: rule.to_owned(),
        case: case.to_owned(),
        failure,
    };
    let test = match RuleTest::parse(&file.text) {
        Ok(test) => test,
        Err(error) => return vec![outcome("", "the file itself", Some(error))],
    };
    if let Some(tested) = rules.correlations().get(&test.rule) {
        let failure =
            |case: &Case| replay::run_case(rules, case.tables.as_ref().unwrap_or(&test.tables), tested, case).err();
        return test.cases.iter().map(|case| outcome(&test.rule, &case.name, failure(case))).collect();
    }
    let Some(tested) = rules.rule(&test.rule) else {
        let failure = format!("no loaded rule has the id {}", test.rule);
        return vec![outcome(&test.rule, "the file itself", Some(failure))];
    };
    let forwarding = Patterns::of([tested.as_ref()]).forwarding();
    let failure = |case: &Case| {
        let tables = case.tables.as_ref().unwrap_or(&test.tables);
        run_case(rules, tables, &test.rule, &forwarding, case).err()
    };
    test.cases.iter().map(|case| outcome(&test.rule, &case.name, failure(case))).collect()
}

fn run_case(rules: &RuleSet, tables: &Tables, rule: &str, forwarding: &Forwarding, case: &Case) -> Result<(), String> {
    let expected_numbers = case.numbers()?;
    let mut found = Vec::new();
    let mut unforwarded = Vec::new();
    for (at, event) in case.events.iter().enumerate() {
        let number = at + 1;
        let time = START + number as i64 * 1000;
        let sent = complete(event.clone(), &format!("00000000-0000-4000-8000-{number:012}"), time);
        let bytes = serde_json::to_vec(&sent).map_err(|error| error.to_string())?;
        for decoded in Decoder::record(&bytes) {
            match decoded {
                Decoded::DeadLetter(letter) => {
                    return Err(format!("event {number} cannot be decoded: {}", letter.reason));
                }
                Decoded::Event(event)
                    if rules.evaluate_with(&event, tables).iter().any(|found| found.rule.id == rule) =>
                {
                    found.push(number);
                    if !forwarding.forwards(&envelope(&sent)) {
                        unforwarded.push(number);
                    }
                }
                Decoded::Event(_) => {}
            }
        }
    }
    if let Some(number) = expected_numbers.iter().find(|&&number| number == 0 || number > case.events.len()) {
        return Err(format!("it expects event {number}, but has {}", case.events.len()));
    }
    let mut expected = expected_numbers;
    expected.sort_unstable();
    expected.dedup();
    if expected != found {
        return Err(format!("expected a finding of events {expected:?}, found {found:?}"));
    }
    all_forwarded(&unforwarded)
}

/// # Errors
/// Names the events that match and that EventBridge would not forward.
fn all_forwarded(unforwarded: &[usize]) -> Result<(), String> {
    if unforwarded.is_empty() {
        return Ok(());
    }
    Err(format!(
        "EventBridge would not forward the events {unforwarded:?}, which match: write names in the rule as CloudTrail does \
         (`dial rules patterns` shows what is asked for)"
    ))
}

/// Fills in what every CloudTrail record has, in an envelope's `detail` too; findings of other services, which differ
/// more, get their ids and times only.
fn complete(mut event: Map<String, Value>, id: &str, time: Millis) -> Value {
    let time = rfc3339(time);
    // The access key is none that lineage takes for one, so that a story of alice's is not a second one of her key's.
    let record = json!({
        "eventVersion": "1.11", "eventID": id, "eventTime": time, "eventType": "AwsApiCall", "awsRegion": "us-east-1",
        "eventCategory": "Management", "managementEvent": true, "readOnly": false, "sourceIPAddress": "198.51.100.10",
        "userAgent": "aws-cli/2.15.0", "recipientAccountId": "111122223333", "requestParameters": null,
        "responseElements": null,
        "userIdentity": {"type": "IAMUser", "userName": "alice", "accountId": "111122223333",
            "arn": "arn:aws:iam::111122223333:user/alice", "principalId": "AIDAEXAMPLE", "accessKeyId": "AKIA-EXAMPLE"},
    });
    let guardduty = json!({
        "schemaVersion": "2.0", "accountId": "111122223333", "region": "us-east-1", "id": id, "updatedAt": time,
        "createdAt": time, "severity": 5, "type": "", "service": {}, "resource": {},
    });
    let securityhub = json!({"Id": id, "UpdatedAt": time, "ProductArn": "", "Types": []});
    let missing = |members: &mut Map<String, Value>, defaults: &Value| {
        for (key, value) in defaults.as_object().into_iter().flatten() {
            members.entry(key.clone()).or_insert_with(|| value.clone());
        }
    };
    if !event.contains_key("detail") {
        missing(&mut event, &record);
        return Value::Object(event);
    }
    let source = event.get("source").and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some(Value::Object(detail)) = event.get_mut("detail") {
        match source.as_str() {
            "aws.guardduty" => missing(detail, &guardduty),
            "aws.securityhub" => detail
                .get_mut("findings")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
                .filter_map(Value::as_object_mut)
                .for_each(|finding| missing(finding, &securityhub)),
            _ => missing(detail, &record),
        }
    }
    let envelope = json!({"version": "0", "id": id, "account": "111122223333", "region": "us-east-1", "time": time});
    missing(&mut event, &envelope);
    Value::Object(event)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ruleset::tests::rules;

    const RULE: &str =
        "title: t\nid: r\nlogsource: {product: aws}\ndetection: {s: {eventName: CreateUser}, condition: s}";

    fn failures(cases: &str) -> Vec<Option<String>> {
        let file = RuleFile { name: "t.test.yml".into(), text: format!("rule: r\ncases:\n{cases}") };
        run(&rules(RULE), &file).into_iter().map(|outcome| outcome.failure).collect()
    }

    #[test]
    fn a_case_passes_only_with_exactly_the_expected_findings() {
        let events = "[{eventSource: i, eventName: CreateUser}, {eventSource: i, eventName: X}]";
        assert_eq!(failures(&format!(" - {{name: n, events: {events}, expect: [1]}}")), [None]);
        for wrong in ["[]", "[2]", "[1, 2]", "[3]", "[0]"] {
            let failed = failures(&format!(" - {{name: n, events: {events}, expect: {wrong}}}"));
            assert!(failed[0].is_some(), "{wrong}");
        }
    }

    #[test]
    fn a_rule_whose_events_are_not_forwarded_fails() {
        // A wildcard that has capitals is compared as it is written.
        let text = "rule: r\ncases:\n - {name: n, events: [{eventSource: i, eventName: CALL}], expect: [1]}";
        let outcome = |name: &str, text: &str| {
            let rules = rules(&RULE.replace("eventName: CreateUser", &format!("eventName|contains: {name}")));
            run(&rules, &RuleFile { name: "t.test.yml".into(), text: text.into() }).remove(0).failure
        };
        assert!(outcome("AcCess", &text.replace("CALL", "CreateAccessKey")).unwrap().contains("EventBridge"));
        assert_eq!(outcome("Access", &text.replace("CALL", "CreateAccessKey")), None);
        assert_eq!(outcome("access", &text.replace("CALL", "CreateAccessKey")), None);
        let finding = "{schemaVersion: '2.0', type: x, service: {}, region: r, accountId: a, id: i, updatedAt: '2026-01-01T00:00:00Z'}";
        let text = format!(
            "rule: r\ncases:\n - {{name: n, events: [{{source: aws.guardduty, detail-type: GuardDuty Finding, detail: {finding}}}], expect: [1]}}"
        );
        let rules = rules(
            "title: t\nid: r\nlogsource: {product: aws, service: guardduty}\ndetection: {s: {type: x}, condition: s}",
        );
        assert_eq!(run(&rules, &RuleFile { name: "t".into(), text }).remove(0).failure, None);
    }

    #[test]
    fn tables_are_given_by_file_or_by_case() {
        let text =
            "title: t\nid: r\nlogsource: {product: aws}\ndetection: {s: {dial.target.critical: true}, condition: s}";
        let case = |tables: &str, expect: &str| {
            format!(
                " - {{name: n, {tables} events: [{{eventSource: i, eventName: x, requestParameters: {{name: prod}}}}], expect: {expect}}}\n"
            )
        };
        let cases = case("", "[1]") + &case("tables: {critical_names: [test]},", "[]");
        let file = RuleFile {
            name: "t".into(),
            text: format!("rule: r\ntables: {{critical_names: ['p*']}}\ncases:\n{cases}"),
        };
        assert!(run(&rules(text), &file).iter().all(|outcome| outcome.failure.is_none()));
        assert!(failures(&case("tables: {own_accounts: ['1']},", "[]"))[0].as_ref().unwrap().contains("own_accounts"));
    }

    #[test]
    fn accounts_and_addresses_are_written_out() {
        let text = "title: t\nid: r\nlogsource: {product: aws}\ndetection: {s: {dial.account.environment: production, \
                    dial.ip.country: DE}, condition: s}";
        let file = |tables: &str| RuleFile {
            name: "t".into(),
            text: format!(
                "rule: r\ntables: {tables}\ncases:\n - {{name: n, events: [{{eventSource: i, eventName: x}}], expect: [1]}}"
            ),
        };
        let accounts = "accounts: {'111122223333': {environment: production}}";
        let failure = |tables: &str| run(&rules(text), &file(tables)).remove(0).failure;
        assert_eq!(failure(&format!("{{{accounts}, addresses: [{{network: 198.51.100.0/24, country: DE}}]}}")), None);
        for (tables, said) in [
            (format!("{{{accounts}}}"), "found []"),
            ("{accounts: {'1': {}}}".to_owned(), "`accounts`"),
            ("{accounts: {'111122223333': {enviroment: x}}}".to_owned(), "enviroment"),
            ("{addresses: [{network: 198.51.100.1/24}]}".to_owned(), "198.51.100.0/24"),
            ("{addresses: [{network: 198.51.100.0/24, contry: DE}]}".to_owned(), "contry"),
            ("{addresses: [{network: 198.51.100.0/24, country: Germany}]}".to_owned(), "Germany"),
            ("{known_lists: [offices]}".to_owned(), "\"offices\""),
            ("{own_acounts: []}".to_owned(), "own_acounts"),
        ] {
            let failure = failure(&tables).unwrap();
            assert!(failure.contains(said), "{tables}: {failure}");
        }
    }

    #[test]
    fn unusable_files_fail() {
        assert!(failures(" []")[0].as_ref().unwrap().contains("no cases"));
        assert!(failures(" - {name: n, events: [], expcet: []}")[0].as_ref().unwrap().contains("expcet"));
        let broken = failures(" - {name: n, events: [{eventSource: i}], expect: []}");
        assert!(broken[0].as_ref().unwrap().contains("eventName"), "{broken:?}");
        let file =
            RuleFile { name: "t".into(), text: "rule: other\ncases: [{name: n, events: [], expect: []}]".into() };
        assert!(run(&rules(RULE), &file)[0].failure.as_ref().unwrap().contains("other"));
    }
}
