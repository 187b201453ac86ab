//! A condition as written → [`Condition`], by the parts it speaks of.

use rsigma_parser::{ConditionExpr, Quantifier};

use super::compile::Asked;
use super::{Condition, Formula, Part};

/// # Errors
/// Says what in the condition means none of the parts, or cannot be evaluated.
pub(super) fn condition(asked: &Asked, parts: &[Part]) -> Result<Condition, String> {
    Ok(match asked {
        Asked::Events(at_least) => Condition::EventCount { at_least: *at_least },
        Asked::Values(fields, at_least) => Condition::ValueCount { fields: fields.clone(), at_least: *at_least },
        Asked::All => Condition::Temporal(Formula::AtLeast(parts.len(), (0..parts.len()).map(Formula::Part).collect())),
        Asked::Expression(expression) => Condition::Temporal(formula(expression, parts)?),
        Asked::Ordered => Condition::TemporalOrdered,
    })
}

fn formula(expression: &ConditionExpr, parts: &[Part]) -> Result<Formula, String> {
    let each = |list: &[ConditionExpr]| list.iter().map(|part| formula(part, parts)).collect::<Result<Vec<_>, _>>();
    Ok(match expression {
        ConditionExpr::And(list) => Formula::AtLeast(list.len(), each(list)?),
        ConditionExpr::Or(list) => Formula::AtLeast(1, each(list)?),
        ConditionExpr::Not(_) => {
            return Err("`not` can become false again when another event arrives, and events arrive late and in any \
                        order: what was found would depend on luck. Use `and` and `or`"
                .to_owned());
        }
        ConditionExpr::Identifier(name) => {
            let at = parts.iter().position(|part| part.written == *name || part.id == *name);
            Formula::Part(at.ok_or_else(|| format!("the condition names {name}, which `rules` does not list"))?)
        }
        ConditionExpr::Selector { quantifier, pattern } => {
            let matching =
                |(at, part): (usize, &Part)| pattern.matches_detection_name(&part.written).then_some(Formula::Part(at));
            let list: Vec<Formula> = parts.iter().enumerate().filter_map(matching).collect();
            let most = match quantifier {
                Quantifier::Any => 1,
                Quantifier::All => list.len(),
                Quantifier::Count(count) => usize::try_from(*count).unwrap_or(usize::MAX),
            };
            if most == 0 || most > list.len() {
                return Err(format!("the condition asks for `{expression}`, and `rules` lists {} of them", list.len()));
            }
            Formula::AtLeast(most, list)
        }
    })
}
