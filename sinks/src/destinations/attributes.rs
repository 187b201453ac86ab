//! What subscribers filter by: the attributes of a message on SNS and SQS. Pure.

use std::collections::BTreeSet;

use dial_rules::assessment::Assessment;
use dial_rules::finding::FindingKind;
use serde_json::Value;

use super::body::is_odd;
use crate::message::Message;
use crate::row::{kind_text, severity_rank};

/// Most bytes of an attribute that is a list, some 800 accounts or 300 rules; and most characters of one value.
pub(super) const MOST_OF_A_LIST: usize = 12 * 1024;
const LONGEST: usize = 128;

/// One attribute. SQS takes ten of a message, and so does SNS where it hands them on to a queue; there are seven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) name: &'static str,
    /// `String`, `Number` or `String.Array`, as SNS's filter policies know them.
    pub(crate) data_type: &'static str,
    pub(crate) value: String,
}

/// The attributes of a message: `severity`, `severity_rank` (1, informational, to 5, critical), `kind`, `sample`, and the lists
/// `rule_id`, `account` and `technique` of all findings that it names, so that whoever filters by one gets every message that
/// touches it. A list that is empty is absent, because attributes cannot be empty.
pub(crate) fn attributes(message: &Message) -> Vec<Attribute> {
    let told = || std::iter::once(&message.lead).chain(&message.others);
    let of = &message.of;
    let kind = if of.is_correlated { FindingKind::Correlated } else { FindingKind::Single };
    let text = |name, value: &str| Some(Attribute { name, data_type: "String", value: value.to_owned() });
    [
        text("severity", message.severity.as_str()),
        Some(Attribute {
            name: "severity_rank",
            data_type: "Number",
            value: severity_rank(message.severity).to_string(),
        }),
        text("kind", kind_text(kind)),
        text("sample", if message.is_sample { "true" } else { "false" }),
        list("rule_id", told().map(|one| &one.finding.rule_id).chain(&of.rules)),
        list("account", told().flat_map(accounts).chain(&of.accounts)),
        list("technique", told().flat_map(|one| &one.finding.subject.techniques).chain(&of.techniques)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn accounts(one: &Assessment) -> impl Iterator<Item = &String> {
    let finding = &one.finding;
    let of_evidence = finding.evidence.iter().filter_map(|evidence| evidence.account_id.as_ref());
    finding.subject.account_id.iter().chain(of_evidence)
}

/// The different values, in the order in which they come: the lead's first.
fn list<'a>(name: &'static str, values: impl Iterator<Item = &'a String>) -> Option<Attribute> {
    let mut seen = BTreeSet::new();
    let clean = |text: &String| text.chars().filter(|c| !is_odd(*c)).take(LONGEST).collect::<String>();
    let values = values.map(clean).filter(|text| !text.is_empty() && seen.insert(text.clone())).map(Value::from);
    let mut room = MOST_OF_A_LIST - "[]".len();
    let fits = |value: &Value| {
        let left = room.checked_sub(value.to_string().len() + ",".len());
        room = left.unwrap_or(room);
        left.is_some()
    };
    let values: Vec<Value> = values.take_while(fits).collect();
    (!values.is_empty()).then(|| Attribute { name, data_type: "String.Array", value: Value::Array(values).to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{SampleKind, sample};

    fn value(attributes: &[Attribute], name: &str) -> Option<String> {
        attributes.iter().find(|one| one.name == name).map(|one| one.value.clone())
    }

    #[test]
    fn all_findings_that_are_told_count() {
        let mut message = sample(SampleKind::Incident);
        message.others[1].finding.subject.account_id = Some("444455556666".to_owned());
        message.others[1].finding.subject.techniques = vec!["T1078".to_owned()];
        // One of those that are only named.
        message.of.accounts.insert("999900009999".to_owned());
        let attributes = attributes(&message);
        assert_eq!(value(&attributes, "account").unwrap(), r#"["111122223333","444455556666","999900009999"]"#);
        assert_eq!(value(&attributes, "technique").unwrap(), r#"["T1098","T1556.006","T1078"]"#);
        assert_eq!(value(&attributes, "kind").unwrap(), "correlated");
        let rules: Vec<String> = serde_json::from_str(&value(&attributes, "rule_id").unwrap()).unwrap();
        assert_eq!(rules.len(), 3);
        assert_eq!(rules[0], message.lead.finding.rule_id);
    }

    #[test]
    fn there_are_few_and_none_is_empty() {
        let mut message = sample(SampleKind::Single);
        message.lead.finding.subject.account_id = None;
        message.lead.finding.subject.techniques.clear();
        message.of = [&message.lead.finding].into_iter().collect();
        let attributes = attributes(&message);
        let names: Vec<&str> = attributes.iter().map(|one| one.name).collect();
        assert_eq!(names, ["severity", "severity_rank", "kind", "sample", "rule_id"]);
        assert!(attributes.iter().all(|one| !one.value.is_empty()));
        assert_eq!(value(&attributes, "severity_rank").unwrap(), "4");
    }

    #[test]
    fn hostile_values_are_bounded_and_stay_one_value() {
        let mut message = sample(SampleKind::Single);
        let hostile = format!("\"],\"x\":[\"\u{202e}\x1b[31m\u{ffff}{}", "a".repeat(10_000));
        message.of = Default::default();
        message.lead.finding.subject.account_id = Some(hostile);
        message.lead.finding.subject.techniques = (0..9_000).map(|n| format!("T{n:04}")).collect();
        let attributes = attributes(&message);
        let accounts: Vec<String> = serde_json::from_str(&value(&attributes, "account").unwrap()).unwrap();
        assert_eq!(accounts.len(), 1);
        assert!(accounts[0].starts_with("\"],\"x\":[\"[31maaa") && accounts[0].len() == LONGEST, "{accounts:?}");
        let techniques: Vec<String> = serde_json::from_str(&value(&attributes, "technique").unwrap()).unwrap();
        assert!((1_000..2_000).contains(&techniques.len()), "{}", techniques.len());
        assert!(value(&attributes, "technique").unwrap().len() <= MOST_OF_A_LIST);
    }
}
