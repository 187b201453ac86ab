//! [`Interest`]: which alerts of a topic a subscriber wants, as a filter policy of Amazon SNS over the attributes that
//! [`SnsSink`](super::sns::SnsSink) sets. Pure.

use dial_rules::finding::FindingKind;
use dial_rules::severity::Severity;
use serde_json::{Map, Value, json};

use crate::row::{kind_text, severity_rank};

/// Most values, multiplied over the names, that SNS takes in one filter policy.
const MOST_COMBINATIONS: usize = 150;

/// Which alerts somebody wants: all of these hold. An empty list asks for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interest {
    /// Of this severity and above.
    pub min_severity: Severity,
    /// Of one of these kinds.
    pub kinds: Vec<FindingKind>,
    /// With a finding of one of these rules, by their ids.
    pub rules: Vec<String>,
    /// With a finding in one of these accounts.
    pub accounts: Vec<String>,
    /// With a finding of one of these ATT&CK techniques, or of a sub-technique of them.
    pub techniques: Vec<String>,
}

impl Interest {
    /// The filter policy, for the scope `MessageAttributes`; empty where everything is wanted.
    ///
    /// # Errors
    /// What is no account or technique, and what is more than SNS takes.
    pub fn policy(&self) -> Result<Value, String> {
        let mut policy = Map::new();
        let mut ask = |name: &str, values: Vec<Value>| {
            if !values.is_empty() {
                policy.insert(name.to_owned(), Value::Array(values));
            }
        };
        let rank = severity_rank(self.min_severity);
        ask("severity_rank", if rank > 1 { vec![json!({ "numeric": [">=", rank] })] } else { Vec::new() });
        ask("kind", distinct(self.kinds.iter().map(|kind| kind_text(*kind).to_owned())));
        ask("rule_id", distinct(self.rules.iter().cloned()));
        ask("account", distinct(self.accounts.iter().map(account).collect::<Result<Vec<_>, _>>()?.into_iter()));
        let techniques = self.techniques.iter().map(technique).collect::<Result<Vec<_>, _>>()?;
        let techniques = distinct(techniques.into_iter());
        // Technique ids have four digits, so nothing begins with one but itself and its sub-techniques.
        let prefix =
            |id: Value| if id.as_str().is_some_and(|id| id.contains('.')) { id } else { json!({ "prefix": id }) };
        ask("technique", techniques.into_iter().map(prefix).collect());
        let combinations: usize = policy.values().filter_map(Value::as_array).map(Vec::len).product();
        if combinations > MOST_COMBINATIONS {
            return Err(format!(
                "the filter has {combinations} combinations of values, and SNS takes {MOST_COMBINATIONS}: name fewer rules, \
                 accounts or techniques, or subscribe several queues"
            ));
        }
        Ok(Value::Object(policy))
    }
}

fn distinct(values: impl Iterator<Item = String>) -> Vec<Value> {
    let values: std::collections::BTreeSet<String> = values.collect();
    values.into_iter().map(Value::from).collect()
}

fn account(text: &String) -> Result<String, String> {
    let is_account = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_account.then(|| text.clone()).ok_or_else(|| format!("{text:?} is no account: write its twelve digits"))
}

fn technique(text: &String) -> Result<String, String> {
    let id = text.to_ascii_uppercase();
    let is_number = |text: &str, digits: usize| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_technique = match id.strip_prefix('T').map(|number| number.split_once('.').unwrap_or((number, "000"))) {
        Some((technique, sub)) => is_number(technique, 4) && is_number(sub, 3),
        None => false,
    };
    is_technique.then_some(id).ok_or_else(|| format!("{text:?} is no technique: write T1098 or T1098.001"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everything() -> Interest {
        Interest {
            min_severity: Severity::Informational,
            kinds: Vec::new(),
            rules: Vec::new(),
            accounts: Vec::new(),
            techniques: Vec::new(),
        }
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn what_is_wanted_is_a_policy() {
        assert_eq!(everything().policy(), Ok(json!({})));
        let interest = Interest {
            min_severity: Severity::High,
            kinds: vec![FindingKind::Correlated],
            rules: texts(&["b", "a", "b"]),
            accounts: texts(&["111122223333"]),
            techniques: texts(&["t1098", "T1078.004"]),
        };
        let policy = json!({
            "severity_rank": [{ "numeric": [">=", 4] }],
            "kind": ["correlated"],
            "rule_id": ["a", "b"],
            "account": ["111122223333"],
            "technique": ["T1078.004", { "prefix": "T1098" }],
        });
        assert_eq!(interest.policy(), Ok(policy));
    }

    #[test]
    fn what_sns_would_not_take_is_refused() {
        for account in ["1111", "11112222333a", ""] {
            let wrong = Interest { accounts: texts(&[account]), ..everything() }.policy().unwrap_err();
            assert!(wrong.contains("twelve digits"), "{wrong}");
        }
        for technique in ["T109", "1098", "T1098.1", "TA0003", "", "T1098.", "T10985"] {
            let wrong = Interest { techniques: texts(&[technique]), ..everything() }.policy().unwrap_err();
            assert!(wrong.contains("T1098.001"), "{wrong}");
        }
        let many = |count: usize| (0..count).map(|n| format!("{n:012}")).collect::<Vec<_>>();
        assert!(Interest { accounts: many(150), ..everything() }.policy().is_ok());
        assert!(Interest { accounts: many(151), ..everything() }.policy().unwrap_err().contains("151 combinations"));
        let product = Interest { accounts: many(51), rules: texts(&["a", "b", "c"]), ..everything() };
        assert!(product.policy().unwrap_err().contains("153 combinations"));
    }
}
