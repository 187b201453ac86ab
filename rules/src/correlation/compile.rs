//! [`Draft`]: one correlation document, checked by itself. What its references mean is settled when all files are read.

use rsigma_parser::{
    ConditionExpr, ConditionOperator, CorrelationCondition, CorrelationRule, CorrelationType, WindowMode,
};

use super::{ACTOR, shape};
use crate::event::Millis;
use crate::facts;
use crate::rule::{self, Own};
use crate::sigma::Document;

/// Longest timespan, in seconds: a year. Windows are kept for twice as long.
const LONGEST: u64 = 366 * 86_400;

/// How many rules a `temporal_ordered` correlation may list.
const MOST_ORDERED: usize = 8;

/// A correlation whose references have not been looked up.
#[derive(Debug)]
pub(crate) struct Draft<'t> {
    pub(super) parsed: CorrelationRule,
    pub(super) remediation: Option<String>,
    pub(super) document: Document<'t>,
    pub(super) file: String,
    pub(super) group_by: Vec<String>,
    pub(super) timespan: Millis,
    pub(super) asked: Asked,
}

/// The condition as written.
#[derive(Debug)]
pub(super) enum Asked {
    Events(u64),
    Values(Vec<String>, u64),
    All,
    Expression(ConditionExpr),
    Ordered,
}

impl<'t> Draft<'t> {
    /// Checks a parsed correlation of a document.
    ///
    /// # Errors
    /// The key to point at, and what is wrong.
    pub(crate) fn of(
        parsed: &CorrelationRule,
        document: Document<'t>,
        file: &str,
    ) -> Result<Draft<'t>, (&'static str, String)> {
        let sections = document.values();
        let mut sections = sections.iter().filter_map(|value| value.get("correlation"));
        if let Some(fault) = sections.clone().find_map(shape::fault) {
            return Err(("correlation:", fault));
        }
        if parsed.rules.is_empty() {
            return Err(("rules:", "`rules` is empty: list the rules by id or name".to_owned()));
        }
        if parsed.window != WindowMode::Sliding {
            let message = "`window` is always `sliding` here: leave it out";
            return Err(("window:", message.to_owned()));
        }
        let has_condition = sections.any(|section| section.get("condition").is_some());
        let asked = asked(parsed, has_condition).map_err(|message| ("condition:", message))?;
        let mut group_by = parsed.group_by.clone();
        group_by.sort();
        group_by.dedup();
        for field in group_by.iter().chain(parsed.aliases.iter().flat_map(|alias| alias.mapping.values())) {
            known(field).map_err(|message| ("group-by:", message))?;
        }
        Ok(Draft {
            parsed: parsed.clone(),
            remediation: own(parsed).map_err(|message| ("dial:", message))?,
            document,
            file: file.to_owned(),
            group_by,
            timespan: timespan(parsed.timespan.seconds, &parsed.timespan.original)
                .map_err(|message| ("time", message))?,
            asked,
        })
    }

    /// Its id; without one, a hash of its title.
    pub(crate) fn id(&self) -> String {
        self.parsed.id.clone().unwrap_or_else(|| rule::untitled_id(&self.parsed.title))
    }
}

/// What is under `dial`: the first step.
fn own(parsed: &CorrelationRule) -> Result<Option<String>, String> {
    let own = Own::of(&parsed.custom_attributes)?;
    if own.has_dedup() {
        return Err(
            "under `dial`: `dedup` is for single events; findings of a correlation are one alert where they share a \
                    completing event or follow each other: leave it out"
                .to_owned(),
        );
    }
    Ok(own.remediation)
}

fn timespan(seconds: u64, written: &str) -> Result<Millis, String> {
    match i64::try_from(seconds) {
        Ok(span @ 1..) if seconds <= LONGEST => Ok(span * 1000),
        _ => Err(format!("a timespan of `{written}` is not between 1s and 1y: write one such as 10m, 1h or 7d")),
    }
}

/// Refuses fields under `dial.` that there are not.
fn known(field: &str) -> Result<(), String> {
    let is_fact = field.get(..facts::PREFIX.len()).is_some_and(|prefix| prefix.eq_ignore_ascii_case(facts::PREFIX));
    if !is_fact || field == ACTOR || facts::find(field).is_some() {
        return Ok(());
    }
    Err(format!("there is no field `{field}`: did you mean `{}`? See `dial rules fields`", facts::nearest(field)))
}

fn asked(parsed: &CorrelationRule, has_condition: bool) -> Result<Asked, String> {
    let counts = || at_least(&parsed.condition);
    match parsed.correlation_type {
        CorrelationType::EventCount => match counts()? {
            (at_least, None) => Ok(Asked::Events(at_least)),
            (_, Some(_)) => {
                Err("event_count counts events, whatever `field` they have: write `type: value_count`, or \
                                 leave `field` out"
                    .to_owned())
            }
        },
        CorrelationType::ValueCount => match counts()? {
            (at_least, Some(fields)) => {
                fields.iter().try_for_each(|field| known(field))?;
                Ok(Asked::Values(fields, at_least))
            }
            (_, None) => {
                Err("value_count needs a field whose values it counts: add `field` to the condition".to_owned())
            }
        },
        CorrelationType::Temporal => temporal(parsed, has_condition),
        CorrelationType::TemporalOrdered => {
            if parsed.rules.len() > MOST_ORDERED {
                return Err(format!("temporal_ordered takes at most {MOST_ORDERED} rules: chain two correlations"));
            }
            if !has_condition || all_of(parsed) {
                return Ok(Asked::Ordered);
            }
            Err("a temporal_ordered correlation asks for all its rules in their order: leave the condition out"
                .to_owned())
        }
        other => Err(format!(
            "`type: {}` is not evaluated: a sum or an average can rise and fall again as events arrive late, so that \
             what was found would depend on the order of arrival; use event_count, value_count, temporal or \
             temporal_ordered",
            other.as_str()
        )),
    }
}

fn temporal(parsed: &CorrelationRule, has_condition: bool) -> Result<Asked, String> {
    if !has_condition || all_of(parsed) {
        return Ok(Asked::All);
    }
    match &parsed.condition {
        CorrelationCondition::Extended(expression) => Ok(Asked::Expression(expression.clone())),
        CorrelationCondition::Threshold { .. } => {
            at_least(&parsed.condition)?;
            Err("a temporal correlation asks for all its rules: leave the condition out, or write which rules, such as \
                 rule_a and (rule_b or rule_c)"
                .to_owned())
        }
    }
}

/// Whether the condition says in numbers that all rules must match, as other tools write it.
fn all_of(parsed: &CorrelationRule) -> bool {
    at_least(&parsed.condition).is_ok_and(|(at_least, field)| at_least == parsed.rules.len() as u64 && field.is_none())
}

/// The number that must be reached, and the fields.
fn at_least(condition: &CorrelationCondition) -> Result<(u64, Option<Vec<String>>), String> {
    let CorrelationCondition::Threshold { predicates, field, percentile } = condition else {
        return Err("a counting correlation needs a number: write a condition such as {gte: 5}".to_owned());
    };
    if percentile.is_some() {
        return Err("`percentile` belongs to value_percentile, which is not evaluated".to_owned());
    }
    let mut most = 0;
    for (operator, number) in predicates {
        let number = match operator {
            ConditionOperator::Gte => *number,
            ConditionOperator::Gt => number.saturating_add(1),
            other => return Err(not_monotone(other)),
        };
        if number == 0 {
            return Err("a condition that holds without any event finds nothing: ask for at least 1".to_owned());
        }
        most = most.max(number);
    }
    // rsigma takes a negative number for a very large one.
    if most > i64::MAX as u64 {
        return Err("the number of a condition must be positive".to_owned());
    }
    Ok((most, field.clone()))
}

fn not_monotone(operator: &ConditionOperator) -> String {
    let word = format!("{operator:?}").to_lowercase();
    format!(
        "`{word}` can become false again when another event arrives, and events arrive late and in any order: what was \
         found would depend on luck. Use `gte` or `gt`"
    )
}
