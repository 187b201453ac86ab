//! [`Rule`]: a Sigma detection rule, ready to be evaluated.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use rsigma_eval::{CompiledDetection, CompiledRule, EvalError, compile_rule};
use rsigma_parser::{ConditionExpr, Detection, Level, LogSource, Modifier, SigmaRule, SigmaValue, Status};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::dedup::Dedup;
use crate::event::EventKind;
use crate::fields::Fields;
use crate::requirement::Requirement;
use crate::severity::Severity;

/// A Sigma detection rule for `product: aws`. It matches one event.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The rule's `id`; of a rule without one, a hash of its title.
    pub id: String,
    /// Whether the file gives an id.
    pub has_own_id: bool,
    /// `name`, by which correlations may refer to it.
    pub name: Option<String>,
    /// `title`.
    pub title: String,
    /// `description`, empty when there is none.
    pub description: String,
    /// `level`; medium where the file gives none.
    pub severity: Severity,
    /// Whether the file gives a level.
    pub has_own_level: bool,
    /// `status`, such as `stable` or `experimental`, if the file gives one.
    pub status: Option<String>,
    /// `tags`, all of them as the file has them.
    pub tags: Vec<String>,
    /// ATT&CK techniques among the tags, such as `T1098.001`, sorted.
    pub techniques: Vec<String>,
    /// ATT&CK tactics among the tags, such as `persistence`, sorted.
    pub tactics: Vec<String>,
    /// `falsepositives`.
    pub false_positives: Vec<String>,
    /// `references`.
    pub references: Vec<String>,
    /// What to do first: `dial.remediation`.
    pub remediation: Option<String>,
    /// `dial.dedup`: what repeats have in common.
    pub dedup: Dedup,
    /// `dial.optional`: facts that the rule can do without. Where no table in force has them it finds less or nothing,
    /// instead of stopping the start.
    pub optional: Vec<String>,
    /// The file it came from, as it was named to the loader.
    pub file: String,
    /// The line of that file on which its document begins, from 1.
    pub line: usize,
    /// `logsource.service`; a rule without one looks at events of every kind.
    pub service: Option<String>,
    /// What an event must have before the rule can match it.
    pub(crate) requirement: Requirement,
    pub(crate) conditions: Vec<ConditionExpr>,
    /// The detections as the file has them.
    pub(crate) written: HashMap<String, Detection>,
    detections: HashMap<String, CompiledDetection>,
}

/// DIAL's own part of a rule, under the custom key `dial`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Own {
    pub(crate) remediation: Option<String>,
    dedup: Option<Vec<String>>,
    #[serde(default)]
    optional: Vec<String>,
}

impl Own {
    /// # Errors
    /// Says what under `dial` is not known.
    pub(crate) fn of(custom: &HashMap<String, yaml_serde::Value>) -> Result<Own, String> {
        let Some(value) = custom.get("dial") else {
            return Ok(Own::default());
        };
        yaml_serde::from_value(value.clone()).map_err(|error| format!("under `dial`: {error}"))
    }

    /// Whether `dial.dedup` is there.
    pub(crate) fn has_dedup(&self) -> bool {
        self.dedup.is_some()
    }

    /// # Errors
    /// Says which word under `dial.dedup` is not known.
    pub(crate) fn dedup(&self) -> Result<Dedup, String> {
        self.dedup.as_deref().map_or_else(|| Ok(Dedup::default()), Dedup::of)
    }
}

impl Rule {
    /// Compiles a parsed rule.
    ///
    /// # Errors
    /// Says what in the rule cannot be evaluated.
    pub(crate) fn compile(parsed: &SigmaRule, file: &str, line: usize) -> Result<Rule, String> {
        for condition in &parsed.detection.conditions {
            check_selections(condition, &parsed.detection.named)?;
        }
        let CompiledRule { detections, conditions, .. } = compile_rule(parsed).map_err(|error| match error {
            EvalError::InvalidCidr(_) => no_network(&parsed.detection.named).unwrap_or_else(|| error.to_string()),
            // The engine's own words, to which its limit is no more than a number of bytes.
            EvalError::InvalidRegex(_) if error.to_string().contains("size limit") => format!(
                "{error} A counted repetition is written out in full: repeat less, and write [A-Za-z0-9_] for \\w"
            ),
            _ => error.to_string(),
        })?;
        let own = Own::of(&parsed.custom_attributes)?;
        if let Some(fact) = idle_fact(&own.optional, parsed) {
            return Err(format!(
                "under `dial`: `optional` names `{fact}`, which no condition asks for: name facts of the conditions, or \
                 leave it out"
            ));
        }
        let (techniques, tactics) = attack(&parsed.tags);
        Ok(Rule {
            id: parsed.id.clone().unwrap_or_else(|| untitled_id(&parsed.title)),
            has_own_id: parsed.id.is_some(),
            name: parsed.name.clone(),
            title: parsed.title.clone(),
            description: parsed.description.clone().unwrap_or_default(),
            severity: parsed.level.map_or(Severity::Medium, severity),
            has_own_level: parsed.level.is_some(),
            status: parsed.status.map(status),
            tags: parsed.tags.clone(),
            techniques,
            tactics,
            false_positives: parsed.falsepositives.clone(),
            references: parsed.references.clone(),
            dedup: own.dedup()?,
            remediation: own.remediation,
            optional: own.optional,
            file: file.to_owned(),
            line,
            service: parsed.logsource.service.clone(),
            requirement: Requirement::of(parsed),
            conditions,
            written: parsed.detection.named.clone(),
            detections,
        })
    }

    /// Whether the rule is about events of this kind at all.
    pub fn looks_at(&self, kind: EventKind) -> bool {
        self.service.as_deref().is_none_or(|service| service.eq_ignore_ascii_case(kind.service()))
    }

    /// The rule as rsigma evaluates it, without what only describes it.
    pub(crate) fn compiled(&self) -> CompiledRule {
        CompiledRule {
            title: self.title.clone(),
            id: Some(self.id.clone()),
            level: None,
            tags: Vec::new(),
            description: None,
            falsepositives: Vec::new(),
            logsource: LogSource::default(),
            detections: self.detections.clone(),
            conditions: self.conditions.clone(),
            include_event: false,
            custom_attributes: Arc::default(),
        }
    }

    /// Whether the event satisfies one of the rule's conditions.
    pub(crate) fn matches(&self, event: &Fields<'_>) -> bool {
        let mut selections = Vec::new();
        self.conditions
            .iter()
            .any(|condition| rsigma_eval::compiler::eval_condition(condition, &self.detections, event, &mut selections))
    }
}

/// The first of these facts that the rule does not ask for.
fn idle_fact<'f>(facts: &'f [String], parsed: &SigmaRule) -> Option<&'f String> {
    let named = crate::named_fields::of(parsed);
    facts.iter().find(|fact| !named.contains(fact))
}

pub(crate) fn status(status: Status) -> String {
    format!("{status:?}").to_lowercase()
}

/// Refuses a condition that names selections which are not there: inside a negation it would hold for every event.
fn check_selections(condition: &ConditionExpr, named: &HashMap<String, Detection>) -> Result<(), String> {
    // Names stand without quotes, so that the line of the condition is the one that the message is about.
    let has = || {
        let mut names: Vec<&str> = named.keys().map(String::as_str).collect();
        names.sort_unstable();
        names.join(", ")
    };
    match condition {
        ConditionExpr::And(parts) | ConditionExpr::Or(parts) => {
            parts.iter().try_for_each(|part| check_selections(part, named))
        }
        ConditionExpr::Not(part) => check_selections(part, named),
        ConditionExpr::Identifier(name) if !named.contains_key(name) => {
            Err(format!("the condition names {name}, which is no selection of this rule; it has {}", has()))
        }
        ConditionExpr::Selector { pattern, .. } if !named.keys().any(|name| pattern.matches_detection_name(name)) => {
            Err(format!("the condition is about selections {pattern}, and this rule has none; it has {}", has()))
        }
        ConditionExpr::Identifier(_) | ConditionExpr::Selector { .. } => Ok(()),
    }
}

/// Which of the networks that the detections name is none.
fn no_network(named: &HashMap<String, Detection>) -> Option<String> {
    named.values().find_map(no_network_in)
}

fn no_network_in(detection: &Detection) -> Option<String> {
    match detection {
        Detection::AllOf(items) => items.iter().find_map(|item| {
            let is_network = item.field.modifiers.contains(&Modifier::Cidr);
            let texts = item.values.iter().filter_map(|value| match value {
                SigmaValue::String(text) => Some(text.original.as_str()),
                _ => None,
            });
            let wrong = texts.filter(|_| is_network).find(|text| !is_cidr(text))?;
            Some(format!("`{wrong}` is no network: write one in CIDR notation, such as 198.51.100.0/24"))
        }),
        Detection::And(parts) | Detection::AnyOf(parts) => parts.iter().find_map(no_network_in),
        Detection::ArrayMatch { body, .. } => no_network_in(body),
        Detection::Conditional { named, .. } => no_network(named),
        Detection::Keywords(_) => None,
    }
}

fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    let most = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.parse().is_ok_and(|bits: u8| bits <= most)
}

pub(crate) fn severity(level: Level) -> Severity {
    match level {
        Level::Informational => Severity::Informational,
        Level::Low => Severity::Low,
        Level::Medium => Severity::Medium,
        Level::High => Severity::High,
        Level::Critical => Severity::Critical,
    }
}

pub(crate) fn untitled_id(title: &str) -> String {
    let hash = Sha256::digest(title.as_bytes());
    hash.iter().take(8).fold("title-".to_owned(), |id, byte| format!("{id}{byte:02x}"))
}

/// Techniques and tactics of tags such as `attack.t1098.001` and `attack.persistence`. Sigma's tag appendix spells a
/// tactic of two words with a hyphen, older rules with an underscore.
pub(crate) fn attack(tags: &[String]) -> (Vec<String>, Vec<String>) {
    let names = tags.iter().filter_map(|tag| tag.strip_prefix("attack.")).map(str::to_lowercase);
    let is_technique = |name: &String| {
        let digits = name.strip_prefix('t').unwrap_or_default();
        digits.len() >= 4 && digits.chars().all(|c| c.is_ascii_digit() || c == '.')
    };
    let (mut techniques, others): (Vec<_>, Vec<_>) = names.partition(is_technique);
    techniques.iter_mut().for_each(|name| name.make_ascii_uppercase());
    // Groups (`g0001`) and software (`s0001`) are no tactics.
    let mut tactics: Vec<_> = others
        .into_iter()
        .filter(|name| !name.contains(|c: char| c.is_ascii_digit()))
        .map(|name| name.replace('_', "-"))
        .collect();
    for list in [&mut techniques, &mut tactics] {
        list.sort();
        list.dedup();
    }
    (techniques, tactics)
}
