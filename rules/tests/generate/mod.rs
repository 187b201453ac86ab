//! CloudTrail records that satisfy a rule's own conditions, in varied spellings and shapes.

use std::collections::HashMap;

use rsigma_parser::value::{SpecialChar, StringPart};
use rsigma_parser::{
    ConditionExpr, Detection, DetectionItem, Modifier, Quantifier, SigmaRule, SigmaString, SigmaValue,
};
use serde_json::{Value, json};

/// A source of chance, the same in every run (SplitMix64).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    pub(crate) fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn word(&mut self) -> String {
        (0..self.below(6)).map(|_| char::from(b"aZ9-./ \xe9"[self.below(8)])).collect()
    }
}

/// A record that meets one way of satisfying the rule, as far as that is understood; whether it does is for the rule to
/// say.
pub(crate) fn record(rule: &SigmaRule, number: usize, chance: &mut Chance) -> Value {
    let mut record = ordinary(number, chance);
    let conditions = &rule.detection.conditions;
    let condition = &conditions[chance.below(conditions.len())];
    Satisfier { named: &rule.detection.named, record: &mut record, chance }.condition(condition);
    record
}

fn ordinary(number: usize, chance: &mut Chance) -> Value {
    let names =
        ["GetObject", "CreateUser", "DescribeInstances", "AssumeRole", "GetSessionToken", "ListBuckets", "PutX"];
    let sources = ["s3", "iam", "ec2", "sts", "kms"].map(|service| format!("{service}.amazonaws.com"));
    let kinds = ["AwsApiCall", "AwsConsoleSignIn", "AwsServiceEvent"];
    let kind = ["AssumedRole", "IAMUser"][chance.below(2)];
    let identity = json!({"type": kind, "arn": "arn:aws:sts::111122223333:assumed-role/a/b",
        "accountId": "111122223333", "sessionContext": {"sessionIssuer": {"type": "Role", "userName": "a"}}});
    let mut record = json!({
        "eventVersion": "1.11", "eventID": format!("e{number}"), "eventTime": "2026-01-01T00:00:00Z",
        "eventSource": sources[chance.below(5)], "eventName": names[chance.below(7)], "eventType": kinds[chance.below(3)],
        "awsRegion": "eu-central-1", "sourceIPAddress": "198.51.100.7", "userAgent": "aws-cli/2",
        "userIdentity": identity, "readOnly": chance.once_in(2), "managementEvent": true,
    });
    if chance.once_in(2) {
        record["errorCode"] = json!("AccessDenied");
    }
    record
}

struct Satisfier<'a> {
    named: &'a HashMap<String, Detection>,
    record: &'a mut Value,
    chance: &'a mut Chance,
}

impl Satisfier<'_> {
    fn condition(&mut self, condition: &ConditionExpr) {
        match condition {
            ConditionExpr::And(parts) => parts.iter().for_each(|part| self.condition(part)),
            ConditionExpr::Or(parts) => {
                let part = self.chance.below(parts.len());
                self.condition(&parts[part]);
            }
            ConditionExpr::Not(_) => {}
            ConditionExpr::Identifier(name) => self.detection(&self.named[name]),
            ConditionExpr::Selector { quantifier, pattern } => {
                let named = self.named;
                let mut chosen: Vec<_> =
                    named.iter().filter(|(name, _)| pattern.matches_detection_name(name)).collect();
                chosen.sort_by_key(|(name, _)| *name);
                if *quantifier == Quantifier::Any {
                    let one = self.chance.below(chosen.len());
                    chosen = vec![chosen[one]];
                }
                chosen.into_iter().for_each(|(_, detection)| self.detection(detection));
            }
        }
    }

    fn detection(&mut self, detection: &Detection) {
        match detection {
            Detection::AllOf(items) => items.iter().for_each(|item| self.item(item)),
            Detection::And(parts) => parts.iter().for_each(|part| self.detection(part)),
            Detection::AnyOf(parts) => {
                let part = self.chance.below(parts.len());
                self.detection(&parts[part]);
            }
            Detection::Keywords(values) => {
                let text = self.text(&[Modifier::Contains], &values[self.chance.0 as usize % values.len()], true);
                self.set("requestParameters.said", json!(text));
            }
            Detection::ArrayMatch { .. } | Detection::Conditional { .. } => {}
        }
    }

    fn item(&mut self, item: &DetectionItem) {
        let Some(field) = item.field.name.clone() else { return };
        let modifiers = &item.field.modifiers;
        // Records have strings there; and wildcards in names are compared in CloudTrail's own spelling.
        let is_name = field == "eventName" || field == "eventSource";
        let has_gaps = |value: &SigmaValue| matches!(value, SigmaValue::String(text) if !text.is_plain());
        let fixed = is_name && (modifiers.contains(&Modifier::Contains) || item.values.iter().any(has_gaps));
        if modifiers.contains(&Modifier::Exists) {
            let wanted = item.values != [SigmaValue::Bool(false)];
            return if wanted { self.set(&field, json!("x")) } else { self.remove(&field) };
        }
        if modifiers.contains(&Modifier::All) {
            let texts: Vec<String> = item.values.iter().map(|value| self.text(modifiers, value, !fixed)).collect();
            return self.set(&field, json!(texts.concat()));
        }
        let value = item.values[self.chance.below(item.values.len())].clone();
        let value = match &value {
            SigmaValue::Null => return self.remove(&field),
            SigmaValue::Integer(number) if modifiers.contains(&Modifier::Gt) => json!(number + 1),
            SigmaValue::Bool(flag) if self.chance.once_in(2) => json!(flag),
            SigmaValue::Integer(number) if self.chance.once_in(2) => json!(number),
            other => json!(self.text(modifiers, other, !fixed)),
        };
        // A flag or a number is text to Sigma.
        let plain = value.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
        match plain.filter(|plain| !is_name && (plain.is_boolean() || plain.is_number()) && self.chance.once_in(2)) {
            Some(plain) => self.set(&field, plain),
            None => self.set(&field, value),
        }
    }

    fn text(&mut self, modifiers: &[Modifier], value: &SigmaValue, any_case: bool) -> String {
        let has = |modifier| modifiers.contains(&modifier);
        let SigmaValue::String(text) = value else { return value.to_string() };
        if has(Modifier::Cidr) {
            return text.original.split('/').next().unwrap_or_default().to_owned();
        }
        if has(Modifier::Re) {
            let plain = text.original.trim_start_matches('^').trim_end_matches('$');
            return plain.replace(".+", "xy").replace(".*", "z").replace('\\', "");
        }
        let mut written = self.fill(text);
        if has(Modifier::Contains) || has(Modifier::EndsWith) {
            written = self.chance.word() + &written;
        }
        if has(Modifier::Contains) || has(Modifier::StartsWith) {
            written += &self.chance.word();
        }
        if any_case && !has(Modifier::Cased) && self.chance.once_in(3) {
            let flip = |c: char| if c.is_ascii_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() };
            written = written.chars().map(|c| if self.chance.once_in(2) { flip(c) } else { c }).collect();
        }
        written
    }

    fn fill(&mut self, text: &SigmaString) -> String {
        let part = |part: &StringPart| match part {
            StringPart::Plain(text) => text.clone(),
            StringPart::Special(SpecialChar::WildcardMulti) => self.chance.word(),
            StringPart::Special(SpecialChar::WildcardSingle) => "q".to_owned(),
        };
        text.parts.iter().map(part).collect()
    }

    fn remove(&mut self, field: &str) {
        if let Some(members) = self.record.as_object_mut() {
            members.remove(field);
        }
    }

    /// Sets a member of members; what is below request and response, sometimes as lists.
    fn set(&mut self, field: &str, value: Value) {
        let lists = field.starts_with("requestParameters.") || field.starts_with("responseElements.");
        let value = if lists && self.chance.once_in(4) { json!(["other", value]) } else { value };
        let mut place = &mut *self.record;
        let mut steps = field.split('.').peekable();
        while let Some(step) = steps.next() {
            if !place.is_object() {
                *place = json!({});
            }
            place = &mut place[step];
            if place.is_null() && lists && steps.peek().is_some() && self.chance.once_in(4) {
                *place = json!([{}]);
            }
            if place.is_array() {
                place = &mut place[0];
            }
        }
        *place = value;
    }
}
