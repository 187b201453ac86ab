//! [`Draft`]: a rule and its tests, begun from an event that such a rule should find.

mod choice;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::check::PLACEHOLDER;
use crate::event::{Event, EventKind};
use crate::pack::TEST_SUFFIX;
use crate::rule_test;
use crate::ruleset::{Loaded, RuleFile, RuleSet};
use choice::Choice;

/// A rule that finds the event it was made from, with placeholders where only its author can know what to say.
#[derive(Debug, Clone)]
pub struct Draft {
    /// What to call the files, without what they end with: small letters, digits and underscores.
    pub name: String,
    /// The rule, Sigma YAML.
    pub rule: String,
    /// Its tests.
    pub tests: String,
}

#[derive(Serialize)]
struct Tests<'d> {
    rule: &'d str,
    cases: Vec<Case>,
}

#[derive(Serialize)]
struct Case {
    name: String,
    events: Vec<Value>,
    expect: Vec<usize>,
}

impl Draft {
    /// Drafts a rule with this id; without a title, it gets one from the event.
    ///
    /// # Errors
    /// Says what the event lacks, or why a rule made from it does not find it.
    pub fn of(event: &Event, id: &str, title: Option<&str>) -> Result<Draft, String> {
        let raw: Map<String, Value> =
            serde_json::from_slice(event.raw()).map_err(|error| format!("the event is no JSON object: {error}"))?;
        let raw = Value::Object(raw);
        let choices = choice::of(&raw, event.kind());
        if choices.is_empty() {
            return Err("the finding has neither a type nor a title to tell it from others".to_owned());
        }
        let tests = Tests { rule: id, cases: cases(&raw, event.kind(), &choices) };
        let tests = yaml_serde::to_string(&tests).map_err(|error| error.to_string())?;
        let own = title.map(|title| title.split_whitespace().collect::<Vec<_>>().join(" "));
        let name = file_name(own.as_deref().unwrap_or(&subject(event)));
        let title = own.unwrap_or_else(|| default_title(event));
        let draft = Draft { name, rule: rule(&title, id, event.kind(), &choices, &raw), tests };
        draft.verify().map(|()| draft)
    }

    /// Whether the rule loads and its own tests hold.
    fn verify(&self) -> Result<(), String> {
        let file = |end: &str, text: &String| RuleFile { name: format!("{}{end}", self.name), text: text.clone() };
        let Loaded { rules, problems, .. } = RuleSet::load(&[file(".yml", &self.rule)]);
        if let Some(problem) = problems.first() {
            return Err(format!("a rule made from the event does not load: {problem}"));
        }
        let outcomes = rule_test::run(&rules, &file(TEST_SUFFIX, &self.tests));
        match outcomes.into_iter().find_map(|outcome| outcome.failure) {
            Some(failure) => Err(format!("a rule made from the event does not hold: {failure}")),
            None => Ok(()),
        }
    }
}

/// What the event is about, in a word.
fn subject(event: &Event) -> String {
    match event.kind() {
        EventKind::CloudTrail => event.name().into_owned(),
        EventKind::GuardDuty => event.text_at(&["type"]).unwrap_or_default().into_owned(),
        EventKind::SecurityHub => event.text_at(&["Title"]).unwrap_or_default().into_owned(),
    }
}

fn default_title(event: &Event) -> String {
    let subject = subject(event);
    match event.kind() {
        EventKind::CloudTrail => format!("{subject} called on {}", event.source()),
        EventKind::GuardDuty => format!("GuardDuty found {subject}"),
        EventKind::SecurityHub => format!("Security Hub: {subject}"),
    }
}

/// `MFA device removed` → `mfa_device_removed`, `CreateUser` → `create_user`.
fn file_name(title: &str) -> String {
    const LONGEST: usize = 60;
    let mut name = String::new();
    let mut after_lower = false;
    for c in title.chars() {
        let begins = !c.is_ascii_alphanumeric() || (c.is_ascii_uppercase() && after_lower);
        if begins && !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
        if c.is_ascii_alphanumeric() && name.len() < LONGEST {
            name.push(c.to_ascii_lowercase());
        }
        after_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    let name = name.trim_end_matches('_');
    if name.is_empty() { "rule".to_owned() } else { name.to_owned() }
}

fn rule(title: &str, id: &str, kind: EventKind, choices: &[Choice], raw: &Value) -> String {
    let items: String = choices.iter().map(|choice| format!("        {}\n", choice.item())).collect();
    let (filter, condition) = match refuses_failures(kind, raw) {
        true => ("    filter_failed:\n        errorCode|exists: true\n", "selection and not filter_failed"),
        false => ("", "selection"),
    };
    let (title, service) = (scalar(title), kind.service());
    format!(
        "title: {title}
id: {id}
status: experimental
description: >-
    {PLACEHOLDER}: what happened, why it matters to whoever is on call, and what this rule does not see.
references:
    - '{PLACEHOLDER}: what AWS and others say of it'
tags: # tactics and techniques of ATT&CK, such as attack.persistence and attack.t1098.001
    - attack.{}
logsource:
    product: aws
    service: {service}
detection:
    selection:
{items}{filter}    condition: {condition}
falsepositives:
    - '{PLACEHOLDER}: who does this with good reason'
level: medium
dial:
    remediation: >-
        {PLACEHOLDER}: what to do first.
",
        PLACEHOLDER.to_lowercase()
    )
}

/// Whether the event is a call that succeeded, so that refused ones are left out.
fn refuses_failures(kind: EventKind, raw: &Value) -> bool {
    kind == EventKind::CloudTrail && raw.get("errorCode").is_none_or(Value::is_null)
}

fn cases(raw: &Value, kind: EventKind, choices: &[Choice]) -> Vec<Case> {
    let case = |name: String, event: Value, expect: &[usize]| Case {
        name,
        events: vec![enveloped(event, kind)],
        expect: expect.to_vec(),
    };
    let mut cases = vec![case("the event that the rule was drafted from".to_owned(), raw.clone(), &[1])];
    // The last choice says the most: the others are what it is a detail of.
    if let Some(deciding) = choices.last() {
        cases.push(case(format!("the same, but for {}", deciding.field()), deciding.changed(raw), &[]));
    }
    if refuses_failures(kind, raw) {
        let mut refused = raw.clone();
        refused["errorCode"] = json!("AccessDenied");
        cases.push(case("the same call, refused".to_owned(), refused, &[]));
    }
    cases
}

fn enveloped(event: Value, kind: EventKind) -> Value {
    match kind {
        EventKind::CloudTrail => event,
        EventKind::GuardDuty => {
            json!({"source": "aws.guardduty", "detail-type": "GuardDuty Finding", "detail": event})
        }
        EventKind::SecurityHub => json!({
            "source": "aws.securityhub", "detail-type": "Security Hub Findings - Imported",
            "detail": {"findings": [event]},
        }),
    }
}

/// Text on one line of YAML.
fn scalar(text: &str) -> String {
    let written = yaml_serde::to_string(text).unwrap_or_default();
    let written = written.trim_end();
    // A JSON string is one of YAML too, and never takes several lines.
    if written.contains('\n') || written.is_empty() { Value::from(text).to_string() } else { written.to_owned() }
}

#[cfg(test)]
#[path = "draft_tests.rs"]
mod tests;
